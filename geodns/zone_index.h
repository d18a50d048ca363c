#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "dns/name.h"
#include "geodns/zone.h"

namespace nearside::geodns {

/// Finds the zone that a name is in: the one with the longest origin. Immutable; any thread.
class ZoneIndex {
 public:
  ZoneIndex() = default;
  /// Origins are distinct.
  explicit ZoneIndex(std::vector<std::shared_ptr<const Zone>> zones);

  /// `folded` is in lower case. nullptr: none of our zones.
  const Zone* Find(dns::NameView folded) const;
  /// The place in zones() of the zone that answers for a name; zones().size() for none.
  size_t NumberOf(dns::NameView folded) const;
  const std::vector<std::shared_ptr<const Zone>>& zones() const { return zones_; }
  bool has_signed() const { return has_signed_; }

 private:
  struct Slot {
    uint32_t tag = 0;
    uint32_t zone = UINT32_MAX;
  };
  std::vector<std::shared_ptr<const Zone>> zones_;
  std::vector<dns::Name> origins_;                  ///< in lower case
  std::vector<Slot> slots_ = std::vector<Slot>(1);  ///< a power of two, never full
  size_t most_labels_ = 0;
  bool has_signed_ = false;
};

}  // namespace nearside::geodns
