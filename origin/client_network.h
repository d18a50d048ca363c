#pragma once

#include <string>
#include <string_view>

namespace nearside::origin {

/// Whom an address stands for where clients are counted: an IPv4 address, also one that came to an
/// IPv6 socket, or a /64, from which one client may take any number of addresses; as bytes, for
/// comparing. What is no address stands for itself.
std::string ClientNetwork(std::string_view address);

}  // namespace nearside::origin
