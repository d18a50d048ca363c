#include "geodns/zone.h"

#include <cstring>

#include "geodns/zone_builder.h"
#include "runtime/hash.h"

namespace nearside::geodns {

Result<Zone> Zone::Build(dns::NameView origin, std::string_view file_name,
                         std::vector<ZoneRecord> records, std::vector<SteeredName> steered) {
  ZoneBuilder builder(origin, file_name);
  builder.Add(std::move(records));
  builder.Add(std::move(steered));
  return builder.Build();
}

const Zone::Node* Zone::Lookup(dns::NameView folded) const {
  uint64_t hash = Xxh64(folded.bytes());
  uint32_t tag = static_cast<uint32_t>(hash >> 32);
  for (size_t i = hash;; ++i) {
    const Slot& slot = slots_[i & (slots_.size() - 1)];
    if (slot.node == kNone) return nullptr;
    if (slot.tag != tag) continue;
    const Node& node = nodes_[slot.node];
    bool same = node.name_bytes == folded.size() &&
                std::memcmp(bytes_.data() + node.folded_at, folded.data(), folded.size()) == 0;
    if (same) return &node;
  }
}

Zone::Found Zone::Find(dns::NameView folded) const {
  // Names deeper than any of ours cost no lookup a label: random subdomains are a known attack.
  dns::NameView rest = folded;
  for (size_t labels = folded.labels(); labels > most_labels_; --labels) rest = rest.Parent();
  const Node* node = Lookup(rest);
  while (node == nullptr) {
    rest = rest.Parent();
    node = Lookup(rest);
  }
  bool exact = rest.size() == folded.size();
  if (node->cut != kNone) {
    const Node* cut = &nodes_[node->cut];
    return {Match::kDelegated, cut, exact && cut == node};
  }
  if (exact) return {Match::kExact, node, false};
  if (node->wildcard != kNone) return {Match::kWildcard, &nodes_[node->wildcard], false};
  return {Match::kNoSuchName, node, false};
}

const Zone::RrSet* Zone::Find(const Node& node, uint16_t type) const {
  for (const RrSet& set : RrSets(node)) {
    if (set.type == type) return &set;
  }
  return nullptr;
}

dns::RecordView Zone::Record(const RrSet& set, size_t i) const {
  const Datum& datum = records_[set.first_record + i];
  return {set.type, set.ttl, {bytes_.data() + datum.at, datum.bytes}};
}

std::vector<std::pair<dns::NameView, Zone::Alias>> Zone::Aliases() const {
  std::vector<std::pair<dns::NameView, Alias>> aliases;
  for (size_t i = 0; i < aliases_.size(); ++i) {
    const AliasDatum& datum = aliases_[i];
    const dns::NameView target(bytes_.data() + datum.at, datum.bytes);
    aliases.push_back({name(nodes_[datum.owner_node]), {target, datum.ttl, alias_places_[i]}});
  }
  return aliases;
}

dns::RecordView Zone::NegativeSoa() const {
  dns::RecordView soa = Record(*Find(apex(), dns::type::kSoa), 0);
  soa.ttl = negative_ttl_;
  return soa;
}

}  // namespace nearside::geodns
