#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runtime/result.h"

namespace nearside::geodns {

/// An IPv4 or IPv6 address without a port: bits for tries, hashes and records.
struct IpAddress {
  bool is_ipv6 = false;
  std::array<uint8_t, 16> bytes{};  ///< IPv4 in the first four, the rest zero

  /// "192.0.2.1", "2001:db8::1". Error: kOperator bad_address.
  static Result<IpAddress> Parse(std::string_view text);
  static IpAddress V4(const uint8_t* four_bytes);
  /// An IPv4 address mapped into IPv6 (::ffff:0:0/96) becomes what it is: IPv4.
  static IpAddress V6(const uint8_t* sixteen_bytes);

  struct Embedded;
  /// The IPv4 address that an IPv6 one is made of: mapped (::ffff:0:0/96) or 6to4 (2002::/16, RFC
  /// 3056). No IPv6 database knows such a client's place.
  std::optional<Embedded> EmbeddedIpv4() const;
  /// How long a prefix of this IPv6 address must be to hold no address of that kind; of one of
  /// them, as long as their prefix.
  uint8_t BitsBesideEmbedded() const;

  uint8_t bits() const { return is_ipv6 ? 128 : 32; }
  std::span<const uint8_t> raw() const { return {bytes.data(), bits() / size_t{8}}; }
  bool IsLoopback() const;  ///< 127.0.0.0/8, ::1
  std::string ToText() const;
  bool operator==(const IpAddress&) const = default;
};

struct IpAddress::Embedded {
  IpAddress address;
  uint8_t before_bits = 0;  ///< of the IPv6 address
};

/// A network: bits of the address beyond `prefix_bits` are zero.
struct Network {
  IpAddress address;
  uint8_t prefix_bits = 0;

  /// "10.0.0.0/8", "2001:db8::/32", "192.0.2.1" (one address). Error: kOperator bad_network, also
  /// when bits beyond the prefix are set.
  static Result<Network> Parse(std::string_view text);
  /// The network of `prefix_bits` (at most all) that `address` lies in.
  static Network Of(const IpAddress& address, uint8_t prefix_bits);
  bool Contains(const IpAddress& other) const;
  std::string ToText() const;
  bool operator==(const Network&) const = default;
};

}  // namespace nearside::geodns
