#pragma once

// The PROXY protocol, version 2: what a proxy that passes a connection on says first of who made
// it. Pure; a strict reading of the public specification (haproxy.org, proxy-protocol.txt, §2.2).

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "net/address.h"

namespace nearside::net {

/// Why a connection that should begin with the header was closed.
enum class ProxyRefusal : uint8_t {
  kNone,
  kUntrusted,   ///< of an address that may not speak for others
  kTimeout,     ///< the header was not whole in time
  kClosed,      ///< the other side left before it was
  kNotProxy,    ///< no header at all
  kVersion1,    ///< the older form, in text
  kBadVersion,  ///< neither 1 nor 2
  kBadCommand,  ///< neither LOCAL nor PROXY
  kBadFamily,   ///< no address family we know, or datagrams
  kTooShort,    ///< shorter than the addresses it should have
  kTooLong,     ///< over kMostProxyBytes
};
inline constexpr size_t kProxyRefusals = static_cast<size_t>(ProxyRefusal::kTooLong) + 1;
/// "version_1": in metrics and logs; "" for kNone.
std::string_view ProxyRefusalName(ProxyRefusal refusal);
/// What it means and what to do, for a log.
std::string_view ProxyRefusalText(ProxyRefusal refusal);

/// A whole header: its fixed part, the addresses, and further values (TLVs), of which only the one
/// about TLS is read.
inline constexpr size_t kMostProxyBytes = 4096;

/// What is known of a header from its first bytes.
struct ProxyHeader {
  ProxyRefusal refusal = ProxyRefusal::kNone;
  /// Bytes to have before more can be said: never beyond the header's end, so that what is behind
  /// it stays unread. The header is whole when there are as many.
  size_t needed = 0;
  /// Who made the connection. Unset: the proxy itself (LOCAL, a check of its own), or it does not
  /// say (UNSPEC, UNIX).
  SocketAddress source;
  /// It came to the proxy over TLS (PP2_TYPE_SSL with PP2_CLIENT_SSL, §2.2.6), which ended there.
  bool over_tls = false;
};
ProxyHeader ParseProxyHeader(std::span<const uint8_t> bytes);

}  // namespace nearside::net
