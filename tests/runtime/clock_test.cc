#include "runtime/clock.h"

#include <gtest/gtest.h>

namespace nearside {
namespace {

TEST(ClockTest, WallTimeIsStoredAsUnixMilliseconds) {
  const WallTime moment = FromUnixMillis(1'795'158'000'123);
  EXPECT_EQ(ToUnixMillis(moment), 1'795'158'000'123);
  EXPECT_EQ(ToUnixMillis(moment + seconds(2)), 1'795'158'002'123);
  EXPECT_EQ(ToUnixMillis(FromUnixMillis(-1)), -1);
}

TEST(ClockTest, NowIsAfterThisFileWasWrittenAndMonotonicTimeDoesNotGoBack) {
  EXPECT_GT(ToUnixMillis(WallNow()), 1'700'000'000'000);
  const MonoTime before = MonoNow();
  EXPECT_LE(before, MonoNow());
}

TEST(ClockTest, IsoTimeHasMillisecondsAndIsUtc) {
  EXPECT_EQ(FormatIsoTime(FromUnixMillis(0)), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(FormatIsoTime(FromUnixMillis(1'795'158'000'123)), "2026-11-20T07:00:00.123Z");
  EXPECT_EQ(FormatIsoTime(FromUnixMillis(-1)), "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace nearside
