#pragma once

// Who asks, where edges and proxies stand between. Pure.

#include <string>
#include <string_view>

#include "http/message.h"
#include "net/address_ranges.h"

namespace nearside::origin {

struct Asker {
  std::string address;  ///< of the client, without port
  bool https = false;   ///< it speaks TLS, with whoever is first
};

/// `peer` is the address that the connection comes from, `request.scheme` what it speaks. Of what a
/// peer in `trusted` says in X-Forwarded-For, the last address that is not trusted itself counts,
/// and its X-Forwarded-Proto; what others say is ignored.
Asker AskerOf(const http::RequestHead& request, std::string_view peer,
              const net::AddressRanges& trusted);

}  // namespace nearside::origin
