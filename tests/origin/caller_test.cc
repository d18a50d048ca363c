#include "origin/caller.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "origin/route_access.h"

namespace nearside::origin {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Caller CallerWith(std::initializer_list<Right> rights, std::string site = "") {
  Caller caller;
  caller.token = "0123";
  caller.name = "ci";
  caller.site = std::move(site);
  for (const Right right : rights) caller.rights.Add(right);
  return caller;
}

TEST(RightsTest, NamesComeBackAndUnknownWordsOpenNothing) {
  for (const Right right : kEveryRight) EXPECT_EQ(ParseRight(RightName(right)), right);
  for (const char* word : {"", "Read", "reads", "root"}) EXPECT_EQ(ParseRight(word), std::nullopt);
  EXPECT_THAT(RightsOf({"purge", "read", "purge", "fly"}).Names(), ElementsAre("read", "purge"));
}

TEST(RightsTest, AdminHasAllAndTheOthersThemselvesAlone) {
  for (const Right has : kEveryRight) {
    for (const Right wanted : kEveryRight) {
      Rights rights;
      rights.Add(has);
      EXPECT_EQ(rights.Has(wanted), has == wanted || has == Right::kAdmin)
          << RightName(has) << " " << RightName(wanted);
    }
  }
  EXPECT_FALSE(Rights().Has(Right::kRead));
}

TEST(CallerTest, ASitesTokenIsForThatSiteAndNotForWhatBelongsToNone) {
  const Caller one = CallerWith({Right::kRead}, "demo");
  EXPECT_TRUE(one.May(Right::kRead, "demo"));
  EXPECT_FALSE(one.May(Right::kRead, "demo2"));
  EXPECT_FALSE(one.May(Right::kRead, kEverySite));
  EXPECT_FALSE(one.May(Right::kPublish, "demo"));
  const Caller all = CallerWith({Right::kRead});
  EXPECT_TRUE(all.May(Right::kRead, "demo"));
  EXPECT_TRUE(all.May(Right::kRead, kEverySite));
}

TEST(CallerTest, ARefusalSaysWhatIsMissingAndWhatIsThere) {
  const Status refused =
      Require(CallerWith({Right::kRead, Right::kPurge}, "demo"), Right::kPublish, "other");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().reason, "forbidden");
  EXPECT_THAT(refused.error().message, HasSubstr("the scope \"publish\" of site \"other\""));
  EXPECT_THAT(refused.error().message, HasSubstr("\"ci\" has read, purge of site \"demo\""));
}

/// Which right a caller needs for a request: "read demo", "admin *", "purge ?", "open", with
/// "+fleet".
std::string NeedShown(std::string_view method, std::string_view path) {
  const Route route = ParseRoute(path).value();
  const Need need = NeedOf(route.kind, method);
  if (need.reach == Reach::kOpen) return "open";
  std::string text(RightName(need.right));
  text += need.reach == Reach::kOne ? " " + route.site : need.reach == Reach::kAll ? " *" : " ?";
  return text + (need.fleet ? " +fleet" : "");
}

TEST(RouteAccessTest, EveryRouteAsksForItsScope) {
  const std::string site = "/v1/sites/demo";
  const std::tuple<const char*, std::string, const char*> rows[] = {
      {"GET", "/healthz", "open"},
      {"GET", site + "/assets/a", "read demo"},
      {"HEAD", site + "/assets/a", "read demo"},
      {"PUT", site + "/assets/a", "publish demo"},
      {"DELETE", site + "/assets/a", "publish demo"},
      {"GET", site + "/assets", "read demo"},
      {"GET", site + "/releases", "read demo"},
      {"POST", site + "/releases", "publish demo"},
      {"GET", site + "/releases/1", "read demo"},
      {"POST", site + "/releases/1/activate", "publish demo"},
      {"GET", site + "/releases/1/content", "read demo +fleet"},
      {"GET", "/v1/receipts", "read ?"},
      {"GET", "/v1/receipts/1", "read ?"},
      {"GET", "/v1/blobs/a", "read * +fleet"},
      {"PUT", "/v1/blobs/a", "publish ?"},
      {"POST", "/v1/purge", "purge ?"},
      {"GET", "/v1/events", "read * +fleet"},
      {"GET", "/v1/edges", "read * +fleet"},
      {"GET", "/v1/edges/tokyo", "read * +fleet"},
      {"POST", "/v1/edges/tokyo", "admin * +fleet"},
      {"DELETE", "/v1/edges/tokyo", "admin *"},
      {"GET", "/v1/sites", "read ? +fleet"},
      {"POST", "/v1/sites", "admin *"},
      {"GET", site, "read demo +fleet"},
      {"PUT", site, "admin demo"},
      {"DELETE", site, "admin demo"},
      {"GET", "/v1/tokens", "admin ?"},
      {"POST", "/v1/tokens", "admin ?"},
      {"DELETE", "/v1/tokens/a", "admin ?"},
      {"GET", "/v1/audit", "admin ?"},
      {"GET", "/v1/openapi.json", "open"},
  };
  for (const auto& [method, path, need] : rows) {
    EXPECT_EQ(NeedShown(method, path), need) << method << " " << path;
  }
}

TEST(RouteAccessTest, WhoHasTheScopePassesAndNobodyElse) {
  const auto may = [](const Caller& caller, std::string_view method, std::string_view path) {
    return CheckAccess(caller, ParseRoute(path).value(), method).has_value();
  };
  const Caller publisher = CallerWith({Right::kPublish}, "demo");
  EXPECT_TRUE(may(publisher, "PUT", "/v1/sites/demo/assets/a"));
  EXPECT_TRUE(may(publisher, "PUT", "/v1/blobs/a"));
  EXPECT_FALSE(may(publisher, "PUT", "/v1/sites/other/assets/a"));
  EXPECT_FALSE(may(publisher, "GET", "/v1/sites/demo/assets/a"));
  EXPECT_FALSE(may(publisher, "POST", "/v1/purge"));
  EXPECT_FALSE(may(publisher, "PUT", "/v1/sites/demo"));
  EXPECT_FALSE(may(CallerWith({Right::kAdmin}, "demo"), "POST", "/v1/sites"));
  EXPECT_FALSE(may(CallerWith({Right::kAdmin}, "demo"), "GET", "/v1/events"));
  EXPECT_TRUE(may(CallerWith({Right::kAdmin}), "DELETE", "/v1/edges/tokyo"));
  EXPECT_FALSE(may(CallerWith({}), "GET", "/v1/sites"));
  EXPECT_TRUE(may(CallerWith({}), "GET", "/healthz"));
}

}  // namespace
}  // namespace nearside::origin
