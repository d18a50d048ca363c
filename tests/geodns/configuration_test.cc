#include "geodns/configuration.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
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
  struct Refusal {
    std::string_view from, to, want;
  };
  void ExpectRefusals(const std::vector<Refusal>& rows) {
    for (const Refusal& row : rows) {
      EXPECT_THAT(LoadWith(row.from, row.to), HasSubstr(row.want)) << row.to;
    }
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

TEST_F(ConfigurationTest, ChecksAndCapacityAreRead) {
  ASSERT_EQ(LoadWith("weight = 3",
                     "check = { url = \"http://[::1]:80/h\", expect_status = [200, 204], "
                     "expect_body = \"well\", most_lag = \"30s\", interval = \"4s\" }\n"
                     "most_load = 0.5"),
            "");
  const Configuration& c = *world_.configuration;
  const CheckPlan& plan = c.checks[*c.pops[1].check];
  EXPECT_EQ(plan.expect_status, (std::vector{200, 204}));
  EXPECT_EQ(plan.expect_body, "well");
  EXPECT_EQ(plan.most_lag, seconds(30));
  EXPECT_FALSE(plan.is_tcp);
  EXPECT_EQ(c.pops[1].capacity.most_load, 0.5);
  EXPECT_EQ(c.pops[1].capacity.take_back_load, 0.4) << "four fifths, unless it is said";
  EXPECT_EQ(c.pops[1].capacity.settle, seconds(30 + 2 * 4)) << "longest TTL, two checks";
  ASSERT_EQ(LoadWith("ttl = 20", "ttl = 7200"), "");
  EXPECT_EQ(world_.configuration->pops[0].capacity.settle, seconds(7200 + 2))
      << "however long: a step before its effect is seen would be one too many";
  ASSERT_EQ(LoadWith("weight = 3", "check = { url = \"tcp://[::1]:443\" }"), "");
  const CheckPlan& tcp = world_.configuration->checks[1];
  EXPECT_TRUE(tcp.is_tcp);
  EXPECT_EQ(tcp.endpoint.host, "::1");
  EXPECT_EQ(tcp.endpoint.port, 443);
}

TEST_F(ConfigurationTest, WhatLiesWithinADistanceIsWorkedOut) {
  EXPECT_EQ(LoadWith("ttl = 20", "answers_within = \"10000km\""), "");
  EXPECT_EQ(world_.configuration->zones[0].steers[0].rule.beside, (std::vector<Pops>{{1}, {0}}));
  EXPECT_TRUE(world_.configuration->zones[0].steers[1].rule.beside.empty());
  EXPECT_EQ(LoadWith("ttl = 20", "answers_within = \"9000km\""), "");
  EXPECT_EQ(world_.configuration->zones[0].steers[0].rule.beside, (std::vector<Pops>{{}, {}}));
}

TEST_F(ConfigurationTest, AutonomousSystemsAreRead) {
  ASSERT_EQ(LoadWith("countries = [\"JP\"]", "asns = [2497, 4294967295]"), "");
  const SteerRule& rule = world_.configuration->zones[0].steers[0].rule;
  EXPECT_EQ(rule.overrides[0].asns, (std::vector<uint32_t>{2497, 4294967295}));
  EXPECT_EQ(rule.min_healthy, 1U);
}

TEST_F(ConfigurationTest, WhatIsWrongWithTheServerIsNamedWithItsLine) {
  ExpectRefusals({
      {"listen = [\"127.0.0.1:0\", ", "listen = [\"127.0.0.1\", ",
       "DIR/geodns.toml:2: geodns.listen: "},
      {"\"[::1]:0\"", "\"127.0.0.1:0\"",
       "DIR/geodns.toml:2: geodns.listen: 127.0.0.1:0 stands there twice"},
      {"threads = 2", "thread = 2", "DIR/geodns.toml:3: geodns.thread: unknown key"},
      {"threads = 2", "threads = 2\nstate = \"DIR/geo.mmdb/state\"",
       "DIR/geodns.toml:4: geodns.state: DIR/geo.mmdb/state: DIR/geo.mmdb is no folder; expected a "
       "folder that can be made and written"},
      {"listen = [\"127.0.0.1:0\", \"[::1]:0\"]", "listen = []",
       "DIR/geodns.toml:2: geodns.listen: "},
      {"address = \"127.0.0.1:0\"", "address = \"0.0.0.0:0\"",
       "DIR/geodns.toml:4: admin.token_file: expected a token file, because admin.address is not a "
       "loopback address"},
      {"[geo]", "token_file = \"DIR/none\"\n[geo]",
       "DIR/geodns.toml:6: admin.token_file: DIR/none: cannot open: No such file or directory; "
       "expected a file with a token"},
      {"DIR/geo.mmdb", "DIR/none.mmdb",
       "DIR/geodns.toml:7: geo.databases: DIR/none.mmdb: No such file or directory; expected an "
       "MMDB file"},
      {"DIR/geo.mmdb", "DIR/demo.test.zone",
       "DIR/geodns.toml:7: geo.databases: DIR/demo.test.zone: no usable MMDB file: "},
  });
}

TEST_F(ConfigurationTest, WhatIsWrongWithAPointOfPresenceIsNamedWithItsLine) {
  ExpectRefusals({
      {"name = \"tokyo\"", "name = \"frankfurt\"",
       "DIR/geodns.toml:14: pop.name: two points of presence are called \"frankfurt\""},
      {"name = \"tokyo\"", "name = \"to kyo\"",
       "DIR/geodns.toml:14: pop.name: expected a name without spaces"},
      {"\"127.0.3.1\"", "\"127.0.3\"",
       "DIR/geodns.toml:15: pop.addresses: expected an address like 192.0.2.1"},
      {"[50.11, 8.68]", "[91, 8.68]",
       "DIR/geodns.toml:11: pop.location: expected [latitude, longitude]"},
      {"[50.11, 8.68]", "[50.11]",
       "DIR/geodns.toml:11: pop.location: expected [latitude, longitude]"},
      {"location = [50.11, 8.68]\n", "",
       "DIR/geodns.toml:23: zone.steer.policy: \"nearest\" needs a location for the [[pop]] "
       "\"frankfurt\""},
      {"https://127.0.1.1:8443", "ftp://127.0.1.1", "DIR/geodns.toml:12: pop.check.url: "},
      {"https://127.0.1.1:8443/healthz?x=1", "127.0.1.1", "DIR/geodns.toml:12: pop.check.url: "},
      {"weight = 3", "most_load = 0.8",
       "DIR/geodns.toml:17: pop.most_load: expected a check over HTTP"},
      {"weight = 3", "check = { url = \"tcp://127.0.0.1:1\" }\nmost_load = 0.8",
       "DIR/geodns.toml:18: pop.most_load: expected a check over HTTP"},
      {"weight = 3", "take_back_load = 0.8",
       "DIR/geodns.toml:17: pop.take_back_load: expected most_load as well"},
      {"weight = 3",
       "check = { url = \"http://127.0.0.1\" }\nmost_load = 0.8\ntake_back_load = 0.79",
       "DIR/geodns.toml:19: pop.take_back_load: expected nine tenths of most_load at most"},
      {"https://127.0.1.1:8443/healthz?x=1", "tcp://127.0.1.1:443/",
       "DIR/geodns.toml:12: pop.check.url: expected tcp://ADDRESS:PORT and nothing behind it"},
      {"https://127.0.1.1:8443/healthz?x=1", "tcp://[::1]",
       "DIR/geodns.toml:12: pop.check.url: expected tcp://ADDRESS:PORT"},
      {"https://127.0.1.1:8443/healthz?x=1", "tcp://127.0.1.1:443",
       "DIR/geodns.toml:12: pop.check.server_name: a tcp:// check only connects"},
      {"server_name", "expect_status = [200, 99], server_name",
       "DIR/geodns.toml:12: pop.check.expect_status: expected statuses from 200 to 599, got 99"},
      {"timeout = \"1s\"", "timeout = 1", "DIR/geodns.toml:12: pop.check.timeout: "},
      {"server_name", "ca = \"DIR/none.pem\", server_name",
       "DIR/geodns.toml:12: pop.check.ca: DIR/none.pem: cannot be used as PEM file of trusted "
       "authorities: No such file or directory"},
      {"server_name", "ca = \"DIR/geo.mmdb\", server_name",
       "DIR/geodns.toml:12: pop.check.ca: DIR/geo.mmdb: "},
      {"url = \"http://127.0.0.1:9000\"", "url = \"https://[::1]:9\", ca = \"DIR/none.pem\"",
       "DIR/geodns.toml:29: zone.steer.fallback_check.ca: DIR/none.pem: "},
  });
}

TEST_F(ConfigurationTest, WhatIsWrongWithAZoneIsNamedWithItsLine) {
  ExpectRefusals({
      {"dnssec = false", "dnssec = true",
       "DIR/geodns.toml:21: zone.dnssec: expected geodns.state to be set"},
      {"pops = [\"frankfurt\", \"tokyo\"]", "pops = [\"frankfurt\", \"osaka\"]",
       "DIR/geodns.toml:25: zone.steer.pops: there is no [[pop]] called \"osaka\""},
      {"pops = [\"frankfurt\", \"tokyo\"]", "pops = [\"tokyo\", \"tokyo\"]",
       "DIR/geodns.toml:25: zone.steer.pops: \"tokyo\" stands there twice"},
      {"policy = \"nearest\"", "policy = \"closest\"",
       "DIR/geodns.toml:24: zone.steer.policy: expected one of \"nearest\""},
      {"fallback = [\"127.0.0.1\"]\n", "",
       "DIR/geodns.toml:28: zone.steer.fallback_check: there are no fallback addresses to check"},
      {"\"JP\"", "\"JPN\"",
       "DIR/geodns.toml:30: zone.steer.override.countries: expected a code like JP, got \"JPN\""},
      {"\"OC\"", "\"XX\"",
       "DIR/geodns.toml:30: zone.steer.override.continents: expected AF, AN, AS, EU, NA, OC or SA, "
       "got \"XX\""},
      {"10.0.0.0/8", "10.0.0.1/8",
       "DIR/geodns.toml:30: zone.steer.override.cidrs: expected a network like 10.0.0.0/8"},
      {"countries = [\"JP\"]", "asns = [0]",
       "DIR/geodns.toml:30: zone.steer.override.asns: expected numbers from 1 to 4294967295, got "
       "0"},
      {"ttl = 20", "min_healthy = 3",
       "DIR/geodns.toml:26: zone.steer.min_healthy: expected 2 at most: the rule has no more pops"},
      {"policy = \"weighted\"", "policy = \"weighted\"\nmin_healthy = 2",
       "DIR/geodns.toml:35: zone.steer.min_healthy: expected fallback addresses"},
      {"ttl = 20", "answers_within = \"500 miles\"",
       "DIR/geodns.toml:26: zone.steer.answers_within: expected a distance like \"500km\", got "
       "\"500 miles\""},
      {"answers = 2", "answers_within = \"500km\"",
       "DIR/geodns.toml:27: zone.steer.answers_within: expected answers of 2 or more"},
      {"location = [35, 139.7]\nweight = 3\n[[zone]]\nname = \"demo.test\"\n"
       "file = \"DIR/demo.test.zone\"\ndnssec = false\n[[zone.steer]]\n"
       "names = [\"www\", \"@\"]\npolicy = \"nearest\"",
       "weight = 3\n[[zone]]\nname = \"demo.test\"\n"
       "file = \"DIR/demo.test.zone\"\ndnssec = false\n[[zone.steer]]\n"
       "names = [\"www\", \"@\"]\nanswers_within = \"500km\"\npolicy = \"failover\"",
       "DIR/geodns.toml:23: zone.steer.answers_within: needs a location for the [[pop]] \"tokyo\""},
      {"countries = [\"JP\"], continents = [\"OC\"], cidrs = [\"10.0.0.0/8\"], ", "",
       "DIR/geodns.toml:30: zone.steer.override: expected countries, continents, cidrs or asns: "
       "it matches nobody"},
      {"names = [\"www\", \"@\"]", "names = [\"www..x\"]",
       "DIR/geodns.toml:23: zone.steer.names: \"www..x\" is no domain name"},
      {"names = [\"ab\"]", "names = [\"WWW\"]",
       "DIR/geodns.toml:33: zone.steer.names: WWW.demo.test. is already steered at "
       "DIR/geodns.toml:23: zone.steer.names"},
      {"names = [\"ab\"]", "names = [\"www.other.\"]",
       "DIR/geodns.toml:33: zone.steer.names: www.other. is not in the zone demo.test."},
      {"name = \"demo.test\"", "name = \"demo..test\"", "DIR/geodns.toml:19: zone.name: "},
      {"[[zone]]", "[[zone]]\nname = \"DEMO.test\"\nfile = \"DIR/demo.test.zone\"\n[[zone]]",
       "DIR/geodns.toml:22: zone.name: two zones are called \"demo.test\""},
      {"DIR/demo.test.zone", "DIR/none.zone",
       "DIR/geodns.toml:20: zone.file: DIR/none.zone: cannot open: No such file or directory; "
       "expected a zone file"},
  });
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

TEST_F(ConfigurationTest, AFolderForStateIsNotMadeByReading) {
  EXPECT_EQ(LoadWith("threads = 2", "threads = 2\nstate = \"DIR/new/state\""), "");
  EXPECT_FALSE(std::filesystem::exists(dir_.In("new")));
}

TEST_F(ConfigurationTest, WhatTakesARestartIsKnown) {
  ASSERT_EQ(LoadWith("[geodns]", "[geodns]"), "");
  const settings::RestartValues before = world_.configuration->restart;
  const struct {
    std::string_view from, to;
    std::vector<std::string> want;
  } kRows[] = {
      {"\"127.0.0.1:0\", ", "", {"geodns.listen"}},
      {"threads = 2", "threads = 1", {"geodns.threads"}},
      {"[admin]", "state = \"DIR/state\"\n[admin]", {"geodns.state"}},
      {"[admin]", "tcp_connections = 5\n[admin]", {"geodns.tcp_connections"}},
      {"[admin]", "tcp_idle_timeout = \"5s\"\n[admin]", {"geodns.tcp_idle_timeout"}},
      {"address = \"127.0.0.1:0\"", "", {"admin.address"}},
      {"[admin]", "drain_timeout = \"5s\"\n[admin]", {}},
      {"[geo]", "token_file = \"DIR/token\"\n[geo]", {}},
      {"databases = [\"DIR/geo.mmdb\"]", "databases = []", {}},
      {"interval = \"1s\"", "interval = \"2s\"", {}},
      {"ttl = 20", "ttl = 21", {}},
  };
  dir_.Write("token", "0123456789abcdef");
  for (const auto& row : kRows) {
    ASSERT_EQ(LoadWith(row.from, row.to), "") << row.to;
    EXPECT_EQ(settings::ChangedKeys(before, world_.configuration->restart), row.want) << row.to;
  }
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
  Moment moment(targets);
  moment.drained = {FromUnixMillis(1), FromUnixMillis(1)};
  moment.kept = {1, 0.5};
  health = HealthFor(c, c.zones[0].steers[0], moment);
  EXPECT_EQ(health.pops, (std::vector{PopState::kDown, PopState::kDrained}))
      << "an operator's drain makes no dead point alive";
  EXPECT_EQ(health.kept, (std::vector<double>{1, 0.5}));
}

TEST(GeodnsTableTest, EveryKeyIsDocumented) {
  std::string document = GeodnsTable().Document("geodns.toml");
  for (std::string_view key : {"listen",
                               "threads",
                               "state",
                               "tcp_connections",
                               "tcp_idle_timeout",
                               "drain_timeout",
                               "address",
                               "token_file",
                               "databases",
                               "addresses",
                               "location",
                               "weight",
                               "url",
                               "server_name",
                               "rise",
                               "fall",
                               "signature_cache",
                               "signature_validity",
                               "signatures_a_second",
                               "dnssec",
                               "policy",
                               "fallback_check",
                               "override",
                               "countries",
                               "unknown",
                               "most_load",
                               "take_back_load",
                               "expect_status",
                               "expect_body",
                               "most_lag",
                               "min_healthy",
                               "answers_within",
                               "asns"}) {
    bool row = document.find("| `" + std::string(key) + "` |") != std::string::npos;
    bool heading = document.find(" " + std::string(key) + " = ") != std::string::npos;
    EXPECT_TRUE(row || heading) << key;
  }
}

}  // namespace
}  // namespace nearside::geodns
