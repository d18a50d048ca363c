#include "geodns/zone_serials.h"

#include <algorithm>

#include "geodns/zone_keys.h"

namespace nearside::geodns {
namespace {

/// Records that come from keys are not of the file, and nobody has to raise a serial for them.
bool SignedAlike(const Zone& a, const Zone& b) {
  if (a.keys() == nullptr || b.keys() == nullptr) return a.keys() == b.keys();
  const auto same = [](const ZoneKey& x, const ZoneKey& y) {
    return x.state == y.state && x.dnskey == y.dnskey;
  };
  return std::ranges::equal(a.keys()->keys, b.keys()->keys, same);
}

}  // namespace

std::vector<SerialNotRaised> SerialsNotRaised(std::span<const std::shared_ptr<const Zone>> before,
                                              std::span<const std::shared_ptr<const Zone>> now) {
  std::vector<SerialNotRaised> found;
  for (const auto& zone : now) {
    auto old = std::ranges::find_if(
        before, [&](const auto& other) { return other->origin().Equals(zone->origin()); });
    if (old == before.end() || (*old)->digest() == zone->digest()) continue;
    if (!SignedAlike(**old, *zone)) continue;
    // Serials are numbers on a circle: the later one is less than half of it ahead.
    const uint32_t ahead = zone->serial() - (*old)->serial();
    if (ahead != 0 && ahead < 0x8000'0000U) continue;
    found.push_back({zone->origin().ToText(), (*old)->serial(), zone->serial()});
  }
  return found;
}

}  // namespace nearside::geodns
