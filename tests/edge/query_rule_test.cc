#include "edge/query_rule.h"

#include <gtest/gtest.h>

#include <random>

#include "http/uri.h"
#include "tests/edge/messages.h"

namespace nearside::edge {
namespace {

using Names = std::vector<std::string>;

QueryRule Rule(std::string query, Names ignore = {}, Names keep = {}) {
  SiteSettings site;
  site.query = std::move(query);
  site.query_ignore = std::move(ignore);
  site.query_keep = std::move(keep);
  return QueryRule(site);
}

struct QueryRow {
  std::string_view query;
  Names ignore, keep;
  std::string_view target, in_key;
};

TEST(QueryRuleTest, WhatStandsInTheKey) {
  const Names utm = {"utm_*", "fbclid"};
  const QueryRow rows[] = {
      // As it came.
      {"keep", {}, {}, "/a?b=2&a=1&&c", "/a?b=2&a=1&&c"},
      {"keep", {}, {}, "/a?", "/a?"},
      {"keep", {}, {}, "*", "*"},
      // None at all.
      {"ignore", {}, {}, "/a?b=2", "/a"},
      {"ignore", {}, {}, "/a?", "/a"},
      {"ignore", {}, {}, "/a", "/a"},
      {"ignore", {}, {}, "/a?b?c", "/a"},
      {"ignore", {}, {}, "/?x", "/"},
      // Sorted by name; parameters of one name are a list.
      {"sort", {}, {}, "/a?b=2&a=1", "/a?a=1&b=2"},
      {"sort", {}, {}, "/a?a=1&b=2", "/a?a=1&b=2"},
      {"sort", {}, {}, "/a?b=1&a=2&b=0&a=1", "/a?a=2&a=1&b=1&b=0"},
      {"sort", {}, {}, "/a?b&a&b=", "/a?a&b&b="},
      {"sort", {}, {}, "/a?ab=1&a=2&a-=3", "/a?a=2&a-=3&ab=1"},
      {"sort", {}, {}, "/a?b&&a", "/a?&a&b"},
      {"sort", {}, {}, "/a?", "/a?"},
      {"sort", {}, {}, "/a", "/a"},
      {"sort", {}, {}, "/a?B=1&a=1", "/a?B=1&a=1"},
      // Two spellings of a name are one name, and keep their order.
      {"sort", {}, {}, "/a?b[]=1&b%5B%5D=2&a=3", "/a?a=3&b[]=1&b%5B%5D=2"},
      {"sort", {}, {}, "/a?b%5B%5D=2&b[]=1", "/a?b%5B%5D=2&b[]=1"},
      {"sort", {}, {}, "/a?b+c=1&b%20c=2&a=1", "/a?a=1&b+c=1&b%20c=2"},
      // Some are left out.
      {"keep", utm, {}, "/a?utm_source=x&b=1&fbclid=y&utm_=z", "/a?b=1"},
      {"keep", utm, {}, "/a?b=1&utm_source=x", "/a?b=1"},
      {"keep", utm, {}, "/a?utm_source=x&fbclid", "/a"},
      {"keep",
       utm,
       {},
       "/a?utm=1&xutm_a=2&fbclid2=3&Fbclid=4",
       "/a?utm=1&xutm_a=2&fbclid2=3&Fbclid=4"},
      {"keep", utm, {}, "/a?b=utm_source=x", "/a?b=utm_source=x"},
      {"keep", utm, {}, "/a?", "/a?"},
      {"keep", utm, {}, "/a?&fbclid=1&", "/a?&"},
      {"keep", utm, {}, "/utm_x/fbclid?c", "/utm_x/fbclid?c"},
      {"keep", {"b[]"}, {}, "/a?b[]=1&b%5B%5D=2&c", "/a?c"},
      {"keep", {"*"}, {}, "/a?b=1&c", "/a"},
      // Only some are not.
      {"keep", {}, {"id", "page"}, "/a?page=2&x=1&id=7", "/a?page=2&id=7"},
      {"keep", {}, {"id"}, "/a?x=1", "/a"},
      {"keep", {}, {"id"}, "/a?", "/a"},
      {"keep", {}, {"p*"}, "/a?page=2&q=1&p", "/a?page=2&p"},
      {"sort", {}, {"id", "page"}, "/a?page=2&x=1&id=7", "/a?id=7&page=2"},
      {"sort", {"pass"}, {"p*"}, "/a?pb=1&pass=2&pa=3", "/a?pa=3&pb=1"},
      // Only "&" separates: what stands behind ";" is part of the value, and goes with its
      // parameter
      // or stays with it.
      {"keep", utm, {}, "/a?utm_x=1;cb=evil&b=2", "/a?b=2"},
      {"keep", utm, {}, "/a?b=2;utm_x=1", "/a?b=2;utm_x=1"},
      {"keep", utm, {}, "/a?b=2%26utm_x=1", "/a?b=2%26utm_x=1"},
  };
  for (const QueryRow& row : rows) {
    const QueryRule rule = Rule(std::string(row.query), row.ignore, row.keep);
    EXPECT_EQ(rule.Apply(std::string(row.target)), row.in_key) << row.query << " " << row.target;
    EXPECT_EQ(rule.Apply(std::string(row.in_key)), row.in_key) << "twice";
  }
}

TEST(QueryRuleTest, SaysWhetherItChangesAnything) {
  EXPECT_FALSE(QueryRule().changes());
  EXPECT_FALSE(QueryRule(DefaultSite()).changes());
  EXPECT_TRUE(Rule("sort").changes());
  EXPECT_TRUE(Rule("ignore").changes());
  EXPECT_TRUE(Rule("keep", {"a"}).changes());
  EXPECT_TRUE(Rule("keep", {}, {"a"}).changes());
}

TEST(QueryRuleTest, WhatComesOutIsNormalAndStays) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  const QueryRule rules[] = {Rule("sort"), Rule("sort", {"a*"}), Rule("keep", {}, {"b", "%"}),
                             Rule("ignore"), Rule("keep", {"b"})};
  const std::string_view letters = "/?&&=;+ab%24efC[]";
  for (int i = 0; i < 5'000; ++i) {
    std::string target = "/p?";
    for (size_t n = random() % 16; n > 0; --n) target += letters[random() % letters.size()];
    const auto normal = http::NormalizeTarget(target);
    if (!normal) continue;
    for (const QueryRule& rule : rules) {
      const std::string once = rule.Apply(*normal);
      ASSERT_EQ(http::NormalizeTarget(once).value_or("refused"), once) << target;
      ASSERT_EQ(rule.Apply(once), once) << target;
    }
  }
}

}  // namespace
}  // namespace nearside::edge
