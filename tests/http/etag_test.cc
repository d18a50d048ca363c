#include "http/etag.h"

#include <gtest/gtest.h>

#include <string>

namespace nearside::http {
namespace {

std::string Text(const std::optional<EntityTag>& tag) {
  if (!tag) return "none";
  return (tag->weak ? "weak " : "strong ") + std::string(tag->opaque);
}

TEST(EntityTagTest, Forms) {
  EXPECT_EQ(Text(ParseEntityTag("\"abc\"")), "strong \"abc\"");
  EXPECT_EQ(Text(ParseEntityTag("W/\"abc\"")), "weak \"abc\"");
  EXPECT_EQ(Text(ParseEntityTag("\"\"")), "strong \"\"");
  EXPECT_EQ(Text(ParseEntityTag(" \"a\\b\" ")), "strong \"a\\b\"");
  EXPECT_EQ(Text(ParseEntityTag("\"\xfc\"")), "strong \"\xfc\"");
  EXPECT_EQ(Text(ParseEntityTag("\"a,b\"")), "strong \"a,b\"");
  for (const char* bad :
       {"", "abc", "\"", "\"abc", "abc\"", "w/\"abc\"", "W/abc", "W/", "W", "W/ \"abc\"",
        "\"a\"b\"", "\"a b\"", "\"a\tb\"", "\"a\" \"b\"", "\"a\x7f\"", "*"}) {
    EXPECT_EQ(Text(ParseEntityTag(bad)), "none") << bad;
  }
}

TEST(EntityTagTest, ComparisonsOfTheRfc) {
  // RFC 9110 §8.8.3.2, table 3.
  const struct {
    const char* a;
    const char* b;
    bool strong;
    bool weak;
  } rows[] = {
      {"W/\"1\"", "W/\"1\"", false, true}, {"W/\"1\"", "W/\"2\"", false, false},
      {"W/\"1\"", "\"1\"", false, true},   {"\"1\"", "\"1\"", true, true},
      {"\"1\"", "\"2\"", false, false},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(StrongMatch(*ParseEntityTag(row.a), *ParseEntityTag(row.b)), row.strong)
        << row.a << row.b;
    EXPECT_EQ(WeakMatch(*ParseEntityTag(row.a), *ParseEntityTag(row.b)), row.weak)
        << row.a << row.b;
    EXPECT_EQ(WeakMatch(*ParseEntityTag(row.b), *ParseEntityTag(row.a)), row.weak)
        << row.a << row.b;
  }
}

TEST(EntityTagTest, Lists) {
  const auto all = [](std::string_view value) {
    std::string text;
    EntityTagReader reader(value);
    while (const auto tag = reader.Next()) text += Text(tag) + ";";
    return text;
  };
  EXPECT_EQ(all(""), "");
  EXPECT_EQ(all("\"a\""), "strong \"a\";");
  EXPECT_EQ(all("\"a\", W/\"b\",\"c,d\""), "strong \"a\";weak \"b\";strong \"c,d\";");
  EXPECT_EQ(all(" , ,\"a\",,"), "strong \"a\";");
  EXPECT_EQ(all("bad, \"a\""), "strong \"a\";");
  EXPECT_EQ(all("\"a\" junk, \"b\""), "strong \"b\";");
  EXPECT_EQ(all("w/\"x\", \"b\""), "strong \"b\";");
  EXPECT_EQ(all("\"unclosed, \"b\""), "strong \"b\";");
  EXPECT_EQ(all("*"), "");
}

}  // namespace
}  // namespace nearside::http
