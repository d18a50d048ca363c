#include "edge/freshness.h"

#include <gtest/gtest.h>

#include "tests/edge/messages.h"

namespace nearside::edge {
namespace {

Freshness Minute() {
  return {.response_time = kNow, .initial_age = seconds(10), .lifetime = seconds(60)};
}

TEST(FreshnessTest, AgeGrowsFromTheInitialAge) {
  EXPECT_EQ(Minute().Age(kNow), seconds(10));
  EXPECT_EQ(Minute().Age(After(seconds(5))), seconds(15));
  EXPECT_EQ(Minute().Age(kNow + milliseconds(1)), milliseconds(10'001));
}

TEST(FreshnessTest, AClockThatWentBackDoesNotMakeItYounger) {
  EXPECT_EQ(Minute().Age(After(seconds(-5))), seconds(10));
  EXPECT_TRUE(Minute().IsFresh(After(seconds(-5))));
}

// It would be fresh for as long as the clock was set back.
TEST(FreshnessTest, WhatIsDatedBehindAClockThatWasSetBackIsStale) {
  EXPECT_EQ(Minute().Age(kNow - milliseconds(5001)), seconds(60));
  EXPECT_FALSE(Minute().IsFresh(After(seconds(-3600))));
  Freshness old = Minute();
  old.initial_age = seconds(90);
  EXPECT_EQ(old.Age(After(seconds(-3600))), seconds(90));
}

TEST(FreshnessTest, IsFreshUntilTheAgeReachesTheLifetime) {
  EXPECT_TRUE(Minute().IsFresh(After(seconds(50)) - milliseconds(1)));
  EXPECT_FALSE(Minute().IsFresh(After(seconds(50))));  // RFC 9111 §4.2: lifetime > age
  EXPECT_EQ(Minute().TimeToLive(After(seconds(20))), seconds(30));
  EXPECT_EQ(Minute().TimeToLive(After(seconds(80))), seconds(-30));
}

TEST(FreshnessTest, ALifetimeOfNothingIsNeverFresh) {
  EXPECT_FALSE((Freshness{.response_time = kNow}).IsFresh(kNow));
}

}  // namespace
}  // namespace nearside::edge
