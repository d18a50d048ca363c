#include "http/range.h"

#include <gtest/gtest.h>

#include <string>

namespace nearside::http {
namespace {

std::string Text(const RangeSelection& selection) {
  if (selection.outcome == RangeOutcome::kIgnored) return "200";
  if (selection.outcome == RangeOutcome::kUnsatisfiable) return "416";
  std::string text = "206";
  for (const ByteRange& range : selection.ranges) {
    text += " " + std::to_string(range.first) + "-" + std::to_string(range.last);
  }
  return text;
}

TEST(RangeTest, SelectionOfAThousandBytes) {
  const struct {
    const char* range;
    const char* answer;
  } rows[] = {
      {"bytes=0-499", "206 0-499"},
      {"bytes=500-", "206 500-999"},
      {"bytes=-500", "206 500-999"},
      {"bytes=0-", "206 0-999"},
      {"bytes=0-0", "206 0-0"},
      {"bytes=999-", "206 999-999"},
      {"bytes=0-5000", "206 0-999"},
      {"bytes=-5000", "206 0-999"},
      {"bytes=0-0,-1", "206 0-0 999-999"},
      {"bytes=500-600,0-99", "206 500-600 0-99"},
      {"bytes=0-99, 2000-3000", "206 0-99"},
      {"bytes= 0-1 , 3-4", "206 0-1 3-4"},
      {"BYTES=0-1", "206 0-1"},
      {"bytes=0-18446744073709551615", "206 0-999"},
      {"bytes=0-99999999999999999999999999", "206 0-999"},
      {"bytes=1000-", "416"},
      {"bytes=1000-1001", "416"},
      {"bytes=-0", "416"},
      {"bytes=5000-,2000-2001", "416"},
      {"bytes=99999999999999999999999999-", "416"},
      // Not valid: as if it were not there.
      {"", "200"},
      {"bytes", "200"},
      {"bytes=", "200"},
      {"bytes=,", "200"},
      {"bytes=-", "200"},
      {"bytes=a-b", "200"},
      {"bytes=5-4", "200"},
      {"bytes=0-1-2", "200"},
      {"bytes=--5", "200"},
      {"bytes=0 - 1", "200"},
      {"bytes=+0-1", "200"},
      {"bytes=0-1,bad", "200"},
      {"bytes 0-1", "200"},
      {"bytes =0-1", "200"},
      {"lines=0-1", "200"},
      {"bytes=0x0-1", "200"},
      // One overlap may be a mistake, more is not answered.
      {"bytes=0-9,5-14", "206 0-9 5-14"},
      {"bytes=0-,0-,0-", "200"},
      {"bytes=0-9,5-14,8-20", "200"},
  };
  for (const auto& row : rows)
    EXPECT_EQ(Text(SelectRanges(row.range, 1000)), row.answer) << row.range;
}

// RFC 9110 §14.1.2: only a suffix is, and no Content-Range could say which bytes these are.
TEST(RangeTest, OfAnEmptyBodyASuffixIsAllThereIs) {
  const struct {
    const char* range;
    const char* answer;
  } rows[] = {
      {"bytes=0-", "416"},
      {"bytes=0-0", "416"},
      {"bytes=5-9", "416"},
      {"bytes=-0", "416"},
      {"bytes=0-,-0", "416"},
      {"bytes=-1", "200"},
      {"bytes=-5", "200"},
      {"bytes=0-4, -5", "200"},
      {"bytes=-5,0-", "200"},
      {"bytes=-0,-1", "200"},
      {"bytes=-99999999999999999999", "200"},
      {"bytes=-", "200"},
      {"lines=-5", "200"},
  };
  for (const auto& row : rows) EXPECT_EQ(Text(SelectRanges(row.range, 0)), row.answer) << row.range;
}

TEST(RangeTest, TooManyRangesAreIgnored) {
  std::string range = "bytes=0-0";
  for (size_t i = 1; i < kRangesInRequest; ++i)
    range += "," + std::to_string(2 * i) + "-" + std::to_string(2 * i);
  EXPECT_EQ(SelectRanges(range, 1000).ranges.size(), kRangesInRequest);
  EXPECT_EQ(Text(SelectRanges(range + ",900-900", 1000)), "200");
}

TEST(RangeTest, SpecsAreReadWithoutALength) {
  const auto specs = ParseRange("bytes=5-,1-2,-7");
  ASSERT_TRUE(specs);
  ASSERT_EQ(specs->size(), 3u);
  EXPECT_EQ((*specs)[0], (RangeSpec{5, std::nullopt}));
  EXPECT_EQ((*specs)[1], (RangeSpec{1, 2}));
  EXPECT_EQ((*specs)[2], (RangeSpec{std::nullopt, 7}));
}

TEST(RangeTest, ContentRangeIsWrittenAndReadBack) {
  const struct {
    ContentRange value;
    const char* text;
  } rows[] = {
      {{ByteRange{0, 499}, 1234}, "bytes 0-499/1234"},
      {{ByteRange{5, 5}, std::nullopt}, "bytes 5-5/*"},
      {{std::nullopt, 1234}, "bytes */1234"},
      {{std::nullopt, 0}, "bytes */0"},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(FormatContentRange(row.value), row.text);
    EXPECT_EQ(ParseContentRange(row.text), row.value);
  }
}

TEST(RangeTest, BadContentRanges) {
  for (const char* bad :
       {"", "bytes", "bytes ", "bytes 0-1", "bytes 0-1/", "bytes /5", "bytes */*", "bytes 2-1/5",
        "bytes 0-5/5", "bytes 0-/5", "bytes -1/5", "bytes a-b/c", "lines 0-1/5", "bytes 0-1/5x",
        "bytes  0-1/5", "bytes 0-1 /5", "bytes 0-18446744073709551615/*", "0-1/5", "/ "}) {
    EXPECT_EQ(ParseContentRange(bad), std::nullopt) << bad;
  }
}

}  // namespace
}  // namespace nearside::http
