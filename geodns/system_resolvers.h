#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "net/address.h"
#include "runtime/result.h"

namespace nearside::geodns {

inline constexpr size_t kMaxResolvers = 8;

/// The `nameserver` lines of resolv.conf(5), port 53, the first kMaxResolvers; addresses that are
/// none, and those with a zone (fe80::1%eth0), are passed over.
std::vector<net::SocketAddress> ResolversFromText(std::string_view text);

/// Of the file; 127.0.0.1 when it has none, as resolv.conf(5) says. Error: kOperator: it cannot be
/// read.
Result<std::vector<net::SocketAddress>> ReadSystemResolvers(const std::string& path);

}  // namespace nearside::geodns
