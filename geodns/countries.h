#pragma once

#include <span>

#include "geodns/place.h"

namespace nearside::geodns {

/// A country where databases give no coordinates: a point near where most of its people live (not
/// the middle of its area: Russia's clients are nearer to Frankfurt than to Tokyo), to a tenth of a
/// degree.
struct Country {
  CountryCode code;
  Continent continent;
  Coordinates center;
};

/// The row of an ISO 3166-1 code (and XK, Kosovo), or nullptr.
const Country* FindCountry(CountryCode code);
/// All rows, ascending by code.
std::span<const Country> AllCountries();

}  // namespace nearside::geodns
