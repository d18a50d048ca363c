#include "origin/rate_window.h"

#include <gtest/gtest.h>

#include "runtime/clock.h"

namespace nearside::origin {
namespace {

constexpr uint64_t kLeast = 1000;
constexpr milliseconds kLength = seconds(20);

bool IsSlow(RateWindow* window, uint64_t bytes, seconds waited) {
  return window->IsSlow(bytes, waited, kLeast, kLength);
}

TEST(RateWindowTest, LessThanTheLeastOverAWholeStretchIsSlow) {
  RateWindow window;
  EXPECT_FALSE(IsSlow(&window, 1, seconds(19))) << "it may still make up for it";
  EXPECT_TRUE(IsSlow(&window, 1, seconds(1)));
  RateWindow other;
  EXPECT_FALSE(IsSlow(&other, 1, seconds(19)));
  EXPECT_FALSE(IsSlow(&other, 19'999, seconds(1))) << "just the least";
  EXPECT_TRUE(IsSlow(&other, 19'999, seconds(20)));
}

TEST(RateWindowTest, ABurstBuysNoTimeAfterItsStretch) {
  RateWindow window;
  EXPECT_FALSE(IsSlow(&window, 100'000'000, seconds(1)));
  EXPECT_FALSE(IsSlow(&window, 1, seconds(29))) << "that ends the burst's stretch";
  EXPECT_TRUE(IsSlow(&window, 1, seconds(29)));
}

TEST(RateWindowTest, ASteadyClientIsNever) {
  RateWindow window;
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(IsSlow(&window, 7000, seconds(7)));
}

TEST(RateWindowTest, NoLeastIsNone) {
  RateWindow window;
  EXPECT_FALSE(window.IsSlow(0, seconds(100), 0, kLength));
}

}  // namespace
}  // namespace nearside::origin
