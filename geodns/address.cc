#include "geodns/address.h"

#include <arpa/inet.h>

#include <algorithm>
#include <bit>
#include <charconv>
#include <span>

namespace nearside::geodns {
namespace {

constexpr uint8_t kMapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
constexpr uint8_t k6to4[2] = {0x20, 0x02};

}  // namespace

Result<IpAddress> IpAddress::Parse(std::string_view text) {
  std::string terminated(text);
  IpAddress address;
  if (inet_pton(AF_INET, terminated.c_str(), address.bytes.data()) == 1) return address;
  if (inet_pton(AF_INET6, terminated.c_str(), address.bytes.data()) == 1) {
    address.is_ipv6 = true;
    return address;
  }
  return Fail(Fault::kOperator, "bad_address",
              "expected an address like 192.0.2.1 or 2001:db8::1, got \"" + terminated + "\"");
}

IpAddress IpAddress::V4(const uint8_t* four_bytes) {
  IpAddress address;
  std::copy_n(four_bytes, 4, address.bytes.begin());
  return address;
}

IpAddress IpAddress::V6(const uint8_t* sixteen_bytes) {
  if (std::equal(std::begin(kMapped), std::end(kMapped), sixteen_bytes)) {
    return V4(sixteen_bytes + sizeof kMapped);
  }
  IpAddress address;
  address.is_ipv6 = true;
  std::copy_n(sixteen_bytes, 16, address.bytes.begin());
  return address;
}

std::optional<IpAddress::Embedded> IpAddress::EmbeddedIpv4() const {
  if (!is_ipv6) return {};
  for (std::span<const uint8_t> prefix : {std::span<const uint8_t>(kMapped), {k6to4}}) {
    if (!std::equal(prefix.begin(), prefix.end(), bytes.begin())) continue;
    return Embedded{V4(bytes.data() + prefix.size()), static_cast<uint8_t>(prefix.size() * 8)};
  }
  return {};
}

uint8_t IpAddress::BitsBesideEmbedded() const {
  size_t most = 0;
  for (std::span<const uint8_t> prefix : {std::span<const uint8_t>(kMapped), {k6to4}}) {
    const auto differs = std::ranges::mismatch(prefix, bytes);
    size_t bits = static_cast<size_t>(differs.in1 - prefix.begin()) * 8;
    if (differs.in1 != prefix.end()) {
      const auto apart = static_cast<uint8_t>(*differs.in1 ^ *differs.in2);
      bits += static_cast<size_t>(std::countl_zero(apart)) + 1;
    }
    most = std::max(most, bits);
  }
  return static_cast<uint8_t>(most);
}

bool IpAddress::IsLoopback() const {
  if (!is_ipv6) return bytes[0] == 127;
  return bytes[15] == 1 &&
         std::all_of(bytes.begin(), bytes.end() - 1, [](uint8_t b) { return b == 0; });
}

std::string IpAddress::ToText() const {
  char text[INET6_ADDRSTRLEN];
  return inet_ntop(is_ipv6 ? AF_INET6 : AF_INET, bytes.data(), text, sizeof text);
}

Result<Network> Network::Parse(std::string_view text) {
  auto bad = [&] {
    return Fail(Fault::kOperator, "bad_network",
                "expected a network like 10.0.0.0/8 or 2001:db8::/32 with no bits set beyond its "
                "prefix, got \"" +
                    std::string(text) + "\"");
  };
  size_t slash = text.find('/');
  auto address = IpAddress::Parse(text.substr(0, slash));
  if (!address) return bad();
  uint8_t prefix_bits = address->bits();
  if (slash != std::string_view::npos) {
    const char* end = text.data() + text.size();
    auto [behind, error] = std::from_chars(text.data() + slash + 1, end, prefix_bits);
    if (error != std::errc() || behind != end || prefix_bits > address->bits()) return bad();
  }
  Network network = Of(*address, prefix_bits);
  if (network.address != *address) return bad();
  return network;
}

Network Network::Of(const IpAddress& address, uint8_t prefix_bits) {
  Network network{address, std::min(prefix_bits, address.bits())};
  auto& bytes = network.address.bytes;
  const size_t whole_bytes = network.prefix_bits / 8;
  if (whole_bytes == bytes.size()) return network;
  bytes[whole_bytes] &= static_cast<uint8_t>(0xFF00 >> network.prefix_bits % 8);
  std::fill(bytes.begin() + static_cast<ptrdiff_t>(whole_bytes) + 1, bytes.end(), uint8_t{0});
  return network;
}

bool Network::Contains(const IpAddress& other) const {
  return other.is_ipv6 == address.is_ipv6 && Of(other, prefix_bits).address == address;
}

std::string Network::ToText() const { return address.ToText() + "/" + std::to_string(prefix_bits); }

}  // namespace nearside::geodns
