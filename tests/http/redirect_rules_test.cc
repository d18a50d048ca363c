#include "http/redirect_rules.h"

#include <gtest/gtest.h>

namespace nearside::http {
namespace {

std::string TargetText(const std::optional<RedirectTarget>& target) {
  if (!target) return "-";
  return std::to_string(target->status) + " " + target->location + target->page;
}

/// What the rules make of a path where the site has no file.
std::string RedirectOf(std::string_view rules, std::string_view path) {
  const Result<RedirectRules> parsed = RedirectRules::Parse(rules);
  return parsed ? TargetText(parsed->Find(path)) : parsed.error().message;
}

std::string RedirectRefusal(std::string_view rules) {
  const Result<RedirectRules> parsed = RedirectRules::Parse(rules);
  if (parsed) return "no error";
  EXPECT_EQ(parsed.error().reason, "bad_rules");
  EXPECT_EQ(parsed.error().fault, Fault::kClient);
  return parsed.error().message;
}

TEST(RedirectRulesTest, ALineIsARule) {
  const struct {
    const char* rules;
    const char* path;
    const char* target;
  } rows[] = {
      {"/a /b", "/a", "301 /b"},
      {"/a\t /b   302", "/a", "302 /b"},
      {"  /a /b 303  ", "/a", "303 /b"},
      {"/a /b 307\r\n", "/a", "307 /b"},
      {"/a /b 308 # moved for good", "/a", "308 /b"},
      {"/a /b 200", "/a", "200 /b"},
      {"/a /b 404", "/a", "404 /b"},
      {"/a /b 410!", "/a", "410 /b"},
      {"# none\n\n/a /b", "/a", "301 /b"},
      {"\xEF\xBB\xBF/a /b", "/a", "301 /b"},
      {"/a https://b.test/c?d=e#f", "/a", "301 https://b.test/c?d=e#f"},
      {"/a http://b.test:8080", "/a", "301 http://b.test:8080"},
      {"/a /b#part", "/a", "301 /b#part"},
      {"/a /\xC3\xA4/%41\"", "/a", "301 /%C3%A4/%41%22"},
      {"/a /%C3%A4 200", "/a", "200 /\xC3\xA4"},
      {"", "/a", "-"},
  };
  for (const auto& row : rows) EXPECT_EQ(RedirectOf(row.rules, row.path), row.target) << row.rules;
}

TEST(RedirectRulesTest, TheFirstRuleThatMatchesCounts) {
  const char* rules = "/a/b /first\n/a/* /second/:splat\n/* /third\n";
  EXPECT_EQ(RedirectOf(rules, "/a/b"), "301 /first");
  EXPECT_EQ(RedirectOf(rules, "/a/c"), "301 /second/c");
  EXPECT_EQ(RedirectOf(rules, "/d"), "301 /third");
}

TEST(RedirectRulesTest, OnlyForcedRulesStandAboveFiles) {
  const RedirectRules rules = RedirectRules::Parse("/a /b\n/a /c 302!\n/* /d 200!\n").value();
  EXPECT_EQ(TargetText(rules.FindForced("/a")), "302 /c");
  EXPECT_EQ(TargetText(rules.Find("/a")), "301 /b");
  EXPECT_EQ(TargetText(rules.FindForced("/x")), "200 /d");
  EXPECT_EQ(rules.size(), 3u);
}

TEST(RedirectRulesTest, WhatWasCapturedIsEncodedWhereItStands) {
  EXPECT_EQ(RedirectOf("/a/* /b/:splat", "/a/x y/\xC3\xA4?"), "301 /b/x%20y/%C3%A4%3F");
  EXPECT_EQ(RedirectOf("/a/:b /c?d=:b&e=1", "/a/x&y=z"), "301 /c?d=x%26y%3Dz&e=1");
  EXPECT_EQ(RedirectOf("/a/:b /c-:b.html", "/a/x"), "301 /c-x.html");
  EXPECT_EQ(RedirectOf("/a/* /b/:splat 200", "/a/x y"), "200 /b/x y");
  EXPECT_EQ(RedirectOf("/a/:b https://c.test/:b", "/a/\r\nx"), "301 https://c.test/%0D%0Ax");
}

TEST(RedirectRulesTest, ATargetNeverBecomesAnotherHost) {
  EXPECT_EQ(RedirectOf("/a/* /:splat/evil.test", "/a/"), "301 /evil.test");
  EXPECT_EQ(RedirectOf("/a/* /:splat", "/a//evil.test"), "301 /evil.test");
  EXPECT_EQ(RedirectOf("/a/* /:splat", "/a/"), "301 /");
  EXPECT_EQ(RedirectOf("/a/* https://b.test/:splat", "/a/"), "301 https://b.test/");
}

TEST(RedirectRulesTest, EveryMistakeNamesFileLineAndWhatWasExpected) {
  const std::pair<std::string, std::string> rows[] = {
      {"/a", "_redirects:1: expected \"FROM TO [STATUS]\""},
      {"# x\n\n/a /b 299", "_redirects:3: \"299\" is no status"},
      {"/a /b 301!!", "is no status"},
      {"/a /b 302 Country=de", "nothing stands behind the status"},
      {"/a /b Language=de", "conditions (Country=, Language=, Role=, Cookie=) are not known"},
      {"/store id=:id /blog/:id 301", "not by query parameters"},
      {"/store id=:id /blog", "query parameters"},
      {"https://a.test/* /b", "it holds for every host of the site"},
      {"a /b", "_redirects:1: expected a path that begins with /"},
      {"/a b", "\"b\" is no target"},
      {"/a //evil.test", "begins with one /"},
      {"/a ftp://b.test/", "is no target"},
      {"/a https://", "the target is no URL"},
      {"/a https://user@b.test/", "the target is no URL"},
      {"/a https://b.test/c 200", "other sites are not fetched from here"},
      {"/* https://:splat/", "the target is no URL"},
      {"/a /b/:splat", "\":splat\" is nothing that the rule's path has"},
      {"/a/:b /c/:d", "\":d\" is nothing"},
      {"/a/*b /c", "* stands alone"},
      {"/a /b?c=d 200", "a page is a path alone"},
      {"/a /%zz", "two hexadecimal digits"},
      {"/a /a", "leads to itself"},
      {"/a /" + std::string(5000, 'b'), "the line has more than 4096 bytes"},
      {std::string(300'000, '\n'), "_redirects: the file has more than 256 KiB"},
  };
  for (const auto& [text, message] : rows) {
    EXPECT_NE(RedirectRefusal(text).find(message), std::string::npos)
        << text.substr(0, 60) << "\n  says " << RedirectRefusal(text);
  }
}

TEST(RedirectRulesTest, MoreRulesThanTheLimitAreRefused) {
  std::string rules;
  for (size_t i = 0; i < kRedirectRules; ++i) rules += "/" + std::to_string(i) + " /x\n";
  EXPECT_EQ(RedirectRefusal(rules), "no error");
  EXPECT_EQ(RedirectRefusal(rules + "/one /more\n"),
            "_redirects:2001: there are more than 2000 rules");
}

TEST(RedirectRulesTest, TellsWhichFilesItMayServeUnderOtherPaths) {
  const RedirectRules rules =
      RedirectRules::Parse("/app/* /index.html 200\n/d /docs/ 200\n/x /gone.html\n").value();
  EXPECT_TRUE(rules.MayServe("index.html"));
  EXPECT_TRUE(rules.MayServe("docs/index.html"));
  EXPECT_FALSE(rules.MayServe("gone.html")) << "a redirect serves nothing";
  EXPECT_FALSE(rules.MayServe("other.html"));
  const RedirectRules any = RedirectRules::Parse("/a/* /b/:splat 200\n").value();
  EXPECT_TRUE(any.MayServe("other.html")) << "which one it is the visitor says";
}

}  // namespace
}  // namespace nearside::http
