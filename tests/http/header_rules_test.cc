#include "http/header_rules.h"

#include <gtest/gtest.h>

namespace nearside::http {
namespace {

/// "name: value|…" of a path.
std::string FieldsSaid(std::string_view rules, std::string_view path) {
  const Result<HeaderRules> parsed = HeaderRules::Parse(rules);
  if (!parsed) return parsed.error().message;
  std::string text;
  for (const auto& [name, value] : parsed->FieldsOf(path)) text += name + ": " + value + "|";
  return text;
}

std::string HeaderRefusal(std::string_view rules) {
  const Result<HeaderRules> parsed = HeaderRules::Parse(rules);
  if (parsed) return "no error";
  EXPECT_EQ(parsed.error().reason, "bad_rules");
  return parsed.error().message;
}

TEST(HeaderRulesTest, FieldsBelongToThePathAboveThem) {
  const char* rules =
      "# all\n/*\n  X-Frame-Options: DENY\n\n/docs/*\r\n\tLink: </a.css>; rel=preload\r\n"
      "/img/:name\n  x-a:b\n";
  EXPECT_EQ(FieldsSaid(rules, "/"), "x-frame-options: DENY|");
  EXPECT_EQ(FieldsSaid(rules, "/docs/a"), "x-frame-options: DENY|link: </a.css>; rel=preload|");
  EXPECT_EQ(FieldsSaid(rules, "/img/a.png"), "x-frame-options: DENY|x-a: b|");
  EXPECT_EQ(FieldsSaid(rules, "/img/a/b.png"), "x-frame-options: DENY|");
  EXPECT_EQ(FieldsSaid("", "/"), "");
}

TEST(HeaderRulesTest, LinesOfOneRuleAreJoinedAndALaterRuleReplaces) {
  const char* rules =
      "/*\n cache-control: max-age=0\n Cache-Control: must-revalidate\n"
      "/assets/*\n cache-control: immutable\n";
  EXPECT_EQ(FieldsSaid(rules, "/"), "cache-control: max-age=0, must-revalidate|");
  EXPECT_EQ(FieldsSaid(rules, "/assets/a"), "cache-control: immutable|");
}

TEST(HeaderRulesTest, TagsOfAllRulesComeTogether) {
  const char* rules = "/*\n surrogate-key: a b\n/x\n Cache-Tag: c, a\n Surrogate-Key: d\n";
  EXPECT_EQ(FieldsSaid(rules, "/x"), "surrogate-key: a b c d|");
  EXPECT_EQ(FieldsSaid(rules, "/y"), "surrogate-key: a b|");
}

TEST(HeaderRulesTest, EveryMistakeNamesFileLineAndField) {
  std::string many_fields = "/*\n";
  for (size_t i = 0; i <= kHeaderRuleFields; ++i) {
    many_fields += "x-" + std::to_string(i) + ": y\n";
  }
  std::string many_tags = "/*\nsurrogate-key:";
  for (size_t i = 0; i <= kHeaderRuleTags; ++i) many_tags += " t" + std::to_string(i);
  const std::pair<std::string, std::string> rows[] = {
      {"X-A: b\n", "_headers:1: expected a path before the first field"},
      {"/*\nnonsense\n", "_headers:2: \"nonsense\": expected a path"},
      {"/*\nX A: b\n", "_headers:2: \"x a\": expected a path"},
      {"/*\nX-A:\n", "_headers:2: \"x-a\" has no value"},
      {"/*\nX-A: b\x01\n", "has control characters"},
      {"/a b\nX-A: b\n", "_headers:1: a path has no spaces"},
      {"/a X-A: b\n", "a path has no spaces"},
      {"/**\nX-A: b\n", "_headers:1: one * at most"},
      {"/*\nSet-Cookie: a=b\n", "_headers:2: \"set-cookie\" cannot be set by a site"},
      {"/*\nTransfer-Encoding: chunked\n", "\"transfer-encoding\" cannot be set"},
      {"/*\nContent-Length: 7\n", "\"content-length\" cannot be set"},
      {"/*\nLocation: /x\n", "\"location\" cannot be set"},
      {"/*\nAlt-Svc: h3=\":443\"\n", "\"alt-svc\" cannot be set"},
      {"/*\nBasic-Auth: user:secret\n", "passwords are not asked for"},
      {"/*\nContent-Type: nonsense\n", "is no content type"},
      {"/*\nContent-Type: a/b\nContent-Type: a/c\n", "has one value"},
      {many_fields, "a path has at most 32 fields"},
      {many_tags, "more than 60 tags"},
      {"/*\nsurrogate-key: " + std::string(300, 't'), "a tag has at most 256 bytes"},
  };
  for (const auto& [text, message] : rows) {
    EXPECT_NE(HeaderRefusal(text).find(message), std::string::npos)
        << text.substr(0, 60) << "\n  says " << HeaderRefusal(text);
  }
}

TEST(HeaderRulesTest, MorePathsThanTheLimitAreRefused) {
  std::string rules;
  for (size_t i = 0; i < kHeaderRules; ++i) rules += "/" + std::to_string(i) + "\nx-a: b\n";
  EXPECT_EQ(HeaderRefusal(rules), "no error");
  EXPECT_EQ(HeaderRefusal(rules + "/one\n"), "_headers:2001: there are more than 1000 paths");
}

}  // namespace
}  // namespace nearside::http
