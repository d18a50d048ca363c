#include "dns/edns.h"

#include <algorithm>
#include <cstring>

#include "dns/cookie.h"
#include "dns/wire.h"

namespace nearside::dns {
namespace {

constexpr size_t kSubnetHeaderBytes = 4;

unsigned AddressBits(uint16_t family) {
  switch (family) {
    case ClientSubnet::kIpv4:
      return 32;
    case ClientSubnet::kIpv6:
      return 128;
    default:
      return 0;
  }
}

Malformed TakeOption(uint16_t code, std::span<const uint8_t> content, Edns* edns) {
  switch (code) {
    case option::kClientSubnet:
      if (edns->subnet) return Malformed::kSeveralSubnets;
      return ParseClientSubnet(content, &edns->subnet.emplace());
    case option::kNsid:
      edns->wants_nsid = true;
      return Malformed::kNone;
    case option::kCookie:
      // Only the first of several counts (RFC 7873 §5.2).
      if (!edns->cookie.empty()) return Malformed::kNone;
      if (!IsCookieLength(content.size())) return Malformed::kCookieLength;
      edns->cookie = content;
      return Malformed::kNone;
    case option::kTcpKeepalive:
      edns->wants_keepalive = true;
      return Malformed::kNone;
    default:
      return Malformed::kNone;
  }
}

}  // namespace

Malformed ParseClientSubnet(std::span<const uint8_t> content, ClientSubnet* subnet) {
  if (content.size() < kSubnetHeaderBytes) return Malformed::kSubnetCutOff;
  *subnet = ClientSubnet();
  subnet->family = Load16(content.data());
  subnet->source = content[2];
  subnet->scope = content[3];
  if (subnet->family > ClientSubnet::kIpv6) return Malformed::kSubnetFamily;
  if (subnet->source > AddressBits(subnet->family)) return Malformed::kSubnetSource;
  if (subnet->scope != 0) return Malformed::kSubnetScope;
  auto address = content.subspan(kSubnetHeaderBytes);
  if (address.size() != subnet->address_bytes()) return Malformed::kSubnetLength;
  std::copy(address.begin(), address.end(), subnet->address.begin());
  unsigned spare_bits = static_cast<unsigned>(address.size() * 8 - subnet->source);
  if (spare_bits != 0 && (address.back() & ((1U << spare_bits) - 1)) != 0) {
    return Malformed::kSubnetBits;
  }
  return Malformed::kNone;
}

size_t EncodeClientSubnet(const ClientSubnet& subnet, uint8_t* out) {
  size_t address_bytes = subnet.address_bytes();
  Store16(out, option::kClientSubnet);
  Store16(out + 2, static_cast<uint16_t>(kSubnetHeaderBytes + address_bytes));
  Store16(out + 4, subnet.family);
  out[6] = subnet.source;
  out[7] = subnet.scope;
  std::memcpy(out + 8, subnet.address.data(), address_bytes);
  return subnet.option_bytes();
}

Malformed ParseEdns(uint16_t opt_class, uint32_t opt_ttl, std::span<const uint8_t> rdata,
                    Edns* edns) {
  *edns = Edns();
  edns->payload_bytes = std::max(opt_class, kLeastUdpPayloadBytes);
  edns->version = static_cast<uint8_t>(opt_ttl >> 16);
  edns->dnssec_ok = (opt_ttl & 0x8000) != 0;
  edns->compact_ok = (opt_ttl & 0x4000) != 0;
  if (edns->version != 0) return Malformed::kNone;
  while (!rdata.empty()) {
    if (rdata.size() < option::kHeaderBytes) return Malformed::kOptionCutOff;
    uint16_t code = Load16(rdata.data());
    size_t length = Load16(rdata.data() + 2);
    if (rdata.size() - option::kHeaderBytes < length) return Malformed::kOptionCutOff;
    Malformed malformed = TakeOption(code, rdata.subspan(option::kHeaderBytes, length), edns);
    if (malformed != Malformed::kNone) return malformed;
    rdata = rdata.subspan(option::kHeaderBytes + length);
  }
  return Malformed::kNone;
}

}  // namespace nearside::dns
