#include "http/site_rules.h"

#include <gtest/gtest.h>

namespace nearside::http {
namespace {

TEST(SiteRulesTest, TwoFilesAtTheRootAreRules) {
  EXPECT_TRUE(IsRulesFile("_headers"));
  EXPECT_TRUE(IsRulesFile("_redirects"));
  for (const char* path : {"", "headers", "_Headers", "docs/_headers", "_redirects/x"}) {
    EXPECT_FALSE(IsRulesFile(path)) << path;
  }
}

TEST(SiteRulesTest, EachFileFillsItsOwnRules) {
  SiteRules rules;
  EXPECT_TRUE(ReadRulesFile("_redirects", "/a /b\n", &rules));
  EXPECT_TRUE(ReadRulesFile("_headers", "/*\nx-a: b\n", &rules));
  EXPECT_TRUE(ReadRulesFile("index.html", "whatever", &rules));
  EXPECT_EQ(rules.redirects.size(), 1u);
  EXPECT_EQ(rules.headers.size(), 1u);
  EXPECT_EQ(ReadRulesFile("_redirects", "/a", &rules).error().reason, "bad_rules");
  EXPECT_EQ(rules.redirects.size(), 1u) << "as it was";
}

TEST(SiteRulesTest, APageIsAFileOfTheSite) {
  EXPECT_EQ(AssetOfPage("/"), "index.html");
  EXPECT_EQ(AssetOfPage("/a.html"), "a.html");
  EXPECT_EQ(AssetOfPage("/docs/"), "docs/index.html");
}

}  // namespace
}  // namespace nearside::http
