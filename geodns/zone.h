#pragma once

// A zone in memory, laid out for answering: a hash table of every name (RFC 1034 §4.3.2 made of
// lookups), with zone cuts, wildcards and glue found when it is built.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "dns/name.h"
#include "dns/writer.h"
#include "geodns/zone_file.h"
#include "runtime/result.h"

namespace nearside::geodns {

struct ZoneKeys;

/// A name whose A and AAAA come from steering instead of the zone file.
struct SteeredName {
  std::vector<uint8_t> name;  ///< wire form
  uint32_t steer = 0;         ///< what Zone::Node::steer will say
  std::string where;          ///< "geodns.toml:31: zone.steer.names", for errors
};

/// Immutable; any thread.
class Zone {
 public:
  static constexpr uint32_t kNone = UINT32_MAX;

  /// All records of one type at one name. `rendered` is the whole set in wire form with its owner
  /// pointing to the question (dns::kPointerToQuestion); empty for types whose data may be
  /// compressed.
  struct RrSet {
    uint16_t type = 0;
    uint16_t count = 0;
    uint32_t ttl = 0;  ///< the least of its records' (RFC 2181 §5.2)
    uint32_t first_record = 0;
    uint32_t rendered_at = 0;
    uint32_t rendered_bytes = 0;
    bool has_steered_hints = false;  ///< of at least one of its records HintSteer says a steer
  };
  /// A name that exists, perhaps only because something below it does (an empty non-terminal).
  struct Node {
    uint32_t name_at = 0;    ///< into bytes_: case as written
    uint32_t folded_at = 0;  ///< the same in lower case
    uint8_t name_bytes = 0;
    uint16_t rrset_count = 0;
    uint32_t first_rrset = 0;
    uint32_t cut = kNone;       ///< the zone cut at or above this name, never the apex
    uint32_t wildcard = kNone;  ///< its child "*"
    uint32_t steer = kNone;     ///< SteeredName::steer
    uint32_t alias = kNone;     ///< its ALIAS record, into Aliases()
    uint32_t first_glue = 0;    ///< at a cut: nodes that hold addresses of its name servers
    uint32_t glue_count = 0;
  };

  /// An ALIAS record: the A and AAAA of its owner are those of `target`.
  struct Alias {
    dns::NameView target;    ///< in lower case; as long as the zone
    uint32_t ttl = 0;        ///< the most that its answers have
    std::string_view place;  ///< file and line, as long as the zone
  };

  enum class Match : uint8_t {
    kExact,       ///< `node` is the name
    kWildcard,    ///< `node` is the wildcard that stands for it (RFC 4592 §3.3.1)
    kDelegated,   ///< `node` is the zone cut at or above it
    kNoSuchName,  ///< `node` is the closest encloser
  };
  struct Found {
    Match match;
    const Node* node;
    bool at_cut;  ///< kDelegated: the name is the cut itself (where DS is ours to answer)
  };

  /// Puts records together and checks them: one SOA and an NS at the apex, no CNAME beside other
  /// data, no ALIAS beside addresses, nothing steered that cannot be. Names of steered records need
  /// not be in the file. Error: kOperator bad_zone with one error a line.
  static Result<Zone> Build(dns::NameView origin, std::string_view file_name,
                            std::vector<ZoneRecord> records, std::vector<SteeredName> steered);

  /// `folded` is in lower case and at or below the origin.
  Found Find(dns::NameView folded) const;

  dns::NameView origin() const { return name(nodes_[0]); }
  const Node& apex() const { return nodes_[0]; }
  dns::NameView name(const Node& node) const {
    return {bytes_.data() + node.name_at, node.name_bytes};
  }
  /// The set of a type at a name, or nullptr.
  const RrSet* Find(const Node& node, uint16_t type) const;
  std::span<const RrSet> RrSets(const Node& node) const {
    return {rrsets_.data() + node.first_rrset, node.rrset_count};
  }
  dns::RecordView Record(const RrSet& set, size_t i) const;
  /// The steer whose addresses are the hints of a record (SVCB, HTTPS), or kNone: its own stand.
  uint32_t HintSteer(const RrSet& set, size_t i) const {
    return records_[set.first_record + i].hint_steer;
  }
  std::span<const uint8_t> Rendered(const RrSet& set) const {
    return {bytes_.data() + set.rendered_at, set.rendered_bytes};
  }
  size_t glue_count(const Node& cut) const { return cut.glue_count; }
  const Node& Glue(const Node& cut, size_t i) const { return nodes_[glue_[cut.first_glue + i]]; }
  /// The SOA as it goes into negative answers: its TTL is the lesser of its own and its minimum
  /// (RFC 2308 §5).
  dns::RecordView NegativeSoa() const;

  size_t alias_count() const { return aliases_.size(); }
  /// Owner and record, by Node::alias.
  std::vector<std::pair<dns::NameView, Alias>> Aliases() const;
  /// Aliases are numbered through all zones; set before the zone is shared.
  void NumberAliasesFrom(uint32_t first) { first_alias_ = first; }
  uint32_t first_alias() const { return first_alias_; }
  /// From now on the zone is signed; its records must already be ready for that (PrepareToSign).
  void SignWith(std::shared_ptr<const ZoneKeys> keys) { keys_ = std::move(keys); }
  /// nullptr: the zone is not signed.
  const ZoneKeys* keys() const { return keys_.get(); }

  uint32_t serial() const { return serial_; }
  /// Of everything that the file says: another one says that the content is another.
  uint64_t digest() const { return digest_; }
  size_t record_count() const { return records_.size(); }
  size_t name_count() const { return nodes_.size(); }

 private:
  friend class ZoneBuilder;
  struct Datum {
    uint32_t at = 0;
    uint16_t bytes = 0;
    uint32_t hint_steer = kNone;
  };
  struct AliasDatum {
    uint32_t owner_node = 0;
    uint32_t at = 0;
    uint8_t bytes = 0;
    uint32_t ttl = 0;
  };
  /// An open-addressing table: a node and some bits of its hash, or kNone.
  struct Slot {
    uint32_t tag = 0;
    uint32_t node = kNone;
  };

  const Node* Lookup(dns::NameView folded) const;

  std::vector<uint8_t> bytes_;  ///< names, data, rendered sets
  std::vector<Node> nodes_;     ///< the apex first
  std::vector<RrSet> rrsets_;
  std::vector<Datum> records_;
  std::vector<uint32_t> glue_;
  std::vector<AliasDatum> aliases_;
  std::vector<std::string> alias_places_;  ///< "FILE:LINE" of each
  std::vector<Slot> slots_;                ///< a power of two
  size_t most_labels_ = 0;                 ///< of any name
  uint32_t serial_ = 0;
  uint32_t negative_ttl_ = 0;
  uint32_t first_alias_ = 0;
  uint64_t digest_ = 0;
  std::shared_ptr<const ZoneKeys> keys_;
};

}  // namespace nearside::geodns
