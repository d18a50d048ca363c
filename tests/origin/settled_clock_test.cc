#include "origin/settled_clock.h"

#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

using std::chrono::hours;

class SettledClockTest : public testing::Test {
 protected:
  void Pass(milliseconds time) {
    now_ += time;
    wall_ += time;
  }
  /// The settled time, as the seconds that it is ahead of the first.
  int64_t Read() { return std::chrono::floor<seconds>(clock_.Read(now_, wall_) - kFirst).count(); }

  static constexpr WallTime kFirst{hours(500'000)};
  MonoTime now_{hours(100)};
  WallTime wall_ = kFirst;
  SettledClock clock_{"uploads", hours(24)};
};

TEST_F(SettledClockTest, FollowsTheWallClock) {
  EXPECT_EQ(Read(), 0);
  Pass(seconds(10));
  EXPECT_EQ(Read(), 10);
  Pass(hours(48));  // that nobody has read it for long is no jump
  EXPECT_EQ(Read(), 48 * 3600 + 10);
  wall_ += kLeastJump;
  EXPECT_EQ(Read(), 48 * 3600 + 15);
  EXPECT_FALSE(clock_.holds());
}

TEST_F(SettledClockTest, AJumpForwardIsHeldBackForThePeriod) {
  Read();
  wall_ += hours(1000);
  EXPECT_EQ(Read(), 0);
  EXPECT_TRUE(clock_.holds());
  Pass(milliseconds(100));
  Read();
  Pass(milliseconds(900));
  EXPECT_EQ(Read(), 1) << "it goes on meanwhile";
  Pass(hours(24) - milliseconds(1001));
  EXPECT_EQ(Read(), 24 * 3600 - 1);
  EXPECT_TRUE(clock_.holds());
  Pass(milliseconds(1));
  EXPECT_EQ(Read(), 1024 * 3600);
  EXPECT_FALSE(clock_.holds());
  Pass(seconds(1));
  EXPECT_EQ(Read(), 1024 * 3600 + 1);
}

TEST_F(SettledClockTest, AJumpBackCountsAtOnce) {
  Read();
  wall_ -= hours(10);
  EXPECT_EQ(Read(), -10 * 3600);
  EXPECT_FALSE(clock_.holds());
  // Set right again it is a jump forward: what was dated meanwhile would be old.
  wall_ += hours(10);
  EXPECT_EQ(Read(), -10 * 3600);
}

TEST_F(SettledClockTest, AJumpThatIsTakenBackIsForgotten) {
  Read();
  wall_ += hours(1000);
  EXPECT_EQ(Read(), 0);
  Pass(hours(1));
  wall_ -= hours(1000);
  EXPECT_EQ(Read(), 3600);
  EXPECT_FALSE(clock_.holds());
}

TEST_F(SettledClockTest, ASecondJumpIsHeldBackAsLongAsTheFirst) {
  Read();
  wall_ += hours(1000);
  EXPECT_EQ(Read(), 0);
  Pass(hours(23));
  wall_ += hours(1000);
  EXPECT_EQ(Read(), 23 * 3600);
  Pass(hours(2));
  EXPECT_EQ(Read(), 25 * 3600);
  Pass(hours(22));
  EXPECT_EQ(Read(), 2047 * 3600);
  // One that is not looked at before the period of the other is over as well.
  wall_ += hours(1000);
  EXPECT_EQ(Read(), 2047 * 3600);
  Pass(hours(25));
  wall_ += hours(1000);
  EXPECT_EQ(Read(), 2072 * 3600);
}

TEST_F(SettledClockTest, JumpAfterJumpIsNotHeldBackForEver) {
  Read();
  for (int day = 0; day < 10; ++day) {
    wall_ += hours(1);
    Read();
    EXPECT_LE((wall_ - kFirst) - seconds(Read()), hours(3)) << "what came in two days is the most";
    Pass(hours(23));
  }
}

}  // namespace
}  // namespace nearside::origin
