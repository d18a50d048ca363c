#pragma once

#include <string>

#include "geodns/moment.h"
#include "geodns/world.h"
#include "runtime/clock.h"

namespace nearside::geodns {

/// /status: points of presence with health, zones with serials, databases with build dates.
std::string StatusJson(const World& world, const Moment& moment, WallTime now, WallTime started);
/// The metrics whose series come and go with the settings: health by target, drains and shares by
/// point of presence, zones, databases.
std::string WorldMetrics(const World& world, const Moment& moment);

}  // namespace nearside::geodns
