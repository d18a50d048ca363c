#include "geodns/geo_map.h"

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
  explicit PlaceNumbers(std::span<const Coordinates> pops) {
    for (const Coordinates& pop : pops) pops_.push_back(UnitVector::Of(pop));
    NumberOf(Place());
  }

  uint32_t Number(const Locality& locality) override {
    Locality completed = locality;
    Complete(&completed);
    Place place{completed.country, completed.continent, {}};
    if (!completed.coordinates) return NumberOf(std::move(place));
    place.ranking = Rank(*completed.coordinates);
    for (uint8_t pop : place.ranking) {
      place.nearness.push_back(static_cast<float>(nearness_[pop]));
    }
    place.cell = CellOf(*completed.coordinates);
    return NumberOf(std::move(place));
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

  std::vector<UnitVector> pops_;
  std::vector<double> nearness_;
  std::unordered_map<std::string, size_t> numbers_;
  std::vector<Place> places_;
};

uint32_t FirstKnown(uint32_t a, uint32_t b) { return a != 0 ? a : b; }

}  // namespace

Result<std::shared_ptr<const GeoMap>> GeoMap::Load(const std::vector<std::string>& files,
                                                   std::span<const Coordinates> pops) {
  auto map = std::make_shared<GeoMap>();
  PlaceNumbers numbers(pops);
  for (const std::string& file : files) {
    auto database = GeoDatabase::Open(file);
    if (!database) return tl::unexpected(std::move(database.error()));
    auto tries = (*database)->ReadTries(numbers);
    if (!tries) return tl::unexpected(std::move(tries.error()));
    map->databases_.push_back(std::move(*database));
    bool is_first = map->databases_.size() == 1;
    map->ipv4_ = is_first ? std::move(tries->ipv4)
                          : PrefixTrie::Combine(map->ipv4_, tries->ipv4, FirstKnown);
    map->ipv6_ = is_first ? std::move(tries->ipv6)
                          : PrefixTrie::Combine(map->ipv6_, tries->ipv6, FirstKnown);
  }
  map->places_ = numbers.TakePlaces();
  return std::shared_ptr<const GeoMap>(std::move(map));
}

GeoMap::Evidence GeoMap::Explain(const IpAddress& address) const {
  for (const auto& database : databases_) {
    auto found = database->Find(address);
    // What says nothing leaves the word to the next database, as in Load.
    if (!found || found->locality == Locality()) continue;
    Evidence evidence{database.get(), found->network, found->locality, false};
    evidence.coordinates_of_country = Complete(&evidence.locality);
    return evidence;
  }
  return {};
}

}  // namespace nearside::geodns
