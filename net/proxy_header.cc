#include "net/proxy_header.h"

#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace nearside::net {

namespace {

constexpr std::string_view kSignature("\r\n\r\n\0\r\nQUIT\n", 12);
constexpr std::string_view kVersion1Mark = "PROXY ";
constexpr size_t kFixedBytes = 16;  // signature, version and command, family, length
constexpr size_t kIpv4Bytes = 12;   // two addresses, two ports
constexpr size_t kIpv6Bytes = 36;

enum Family : uint8_t { kUnspecified = 0, kIpv4 = 1, kIpv6 = 2, kUnix = 3 };
enum Transport : uint8_t { kStream = 1 };

constexpr size_t kValueHeadBytes = 3;  // type, length
constexpr uint8_t kTlsValue = 0x20;    // PP2_TYPE_SSL: flags, result of verification, more values
constexpr uint8_t kClientTlsFlag = 1;  // PP2_CLIENT_SSL

struct Row {
  std::string_view name;
  std::string_view text;
};
constexpr std::array<Row, kProxyRefusals> kRows = {{
    {"", ""},
    {"untrusted", "the address is not in edge.trusted_proxies"},
    {"timeout", "no whole PROXY header came in time"},
    {"closed_early", "the connection ended before its PROXY header was whole"},
    {"not_proxy",
     "the connection does not begin with a PROXY header: is the sender set to send it?"},
    {"version_1", "version 1 of the PROXY protocol: set the sender to version 2 (send-proxy-v2)"},
    {"bad_version", "a PROXY header of an unknown version"},
    {"bad_command", "a PROXY header with an unknown command"},
    {"bad_family", "a PROXY header with addresses of an unknown kind"},
    {"too_short", "a PROXY header that is too short for its addresses"},
    {"too_long", "a PROXY header of more than 4096 bytes"},
}};

uint16_t Number16(const uint8_t* bytes) { return static_cast<uint16_t>(bytes[0] << 8 | bytes[1]); }

/// `addresses`: source, destination, source port, destination port.
SocketAddress SourceOf(Family family, const uint8_t* addresses) {
  if (family == kIpv4) {
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    std::memcpy(&v4.sin_addr, addresses, sizeof v4.sin_addr);
    v4.sin_port = htons(Number16(addresses + 2 * sizeof v4.sin_addr));
    return {reinterpret_cast<const sockaddr*>(&v4), sizeof v4};
  }
  sockaddr_in6 v6{};
  v6.sin6_family = AF_INET6;
  std::memcpy(&v6.sin6_addr, addresses, sizeof v6.sin6_addr);
  v6.sin6_port = htons(Number16(addresses + 2 * sizeof v6.sin6_addr));
  return {reinterpret_cast<const sockaddr*>(&v6), sizeof v6};
}

ProxyHeader Refuse(ProxyRefusal refusal) {
  ProxyHeader header;
  header.refusal = refusal;
  return header;
}

ProxyHeader Wants(size_t needed) {
  ProxyHeader header;
  header.needed = needed;
  return header;
}

/// Whether the values behind the addresses say that the client spoke TLS. What is cut off says
/// nothing.
bool SaysTls(std::span<const uint8_t> values) {
  while (values.size() > kValueHeadBytes) {
    const uint8_t type = values[0];
    const size_t size = Number16(&values[1]);
    values = values.subspan(kValueHeadBytes);
    if (values.size() < size) return false;
    if (type == kTlsValue) return size > 0 && (values[0] & kClientTlsFlag) != 0;
    values = values.subspan(size);
  }
  return false;
}

bool BeginsAlike(std::string_view text, std::string_view mark) {
  const size_t size = std::min(text.size(), mark.size());
  return text.substr(0, size) == mark.substr(0, size);
}

/// The addresses of a header that is whole.
ProxyHeader ReadAddresses(uint8_t kind, std::span<const uint8_t> bytes) {
  const auto family = static_cast<Family>(kind >> 4);
  const uint8_t transport = kind & 15;
  ProxyHeader header = Wants(bytes.size());
  if (family > kUnix || transport > 2) return Refuse(ProxyRefusal::kBadFamily);
  if (family == kUnspecified || family == kUnix || transport == 0) return header;
  if (transport != kStream) return Refuse(ProxyRefusal::kBadFamily);
  const size_t least = family == kIpv4 ? kIpv4Bytes : kIpv6Bytes;
  if (bytes.size() < kFixedBytes + least) return Refuse(ProxyRefusal::kTooShort);
  header.source = SourceOf(family, bytes.data() + kFixedBytes);
  header.over_tls = SaysTls(bytes.subspan(kFixedBytes + least));
  return header;
}

}  // namespace

std::string_view ProxyRefusalName(ProxyRefusal refusal) {
  return kRows[static_cast<size_t>(refusal)].name;
}

std::string_view ProxyRefusalText(ProxyRefusal refusal) {
  return kRows[static_cast<size_t>(refusal)].text;
}

ProxyHeader ParseProxyHeader(std::span<const uint8_t> bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (!BeginsAlike(text, kSignature)) {
    if (!BeginsAlike(text, kVersion1Mark)) return Refuse(ProxyRefusal::kNotProxy);
    if (text.size() >= kVersion1Mark.size()) return Refuse(ProxyRefusal::kVersion1);
    return Wants(kVersion1Mark.size());
  }
  if (bytes.size() < kFixedBytes) return Wants(kFixedBytes);
  const uint8_t version = bytes[12] >> 4;
  const uint8_t command = bytes[12] & 15;
  if (version != 2) return Refuse(ProxyRefusal::kBadVersion);
  if (command > 1) return Refuse(ProxyRefusal::kBadCommand);
  const size_t whole = kFixedBytes + Number16(&bytes[14]);
  if (whole > kMostProxyBytes) return Refuse(ProxyRefusal::kTooLong);
  if (bytes.size() < whole) return Wants(whole);
  if (command == 0) return Wants(whole);  // LOCAL: whatever it says of addresses
  return ReadAddresses(bytes[13], bytes.first(whole));
}

}  // namespace nearside::net
