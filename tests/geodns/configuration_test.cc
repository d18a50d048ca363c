#include "geodns/configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <iterator>

#include "geodns/world.h"
#include "tests/geodns/mmdb_writer.h"
#include "tests/support/temp_dir.h"

namespace nearside::geodns {
namespace {

using testing::HasSubstr;

// clang-format off
constexpr std::string_view kWhole = R"([geodns]
listen = ["127.0.0.1:0", "[::1]:0"]
threads = 2
[admin]
address = "127.0.0.1:0"
[geo]
databases = ["DIR/geo.mmdb"]
[[pop]]
name = "frankfurt"
addresses = ["127.0.1.1", "::1"]
location = [50.11, 8.68]
check = { url = "https://127.0.1.1:8443/healthz?x=1", server_name = "www.demo.test", interval = "1s", timeout = "1s", rise = 2, fall = 2 }
[[pop]]
name = "tokyo"
addresses = ["127.0.3.1"]
location = [35, 139.7]
weight = 3
[[zone]]
name = "demo.test"
file = "DIR/demo.test.zone"
dnssec = false
[[zone.steer]]
names = ["www", "@"]
policy = "nearest"
pops = ["frankfurt", "tokyo"]
ttl = 20
answers = 2
fallback = ["127.0.0.1"]
fallback_check = { url = "http://127.0.0.1:9000" }
override = [{ countries = ["JP"], continents = ["OC"], cidrs = ["10.0.0.0/8"], pops = ["tokyo"] }]
unknown = ["frankfurt"]
[[zone.steer]]
names = ["ab"]
policy = "weighted"
pops = ["tokyo"]
)";
// clang-format on

constexpr std::string_view kZoneText =
    "$TTL 300\n@ SOA ns1 h 1 1h 1h 1w 60\n@ NS ns1\nns1 A 127.0.0.1\n";

class ConfigurationTest : public testing::Test {
 protected:
  ConfigurationTest() {
    dir_.Write("demo.test.zone", kZoneText);
    dir_.Write("geo.mmdb", MmdbWriter(6).AddFlat("133.0.0.0/8", "JP").Bytes());
  }
  std::string WithDir(std::string_view text) const {
    std::string out(text);
    for (size_t at; (at = out.find("DIR")) != std::string::npos;) out.replace(at, 3, dir_.path());
    return out;
  }
  /// Loads the whole text with `from` replaced by `to`; the error with the folder's name as DIR, or
  /// "".
  std::string LoadWith(std::string_view from, std::string_view to) {
    std::string text(kWhole);
    size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    text.replace(at, from.size(), to);
    auto world = World::Load(dir_.Write("geodns.toml", WithDir(text)));
    if (world) {
      world_ = std::move(*world);
      return "";
    }
    EXPECT_EQ(world.error().fault, Fault::kOperator) << "exit code 78";
    std::string message = world.error().message;
    for (size_t i; (i = message.find(dir_.path())) != std::string::npos;) {
      message.replace(i, dir_.path().size(), "DIR");
    }
    return message;
  }
  test::TempDir dir_;
  World world_;
};

TEST_F(ConfigurationTest, TheContractOfDesignIsRead) {
  ASSERT_EQ(LoadWith("[geodns]", "[geodns]"), "");
  const Configuration& c = *world_.configuration;
  EXPECT_EQ(c.listen.size(), 2U);
  EXPECT_EQ(c.threads, 2U);
  ASSERT_EQ(c.pops.size(), 2U);
  EXPECT_EQ(c.pops[0].addresses.size(), 2U);
  EXPECT_EQ(c.pops[1].location, (Coordinates{35, 139.7}));
  EXPECT_EQ(WeightsOf(c), (std::vector<uint32_t>{1, 3}));
  ASSERT_EQ(c.checks.size(), 2U);
  EXPECT_EQ(c.checks[0].target, "frankfurt");
  EXPECT_TRUE(c.checks[0].endpoint.tls);
  EXPECT_EQ(c.checks[0].endpoint.port, 8443);
  EXPECT_EQ(c.checks[0].endpoint.server_name, "www.demo.test");
  EXPECT_EQ(c.checks[0].authority, "127.0.1.1:8443") << "an edge answers /healthz to an address";
  EXPECT_EQ(c.checks[0].path, "/healthz?x=1");
  EXPECT_EQ(c.checks[1].target, "fallback demo.test www");
  EXPECT_EQ(c.checks[1].path, "/");
  EXPECT_EQ(c.checks[1].interval, seconds(5));
  ASSERT_EQ(c.zones[0].steers.size(), 2U);
  const SteerRule& rule = c.zones[0].steers[0].rule;
  EXPECT_EQ(rule.pops, (Pops{0, 1}));
  EXPECT_EQ(rule.answers, 2U);
  EXPECT_EQ(rule.unknown, Pops{0});
  EXPECT_TRUE(rule.has_fallback);
  ASSERT_EQ(rule.overrides.size(), 1U);
  EXPECT_EQ(rule.overrides[0].countries, std::vector{CountryCode('J', 'P')});
  EXPECT_EQ(rule.overrides[0].networks[0].ToText(), "10.0.0.0/8");
  EXPECT_EQ(c.zones[0].steers[1].rule.policy, Policy::kWeighted);
  EXPECT_EQ(c.zones[0].steers[1].ttl, 30U) << "the default";
}

TEST_F(ConfigurationTest, WhatIsWrongIsNamedWithItsLine) {
  const struct {
    std::string_view from, to, want;
  } kRows[] = {
      {"listen = [\"127.0.0.1:0\", ", "listen = [\"127.0.0.1\", ",
       "DIR/geodns.toml:1: geodns.listen: "},
      {"\"[::1]:0\"", "\"127.0.0.1:0\"", "geodns.listen: 127.0.0.1:0 stands there twice"},
      {"listen = [\"127.0.0.1:0\", \"[::1]:0\"]", "listen = []",
       "DIR/geodns.toml:2: geodns.listen: "},
      {"address = \"127.0.0.1:0\"", "address = \"0.0.0.0:0\"",
       "admin.token_file: expected a token file, because admin.address is not a loopback address"},
      {"[geo]", "token_file = \"DIR/none\"\n[geo]", "DIR/none: "},
      {"DIR/geo.mmdb", "DIR/none.mmdb", "DIR/none.mmdb: No such file or directory"},
      {"name = \"tokyo\"", "name = \"frankfurt\"",
       "two points of presence are called \"frankfurt\""},
      {"name = \"tokyo\"", "name = \"to kyo\"", "pop.name: expected a name without spaces"},
      {"\"127.0.3.1\"", "\"127.0.3\"", "pop.addresses: expected an address like 192.0.2.1"},
      {"[50.11, 8.68]", "[91, 8.68]", "pop.location: expected [latitude, longitude]"},
      {"[50.11, 8.68]", "[50.11]", "pop.location: expected [latitude, longitude]"},
      {"location = [50.11, 8.68]\n", "",
       "\"nearest\" needs a location for the [[pop]] \"frankfurt\""},
      {"https://127.0.1.1:8443", "ftp://127.0.1.1", "check.url: "},
      {"https://127.0.1.1:8443/healthz?x=1", "127.0.1.1", "check.url: "},
      {"timeout = \"1s\"", "timeout = 1", "timeout"},
      {"server_name", "ca = \"DIR/none.pem\", server_name", "DIR/none.pem"},
      {"dnssec = false", "dnssec = true", "zone.dnssec: signing is not supported yet"},
      {"pops = [\"frankfurt\", \"tokyo\"]", "pops = [\"frankfurt\", \"osaka\"]",
       "DIR/geodns.toml:22: zone.steer.pops: there is no [[pop]] called \"osaka\""},
      {"pops = [\"frankfurt\", \"tokyo\"]", "pops = [\"tokyo\", \"tokyo\"]",
       "\"tokyo\" stands there twice"},
      {"policy = \"nearest\"", "policy = \"closest\"", "nearest"},
      {"fallback = [\"127.0.0.1\"]\n", "", "there are no fallback addresses to check"},
      {"\"JP\"", "\"JPN\"", "override.countries: expected a code like JP, got \"JPN\""},
      {"\"OC\"", "\"XX\"",
       "override.continents: expected AF, AN, AS, EU, NA, OC or SA, got \"XX\""},
      {"10.0.0.0/8", "10.0.0.1/8", "override.cidrs: expected a network like 10.0.0.0/8"},
      {"countries = [\"JP\"]", "asns = [2497]",
       "override.asns: autonomous system numbers are not supported yet"},
      {"countries = [\"JP\"], continents = [\"OC\"], cidrs = [\"10.0.0.0/8\"], ", "",
       "override: expected countries, continents or cidrs: it matches nobody"},
      {"names = [\"www\", \"@\"]", "names = [\"www..x\"]",
       "zone.steer.names: \"www..x\" is no domain name"},
      {"names = [\"ab\"]", "names = [\"WWW\"]",
       "DIR/geodns.toml:32: WWW.demo.test. is already steered at DIR/geodns.toml:22"},
      {"names = [\"ab\"]", "names = [\"www.other.\"]", "www.other. is not in the zone demo.test."},
      {"name = \"demo.test\"", "name = \"demo..test\"", "zone.name: "},
      {"[[zone]]", "[[zone]]\nname = \"DEMO.test\"\nfile = \"DIR/demo.test.zone\"\n[[zone]]",
       "two zones are called \"demo.test\""},
      {"DIR/demo.test.zone", "DIR/none.zone", "DIR/none.zone"},
      {"threads = 2", "thread = 2", "thread"},
  };
  for (const auto& row : kRows) {
    EXPECT_THAT(LoadWith(row.from, row.to), HasSubstr(row.want)) << row.to;
  }
}

TEST_F(ConfigurationTest, AllErrorsAreTold) {
  std::string errors = LoadWith("\"127.0.3.1\"", "\"x\", \"y\"");
  EXPECT_EQ(std::count(errors.begin(), errors.end(), '\n'), 1) << errors;
}

TEST_F(ConfigurationTest, ErrorsOfAZoneNameItsFile) {
  dir_.Write("demo.test.zone", std::string(kZoneText) + "www A x\n");
  EXPECT_EQ(LoadWith("[geodns]", "[geodns]"),
            "DIR/demo.test.zone:5: A: expected an IPv4 address, got \"x\"");
}

TEST_F(ConfigurationTest, RulesThatAreAlikeShareTheirTable) {
  ASSERT_EQ(LoadWith("names = [\"ab\"]\npolicy = \"weighted\"\npops = [\"tokyo\"]",
                     "names = [\"a\"]\npolicy = \"failover\"\npops = [\"tokyo\"]\nttl = 5\n"
                     "[[zone.steer]]\nnames = [\"b\"]\npolicy = \"failover\"\npops = [\"tokyo\"]"),
            "");
  auto snapshot = MakeSnapshot(world_, std::vector<TargetHealth>(2));
  ASSERT_EQ(snapshot->steers.size(), 3U);
  EXPECT_EQ(snapshot->steers[1].table, snapshot->steers[2].table);
  EXPECT_NE(snapshot->steers[0].table, snapshot->steers[1].table);
  EXPECT_EQ(snapshot->steers[1].ttl, 5U);
}

TEST_F(ConfigurationTest, HealthReachesTheRules) {
  ASSERT_EQ(LoadWith("[geodns]", "[geodns]"), "");
  std::vector<TargetHealth> targets(2);
  targets[0].up = false;
  targets[1].up = false;
  const Configuration& c = *world_.configuration;
  Health health = HealthFor(c, c.zones[0].steers[0], targets);
  EXPECT_EQ(health.pops, (std::vector{PopState::kDown, PopState::kUp}));
  EXPECT_FALSE(health.fallback_is_up);
  EXPECT_TRUE(HealthFor(c, c.zones[0].steers[1], targets).fallback_is_up);
}

TEST(GeodnsTableTest, EveryKeyIsDocumented) {
  std::string document = GeodnsTable().Document("geodns.toml");
  for (std::string_view key :
       {"listen",        "threads", "state",      "tcp_connections", "tcp_idle_timeout",
        "drain_timeout", "address", "token_file", "databases",       "addresses",
        "location",      "weight",  "url",        "server_name",     "rise",
        "fall",          "dnssec",  "policy",     "fallback_check",  "override",
        "countries",     "unknown"}) {
    bool row = document.find("| `" + std::string(key) + "` |") != std::string::npos;
    bool heading = document.find(" " + std::string(key) + " = ") != std::string::npos;
    EXPECT_TRUE(row || heading) << key;
  }
}

}  // namespace
}  // namespace nearside::geodns
