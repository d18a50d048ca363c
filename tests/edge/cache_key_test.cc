#include "edge/cache_key.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "edge/negotiation.h"
#include "runtime/crypto.h"
#include "tests/edge/messages.h"

namespace nearside::edge {
namespace {

/// The normal URL of a request as the edge forms it; what is wrong with the target otherwise.
std::string UrlOf(std::string_view url) {
  const http::RequestHead request = GetFor(url);
  const auto target = http::NormalizeTarget(request.target);
  return target ? NormalUrl(request, *target) : target.error().reason;
}

std::string HexKeyOf(std::string_view url) {
  return HexEncode(PrimaryKey("demo", UrlOf(url)).bytes);
}

TEST(CacheKeyTest, OneResourceHasOneKey) {
  constexpr std::string_view kSame[] = {
      "http://www.demo.test/a/b?c=d",      "http://WWW.demo.TEST/a/b?c=d",
      "http://www.demo.test:80/a/b?c=d",   "http://www.demo.test:/a/b?c=d",
      "http://www.demo.test:0080/a/b?c=d", "http://www.demo.test/%61/b?c=d",
      "http://www.demo.test/x/../a/b?c=d", "http://www.demo.test/./a/./b?c=d",
      "http://www.demo.test/a/b?%63=d",
  };
  for (std::string_view url : kSame) EXPECT_EQ(HexKeyOf(url), HexKeyOf(kSame[0])) << url;
}

TEST(CacheKeyTest, APathHasAUrlByEachSchemeAndHost) {
  using ::testing::UnorderedElementsAre;
  EXPECT_THAT(UrlsOfPath({"www.demo.test"}, "http://www.demo.test/a?b"),
              UnorderedElementsAre("http://www.demo.test/a?b", "https://www.demo.test/a?b"));
  EXPECT_THAT(UrlsOfPath({"Demo.test", "*.demo.test", "*"}, "https://x.demo.test/"),
              UnorderedElementsAre("http://x.demo.test/", "https://x.demo.test/",
                                   "http://demo.test/", "https://demo.test/"));
  EXPECT_THAT(UrlsOfPath({"demo.test"}, "https://[::1]:8443/a"),
              UnorderedElementsAre("https://[::1]:8443/a", "https://[::1]/a", "http://[::1]/a",
                                   "https://demo.test:8443/a", "https://demo.test/a",
                                   "http://demo.test/a"));
}

TEST(CacheKeyTest, WhatMayDifferHasAnotherKey) {
  constexpr std::string_view kDifferent[] = {
      "http://www.demo.test/a/b?c=d",     "https://www.demo.test/a/b?c=d",
      "http://www.demo.test:443/a/b?c=d", "http://www.demo.test:8080/a/b?c=d",
      "http://demo.test/a/b?c=d",         "http://www.demo.test/a/b",
      "http://www.demo.test/a/b?",        "http://www.demo.test/a/b/?c=d",
      "http://www.demo.test/a//b?c=d",    "http://www.demo.test/a%2Fb?c=d",
      "http://www.demo.test/A/b?c=d",     "http://www.demo.test/a/b?c=D",
      "http://www.demo.test/a/b?c=d&",    "http://www.demo.test/a/b?c%3Dd",
      "http://www.demo.test/a/b%3Fc=d",   "http://[::1]/a/b?c=d",
      "http://[::443]/a/b?c=d",           "http://www.demo.test:1443/a/b?c=d",
  };
  std::set<std::string> keys;
  for (std::string_view url : kDifferent) EXPECT_TRUE(keys.insert(HexKeyOf(url)).second) << url;
}

TEST(CacheKeyTest, TheDefaultPortIsThatOfTheScheme) {
  EXPECT_EQ(UrlOf("https://www.demo.test:443/"), "https://www.demo.test/");
  EXPECT_EQ(UrlOf("https://www.demo.test:80/"), "https://www.demo.test:80/");
  EXPECT_EQ(UrlOf("http://[::1]:80/"), "http://[::1]/");
  EXPECT_EQ(UrlOf("https://[2001:db8::443]/"), "https://[2001:db8::443]/");
  EXPECT_EQ(UrlOf("http://www.demo.test"), "http://www.demo.test/");
}

TEST(CacheKeyTest, SitesDoNotShareKeys) {
  EXPECT_NE(PrimaryKey("a", "http://x/"), PrimaryKey("b", "http://x/"));
  EXPECT_NE(PrimaryKey("ab", "http://x/"), PrimaryKey("a", "bhttp://x/"));
}

TEST(CacheKeyTest, VariantsAreKeyedByNameAndValueAndPlace) {
  const Key256 primary = PrimaryKey("demo", "http://www.demo.test/");
  const auto key = [&](http::Fields selecting) {
    return HexEncode(VariantKey(primary, selecting).bytes);
  };
  std::set<std::string> keys;
  EXPECT_TRUE(keys.insert(HexEncode(primary.bytes)).second);
  EXPECT_TRUE(keys.insert(key({{"accept", "a"}})).second);
  EXPECT_TRUE(keys.insert(key({{"accept", "b"}})).second);
  EXPECT_TRUE(keys.insert(key({{"accept", ""}})).second);
  EXPECT_TRUE(keys.insert(key({{"cookie", "a"}})).second);
  EXPECT_TRUE(keys.insert(key({{"accept", "a"}, {"cookie", ""}})).second);
  EXPECT_TRUE(keys.insert(key({{"accept", ""}, {"cookie", "a"}})).second);
  EXPECT_TRUE(keys.insert(key({{"accepta", ""}, {"cookie", ""}})).second);
  EXPECT_EQ(key({{"accept", "a"}}), key({{"accept", "a"}}));
  EXPECT_NE(VariantKey(PrimaryKey("demo", "http://x/"), {{"accept", "a"}}),
            VariantKey(primary, {{"accept", "a"}}));
}

TEST(CacheKeyTest, SelectingFieldsAreSortedOnceEachAndLowered) {
  const http::Fields request = {{"accept", "text/html"}, {"accept-encoding", "gzip,br"}};
  EXPECT_EQ(TextOf(SelectingFields("Accept-Encoding, accept ,ACCEPT-encoding,, X-None", request,
                                   DefaultSite())),
            "accept: text/html\naccept-encoding: br, gzip\nx-none: \n");
  EXPECT_EQ(TextOf(SelectingFields("", request, DefaultSite())), "");
}

struct SelectsRow {
  const char* name;
  http::Fields stored;   ///< of the request that was stored for
  http::Fields request;  ///< of the one at hand
  bool selects;
};

void ExpectRow(std::string_view vary, const SelectsRow& row, const SiteSettings& site) {
  const http::Fields selecting = SelectingFields(vary, row.stored, site);
  EXPECT_EQ(Selects(selecting, row.request, site), row.selects) << row.name;
  // The key that a miss would fill agrees with what a look-up selects.
  const Key256 primary = PrimaryKey("demo", "http://x/");
  EXPECT_EQ(VariantKey(primary, SelectingLike(selecting, row.request, site)) ==
                VariantKey(primary, selecting),
            row.selects)
      << row.name;
}

TEST(CacheKeyTest, SelectsByTheFieldsThatVaryNames) {
  const std::string_view vary = "foo, bar";
  const SelectsRow rows[] = {
      {"the same", {{"foo", "1"}}, {{"foo", "1"}}, true},
      {"another value", {{"foo", "1"}}, {{"foo", "2"}}, false},
      {"another case", {{"foo", "a"}}, {{"foo", "A"}}, false},
      {"absent in both", {}, {{"other", "1"}}, true},
      {"absent in the stored one", {}, {{"foo", "1"}}, false},
      {"absent in the presented one", {{"foo", "1"}}, {}, false},
      {"fields not named", {{"foo", "1"}, {"baz", "1"}}, {{"foo", "1"}, {"baz", "2"}}, true},
      {"one of two differs", {{"foo", "1"}, {"bar", "1"}}, {{"foo", "1"}, {"bar", "2"}}, false},
      {"order of lines", {{"foo", "1"}, {"bar", "2"}}, {{"bar", "2"}, {"foo", "1"}}, true},
      {"two lines and one", {{"foo", "1"}, {"foo", "2"}}, {{"foo", "1, 2"}}, true},
      {"space around commas", {{"foo", "1,2"}}, {{"foo", " 1 ,\t2 "}}, true},
      {"empty members", {{"foo", "1,2"}}, {{"foo", "1,,2,"}}, true},
      {"order of members", {{"foo", "1,2"}}, {{"foo", "2,1"}}, false},
      {"space inside a member", {{"foo", "1 2"}}, {{"foo", "12"}}, false},
      {"comma inside quotes", {{"foo", "\"1,2\""}}, {{"foo", "\"1, 2\""}}, false},
      // RFC 9111 §4.1: absent matches absent only.
      {"empty is not absent", {{"foo", ""}}, {}, false},
      {"absent is not empty", {}, {{"foo", ""}}, false},
      {"empty and empty", {{"foo", ""}}, {{"foo", " "}}, true},
      {"a list of nothing is empty", {{"foo", ""}}, {{"foo", ",,"}}, true},
  };
  for (const SelectsRow& row : rows) ExpectRow(vary, row, DefaultSite());
}

TEST(CacheKeyTest, AcceptEncodingIsComparedByTheCodingsWeKnow) {
  const auto line = [](std::string_view value) { return http::Fields{{"accept-encoding", value}}; };
  const http::Fields range = {{"accept-encoding", "br"}, {"range", "bytes=0-1"}};
  const http::Fields plain = {{"accept-encoding", "br"}, {"cache-control", "No-Transform"}};
  const SelectsRow rows[] = {
      {"the same", line("br, gzip"), line("br, gzip"), true},
      {"order", line("gzip, br"), line("br,gzip"), true},
      {"weights", line("gzip;q=0.1, br"), line("br;q=0.2, gzip"), true},
      {"case", line("GZIP"), line("gzip"), true},
      {"an older name", line("x-gzip"), line("gzip"), true},
      {"others beside", line("gzip, deflate, br"), line("br, gzip, compress"), true},
      {"two lines",
       {{"accept-encoding", "br"}, {"accept-encoding", "gzip"}},
       line("br,gzip"),
       true},
      {"all by name", line("*"), line("br, zstd, gzip"), true},
      {"one more", line("gzip"), line("gzip, br"), false},
      {"one less", line("gzip, br"), line("gzip"), false},
      {"another one", line("gzip"), line("br"), false},
      {"refused", line("gzip"), line("gzip;q=0"), false},
      {"none and the identity", {}, line("identity"), true},
      {"none and an empty one", {}, line(""), true},
      {"none and what we do not know", {}, line("deflate"), true},
      {"none and one", {}, line("gzip"), false},
      {"a range and none", range, {}, true},
      {"a range and one", range, line("br"), false},
      {"not to be transformed, and none", plain, {}, true},
      {"not to be transformed, and one", plain, line("br"), false},
  };
  for (const SelectsRow& row : rows) ExpectRow("accept-encoding", row, DefaultSite());

  SiteSettings letter = DefaultSite();
  letter.normalize_accept_encoding = false;
  const SelectsRow to_the_letter[] = {
      {"the same", line("gzip,br"), line("gzip, br"), true},
      {"order", line("gzip, br"), line("br, gzip"), false},
      {"others beside", line("gzip"), line("gzip, deflate"), false},
      {"none and the identity", {}, line("identity"), false},
      {"a range and the identity", range, line("identity"), true},
      {"a range and one", range, line("br"), false},
  };
  for (const SelectsRow& row : to_the_letter) ExpectRow("accept-encoding", row, letter);
}

TEST(CacheKeyTest, AResponseThatIsEncodedHereIsSelectedByTheBestCoding) {
  struct Row {
    std::string_view stored, presented;
    bool selects;
  };
  constexpr Row kRows[] = {
      {"br, gzip", "br", true},       {"br", "br, gzip, zstd", true}, {"br", "gzip", false},
      {"gzip", "br, gzip", false},    {"zstd, gzip", "zstd", true},   {"zstd, gzip", "gzip", false},
      {"identity", "deflate", true},  {"", "identity", true},         {"identity", "gzip", false},
      {"gzip", "x-gzip;q=0.1", true},
  };
  const SiteSettings& site = DefaultSite();
  const Key256 primary = PrimaryKey("demo", "http://x/");
  for (const Row& row : kRows) {
    const http::Fields stored = {{"accept-encoding", row.stored}};
    const http::Fields presented = {{"accept-encoding", row.presented}};
    http::Fields selecting = SelectingFields("accept-encoding", stored, site);
    SelectByBestCoding(CodingsFor(stored).best(), site, &selecting);
    EXPECT_EQ(Selects(selecting, presented, site), row.selects) << row.stored << row.presented;
    EXPECT_EQ(VariantKey(primary, SelectingLike(selecting, presented, site)) ==
                  VariantKey(primary, selecting),
              row.selects)
        << row.stored << row.presented;
  }
}

TEST(CacheKeyTest, TheBestCodingCountsOnlyWhereTheFieldIsNormalised) {
  SiteSettings site = DefaultSite();
  site.normalize_accept_encoding = false;
  const http::Fields request = {{"accept-encoding", "gzip, br"}};
  http::Fields selecting = SelectingFields("accept-encoding", request, site);
  SelectByBestCoding(http::Coding::kBr, site, &selecting);
  EXPECT_EQ(TextOf(selecting), "accept-encoding: gzip, br\n");
  // What was stored before the setting was changed is not found by it.
  EXPECT_FALSE(Selects({{"accept-encoding", "=br"}}, request, site));
}

TEST(CacheKeyTest, AcceptLanguageIsComparedByOrder) {
  const auto line = [](std::string_view value) { return http::Fields{{"accept-language", value}}; };
  const SelectsRow rows[] = {
      {"order of equals", line("en, de"), line("de, en"), true},
      {"case", line("en, de"), line("eN, De"), true},
      {"space", line("en, de"), line(" en ,   de"), true},
      {"weights of one order", line("en, de;q=0.9"), line("en, de;q=0.2"), true},
      {"another order", line("en, de;q=0.9"), line("de, en;q=0.9"), false},
      {"equals and an order", line("en, de"), line("en, de;q=0.9"), false},
      {"one more", line("en"), line("en, de;q=0.1"), false},
      {"a refused one", line("en"), line("en, de;q=0"), true},
      {"none and one", {}, line("en"), false},
      {"none and an empty one", {}, line(""), false},
      {"not understood: to the letter", line("en_US"), line("en_us"), false},
      {"not understood, the same", line("en_US,de"), line("en_US , de"), true},
  };
  for (const SelectsRow& row : rows) ExpectRow("accept-language", row, DefaultSite());

  SiteSettings letter = DefaultSite();
  letter.normalize_accept_language = false;
  const SelectsRow to_the_letter[] = {
      {"order of equals", line("en, de"), line("de, en"), false},
      {"case", line("en"), line("EN"), false},
      {"space", line("en,de"), line("en , de"), true},
  };
  for (const SelectsRow& row : to_the_letter) ExpectRow("accept-language", row, letter);
}

TEST(CacheKeyTest, AVariantInTheLanguageThatIsWantedMostIsSelected) {
  struct Row {
    std::string_view presented, language;
    bool selects;
  };
  constexpr Row kRows[] = {
      {"fr;q=0.5, de;q=1.0", "de", true},
      {"de", "de", true},
      {"DE, en;q=0.5", "de", true},
      {"de, en", "de", false},
      {"fr, de;q=0.9", "de", false},
      {"de-AT", "de", false},
      {"de", "de-at", false},
      {"*", "de", false},
      {"de", "", false},
      {"", "de", false},
      {"de_", "de", false},
  };
  SiteSettings site = DefaultSite();
  const http::Fields selecting = {{"accept-language", "en, de"}, {"x", "1"}};
  for (const Row& row : kRows) {
    http::Fields request = {{"accept-language", row.presented}, {"x", "1"}};
    EXPECT_EQ(Selector(request, site).Selects(selecting, row.language), row.selects)
        << row.presented << " " << row.language;
    request.Set("x", "2");
    EXPECT_FALSE(Selector(request, site).Selects(selecting, row.language)) << "another field";
  }
  const http::Fields german = {{"accept-language", "de"}, {"x", "1"}};
  site.normalize_accept_language = false;
  EXPECT_FALSE(Selector(german, site).Selects(selecting, "de"));
  EXPECT_FALSE(Selector({}, site).Selects(selecting, "de"));
}

// One Selector for all variants of an index: what it remembers of one counts for the next.
TEST(CacheKeyTest, ASelectorTellsVariantsApart) {
  const http::Fields request = {{"accept-encoding", "gzip"}, {"x", "1"}, {"y", "2"}};
  Selector selector(request, DefaultSite());
  for (int i = 0; i < 2; ++i) {
    EXPECT_TRUE(selector.Selects({{"x", "1"}}));
    EXPECT_FALSE(selector.Selects({{"x", "2"}}));
    EXPECT_FALSE(selector.Selects({{"x", "1"}, {"y", "1"}}));
    EXPECT_TRUE(selector.Selects({{"x", "1"}, {"y", "2"}}));
    EXPECT_TRUE(selector.Selects({{"accept-encoding", "gzip"}, {"z", ""}}));
    EXPECT_FALSE(selector.Selects({{"accept-encoding", "br"}}));
    EXPECT_TRUE(selector.Selects({{"accept-encoding", "=gzip"}}));
  }
}

}  // namespace
}  // namespace nearside::edge
