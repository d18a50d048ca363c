#include "http/session/health_check.h"

#include <gtest/gtest.h>

namespace nearside::http {
namespace {

TEST(HealthCheckTest, IntervalsDifferByUpToATenth) {
  EXPECT_EQ(Jittered(seconds(10), 0), seconds(9));
  EXPECT_EQ(Jittered(seconds(10), UINT16_MAX), seconds(11));
  EXPECT_NEAR(static_cast<double>(Jittered(seconds(10), UINT16_MAX / 2).count()), 10'000, 1);
  EXPECT_EQ(Jittered(milliseconds(0), 7), milliseconds(0));
}

}  // namespace
}  // namespace nearside::http
