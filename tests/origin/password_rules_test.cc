#include "origin/password_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace nearside::origin {
namespace {

TEST(PasswordRulesTest, LongOnesMayBeAnything) {
  for (const std::string& password :
       {std::string("correct horse battery staple"), std::string("aaaaaaab"),
        std::string("        x"), std::string("12345670"), std::string("alice-and-more"),
        std::string("\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F"),
        std::string("line\nend\tand more"), std::string(kMostPasswordBytes - 1, 'x') + "y"}) {
    EXPECT_TRUE(CheckPassword(password, "alice@example.org")) << password;
  }
}

TEST(PasswordRulesTest, WhatIsTriedFirstIsRefused) {
  const std::pair<std::string, const char*> rows[] = {
      {"", "too short"},
      {"1234567", "too short"},
      // 7 characters in 14 bytes.
      {"\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F\xC3\xA4\xC3\xB6\xC3\xBC", "too short"},
      {std::string(kMostPasswordBytes + 1, 'x'), "longer than"},
      {"password", "tried first"},
      {"PassWord", "tried first"},
      {"qwertyuiop", "tried first"},
      {"zzzzzzzzzzzz", "tried first"},
      {"23456789", "tried first"},
      {"hgfedcba", "tried first"},
      {"alice.example", "account's name"},
      {"Alice.Example@example.org", "account's name"},
  };
  for (const auto& [password, why] : rows) {
    const Status good = CheckPassword(password, "alice.example@example.org");
    ASSERT_FALSE(good) << password;
    EXPECT_EQ(good.error().reason, "bad_password");
    EXPECT_THAT(good.error().message, testing::HasSubstr(why)) << password;
  }
}

}  // namespace
}  // namespace nearside::origin
