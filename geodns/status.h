#pragma once

#include <string>
#include <vector>

#include "geodns/target_health.h"
#include "geodns/world.h"
#include "runtime/clock.h"

namespace nearside::geodns {

/// /status: points of presence with health, zones with serials, databases with build dates.
std::string StatusJson(const World& world, const std::vector<TargetHealth>& targets, WallTime now,
                       WallTime started);
/// The metrics whose series come and go with the settings: health by target, zones, databases.
std::string WorldMetrics(const World& world, const std::vector<TargetHealth>& targets);

}  // namespace nearside::geodns
