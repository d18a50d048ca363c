#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "geodns/geo_map.h"
#include "geodns/prefix_trie.h"
#include "geodns/steering.h"

namespace nearside::geodns {

/// One rule worked out for every address under the health of the moment, so that a query costs a
/// walk of a trie. Immutable; any thread. Made anew when health changes: about 20 ms for a million
/// networks.
class SteerTable {
 public:
  /// What all clients of some networks get.
  struct Outcome {
    SteerReason reason = SteerReason::kNearest;
    Pops pops;  ///< the answer; for kWeighted those to draw from; empty: the fallback addresses
    Pops all;   ///< kWeighted: those to draw the first from
  };

  /// `weights` has one for each point of presence.
  static std::shared_ptr<const SteerTable> Make(const SteerRule& rule, const GeoMap& map,
                                                const Health& health,
                                                std::vector<uint32_t> weights);

  struct Answer {
    Drawn pops;  ///< none: the fallback addresses
    SteerReason reason = SteerReason::kNearest;
    uint8_t scope = 0;  ///< bits of `client` that the answer depended on
  };
  /// `known_bits`: how many bits of `client` mean anything (an ECS source prefix); the scope is no
  /// longer.
  Answer Find(const IpAddress& client, uint8_t known_bits) const;

  size_t outcome_count() const { return outcomes_.size(); }
  size_t memory_bytes() const { return tries_[0].memory_bytes() + tries_[1].memory_bytes(); }

 private:
  size_t answers_ = 1;
  bool by_hash_ = false;
  std::vector<uint32_t> weights_;
  std::vector<Outcome> outcomes_;
  PrefixTrie tries_[2];  ///< IPv4, IPv6
};

}  // namespace nearside::geodns
