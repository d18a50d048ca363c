#include "runtime/units.h"

#include <gtest/gtest.h>

#include <limits>

namespace nearside {
namespace {

using std::chrono::milliseconds;

struct DurationRow {
  std::string_view text;
  int64_t ms;
};

TEST(UnitsTest, EveryDurationUnitIsRead) {
  const DurationRow rows[] = {
      {"0s", 0},
      {"0ms", 0},
      {"250ms", 250},
      {"2s", 2'000},
      {"1m", 60'000},
      {"12h", 43'200'000},
      {"1d", 86'400'000},
      {"1w", 604'800'000},
      {"1y", 31'536'000'000},
      {"1h30m", 5'400'000},
      {"1d1ms", 86'400'001},
      {"1y1w1d1h1m1s1ms", 31'536'000'000 + 604'800'000 + 86'400'000 + 3'600'000 + 61'001},
      {"90s", 90'000},
      {"007s", 7'000},
      {"9223372036854775807ms", std::numeric_limits<int64_t>::max()},
  };
  for (const DurationRow& row : rows) {
    const Result<milliseconds> parsed = ParseDuration(row.text);
    ASSERT_TRUE(parsed) << row.text;
    EXPECT_EQ(parsed->count(), row.ms) << row.text;
  }
}

TEST(UnitsTest, WhatIsNoDurationIsRefused) {
  for (const std::string_view text : {"",
                                      "5",
                                      "s",
                                      "ms",
                                      "-1s",
                                      "+1s",
                                      "1 s",
                                      " 1s",
                                      "1s ",
                                      "1.5s",
                                      "1S",
                                      "1min",
                                      "1sec",
                                      "1month",
                                      "1h 30m",
                                      "30m1h",
                                      "1h1h",
                                      "1s1s1s",
                                      "1m1",
                                      "1ms1s",
                                      "9223372036854775808ms",
                                      "9223372036854775807s",
                                      "292471209y",
                                      "99999999999999999999s",
                                      "1s\n",
                                      "0x1s",
                                      "1s,2s"}) {
    const Result<milliseconds> parsed = ParseDuration(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().reason, "bad_duration");
    EXPECT_EQ(parsed.error().fault, Fault::kOperator);
    EXPECT_EQ(parsed.error().message,
              "expected a duration like \"250ms\", \"2s\" or \"1h30m\", got \"" +
                  std::string(text) + "\"");
  }
}

TEST(UnitsTest, DurationsAreWrittenInTheUnitsPeopleUse) {
  const DurationRow rows[] = {
      {"0s", 0},
      {"1ms", 1},
      {"250ms", 250},
      {"2s", 2'000},
      {"1m30s", 90'000},
      {"1s500ms", 1'500},
      {"1d12h", 36LL * 3'600'000},
      {"1d", 86'400'000},
      {"30d", 30LL * 86'400'000},
      {"2w", 14LL * 86'400'000},
      {"1y", 365LL * 86'400'000},
      {"400d", 400LL * 86'400'000},
      {"-5s", -5'000},
  };
  for (const DurationRow& row : rows) EXPECT_EQ(FormatDuration(milliseconds(row.ms)), row.text);
}

TEST(UnitsTest, AWrittenDurationIsReadBack) {
  for (int64_t ms = 1; ms > 0 && ms < std::numeric_limits<int64_t>::max() / 7; ms = ms * 3 + 1) {
    const std::string text = FormatDuration(milliseconds(ms));
    const Result<milliseconds> back = ParseDuration(text);
    ASSERT_TRUE(back) << text;
    EXPECT_EQ(back->count(), ms) << text;
  }
  const milliseconds most = milliseconds::max();
  EXPECT_EQ(ParseDuration(FormatDuration(most)).value(), most);
  EXPECT_EQ(FormatDuration(milliseconds::min()), "-" + FormatDuration(most));
}

struct SizeRow {
  std::string_view text;
  uint64_t bytes;
};

TEST(UnitsTest, EverySizeUnitIsRead) {
  const SizeRow rows[] = {
      {"0B", 0},
      {"512B", 512},
      {"64KiB", 65'536},
      {"1MiB", 1'048'576},
      {"1GiB", 1'073'741'824},
      {"2TiB", 2'199'023'255'552},
      {"1PiB", 1'125'899'906'842'624},
      {"5kB", 5'000},
      {"5KB", 5'000},
      {"10MB", 10'000'000},
      {"3GB", 3'000'000'000},
      {"1TB", 1'000'000'000'000},
      {"1PB", 1'000'000'000'000'000},
      {"9223372036854775807B", 9'223'372'036'854'775'807},
  };
  for (const SizeRow& row : rows) {
    const Result<ByteSize> parsed = ParseSize(row.text);
    ASSERT_TRUE(parsed) << row.text;
    EXPECT_EQ(parsed->bytes, row.bytes) << row.text;
  }
}

TEST(UnitsTest, WhatIsNoSizeIsRefused) {
  for (const std::string_view text :
       {"", "7", "B", "GiB", "-1B", "1 GiB", " 1B", "1B ", "1.5GiB", "1gib", "1G", "1g", "1Gb",
        "1EiB", "1GiB1MiB", "8192PiB", "9223372036854775808B", "99999999999999999999B"}) {
    const Result<ByteSize> parsed = ParseSize(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().reason, "bad_size");
    EXPECT_EQ(
        parsed.error().message,
        "expected a size like \"64KiB\", \"1GiB\" or \"10MB\", got \"" + std::string(text) + "\"");
  }
}

TEST(UnitsTest, SizesAreWrittenShortestAndBinaryWhenEqual) {
  const SizeRow rows[] = {
      {"0B", 0},          {"1B", 1},           {"1023B", 1023},         {"1KiB", 1024},
      {"64KiB", 65'536},  {"1MiB", 1 << 20},   {"1536KiB", 1536 << 10}, {"10MB", 10'000'000},
      {"512kB", 512'000}, {"1TiB", 1LL << 40}, {"1GB", 1'000'000'000},
  };
  for (const SizeRow& row : rows) EXPECT_EQ(FormatSize(ByteSize{row.bytes}), row.text);
}

TEST(UnitsTest, AWrittenSizeIsReadBack) {
  for (uint64_t bytes = 1; bytes < (1ULL << 60); bytes = bytes * 5 / 2 + 1) {
    const std::string text = FormatSize(ByteSize{bytes});
    EXPECT_EQ(ParseSize(text).value().bytes, bytes) << text;
  }
}

TEST(UnitsTest, LiteralsAreBinary) {
  EXPECT_EQ(2_KiB, ByteSize{2048});
  EXPECT_EQ(2_MiB, ByteSize{2097152});
  EXPECT_EQ(2_GiB, ByteSize{2147483648});
  EXPECT_LT(1023_KiB, 1_MiB);
}

}  // namespace
}  // namespace nearside
