#pragma once

// The answer to a query, as one pure function: bytes in, bytes out, no clock, no allocation.

#include <cstdint>
#include <optional>
#include <span>

#include "dns/malformed.h"
#include "dns/record_type.h"
#include "geodns/address.h"
#include "geodns/snapshot.h"
#include "geodns/steering.h"

namespace nearside::geodns {

enum class Transport : uint8_t { kUdp, kTcp };

/// What an answer was, for counters. `answered` is false for what deserves no answer: a response,
/// or less than a header.
struct Tally {
  bool answered = false;
  dns::Rcode rcode = dns::Rcode::kNoError;
  dns::Malformed malformed = dns::Malformed::kNone;
  uint16_t type = 0;  ///< of the question; 0 when there was none
  bool truncated = false;
  bool has_subnet = false;
  std::optional<SteerReason> steered;
};

/// CNAMEs followed inside a zone; a longer chain is left to the resolver.
inline constexpr size_t kMaxCnameHops = 8;
/// The least room for an answer over UDP and over TCP.
inline constexpr size_t kUdpAnswerBytes = dns::kUdpPayloadBytes;
inline constexpr size_t kTcpAnswerBytes = dns::kMaxMessageBytes;

/// Writes the answer to `query` from `client` into `out` (which has the room for the transport) and
/// returns its length, 0 for no answer.
size_t Respond(const Snapshot& snapshot, std::span<const uint8_t> query, const IpAddress& client,
               Transport transport, std::span<uint8_t> out, Tally* tally);

}  // namespace nearside::geodns
