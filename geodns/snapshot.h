#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "geodns/address.h"
#include "geodns/alias_networks.h"
#include "geodns/protocol.h"
#include "geodns/steer_table.h"
#include "geodns/zone_index.h"
#include "geodns/zone_queries.h"

namespace nearside::geodns {

/// Addresses of one family as records whose owner is the question (dns::kPointerToQuestion), ready
/// to copy.
struct AddressRecords {
  std::vector<uint8_t> rendered;
  uint16_t count = 0;
  uint32_t ttl = 0;

  /// Those of `addresses` that are of the family.
  static AddressRecords Render(std::span<const IpAddress> addresses, bool is_ipv6, uint32_t ttl);
  size_t record_bytes() const { return count == 0 ? 0 : rendered.size() / count; }
  /// Each address, of 4 or 16 bytes.
  std::vector<std::span<const uint8_t>> Rdata() const;
};

/// One steered set of names, ready to answer.
struct Steer {
  using Families = std::array<AddressRecords, 2>;  ///< IPv4, IPv6
  std::shared_ptr<const SteerTable> table;
  /// Instead of `table` for A and for AAAA, where points without such an address are passed over;
  /// null: they are not, and `table` it is.
  std::array<std::shared_ptr<const SteerTable>, 2> of_family;
  uint32_t ttl = 0;
  std::vector<Families> pops;  ///< by number
  Families fallback;

  /// `family` as in Families.
  const SteerTable& TableFor(size_t family) const {
    return of_family[family] ? *of_family[family] : *table;
  }
  bool has_one_table() const { return of_family[0] == of_family[1]; }
  bool draws_many() const { return table->draws_many(); }
};

/// What the addresses of an ALIAS are at the moment: those of a name in a zone of ours, or those
/// that were last resolved.
struct AliasAnswer {
  const Zone* zone = nullptr;        ///< of ours, kept by Snapshot::zones; null: it was resolved
  const Zone::Node* node = nullptr;  ///< in `zone`
  Steer::Families resolved;
  bool known = false;  ///< there is an answer, be it an empty one; else SERVFAIL
  uint32_t ttl = 0;    ///< the most for `zone`, else that of `resolved`
  /// Those of networks that have an answer of their own; null: `resolved` is for all.
  std::shared_ptr<const AliasNetworks> networks;
  uint32_t most_ttl = 0;  ///< for `networks`
};

/// Everything that an answer depends on beside the query and who asks: read once for a batch of
/// queries and replaced whole when zones, settings or health change. Immutable; any thread.
struct Snapshot {
  ZoneIndex zones;
  ZoneCounters zone_counters;  ///< as zones.zones(), or empty: not counted
  Protocol protocol;
  std::vector<Steer> steers;         ///< by Zone::Node::steer
  std::vector<AliasAnswer> aliases;  ///< by Zone::first_alias() and Zone::Node::alias
};

}  // namespace nearside::geodns
