// DecideStore: how long (RFC 9111 §4.2), and MakeStored.

#include <gtest/gtest.h>

#include "tests/edge/answered.h"

namespace nearside::edge {
namespace {

using http::Fields;

struct LifetimeRow {
  const char* name;
  Fields response;
  std::string expected;
};

void ExpectLifetimes(const std::vector<LifetimeRow>& rows) {
  for (const LifetimeRow& row : rows)
    EXPECT_EQ(Decide(Answered(row.response)), row.expected) << row.name;
}

// RFC 9111 §4.2.1.
TEST(PolicyLifetimeTest, SourcesInOrderOfPrecedence) {
  ExpectLifetimes({
      {"s-maxage first",
       {{"cache-control", "max-age=20, s-maxage=10"}, {"expires", DateAt(99)}},
       "stored 10s must-revalidate"},
      {"max-age before Expires",
       {{"cache-control", "max-age=20"}, {"expires", DateAt(99)}},
       "stored 20s"},
      {"max-age, longer",
       {{"cache-control", "max-age=99"}, {"expires", DateAt(20)}},
       "stored 1m39s"},
      {"max-age before an invalid Expires",
       {{"cache-control", "max-age=20"}, {"expires", "0"}},
       "stored 20s"},
      {"Expires before a guess",
       {{"expires", DateAt(30)}, {"last-modified", DateAt(-1000)}},
       "stored 30s validator"},
      {"a guess last", {{"last-modified", DateAt(-1000)}}, "stored 1m40s guess validator"},
      {"explicit nothing is no guess",
       {{"cache-control", "max-age=0"}, {"last-modified", DateAt(-1000)}},
       "stored 0s validator"},
      {"targeted field before all",
       {{"cdn-cache-control", "max-age=5"},
        {"cache-control", "s-maxage=10"},
        {"expires", DateAt(9)}},
       "stored 5s"},
      {"targeted field without lifetime: Expires does not count (RFC 9213 §2.2)",
       {{"cdn-cache-control", "public"}, {"expires", DateAt(60)}, {"last-modified", DateAt(-100)}},
       "stored 10s guess validator"},
  });
}

TEST(PolicyLifetimeTest, DeltaSecondsAreReadStrictlyAndShortestFirst) {
  ExpectLifetimes({
      {"quoted", {{"cache-control", "max-age=\"60\""}}, "stored 1m"},
      {"upper case", {{"cache-control", "MAX-AGE=60"}}, "stored 1m"},
      {"two in a line", {{"cache-control", "max-age=60, max-age=30"}}, "stored 30s"},
      {"two lines",
       {{"cache-control", "max-age=30"}, {"cache-control", "max-age=60"}},
       "stored 30s"},
      {"leading zeros", {{"cache-control", "max-age=0060"}}, "stored 1m"},
      {"2^31 - 1",
       {{"cache-control", "max-age=2147483647"}},
       "stored " + FormatDuration(seconds(2147483647))},
      {"2^31",
       {{"cache-control", "max-age=2147483648"}},
       "stored " + FormatDuration(seconds(2147483648))},
      {"beyond",
       {{"cache-control", "max-age=99999999999999999999"}},
       "stored " + FormatDuration(seconds(2147483648))},
      {"negative", {{"cache-control", "max-age=-60"}, {"etag", "\"a\""}}, "stored 0s validator"},
      {"fraction", {{"cache-control", "max-age=60.5"}, {"etag", "\"a\""}}, "stored 0s validator"},
      {"no argument", {{"cache-control", "max-age"}, {"etag", "\"a\""}}, "stored 0s validator"},
      {"bad s-maxage",
       {{"cache-control", "s-maxage=x, max-age=60"}, {"etag", "\"a\""}},
       "stored 0s must-revalidate validator"},
  });
}

// RFC 9111 §5.3.
TEST(PolicyLifetimeTest, ExpiresInEveryForm) {
  ExpectLifetimes({
      {"IMF-fixdate", {{"expires", DateAt(60)}}, "stored 1m"},
      {"RFC 850", {{"expires", "Friday, 15-Jan-27 08:01:00 GMT"}}, "stored 1m"},
      {"asctime", {{"expires", "Fri Jan 15 08:01:00 2027"}}, "stored 1m"},
      {"any case", {{"expires", "fri, 15 jan 2027 08:01:00 gmt"}}, "stored 1m"},
      {"against Date, not our clock",
       {{"expires", DateAt(160)}, {"date", DateAt(100)}},
       "stored 1m"},
      {"without Date", {{"expires", DateAt(60)}}, "stored 1m"},
      {"with a broken Date", {{"expires", DateAt(60)}, {"date", "yesterday"}}, "stored 1m"},
      {"the first of two", {{"expires", DateAt(60)}, {"expires", DateAt(99)}}, "stored 1m"},
      {"far away",
       {{"expires", "Fri, 31 Dec 9999 23:59:59 GMT"}},
       "stored " + FormatDuration(FromUnixMillis(253402300799000) - kNow)},
  });
  for (std::string_view stale :
       {"0", "-1", "", "now", "Thu, 99 Jan 2027 08:00:00 GMT", "Fri, 15 Jan 2027 8:01:00 GMT",
        "Fri, 15 Jan 2027 08:01:00 UTC", "Fri, 15 Jan 2027 08:00:00 GMT",
        "Thu, 01 Jan 1970 00:00:00 GMT", "1800000060"}) {
    EXPECT_EQ(Decide(Answered({{"expires", stale}, {"etag", "\"a\""}})), "stored 0s validator")
        << stale;
  }
}

// RFC 9111 §4.2.2.
TEST(PolicyLifetimeTest, GuessesAreATenthAndADayAtMost) {
  constexpr int64_t kDay = 86'400;
  ExpectLifetimes({
      {"a tenth", {{"last-modified", DateAt(-500)}}, "stored 50s guess validator"},
      {"of Date's distance",
       {{"last-modified", DateAt(-600)}, {"date", DateAt(-100)}},
       "stored 50s age=1m40s guess validator"},
      {"nine days", {{"last-modified", DateAt(-9 * kDay)}}, "stored 21h36m guess validator"},
      {"ten days", {{"last-modified", DateAt(-10 * kDay)}}, "stored 1d guess validator"},
      {"years", {{"last-modified", DateAt(-9000 * kDay)}}, "stored 1d guess validator"},
      {"the future", {{"last-modified", DateAt(500)}}, "stored 0s guess validator"},
      {"broken", {{"last-modified", "once"}}, "stored 0s guess validator"},
  });
}

TEST(PolicyLifetimeTest, SitesHaveDefaultsForWhatNamesNone) {
  const auto decide = [](Fields fields, int status) {
    Answered answered(std::move(fields), status);
    answered.site.default_ttl = seconds(30);
    answered.site.negative_ttl = seconds(3);
    return Decide(answered);
  };
  EXPECT_EQ(decide({}, 200), "stored 30s guess");
  EXPECT_EQ(decide({{"last-modified", "once"}}, 200), "stored 30s guess validator");
  EXPECT_EQ(decide({{"last-modified", DateAt(-100)}}, 200), "stored 10s guess validator");
  EXPECT_EQ(decide({{"cache-control", "max-age=1"}}, 200), "stored 1s");
  EXPECT_EQ(decide({}, 302), "uncacheable_status");
  EXPECT_EQ(decide({{"cache-control", "public"}}, 302), "stored 30s guess");
  EXPECT_EQ(decide({}, 500), "uncacheable_status");
  for (int status : {404, 405, 410, 414, 501}) {
    EXPECT_EQ(decide({}, status), "stored 3s guess") << status;
    EXPECT_EQ(decide({{"last-modified", DateAt(-100)}}, status), "stored 3s guess validator");
    EXPECT_EQ(decide({{"cache-control", "max-age=60"}}, status), "stored 1m") << status;
  }
}

// RFC 9111 §4.2.3, §5.1.
TEST(PolicyLifetimeTest, AgeArithmetic) {
  struct AgeRow {
    const char* name;
    Fields fields;
    milliseconds took;
    std::string age;
  };
  const AgeRow rows[] = {
      {"nothing known", {}, seconds(0), "0s"},
      {"the way took two seconds", {}, seconds(2), "2s"},
      {"Date ten seconds ago", {{"date", DateAt(-10)}}, seconds(0), "10s"},
      {"Date ten seconds ago, two on the way", {{"date", DateAt(-10)}}, seconds(2), "10s"},
      {"Date ahead of us", {{"date", DateAt(10)}}, seconds(0), "0s"},
      {"Age and the way", {{"date", DateAt(0)}, {"age", "30"}}, seconds(2), "32s"},
      {"Age above Date", {{"date", DateAt(-10)}, {"age", "30"}}, seconds(0), "30s"},
      {"Date above Age", {{"date", DateAt(-60)}, {"age", "30"}}, seconds(2), "1m"},
      {"the first of several hops", {{"age", "30, 5"}}, seconds(0), "30s"},
      {"the first, and space", {{"age", "30 , 5"}}, seconds(0), "30s"},
      {"the first, younger", {{"age", "5, 30"}}, seconds(0), "5s"},
      {"two lines", {{"age", "30"}, {"age", "5"}}, seconds(0), "30s"},
      {"no number", {{"age", "abc"}}, seconds(0), "0s"},
      {"negative", {{"age", "-30"}}, seconds(0), "0s"},
      {"a fraction", {{"age", "30.0"}}, seconds(0), "0s"},
      {"with a parameter", {{"age", "30;a=b"}}, seconds(0), "0s"},
      {"empty", {{"age", ""}}, seconds(0), "0s"},
      {"2^31 - 1", {{"age", "2147483647"}}, seconds(0), FormatDuration(seconds(2147483647))},
      {"2^31", {{"age", "2147483648"}}, seconds(0), FormatDuration(seconds(2147483648))},
      {"overflow",
       {{"age", "99999999999999999999"}},
       seconds(0),
       FormatDuration(seconds(2147483648))},
  };
  for (const AgeRow& row : rows) {
    Answered answered(row.fields);
    answered.took = row.took;
    const StoreDecision decision = DecideStore(answered.exchanged());
    EXPECT_EQ(FormatDuration(decision.freshness.initial_age), row.age) << row.name;
  }
}

TEST(PolicyLifetimeTest, AClockThatWentBackOnTheWayAddsNothing) {
  Answered answered({{"age", "5"}});
  answered.took = seconds(-30);
  EXPECT_EQ(DecideStore(answered.exchanged()).freshness.initial_age, seconds(5));
}

// RFC 5861.
TEST(PolicyLifetimeTest, StaleWindowsAreTheResponsesOrTheSites) {
  const auto decide = [](std::string_view control) {
    Answered answered({{"cache-control", control}});
    answered.site.stale_while_revalidate = seconds(7);
    answered.site.stale_if_error = seconds(8);
    return Decide(answered);
  };
  EXPECT_EQ(decide("max-age=60"), "stored 1m swr=7s sie=8s");
  EXPECT_EQ(decide("max-age=60, stale-while-revalidate=1, stale-if-error=2"),
            "stored 1m swr=1s sie=2s");
  EXPECT_EQ(decide("max-age=60, stale-while-revalidate=0, stale-if-error=0"), "stored 1m sie=0s");
  EXPECT_EQ(decide("max-age=60, stale-while-revalidate=x, stale-if-error"),
            "stored 1m swr=7s sie=8s");
}

TEST(PolicyLifetimeTest, DropsWhenTheLastUseIsOver) {
  struct DropRow {
    const char* name;
    std::string control;
    Fields more;
    seconds after;  ///< kNow
  };
  const DropRow rows[] = {
      {"fresh, then the longer stale window", "max-age=60, stale-if-error=100", {}, seconds(160)},
      {"the other one",
       "max-age=60, stale-while-revalidate=200, stale-if-error=100",
       {},
       seconds(260)},
      {"kept with a validator",
       "max-age=60, stale-if-error=0",
       {{"etag", "\"a\""}},
       seconds(60 + 86'400)},
      {"both", "max-age=60, stale-if-error=9", {{"etag", "\"a\""}}, seconds(69 + 86'400)},
      {"must-revalidate has no stale window",
       "max-age=60, must-revalidate, stale-if-error=100",
       {},
       seconds(60)},
      {"s-maxage neither", "s-maxage=60, stale-if-error=100", {}, seconds(60)},
      {"no-cache is only validated",
       "no-cache, stale-if-error=100",
       {{"last-modified", DateAt(0)}},
       seconds(86'400)},
      {"what is old already goes sooner",
       "max-age=60, stale-if-error=0",
       {{"age", "50"}},
       seconds(10)},
  };
  for (const DropRow& row : rows) {
    Fields fields = row.more;
    fields.Add("cache-control", row.control);
    const StoreDecision decision = DecideStore(Answered(std::move(fields)).exchanged());
    EXPECT_EQ(FormatIsoTime(decision.drop_at), FormatIsoTime(After(row.after))) << row.name;
  }
}

std::unique_ptr<StoredResponse> Stored(const Answered& answered) {
  const Exchanged exchanged = answered.exchanged();
  return MakeStored(exchanged, DecideStore(exchanged), "https://www.demo.test/a", "1.1 frankfurt");
}

TEST(PolicyStoredTest, KeepsEndToEndFieldsInOrderAndAddsItsOwn) {
  const auto stored = Stored(Answered({{"content-type", "text/html"},
                                       {"x-a", "1"},
                                       {"age", "3"},
                                       {"cache-control", "max-age=60"},
                                       {"x-a", "2"},
                                       {"warning", "110 - \"stale\""},
                                       {"other-cache-control", "no-store"},
                                       {"via", "1.1 other"}}));
  EXPECT_EQ(TextOf(stored->fields),
            "content-type: text/html\nx-a: 1\ncache-control: max-age=60\nx-a: 2\n"
            "warning: 110 - \"stale\"\nother-cache-control: no-store\nvia: 1.1 other\n"
            "date: " +
                DateAt(0) + "\nvia: 1.1 frankfurt\n");
  EXPECT_EQ(stored->status, 200);
  EXPECT_EQ(stored->url, "https://www.demo.test/a");
  EXPECT_EQ(Describe(stored->freshness), "1m age=3s");
}

TEST(PolicyStoredTest, ADateThatIsThereStays) {
  const auto stored = Stored(Answered({{"cache-control", "max-age=60"}, {"date", DateAt(-5)}}));
  EXPECT_EQ(stored->fields.Joined("date"), DateAt(-5));
}

TEST(PolicyStoredTest, FieldsForCachesAloneAreTakenOut) {
  const auto stored = Stored(Answered({{"surrogate-key", "a b"},
                                       {"cache-tag", "c"},
                                       {"nearside-cache-control", "max-age=60"},
                                       {"cdn-cache-control", "max-age=30"},
                                       {"age", "1"}}));
  EXPECT_EQ(TextOf(stored->fields),
            "cdn-cache-control: max-age=30\ndate: " + DateAt(0) + "\nvia: 1.1 frankfurt\n");
}

// RFC 9111 §3.1, §5.2.2.4, §5.2.2.7.
TEST(PolicyStoredTest, FieldsThatMustNotBeReusedAreTakenOutOfWhatIsStored) {
  Answered answered({{"cache-control", "max-age=60, private=\"X-Account, x-b\", no-cache=\"x-c\""},
                     {"x-account", "7"},
                     {"X-B", "8"},
                     {"x-c", "9"},
                     {"x-d", "10"},
                     {"proxy-authenticate", "Basic"},
                     {"proxy-authentication-info", "x"},
                     {"proxy-authorization", "x"},
                     {"date", DateAt(0)}});
  const std::string rest =
      "cache-control: max-age=60, private=\"X-Account, x-b\", no-cache=\"x-c\"\n";
  EXPECT_EQ(TextOf(Stored(answered)->fields),
            rest + "x-d: 10\ndate: " + DateAt(0) + "\nvia: 1.1 frankfurt\n");
  // What is only passed on keeps them.
  answered.request.fields.Add("cache-control", "no-store");
  EXPECT_EQ(TextOf(Stored(answered)->fields),
            rest +
                "x-account: 7\nx-b: 8\nx-c: 9\nx-d: 10\nproxy-authenticate: Basic\n"
                "proxy-authentication-info: x\nproxy-authorization: x\ndate: " +
                DateAt(0) + "\nvia: 1.1 frankfurt\n");
}

TEST(PolicyStoredTest, FieldsThatAreWithheldAreKnownForTheOneWhoAsked) {
  const auto withheld = [](std::string_view control) {
    const Answered answered({{"cache-control", control}, {"x-a", "1"}, {"x-b", "2"}, {"x-a", "3"}});
    const Exchanged exchanged = answered.exchanged();
    return TextOf(WithheldFields(exchanged, DecideStore(exchanged)));
  };
  EXPECT_EQ(withheld("max-age=60"), "");
  EXPECT_EQ(withheld("max-age=60, private=\"X-A\""), "x-a: 1\nx-a: 3\n");
  EXPECT_EQ(withheld("max-age=60, no-cache=\"x-b, x-c\""), "x-b: 2\n");
  EXPECT_EQ(withheld("max-age=60, no-cache=x-b, private=x-a"), "x-a: 1\nx-b: 2\nx-a: 3\n");
}

TEST(PolicyStoredTest, TagsComeFromBothFieldsSeparatedEitherWay) {
  const auto tags = [](Fields fields) {
    const auto stored = Stored(Answered(std::move(fields)));
    std::string text;
    for (const std::string& tag : stored->tags) text += "[" + tag + "]";
    return text;
  };
  EXPECT_EQ(tags({}), "");
  EXPECT_EQ(tags({{"surrogate-key", "a b"}}), "[a][b]");
  EXPECT_EQ(tags({{"cache-tag", "a,b, c\td"}}), "[a][b][c][d]");
  EXPECT_EQ(tags({{"surrogate-key", "  a ,, b "}, {"surrogate-key", "c"}, {"cache-tag", "D"}}),
            "[D][a][b][c]");
  EXPECT_EQ(tags({{"surrogate-key", " , "}}), "");
  EXPECT_EQ(tags({{"surrogate-key", "a b a"}, {"cache-tag", "b"}}), "[a][b]");
}

TEST(PolicyLifetimeTest, AMissingNameWithAHashIsForgottenSoon) {
  constexpr const char* kHashed = "https://www.demo.test/assets/app.5f3c1b2e.js?v";
  const struct {
    const char* url;
    int status;
    Fields response;
    const char* expected;
  } rows[] = {
      {kHashed, 404, {{"cache-control", "max-age=3600, stale-if-error=60"}}, "stored 5s sie=0s"},
      {kHashed, 410, {{"cdn-cache-control", "max-age=3600"}}, "stored 5s sie=0s"},
      {kHashed,
       404,
       {{"cache-control", "max-age=2, stale-while-revalidate=9"}},
       "stored 2s sie=0s"},
      {kHashed, 404, {}, "stored 5s sie=0s guess"},
      {kHashed, 200, {{"cache-control", "max-age=3600"}}, "stored 1h"},
      {kHashed, 301, {{"cache-control", "max-age=3600"}}, "stored 1h"},
      {"https://www.demo.test/a.js", 404, {{"cache-control", "max-age=3600"}}, "stored 1h"},
  };
  for (const auto& row : rows) {
    Answered answered(row.response, row.status);
    answered.request = GetFor(row.url);
    EXPECT_EQ(Decide(answered), row.expected) << row.url << row.status << TextOf(row.response);
  }
}

}  // namespace
}  // namespace nearside::edge
