#include "origin/forgery.h"

#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

struct ForgeryRow {
  const char* site;       ///< Sec-Fetch-Site; null: none
  const char* origin;     ///< null: none
  const char* authority;  ///< as asked
  bool https;
  bool ours;
};

TEST(ForgeryTest, WhereARequestComesFrom) {
  const ForgeryRow rows[] = {
      {"same-origin", "https://account.test", "account.test", true, true},
      {"same-origin", nullptr, "account.test", true, true},
      {nullptr, "https://account.test", "account.test", true, true},
      {nullptr, nullptr, "account.test", true, true},  // the token decides
      // Ports, however they are written.
      {nullptr, "https://account.test", "account.test:443", true, true},
      {nullptr, "https://account.test:8443", "account.test:8443", true, true},
      {nullptr, "https://account.test:8443", "account.test", true, false},
      {nullptr, "http://account.test", "account.test:80", false, true},
      {nullptr, "https://ACCOUNT.test", "account.test", true, true},
      // Others.
      {"same-site", nullptr, "account.test", true, false},
      {"cross-site", "https://account.test", "account.test", true, false},
      {"none", nullptr, "account.test", true, false},
      {"", nullptr, "account.test", true, false},
      {nullptr, "https://evil.test", "account.test", true, false},
      {nullptr, "https://account.test.evil.test", "account.test", true, false},
      {nullptr, "https://evil.test/account.test", "account.test", true, false},
      {nullptr, "null", "account.test", true, false},
      {nullptr, "", "account.test", true, false},
      {nullptr, "http://account.test", "account.test", true, false},
      {nullptr, "https://account.test", "account.test", false, false},
      {"same-origin", "https://evil.test", "account.test", true, false},
  };
  for (const ForgeryRow& row : rows) {
    http::RequestHead request;
    request.authority = row.authority;
    if (row.site != nullptr) request.fields.Add("sec-fetch-site", row.site);
    if (row.origin != nullptr) request.fields.Add("origin", row.origin);
    EXPECT_EQ(ComesFromOurPages(request, row.https), row.ours)
        << (row.site == nullptr ? "-" : row.site) << " "
        << (row.origin == nullptr ? "-" : row.origin) << " " << row.authority;
  }
}

TEST(ForgeryTest, ATokenIsOfOneCookie) {
  const std::string token = FormTokenOf("cookie-1");
  EXPECT_EQ(token.size(), 43u);
  EXPECT_TRUE(IsFormToken(token, "cookie-1"));
  EXPECT_FALSE(IsFormToken(token, "cookie-2"));
  EXPECT_FALSE(IsFormToken("cookie-1", "cookie-1"));
  EXPECT_FALSE(IsFormToken("", "cookie-1"));
  EXPECT_FALSE(IsFormToken(token.substr(1), "cookie-1"));
  EXPECT_FALSE(IsFormToken(FormTokenOf(""), ""));
}

}  // namespace
}  // namespace nearside::origin
