// What is answered where points of presence have addresses of one family only.

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "geodns/explain.h"
#include "geodns/responder.h"
#include "geodns/world.h"
#include "tests/dns/decoded.h"
#include "tests/dns/wire_query.h"
#include "tests/geodns/mmdb_writer.h"
#include "tests/support/temp_dir.h"

namespace nearside::geodns {
namespace {

namespace type = dns::type;

// frankfurt has IPv4 alone, paris IPv6 alone (500 km from it), tokyo both.
constexpr std::string_view kFamilySettings = R"(
[geodns]
listen = ["127.0.0.1:0"]
[geo]
databases = ["DIR/geo.mmdb"]
[[pop]]
name = "frankfurt"
addresses = ["192.0.2.1"]
location = [50.11, 8.68]
check = { url = "tcp://192.0.2.1:443" }
[[pop]]
name = "paris"
addresses = ["2001:db8::2"]
location = [48.85, 2.35]
check = { url = "tcp://[2001:db8::2]:443" }
[[pop]]
name = "tokyo"
addresses = ["192.0.2.3", "2001:db8::3"]
location = [35.7, 139.7]
check = { url = "tcp://192.0.2.3:443" }
[[zone]]
name = "demo.test"
file = "DIR/zone"
[[zone.steer]]
names = ["near"]
pops = ["frankfurt", "paris", "tokyo"]
override = [{ cidrs = ["203.0.113.0/24"], pops = ["paris"] }]
[[zone.steer]]
names = ["within"]
pops = ["paris", "tokyo"]
answers = 2
answers_within = "1000km"
[[zone.steer]]
names = ["far"]
pops = ["frankfurt", "paris", "tokyo"]
far_ipv6 = true
[[zone.steer]]
names = ["order"]
policy = "failover"
pops = ["paris", "frankfurt", "tokyo"]
[[zone.steer]]
names = ["drawn"]
policy = "weighted"
pops = ["frankfurt", "paris"]
[[zone.steer]]
names = ["alone"]
pops = ["paris"]
)";

class AddressFamiliesTest : public testing::Test {
 protected:
  AddressFamiliesTest() {
    dir_.Write("zone",
               "$TTL 9\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 127.0.0.1\n"
               "near HTTPS 1 . alpn=h2 ipv4hint=0.0.0.0 ipv6hint=::\n");
    dir_.Write("geo.mmdb", MmdbWriter(6)
                               .AddFlat("10.0.0.0/9", "DE")
                               .AddFlat("10.128.0.0/9", "FR")
                               .AddFlat("133.0.0.0/8", "JP")
                               .Bytes());
    std::string text(kFamilySettings);
    for (size_t at; (at = text.find("DIR")) != std::string::npos;) text.replace(at, 3, dir_.path());
    auto world = World::Load(dir_.Write("geodns.toml", text));
    EXPECT_TRUE(world) << world.error().message;
    world_ = std::move(*world);
    SetHealth("uuu");
  }
  /// A letter for each point: up or down.
  void SetHealth(std::string_view states) {
    std::vector<TargetHealth> targets(states.size());
    for (size_t i = 0; i < states.size(); ++i) {
      targets[i].known = true;
      targets[i].up = states[i] == 'u';
    }
    snapshot_ = MakeSnapshot(world_, targets);
  }
  /// The data of the answer, one record after the other; "NODATA".
  std::string Answer(std::string_view name, uint16_t qtype, std::string_view client) {
    std::vector<uint8_t> out(kUdpAnswerBytes);
    Tally tally;
    const Asker asker{*IpAddress::Parse(client), Transport::kUdp, 0};
    const auto query = dns::WireQuery(std::string(name) + ".demo.test.", qtype).Bytes();
    out.resize(Respond(*snapshot_, query, asker, out, &tally));
    const std::string text = dns::Decoded(out);
    std::string data;
    for (size_t at = 0; (at = text.find("answer: ", at)) != std::string::npos; ++at) {
      const size_t end = text.find('\n', at);
      const size_t begin = text.find(' ', text.find(' ', text.find(' ', at + 8) + 1) + 1) + 1;
      data += (data.empty() ? "" : " ") + text.substr(begin, end - begin);
    }
    const bool is_nodata = data.empty() && text.find("NOERROR") == 0 &&
                           text.find("authority: demo.test. 1 SOA") != std::string::npos;
    return is_nodata ? "NODATA" : data;
  }

  test::TempDir dir_;
  World world_;
  std::shared_ptr<const Snapshot> snapshot_;
};

constexpr const char* kInGermany = "10.1.2.3";
constexpr const char* kInFrance = "10.129.2.3";
constexpr const char* kInJapan = "133.11.0.1";

TEST_F(AddressFamiliesTest, IPv4ComesFromAfarAndIPv6FromThePointThatIsChosen) {
  const struct {
    std::string_view states, name, client, a, aaaa;
  } kRows[] = {
      {"uuu", "near", kInGermany, "192.0.2.1", "NODATA"},
      {"uuu", "near", kInFrance, "192.0.2.1", "2001:db8::2"},
      {"uuu", "near", kInJapan, "192.0.2.3", "2001:db8::3"},
      {"duu", "near", kInFrance, "192.0.2.3", "2001:db8::2"},
      {"duu", "near", kInGermany, "192.0.2.3", "2001:db8::2"},
      {"udu", "near", kInFrance, "192.0.2.1", "NODATA"},
      {"uuu", "near", "203.0.113.1", "192.0.2.1", "2001:db8::2"},  // an override without IPv4
      {"uuu", "within", kInFrance, "192.0.2.3", "2001:db8::2"},
      {"uud", "within", kInFrance, "192.0.2.3", "2001:db8::2"},  // nobody else has IPv4
      {"uuu", "far", kInGermany, "192.0.2.1", "2001:db8::2"},
      {"udu", "far", kInGermany, "192.0.2.1", "2001:db8::3"},
      {"uuu", "far", kInFrance, "192.0.2.1", "2001:db8::2"},
      {"uuu", "order", kInJapan, "192.0.2.1", "2001:db8::2"},
      {"duu", "order", kInJapan, "192.0.2.3", "2001:db8::2"},
      {"uuu", "drawn", kInJapan, "192.0.2.1", ""},  // AAAA depends on the draw
      {"uuu", "alone", kInFrance, "NODATA", "2001:db8::2"},
  };
  for (const auto& row : kRows) {
    SetHealth(row.states);
    const std::string what =
        std::string(row.states) + " " + std::string(row.name) + " from " + std::string(row.client);
    EXPECT_EQ(Answer(row.name, type::kA, row.client), row.a) << what;
    if (row.aaaa.empty()) continue;
    EXPECT_EQ(Answer(row.name, type::kAaaa, row.client), row.aaaa) << what;
  }
}

TEST_F(AddressFamiliesTest, HintsAreWhatTheAddressesAre) {
  EXPECT_EQ(Answer("near", type::kHttps, kInFrance),
            "1 . alpn=h2 ipv4hint=192.0.2.1 ipv6hint=2001:db8::2");
  EXPECT_EQ(Answer("near", type::kHttps, kInGermany), "1 . alpn=h2 ipv4hint=192.0.2.1");
}

TEST_F(AddressFamiliesTest, ExplainTellsWhichFamilyComesFromWhere) {
  const std::vector<TargetHealth> targets(3, TargetHealth{.up = true, .known = true});
  const auto name = *dns::Name::FromText("near.demo.test.");
  const auto text = Explain(world_, *snapshot_, targets, name, *Network::Parse(kInFrance));
  ASSERT_TRUE(text);
  const auto json = nlohmann::json::parse(*text);
  std::string pops;
  for (const auto& pop : json["pops"]) {
    pops += pop["name"].get<std::string>() + ":" +
            pop.value("answered_for", pop.value("left_out", "")) + " ";
  }
  EXPECT_EQ(pops, "paris:AAAA frankfurt:A tokyo:farther ");
  EXPECT_EQ(json["answer"].dump(), R"({"A":["192.0.2.1"],"AAAA":["2001:db8::2"]})");
  EXPECT_EQ(json["reason"], "nearest");
  EXPECT_EQ(json["scope"], 9);
}

TEST_F(AddressFamiliesTest, PointsThatAllHaveBothCostNoTableMore) {
  EXPECT_NE(snapshot_->steers[0].of_family[0], nullptr);
  EXPECT_EQ(snapshot_->steers[0].of_family[1], nullptr) << "far_ipv6 is not set";
  EXPECT_NE(snapshot_->steers[2].of_family[1], nullptr);
  EXPECT_EQ(snapshot_->steers[5].of_family[0], nullptr) << "there is none to come from afar";
}

}  // namespace
}  // namespace nearside::geodns
