#include "origin/route.h"

#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

/// "kind site path release name" of a route, or the reason why there is none.
std::string Shown(std::string_view path) {
  constexpr std::string_view kNames[] = {
      "health",   "asset",      "assets",      "uploads", "upload", "releases",
      "release",  "activation", "preparation", "content", "blob",   "purge",
      "events",   "edges",      "edge",        "sites",   "site",   "tokens",
      "token",    "audit",      "accounts",    "account", "grants", "password",
      "sessions", "receipts",   "receipt",     "jobs",    "retry",  "openapi"};
  const Result<Route> route = ParseRoute(path);
  if (!route) return route.error().reason;
  std::string text(kNames[static_cast<size_t>(route->kind)]);
  if (!route->site.empty()) text += " " + route->site;
  if (!route->path.empty()) text += " " + route->path;
  if (route->receipt != 0) text += " " + std::to_string(route->receipt);
  if (route->job != 0) text += " " + std::to_string(route->job);
  if (route->release != 0) text += " " + std::to_string(route->release);
  if (!route->name.empty()) text += " " + route->name;
  return text;
}

TEST(RouteTest, EveryPathHasItsRoute) {
  const std::pair<std::string, std::string> rows[] = {
      {"/healthz", "health"},
      {"/v1/sites", "sites"},
      {"/v1/sites/demo", "site demo"},
      {"/v1/sites/demo/assets", "assets demo"},
      {"/v1/sites/demo/assets/a/b%20c.html", "asset demo a/b c.html"},
      {"/v1/sites/demo/assets/../x", "bad_path"},
      {"/v1/sites/demo/assets/" + std::string(10'000, 'x'), "path_too_long"},
      {"/v1/sites/demo/releases", "releases demo"},
      {"/v1/sites/demo/releases/12", "release demo 12"},
      {"/v1/sites/demo/releases/12/activate", "activation demo 12"},
      {"/v1/sites/demo/releases/12/prepare", "preparation demo 12"},
      {"/v1/sites/demo/releases/12/content", "content demo 12"},
      {"/v1/sites/demo/releases/active/content", "content demo"},
      {"/v1/sites/demo/releases/0/content", "no_such_route"},
      {"/v1/sites/demo/releases/active", "no_such_route"},
      {"/v1/sites/demo/releases/active/activate", "no_such_route"},
      {"/v1/receipts", "receipts"},
      {"/v1/receipts/7", "receipt 7"},
      {"/v1/receipts/", "no_such_route"},
      {"/v1/receipts/x", "no_such_route"},
      {"/v1/receipts/7/8", "no_such_route"},
      {"/v1/blobs/abc", "blob abc"},
      {"/v1/purge", "purge"},
      {"/v1/events", "events"},
      {"/v1/edges", "edges"},
      {"/v1/edges/frank-furt_1.a", "edge frank-furt_1.a"},
      {"/v1/tokens", "tokens"},
      {"/v1/tokens/0123abc", "token 0123abc"},
      {"/v1/audit", "audit"},
      {"/v1/accounts", "accounts"},
      {"/v1/accounts/Alice%40example.org", "account alice@example.org"},
      {"/v1/accounts/al+ice/grants", "grants al+ice"},
      {"/v1/accounts/alice/password", "password alice"},
      {"/v1/accounts/alice/sessions", "sessions alice"},
      {"/v1/accounts/a", "no_such_route"},
      {"/v1/accounts/%zz", "no_such_route"},
      {"/v1/accounts/a%2Fb", "no_such_route"},
      {"/v1/accounts/alice/sessions/x", "no_such_route"},
      {"/v1/openapi.json", "openapi"},
      {"/v1/tokens/A", "no_such_route"},
      {"/v1/tokens/a/b", "no_such_route"},
      {"/v1/tokens/" + std::string(65, 'a'), "no_such_route"},
      {"/v1/audit/", "no_such_route"},
      {"/v1/openapi", "no_such_route"},
      {"/", "no_such_route"},
      {"/v1", "no_such_route"},
      {"/v1/", "no_such_route"},
      {"/v2/sites", "no_such_route"},
      {"/v1/sites/Demo", "no_such_route"},
      {"/v1/sites/../demo", "no_such_route"},
      {"/v1/sites/demo/other", "no_such_route"},
      {"/v1/sites/demo/releases/x", "no_such_route"},
      {"/v1/sites/demo/releases/-1", "no_such_route"},
      {"/v1/sites/demo/releases/99999999999999999999", "no_such_route"},
      {"/v1/sites/demo/releases/12/other", "no_such_route"},
      {"/v1/sites/demo/releases/12/activate/x", "no_such_route"},
      {"/v1/purge/x", "no_such_route"},
      {"/v1/events/x", "no_such_route"},
      {"/v1/edges/a/b", "no_such_route"},
      {"/v1/edges/" + std::string(64, 'a'), "no_such_route"},
      {"/v1/blobs", "no_such_route"},
  };
  for (const auto& [path, shown] : rows) EXPECT_EQ(Shown(path), shown) << path.substr(0, 60);
}

TEST(RouteTest, JobsAreListedAndOneIsRetried) {
  const std::pair<std::string, std::string> rows[] = {
      {"/v1/jobs", "jobs"},
      {"/v1/jobs/12/retry", "retry 12"},
      {"/v1/jobs/", "no_such_route"},
      {"/v1/jobs/12", "no_such_route"},
      {"/v1/jobs/x/retry", "no_such_route"},
      {"/v1/jobs/12/retry/", "no_such_route"},
      {"/v1/jobs/99999999999999999999/retry", "no_such_route"},
  };
  for (const auto& [path, shown] : rows) EXPECT_EQ(Shown(path), shown) << path;
}

TEST(RouteTest, UploadsAreBelowTheirSite) {
  const std::pair<std::string, std::string> rows[] = {
      {"/v1/sites/demo/uploads/", "uploads demo"},
      {"/v1/sites/demo/uploads", "uploads demo"},
      {"/v1/sites/demo/uploads/0a9z", "upload demo 0a9z"},
      {"/v1/sites/demo/uploads/0A", "no_such_route"},
      {"/v1/sites/demo/uploads/a/", "no_such_route"},
      {"/v1/sites/demo/uploads/../x", "no_such_route"},
      {"/v1/sites/demo/uploads/" + std::string(65, 'a'), "no_such_route"},
  };
  for (const auto& [path, shown] : rows) EXPECT_EQ(Shown(path), shown) << path.substr(0, 60);
}

TEST(RouteTest, TheTableHasEveryKindAtItsPlace) {
  size_t place = 0;
  for (const RouteRow& row : Routes()) {
    EXPECT_EQ(static_cast<size_t>(row.kind), place++);
    std::string path(row.path);
    const std::pair<std::string_view, std::string_view> samples[] = {
        {"{site}", "demo"}, {"{path}", "a"}, {"{id}", "12"},
        {"{sha256}", "ab"}, {"{name}", "e"}, {"{account}", "al"}};
    for (const auto& [name, sample] : samples) {
      if (const size_t at = path.find(name); at != std::string::npos) {
        path.replace(at, name.size(), sample);
      }
    }
    const Result<Route> route = ParseRoute(path);
    ASSERT_TRUE(route) << path;
    EXPECT_EQ(route->kind, row.kind) << path;
    EXPECT_EQ(MethodsOf(row.kind), row.methods);
  }
}

TEST(RouteTest, MethodsAreWholeWords) {
  EXPECT_TRUE(Allows("GET, HEAD, PUT", "HEAD"));
  EXPECT_FALSE(Allows("GET, HEAD, PUT", "EAD"));
  EXPECT_FALSE(Allows("GET, HEAD", "GET, HEAD"));
  EXPECT_FALSE(Allows("GET", ""));
}

TEST(QueryTest, ValuesAreDecodedAndTheFirstCounts) {
  EXPECT_EQ(QueryValue("a=1&b=%2Fx&a=2", "a"), "1");
  EXPECT_EQ(QueryValue("a=1&b=%2Fx", "b"), "/x");
  EXPECT_EQ(QueryValue("a&b", "a"), "");
  EXPECT_EQ(QueryValue("ab=1", "a"), std::nullopt);
  EXPECT_EQ(QueryValue("a=%zz", "a"), std::nullopt);
}

TEST(QueryTest, LimitsAndWaitsAreBounded) {
  EXPECT_EQ(QueryLimit("", 10, 100).value(), 10u);
  EXPECT_EQ(QueryLimit("limit=100", 10, 100).value(), 100u);
  for (const char* query : {"limit=0", "limit=101", "limit=x", "limit=", "limit=-1"}) {
    EXPECT_FALSE(QueryLimit(query, 10, 100)) << query;
  }
  EXPECT_EQ(QueryWait("", seconds(60)).value(), std::nullopt);
  EXPECT_EQ(QueryWait("wait=2s", seconds(60)).value(), milliseconds(2000));
  for (const char* query : {"wait=2", "wait=61s", "wait=", "wait=x"}) {
    EXPECT_FALSE(QueryWait(query, seconds(60))) << query;
  }
}

TEST(EventsQueryTest, APlaceHasThreeSpellings) {
  const auto shown = [](std::string_view query, std::string_view id = "") -> std::string {
    const Result<EventsQuery> wanted = ParseEventsQuery(query, id);
    if (!wanted) return wanted.error().reason;
    return (wanted->epoch ? std::to_string(*wanted->epoch) : "-") + ":" +
           (wanted->after ? std::to_string(*wanted->after) : "-");
  };
  EXPECT_EQ(shown("after=7:42"), "7:42");
  EXPECT_EQ(shown("after=7%3A42"), "7:42");
  EXPECT_EQ(shown("after=42&epoch=7"), "7:42");
  EXPECT_EQ(shown("", "7:42"), "7:42");
  EXPECT_EQ(shown("after=7:43", "7:42"), "7:43");
  EXPECT_EQ(shown("after=42"), "-:42");
  EXPECT_EQ(shown(""), "-:-");
  for (const char* query : {"epoch=7", "after=", "after=x", "after=7:", "after=:42", "after=7:42:1",
                            "after=7:42&epoch=8", "after=-1", "epoch=x&after=1"}) {
    EXPECT_EQ(shown(query), "bad_query") << query;
  }
}

}  // namespace
}  // namespace nearside::origin
