#include "http/weight.h"

#include <gtest/gtest.h>

namespace nearside::http {
namespace {

TEST(WeightTest, MembersAreTakenApart) {
  const struct {
    std::string_view member, value;
    std::optional<int> thousandths;
  } rows[] = {
      {"gzip", "gzip", 1000},
      {"gzip;q=1", "gzip", 1000},
      {"gzip;q=1.", "gzip", 1000},
      {"gzip;q=1.000", "gzip", 1000},
      {"gzip;q=0", "gzip", 0},
      {"gzip;q=0.", "gzip", 0},
      {"gzip;q=0.000", "gzip", 0},
      {"gzip;q=0.5", "gzip", 500},
      {"gzip;q=0.25", "gzip", 250},
      {"gzip;q=0.001", "gzip", 1},
      {"gzip;q=0.0019", "gzip", 1},
      {"gzip ; q=0.7", "gzip", 700},
      {"gzip;Q=0.7", "gzip", 700},
      {"gzip; q = 0.7 ", "gzip", 700},
      {"text/html;level=1;q=0.4", "text/html", 400},
      {"text/html;level=1", "text/html", 1000},
      {"a;q=0.1;q=0.2", "a", 100},
      {"", "", 1000},
      {";q=0.5", "", 500},
      {"gzip;", "gzip", 1000},
      {"gzip;q", "gzip", std::nullopt},
      {"gzip;q=", "gzip", std::nullopt},
      {"gzip;q=.5", "gzip", std::nullopt},
      {"gzip;q=2", "gzip", std::nullopt},
      {"gzip;q=1.001", "gzip", std::nullopt},
      {"gzip;q=01", "gzip", std::nullopt},
      {"gzip;q=-0", "gzip", std::nullopt},
      {"gzip;q=0,5", "gzip", std::nullopt},
      {"gzip;q=\"1\"", "gzip", std::nullopt},
      {"gzip;q=high", "gzip", std::nullopt},
  };
  for (const auto& row : rows) {
    const WeightedMember weighted = SplitWeight(row.member);
    EXPECT_EQ(weighted.value, row.value) << row.member;
    EXPECT_EQ(weighted.thousandths, row.thousandths) << row.member;
  }
}

TEST(WeightTest, TextIsReadAsTheSame) {
  EXPECT_EQ(FormatWeight(1000), "1");
  EXPECT_EQ(FormatWeight(900), "0.9");
  EXPECT_EQ(FormatWeight(50), "0.05");
  EXPECT_EQ(FormatWeight(0), "0");
  for (int thousandths = 0; thousandths <= 1000; ++thousandths) {
    const std::string member = "a;q=" + FormatWeight(thousandths);
    EXPECT_EQ(SplitWeight(member).thousandths, thousandths);
  }
}

}  // namespace
}  // namespace nearside::http
