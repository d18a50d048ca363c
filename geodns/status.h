#pragma once

#include <string>

#include "geodns/moment.h"
#include "geodns/world.h"
#include "runtime/clock.h"

namespace nearside::geodns {

/// /status: points of presence with health, zones with serials and keys, aliases with what they
/// lead to, databases with build dates. `aliases`: nullptr when nothing is looked up.
std::string StatusJson(const World& world, const Moment& moment, WallTime now, WallTime started,
                       const AliasResolver* aliases = nullptr);
/// The metrics whose series come and go with the settings: health by target, drains and shares by
/// point of presence, zones, databases, aliases.
std::string WorldMetrics(const World& world, const Moment& moment,
                         const AliasResolver* aliases = nullptr);

}  // namespace nearside::geodns
