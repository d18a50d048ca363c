#include "edge/purge.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <random>
#include <set>

namespace nearside::edge {
namespace {

std::string Describe(const PurgeOrder& order) {
  std::string text = order.site;
  for (const std::string& url : order.urls) text += " url=" + url;
  for (const std::string& prefix : order.prefixes) text += " prefix=" + prefix;
  for (const std::string& tag : order.tags) text += " tag=" + tag;
  if (order.all) text += " all";
  if (order.soft) text += " soft";
  return text;
}

std::string Parsed(std::string_view json) {
  const auto order = ParsePurgeOrder(json);
  return order ? Describe(*order) : order.error().reason + ": " + order.error().message;
}

TEST(PurgeTest, ReadsEveryMemberAndIgnoresOthers) {
  EXPECT_EQ(Parsed(R"({"site":"demo"})"), "demo");
  EXPECT_EQ(Parsed(R"({"site":"demo","urls":["/a","/b?c=d"],"prefixes":["/","/img/"],
                       "tags":["x","y z"],"all":true,"soft":true})"),
            "demo url=/a url=/b?c=d prefix=/ prefix=/img/ tag=x tag=y z all soft");
  EXPECT_EQ(Parsed(R"({"epoch":1,"seq":2,"time":3,"type":"purge","hosts":[],"site":"demo",
                       "urls":[],"prefixes":[],"tags":[],"all":false,"soft":false,"new":{}})"),
            "demo");
}

TEST(PurgeTest, PathsAreNormalisedAsThoseOfRequests) {
  EXPECT_EQ(Parsed(R"({"site":"demo","urls":["/%61/../b%2fc?%7e"],"prefixes":["/x/../%61/"]})"),
            "demo url=/b%2Fc?~ prefix=/a/");
}

TEST(PurgeTest, SaysWhichMemberIsWrongAndWhatWasExpected) {
  struct Row {
    std::string json, message;
  };
  const std::string path = "expected a path of the site that begins with \"/\", got ";
  const std::string prefix =
      "prefixes: expected a path that ends with \"/\", has no query and at most 16 segments, got ";
  const Row rows[] = {
      {"", "expected a JSON object with \"site\" and what to purge"},
      {"[]", "expected a JSON object with \"site\" and what to purge"},
      {"{\"site\":\"demo\"", "expected a JSON object with \"site\" and what to purge"},
      {R"({"site":"demo"}})", "expected a JSON object with \"site\" and what to purge"},
      {"{\"site\":\"\xff\"}", "expected a JSON object with \"site\" and what to purge"},
      {"{}", "site: expected the site's name"},
      {R"({"site":7})", "site: expected the site's name"},
      {R"({"site":null})", "site: expected the site's name"},
      {R"({"site":"demo","urls":"/a"})", "urls: expected a list of strings"},
      {R"({"site":"demo","urls":[7]})", "urls: expected strings only"},
      {R"({"site":"demo","urls":[""]})", "urls: " + path + "\"\""},
      {R"({"site":"demo","urls":["a"]})", "urls: " + path + "\"a\""},
      {R"({"site":"demo","urls":["*"]})", "urls: " + path + "\"*\""},
      {R"({"site":"demo","urls":["https://x/"]})", "urls: " + path + "\"https://x/\""},
      {R"({"site":"demo","urls":["/../a"]})", "urls: " + path + "\"/../a\""},
      {R"({"site":"demo","urls":["/a b"]})", "urls: " + path + "\"/a b\""},
      {R"({"site":"demo","prefixes":["a/"]})", "prefixes: " + path + "\"a/\""},
      {R"({"site":"demo","prefixes":["/a"]})", prefix + "\"/a\""},
      {R"({"site":"demo","prefixes":["/a/?b/"]})", prefix + "\"/a/?b/\""},
      {R"({"site":"demo","prefixes":{}})", "prefixes: expected a list of strings"},
      {R"({"site":"demo","tags":[[]]})", "tags: expected strings only"},
      {R"({"site":"demo","all":1})", "all: expected true or false"},
      {R"({"site":"demo","soft":"yes"})", "soft: expected true or false"},
  };
  for (const Row& row : rows) EXPECT_EQ(Parsed(row.json), "bad_purge: " + row.message) << row.json;
}

TEST(PurgeTest, ListsHaveALimit) {
  const auto order_with = [](size_t tags) {
    nlohmann::json json = {{"site", "demo"}, {"tags", std::vector<std::string>(tags, "t")}};
    return Parsed(json.dump());
  };
  EXPECT_EQ(order_with(kMaxPurgeItems).substr(0, 10), "demo tag=t");
  EXPECT_EQ(order_with(kMaxPurgeItems + 1),
            "bad_purge: tags: expected at most 10000 members; split the purge, or purge a prefix "
            "or a tag");
}

std::string Segments(size_t count) {
  std::string path = "/";
  for (size_t i = 0; i < count; ++i) path += "s/";
  return path;
}

TEST(PurgeTest, PrefixesHaveAtMostSixteenSegments) {
  const auto order_with = [](size_t segments) {
    return ParsePurgeOrder(R"({"site":"demo","prefixes":[")" + Segments(segments) + R"("]})");
  };
  EXPECT_TRUE(order_with(kMaxPrefixSegments));
  EXPECT_FALSE(order_with(kMaxPrefixSegments + 1));
}

TEST(PurgeTest, EveryShortLengthAndGarbageAreRefusedOrRead) {
  const std::string json = R"({"site":"demo","urls":["/a"],"tags":["t"],"all":true})";
  for (size_t length = 0; length < json.size(); ++length) {
    EXPECT_FALSE(ParsePurgeOrder(json.substr(0, length))) << length;
  }
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int round = 0; round < 5'000; ++round) {
    std::string damaged = json;
    for (int flips = 0; flips < 3; ++flips) {
      damaged[random() % damaged.size()] = static_cast<char>(random());
    }
    const auto order = ParsePurgeOrder(damaged);
    EXPECT_LE(order ? order->urls.size() : 0, 1u);
  }
}

/// Whether a purge of `order` concerns an object of site "demo" at `target` with `tags`.
bool Covers(std::string_view order, std::string_view target, std::vector<std::string> tags = {},
            std::string_view site = "demo") {
  const auto scopes = ScopesOf(ParsePurgeOrder(order).value());
  const auto of_object = ScopesOfObject(site, target, tags);
  return std::any_of(scopes.begin(), scopes.end(), [&](storage::ScopeHash scope) {
    return std::find(of_object.begin(), of_object.end(), scope) != of_object.end();
  });
}

TEST(PurgeTest, EachKindCoversExactlyTheRightObjects) {
  struct Row {
    std::string_view order;
    std::set<std::string_view> covered;  ///< of kTargets
  };
  constexpr std::string_view kTargets[] = {"/",    "/?q",      "/a",  "/a?q", "/a?", "/a/",
                                           "/a/b", "/a/b?/c/", "/ab", "/b",   "/A"};
  const Row rows[] = {
      {R"({"site":"demo","all":true})", {std::begin(kTargets), std::end(kTargets)}},
      {R"({"site":"demo","all":false})", {}},
      {R"({"site":"demo","urls":["/"]})", {"/", "/?q"}},
      {R"({"site":"demo","urls":["/a"]})", {"/a", "/a?q", "/a?"}},
      {R"({"site":"demo","urls":["/a?q"]})", {"/a?q"}},
      {R"({"site":"demo","urls":["/a?"]})", {"/a?"}},
      {R"({"site":"demo","urls":["/a/"]})", {"/a/"}},
      {R"({"site":"demo","urls":["/a/b"]})", {"/a/b", "/a/b?/c/"}},
      {R"({"site":"demo","prefixes":["/"]})", {std::begin(kTargets), std::end(kTargets)}},
      {R"({"site":"demo","prefixes":["/a/"]})", {"/a/", "/a/b", "/a/b?/c/"}},
      {R"({"site":"demo","prefixes":["/a/b/"]})", {}},
      {R"({"site":"other","all":true})", {}},
      {R"({"site":"other","urls":["/a"],"prefixes":["/"]})", {}},
  };
  for (const Row& row : rows) {
    for (std::string_view target : kTargets) {
      EXPECT_EQ(Covers(row.order, target), row.covered.contains(target))
          << row.order << " " << target;
    }
  }
}

TEST(PurgeTest, UrlsAreNamedAsKeysHaveThem) {
  SiteSettings site;
  site.query = "sort";
  site.query_ignore = {"utm_*"};
  PurgeOrder order =
      ParsePurgeOrder(
          R"({"site":"demo","urls":["/a?b=1&a=%7e&utm_x=1","/b?utm_x=1","/c"],"tags":["t?b&a"]})")
          .value();
  ApplyQueryRule(QueryRule(site), &order);
  EXPECT_EQ(order.urls, (std::vector<std::string>{"/a?a=~&b=1", "/b", "/c"}));
  EXPECT_EQ(order.tags, std::vector<std::string>{"t?b&a"});
}

TEST(PurgeTest, TagsCoverWhatHasThem) {
  const std::string_view order = R"({"site":"demo","tags":["product-7"]})";
  EXPECT_TRUE(Covers(order, "/x", {"blog", "product-7"}));
  EXPECT_FALSE(Covers(order, "/x", {"product-77", "Product-7"}));
  EXPECT_FALSE(Covers(order, "/product-7", {}));
  EXPECT_FALSE(Covers(order, "/x", {"product-7"}, "other"));
}

TEST(PurgeTest, DeepPathsBelongToTheirFirstSixteenSegments) {
  const std::string deep = Segments(20) + "page";
  for (size_t segments = 0; segments <= kMaxPrefixSegments; ++segments) {
    EXPECT_TRUE(Covers(R"({"site":"demo","prefixes":[")" + Segments(segments) + R"("]})", deep))
        << segments;
  }
  EXPECT_EQ(ScopesOfObject("demo", deep, {}).size(), 2 + kMaxPrefixSegments + 1);
}

}  // namespace
}  // namespace nearside::edge
