#pragma once

// What a stub resolver sends and reads (RFC 1035 §4.1, §7): one question about addresses to a
// resolver that recurses, and what its answer says. Pure.

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "dns/edns.h"
#include "dns/name.h"
#include "dns/record_type.h"
#include "runtime/result.h"

namespace nearside::dns {

/// A query with RD and an OPT record that announces kUdpPayloadBytes and, if there is one, tells
/// the subnet that the answer is for (RFC 7871).
std::vector<uint8_t> EncodeQuery(uint16_t id, NameView name, uint16_t type,
                                 const std::optional<ClientSubnet>& subnet = {});

/// The answer to a question about A or AAAA.
struct AddressReply {
  bool exists = true;              ///< false: NXDOMAIN
  std::vector<uint8_t> addresses;  ///< 4 or 16 bytes each; none: there are none of the type
  uint32_t ttl = 0;  ///< the least of the chain of CNAMEs and the addresses; of a negative answer
                     ///< that of RFC 2308 §5, 0 when it has no SOA
  bool has_ttl = true;  ///< false: a negative answer without SOA, whose `ttl` says nothing
  uint8_t scope = 0;    ///< bits of the subnet asked for that the answer depended on; none told: 0
};

/// CNAMEs that are followed in one answer.
inline constexpr size_t kMaxReplyHops = 16;
/// Addresses that are taken of one answer; more are left out.
inline constexpr size_t kMaxReplyAddresses = 64;

/// Whether `message` can be the answer to such a query at all: id, QR and question. What cannot
/// comes from elsewhere and is not to be listened to.
bool IsReplyTo(std::span<const uint8_t> message, uint16_t id, NameView name, uint16_t type);

/// Reads a message that IsReplyTo has let pass; `subnet` as the query told it. Errors: kOrigin
/// bad_reply (malformed, or about another subnet), truncated, servfail, refused, or bad_rcode.
Result<AddressReply> ParseAddressReply(std::span<const uint8_t> message, NameView name,
                                       uint16_t type,
                                       const std::optional<ClientSubnet>& subnet = {});

}  // namespace nearside::dns
