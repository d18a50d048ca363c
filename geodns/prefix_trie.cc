#include "geodns/prefix_trie.h"

#include <algorithm>

namespace nearside::geodns {
namespace {

using Ref = TrieBuilder::Ref;

/// Finds the number of a set of tags, or gives it the next one.
uint32_t NumberOf(uint64_t set, std::vector<uint64_t>* sets) {
  auto at = std::find(sets->begin(), sets->end(), set);
  if (at == sets->end()) at = sets->insert(at, set);
  return static_cast<uint32_t>(at - sets->begin());
}

/// Recursion of TrieOfTags: `networks` are those that share the first `depth` bits of their prefix.
Ref JoinTags(TrieBuilder& builder, std::vector<TaggedNetwork> networks, unsigned depth,
             uint64_t set, std::vector<uint64_t>* sets) {
  std::vector<TaggedNetwork> sides[2];
  for (const TaggedNetwork& tagged : networks) {
    if (tagged.network.prefix_bits <= depth) {
      set |= uint64_t{1} << tagged.tag;
    } else {
      unsigned bit = tagged.network.address.bytes[depth / 8] >> (7 - depth % 8) & 1U;
      sides[bit].push_back(tagged);
    }
  }
  if (sides[0].empty() && sides[1].empty()) return TrieBuilder::Leaf(NumberOf(set, sets));
  Ref zero = JoinTags(builder, std::move(sides[0]), depth + 1, set, sets);
  Ref one = JoinTags(builder, std::move(sides[1]), depth + 1, set, sets);
  return builder.Join(zero, one);
}

}  // namespace

TrieBuilder::Ref TrieBuilder::Join(Ref zero, Ref one) {
  if (zero == one && (zero & PrefixTrie::kLeaf) != 0) return zero;
  Ref ref = static_cast<Ref>(nodes_.size());
  nodes_.push_back({zero, one});
  if (groups_ == nullptr) return ref;
  uint32_t group = GroupOf(zero) == GroupOf(one) ? GroupOf(zero) : kMixed;
  node_groups_.push_back(group);
  return group == kMixed ? ref : ref | PrefixTrie::kAlike;
}

uint32_t TrieBuilder::GroupOf(Ref ref) const {
  uint32_t index = ref & PrefixTrie::kIndex;
  return (ref & PrefixTrie::kLeaf) != 0 ? (*groups_)[index] : node_groups_[index];
}

PrefixTrie TrieBuilder::Finish(Ref root) {
  PrefixTrie trie;
  trie.root_ = root;
  if ((root & PrefixTrie::kLeaf) == 0) {
    // Breadth first: the levels that every lookup passes share cache lines.
    std::vector<Ref> order = {root & PrefixTrie::kIndex};
    trie.nodes_.reserve(nodes_.size());
    for (size_t done = 0; done < order.size(); ++done) {
      std::array<uint32_t, 2> node = nodes_[order[done]];
      for (uint32_t& child : node) {
        if ((child & PrefixTrie::kLeaf) != 0) continue;
        order.push_back(child & PrefixTrie::kIndex);
        child = (child & PrefixTrie::kAlike) | static_cast<uint32_t>(order.size() - 1);
      }
      trie.nodes_.push_back(node);
    }
    trie.root_ = root & PrefixTrie::kAlike;
    trie.MakeTop();
  }
  nodes_ = {};
  node_groups_ = {};
  return trie;
}

void PrefixTrie::MakeTop() {
  if (nodes_.size() < kTopFromNodes) return;
  constexpr uint32_t kEntries = 1U << kTopBits;
  top_.resize(kEntries);
  top_scopes_.resize(kEntries, kMixedScope);
  for (uint32_t begin = 0; begin < kEntries; ++begin) {
    uint32_t ref = root_;
    for (unsigned depth = 0;; ++depth) {
      if ((ref & (kLeaf | kAlike)) != 0 && top_scopes_[begin] == kMixedScope) {
        top_scopes_[begin] = static_cast<uint8_t>(depth);
      }
      if ((ref & kLeaf) != 0 || depth == kTopBits) break;
      ref = nodes_[ref & kIndex][begin >> (kTopBits - 1 - depth) & 1U];
    }
    top_[begin] = ref;
  }
}

void PrefixTrie::Visit(const Visitor& visitor) const {
  std::array<uint8_t, 16> address{};
  // As deep as an address has bits.
  auto descend = [&](auto& self, uint32_t ref, unsigned depth) -> void {
    if ((ref & kLeaf) != 0) return visitor(address, depth, ref & kIndex);
    const std::array<uint32_t, 2>& node = nodes_[ref & kIndex];
    auto bit = static_cast<uint8_t>(0x80U >> depth % 8);
    self(self, node[0], depth + 1);
    address[depth / 8] |= bit;
    self(self, node[1], depth + 1);
    address[depth / 8] &= static_cast<uint8_t>(~bit);
  };
  descend(descend, root_, 0);
}

PrefixTrie PrefixTrie::Combine(const PrefixTrie& a, const PrefixTrie& b, const Combination& combine,
                               const std::vector<uint32_t>* groups) {
  TrieBuilder builder(groups);
  // As deep as an address has bits, so that recursion is safe.
  auto join = [&](auto& self, uint32_t x, uint32_t y) -> Ref {
    bool x_is_leaf = (x & kLeaf) != 0;
    bool y_is_leaf = (y & kLeaf) != 0;
    if (x_is_leaf && y_is_leaf) return TrieBuilder::Leaf(combine(x & kIndex, y & kIndex));
    std::array<uint32_t, 2> xs = x_is_leaf ? std::array{x, x} : a.nodes_[x & kIndex];
    std::array<uint32_t, 2> ys = y_is_leaf ? std::array{y, y} : b.nodes_[y & kIndex];
    Ref zero = self(self, xs[0], ys[0]);
    Ref one = self(self, xs[1], ys[1]);
    return builder.Join(zero, one);
  };
  Ref root = join(join, a.root_, b.root_);
  return builder.Finish(root);
}

PrefixTrie TrieOfTags(std::span<const TaggedNetwork> networks, bool is_ipv6,
                      std::vector<uint64_t>* sets) {
  *sets = {0};
  std::vector<TaggedNetwork> ours;
  for (const TaggedNetwork& tagged : networks) {
    if (tagged.network.address.is_ipv6 == is_ipv6) ours.push_back(tagged);
  }
  TrieBuilder builder;
  Ref root = JoinTags(builder, std::move(ours), 0, 0, sets);
  return builder.Finish(root);
}

}  // namespace nearside::geodns
