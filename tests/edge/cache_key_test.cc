#include "edge/cache_key.h"

#include <gtest/gtest.h>

#include <set>

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

std::string KeyOf(std::string_view url) { return HexEncode(PrimaryKey("demo", UrlOf(url)).bytes); }

TEST(CacheKeyTest, OneResourceHasOneKey) {
  constexpr std::string_view kSame[] = {
      "http://www.demo.test/a/b?c=d",      "http://WWW.demo.TEST/a/b?c=d",
      "http://www.demo.test:80/a/b?c=d",   "http://www.demo.test:/a/b?c=d",
      "http://www.demo.test:0080/a/b?c=d", "http://www.demo.test/%61/b?c=d",
      "http://www.demo.test/x/../a/b?c=d", "http://www.demo.test/./a/./b?c=d",
      "http://www.demo.test/a/b?%63=d",
  };
  for (std::string_view url : kSame) EXPECT_EQ(KeyOf(url), KeyOf(kSame[0])) << url;
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
  for (std::string_view url : kDifferent) EXPECT_TRUE(keys.insert(KeyOf(url)).second) << url;
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
  EXPECT_EQ(TextOf(SelectingFields("Accept-Encoding, accept ,ACCEPT-encoding,, X-None", request)),
            "accept: text/html\naccept-encoding: gzip, br\nx-none: \n");
  EXPECT_EQ(TextOf(SelectingFields("", request)), "");
}

struct SelectsRow {
  const char* name;
  http::Fields stored;   ///< of the request that was stored for
  http::Fields request;  ///< of the one at hand
  bool selects;
};

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
      // RFC 9111 §4.1: absent matches absent only. Accept-Encoding shows why: empty asks for no
      // coding, absent takes any (RFC 9110 §12.5.3).
      {"empty is not absent", {{"foo", ""}}, {}, false},
      {"absent is not empty", {}, {{"foo", ""}}, false},
      {"empty and empty", {{"foo", ""}}, {{"foo", " "}}, true},
      {"a list of nothing is empty", {{"foo", ""}}, {{"foo", ",,"}}, true},
  };
  for (const SelectsRow& row : rows) {
    const http::Fields selecting = SelectingFields(vary, row.stored);
    EXPECT_EQ(Selects(selecting, row.request), row.selects) << row.name;
    // The key that a miss would fill agrees with what a look-up selects.
    const Key256 primary = PrimaryKey("demo", "http://x/");
    EXPECT_EQ(VariantKey(primary, SelectingLike(selecting, row.request)) ==
                  VariantKey(primary, selecting),
              row.selects)
        << row.name;
  }
}

}  // namespace
}  // namespace nearside::edge
