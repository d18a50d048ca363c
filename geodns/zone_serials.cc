#include "geodns/zone_serials.h"

#include <algorithm>

namespace nearside::geodns {

std::vector<SerialNotRaised> SerialsNotRaised(std::span<const std::shared_ptr<const Zone>> before,
                                              std::span<const std::shared_ptr<const Zone>> now) {
  std::vector<SerialNotRaised> found;
  for (const auto& zone : now) {
    auto old = std::ranges::find_if(
        before, [&](const auto& other) { return other->origin().Equals(zone->origin()); });
    if (old == before.end() || (*old)->digest() == zone->digest()) continue;
    // Serials are numbers on a circle: the later one is less than half of it ahead.
    const uint32_t ahead = zone->serial() - (*old)->serial();
    if (ahead != 0 && ahead < 0x8000'0000U) continue;
    found.push_back({zone->origin().ToText(), (*old)->serial(), zone->serial()});
  }
  return found;
}

}  // namespace nearside::geodns
