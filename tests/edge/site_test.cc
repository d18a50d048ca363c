#include "edge/site.h"

#include <gtest/gtest.h>

#include "tests/edge/messages.h"

namespace nearside::edge {
namespace {

SiteSettings SiteOf(std::string name, std::vector<std::string> hosts) {
  SiteSettings site = DefaultSite();
  site.name = std::move(name);
  site.hosts = std::move(hosts);
  return site;
}

std::string NameAt(const SiteTable& table, std::string_view host) {
  const Site* site = table.Find(host);
  return site == nullptr ? "none" : site->settings.name;
}

TEST(SiteTableTest, ExactNameThenLongestSuffixThenAny) {
  const SiteTable table({SiteOf("exact", {"www.demo.test"}), SiteOf("wide", {"*.demo.test"}),
                         SiteOf("narrow", {"*.eu.demo.test"}), SiteOf("any", {"*"})});
  struct Row {
    std::string_view host, site;
  };
  constexpr Row kRows[] = {
      {"www.demo.test", "exact"},
      {"img.demo.test", "wide"},
      {"a.b.demo.test", "wide"},
      {"de.eu.demo.test", "narrow"},
      {"a.de.eu.demo.test", "narrow"},
      {"eu.demo.test", "wide"},
      {"demo.test", "any"},
      {"xdemo.test", "any"},
      {"demo.test.evil.test", "any"},
      {"127.0.0.1", "any"},
      {"::1", "any"},
      {"", "any"},
      {".", "any"},
      {"www.demo.test.", "any"},
  };
  for (const Row& row : kRows) EXPECT_EQ(NameAt(table, row.host), row.site) << row.host;
}

TEST(SiteTableTest, WithoutAnAnySiteUnknownHostsHaveNone) {
  const SiteTable exact({SiteOf("exact", {"www.demo.test"})});
  EXPECT_EQ(NameAt(exact, "www.demo.test"), "exact");
  EXPECT_EQ(NameAt(exact, "demo.test"), "none");
  EXPECT_EQ(NameAt(exact, ""), "none");
  const SiteTable wild({SiteOf("wild", {"*.demo.test"})});
  EXPECT_EQ(NameAt(wild, "a.demo.test"), "wild");
  EXPECT_EQ(NameAt(wild, "demo.test"), "none");
}

TEST(SiteTableTest, HostsInTheFileMayBeInUpperCase) {
  const SiteTable table({SiteOf("a", {"WWW.Demo.Test"}), SiteOf("b", {"*.DEMO.test"})});
  EXPECT_EQ(NameAt(table, "www.demo.test"), "a");
  EXPECT_EQ(NameAt(table, "x.demo.test"), "b");
}

TEST(SiteTableTest, OneSiteMayHaveSeveralHosts) {
  const SiteTable table({SiteOf("a", {"a.test", "*.b.test", "c.test"})});
  for (std::string_view host : {"a.test", "x.b.test", "c.test"}) {
    EXPECT_EQ(NameAt(table, host), "a") << host;
  }
}

TEST(SiteTableTest, SitesKeepTheirOrderAndAreFoundByName) {
  const SiteTable table({SiteOf("a", {"a.test"}), SiteOf("b", {"b.test"})});
  ASSERT_EQ(table.sites().size(), 2u);
  EXPECT_EQ(table.sites()[0]->index, 0u);
  EXPECT_EQ(table.sites()[1]->index, 1u);
  EXPECT_EQ(table.FindByName("b"), table.sites()[1].get());
  EXPECT_EQ(table.FindByName("c"), nullptr);
}

TEST(SiteTableTest, ASiteKeepsWhatIsKnownOfItsOriginsThroughAReload) {
  SiteTable before({SiteOf("a", {"a.test"}), SiteOf("b", {"b.test"})});
  OriginAttempt of_a = before.sites()[0]->origin_set->Begin(true, {0, 0}, MonoNow());
  SiteTable after({SiteOf("c", {"c.test"}), SiteOf("a", {"a.test"})}, &before);
  EXPECT_EQ(after.FindByName("a")->origin_set->Report(MonoNow())[0].in_flight, 1u);
  EXPECT_EQ(after.FindByName("c")->origin_set->Report(MonoNow())[0].in_flight, 0u)
      << "the same address under another site";
}

TEST(SiteTableTest, OriginsAreParsedInOrder) {
  SiteSettings settings = SiteOf("a", {"a.test"});
  settings.origins = {"http://10.0.0.1:9000", "https://origin.example"};
  const SiteTable table({settings});
  const auto& origins = table.sites()[0]->origins;
  ASSERT_EQ(origins.size(), 2u);
  EXPECT_EQ(origins[0].ToString(), "http://10.0.0.1:9000");
  EXPECT_EQ(origins[1].host, "origin.example");
  EXPECT_TRUE(origins[1].tls);
}

}  // namespace
}  // namespace nearside::edge
