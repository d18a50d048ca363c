#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "geodns/address.h"
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

  /// Those of `addresses` that are of the family.
  static AddressRecords Render(std::span<const IpAddress> addresses, bool is_ipv6, uint32_t ttl);
  size_t record_bytes() const { return count == 0 ? 0 : rendered.size() / count; }
};

/// One steered set of names, ready to answer.
struct Steer {
  using Families = std::array<AddressRecords, 2>;  ///< IPv4, IPv6
  std::shared_ptr<const SteerTable> table;
  uint32_t ttl = 0;
  std::vector<Families> pops;  ///< by number
  Families fallback;
};

/// Everything that an answer depends on beside the query and who asks: read once for a batch of
/// queries and replaced whole when zones, settings or health change. Immutable; any thread.
struct Snapshot {
  ZoneIndex zones;
  ZoneCounters zone_counters;  ///< as zones.zones(), or empty: not counted
  Protocol protocol;
  std::vector<Steer> steers;  ///< by Zone::Node::steer
};

}  // namespace nearside::geodns
