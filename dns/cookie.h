#pragma once

// DNS cookies: RFC 7873, with the server cookies of RFC 9018, which every server of an anycast set
// can check that has the same secret, whoever wrote it. Pure; the clock is an argument.

#include <array>
#include <cstdint>
#include <optional>
#include <span>

namespace nearside::dns {

inline constexpr size_t kClientCookieBytes = 8;
inline constexpr size_t kServerCookieBytes = 16;
/// What an answer carries: the client's cookie and ours.
inline constexpr size_t kCookieBytes = kClientCookieBytes + kServerCookieBytes;
using Cookie = std::array<uint8_t, kCookieBytes>;

/// RFC 7873 §4: a client cookie alone, or with a server cookie of 8 to 32 bytes behind it.
constexpr bool IsCookieLength(size_t bytes) {
  return bytes == kClientCookieBytes || (bytes >= 16 && bytes <= 40);
}

/// The key of SipHash-2-4, shared by the servers that answer for one address.
using CookieSecret = std::array<uint8_t, 16>;

/// The first makes cookies; either is believed (RFC 9018 §5, rollover).
struct CookieSecrets {
  CookieSecret current{};
  std::optional<CookieSecret> other;
};

enum class CookieState : uint8_t {
  kNone,        ///< the query has no cookie
  kClientOnly,  ///< it asks for ours
  kBad,         ///< not ours, or older than an hour
  kGood,        ///< who asks has got an answer of ours at its address before
};
inline constexpr size_t kCookieStateCount = 4;

struct ReceivedCookie {
  CookieState state = CookieState::kNone;
  Cookie answer{};  ///< what to send back, unless kNone
};

/// The server cookie for a client (RFC 9018 §4.4): `address` has 4 or 16 bytes, `now` is Unix time.
Cookie MakeCookie(std::span<const uint8_t, kClientCookieBytes> client,
                  std::span<const uint8_t> address, const CookieSecret& secret, uint32_t now);

/// Judges a query's cookie, empty or of a length that IsCookieLength allows, and says what to send
/// back: the same cookie while it is younger than half an hour and made with the current secret,
/// else a new one (RFC 9018 §4.3).
ReceivedCookie ReceiveCookie(std::span<const uint8_t> cookie, std::span<const uint8_t> address,
                             const CookieSecrets& secrets, uint32_t now);

}  // namespace nearside::dns
