#include "origin/cookie.h"

#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

TEST(CookieTest, OneIsFoundByItsName) {
  const std::pair<const char*, const char*> rows[] = {
      {"id=abc", "abc"},
      {"a=1; id=abc; b=2", "abc"},
      {"a=1;id=abc;b=2", "abc"},
      {"id=\"abc\"", "abc"},
      {"  id = abc  ", "abc"},
      {"xid=1; id=abc; idx=2", "abc"},
      {"id=a=b", "a=b"},
      {"id=", ""},
      {"id", ""},
      {"ID=abc", ""},
      {"other=1", ""},
      {"", ""},
      {";;=;", ""},
      {"id=abc; id=abc", "abc"},
      {"id=abc; id=def", ""},  // nobody knows which is ours
      {"id=; id=abc", ""}};
  for (const auto& [line, value] : rows) {
    EXPECT_EQ(CookieOf({{"cookie", line}}, "id"), value) << line;
  }
  EXPECT_EQ(CookieOf({}, "id"), "");
}

TEST(CookieTest, SeveralLinesAreOneList) {
  EXPECT_EQ(CookieOf({{"cookie", "a=1"}, {"x", "id=no"}, {"cookie", "id=abc"}}, "id"), "abc");
  EXPECT_EQ(CookieOf({{"cookie", "id=1"}, {"cookie", "id=2"}}, "id"), "");
}

TEST(CookieTest, SecureOnesHaveThePrefixAndAllThatItAsksFor) {
  const CookieStyle style{.secure = true};
  EXPECT_EQ(style.Set("session", "v", seconds(60)),
            "__Host-session=v; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=60");
  EXPECT_EQ(style.Set("session", "v", seconds(0)),
            "__Host-session=v; Path=/; HttpOnly; SameSite=Lax; Secure");
  EXPECT_EQ(style.Clear("session"),
            "__Host-session=; Path=/; HttpOnly; SameSite=Lax; Secure; Max-Age=0");
}

TEST(CookieTest, InDevelopmentTheyAreForHttp) {
  const CookieStyle style{.secure = false};
  EXPECT_EQ(style.NameOf("session"), "session");
  EXPECT_EQ(style.Set("session", "v", seconds(60)),
            "session=v; Path=/; HttpOnly; SameSite=Lax; Max-Age=60");
}

}  // namespace
}  // namespace nearside::origin
