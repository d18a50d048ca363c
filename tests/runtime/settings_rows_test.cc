#include "runtime/settings_rows.h"

#include <gtest/gtest.h>

namespace nearside::settings {
namespace {

TEST(SettingsTypesTest, EveryCppTypeHasItsKind) {
  EXPECT_EQ(KindOf<std::string>().type, Type::kText);
  EXPECT_EQ(KindOf<bool>().type, Type::kBool);
  EXPECT_EQ(KindOf<int>().type, Type::kInteger);
  EXPECT_EQ(KindOf<double>().type, Type::kNumber);
  EXPECT_EQ(KindOf<ByteSize>().type, Type::kSize);
  EXPECT_EQ(KindOf<std::chrono::milliseconds>().type, Type::kDuration);
  EXPECT_EQ(KindOf<std::vector<std::string>>().type, Type::kTexts);
  EXPECT_EQ(KindOf<std::vector<int64_t>>().type, Type::kIntegers);
  EXPECT_EQ(KindOf<std::vector<double>>().type, Type::kNumbers);
}

TEST(SettingsTypesTest, AnIntegersRangeIsItsTypes) {
  EXPECT_EQ(KindOf<uint8_t>().least, 0);
  EXPECT_EQ(KindOf<uint8_t>().most, 255);
  EXPECT_EQ(KindOf<int>().least, std::numeric_limits<int>::min());
  EXPECT_EQ(KindOf<uint32_t>().most, 4294967295);
  EXPECT_EQ(KindOf<uint64_t>().least, 0);
  EXPECT_EQ(KindOf<uint64_t>().most, std::numeric_limits<int64_t>::max());
  EXPECT_EQ(KindOf<int64_t>().least, std::numeric_limits<int64_t>::min());
}

TEST(SettingsRowsTest, BoundsAreReadOfTypesThatHaveAnOrder) {
  EXPECT_EQ(ParseBound(Type::kInteger, "-5"), Parsed(int64_t{-5}));
  EXPECT_EQ(ParseBound(Type::kNumber, "0.5"), Parsed(0.5));
  EXPECT_EQ(ParseBound(Type::kSize, "1KiB"), Parsed(1_KiB));
  EXPECT_EQ(ParseBound(Type::kDuration, "1s"), Parsed(std::chrono::milliseconds(1000)));
  EXPECT_EQ(ParseBound(Type::kInteger, "5x"), std::nullopt);
  EXPECT_EQ(ParseBound(Type::kText, "5"), std::nullopt);
}

TEST(SettingsRowsTest, QuotedTextIsToml) {
  EXPECT_EQ(Quote("plain é"), "\"plain é\"");
  EXPECT_EQ(Quote("a\"b\\c\nd\x01\x7f"), R"("a\"b\\c\nd\u0001\u007f")");
}

TEST(SettingsRowsTest, TheNearestKeyIsWithinAThirdOfItsLetters) {
  Rows rows;
  for (const std::string_view key : {"address", "addresses", "ttl", "tls", "check"}) {
    rows.rows.push_back(rows.NewRow(key, {}, Shape::kKey, {}));
  }
  const std::pair<std::string_view, std::string_view> table[] = {
      {"adress", "address"},
      {"adresses", "addresses"},
      {"address ", "address"},
      {"tlt", "ttl"},
      {"tl", "ttl"},
      {"chekc", "check"},
      {"cehck", "check"},
      {"chcek", "check"},
      {"ck", ""},
      {"memory", ""},
      {"", ""},
      {"x", ""},
      {std::string_view("addressaddressaddressaddressaddressaddressaddressaddressaddress"), ""},
  };
  for (const auto& [typed, meant] : table) EXPECT_EQ(rows.Nearest(typed), meant) << typed;
}

}  // namespace
}  // namespace nearside::settings
