#pragma once

// EDNS(0), RFC 6891, and the client subnet option, RFC 7871.

#include <array>
#include <cstdint>
#include <optional>
#include <span>

#include "dns/malformed.h"

namespace nearside::dns {

/// What we announce and never exceed over UDP: fits an IPv6 packet without fragments (DNS flag day
/// 2020).
inline constexpr uint16_t kUdpPayloadBytes = 1232;
/// What a client without EDNS can take, and the least that any client may announce (RFC 6891
/// §6.2.3).
inline constexpr uint16_t kLeastUdpPayloadBytes = 512;

namespace option {
inline constexpr uint16_t kNsid = 3;
inline constexpr uint16_t kClientSubnet = 8;
inline constexpr uint16_t kCookie = 10;
inline constexpr uint16_t kTcpKeepalive = 11;
inline constexpr size_t kHeaderBytes = 4;  ///< code and length
}  // namespace option

/// RFC 7871 §6. Bits of the address beyond `source` are zero.
struct ClientSubnet {
  enum Family : uint16_t {
    kNoFamily = 0,  ///< with source 0 only: "dig +subnet=0", which says "do not tell where I am"
    kIpv4 = 1,
    kIpv6 = 2,
  };
  uint16_t family = kNoFamily;
  uint8_t source = 0;  ///< bits of the address that the resolver discloses
  uint8_t scope = 0;   ///< bits that the answer depended on; 0 in a query
  std::array<uint8_t, 16> address{};

  bool operator==(const ClientSubnet&) const = default;
  size_t address_bytes() const { return (source + size_t{7}) / 8; }
  /// Octets of the whole option with its code and length.
  size_t option_bytes() const { return 8 + address_bytes(); }
};

/// Reads the option's content (after code and length). Errors: kSubnet…
Malformed ParseClientSubnet(std::span<const uint8_t> content, ClientSubnet* subnet);
/// Writes code, length and content: option_bytes() bytes, kMostSubnetOptionBytes at most, for which
/// `out` must have room.
size_t EncodeClientSubnet(const ClientSubnet& subnet, uint8_t* out);

/// The longest option of a client subnet, with its code and length.
inline constexpr size_t kMostSubnetOptionBytes = 24;

/// An OPT record as a query carries it. Views point into the message.
struct Edns {
  uint16_t payload_bytes = kLeastUdpPayloadBytes;  ///< as announced, at least 512
  uint8_t version = 0;
  bool dnssec_ok = false;
  bool compact_ok = false;  ///< CO: takes NXDOMAIN with a compact denial (RFC 9824 §5.1)
  bool wants_nsid = false;
  std::optional<ClientSubnet> subnet;
  bool wants_keepalive = false;     ///< RFC 7828; means nothing over UDP
  std::span<const uint8_t> cookie;  ///< RFC 7873, of a length that IsCookieLength allows; or empty
};

/// Reads an OPT record's fixed fields and its options; unknown options are passed over (RFC 6891
/// §6.1.2). `opt_class` and `opt_ttl` are those fields of the record. With a version above 0 only
/// the fixed fields are read, since nobody knows what the rest would mean.
Malformed ParseEdns(uint16_t opt_class, uint32_t opt_ttl, std::span<const uint8_t> rdata,
                    Edns* edns);

}  // namespace nearside::dns
