#include "origin/client_network.h"

#include "net/address.h"

namespace nearside::origin {

std::string ClientNetwork(std::string_view address) {
  constexpr size_t kIpv6Bytes = 16;
  constexpr size_t kNetworkBytes = 8;
  constexpr std::string_view kMapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  const auto parsed = net::SocketAddress::FromLiteral(address, 0);
  if (!parsed) return std::string(address);
  const std::string_view bytes = parsed->bytes();
  if (bytes.size() != kIpv6Bytes) return std::string(bytes);
  return std::string(bytes.starts_with(kMapped) ? bytes.substr(kMapped.size())
                                                : bytes.substr(0, kNetworkBytes));
}

}  // namespace nearside::origin
