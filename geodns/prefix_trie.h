#pragma once

// A binary trie over address bits whose leaves carry small numbers, kept minimal: two neighbours
// with the same number are one leaf. Numbers may belong to groups (the same answer for different
// reasons), and a lookup also tells the width of the widest network around an address that is all
// of one group: what an ECS scope has to say (RFC 7871 §7.2.1).

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "geodns/address.h"

namespace nearside::geodns {

/// Immutable once built; any thread. 8 bytes a node.
class PrefixTrie {
 public:
  struct Match {
    uint32_t value = 0;
    uint8_t scope = 0;  ///< bits of the address that the value's group depended on
  };
  using Map = std::function<uint32_t(uint32_t)>;
  using Combination = std::function<uint32_t(uint32_t, uint32_t)>;

  /// Everything has value 0.
  PrefixTrie() = default;

  Match Find(const uint8_t* address) const {
    uint32_t ref = root_;
    unsigned depth = 0;
    uint8_t known_scope = kMixedScope;
    if (!top_.empty()) {
      size_t begin = static_cast<size_t>(address[0] << 8 | address[1]);
      ref = top_[begin];
      known_scope = top_scopes_[begin];
      depth = kTopBits;
    }
    auto step = [&] {
      ref = nodes_[ref & kIndex][address[depth / 8] >> (7 - depth % 8) & 1U];
      ++depth;
    };
    if (known_scope == kMixedScope) {
      while ((ref & (kLeaf | kAlike)) == 0) step();
      known_scope = static_cast<uint8_t>(depth);
    }
    while ((ref & kLeaf) == 0) step();
    return {ref & kIndex, known_scope};
  }

  /// Told of every leaf in the order of addresses: the first address of its network, how many bits
  /// the network has, and the value.
  using Visitor = std::function<void(const std::array<uint8_t, 16>&, unsigned, uint32_t)>;
  void Visit(const Visitor& visitor) const;

  size_t node_count() const { return nodes_.size(); }
  size_t memory_bytes() const {
    return nodes_.capacity() * sizeof nodes_[0] + top_.size() * sizeof top_[0] + top_scopes_.size();
  }

  /// The trie in which an address has combine(its value in `a`, its value in `b`): neighbours that
  /// become alike are merged. `groups`, if given, has the group of each value by the time combine
  /// returns it; without it each value is a group of its own.
  static PrefixTrie Combine(const PrefixTrie& a, const PrefixTrie& b, const Combination& combine,
                            const std::vector<uint32_t>* groups = nullptr);

 private:
  friend class TrieBuilder;
  static constexpr uint32_t kLeaf = 0x8000'0000;   ///< a value, not a node
  static constexpr uint32_t kAlike = 0x4000'0000;  ///< a node whose leaves are all of one group
  static constexpr uint32_t kIndex = kAlike - 1;

  static constexpr unsigned kTopBits = 16;
  static constexpr size_t kTopFromNodes = 32'768;  ///< smaller tries stay in the cache anyway
  static constexpr uint8_t kMixedScope = 255;
  void MakeTop();

  std::vector<std::array<uint32_t, 2>> nodes_;
  uint32_t root_ = kLeaf;
  /// Where the first kTopBits lead, so that a large trie costs a few cache misses less; empty for a
  /// small one.
  std::vector<uint32_t> top_;
  std::vector<uint8_t> top_scopes_;  ///< kMixedScope: not known yet at that depth
};

/// Builds a trie from the leaves up.
class TrieBuilder {
 public:
  /// A part of the trie: a leaf, or a node that has been made.
  using Ref = uint32_t;
  static constexpr uint32_t kMostValues = PrefixTrie::kIndex;

  /// `groups` as Combine's; it may grow while the trie is built.
  explicit TrieBuilder(const std::vector<uint32_t>* groups = nullptr) : groups_(groups) {}

  /// `value` is below kMostValues.
  static Ref Leaf(uint32_t value) { return PrefixTrie::kLeaf | value; }
  /// What stands under one node: `zero` where the next bit is 0, `one` where it is 1.
  Ref Join(Ref zero, Ref one);
  /// The builder is empty afterwards. Nodes are put in an order in which the upper levels lie
  /// together.
  PrefixTrie Finish(Ref root);

 private:
  static constexpr uint32_t kMixed = UINT32_MAX;
  uint32_t GroupOf(Ref ref) const;

  const std::vector<uint32_t>* groups_;
  std::vector<std::array<uint32_t, 2>> nodes_;
  std::vector<uint32_t> node_groups_;  ///< only with groups
};

/// A network with what it is tagged as, for sets of networks that may overlap.
struct TaggedNetwork {
  Network network;
  uint8_t tag = 0;  ///< below 64
};

/// The trie in which an address has the number of the set of tags of all networks that it lies in;
/// `sets` gets the sets as bit masks, the empty one first. Networks of the other address family are
/// passed over.
PrefixTrie TrieOfTags(std::span<const TaggedNetwork> networks, bool is_ipv6,
                      std::vector<uint64_t>* sets);

}  // namespace nearside::geodns
