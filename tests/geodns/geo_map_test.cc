#include "geodns/geo_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "geodns/countries.h"
#include "tests/geodns/mmdb_writer.h"
#include "tests/support/temp_dir.h"

namespace nearside::geodns {
namespace {

using testing::HasSubstr;

const Coordinates kPops[] = {
    {50.11, 8.68}, {38.9, -77.4}, {35.7, 139.7}};  // Frankfurt, Virginia, Tokyo

/// Writes databases and tells places as text: "JP AS 2,0,1 /8".
class GeoMapTest : public testing::Test {
 protected:
  std::string Load(const std::vector<std::string>& databases,
                   const std::vector<uint32_t>& asns = {}) {
    std::vector<std::string> files;
    for (const std::string& bytes : databases) {
      files.push_back(dir_.Write("db" + std::to_string(files.size()) + ".mmdb", bytes));
    }
    auto map = GeoMap::Load(files, kPops, asns);
    if (!map) return map.error().message;
    map_ = *map;
    return "";
  }
  std::string At(std::string_view address) {
    IpAddress ip = *IpAddress::Parse(address);
    auto match = map_->trie(ip.is_ipv6).Find(ip.bytes.data());
    const Place& place = map_->place(match.value);
    if (place == Place()) return "nowhere /" + std::to_string(match.scope);
    std::string text = place.asn == 0 ? "" : "AS" + std::to_string(place.asn) + " ";
    text += place.country.ToText() + " " + std::string(ContinentName(place.continent)) + " ";
    for (uint8_t pop : place.ranking) text += (text.back() == ' ' ? "" : ",") + std::to_string(pop);
    return text + " /" + std::to_string(match.scope);
  }
  test::TempDir dir_;
  std::shared_ptr<const GeoMap> map_;
};

TEST_F(GeoMapTest, BothLayoutsAllRecordSizesAndBothAddressFamiliesAreRead) {
  for (int bits : {24, 28, 32}) {
    MmdbWriter nested(6, bits);
    nested.AddCity("133.0.0.0/8", "JP", 35.6, 139.7).AddCity("2001:200::/32", "JP", 35.6, 139.7);
    ASSERT_EQ(Load({nested.Bytes()}), "");
    EXPECT_EQ(At("133.11.0.1"), "JP AS 2,0,1 /8") << bits;
    EXPECT_EQ(At("2001:200::1"), "JP AS 2,0,1 /32") << bits;
    EXPECT_EQ(At("132.0.0.1"), "nowhere /8") << bits;
    MmdbWriter flat(4, bits);
    flat.AddFlat("133.0.0.0/8", "JP", 35.6F, 139.7F);
    ASSERT_EQ(Load({flat.Bytes()}), "");
    EXPECT_EQ(At("133.11.0.1"), "JP AS 2,0,1 /8") << bits;
    EXPECT_EQ(At("2001:200::1"), "nowhere /0") << "no IPv6 in an IPv4 file";
  }
}

TEST_F(GeoMapTest, CountriesWithoutCoordinatesHaveThoseOfTheTable) {
  MmdbWriter writer(6);
  writer.AddFlat("1.0.0.0/8", "de").AddCountry("2.0.0.0/8", "US").AddFlat("3.0.0.0/8", "JP");
  writer.AddFlat("4.0.0.0/8", "ZZ").AddFlat("5.0.0.0/8", "").AddFlat("6.0.0.0/8", "XYZ");
  ASSERT_EQ(Load({writer.Bytes()}), "");
  EXPECT_EQ(At("1.0.0.1"), "DE EU 0,1,2 /8");
  EXPECT_EQ(At("2.0.0.1"), "US NA 1,0,2 /8");
  EXPECT_EQ(At("3.0.0.1"), "JP AS 2,0,1 /8");
  EXPECT_EQ(At("4.0.0.1"), "ZZ   /8") << "a country of no table";
  EXPECT_EQ(At("5.0.0.1"), "nowhere /8");
  EXPECT_EQ(At("6.0.0.1"), "nowhere /7");
}

TEST_F(GeoMapTest, CoordinatesOfTheRecordCountMoreThanTheCountrys) {
  MmdbWriter writer(6);
  // Hawaii is nearer to Tokyo than to Virginia.
  writer.AddCity("1.0.0.0/8", "US", 21.3, -157.8).AddCity("2.0.0.0/8", "US", 40.7, -74.0);
  ASSERT_EQ(Load({writer.Bytes()}), "");
  EXPECT_EQ(At("1.0.0.1"), "US NA 2,1,0 /8");
  EXPECT_EQ(At("2.0.0.1"), "US NA 1,0,2 /8");
}

TEST_F(GeoMapTest, ImpossibleCoordinatesAreNoCoordinates) {
  MmdbWriter writer(6);
  writer.AddCity("1.0.0.0/8", "DE", 91, 0).AddCity("2.0.0.0/8", "DE", 0, 181);
  writer.AddCity("4.0.0.0/8", "DE", std::numeric_limits<double>::quiet_NaN(), 0);
  ASSERT_EQ(Load({writer.Bytes()}), "");
  for (auto address : {"1.0.0.1", "2.0.0.1", "4.0.0.1"})
    EXPECT_EQ(At(address).substr(0, 8), "DE EU 0,");
}

TEST_F(GeoMapTest, NeighboursWithTheSamePlaceAreMerged) {
  MmdbWriter writer(6);
  // Different cities of one cell of Germany rank alike, and countries differ.
  writer.AddCity("10.0.0.0/16", "DE", 50, 8).AddCity("10.1.0.0/16", "DE", 51.3, 6.8);
  writer.AddCity("10.2.0.0/15", "DE", 50.9, 7).AddCity("10.4.0.0/14", "AT", 48.2, 16.4);
  ASSERT_EQ(Load({writer.Bytes()}), "");
  EXPECT_EQ(At("10.0.0.1"), "DE EU 0,1,2 /14");
  EXPECT_EQ(At("10.4.0.1"), "AT EU 0,1,2 /14");
  EXPECT_EQ(map_->place_count(), 3U);
  // What is far enough to matter to an overloaded point of presence stays apart.
  const Place& near =
      map_->place(map_->trie(false).Find(IpAddress::Parse("10.0.0.1")->bytes.data()).value);
  const Place& far =
      map_->place(map_->trie(false).Find(IpAddress::Parse("10.4.0.1")->bytes.data()).value);
  ASSERT_EQ(near.nearness.size(), 3U);
  EXPECT_GT(near.nearness[0], far.nearness[0]);
  EXPECT_GT(near.nearness[0], near.nearness[1]) << "in the order of the ranking";
}

TEST_F(GeoMapTest, FilesAreMergedAndTheFirstThatKnowsCounts) {
  MmdbWriter ipv4(4), ipv6(6), second(6);
  ipv4.AddFlat("1.0.0.0/8", "DE").AddFlat("2.0.0.0/8", "");
  ipv6.AddFlat("2001:db8::/32", "JP");
  second.AddFlat("1.0.0.0/8", "US").AddFlat("2.0.0.0/8", "US").AddFlat("2001:db8::/33", "US");
  ASSERT_EQ(Load({ipv4.Bytes(), ipv6.Bytes(), second.Bytes()}), "");
  EXPECT_EQ(At("1.0.0.1").substr(0, 2), "DE");
  EXPECT_EQ(At("2.0.0.1").substr(0, 2), "US");
  EXPECT_EQ(At("2001:db8::1").substr(0, 2), "JP");
  auto evidence = map_->Explain(*IpAddress::Parse("2.0.0.1"));
  ASSERT_NE(evidence.database, nullptr);
  EXPECT_EQ(evidence.locality.country.ToText(), "US")
      << "an empty record leaves the word to the next file";
}

TEST_F(GeoMapTest, ExplainTellsNetworkAndSource) {
  MmdbWriter writer(6);
  writer.AddFlat("133.0.0.0/8", "JP").AddCity("10.1.0.0/16", "DE", 50, 8);
  ASSERT_EQ(Load({writer.Bytes()}), "");
  auto japan = map_->Explain(*IpAddress::Parse("133.11.0.1"));
  EXPECT_EQ(japan.network.ToText(), "133.0.0.0/8");
  EXPECT_TRUE(japan.coordinates_of_country);
  EXPECT_EQ(japan.locality.continent, Continent::kAsia);
  EXPECT_EQ(japan.database->type(), "Test-City");
  EXPECT_EQ(ToUnixMillis(japan.database->built()), 1'790'000'000'000);
  auto germany = map_->Explain(*IpAddress::Parse("10.1.2.3"));
  EXPECT_FALSE(germany.coordinates_of_country);
  EXPECT_EQ(germany.locality.coordinates, (Coordinates{50, 8}));
  EXPECT_EQ(map_->Explain(*IpAddress::Parse("192.0.2.1")).database, nullptr);
}

TEST_F(GeoMapTest, AFileThatTellsNothingOfUseSaysWhatItHas) {
  MmdbWriter writer(6, 24, "Test-Anonymous");
  writer.Add("1.0.0.0/8", {{"is_anonymous", 1U}, {"network_name", "Example"}});
  std::string error = Load({writer.Bytes()});
  EXPECT_THAT(error, HasSubstr("db0.mmdb: no record has a country"));
  EXPECT_THAT(error, HasSubstr("or an autonomous system (autonomous_system_number)"));
  EXPECT_THAT(error, HasSubstr("\"Test-Anonymous\""));
  EXPECT_THAT(error, HasSubstr("its records have is_anonymous, network_name"));
  EXPECT_THAT(Load({MmdbWriter(6).Bytes()}), HasSubstr("it has no records"));
}

TEST_F(GeoMapTest, PlacesAndAutonomousSystemsOfSeveralFilesCompleteEachOther) {
  MmdbWriter places(6), systems(6, 28, "GeoLite2-ASN");
  places.AddFlat("10.0.0.0/8", "DE").AddFlat("2001:db8::/32", "JP");
  systems.AddAsn("10.1.0.0/16", 64500).AddAsn("10.2.0.0/16", 64501).AddAsn("11.0.0.0/8", 64500);
  systems.AddAsn("2001:db8:1::/48", 64500).AddAsn("12.0.0.0/8", 70000);
  const std::vector<std::string> files = {places.Bytes(), systems.Bytes()};
  for (bool places_first : {true, false}) {
    auto order = places_first ? files : std::vector{files[1], files[0]};
    ASSERT_EQ(Load(order, {64500, 70000}), "");
    EXPECT_EQ(At("10.1.0.1"), "AS64500 DE EU 0,1,2 /16");
    EXPECT_EQ(At("10.2.0.1"), "DE EU 0,1,2 /15") << "a system that no rule names has no width";
    EXPECT_EQ(At("10.128.0.1"), "DE EU 0,1,2 /9");
    EXPECT_EQ(At("11.0.0.1"), "AS64500    /8") << "a system without a place";
    EXPECT_EQ(At("2001:db8:1::1"), "AS64500 JP AS 2,0,1 /48");
    EXPECT_EQ(At("2001:db8:2::1"), "JP AS 2,0,1 /47");
    ASSERT_EQ(Load(order), "");
    EXPECT_EQ(At("10.1.0.1"), "DE EU 0,1,2 /8") << "no rule names a system: none is kept";
    EXPECT_EQ(At("11.0.0.1"), "nowhere /8");
  }
}

TEST_F(GeoMapTest, TheFirstFileThatKnowsTheSystemCounts) {
  MmdbWriter first(4), second(4);
  first.AddAsn("10.0.0.0/9", 1);
  second.AddAsn("10.0.0.0/8", 2);
  ASSERT_EQ(Load({first.Bytes(), second.Bytes()}, {1, 2}), "");
  EXPECT_EQ(At("10.0.0.1").substr(0, 4), "AS1 ");
  EXPECT_EQ(At("10.128.0.1").substr(0, 4), "AS2 ");
}

TEST_F(GeoMapTest, ExplainTellsTheSystemWhetherARuleNamesItOrNot) {
  MmdbWriter places(4), systems(4, 24, "GeoLite2-ASN");
  places.AddFlat("10.0.0.0/8", "DE");
  systems.AddAsn("10.1.0.0/16", 64501).AddAsn("11.0.0.0/8", 64502);
  ASSERT_EQ(Load({places.Bytes(), systems.Bytes()}), "");
  auto both = map_->Explain(*IpAddress::Parse("10.1.0.1"));
  EXPECT_EQ(both.locality.country.ToText(), "DE");
  EXPECT_EQ(both.network.ToText(), "10.0.0.0/8");
  EXPECT_EQ(both.locality.asn, 64501U);
  EXPECT_EQ(both.as_organization, "Example");
  EXPECT_EQ(both.asn_network.ToText(), "10.1.0.0/16");
  ASSERT_NE(both.asn_database, nullptr);
  EXPECT_EQ(both.asn_database->type(), "GeoLite2-ASN");
  auto system = map_->Explain(*IpAddress::Parse("11.0.0.1"));
  EXPECT_EQ(system.database, nullptr);
  EXPECT_EQ(system.locality.asn, 64502U);
}

TEST_F(GeoMapTest, DamagedFilesAreRefused) {
  MmdbWriter writer(6);
  writer.AddFlat("133.0.0.0/8", "JP").AddFlat("2001:200::/32", "JP");
  std::string whole = writer.Bytes();
  EXPECT_THAT(Load({""}), HasSubstr("db0.mmdb: "));
  EXPECT_THAT(Load({"no database"}), HasSubstr("no usable MMDB file"));
  size_t refused = 0;
  for (size_t size = 0; size < whole.size(); size += 3)
    refused += !Load({whole.substr(0, size)}).empty();
  EXPECT_EQ(refused, (whole.size() + 2) / 3) << "every cut-off file";
  std::string looped = whole;
  looped.replace(0, 6, std::string(6, '\0'));  // the root leads to itself
  EXPECT_THAT(Load({looped}), HasSubstr("damaged; expected a whole MMDB file"));
  auto missing = GeoMap::Load({dir_.In("missing.mmdb")}, kPops);
  ASSERT_FALSE(missing);
  EXPECT_THAT(missing.error().message, HasSubstr("No such file"));
}

/// Reading on would end the process: the pages behind the end are no more.
TEST_F(GeoMapTest, AFileThatIsCutOffInPlaceTellsNothing) {
  MmdbWriter writer(6);
  writer.AddFlat("133.0.0.0/8", "JP");
  ASSERT_EQ(Load({writer.Bytes()}), "");
  ASSERT_EQ(truncate(dir_.In("db0.mmdb").c_str(), 0), 0);
  EXPECT_EQ(map_->Explain(*IpAddress::Parse("133.11.0.1")).database, nullptr);
  EXPECT_EQ(At("133.11.0.1"), "JP AS 2,0,1 /8") << "answers do not need the file";
}

TEST_F(GeoMapTest, WithoutFilesNobodyIsAnywhere) {
  ASSERT_EQ(Load({}), "");
  EXPECT_EQ(At("133.11.0.1"), "nowhere /0");
}

TEST(CountriesTest, RowsAreSortedCompleteAndPlausible) {
  auto rows = AllCountries();
  EXPECT_EQ(rows.size(), 250U) << "249 of ISO 3166-1 and Kosovo";
  for (size_t i = 0; i < rows.size(); ++i) {
    EXPECT_TRUE(i == 0 || rows[i - 1].code < rows[i].code) << i;
    EXPECT_EQ(FindCountry(rows[i].code), &rows[i]);
    EXPECT_NE(rows[i].continent, Continent::kNone);
    EXPECT_LE(std::abs(rows[i].center.latitude), 90);
    EXPECT_LE(std::abs(rows[i].center.longitude), 180);
  }
  EXPECT_EQ(FindCountry(CountryCode('Z', 'Z')), nullptr);
  EXPECT_EQ(FindCountry(CountryCode()), nullptr);
}

/// A centre on the wrong side of the world (a lost minus) would be far from its neighbours.
TEST(CountriesTest, CentresLieOnTheirContinents) {
  const struct {
    Continent continent;
    Coordinates middle;
    double within_km;
  } kRows[] = {
      {Continent::kAfrica, {3, 18}, 5500},          {Continent::kEurope, {51, 15}, 3600},
      {Continent::kAsia, {28, 85}, 7400},           {Continent::kNorthAmerica, {28, -85}, 5500},
      {Continent::kSouthAmerica, {-16, -62}, 4200}, {Continent::kOceania, {-12, 175}, 6200}};
  for (const Country& country : AllCountries()) {
    for (const auto& row : kRows) {
      if (row.continent != country.continent) continue;
      EXPECT_LT(DistanceKm(country.center, row.middle), row.within_km) << country.code.ToText();
    }
  }
}

TEST(PlaceTest, DistancesAreThoseOfTheGlobe) {
  EXPECT_NEAR(DistanceKm({50.11, 8.68}, {38.9, -77.4}), 6560, 60);
  EXPECT_NEAR(DistanceKm({0, 179}, {0, -179}), 222, 2) << "across the date line";
  EXPECT_NEAR(DistanceKm({90, 0}, {-90, 77}), 20015, 1);
  EXPECT_EQ(DistanceKm({1, 2}, {1, 2}), 0);
}

TEST(PlaceTest, DistancesAreRead) {
  EXPECT_EQ(ParseDistance("500km"), 500);
  EXPECT_EQ(ParseDistance("0km"), 0);
  EXPECT_EQ(ParseDistance("20100km"), 20100);
  for (auto text : {"", "km", "500", "500 km", "-5km", "5.5km", "20101km", "5kmx", "5m"}) {
    EXPECT_FALSE(ParseDistance(text)) << text;
  }
}

TEST(PlaceTest, CodesAreRead) {
  EXPECT_EQ(CountryCode::Parse("jp")->ToText(), "JP");
  for (auto text : {"", "J", "JPN", "J1", "@@"}) EXPECT_FALSE(CountryCode::Parse(text)) << text;
  EXPECT_EQ(ContinentFromText("EU"), Continent::kEurope);
  for (auto text : {"", "eu", "XX"}) EXPECT_FALSE(ContinentFromText(text)) << text;
}

}  // namespace
}  // namespace nearside::geodns
