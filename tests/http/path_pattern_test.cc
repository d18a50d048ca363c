#include "http/path_pattern.h"

#include <gtest/gtest.h>

#include <random>

namespace nearside::http {
namespace {

/// "name=value …" of a match, "-" of none, the error's message of a bad pattern.
std::string Matched(std::string_view pattern, std::string_view path,
                    PathPattern::Star star = PathPattern::Star::kAnywhere) {
  const Result<PathPattern> parsed = PathPattern::Parse(pattern, star);
  if (!parsed) return parsed.error().message;
  const std::optional<Captures> captures = parsed->Match(path);
  if (!captures) return "-";
  std::string text;
  for (const Capture& capture : *captures) text += capture.name + "=" + capture.value + " ";
  return text;
}

bool IsPattern(std::string_view text, PathPattern::Star star = PathPattern::Star::kAnywhere) {
  return PathPattern::Parse(text, star).has_value();
}

TEST(PathPatternTest, TextMatchesItselfWithAndWithoutASlashAtTheEnd) {
  const struct {
    const char* pattern;
    const char* path;
    const char* matched;
  } rows[] = {
      {"/", "/", ""},       {"/", "/a", "-"},       {"/a", "/a", ""},
      {"/a", "/a/", ""},    {"/a/", "/a", ""},      {"/a/", "/a/", ""},
      {"/a", "/ab", "-"},   {"/ab", "/a", "-"},     {"/a/b", "/a", "-"},
      {"/a", "/A", "-"},    {"/a%20b", "/a b", ""}, {"/\xC3\xA4", "/\xC3\xA4", ""},
      {"/a:b", "/a:b", ""}, {"/%3Aid", "/:id", ""}, {"/a%2A", "/a*", ""},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Matched(row.pattern, row.path), row.matched) << row.pattern << " " << row.path;
  }
}

TEST(PathPatternTest, PlaceholdersAreWholeSegmentsThatAreNotEmpty) {
  EXPECT_EQ(Matched("/blog/:year/:slug", "/blog/2026/x y"), "year=2026 slug=x y ");
  EXPECT_EQ(Matched("/blog/:year/:slug", "/blog/2026/x/"), "year=2026 slug=x ");
  EXPECT_EQ(Matched("/blog/:year/:slug", "/blog/2026"), "-");
  EXPECT_EQ(Matched("/blog/:year/:slug", "/blog/2026/"), "-");
  EXPECT_EQ(Matched("/blog/:year/:slug", "/blog/2026/x/y"), "-");
  EXPECT_EQ(Matched("/:a/b", "/x/b"), "a=x ");
  EXPECT_EQ(Matched("/:a/b", "/x/c"), "-");
}

TEST(PathPatternTest, TheStarTakesWhatIsLeft) {
  EXPECT_EQ(Matched("/*", "/"), "splat= ");
  EXPECT_EQ(Matched("/*", "/a/b/"), "splat=a/b/ ");
  EXPECT_EQ(Matched("/docs/*", "/docs/a/b"), "splat=a/b ");
  EXPECT_EQ(Matched("/docs/*", "/docs/"), "splat= ");
  EXPECT_EQ(Matched("/docs/*", "/docs"), "splat= ");
  EXPECT_EQ(Matched("/docs/*", "/documents"), "-");
  EXPECT_EQ(Matched("/:lang/*", "/en/a/b"), "lang=en splat=a/b ");
  EXPECT_EQ(Matched("/:lang/*", "/en"), "lang=en splat= ");
}

TEST(PathPatternTest, TextMayStandBesideTheStarWhereThatIsAllowed) {
  EXPECT_EQ(Matched("/*.css", "/a/b.css"), "splat=a/b ");
  EXPECT_EQ(Matched("/*.css", "/.css"), "splat= ");
  EXPECT_EQ(Matched("/*.css", "/a.js"), "-");
  EXPECT_EQ(Matched("/img-*/x", "/img-1/2/x"), "splat=1/2 ");
  EXPECT_EQ(Matched("/ab*bc", "/abc"), "-") << "the same letter is not taken twice";
  for (const char* pattern : {"/*.css", "/a*", "/*/x", "/a*/b"}) {
    EXPECT_FALSE(IsPattern(pattern, PathPattern::Star::kAtEnd)) << pattern;
    EXPECT_TRUE(IsPattern(pattern)) << pattern;
  }
}

TEST(PathPatternTest, WhatCanNeverMatchIsRefused) {
  for (const char* pattern :
       {"", "a", "//", "/a//b", "/a?b", "/a#b", "/./a", "/a/..", "/%", "/%0a", "/%00", "/a%5Cb",
        "/:", "/:a-b", "/:splat", "/:a/:a", "/**", "/*/*", "/*/:a"}) {
    EXPECT_FALSE(IsPattern(pattern)) << pattern;
  }
  EXPECT_EQ(PathPattern::Parse("a", PathPattern::Star::kAtEnd).error().reason, "bad_rule");
}

TEST(PathPatternTest, KnowsWhatItCaptures) {
  const PathPattern pattern = PathPattern::Parse("/:a/*", PathPattern::Star::kAtEnd).value();
  EXPECT_TRUE(pattern.Has("a"));
  EXPECT_TRUE(pattern.Has("splat"));
  EXPECT_FALSE(pattern.Has("b"));
  EXPECT_FALSE(pattern.is_plain());
  const PathPattern plain = PathPattern::Parse("/a/b", PathPattern::Star::kAtEnd).value();
  EXPECT_TRUE(plain.is_plain());
  EXPECT_FALSE(plain.Has("splat"));
}

TEST(PathPatternTest, RandomPiecesNeverCaptureMoreThanThePathHas) {
  std::mt19937 random(7);
  const auto text = [&] {
    std::string made = "/";
    for (unsigned i = random() % 12; i > 0; --i) made += "/:*a.b"[random() % 6];
    return made;
  };
  for (int i = 0; i < 20'000; ++i) {
    const std::string path = text();
    const Result<PathPattern> pattern = PathPattern::Parse(text(), PathPattern::Star::kAnywhere);
    const auto captures = pattern ? pattern->Match(path) : std::nullopt;
    size_t captured = 0;
    if (captures) {
      for (const Capture& capture : *captures) captured += capture.value.size();
    }
    EXPECT_LE(captured, path.size());
  }
}

}  // namespace
}  // namespace nearside::http
