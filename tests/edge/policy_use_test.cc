// DecideUse and MayServeOnError: what may be done with a stored response (RFC 9111 §4, RFC 5861).

#include <gtest/gtest.h>

#include "tests/edge/answered.h"

namespace nearside::edge {
namespace {

using http::Fields;
using storage::Validity;

struct UseRow {
  const char* name;
  std::string_view control;  ///< Cache-Control of the response, which has an ETag
  int64_t age;               ///< seconds at the request
  Fields request;
  std::string expected;
  Validity validity = Validity::kValid;
};

StoredResponse StoredWith(std::string_view control) {
  StoredResponse stored;
  stored.status = 200;
  stored.freshness =
      DecideStore(Answered({{"cache-control", control}, {"etag", "\"a\""}}).exchanged()).freshness;
  return stored;
}

std::string Describe(const UseDecision& decision) {
  constexpr std::string_view kActions[] = {"serve", "serve+validate", "validate"};
  return std::string(kActions[static_cast<size_t>(decision.action)]) + " " +
         std::string(ReasonName(decision.reason));
}

void ExpectUse(const std::vector<UseRow>& rows) {
  for (const UseRow& row : rows) {
    const UseDecision decision =
        DecideUse(GetFor("https://www.demo.test/a", row.request), StoredWith(row.control),
                  row.validity, After(seconds(row.age)));
    EXPECT_EQ(Describe(decision), row.expected) << row.name;
    EXPECT_EQ(decision.age, seconds(row.age)) << row.name;
  }
}

// Site setting request_directives = "ignore".
TEST(PolicyUseTest, RequestsMayBeLeftWithoutAWord) {
  struct IgnoreRow {
    Fields request;
    int64_t age;
    std::string_view obeyed, ignored;
  };
  const IgnoreRow rows[] = {
      {{{"cache-control", "no-cache"}}, 0, "validate request_no_cache", "serve fresh"},
      {{{"pragma", "no-cache"}}, 0, "validate request_no_cache", "serve fresh"},
      {{{"cache-control", "max-age=5"}}, 9, "validate request_max_age", "serve fresh"},
      {{{"cache-control", "min-fresh=99"}}, 0, "validate request_max_age", "serve fresh"},
      {{{"cache-control", "max-stale=99"}}, 70, "serve max_stale", "validate expired"},
      {{}, 70, "validate expired", "validate expired"},
  };
  for (const IgnoreRow& row : rows) {
    const auto decide = [&row](RequestDirectives directives) {
      return Describe(DecideUse(GetFor("https://www.demo.test/a", row.request),
                                StoredWith("max-age=60"), Validity::kValid, After(seconds(row.age)),
                                directives));
    };
    EXPECT_EQ(decide(RequestDirectives::kObey), row.obeyed) << TextOf(row.request);
    EXPECT_EQ(decide(RequestDirectives::kIgnore), row.ignored) << TextOf(row.request);
  }
  StoredResponse stored = StoredWith("max-age=60, stale-if-error=5");
  const auto on_error = [&stored](RequestDirectives directives) {
    return MayServeOnError(
        GetFor("https://www.demo.test/a", {{"cache-control", "stale-if-error=99"}}), stored,
        Validity::kValid, After(seconds(70)), directives);
  };
  EXPECT_TRUE(on_error(RequestDirectives::kObey));
  EXPECT_FALSE(on_error(RequestDirectives::kIgnore));
}

TEST(PolicyUseTest, FreshIsServedAndStaleIsNot) {
  ExpectUse({
      {"fresh", "max-age=60", 0, {}, "serve fresh"},
      {"to the last second", "max-age=60", 59, {}, "serve fresh"},
      {"at the end", "max-age=60", 60, {}, "validate expired"},
      {"after", "max-age=60", 61, {}, "validate expired"},
      {"never fresh", "max-age=0", 0, {}, "validate expired"},
      {"no-cache", "max-age=60, no-cache", 0, {}, "validate response_no_cache"},
      {"no-cache of a field alone", "max-age=60, no-cache=\"x-a\"", 0, {}, "serve fresh"},
      {"must-revalidate, fresh", "max-age=60, must-revalidate", 59, {}, "serve fresh"},
      {"must-revalidate, stale", "max-age=60, must-revalidate", 60, {}, "validate expired"},
      {"immutable, stale", "max-age=60, immutable", 60, {}, "validate expired"},
  });
}

TEST(PolicyUseTest, TimeToLiveIsToldWhateverIsDecided) {
  const auto decide = [](int64_t age) {
    return DecideUse(GetFor("https://x/"), StoredWith("max-age=60"), Validity::kValid,
                     After(seconds(age)));
  };
  EXPECT_EQ(decide(20).time_to_live, seconds(40));
  EXPECT_EQ(decide(70).time_to_live, seconds(-10));
}

// RFC 5861 §3.
TEST(PolicyUseTest, StaleWhileRevalidate) {
  ExpectUse({
      {"fresh", "max-age=60, stale-while-revalidate=10", 59, {}, "serve fresh"},
      {"in the window",
       "max-age=60, stale-while-revalidate=10",
       60,
       {},
       "serve+validate stale_while_revalidate"},
      {"to its end",
       "max-age=60, stale-while-revalidate=10",
       69,
       {},
       "serve+validate stale_while_revalidate"},
      {"past it", "max-age=60, stale-while-revalidate=10", 70, {}, "validate expired"},
      {"must-revalidate wins",
       "max-age=60, stale-while-revalidate=10, must-revalidate",
       60,
       {},
       "validate expired"},
      {"proxy-revalidate wins",
       "max-age=60, stale-while-revalidate=10, proxy-revalidate",
       60,
       {},
       "validate expired"},
      {"s-maxage wins", "s-maxage=60, stale-while-revalidate=10", 60, {}, "validate expired"},
      {"no-cache wins",
       "no-cache, max-age=60, stale-while-revalidate=10",
       60,
       {},
       "validate response_no_cache"},
      {"the request wins",
       "max-age=60, stale-while-revalidate=10",
       60,
       {{"cache-control", "no-cache"}},
       "validate request_no_cache"},
      {"the request's max-age wins",
       "max-age=60, stale-while-revalidate=10",
       60,
       {{"cache-control", "max-age=30"}},
       "validate request_max_age"},
      // RFC 9111 §5.2.1.1: with max-age alone nothing stale is wished for.
      {"also where it is not reached",
       "max-age=60, stale-while-revalidate=10",
       65,
       {{"cache-control", "max-age=100"}},
       "validate expired"},
      {"the request's max-stale wins",
       "max-age=60, stale-while-revalidate=10",
       65,
       {{"cache-control", "max-stale=4"}},
       "validate expired"},
      {"a garbled one says nothing",
       "max-age=60, stale-while-revalidate=10",
       65,
       {{"cache-control", "max-stale=x"}},
       "serve+validate stale_while_revalidate"},
  });
}

// RFC 9111 §5.2.1.
TEST(PolicyUseTest, DirectivesOfTheRequest) {
  const std::string_view minute = "max-age=60";
  ExpectUse({
      {"no-cache", minute, 0, {{"cache-control", "no-cache"}}, "validate request_no_cache"},
      {"No-Cache",
       minute,
       0,
       {{"cache-control", "max-age=60, No-Cache"}},
       "validate request_no_cache"},
      {"max-age not reached", minute, 10, {{"cache-control", "max-age=10"}}, "serve fresh"},
      {"max-age passed", minute, 11, {{"cache-control", "max-age=10"}}, "validate request_max_age"},
      {"max-age=0", minute, 1, {{"cache-control", "max-age=0"}}, "validate request_max_age"},
      {"min-fresh met", minute, 50, {{"cache-control", "min-fresh=10"}}, "serve fresh"},
      {"min-fresh missed",
       minute,
       51,
       {{"cache-control", "min-fresh=10"}},
       "validate request_max_age"},
      {"min-fresh of a stale one",
       minute,
       61,
       {{"cache-control", "min-fresh=0, max-stale"}},
       "validate request_max_age"},
  });
}

TEST(PolicyUseTest, MaxStaleAndTheDirectivesThatAskForNothing) {
  const std::string_view minute = "max-age=60";
  ExpectUse({
      {"max-stale", minute, 69, {{"cache-control", "max-stale=10"}}, "serve max_stale"},
      {"max-stale to its last second",
       minute,
       70,
       {{"cache-control", "max-stale=10"}},
       "serve max_stale"},
      {"max-stale passed", minute, 71, {{"cache-control", "max-stale=10"}}, "validate expired"},
      {"max-stale of nothing", minute, 60, {{"cache-control", "max-stale=0"}}, "serve max_stale"},
      {"max-stale of nothing, passed",
       minute,
       61,
       {{"cache-control", "max-stale=0"}},
       "validate expired"},
      {"max-stale without argument",
       minute,
       100'000,
       {{"cache-control", "max-stale"}},
       "serve max_stale"},
      {"max-stale garbled", minute, 61, {{"cache-control", "max-stale=x"}}, "validate expired"},
      {"max-stale and max-age",
       minute,
       65,
       {{"cache-control", "max-age=60, max-stale=10"}},
       "validate request_max_age"},
      {"max-stale does not touch fresh ones",
       minute,
       10,
       {{"cache-control", "max-stale"}},
       "serve fresh"},
      {"max-stale before stale-while-revalidate",
       "max-age=60, stale-while-revalidate=30",
       65,
       {{"cache-control", "max-stale=10"}},
       "serve max_stale"},
      {"must-revalidate wins",
       "max-age=60, must-revalidate",
       61,
       {{"cache-control", "max-stale"}},
       "validate expired"},
      {"proxy-revalidate wins",
       "max-age=60, proxy-revalidate",
       61,
       {{"cache-control", "max-stale"}},
       "validate expired"},
      {"s-maxage wins", "s-maxage=60", 61, {{"cache-control", "max-stale"}}, "validate expired"},
      {"no-store asks for nothing here", minute, 0, {{"cache-control", "no-store"}}, "serve fresh"},
      {"only-if-cached, fresh", minute, 0, {{"cache-control", "only-if-cached"}}, "serve fresh"},
      {"only-if-cached, stale",
       minute,
       60,
       {{"cache-control", "only-if-cached"}},
       "validate expired"},
      {"unknown ones", minute, 0, {{"cache-control", "no-cached, x=y"}}, "serve fresh"},
      {"no-cache in two lines",
       minute,
       0,
       {{"cache-control", "max-age=60"}, {"cache-control", "no-cache"}},
       "validate request_no_cache"},
  });
}

// RFC 9111 §5.4.
TEST(PolicyUseTest, PragmaCountsWithoutCacheControlAlone) {
  const std::string_view minute = "max-age=60";
  ExpectUse({
      {"pragma", minute, 0, {{"pragma", "no-cache"}}, "validate request_no_cache"},
      {"in a list, any case", minute, 0, {{"pragma", "x, NO-CACHE"}}, "validate request_no_cache"},
      {"another", minute, 0, {{"pragma", "no-store"}}, "serve fresh"},
      {"beside Cache-Control",
       minute,
       0,
       {{"pragma", "no-cache"}, {"cache-control", "max-age=9"}},
       "serve fresh"},
      {"beside an empty Cache-Control",
       minute,
       0,
       {{"pragma", "no-cache"}, {"cache-control", ""}},
       "serve fresh"},
  });
}

TEST(PolicyUseTest, WhatWasSoftPurgedIsValidated) {
  ExpectUse({
      {"fresh", "max-age=60", 0, {}, "validate soft_purged", Validity::kStale},
      {"stale", "max-age=60", 70, {}, "validate soft_purged", Validity::kStale},
      {"while-revalidate",
       "max-age=60, stale-while-revalidate=99",
       70,
       {},
       "validate soft_purged",
       Validity::kStale},
      {"max-stale",
       "max-age=60",
       70,
       {{"cache-control", "max-stale"}},
       "validate soft_purged",
       Validity::kStale},
      {"no-cache is told first", "no-cache", 0, {}, "validate response_no_cache", Validity::kStale},
  });
}

struct ErrorRow {
  const char* name;
  std::string_view control;
  int64_t age;
  bool may;
  Fields request = {};
  Validity validity = Validity::kValid;
};

// RFC 5861 §4, RFC 9111 §4.2.4.
TEST(PolicyUseTest, MayServeOnError) {
  const Fields asks = {{"cache-control", "stale-if-error=100"}};
  constexpr int64_t kDay = 86'400;
  const ErrorRow rows[] = {
      {"in the response's window", "max-age=60, stale-if-error=10", 69, true},
      {"past it", "max-age=60, stale-if-error=10", 70, false},
      {"no window", "max-age=60, stale-if-error=0", 60, false},
      {"the site's day", "max-age=60", 60 + kDay - 1, true},
      {"the site's day is over", "max-age=60", 60 + kDay, false},
      {"the request's window", "max-age=60, stale-if-error=10", 159, true, asks},
      {"past the request's", "max-age=60, stale-if-error=10", 160, false, asks},
      {"the longer counts", "max-age=60, stale-if-error=200", 200, true, asks},
      {"the request says a garbled one",
       "max-age=60, stale-if-error=10",
       70,
       false,
       {{"cache-control", "stale-if-error"}}},
      {"must-revalidate wins", "max-age=60, stale-if-error=10, must-revalidate", 61, false},
      {"proxy-revalidate wins", "max-age=60, stale-if-error=10, proxy-revalidate", 61, false},
      {"s-maxage wins", "s-maxage=60, stale-if-error=10", 61, false},
      {"no-cache wins", "max-age=60, stale-if-error=10, no-cache", 61, false},
      {"they win over the request", "max-age=60, must-revalidate", 61, false, asks},
      // Asked for by a reload: it needs no leave to be served.
      {"fresh", "max-age=60, stale-if-error=0", 10, true},
      {"fresh, must-revalidate", "max-age=60, must-revalidate", 10, true},
      {"fresh, s-maxage", "s-maxage=60", 10, true},
      {"fresh, no-cache", "max-age=60, no-cache", 10, false},
      {"the request's no-cache is a wish", "max-age=60", 61, true, {{"cache-control", "no-cache"}}},
      {"soft-purged, fresh", "max-age=60", 10, true, {}, Validity::kStale},
      {"soft-purged, no window", "max-age=60, stale-if-error=0", 60, false, {}, Validity::kStale},
      {"soft-purged is stale to must-revalidate",
       "max-age=60, must-revalidate",
       10,
       false,
       {},
       Validity::kStale},
      {"hard-purged", "max-age=60", 10, false, {}, Validity::kGone},
      {"hard-purged, asked for", "max-age=60", 10, false, asks, Validity::kGone},
      {"perhaps hard-purged, fresh", "max-age=60", 10, false, {}, Validity::kUnsure},
      {"perhaps hard-purged, asked for", "max-age=60", 10, false, asks, Validity::kUnsure},
  };
  for (const ErrorRow& row : rows) {
    EXPECT_EQ(MayServeOnError(GetFor("https://www.demo.test/a", row.request),
                              StoredWith(row.control), row.validity, After(seconds(row.age))),
              row.may)
        << row.name;
  }
}

// Setting keep_whole.
TEST(PolicyUseTest, ASiteThatIsKeptWholeIsServedHoweverStale) {
  constexpr int64_t kYear = 365 * 86'400;
  const ErrorRow rows[] = {
      {"no window", "max-age=60, stale-if-error=0", kYear, true},
      {"soft-purged", "max-age=60, stale-if-error=0", kYear, true, {}, Validity::kStale},
      {"must-revalidate", "max-age=60, must-revalidate", 61, false},
      {"s-maxage", "s-maxage=60", 61, false},
      {"no-cache", "max-age=60, no-cache", 61, false},
      {"perhaps hard-purged", "max-age=60", 10, false, {}, Validity::kUnsure},
      {"hard-purged", "max-age=60", 10, false, {}, Validity::kGone},
  };
  for (const ErrorRow& row : rows) {
    EXPECT_EQ(MayServeOnError(GetFor("https://www.demo.test/a", row.request),
                              StoredWith(row.control), row.validity, After(seconds(row.age)),
                              RequestDirectives::kObey, /*whole=*/true),
              row.may)
        << row.name;
  }
}

TEST(PolicyUseTest, ErrorStatusesAreThoseOfRfc5861) {
  for (int status = 100; status < 600; ++status) {
    const bool error = status == 500 || status == 502 || status == 503 || status == 504;
    EXPECT_EQ(IsErrorStatus(status), error) << status;
  }
}

TEST(ToldToOthersTest, RetryAfterAlone) {
  const auto told = [](http::Fields fields) {
    const auto of = ToldToOthers(Answered(std::move(fields), 503).exchanged());
    return of ? of->ToText() : "nothing";
  };
  EXPECT_EQ(told({}), "");
  EXPECT_EQ(told({{"retry-after", "120"}, {"x", "y"}}), "retry-after: 120\n");
  EXPECT_EQ(told({{"retry-after", "120"}, {"cache-control", "max-age=0"}}), "retry-after: 120\n");
  EXPECT_EQ(told({{"retry-after", "120"}, {"cache-control", "private=\"retry-after\""}}), "");
  EXPECT_EQ(told({{"retry-after", "120"}, {"cache-control", "private"}}), "nothing");
  EXPECT_EQ(told({{"retry-after", "120"}, {"cache-control", "no-store"}}), "nothing");
  // RFC 9213 §2.2: the nearest target's word counts.
  EXPECT_EQ(told({{"retry-after", "120"},
                  {"cache-control", "no-store"},
                  {"cdn-cache-control", "max-age=1"}}),
            "retry-after: 120\n");
}

}  // namespace
}  // namespace nearside::edge
