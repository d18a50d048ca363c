#include "origin/account_request.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

using storage::AccountGrant;
using ::testing::ElementsAre;

TEST(AccountRequestTest, AnAccountWithWhatItMayDo) {
  const AccountRequest request =
      ParseAccountRequest(R"({"name":"alice","password":"secret words","grants":[)"
                          R"({"site":"demo","scopes":["publish","read","read"]},)"
                          R"({"site":null,"scopes":["read"]}]})")
          .value();
  EXPECT_EQ(request.name, "alice");
  EXPECT_EQ(request.password, "secret words");
  EXPECT_THAT(request.grants,
              ElementsAre(AccountGrant{"", {"read"}}, AccountGrant{"demo", {"read", "publish"}}));
  EXPECT_TRUE(ParseAccountRequest(R"({"name":"a","password":"b"})")->grants.empty());
  EXPECT_TRUE(ParseGrantsRequest(R"({"grants":[]})")->empty());
  EXPECT_EQ(ParsePasswordRequest(R"({"password":"x"})").value(), "x");
}

TEST(AccountRequestTest, WrongOnesAreRefused) {
  const std::pair<const char*, const char*> rows[] = {
      {"", "bad_json"},
      {"[]", "bad_account"},
      {"{}", "bad_account"},
      {R"({"name":"a"})", "bad_account"},
      {R"({"password":"a"})", "bad_account"},
      {R"({"name":1,"password":"b"})", "bad_account"},
      {R"({"name":"a","password":"b","admin":true})", "bad_account"},
      {R"({"name":"a","password":"b","grants":{}})", "bad_account"},
      {R"({"name":"a","password":"b","grants":["demo"]})", "bad_account"},
      {R"({"name":"a","password":"b","grants":[{"scopes":["read"]}]})", "bad_account"},
      {R"({"name":"a","password":"b","grants":[{"site":"","scopes":["read"]}]})", "bad_account"},
      {R"({"name":"a","password":"b","grants":[{"site":"Demo","scopes":["read"]}]})",
       "bad_account"},
      {R"({"name":"a","password":"b","grants":[{"site":"demo","scopes":[]}]})", "bad_account"},
      {R"({"name":"a","password":"b","grants":[{"site":"demo","scopes":["root"]}]})",
       "bad_account"},
      {R"({"name":"a","password":"b","grants":[{"site":"demo","scopes":["read"],"x":1}]})",
       "bad_account"},
      {R"({"name":"a","password":"b","grants":[{"site":"demo","scopes":["read"]},)"
       R"({"site":"demo","scopes":["publish"]}]})",
       "bad_account"},
  };
  for (const auto& [text, reason] : rows) {
    const Result<AccountRequest> request = ParseAccountRequest(text);
    ASSERT_FALSE(request) << text;
    EXPECT_EQ(request.error().reason, reason) << text;
  }
  EXPECT_EQ(ParseGrantsRequest("{}").error().reason, "bad_account");
  EXPECT_EQ(ParseGrantsRequest(R"({"grants":[],"name":"x"})").error().reason, "bad_account");
  EXPECT_EQ(ParsePasswordRequest("{}").error().reason, "bad_account");
}

}  // namespace
}  // namespace nearside::origin
