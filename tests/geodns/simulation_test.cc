#include "geodns/simulation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "geodns/simulation_desk.h"
#include "tests/geodns/mmdb_writer.h"
#include "tests/net/loop_thread.h"
#include "tests/support/temp_dir.h"

namespace nearside::geodns {
namespace {

using testing::HasSubstr;
using SimulationJson = nlohmann::ordered_json;

constexpr std::string_view kSimulatedSettings = R"([geodns]
listen = ["127.0.0.1:0"]
[geo]
databases = [DATABASES]
[[pop]]
name = "frankfurt"
addresses = ["127.0.1.1"]
location = [50.11, 8.68]
check = { url = "http://127.0.1.1/" }
most_load = 0.8
[[pop]]
name = "virginia"
addresses = ["127.0.2.1"]
location = [39, -77]
[[pop]]
name = "tokyo"
addresses = ["127.0.3.1"]
location = [35.7, 139.7]
[[zone]]
name = "demo.test"
file = "DIR/zone"
[[zone.steer]]
names = ["www"]
pops = ["frankfurt", "virginia", "tokyo"]
)";

class SimulationTest : public testing::Test {
 protected:
  SimulationTest() {
    dir_.Write("zone", "$TTL 9\n@ SOA ns h 42 1 1 1 1\n@ NS ns\nns A 127.0.0.1\n");
    // Of IPv4 half is Germany's, a quarter France's, and an eighth each Japan's and America's.
    dir_.Write("geo.mmdb", MmdbWriter(6)
                               .AddFlat("8.0.0.0/6", "DE")
                               .AddFlat("12.0.0.0/7", "FR")
                               .AddFlat("14.0.0.0/8", "JP")
                               .AddFlat("15.0.0.0/8", "US")
                               .AddFlat("2001:db8::/32", "JP")
                               .Bytes());
    Load("");
  }
  void Load(std::string_view more, bool with_database = true) {
    std::string text(kSimulatedSettings);
    text.replace(text.find("DATABASES"), 9, with_database ? "\"DIR/geo.mmdb\"" : "");
    text += more;
    for (size_t at; (at = text.find("DIR")) != std::string::npos;) text.replace(at, 3, dir_.path());
    auto world = World::Load(dir_.Write("geodns.toml", text));
    ASSERT_TRUE(world) << world.error().message;
    world_ = std::move(*world);
  }
  SimulationJson Ask(const SimulationQuestion& question) {
    Moment moment(std::vector<TargetHealth>(1));
    auto snapshot = MakeSnapshot(world_, moment);
    auto text = Simulate(world_, *snapshot, moment, question);
    return text ? SimulationJson::parse(*text) : SimulationJson(text.error().message);
  }
  test::TempDir dir_;
  World world_;
};

TEST_F(SimulationTest, ShowsWhoGoesWhereWithoutAPoint) {
  SimulationJson json = Ask({.without = {"frankfurt"}});
  EXPECT_EQ(json["name"], "www.demo.test.");
  ASSERT_EQ(json["families"].size(), 2U);
  const SimulationJson& ipv4 = json["families"][0];
  EXPECT_EQ(ipv4["family"], "ipv4");
  EXPECT_NEAR(ipv4["clients"].get<double>(), kSimulatedClients, 1);
  EXPECT_EQ(ipv4["before"],
            SimulationJson::parse(R"({"frankfurt": 0.75, "virginia": 0.125, "tokyo": 0.125})"));
  EXPECT_EQ(ipv4["after"], SimulationJson::parse(R"({"virginia": 0.875, "tokyo": 0.125})"));
  EXPECT_EQ(ipv4["moved"], 0.75);
  ASSERT_EQ(ipv4["countries"].size(), 4U);
  EXPECT_EQ(ipv4["countries"][0]["country"], "DE");
  EXPECT_EQ(ipv4["countries"][0]["share"], 0.5);
  EXPECT_EQ(ipv4["countries"][0]["after"], SimulationJson::parse(R"({"virginia": 1.0})"));
  EXPECT_EQ(ipv4["continents"].size(), 3U);
  const SimulationJson& ipv6 = json["families"][1];
  EXPECT_EQ(ipv6["family"], "ipv6");
  EXPECT_EQ(ipv6["moved"], 0.0) << "Japan stays";
  EXPECT_EQ(Ask({.without = {"frankfurt"}}), json) << "the same question, the same answer";
}

TEST_F(SimulationTest, ShowsWhatALoadMoves) {
  SimulationJson json = Ask({.loads = {{"frankfurt", 1.44}}});
  // It would keep half of its three quarters: Germany is nearer than France, which goes first.
  const SimulationJson& ipv4 = json["families"][0];
  EXPECT_NEAR(ipv4["after"]["frankfurt"].get<double>(), 0.375, 0.002);
  EXPECT_EQ(ipv4["countries"][1]["after"], SimulationJson::parse(R"({"virginia": 1.0})")) << "FR";
  EXPECT_NEAR(ipv4["countries"][0]["moved"].get<double>(), 0.25, 0.005) << "DE";
  json = Ask({.loads = {{"frankfurt", 0.7}}});
  EXPECT_EQ(json["families"][0]["moved"], 0.0) << "below its most_load";
}

TEST_F(SimulationTest, WithoutAnyPointTheFallbackIsTold) {
  SimulationJson json = Ask({.without = {"frankfurt", "virginia", "tokyo"}});
  EXPECT_EQ(json["families"][0]["moved"], 0.0) << "fail open";
  Load("fallback = [\"127.0.0.9\"]\n");
  json = Ask({.without = {"frankfurt", "virginia", "tokyo"}});
  EXPECT_EQ(json["families"][0]["after"], SimulationJson({{"(fallback)", 1.0}}));
}

TEST_F(SimulationTest, SaysWhatIsMissing) {
  const auto error = [&](const SimulationQuestion& question) {
    return Ask(question).get<std::string>();
  };
  EXPECT_EQ(error({.without = {"osaka"}}),
            "there is no [[pop]] called \"osaka\"; there are frankfurt, virginia, tokyo");
  EXPECT_EQ(error({.loads = {{"tokyo", 2}}}),
            "the [[pop]] \"tokyo\" has no most_load: it gives nobody away");
  EXPECT_EQ(error({.name = "x.demo.test"}),
            "x.demo.test is not steered: expected a name like www.demo.test.");
  Load("[[zone.steer]]\nnames = [\"ab\"]\npops = [\"tokyo\"]\n");
  EXPECT_EQ(error({}),
            "several names are steered: expected a name like www.demo.test., "
            "ab.demo.test.");
  EXPECT_EQ(Ask({.name = "AB.demo.test"})["name"], "ab.demo.test.");
  Load("", false);
  EXPECT_THAT(error({}), HasSubstr("set geo.databases"));
}

TEST_F(SimulationTest, TheDeskAnswersOneQuestionAtATimeOnItsLoop) {
  net::LoopThread loop;
  std::unique_ptr<SimulationDesk> desk;
  Moment moment(std::vector<TargetHealth>(1));
  auto snapshot = MakeSnapshot(world_, moment);
  int answers = 0;
  loop.Call([&] {
    desk = std::make_unique<SimulationDesk>(loop.loop());
    auto on_done = [&](Result<std::string> answer) { answers += answer ? 1 : 0; };
    EXPECT_TRUE(desk->Ask(world_, snapshot, moment, {.without = {"tokyo"}}, on_done));
    EXPECT_FALSE(desk->Ask(world_, snapshot, moment, {}, on_done)) << "one is under way";
    EXPECT_EQ(answers, 0) << "never from inside the call";
  });
  ASSERT_TRUE(loop.Await([&] { return answers == 1; }));
  loop.Call([&] {
    EXPECT_TRUE(desk->Ask(world_, snapshot, moment, {}, [&](auto) { ADD_FAILURE(); }));
    desk.reset();  // waits, and nobody is told
  });
  EXPECT_EQ(answers, 1);
}

}  // namespace
}  // namespace nearside::geodns
