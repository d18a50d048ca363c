#pragma once

// The answer to a query, as one pure function: bytes in, bytes out, no clock, no allocation (but
// for signatures that are made anew).

#include <cstdint>
#include <optional>
#include <span>

#include "dns/cookie.h"
#include "dns/malformed.h"
#include "dns/message.h"
#include "dns/record_type.h"
#include "geodns/address.h"
#include "geodns/alias_networks.h"
#include "geodns/signer.h"
#include "geodns/snapshot.h"
#include "geodns/steering.h"

namespace nearside::geodns {

enum class Transport : uint8_t { kUdp, kTcp };

/// Who asks, over what, and when.
struct Asker {
  IpAddress address;
  Transport transport = Transport::kUdp;
  uint32_t now = 0;  ///< Unix time in seconds
  /// Signs for signed zones; Begin has been called on it. nullptr: nothing is signed.
  Signer* signer = nullptr;
};

/// A query as it was received. Views are valid as long as its bytes.
struct Arrival {
  dns::Query query;
  dns::Malformed malformed = dns::Malformed::kNone;
  dns::ReceivedCookie cookie;
  size_t bytes = 0;  ///< of the query

  /// False for what deserves no answer: a response, or less than a header.
  bool is_answerable() const {
    return malformed != dns::Malformed::kHeaderCutOff && malformed != dns::Malformed::kIsResponse;
  }
};

/// kSlip: the short answer of a rate limit, BADCOOKIE with a cookie of ours for who knows cookies,
/// else TC.
enum class Treatment : uint8_t { kAnswer, kSlip };

/// What an answer was, for counters. `answered` is false for what deserves no answer: a response,
/// or less than a header.
struct Tally {
  bool answered = false;
  dns::Rcode rcode = dns::Rcode::kNoError;
  dns::Malformed malformed = dns::Malformed::kNone;
  uint16_t type = 0;  ///< of the question; 0 when there was none
  bool truncated = false;
  bool has_subnet = false;
  bool kept_small = false;  ///< truncated for Protocol::most_amplification alone
  dns::CookieState cookie = dns::CookieState::kNone;
  std::optional<SteerReason> steered;
  std::optional<size_t> zone;         ///< in ZoneIndex::zones(): the one that the question lies in
  bool denied_compactly = false;      ///< NXDOMAIN told as NOERROR (RFC 9824)
  std::optional<AliasAsk> alias_ask;  ///< the client's network should have an answer of its own
  SigningTally signing;
};

/// CNAMEs followed inside a zone; a longer chain is left to the resolver.
inline constexpr size_t kMaxCnameHops = 8;
/// The least room for an answer over UDP and over TCP.
inline constexpr size_t kUdpAnswerBytes = dns::kUdpPayloadBytes;
inline constexpr size_t kTcpAnswerBytes = dns::kMaxMessageBytes;

/// Reads a query and judges its cookie.
Arrival Receive(const Protocol& protocol, std::span<const uint8_t> query, const Asker& asker);

/// Writes the answer to a query that is_answerable() into `out` (which has the room for the
/// transport) and returns its length.
size_t Answer(const Snapshot& snapshot, const Arrival& arrival, const Asker& asker,
              Treatment treatment, std::span<uint8_t> out, Tally* tally);

/// Both in one; 0 for no answer.
size_t Respond(const Snapshot& snapshot, std::span<const uint8_t> query, const Asker& asker,
               std::span<uint8_t> out, Tally* tally);

}  // namespace nearside::geodns
