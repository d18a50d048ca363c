#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <span>
#include <tuple>
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
  /// What clients get whose hash fraction is below `until`, and not below that of the part before.
  struct Part {
    double until = 1;
    Choice choice;
  };
  /// What all clients of some networks get.
  struct Outcome {
    SteerReason reason = SteerReason::kNearest;
    Pops pops;  ///< the answer; for kWeighted those to draw from; empty: the fallback addresses
    Pops all;   ///< kWeighted: those to draw the first from
    /// Instead of `pops`: a point of presence gives a part of these clients away.
    std::vector<Part> parts;
  };

  /// `weights` has one for each point of presence. While a point keeps less than all its clients,
  /// those of the other policies than kWeighted are compared by their distance, and counted by
  /// their IPv4 addresses and, apart from them, by their IPv6 /48 networks; that takes about three
  /// times as long.
  static std::shared_ptr<const SteerTable> Make(const SteerRule& rule, const GeoMap& map,
                                                const Health& health,
                                                std::vector<uint32_t> weights);

  struct Answer {
    Drawn pops;  ///< none: the fallback addresses
    SteerReason reason = SteerReason::kNearest;
    uint8_t scope = 0;  ///< bits of `client` that the answer depended on

    void Take(std::span<const uint8_t> list) {
      pops.count = std::min(list.size(), kMaxAnswers);
      std::copy_n(list.begin(), pops.count, pops.pops.begin());
    }
  };
  /// `known_bits`: how many bits of `client` mean anything (an ECS source prefix), those behind
  /// them being 0; the scope is no longer, and no longer network of an override matches. An IPv4
  /// address inside an IPv6 one counts as what it is.
  Answer Find(const IpAddress& client, uint8_t known_bits) const;

  /// Several points are drawn by the client's network: there are more different answers than
  /// anybody wants to remember.
  bool draws_many() const { return by_hash_ && answers_ > 1; }

  size_t outcome_count() const { return outcomes_.size(); }
  size_t memory_bytes() const { return tries_[0].memory_bytes() + tries_[1].memory_bytes(); }

 private:
  /// A client that is known to fewer bits than a network of an override whose first address it
  /// looks like: it may as well be outside.
  struct CutShort {
    IpAddress address;
    uint8_t below_bits = 0;  ///< `known_bits` is less, and no less than that of the entry before
    uint32_t outcome = 0;
    auto order() const { return std::tie(address.is_ipv6, address.bytes, below_bits); }
  };
  class Outcomes;
  class Maker;
  const CutShort* FindCutShort(const IpAddress& client, uint8_t known_bits) const;

  size_t answers_ = 1;
  bool by_hash_ = false;
  bool embedded_differ_ = true;  ///< IPv6 addresses with an IPv4 one inside may get something else
  std::vector<uint32_t> weights_;
  std::vector<double> kept_;  ///< kWeighted: shares; empty: all keep all
  std::vector<Pops> beside_;  ///< kWeighted: as of the rule
  std::vector<Outcome> outcomes_;
  PrefixTrie tries_[2];              ///< IPv4, IPv6
  std::vector<CutShort> cut_short_;  ///< by address, then bits
};

}  // namespace nearside::geodns
