// DecideStore: what may be stored (RFC 9111 §3).

#include <gtest/gtest.h>

#include "edge/purge.h"
#include "tests/edge/answered.h"

namespace nearside::edge {
namespace {

using http::Fields;

struct StoreRow {
  Fields response;
  std::string expected;
  Fields request = {};
  int status = 200;
};

void ExpectDecisions(const std::vector<StoreRow>& rows) {
  for (const StoreRow& row : rows) {
    const Answered answered = Answered(row.response, row.status).To(row.request);
    EXPECT_EQ(Decide(answered), row.expected) << row.status << "\n"
                                              << TextOf(row.response) << "to\n"
                                              << TextOf(row.request);
  }
}

TEST(PolicyStoreTest, CacheControlForbidsAndAllows) {
  ExpectDecisions({
      {{{"cache-control", "max-age=60"}}, "stored 1m"},
      {{{"cache-control", "no-store"}}, "no_store"},
      {{{"cache-control", "max-age=60, No-StOrE"}}, "no_store"},
      {{{"cache-control", "max-age=60"}, {"cache-control", "no-store"}}, "no_store"},
      {{{"cache-control", "no-store=x, max-age=60"}}, "no_store"},
      {{{"cache-control", "max-age=60, x=\"no-store\""}}, "stored 1m"},
      {{{"cache-control", "no-stored, max-age=60"}}, "stored 1m"},
      {{{"cache-control", "private, max-age=60"}}, "private"},
      {{{"cache-control", "public, private, max-age=60"}}, "private"},
      {{{"cache-control", "private, s-maxage=60"}}, "private"},
      {{{"cache-control", "private=\"\", max-age=60"}}, "private"},
      {{{"cache-control", "private=\"x-account\", max-age=60"}}, "stored 1m"},
      {{{"cache-control", "no-cache, max-age=60"}, {"etag", "\"a\""}},
       "stored 1m always-validate validator"},
      {{{"cache-control", "no-cache, max-age=60"}}, "no_freshness"},
      {{{"cache-control", "no-cache=\"x-account\", max-age=60"}}, "stored 1m"},
      {{{"cache-control", "must-revalidate, max-age=60"}}, "stored 1m must-revalidate"},
      {{{"cache-control", "proxy-revalidate, max-age=60"}}, "stored 1m must-revalidate"},
      {{{"cache-control", "immutable, no-transform, max-age=60"}}, "stored 1m"},
      {{{"pragma", "no-cache"}, {"cache-control", "max-age=60"}}, "stored 1m"},
      {{{"pragma", "no-cache"}, {"expires", DateAt(60)}}, "stored 1m"},
  });
}

TEST(PolicyStoreTest, TheRequestMayForbid) {
  const Fields minute = {{"cache-control", "max-age=60"}};
  ExpectDecisions({
      {minute, "no_store", {{"cache-control", "no-store"}}},
      {minute, "no_store", {{"cache-control", "max-age=0, NO-STORE"}}},
      {minute, "stored 1m", {{"cache-control", "no-cache"}}},
      {minute, "stored 1m", {{"cache-control", "max-age=0"}}},
      {minute, "stored 1m", {{"pragma", "no-cache"}}},
      {minute, "stored 1m", {{"cookie", "a=b"}}},
  });
}

TEST(PolicyStoreTest, ASiteMayIgnoreTheRequestsNoStore) {
  Answered answered({{"cache-control", "max-age=60"}, {"x", "y"}});
  answered.To({{"cache-control", "no-store"}});
  EXPECT_EQ(Decide(answered), "no_store");
  answered.site.request_directives = "ignore";
  EXPECT_EQ(Decide(answered), "stored 1m");
}

// RFC 9111 §3.5.
TEST(PolicyStoreTest, AuthorizationNeedsTheOriginsWord) {
  const Fields asks = {{"authorization", "Bearer x"}};
  ExpectDecisions({
      {{{"cache-control", "max-age=60"}}, "authorization", asks},
      {{{"expires", DateAt(60)}}, "authorization", asks},
      {{{"cache-control", "max-age=60, proxy-revalidate"}}, "authorization", asks},
      {{{"cache-control", "max-age=60, public"}}, "stored 1m", asks},
      {{{"cache-control", "max-age=60, must-revalidate"}}, "stored 1m must-revalidate", asks},
      {{{"cache-control", "s-maxage=60"}}, "stored 1m must-revalidate", asks},
      {{{"cache-control", "max-age=9, public"}, {"cdn-cache-control", "max-age=60"}},
       "authorization",
       asks},
      {{{"cdn-cache-control", "max-age=60, public"}}, "stored 1m", asks},
      {{{"cache-control", "max-age=60"}}, "stored 1m", {{"proxy-authorization", "x"}}},
  });
}

// A cookie is in no key: what was made for one is for others only where the response says so.
TEST(PolicyStoreTest, WhatIsMadeForACookieNeedsTheOriginsWord) {
  struct CookieRow {
    Fields response;
    std::string_view with_cookie, without;
    int status = 200;
  };
  const std::string modified = DateAt(-1000);
  const CookieRow rows[] = {
      {{{"last-modified", modified}}, "cookie", "stored 1m40s guess validator"},
      {{{"etag", "\"v\""}}, "cookie", "stored 0s guess validator"},
      {{{"cache-control", "no-cache"}, {"etag", "\"v\""}},
       "cookie",
       "stored 0s always-validate guess validator"},
      {{{"cache-control", "no-cache, max-age=60"}, {"etag", "\"v\""}},
       "cookie",
       "stored 1m always-validate validator"},
      {{{"cache-control", "max-age=0"}, {"etag", "\"v\""}}, "cookie", "stored 0s validator"},
      {{{"expires", "0"}, {"etag", "\"v\""}}, "cookie", "stored 0s validator"},
      {{}, "cookie", "stored 5s guess", 404},
      {{{"cache-control", "public"}, {"last-modified", modified}},
       "stored 1m40s guess validator",
       "stored 1m40s guess validator"},
      {{{"cache-control", "public, no-cache"}, {"etag", "\"v\""}},
       "stored 0s always-validate guess validator",
       "stored 0s always-validate guess validator"},
      {{{"cache-control", "max-age=60"}}, "stored 1m", "stored 1m"},
      {{{"cache-control", "max-age=0, s-maxage=60"}},
       "stored 1m must-revalidate",
       "stored 1m must-revalidate"},
      {{{"cdn-cache-control", "max-age=60"}}, "stored 1m", "stored 1m"},
      {{{"expires", DateAt(60)}}, "stored 1m", "stored 1m"},
      // Other reasons come first.
      {{}, "no_freshness", "no_freshness"},
      {{{"cache-control", "private"}, {"etag", "\"v\""}}, "private", "private"},
  };
  for (const CookieRow& row : rows) {
    EXPECT_EQ(Decide(Answered(Fields(row.response), row.status).To({{"cookie", "a=b"}})),
              row.with_cookie)
        << TextOf(row.response);
    EXPECT_EQ(Decide(Answered(Fields(row.response), row.status)), row.without)
        << TextOf(row.response);
  }
  // A lifetime from the site's settings is a word as well.
  Answered answered(Fields{{"last-modified", modified}});
  answered.To({{"cookie", "a=b"}});
  answered.site.default_ttl = seconds(1);
  EXPECT_EQ(Decide(answered), "stored 1m40s guess validator");
  EXPECT_TRUE(
      DecideStore(Answered({{"etag", "\"v\""}}).To({{"cookie", "a"}}).exchanged()).unshareable);
}

TEST(PolicyStoreTest, SetCookieIsTheSitesChoice) {
  Answered answered({{"cache-control", "max-age=60"}, {"set-cookie", "a=b"}});
  EXPECT_EQ(Decide(answered), "set_cookie");
  answered.site.set_cookie = "store";
  EXPECT_EQ(Decide(answered), "stored 1m");
  answered.response.fields.Add("cache-control", "private");
  EXPECT_EQ(Decide(answered), "private");
}

// RFC 9111 §4.1.
TEST(PolicyStoreTest, VaryThatNoRequestCanMatchForbids) {
  const auto with = [](std::string_view vary) {
    return Fields{{"cache-control", "max-age=60"}, {"vary", vary}};
  };
  ExpectDecisions({
      {with("*"), "vary_star"},
      {with("accept, *"), "vary_star"},
      {with(", *"), "vary_star"},
      {{{"cache-control", "max-age=60"}, {"vary", ""}, {"vary", "*"}}, "vary_star"},
      {with(""), "stored 1m"},
      {with("Accept-Encoding, Cookie"), "stored 1m"},
      {with("x-*"), "stored 1m"},
      // What we tell origins about each client is in no key.
      {with("X-Forwarded-For"), "vary_star"},
      {with("accept, Forwarded"), "vary_star"},
      {with("X-Forwarded-Proto, X-Forwarded-Host"), "stored 1m"},
  });
}

// RFC 9111 §3, §5.2.2.3.
TEST(PolicyStoreTest, StatusesThatMayBeStoredWithExplicitFreshness) {
  const Fields minute = {{"cache-control", "max-age=60"}};
  for (int status :
       {200, 201, 202, 203, 204, 205, 207, 299, 300, 301, 302, 303, 307, 308, 399, 400,
        401, 403, 404, 405, 410, 418, 429, 451, 499, 500, 501, 502, 503, 504, 511, 599}) {
    ExpectDecisions({{minute, "stored 1m", {}, status}});
  }
  ExpectDecisions({
      {minute, "partial", {}, 206},
      {minute, "uncacheable_status", {}, 304},
      {minute, "uncacheable_status", {}, 103},
  });
}

// RFC 9111 §3.3: a part may be stored by a cache that knows what it is a part of.
TEST(PolicyStoreTest, LastBytesThatWereAskedForAsSuch) {
  const Fields part = {{"cache-control", "max-age=60"}, {"content-range", "bytes 4-9/10"}};
  const auto decide = [](Fields response, std::string_view more, std::string_view value) {
    if (!more.empty()) response.Set(more, value);
    const Answered answered(response, 206);
    Exchanged exchanged = answered.exchanged();
    exchanged.tail = true;
    return Describe(DecideStore(exchanged));
  };
  EXPECT_EQ(decide(part, "", ""), "stored 1m");
  EXPECT_EQ(decide(part, "vary", "accept"), "partial");
  EXPECT_EQ(decide(part, "cache-control", "no-store"), "no_store");
  EXPECT_EQ(decide({{"cache-control", "max-age=60"}}, "", ""), "partial") << "which part?";
  ExpectDecisions({{part, "partial", {}, 206}});
}

TEST(PolicyStoreTest, MustUnderstandStandsAboveNoStore) {
  const Fields both = {{"cache-control", "max-age=60, no-store, must-understand"}};
  const Fields alone = {{"cache-control", "max-age=60, must-understand"}};
  for (int status : {200, 203, 204, 300, 301, 302, 303, 307, 308, 400, 401, 403, 404, 405, 410, 414,
                     417, 421, 422, 426, 428, 429, 431, 451, 500, 501, 502, 503, 504, 505, 511}) {
    ExpectDecisions({{both, "stored 1m", {}, status}, {alone, "stored 1m", {}, status}});
  }
  for (int status : {209, 299, 399, 418, 499, 506, 599}) {
    ExpectDecisions(
        {{both, "uncacheable_status", {}, status}, {alone, "uncacheable_status", {}, status}});
  }
  ExpectDecisions({{both, "no_store", {{"cache-control", "no-store"}}}});
}

TEST(PolicyStoreTest, StatusesThatMayBeStoredWithoutExplicitFreshness) {
  const Fields old = {{"last-modified", DateAt(-1000)}};
  for (int status : {200, 203, 204, 300, 301, 308}) {  // RFC 9110 §15.1
    ExpectDecisions({{old, "stored 1m40s guess validator", {}, status}});
  }
  for (int status : {404, 405, 410, 414, 501}) {
    ExpectDecisions(
        {{old, "stored 5s guess validator", {}, status}, {{}, "stored 5s guess", {}, status}});
  }
  for (int status :
       {201, 202, 205, 207, 299, 302, 303, 305, 307, 400, 401, 402, 403, 406, 408, 409, 411,
        412, 413, 415, 416, 417, 421, 422, 429, 451, 499, 500, 502, 503, 504, 505, 511, 599}) {
    ExpectDecisions({{old, "uncacheable_status", {}, status}});
    // RFC 9111 §3, §4.2.2: "public" marks them as cacheable.
    Fields marked = old;
    marked.Add("cache-control", "public");
    ExpectDecisions({{marked, "stored 1m40s guess validator", {}, status}});
  }
}

// Those who wait for it are answered with it; its age is what it is.
TEST(PolicyStoreTest, WhatBecameStaleOnItsWayIsStored) {
  const auto after_two_seconds = [](http::Fields fields) {
    Answered answered(std::move(fields));
    answered.took = seconds(2);
    return Decide(answered);
  };
  EXPECT_EQ(after_two_seconds({{"cache-control", "max-age=1"}}), "stored 1s age=2s");
  EXPECT_EQ(after_two_seconds({{"cache-control", "max-age=10"}, {"age", "9"}}),
            "stored 10s age=11s");
  EXPECT_EQ(after_two_seconds({{"cache-control", "max-age=10"}, {"age", "10"}}), "no_freshness");
  EXPECT_EQ(after_two_seconds({{"cache-control", "max-age=0"}}), "no_freshness");
  EXPECT_EQ(after_two_seconds({}), "no_freshness");
}

TEST(PolicyStoreTest, WhatCouldNeverBeUsedIsNotStored) {
  ExpectDecisions({
      {{}, "no_freshness"},
      {{{"cache-control", "max-age=0"}}, "no_freshness"},
      {{{"expires", "0"}}, "no_freshness"},
      {{{"cache-control", "max-age=60"}, {"age", "60"}}, "no_freshness"},
      {{{"cache-control", "max-age=60"}, {"age", "59"}}, "stored 1m age=59s"},
      {{{"cache-control", "max-age=0"}, {"etag", "\"a\""}}, "stored 0s validator"},
      {{{"cache-control", "max-age=0"}, {"last-modified", DateAt(-9)}}, "stored 0s validator"},
      {{{"etag", "W/\"a\""}}, "stored 0s guess validator"},
      {{{"cache-control", "max-age=0, stale-while-revalidate=9"}}, "stored 0s swr=9s"},
      {{{"cache-control", "max-age=0, stale-while-revalidate=9, must-revalidate"}}, "no_freshness"},
      {{{"cache-control", "s-maxage=0, stale-while-revalidate=9"}}, "no_freshness"},
      // Older than all its windows: nothing could be done with it.
      {{{"cache-control", "max-age=60"}, {"etag", "\"a\""}, {"age", "999999"}}, "no_freshness"},
      {{{"cache-control", "max-age=0, stale-while-revalidate=9"}, {"age", "100000"}},
       "no_freshness"},
      {{{"cache-control", "max-age=0, stale-while-revalidate=9"}, {"age", "9"}}, "no_freshness"},
      {{{"cache-control", "max-age=0, stale-while-revalidate=9"}, {"age", "8"}},
       "stored 0s age=8s swr=9s"},
      // A validator that is not kept validates nothing.
      {{{"cache-control", "max-age=0, private=\"etag\""}, {"etag", "\"a\""}}, "no_freshness"},
      {{{"cache-control", "max-age=60, no-cache=\"etag, last-modified\""},
        {"etag", "\"a\""},
        {"last-modified", DateAt(-9)}},
       "stored 1m"},
      {{{"cache-control", "max-age=60, no-cache=\"etag\""},
        {"etag", "\"a\""},
        {"last-modified", DateAt(-9)}},
       "stored 1m validator"},
  });
}

TEST(PolicyStoreTest, MoreTagsThanAPurgeCanFollowForbid) {
  const auto with = [](size_t tags) {
    std::string value;
    for (size_t i = 0; i < tags; ++i) value += "tag-" + std::to_string(i) + " ";
    return Answered({{"cache-control", "max-age=60"}, {"surrogate-key", value}});
  };
  EXPECT_EQ(Decide(with(kMaxTags)), "stored 1m");
  EXPECT_EQ(Decide(with(kMaxTags + 1)), "store_refused");
}

// RFC 9213 §2.2.
TEST(PolicyStoreTest, TheFirstValidTargetedFieldStandsForCacheControl) {
  ExpectDecisions({
      {{{"cdn-cache-control", "max-age=60"}, {"cache-control", "no-store"}}, "stored 1m"},
      {{{"cdn-cache-control", "no-store"}, {"cache-control", "max-age=60"}}, "no_store"},
      {{{"cdn-cache-control", "private"}, {"cache-control", "max-age=60"}}, "private"},
      {{{"nearside-cache-control", "max-age=60"}, {"cdn-cache-control", "no-store"}}, "stored 1m"},
      {{{"nearside-cache-control", "no-store"}, {"cdn-cache-control", "max-age=60"}}, "no_store"},
      {{{"nearside-cache-control", "max-age="}, {"cdn-cache-control", "max-age=60"}}, "stored 1m"},
      {{{"nearside-cache-control", ""}, {"cdn-cache-control", "max-age=60"}}, "stored 1m"},
      {{{"cdn-cache-control", ""}, {"cache-control", "max-age=60"}}, "stored 1m"},
      {{{"cdn-cache-control", "max-age=9, &"}, {"cache-control", "max-age=60"}}, "stored 1m"},
      {{{"cdn-cache-control", "Max-Age=9"}, {"cache-control", "max-age=60"}}, "stored 1m"},
      {{{"cdn-cache-control", "max-age=9"}, {"cdn-cache-control", "no-store"}}, "no_store"},
      {{{"cdn-cache-control", "must-revalidate"}, {"cache-control", "max-age=60"}}, "no_freshness"},
      {{{"cdn-cache-control", "must-understand, no-store, max-age=60"}}, "stored 1m"},
      {{{"surrogate-control", "max-age=60"}}, "no_freshness"},
      {{{"other-cdn-cache-control", "max-age=60"}}, "no_freshness"},
  });
}

TEST(PolicyStoreTest, WhatIsInTheResponseItselfKeepsItFromEveryone) {
  struct ProofRow {
    const char* name;
    Answered answered;
    bool proven;
  };
  const ProofRow rows[] = {
      {"stored", Answered({{"cache-control", "max-age=60"}}), false},
      {"no-store", Answered({{"cache-control", "no-store"}}), true},
      {"private", Answered({{"cache-control", "private"}}), true},
      {"set-cookie", Answered({{"cache-control", "max-age=60"}, {"set-cookie", "a"}}), true},
      {"vary", Answered({{"cache-control", "max-age=60"}, {"vary", "*"}}), true},
      {"no freshness", Answered(Fields()), true},
      {"status", Answered(Fields(), 302), true},
      // Of this request alone: the next one without it may be stored.
      {"request no-store",
       Answered({{"cache-control", "max-age=60"}}).To({{"cache-control", "no-store"}}), false},
      {"authorization", Answered({{"cache-control", "max-age=60"}}).To({{"authorization", "x"}}),
       false},
      {"private to authorization",
       Answered({{"cache-control", "private"}}).To({{"authorization", "x"}}), true},
      {"no-store both ways",
       Answered({{"cache-control", "no-store"}}).To({{"cache-control", "no-store"}}), true},
      // What a request brings about must not keep the others from the cache.
      {"400", Answered(Fields(), 400), false},
      {"403 no-store", Answered({{"cache-control", "no-store"}}, 403), false},
      {"431", Answered(Fields(), 431), false},
      {"404 no-store", Answered({{"cache-control", "no-store"}}, 404), true},
      // Over in a moment.
      {"500", Answered(Fields(), 500), false},
      {"503", Answered({{"cache-control", "no-store"}}, 503), false},
  };
  for (const ProofRow& row : rows) {
    EXPECT_EQ(DecideStore(row.answered.exchanged()).unshareable, row.proven) << row.name;
  }
}

// RFC 9110 §9.3.3.
TEST(PolicyStoreTest, TheAnswerToAPostMayAnswerLaterGets) {
  const std::string url = "https://www.demo.test/a?b";
  const struct {
    const char* method;
    int status;
    Fields response;
    bool answers;
  } rows[] = {
      {"POST", 200, {{"content-location", "/a?b"}, {"cache-control", "max-age=60"}}, true},
      {"POST", 200, {{"content-location", url}, {"cache-control", "max-age=60"}}, true},
      {"POST", 200, {{"content-location", ""}, {"cache-control", "s-maxage=60"}}, true},
      {"POST", 200, {{"content-location", "a?b"}, {"expires", DateAt(60)}}, true},
      {"POST", 200, {{"content-location", "/a?b"}, {"cdn-cache-control", "max-age=9"}}, true},
      {"POST", 200, {{"content-location", "/a"}, {"cache-control", "max-age=60"}}, false},
      {"POST", 200, {{"content-location", "//x/a?b"}, {"cache-control", "max-age=60"}}, false},
      {"POST", 200, {{"cache-control", "max-age=60"}}, false},
      {"POST", 200, {{"content-location", "/a?b"}, {"last-modified", DateAt(-9000)}}, false},
      {"POST", 201, {{"content-location", "/a?b"}, {"cache-control", "max-age=60"}}, false},
      {"PUT", 200, {{"content-location", "/a?b"}, {"cache-control", "max-age=60"}}, false},
      {"POST",
       200,
       {{"content-location", "/a?b"}, {"cache-control", "max-age=60"}, {"vary", "Accept-Encoding"}},
       false},
  };
  for (const auto& row : rows) {
    const http::RequestHead request = RequestFor(row.method, url);
    const http::ResponseHead response{.status = row.status, .fields = row.response};
    const Exchanged exchanged{.request = request,
                              .response = response,
                              .request_time = kNow,
                              .response_time = kNow,
                              .site = DefaultSite()};
    EXPECT_EQ(AnswersLaterGets(exchanged, url), row.answers)
        << row.method << row.status << TextOf(row.response);
  }
}

// RFC 9111 §4.4.
TEST(PolicyStoreTest, UnsafeRequestsInvalidateWhatTheyAndTheirAnswersName) {
  const struct {
    const char* method;
    int status;
    Fields response;
    const char* urls;
  } rows[] = {
      {"POST", 200, {}, "/d/a "},
      {"PUT", 204, {}, "/d/a "},
      {"DELETE", 303, {}, "/d/a "},
      {"X-OWN", 299, {}, "/d/a "},
      {"POST", 201, {{"location", "/b"}}, "/d/a /b "},
      {"POST", 201, {{"location", "b?c#d"}}, "/d/a /d/b?c "},
      {"POST", 201, {{"location", "../b"}}, "/d/a /b "},
      {"POST", 200, {{"content-location", "/%7eb"}}, "/d/a /~b "},
      {"POST", 200, {{"location", "/b"}, {"content-location", "/c"}}, "/d/a /b /c "},
      {"POST", 200, {{"location", "/b"}, {"content-location", "/b"}}, "/d/a /b "},
      {"POST", 200, {{"location", "a"}}, "/d/a "},
      {"POST", 200, {{"location", "https://WWW.demo.test:443/b"}}, "/d/a /b "},
      {"POST", 200, {{"location", "https://other.test/b"}}, "/d/a "},
      {"POST", 200, {{"location", "http://www.demo.test/b"}}, "/d/a "},
      {"POST", 200, {{"location", "https://www.demo.test:8443/b"}}, "/d/a "},
      {"POST", 200, {{"location", "/../../b"}}, "/d/a "},
      {"POST", 200, {{"location", "mailto:a"}}, "/d/a "},
      {"POST", 404, {{"location", "/b"}}, ""},
      {"POST", 500, {}, ""},
      {"POST", 199, {}, ""},
      {"GET", 200, {{"location", "/b"}}, ""},
      {"HEAD", 200, {}, ""},
      {"OPTIONS", 200, {}, ""},
  };
  const std::string origin = "https://www.demo.test";
  for (const auto& row : rows) {
    std::string urls;
    for (const std::string& url :
         InvalidatedUrls(row.method, origin + "/d/a", row.status, row.response)) {
      EXPECT_TRUE(url.starts_with(origin + "/")) << url;
      urls += url.substr(origin.size()) + " ";
    }
    EXPECT_EQ(urls, row.urls) << row.method << row.status << TextOf(row.response);
  }
}

}  // namespace
}  // namespace nearside::edge
