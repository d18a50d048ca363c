#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace nearside::geodns {

/// Degrees north and east.
struct Coordinates {
  double latitude = 0;
  double longitude = 0;
  bool operator==(const Coordinates&) const = default;
};

/// Great-circle distance on a sphere of 6371 km, by the haversine formula.
double DistanceKm(const Coordinates& a, const Coordinates& b);

/// "500km": whole kilometres. nullopt for anything else, and for what is farther than the other
/// side of the Earth.
std::optional<double> ParseDistance(std::string_view text);

/// A point on the unit sphere: comparing scalar products orders points by distance without
/// trigonometry.
struct UnitVector {
  double x = 0, y = 0, z = 0;
  static UnitVector Of(const Coordinates& at);
  double Dot(const UnitVector& o) const { return x * o.x + y * o.y + z * o.z; }
};

/// ISO 3166-1 alpha-2, upper case; default-constructed: none.
class CountryCode {
 public:
  constexpr CountryCode() = default;
  constexpr CountryCode(char first, char second)
      : value_(static_cast<uint16_t>(first << 8 | second)) {}
  /// Two letters in any case, or nothing.
  static std::optional<CountryCode> Parse(std::string_view text);
  constexpr bool is_set() const { return value_ != 0; }
  constexpr uint16_t value() const { return value_; }
  std::string ToText() const;
  constexpr auto operator<=>(const CountryCode&) const = default;

 private:
  uint16_t value_ = 0;
};

enum class Continent : uint8_t {
  kNone,
  kAfrica,
  kAntarctica,
  kAsia,
  kEurope,
  kNorthAmerica,
  kOceania,
  kSouthAmerica
};

/// "AF", "AN", "AS", "EU", "NA", "OC", "SA"; "" for none.
std::string_view ContinentName(Continent continent);
std::optional<Continent> ContinentFromText(std::string_view text);

/// What a database says of an address.
struct Locality {
  CountryCode country;
  Continent continent = Continent::kNone;
  std::optional<Coordinates> coordinates;
  uint32_t asn = 0;  ///< number of the autonomous system that announces it; 0: unknown
  bool operator==(const Locality&) const = default;
};

}  // namespace nearside::geodns
