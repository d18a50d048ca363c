#pragma once

#include <string>
#include <vector>

#include "geodns/target_health.h"
#include "geodns/world.h"
#include "runtime/clock.h"

namespace nearside::geodns {

/// /status: points of presence with health, zones with serials, aliases with what they lead to,
/// databases with build dates. `aliases`: nullptr when nothing is looked up.
std::string StatusJson(const World& world, const std::vector<TargetHealth>& targets, WallTime now,
                       WallTime started, const AliasResolver* aliases = nullptr);
/// The metrics whose series come and go with the settings: health by target, zones, databases,
/// aliases.
std::string WorldMetrics(const World& world, const std::vector<TargetHealth>& targets,
                         const AliasResolver* aliases = nullptr);

}  // namespace nearside::geodns
