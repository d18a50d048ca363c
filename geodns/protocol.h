#pragma once

// What the server says of itself, and what it asks of clients before it answers them.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "dns/cookie.h"
#include "geodns/rate_limiter.h"
#include "geodns/settings.h"
#include "runtime/result.h"

namespace nearside::geodns {

/// The longest nsid, which bounds what an answer adds to a query.
inline constexpr size_t kMostNsidBytes = 64;

/// Part of the snapshot. Immutable; any thread.
struct Protocol {
  std::vector<uint8_t> nsid;                  ///< RFC 5001; empty: none
  std::string version;                        ///< for version.bind in class CH; empty: refused
  std::string identity;                       ///< for id.server; empty: refused
  std::optional<dns::CookieSecrets> cookies;  ///< none: cookies are not spoken
  uint16_t keepalive = 0;                     ///< idle time of a TCP connection, in units of 100 ms
  uint32_t most_amplification = 0;  ///< bytes of an answer to one of an unproven query; 0: no limit
  RateLimits rates;
  bool spare_loopback = true;  ///< limits are not for 127.0.0.0/8 and ::1

  /// Reads the secret file. Error: kOperator with file, line and key of the settings.
  static Result<Protocol> Make(const ServerSettings& server, const LimitSettings& limits);
};

/// The secret that makes this process' cookies while no file has one: random, and the same until
/// the process ends, so that a reload costs no client its cookie.
const dns::CookieSecret& OwnCookieSecret();
/// From now on it is that of the process before this one. Before the first settings are read.
void InheritCookieSecret(const dns::CookieSecret& secret);

/// Secrets as a file has them: 32 hexadecimal digits a line, the first the one that makes cookies,
/// a second one believed as well. Empty lines and those that begin with # are passed over. Error:
/// kOperator bad_secret.
Result<dns::CookieSecrets> ParseCookieSecrets(std::string_view text);

}  // namespace nearside::geodns
