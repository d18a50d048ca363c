#include "geodns/place.h"

#include <charconv>
#include <cmath>
#include <numbers>
#include <system_error>

namespace nearside::geodns {
namespace {

constexpr double kEarthRadiusKm = 6371;

constexpr std::array<std::string_view, 8> kContinentNames = {"",   "AF", "AN", "AS",
                                                             "EU", "NA", "OC", "SA"};

double Radians(double degrees) { return degrees * std::numbers::pi / 180; }

}  // namespace

double DistanceKm(const Coordinates& a, const Coordinates& b) {
  double half_latitude = Radians(b.latitude - a.latitude) / 2;
  double half_longitude = Radians(b.longitude - a.longitude) / 2;
  double h = std::pow(std::sin(half_latitude), 2) + std::cos(Radians(a.latitude)) *
                                                        std::cos(Radians(b.latitude)) *
                                                        std::pow(std::sin(half_longitude), 2);
  return 2 * kEarthRadiusKm * std::asin(std::sqrt(std::min(1.0, h)));
}

std::optional<double> ParseDistance(std::string_view text) {
  constexpr std::string_view kUnit = "km";
  constexpr uint32_t kMostKm = 20'100;
  if (!text.ends_with(kUnit)) return std::nullopt;
  text.remove_suffix(kUnit.size());
  uint32_t km = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), km);
  if (error != std::errc() || end != text.data() + text.size() || km > kMostKm) return std::nullopt;
  return km;
}

UnitVector UnitVector::Of(const Coordinates& at) {
  double latitude = Radians(at.latitude);
  double longitude = Radians(at.longitude);
  return {std::cos(latitude) * std::cos(longitude), std::cos(latitude) * std::sin(longitude),
          std::sin(latitude)};
}

std::optional<CountryCode> CountryCode::Parse(std::string_view text) {
  if (text.size() != 2) return {};
  char letters[2];
  for (int i = 0; i < 2; ++i) {
    letters[i] = static_cast<char>(text[static_cast<size_t>(i)] & ~0x20);
    if (letters[i] < 'A' || letters[i] > 'Z') return {};
  }
  return CountryCode(letters[0], letters[1]);
}

std::string CountryCode::ToText() const {
  if (!is_set()) return "";
  return {static_cast<char>(value_ >> 8), static_cast<char>(value_)};
}

std::string_view ContinentName(Continent continent) {
  return kContinentNames[static_cast<size_t>(continent)];
}

std::optional<Continent> ContinentFromText(std::string_view text) {
  for (size_t i = 1; i < kContinentNames.size(); ++i) {
    if (kContinentNames[i] == text) return static_cast<Continent>(i);
  }
  return {};
}

}  // namespace nearside::geodns
