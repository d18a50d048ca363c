#include "geodns/geo_map.h"

#include <malloc.h>

#include <algorithm>
#include <cmath>
#include <numeric>
#include <unordered_map>

#include "geodns/countries.h"

namespace nearside::geodns {
namespace {

/// Fills in what follows from the country. Returns whether the coordinates are the country's.
bool Complete(Locality* locality) {
  const Country* country = FindCountry(locality->country);
  if (country == nullptr) return false;
  if (locality->continent == Continent::kNone) locality->continent = country->continent;
  if (locality->coordinates) return false;
  locality->coordinates = country->center;
  return true;
}

class PlaceNumbers final : public LocalityNumbers {
 public:
  PlaceNumbers(std::span<const Coordinates> pops, std::span<const uint32_t> asns) : asns_(asns) {
    for (const Coordinates& pop : pops) pops_.push_back(UnitVector::Of(pop));
    NumberOf(Place());
  }

  uint32_t Number(const Locality& locality) override {
    Locality completed = locality;
    Complete(&completed);
    Place place{completed.country, completed.continent, {}, 0};
    if (std::ranges::binary_search(asns_, completed.asn)) place.asn = completed.asn;
    if (!completed.coordinates) return NumberOf(std::move(place));
    place.ranking = Rank(*completed.coordinates);
    for (uint8_t pop : place.ranking) {
      place.nearness.push_back(static_cast<float>(nearness_[pop]));
    }
    place.cell = CellOf(*completed.coordinates);
    return NumberOf(std::move(place));
  }

  /// What two databases together say of one network: of each kind what the first one knows.
  uint32_t Merged(uint32_t first, uint32_t second) {
    if (first == second || second == 0) return first;
    if (first == 0) return second;
    auto [at, is_new] = merged_.try_emplace(uint64_t{first} << 32 | second, first);
    if (!is_new) return at->second;
    Place place = places_[first];
    const Place& other = places_[second];
    if (place.asn == 0) place.asn = other.asn;
    if (!KnowsWhere(place)) {
      place.country = other.country;
      place.continent = other.continent;
      place.ranking = other.ranking;
      place.nearness = other.nearness;
      place.cell = other.cell;
    }
    at->second = NumberOf(std::move(place));
    return at->second;
  }

  std::vector<Place> TakePlaces() { return std::move(places_); }

 private:
  /// How far a place is may differ by its cell: overloaded points of presence keep the nearest.
  static uint16_t CellOf(const Coordinates& at) {
    constexpr double kDegrees = 5;
    return static_cast<uint16_t>(std::floor((at.latitude + 90) / kDegrees) * 128 +
                                 std::floor((at.longitude + 180) / kDegrees));
  }

  uint32_t NumberOf(Place place) {
    std::string key = {static_cast<char>(place.country.value() >> 8),
                       static_cast<char>(place.country.value()), static_cast<char>(place.continent),
                       static_cast<char>(place.cell >> 8), static_cast<char>(place.cell)};
    for (int shift = 24; shift >= 0; shift -= 8) key += static_cast<char>(place.asn >> shift);
    key.append(place.ranking.begin(), place.ranking.end());
    auto [at, is_new] = numbers_.try_emplace(std::move(key), places_.size());
    if (is_new) places_.push_back(std::move(place));
    return static_cast<uint32_t>(at->second);
  }

  std::vector<uint8_t> Rank(const Coordinates& at) {
    UnitVector client = UnitVector::Of(at);
    nearness_.clear();
    for (const UnitVector& pop : pops_) nearness_.push_back(client.Dot(pop));
    std::vector<uint8_t> order(pops_.size());
    std::iota(order.begin(), order.end(), uint8_t{0});
    // Equally near ones keep the order of the settings.
    std::stable_sort(order.begin(), order.end(),
                     [&](uint8_t a, uint8_t b) { return nearness_[a] > nearness_[b]; });
    return order;
  }

  static bool KnowsWhere(const Place& place) {
    return place.country.is_set() || place.continent != Continent::kNone || !place.ranking.empty();
  }

  std::span<const uint32_t> asns_;
  std::vector<UnitVector> pops_;
  std::vector<double> nearness_;
  std::unordered_map<std::string, size_t> numbers_;
  std::unordered_map<uint64_t, uint32_t> merged_;  ///< by both numbers
  std::vector<Place> places_;
};

/// What does not depend on the autonomous system.
bool TellsWhere(Locality locality) {
  locality.asn = 0;
  return locality != Locality();
}

}  // namespace

Result<std::shared_ptr<const GeoMap>> GeoMap::Load(const std::vector<std::string>& files,
                                                   std::span<const Coordinates> pops,
                                                   std::span<const uint32_t> asns) {
  auto map = std::make_shared<GeoMap>();
  PlaceNumbers numbers(pops, asns);
  auto merge = [&](uint32_t first, uint32_t second) { return numbers.Merged(first, second); };
  for (const std::string& file : files) {
    auto database = GeoDatabase::Open(file);
    if (!database) return tl::unexpected(std::move(database.error()));
    auto tries = (*database)->ReadTries(numbers);
    if (!tries) return tl::unexpected(std::move(tries.error()));
    map->databases_.push_back(std::move(*database));
    bool is_first = map->databases_.size() == 1;
    map->ipv4_ =
        is_first ? std::move(tries->ipv4) : PrefixTrie::Combine(map->ipv4_, tries->ipv4, merge);
    map->ipv6_ =
        is_first ? std::move(tries->ipv6) : PrefixTrie::Combine(map->ipv6_, tries->ipv6, merge);
  }
  map->places_ = numbers.TakePlaces();
  malloc_trim(0);  // what was needed to read is a multiple of what stays
  return std::shared_ptr<const GeoMap>(std::move(map));
}

GeoMap::Evidence GeoMap::Explain(const IpAddress& address) const {
  Evidence evidence;
  for (const auto& database : databases_) {
    auto found = database->Find(address);
    if (!found) continue;
    // What says nothing leaves the word to the next database, as in Load.
    if (evidence.database == nullptr && TellsWhere(found->locality)) {
      uint32_t asn = evidence.locality.asn;
      evidence.database = database.get();
      evidence.network = found->network;
      evidence.locality = found->locality;
      evidence.locality.asn = asn;
      evidence.coordinates_of_country = Complete(&evidence.locality);
    }
    if (evidence.asn_database == nullptr && found->locality.asn != 0) {
      evidence.asn_database = database.get();
      evidence.asn_network = found->network;
      evidence.locality.asn = found->locality.asn;
      evidence.as_organization = found->as_organization;
    }
  }
  return evidence;
}

}  // namespace nearside::geodns
