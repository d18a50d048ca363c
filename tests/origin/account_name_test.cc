#include "origin/account_name.h"

#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

TEST(AccountNameTest, OneSpellingForMany) {
  for (const char* text : {"alice@example.org", "Alice@Example.ORG", "  alice@example.org "}) {
    EXPECT_EQ(NormalAccountName(text).value_or("refused"), "alice@example.org");
  }
  for (const char* text : {"al", "a1", "0x", "a.b_c+d-e", "ops+nearside@example.org"}) {
    EXPECT_EQ(NormalAccountName(text).value_or("refused"), text);
  }
  EXPECT_TRUE(NormalAccountName(std::string(kAccountNameBytes, 'a')));
}

TEST(AccountNameTest, OthersAreRefused) {
  for (const std::string& text :
       {std::string(), std::string("a"), std::string("@example.org"), std::string("alice@"),
        std::string("a@b@c"), std::string("a b"), std::string("a/b"), std::string("a<b"),
        std::string(".hidden"), std::string("-x"), std::string("a\nb"), std::string("a\0b", 3),
        std::string("\xC3\xA4gir"), std::string(kAccountNameBytes + 1, 'a')}) {
    const Result<std::string> name = NormalAccountName(text);
    ASSERT_FALSE(name) << text;
    EXPECT_EQ(name.error().reason, "bad_account_name");
  }
}

}  // namespace
}  // namespace nearside::origin
