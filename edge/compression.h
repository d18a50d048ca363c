#pragma once

// Which responses this edge encodes, and what becomes of their fields (RFC 9110 §8.4, §8.8.3.3).
// Pure; the bytes are http/content_coding's.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "edge/policy.h"
#include "edge/stored_response.h"
#include "http/accept_encoding.h"
#include "http/fields.h"

namespace nearside::edge {

/// Why a response is encoded or not: for counters and tests. A list of its own beside Reason,
/// because a request has both.
enum class CodingReason : uint8_t {
  kEncoded,
  // It would be for another request.
  kNotAccepted,  ///< this one takes none of our codings, wants a range, or says no-transform
  kBusy,         ///< setting cache.encoders: as many bodies are being encoded already
  // Nobody gets it encoded.
  kOff,          ///< site setting compress
  kStatus,       ///< not a 200: a part has another's length, an error is short
  kCoded,        ///< the origin has done it: RFC 9110 §8.4
  kNoTransform,  ///< RFC 9111 §5.2.2.6, in any of the fields that control caches
  kType,         ///< would not shrink, or is a stream of events
  kTooSmall,     ///< site setting compress_smallest
  kTooLarge,     ///< site setting compress_largest
};
inline constexpr int kCodingReasonCount = static_cast<int>(CodingReason::kTooLarge) + 1;
/// "not_accepted": in metrics.
std::string_view CodingReasonName(CodingReason reason);

struct CodingDecision {
  CodingReason reason = CodingReason::kOff;
  http::Coding coding = http::Coding::kIdentity;
  /// What clients get depends on what they accept, so the response says Vary, whichever this one
  /// gets.
  bool negotiated() const {
    return reason == CodingReason::kEncoded || reason == CodingReason::kNotAccepted ||
           reason == CodingReason::kBusy;
  }
};

/// For a response that may be shared: what is for one client alone is never encoded, since it may
/// hold a secret beside text that somebody else has chosen, and its length would tell (BREACH).
/// `body_bytes`: Content-Length.
CodingDecision DecideCoding(const Exchanged& exchanged, std::optional<uint64_t> body_bytes);

/// Makes the fields those of the representation that clients get. A validator of its own: weak,
/// because two encoders of one text need not agree in bytes, and with the coding in it, because a
/// tag of one coding must not match another.
void ApplyCoding(const CodingDecision& decision, StoredResponse* stored);

/// The fields of a 304 about `stored` as they would be had the origin sent what is stored.
http::Fields FreshFields(const StoredResponse& stored, const http::Fields& fresh);

/// Whether a response forbids that it is encoded.
bool SaysNoTransform(const http::Fields& response);

}  // namespace nearside::edge
