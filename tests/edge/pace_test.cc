#include "edge/pace.h"

#include <gtest/gtest.h>

namespace nearside::edge {
namespace {

TEST(PaceTest, GivesItsRateAndNoMoreThanATenthOfASecondAtOnce) {
  const MonoTime start{};
  Pace pace(10_MiB, start);
  EXPECT_EQ(pace.Take(100 << 20, start), (10u << 20) / 10);
  EXPECT_EQ(pace.Take(1, start), 0u);
  uint64_t taken = 0;
  for (int ms = 1; ms <= 1000; ++ms) taken += pace.Take(100 << 20, start + milliseconds(ms));
  EXPECT_NEAR(static_cast<double>(taken), 10 << 20, 2000);
  EXPECT_EQ(pace.Take(100 << 20, start + seconds(100)), (10u << 20) / 10);
}

TEST(PaceTest, AStepIsLostToNoRounding) {
  const MonoTime start{};
  Pace pace({1000}, start);
  (void)pace.Take(1 << 20, start);
  uint64_t taken = 0;
  for (int us = 100; us <= 1'000'000; us += 100) {
    taken += pace.Take(1 << 20, start + std::chrono::microseconds(us));
  }
  EXPECT_NEAR(static_cast<double>(taken), 1000, 150);
}

TEST(PaceTest, WithoutARateThereIsNoLimit) {
  Pace pace({0}, MonoTime{});
  EXPECT_EQ(pace.Take(1ull << 40, MonoTime{}), 1ull << 40);
}

}  // namespace
}  // namespace nearside::edge
