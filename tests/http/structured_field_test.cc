#include "http/structured_field.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace nearside::http::structured {
namespace {

/// What parsing and writing again gives; "refused" where there is no field.
std::string ItemText(std::string_view text) {
  const auto item = ParseItem(text);
  return item ? Serialize(*item).value_or("unwritable") : "refused";
}
std::string ListText(std::string_view text) {
  const auto list = ParseList(text);
  return list ? Serialize(*list).value_or("unwritable") : "refused";
}
std::string DictionaryText(std::string_view text) {
  const auto dictionary = ParseDictionary(text);
  return dictionary ? Serialize(*dictionary).value_or("unwritable") : "refused";
}

struct Row {
  const char* text;
  const char* canonical;
};

TEST(StructuredFieldTest, Items) {
  const Row rows[] = {
      {"42", "42"},
      {"-0", "0"},
      {"00042", "42"},
      {"-42", "-42"},
      {"999999999999999", "999999999999999"},
      {"1000000000000000", "refused"},
      {"4.5", "4.5"},
      {"-4.500", "-4.5"},
      {"4.0", "4.0"},
      {"0.001", "0.001"},
      {"123456789012.123", "123456789012.123"},
      {"1234567890123.1", "refused"},
      {"4.", "refused"},
      {"4.1234", "refused"},
      {".5", "refused"},
      {"-", "refused"},
      {"--1", "refused"},
      {"1 2", "refused"},
      {"\"text\"", "\"text\""},
      {"\"\"", "\"\""},
      {R"("a\"b\\c")", R"("a\"b\\c")"},
      {R"("a\b")", "refused"},
      {"\"a", "refused"},
      {"\"a\tb\"", "refused"},
      {"\"\xc3\xbc\"", "refused"},
      {"token", "token"},
      {"*tok/en:x", "*tok/en:x"},
      {"tok en", "refused"},
      {"!tok", "refused"},
      {":aGVsbG8=:", ":aGVsbG8=:"},
      {":aGVsbG8:", ":aGVsbG8=:"},
      {"::", "::"},
      {":a:", "refused"},
      {":a b:", "refused"},
      {":aGVsbG8=", "refused"},
      {"?1", "?1"},
      {"?0", "?0"},
      {"?2", "refused"},
      {"?", "refused"},
      {"@1659578233", "@1659578233"},
      {"@-1", "@-1"},
      {"@1.5", "refused"},
      {"@", "refused"},
      {"%\"f%c3%bc\"", "%\"f%c3%bc\""},
      {"%\"f%C3%BC\"", "refused"},
      {"%\"f%c3\"", "refused"},
      {"%\"%\"", "refused"},
      {"%\"plain\"", "%\"plain\""},
      {"a;b", "a;b"},
      {"a;b=?1", "a;b"},
      {"a;b=?0", "a;b=?0"},
      {"a; b=1;  c=\"x\"", "a;b=1;c=\"x\""},
      {"a;b=1;b=2", "a;b=2"},
      {"a ;b", "refused"},
      {"a;B", "refused"},
      {"a;b=", "refused"},
      {"  a  ", "a"},
      {"\ta", "refused"},
      {"", "refused"},
      {"(a b)", "refused"},
      {"a,b", "refused"},
  };
  for (const Row& row : rows) EXPECT_EQ(ItemText(row.text), row.canonical) << row.text;
}

TEST(StructuredFieldTest, Lists) {
  const Row rows[] = {
      {"", ""},
      {"a", "a"},
      {"a,b", "a, b"},
      {"a \t,\t b", "a, b"},
      {"a,", "refused"},
      {",a", "refused"},
      {"a,,b", "refused"},
      {"a b", "refused"},
      {"()", "()"},
      {"(a  b );p=1, c;q", "(a b);p=1, c;q"},
      {"(a b", "refused"},
      {"(a,b)", "refused"},
      {"(\"a\"\"b\")", "refused"},
      {"((a))", "refused"},
      {"\"frankfurt\"; hit; ttl=545, \"o\"; fwd=miss", "\"frankfurt\";hit;ttl=545, \"o\";fwd=miss"},
  };
  for (const Row& row : rows) EXPECT_EQ(ListText(row.text), row.canonical) << row.text;
}

TEST(StructuredFieldTest, Dictionaries) {
  const Row rows[] = {
      {"", ""},
      {"max-age=600, must-revalidate", "max-age=600, must-revalidate"},
      {"a=1,b,c;x=2", "a=1, b, c;x=2"},
      {"a=?1", "a"},
      {"a=?0", "a=?0"},
      {"a=1,a=2", "a=2"},
      {"a=(1 2);p", "a=(1 2);p"},
      {"A=1", "refused"},
      {"a =1", "refused"},
      {"a= 1", "refused"},
      {"a=", "refused"},
      {"a=1,", "refused"},
      {"a;b", "a;b"},
      {"1a=2", "refused"},
      {"*a._-9=1", "*a._-9=1"},
  };
  for (const Row& row : rows) EXPECT_EQ(DictionaryText(row.text), row.canonical) << row.text;
}

TEST(StructuredFieldTest, SizesAreBounded) {
  std::string members = "a";
  for (int i = 1; i < 1024; ++i) members += ",a";
  EXPECT_TRUE(ParseList(members));
  EXPECT_FALSE(ParseList(members + ",a"));
  std::string inner = "(a";
  for (int i = 1; i < 256; ++i) inner += " a";
  EXPECT_TRUE(ParseList(inner + ")"));
  EXPECT_FALSE(ParseList(inner + " a)"));
}

TEST(StructuredFieldTest, WhatHasNoFormIsNotWritten) {
  EXPECT_EQ(Serialize(BareItem(int64_t{1'000'000'000'000'000})), std::nullopt);
  EXPECT_EQ(Serialize(BareItem(std::string("a\nb"))), std::nullopt);
  EXPECT_EQ(Serialize(BareItem(Token{"1a"})), std::nullopt);
  EXPECT_EQ(Serialize(BareItem(Token{""})), std::nullopt);
  EXPECT_EQ(Serialize(BareItem(DisplayString{"\xff"})), std::nullopt);
  EXPECT_EQ(Serialize(Dictionary{{"Bad Key", Item{}}}), std::nullopt);
  EXPECT_EQ(Serialize(Item{true, {{"Bad", true}}}), std::nullopt);
  EXPECT_EQ(Serialize(BareItem(Decimal{-1'500})), "-1.5");
  EXPECT_EQ(Serialize(BareItem(Bytes{std::string("\0\xff", 2)})), ":AP8=:");
}

TEST(StructuredFieldTest, BadUtf8IsRefused) {
  for (const char* bad : {"%\"%80\"", "%\"%c0%80\"", "%\"%e0%80%80\"", "%\"%ed%a0%80\"",
                          "%\"%f5%80%80%80\"", "%\"%f4%90%80%80\"", "%\"%e2%82\""}) {
    EXPECT_EQ(ItemText(bad), "refused") << bad;
  }
  EXPECT_EQ(ItemText("%\"%e2%82%ac %f0%9f%98%80\""), "%\"%e2%82%ac %f0%9f%98%80\"");
}

TEST(StructuredFieldTest, EveryPieceOfAFieldIsReadOrRefusedWithoutHarm) {
  const std::string_view whole =
      R"(a=(1 "x\"y" t/k);p=:aGk=:, b=-1.25;q=?0, c, d=@12, e=%"%c3%bc";r="s")";
  ASSERT_TRUE(ParseDictionary(whole));
  for (size_t size = 0; size < whole.size(); ++size) {
    const std::string canonical = DictionaryText(whole.substr(0, size));
    EXPECT_EQ(canonical == "refused" ? canonical : DictionaryText(canonical), canonical);
  }
}

TEST(StructuredFieldTest, GarbageNeverBreaksTheRoundTrip) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string_view letters = "ab01 \t,;=()\"\\:?@%*-.xyz\xc3\x7f/";
  for (int i = 0; i < 20'000; ++i) {
    std::string text;
    for (size_t n = random() % 20; n > 0; --n) text += letters[random() % letters.size()];
    const auto dictionary = ParseDictionary(text);
    if (!dictionary) continue;
    const auto written = Serialize(*dictionary);
    ASSERT_TRUE(written) << text;
    ASSERT_EQ(ParseDictionary(*written), dictionary) << text;
  }
}

}  // namespace
}  // namespace nearside::http::structured
