#include "runtime/decimal_text.h"

#include <gtest/gtest.h>

#include <limits>

namespace nearside {
namespace {

TEST(DecimalTextTest, HasRoomForEveryNumber) {
  EXPECT_EQ(DecimalText(0).text(), "0");
  EXPECT_EQ(DecimalText(-17).text(), "-17");
  EXPECT_EQ(DecimalText(std::numeric_limits<int64_t>::max()).text(), "9223372036854775807");
  EXPECT_EQ(DecimalText(std::numeric_limits<int64_t>::min()).text(), "-9223372036854775808");
}

}  // namespace
}  // namespace nearside
