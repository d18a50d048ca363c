#include "geodns/explain.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "dns/reply.h"
#include "dns/wire.h"
#include "geodns/responder.h"
#include "geodns/status.h"
#include "tests/geodns/mmdb_writer.h"
#include "tests/support/temp_dir.h"

namespace nearside::geodns {
namespace {

using testing::HasSubstr;
using Json = nlohmann::ordered_json;

constexpr std::string_view kSettings = R"([geodns]
listen = ["127.0.0.1:0"]
[geo]
databases = ["DIR/geo.mmdb"]
[[pop]]
name = "frankfurt"
addresses = ["127.0.1.1", "::1"]
location = [50.11, 8.68]
check = { url = "http://127.0.1.1/" }
[[pop]]
name = "tokyo"
addresses = ["127.0.3.1"]
location = [35.7, 139.7]
check = { url = "http://127.0.3.1/" }
[[pop]]
name = "sydney"
addresses = ["127.0.4.1"]
[[zone]]
name = "demo.test"
file = "DIR/zone"
[[zone.steer]]
names = ["www"]
pops = ["frankfurt", "tokyo"]
fallback = ["127.0.0.1"]
fallback_check = { url = "http://127.0.0.1/" }
override = [{ cidrs = ["10.0.0.0/8"], pops = ["tokyo"] }]
[[zone.steer]]
names = ["order"]
policy = "failover"
pops = ["sydney", "tokyo"]
[[zone.steer]]
names = ["near"]
pops = ["frankfurt", "tokyo"]
answers = 2
answers_within = "500km"
[[zone]]
name = "child.demo.test"
file = "DIR/child"
)";

class ExplainTest : public testing::Test {
 protected:
  ExplainTest() {
    dir_.Write("zone",
               "$TTL 9\n@ SOA ns h 42 1 1 1 1\n@ NS ns\nns A 127.0.0.1\nalias CNAME www\n"
               "out CNAME x.other.\nsub NS ns.other.\nsub NS ns.sub\nsub DS 1 13 1 "
               "0000000000000000000000000000000000000000\n"
               "ns.sub 5 A 127.0.0.9\nchild NS ns.other.\ntochild CNAME a.child\n"
               "toward 4 CNAME to.w\n*.w MX 10 ns\n*.w 7 HTTPS 1 www ipv4hint=192.0.2.1\n"
               "tono CNAME no\nloop CNAME pool\npool CNAME loop\nx.deep TXT x\n");
    dir_.Write("child", "$TTL 9\n@ SOA ns h 43 1 1 1 1\n@ NS ns.other.\na TXT a\n");
    dir_.Write("geo.mmdb",
               MmdbWriter(6).AddFlat("133.0.0.0/8", "JP").AddFlat("192.0.0.0/8", "DE").Bytes());
    std::string text(kSettings);
    for (size_t at; (at = text.find("DIR")) != std::string::npos;) text.replace(at, 3, dir_.path());
    auto world = World::Load(dir_.Write("geodns.toml", text));
    EXPECT_TRUE(world) << world.error().message;
    world_ = std::move(*world);
    targets_.resize(3);
  }
  Json Ask(std::string_view name, std::string_view client) {
    Moment moment(targets_);
    moment.drained = drained_;
    moment.kept = kept_;
    auto snapshot = MakeSnapshot(world_, moment);
    auto text =
        Explain(world_, *snapshot, moment, *dns::Name::FromText(name), *Network::Parse(client));
    return text ? Json::parse(*text) : Json(text.error().reason);
  }
  /// "tokyo frankfurt:farther sydney:not in this rule"
  static std::string PopsOf(const Json& json) {
    std::string text;
    for (const auto& pop : json["pops"]) {
      text += (text.empty() ? "" : " ") + pop["name"].get<std::string>();
      if (!pop["answered"].get<bool>()) text += ":" + pop["left_out"].get<std::string>();
    }
    return text;
  }
  /// "static answer NOERROR | answer ns.demo.test. 9 A 127.0.0.1"
  static std::string RecordsOf(const Json& json) {
    std::string text = json["found"].get<std::string>() + " " + json["kind"].get<std::string>() +
                       " " + json["rcode"].get<std::string>();
    for (const auto& record : json["records"]) {
      text += " | " + record["section"].get<std::string>() + " " +
              record["name"].get<std::string>() + " " + std::to_string(record["ttl"].get<int>()) +
              " " + record["type"].get<std::string>() + " " + record["data"].get<std::string>();
    }
    return text;
  }
  test::TempDir dir_;
  World world_;
  std::vector<TargetHealth> targets_;
  std::vector<WallTime> drained_;
  std::vector<double> kept_;
};

TEST_F(ExplainTest, TellsWhatLiesTooFarFromTheFirst) {
  Json json = Ask("near.demo.test.", "133.11.0.0/16");
  EXPECT_EQ(PopsOf(json), "tokyo frankfurt:beyond answers_within of tokyo sydney:not in this rule");
  EXPECT_EQ(json["answer"]["A"], Json({"127.0.3.1"}));
}

TEST_F(ExplainTest, TellsPlaceRankingAnswerAndScope) {
  Json json = Ask("www.demo.test.", "133.11.0.0/16");
  EXPECT_EQ(json["zone"], "demo.test.");
  EXPECT_EQ(json["serial"], 42);
  EXPECT_EQ(json["steered"], true);
  EXPECT_EQ(json["policy"], "nearest");
  EXPECT_EQ(json["place"]["country"], "JP");
  EXPECT_EQ(json["place"]["network"], "133.0.0.0/8");
  EXPECT_EQ(json["place"]["coordinates_of"], "country");
  EXPECT_EQ(json["reason"], "nearest");
  EXPECT_EQ(PopsOf(json), "tokyo frankfurt:farther sydney:not in this rule");
  EXPECT_NEAR(json["pops"][1]["distance_km"].get<double>(), 9250, 100);
  EXPECT_FALSE(json["pops"][2].contains("distance_km")) << "sydney has no location";
  EXPECT_EQ(json["answer"]["A"], Json({"127.0.3.1"}));
  EXPECT_EQ(json["answer"]["AAAA"], Json::array());
  EXPECT_EQ(json["ttl"], 30);
  EXPECT_EQ(json["scope"], 8);
}

TEST_F(ExplainTest, TellsWhyPointsWereLeftOut) {
  const struct {
    std::string_view name, client, reason, pops;
    std::string_view states;  // of frankfurt, tokyo, fallback
  } kRows[] = {
      {"www.demo.test.", "133.11.0.1", "nearest", "tokyo:down frankfurt sydney:not in this rule",
       "udu"},
      {"www.demo.test.", "133.11.0.1", "nearest",
       "tokyo:drained by itself frankfurt sydney:not in this rule", "uxu"},
      {"www.demo.test.", "133.11.0.1", "fallback",
       "tokyo:down frankfurt:down sydney:not in this rule", "ddu"},
      {"www.demo.test.", "133.11.0.1", "fail_open", "tokyo frankfurt:down sydney:not in this rule",
       "ddd"},
      {"www.demo.test.", "10.0.0.1", "override",
       "tokyo frankfurt:the override prefers others sydney:not in this rule", "uuu"},
      {"www.demo.test.", "10.0.0.1", "spare", "tokyo:down frankfurt sydney:not in this rule",
       "udu"},
      {"www.demo.test.", "203.0.113.1", "unknown_place",
       "frankfurt tokyo:later in the order sydney:not in this rule", "uuu"},
      {"order.demo.test.", "203.0.113.1", "failover",
       "sydney tokyo:later in the order frankfurt:not in this rule", "uuu"},
  };
  for (const auto& row : kRows) {
    for (size_t i = 0; i < 3; ++i) {
      targets_[i].known = true;
      targets_[i].up = row.states[i] != 'd';
      targets_[i].drained = row.states[i] == 'x';
    }
    Json json = Ask(row.name, row.client);
    EXPECT_EQ(json["reason"], row.reason) << row.client;
    EXPECT_EQ(PopsOf(json), row.pops) << row.reason;
  }
}

TEST_F(ExplainTest, TellsWhoDrained) {
  drained_ = {WallTime(), FromUnixMillis(1), WallTime()};
  EXPECT_EQ(PopsOf(Ask("www.demo.test.", "133.11.0.1")),
            "tokyo:drained by operator frankfurt sydney:not in this rule");
  targets_[1].drained = true;
  EXPECT_EQ(PopsOf(Ask("www.demo.test.", "133.11.0.1")),
            "tokyo:drained by operator frankfurt sydney:not in this rule")
      << "the operator has to undrain it first";
  drained_ = {};
  targets_[1] = {.lagging = true, .known = true};
  EXPECT_EQ(PopsOf(Ask("www.demo.test.", "133.11.0.1")),
            "tokyo:drained: behind the origin's purges frankfurt sydney:not in this rule");
}

TEST_F(ExplainTest, TellsWhoIsOverCapacity) {
  kept_ = {1, 0.05, 1};
  // All of Japan is one crowd: nineteen of twenty networks are moved.
  size_t moved = 0;
  for (int i = 0; i < 256; ++i) {
    Json json = Ask("www.demo.test.", "133." + std::to_string(i) + ".7.0/24");
    EXPECT_EQ(json["scope"], 24) << "the prefix that was hashed";
    EXPECT_EQ(json["pops"][0]["share"], 0.05);
    if (json["reason"] != "shed") continue;
    ++moved;
    EXPECT_EQ(PopsOf(json),
              "tokyo:over its capacity: it keeps the nearest 5 % of its clients frankfurt "
              "sydney:not in this rule");
  }
  EXPECT_GT(moved, 225U);
  EXPECT_LT(moved, 256U);
}

TEST_F(ExplainTest, GoesByWhatIsKnownOfTheClient) {
  EXPECT_EQ(Ask("www.demo.test.", "10.0.0.0/8")["reason"], "override");
  Json shorter = Ask("www.demo.test.", "10.0.0.0/7");
  EXPECT_EQ(shorter["reason"], "unknown_place");
  EXPECT_FALSE(shorter.contains("override")) << "it may as well be outside";
  Json inside = Ask("www.demo.test.", "2002:850b::/48");
  EXPECT_EQ(inside["reason"], "nearest");
  EXPECT_EQ(inside["place"]["network"], "133.0.0.0/8");
  EXPECT_EQ(inside["scope"], 24);
  EXPECT_EQ(Ask("www.demo.test.", "2002:a00:1::/48")["override"], 1);
}

/// After a reload that names them all anew.
TEST_F(ExplainTest, PointsThatNobodyHasCheckedYetAreNotGivenUpForTheFallback) {
  targets_[0] = targets_[1] = {.up = false};
  EXPECT_EQ(Ask("www.demo.test.", "133.11.0.1")["reason"], "fail_open");
  EXPECT_EQ(Ask("www.demo.test.", "133.11.0.1")["answer"]["A"], Json({"127.0.3.1"}));
  targets_[0] = {.up = true, .known = true};
  EXPECT_EQ(PopsOf(Ask("www.demo.test.", "133.11.0.1")),
            "tokyo:down frankfurt sydney:not in this rule");
  targets_[0].up = false;
  EXPECT_EQ(Ask("www.demo.test.", "133.11.0.1")["reason"], "fallback");
}

TEST_F(ExplainTest, FollowsAliasesAndNamesWhatIsNotSteered) {
  Json json = Ask("Alias.demo.test.", "133.11.0.1");
  EXPECT_EQ(json["cname"], Json({"www.demo.test."}));
  EXPECT_EQ(json["reason"], "nearest");
  EXPECT_EQ(Ask("ns.demo.test.", "133.11.0.1")["found"], "static");
  EXPECT_EQ(Ask("out.demo.test.", "133.11.0.1")["found"], "cname");
  EXPECT_EQ(Ask("no.demo.test.", "133.11.0.1")["found"], "no_such_name");
  EXPECT_EQ(Ask("x.sub.demo.test.", "133.11.0.1")["found"], "delegated");
  EXPECT_EQ(Ask("tochild.demo.test.", "133.11.0.1")["found"], "static") << "in the zone below";
  EXPECT_EQ(Ask("www.other.", "133.11.0.1"), "not_our_zone");
  EXPECT_EQ(Ask("www.demo.test.", "203.0.113.0/24")["place"], nullptr);
}

TEST_F(ExplainTest, TellsTheRecordsOfWhatIsNotSteered) {
  const struct {
    std::string_view name;
    std::string_view told;  // found, kind, rcode, and each record as text
  } kRows[] = {
      {"ns.demo.test.", "static answer NOERROR | answer ns.demo.test. 9 A 127.0.0.1"},
      {"Any.w.demo.test.",
       "static answer NOERROR | answer Any.w.demo.test. 9 MX 10 ns.demo.test. | "
       "answer Any.w.demo.test. 7 HTTPS 1 www.demo.test. ipv4hint=127.0.3.1"},
      {"toward.demo.test.",
       "static answer NOERROR | answer toward.demo.test. 4 CNAME to.w.demo.test. | "
       "answer to.w.demo.test. 9 MX 10 ns.demo.test. | "
       "answer to.w.demo.test. 7 HTTPS 1 www.demo.test. ipv4hint=127.0.3.1"},
      {"out.demo.test.", "cname answer NOERROR | answer out.demo.test. 9 CNAME x.other."},
      {"loop.demo.test.",
       "cname_loop answer NOERROR | answer loop.demo.test. 9 CNAME pool.demo.test. | "
       "answer pool.demo.test. 9 CNAME loop.demo.test."},
      {"tono.demo.test.",
       "no_such_name nxdomain NXDOMAIN | answer tono.demo.test. 9 CNAME no.demo.test."},
      {"no.demo.test.", "no_such_name nxdomain NXDOMAIN"},
      {"deep.demo.test.", "static nodata NOERROR"},
      {"y.sub.demo.test.",
       "delegated referral NOERROR | authority sub.demo.test. 9 NS ns.other. | "
       "authority sub.demo.test. 9 NS ns.sub.demo.test. | "
       "additional ns.sub.demo.test. 5 A 127.0.0.9"},
  };
  for (const auto& row : kRows) {
    Json json = Ask(row.name, "133.11.0.1");
    EXPECT_EQ(RecordsOf(json), row.told);
    const bool is_denied = json["kind"] == "nodata" || json["kind"] == "nxdomain";
    EXPECT_TRUE(!is_denied || json["negative_ttl"] == 1) << row.name;
  }
  EXPECT_EQ(Ask("ns.demo.test.", "133.11.0.1")["negative_ttl"], 1) << "of its other types";
  EXPECT_EQ(Ask("toward.demo.test.", "133.11.0.1")["wildcard"], Json({"*.w.demo.test."}));
  EXPECT_EQ(Ask("sub.demo.test.", "133.11.0.1")["delegation"], "sub.demo.test.");
  EXPECT_FALSE(Ask("no.demo.test.", "133.11.0.1").contains("rcode_with_proof"))
      << "the zone is not signed";
}

/// What it says is what the responder does.
TEST_F(ExplainTest, TellsTheRcodeAndTheSectionsThatAreAnswered) {
  auto snapshot = MakeSnapshot(world_, Moment(targets_));
  for (std::string_view name :
       {"ns", "any.w", "toward", "out", "loop", "tono", "no", "deep", "sub", "y.sub", "tochild"}) {
    const std::string whole = std::string(name) + ".demo.test.";
    Json json = Ask(whole, "192.0.2.1");
    std::string type = "A";  // a name with other data is asked for that
    for (const Json& record : json["records"]) {
      const bool is_data = record["section"] == "answer" && record["type"] != "CNAME";
      if (is_data) type = record["type"];
    }
    const uint16_t asked = *dns::TypeFromText(type);
    const auto query = dns::EncodeQuery(1, *dns::Name::FromText(whole), asked);
    std::array<uint8_t, kTcpAnswerBytes> out;
    Tally tally;
    const Asker asker{.address = *IpAddress::Parse("192.0.2.1"), .transport = Transport::kTcp};
    ASSERT_GT(Respond(*snapshot, query, asker, out, &tally), 0U) << whole;
    EXPECT_EQ(json["rcode"], dns::RcodeName(tally.rcode)) << whole;
    size_t answers = 0;
    size_t others = 0;
    for (const Json& record : json["records"]) {
      const bool is_chain = record["type"] == "CNAME";
      (record["section"] == "answer" && (is_chain || record["type"] == type) ? answers : others)++;
    }
    EXPECT_EQ(dns::Load16(&out[6]), answers) << whole;
    if (json["kind"] == "referral") {
      EXPECT_EQ(dns::Load16(&out[8]) + dns::Load16(&out[10]) - 1U, others) << whole << ", but OPT";
      EXPECT_EQ(out[2] & 0x04, 0) << whole << " is not authoritative";
    }
  }
}

TEST_F(ExplainTest, StatusListsPopsZonesAndDatabases) {
  targets_[0] = {.up = false,
                 .known = true,
                 .changed = FromUnixMillis(1000),
                 .checked_at = FromUnixMillis(4500),
                 .took = milliseconds(3),
                 .error = "refused \"x\""};
  targets_[1].load = 0.25;
  Json json = Json::parse(StatusJson(world_, targets_, FromUnixMillis(5000), FromUnixMillis(0)));
  EXPECT_EQ(json["uptime_seconds"], 5);
  EXPECT_EQ(json["pops"][0]["state"], "down");
  EXPECT_EQ(json["pops"][0]["changed_seconds_ago"], 4.0);
  EXPECT_EQ(json["pops"][0]["checked_seconds_ago"], 0.5);
  EXPECT_EQ(json["pops"][0]["error"], "refused \"x\"");
  EXPECT_EQ(json["pops"][1]["load"], 0.25);
  EXPECT_EQ(json["pops"][2]["state"], "up");
  EXPECT_EQ(json["fallbacks"][0]["name"], "fallback demo.test www");
  EXPECT_EQ(json["zones"][0]["serial"], 42);
  EXPECT_EQ(json["databases"][0]["built_unix"], 1'790'000'000);
}

TEST_F(ExplainTest, StatusTellsDrainsLagAndShares) {
  Moment moment(targets_);
  moment.targets[0].drained = true;
  moment.targets[1].lagging = true;
  moment.targets[1].lag = 77.5;
  moment.drained = {FromUnixMillis(2000), WallTime(), FromUnixMillis(4000)};
  Json json = Json::parse(StatusJson(world_, moment, FromUnixMillis(5000), FromUnixMillis(0)));
  EXPECT_EQ(json["pops"][0]["state"], "drained");
  EXPECT_EQ(json["pops"][0]["drained"],
            Json::parse(R"([{"by": "operator", "seconds_ago": 3.0}, {"by": "itself"}])"));
  EXPECT_EQ(json["pops"][1]["state"], "drained");
  EXPECT_EQ(json["pops"][1]["drained"], Json::parse(R"([{"by": "lag"}])"));
  EXPECT_EQ(json["pops"][1]["lag_seconds"], 77.5);
  EXPECT_EQ(json["pops"][2]["state"], "drained") << "without a check";
  EXPECT_FALSE(json["pops"][2].contains("share")) << "it has no limit";
  std::string metrics = WorldMetrics(world_, moment);
  for (std::string_view line : {"nearside_dns_pop_drained_by_operator{pop=\"frankfurt\"} 1\n",
                                "nearside_dns_pop_drained_by_operator{pop=\"tokyo\"} 0\n",
                                "nearside_dns_target_drained{target=\"tokyo\"} 1\n",
                                "nearside_dns_target_lag_seconds{target=\"tokyo\"} 77.5\n"}) {
    EXPECT_THAT(metrics, HasSubstr(line));
  }
}

TEST_F(ExplainTest, MetricsOfTheWorldFollowHealth) {
  targets_[0].up = false;
  targets_[1].drained = true;
  targets_[1].load = 0.5;
  std::string text = WorldMetrics(world_, targets_);
  for (std::string_view line :
       {"# TYPE nearside_dns_target_up gauge\n", "nearside_dns_target_up{target=\"frankfurt\"} 0\n",
        "nearside_dns_target_up{target=\"tokyo\"} 1\n",
        "nearside_dns_target_drained{target=\"tokyo\"} 1\n",
        "nearside_dns_target_load{target=\"tokyo\"} 0.5\n",
        "nearside_dns_target_up{target=\"fallback demo.test www\"} 1\n",
        "nearside_dns_zone_serial{zone=\"demo.test.\"} 42\n",
        "nearside_dns_database_built_timestamp_seconds{file=\""}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

}  // namespace
}  // namespace nearside::geodns
