#include "geodns/world.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/geodns/mmdb_writer.h"
#include "tests/support/temp_dir.h"

namespace nearside::geodns {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

/// Rules of every kind, with whatever databases.
class BlindRulesTest : public ::testing::Test {
 protected:
  std::vector<std::string> Blind(const std::string& databases) {
    dir_.Write("zone", "$TTL 9\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 127.0.0.1\n");
    const std::string text = "[geodns]\nlisten = [\"127.0.0.1:0\"]\n[geo]\ndatabases = [" +
                             databases +
                             R"(]
[[pop]]
name = "frankfurt"
addresses = ["192.0.2.1"]
location = [50.11, 8.68]
[[pop]]
name = "tokyo"
addresses = ["192.0.2.2"]
location = [35, 139.7]
[[zone]]
name = "demo.test"
file = ")" + dir_.In("zone") +
                             R"("
[[zone.steer]]
names = ["near"]
policy = "nearest"
pops = ["frankfurt", "tokyo"]
[[zone.steer]]
names = ["alone"]
policy = "nearest"
pops = ["frankfurt"]
[[zone.steer]]
names = ["by"]
policy = "failover"
pops = ["frankfurt", "tokyo"]
override = [{ countries = ["JP"], pops = ["tokyo"] }, { continents = ["AS"], pops = ["tokyo"] },
  { asns = [64496], pops = ["tokyo"] }, { cidrs = ["10.0.0.0/8"], pops = ["tokyo"] }]
)";
    auto world = World::Load(dir_.Write("geodns.toml", text));
    EXPECT_TRUE(world) << world.error().message;
    return world ? BlindRules(*world) : std::vector<std::string>();
  }
  std::string File(const std::string& name, const MmdbWriter& writer) {
    return "\"" + dir_.Write(name, writer.Bytes()) + "\"";
  }
  test::TempDir dir_;
};

TEST_F(BlindRulesTest, WithoutADatabaseAllThatAskForPlacesAreTold) {
  EXPECT_THAT(Blind(""), ElementsAre(HasSubstr("policy = \"nearest\", but no file of geo.databases "
                                               "tells where clients are"),
                                     HasSubstr("an override by countries"),
                                     HasSubstr("an override by continents"),
                                     HasSubstr("an override by asns")));
  EXPECT_THAT(Blind("").front(), HasSubstr("geodns.toml:16: "));
}

TEST_F(BlindRulesTest, SystemsAloneTellNoPlaces) {
  const std::string file = File("asn.mmdb", MmdbWriter(6).AddAsn("133.0.0.0/8", 64496));
  EXPECT_THAT(Blind(file), ElementsAre(HasSubstr("nearest"), HasSubstr("by countries"),
                                       HasSubstr("by continents")));
}

TEST_F(BlindRulesTest, ACountryThatNoFileHasIsTold) {
  const std::string places = File("geo.mmdb", MmdbWriter(6).AddFlat("133.0.0.0/8", "KR"));
  EXPECT_THAT(Blind(places), ElementsAre(HasSubstr("an override by country JP, but no file of "
                                                   "geo.databases tells a network there"),
                                         HasSubstr("an override by asns")));
}

TEST_F(BlindRulesTest, ASystemThatNoFileHasIsTold) {
  const std::string places = File("geo.mmdb", MmdbWriter(6).AddFlat("133.0.0.0/8", "JP"));
  EXPECT_THAT(Blind(places), ElementsAre(HasSubstr("an override by asns")));
  const std::string systems = File("asn.mmdb", MmdbWriter(6).AddAsn("133.0.0.0/8", 64496));
  EXPECT_THAT(Blind(places + ", " + systems), ElementsAre());
}

TEST(WorldTest, AnAliasOfAnAliasIsToldWithFileAndLine) {
  test::TempDir dir;
  dir.Write("more", "; nothing\n@ ALIAS b\n");
  const std::string zone = dir.Write("zone",
                                     "$TTL 9\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 127.0.0.1\n"
                                     "$INCLUDE more\nb ALIAS x.example.\n");
  auto world = World::Load(dir.Write("geodns.toml",
                                     "[geodns]\nlisten = [\"127.0.0.1:0\"]\n[[zone]]\nname = "
                                     "\"demo.test\"\nfile = \"" +
                                         zone + "\"\n"));
  ASSERT_FALSE(world);
  EXPECT_EQ(world.error().message,
            dir.In("more") +
                ":2: the ALIAS of demo.test. leads to b.demo.test., which has an ALIAS "
                "itself: write where that one leads");
}

}  // namespace
}  // namespace nearside::geodns
