#include "geodns/zone_index.h"

#include <algorithm>
#include <bit>

#include "runtime/hash.h"

namespace nearside::geodns {

ZoneIndex::ZoneIndex(std::vector<std::shared_ptr<const Zone>> zones) : zones_(std::move(zones)) {
  slots_.assign(std::bit_ceil(zones_.size() * 2 + 1), {});
  for (size_t number = 0; number < zones_.size(); ++number) {
    dns::Name& origin = origins_.emplace_back(zones_[number]->origin());
    origin.Fold();
    has_signed_ |= zones_[number]->keys() != nullptr;
    most_labels_ = std::max(most_labels_, origin.view().labels());
    uint64_t hash = Xxh64(origin.view().bytes());
    size_t i = hash & (slots_.size() - 1);
    while (slots_[i].zone != UINT32_MAX) i = (i + 1) & (slots_.size() - 1);
    slots_[i] = {static_cast<uint32_t>(hash >> 32), static_cast<uint32_t>(number)};
  }
}

const Zone* ZoneIndex::Find(dns::NameView folded) const {
  const size_t number = NumberOf(folded);
  return number < zones_.size() ? zones_[number].get() : nullptr;
}

size_t ZoneIndex::NumberOf(dns::NameView folded) const {
  dns::NameView rest = folded;
  for (size_t labels = folded.labels(); labels > most_labels_; --labels) rest = rest.Parent();
  for (;; rest = rest.Parent()) {
    uint64_t hash = Xxh64(rest.bytes());
    for (size_t i = hash;; ++i) {
      const Slot& slot = slots_[i & (slots_.size() - 1)];
      if (slot.zone == UINT32_MAX) break;
      if (slot.tag != static_cast<uint32_t>(hash >> 32)) continue;
      if (std::ranges::equal(origins_[slot.zone].view().bytes(), rest.bytes())) {
        return slot.zone;
      }
    }
    if (rest.is_root()) return zones_.size();
  }
}

}  // namespace nearside::geodns
