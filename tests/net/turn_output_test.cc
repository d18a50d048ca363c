#include "net/turn_output.h"

#include <gtest/gtest.h>

#include "runtime/text_bytes.h"
#include "tests/net/stream_pair.h"

namespace nearside::net {
namespace {

TEST(TurnOutputTest, RoomShrinksToZeroAndNotBelow) {
  auto loop = std::move(*EventLoop::Create());
  TurnOutput output(*loop, nullptr, 100);
  EXPECT_EQ(output.room(), 100u);
  output.Append(AsBytes(std::string(60, 'a')));
  EXPECT_EQ(output.room(), 40u);
  output.Append(AsBytes(std::string(40 + TurnOutput::kSlack, 'b')));
  EXPECT_EQ(output.room(), 0u);
  EXPECT_EQ(output.produced(), 100 + TurnOutput::kSlack);
  EXPECT_TRUE(output.Seal());
  EXPECT_EQ(TextOf(output.wire()), std::string(60, 'a') + std::string(72, 'b'));
}

TEST(TurnOutputTest, WireBytesGoFirstAndCountForNothing) {
  auto loop = std::move(*EventLoop::Create());
  TurnOutput output(*loop, nullptr, 10);
  output.AppendWire(AsBytes("kept"));
  output.Append({});
  EXPECT_EQ(output.room(), 10u);
  EXPECT_EQ(output.produced(), 0u);
  output.Append(AsBytes("new"));
  EXPECT_EQ(TextOf(output.wire()), "keptnew");
}

TEST(TurnOutputDeathTest, MoreThanTheRoomAndItsSlackIsABug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto loop = std::move(*EventLoop::Create());
  EXPECT_DEATH(
      {
        TurnOutput output(*loop, nullptr, 10);
        output.Append(AsBytes(std::string(10 + TurnOutput::kSlack + 1, 'x')));
      },
      "more than there was room for");
}

}  // namespace
}  // namespace nearside::net
