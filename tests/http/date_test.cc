#include "http/date.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <ctime>
#include <random>
#include <string>

namespace nearside::http {
namespace {

constexpr WallTime kInNovember2026 = WallTime(seconds(1'795'000'000));  // in November 2026
constexpr WallTime kExample = WallTime(seconds(784'111'777));  // Sun, 06 Nov 1994 08:49:37 GMT

TEST(DateTest, AllThreeFormsMeanTheSame) {
  EXPECT_EQ(ParseDate("Sun, 06 Nov 1994 08:49:37 GMT", kInNovember2026), kExample);
  EXPECT_EQ(ParseDate("Sunday, 06-Nov-94 08:49:37 GMT", kInNovember2026), kExample);
  EXPECT_EQ(ParseDate("Sun Nov  6 08:49:37 1994", kInNovember2026), kExample);
}

// RFC 9111 §4.2.
TEST(DateTest, TheZoneOfTheMachineTakesNoPart) {
  const char* before = std::getenv("TZ");
  const std::string kept = before != nullptr ? before : "";
  for (const char* zone : {"Asia/Tokyo", "JST-9", "EST5EDT"}) {
    setenv("TZ", zone, 1);
    tzset();
    EXPECT_EQ(ParseDate("Sun, 06 Nov 1994 08:49:37 GMT", kInNovember2026), kExample) << zone;
    EXPECT_EQ(ParseDate("Sun Nov  6 08:49:37 1994", kInNovember2026), kExample) << zone;
    EXPECT_EQ(FormatDate(kExample), "Sun, 06 Nov 1994 08:49:37 GMT") << zone;
  }
  before != nullptr ? setenv("TZ", kept.c_str(), 1) : unsetenv("TZ");
  tzset();
}

TEST(DateTest, NamesMatchInAnyCase) {
  EXPECT_EQ(ParseDate("sUN, 06 nOV 1994 08:49:37 gMT", kInNovember2026), kExample);
  EXPECT_EQ(ParseDate("SUNDAY, 06-NOV-94 08:49:37 GMT", kInNovember2026), kExample);
  EXPECT_EQ(ParseDate("SUN NOV  6 08:49:37 1994", kInNovember2026), kExample);
}

TEST(DateTest, WeekdayNeedNotFitTheDate) {
  EXPECT_EQ(ParseDate("Mon, 06 Nov 1994 08:49:37 GMT", kInNovember2026), kExample);
}

TEST(DateTest, ExtremesAndLeapDays) {
  EXPECT_EQ(ParseDate("Thu, 01 Jan 1970 00:00:00 GMT", kInNovember2026), WallTime(seconds(0)));
  EXPECT_EQ(ParseDate("Thu, 29 Feb 2024 23:59:59 GMT", kInNovember2026),
            WallTime(seconds(1'709'251'199)));
  EXPECT_EQ(ParseDate("Sat, 31 Dec 2016 23:59:60 GMT", kInNovember2026),
            WallTime(seconds(1'483'228'800)));
  EXPECT_TRUE(ParseDate("Fri, 31 Dec 9999 23:59:59 GMT", kInNovember2026));
  EXPECT_TRUE(ParseDate("Sat, 01 Jan 0000 00:00:00 GMT", kInNovember2026));
}

TEST(DateTest, TwoDigitYearsAreAtMostFiftyAhead) {
  EXPECT_EQ(ParseDate("Friday, 20-Nov-26 00:00:00 GMT", kInNovember2026),
            ParseDate("Fri, 20 Nov 2026 00:00:00 GMT", kInNovember2026));
  EXPECT_EQ(ParseDate("Friday, 20-Nov-76 00:00:00 GMT", kInNovember2026),
            ParseDate("Fri, 20 Nov 2076 00:00:00 GMT", kInNovember2026));
  EXPECT_EQ(ParseDate("Friday, 20-Nov-77 00:00:00 GMT", kInNovember2026),
            ParseDate("Fri, 20 Nov 1977 00:00:00 GMT", kInNovember2026));
  EXPECT_EQ(ParseDate("Friday, 20-Nov-00 00:00:00 GMT", kInNovember2026),
            ParseDate("Fri, 20 Nov 2000 00:00:00 GMT", kInNovember2026));
}

TEST(DateTest, RefusesWhatOnlyLooksLikeADate) {
  for (const char* bad : {
           "",
           "0",
           "-1",
           "Sun",
           "Sun,",
           "Sun, 06 Nov 1994 08:49:37",
           "Sun, 06 Nov 1994 08:49:37 UTC",
           "Sun, 06 Nov 1994 08:49:37 GMT ",
           " Sun, 06 Nov 1994 08:49:37 GMT",
           "Sun, 06 Nov 1994 08:49:37 GMTX",
           "Sun, 06 Nov 1994 08:49:37 +0000",
           "Sun,  06 Nov 1994 08:49:37 GMT",
           "Sun 06 Nov 1994 08:49:37 GMT",
           "Sun, 6 Nov 1994 08:49:37 GMT",
           "Sun, 06 Nov 94 08:49:37 GMT",
           "Sun, 06-Nov-1994 08:49:37 GMT",
           "Sun, 06 Now 1994 08:49:37 GMT",
           "Sun, 06 Nov 1994 8:49:37 GMT",
           "Sun, 06 Nov 1994 08.49.37 GMT",
           "Sun, 06 Nov 1994 24:00:00 GMT",
           "Sun, 06 Nov 1994 08:60:00 GMT",
           "Sun, 06 Nov 1994 08:49:61 GMT",
           "Sun, 00 Nov 1994 08:49:37 GMT",
           "Sun, 31 Nov 1994 08:49:37 GMT",
           "Wed, 29 Feb 2023 00:00:00 GMT",
           "Xyz, 06 Nov 1994 08:49:37 GMT",
           "Sunday, 06 Nov 1994 08:49:37 GMT",
           "Sunday, 06-Nov-1994 08:49:37 GMT",
           "Sunda, 06-Nov-94 08:49:37 GMT",
           "Sun Nov 6 08:49:37 1994",
           "Sun Nov  6 08:49:37 94",
           "Sun Nov 16  08:49:37 1994",
           "2026-11-20T07:00:00Z",
       }) {
    EXPECT_EQ(ParseDate(bad, kInNovember2026), std::nullopt) << bad;
  }
}

TEST(DateTest, EveryShorterTextIsRefused) {
  for (const std::string_view whole :
       {"Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT",
        "Sun Nov  6 08:49:37 1994"}) {
    for (size_t size = 0; size < whole.size(); ++size) {
      EXPECT_EQ(ParseDate(whole.substr(0, size), kInNovember2026), std::nullopt)
          << whole.substr(0, size);
    }
  }
}

TEST(DateTest, FormatsAsImfFixdate) {
  EXPECT_EQ(FormatDate(kExample), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(FormatDate(kExample + milliseconds(999)), "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(FormatDate(WallTime(seconds(0))), "Thu, 01 Jan 1970 00:00:00 GMT");
  EXPECT_EQ(FormatDate(WallTime(milliseconds(-1))), "Wed, 31 Dec 1969 23:59:59 GMT");
  EXPECT_EQ(FormatDate(WallTime(seconds(1'709'251'199))), "Thu, 29 Feb 2024 23:59:59 GMT");
}

TEST(DateTest, WhatWasFormattedIsReadBack) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937_64 random(seed);
  std::uniform_int_distribution<int64_t> pick(-62'167'219'200, 253'402'300'799);  // years 0 to 9999
  for (int i = 0; i < 2000; ++i) {
    const WallTime time = WallTime(seconds(pick(random)));
    EXPECT_EQ(ParseDate(FormatDate(time), kInNovember2026), time) << FormatDate(time);
  }
}

TEST(DateTest, DateClockMakesATextOncePerSecond) {
  DateClock clock;
  const std::string_view first = clock.At(kExample);
  EXPECT_EQ(first, "Sun, 06 Nov 1994 08:49:37 GMT");
  EXPECT_EQ(clock.At(kExample + milliseconds(999)).data(), first.data());
  EXPECT_EQ(clock.At(kExample + seconds(1)), "Sun, 06 Nov 1994 08:49:38 GMT");
  EXPECT_EQ(clock.At(kExample), "Sun, 06 Nov 1994 08:49:37 GMT");
}

}  // namespace
}  // namespace nearside::http
