#include "net/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace nearside::net {

namespace {

const sockaddr_in& AsV4(const sockaddr_storage& storage) {
  return reinterpret_cast<const sockaddr_in&>(storage);
}

const sockaddr_in6& AsV6(const sockaddr_storage& storage) {
  return reinterpret_cast<const sockaddr_in6&>(storage);
}

bool ParsePort(std::string_view text, uint16_t* port) {
  if (text.empty() || text.size() > 5) return false;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *port);
  return error == std::errc() && end == text.data() + text.size();
}

/// The same as inet_ntop's, which prints: requests to origins name their client.
std::string DottedDecimal(std::string_view bytes) {
  std::array<char, INET_ADDRSTRLEN> text;
  char* end = text.data();
  for (const char byte : bytes) {
    if (end != text.data()) *end++ = '.';
    end = std::to_chars(end, text.data() + text.size(), static_cast<uint8_t>(byte)).ptr;
  }
  return {text.data(), end};
}

tl::unexpected<Error> BadAddress(std::string_view text) {
  return Fail(
      Fault::kOperator, "bad_address",
      "\"" + std::string(text) +
          "\" is not an address with a port: expected \"127.0.0.1:8443\" or \"[::1]:8443\"");
}

}  // namespace

SocketAddress::SocketAddress(const sockaddr* address, socklen_t length) {
  if (address == nullptr) return;
  length_ = std::min<socklen_t>(length, sizeof storage_);
  std::memcpy(&storage_, address, length_);
}

Result<SocketAddress> SocketAddress::Parse(std::string_view text) {
  size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return BadAddress(text);
  std::string_view ip = text.substr(0, colon);
  bool bracketed = ip.size() >= 2 && ip.front() == '[' && ip.back() == ']';
  if (bracketed) ip = ip.substr(1, ip.size() - 2);
  bool is_v6 = ip.find(':') != std::string_view::npos;
  uint16_t port = 0;
  if (is_v6 != bracketed || !ParsePort(text.substr(colon + 1), &port)) return BadAddress(text);
  auto address = FromLiteral(ip, port);
  if (!address) return BadAddress(text);
  return address;
}

Result<SocketAddress> SocketAddress::FromLiteral(std::string_view ip, uint16_t port) {
  // inet_pton wants a terminated string; no literal is longer than INET6_ADDRSTRLEN.
  char terminated[INET6_ADDRSTRLEN] = {};
  if (ip.size() < sizeof terminated && ip.find('\0') == std::string_view::npos) {
    ip.copy(terminated, ip.size());
    sockaddr_in v4{};
    if (inet_pton(AF_INET, terminated, &v4.sin_addr) == 1) {
      v4.sin_family = AF_INET;
      v4.sin_port = htons(port);
      return SocketAddress(reinterpret_cast<const sockaddr*>(&v4), sizeof v4);
    }
    sockaddr_in6 v6{};
    if (inet_pton(AF_INET6, terminated, &v6.sin6_addr) == 1) {
      v6.sin6_family = AF_INET6;
      v6.sin6_port = htons(port);
      return SocketAddress(reinterpret_cast<const sockaddr*>(&v6), sizeof v6);
    }
  }
  return Fail(
      Fault::kOperator, "bad_address",
      "\"" + std::string(ip) + "\" is not an IP address: expected \"127.0.0.1\" or \"::1\"");
}

uint16_t SocketAddress::port() const {
  if (family() == AF_INET) return ntohs(AsV4(storage_).sin_port);
  if (family() == AF_INET6) return ntohs(AsV6(storage_).sin6_port);
  return 0;
}

void SocketAddress::set_port(uint16_t port) {
  if (family() == AF_INET) reinterpret_cast<sockaddr_in&>(storage_).sin_port = htons(port);
  if (family() == AF_INET6) reinterpret_cast<sockaddr_in6&>(storage_).sin6_port = htons(port);
}

bool SocketAddress::IsLoopback() const {
  std::string_view raw = bytes();
  if (family() == AF_INET) return raw[0] == 127;
  if (family() != AF_INET6) return false;
  const in6_addr& v6 = AsV6(storage_).sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&v6) || (IN6_IS_ADDR_V4MAPPED(&v6) && raw[12] == 127);
}

std::string_view SocketAddress::bytes() const {
  if (family() == AF_INET) {
    return {reinterpret_cast<const char*>(&AsV4(storage_).sin_addr), sizeof(in_addr)};
  }
  if (family() == AF_INET6) {
    return {reinterpret_cast<const char*>(&AsV6(storage_).sin6_addr), sizeof(in6_addr)};
  }
  return {};
}

std::string SocketAddress::Ip() const {
  std::string_view raw = bytes();
  if (raw.empty()) return "";
  if (family() == AF_INET) return DottedDecimal(raw);
  char text[INET6_ADDRSTRLEN];
  inet_ntop(family(), raw.data(), text, sizeof text);
  return text;
}

std::string SocketAddress::ToString() const {
  if (!is_set()) return "";
  std::string ip = Ip();
  if (family() == AF_INET6) ip = "[" + ip + "]";
  return ip + ":" + std::to_string(port());
}

bool SocketAddress::operator==(const SocketAddress& other) const {
  if (is_set() != other.is_set()) return false;
  return family() == other.family() && port() == other.port() && bytes() == other.bytes() &&
         (family() != AF_INET6 ||
          AsV6(storage_).sin6_scope_id == AsV6(other.storage_).sin6_scope_id);
}

bool IsIpLiteral(std::string_view host) { return SocketAddress::FromLiteral(host, 0).has_value(); }

std::optional<SocketAddress> ReadForwardedNode(std::string_view text) {
  std::string_view ip = text;
  if (text.starts_with('[')) {
    const size_t end = text.find(']');
    if (end == std::string_view::npos) return std::nullopt;
    if (end + 1 < text.size() && text[end + 1] != ':') return std::nullopt;
    ip = text.substr(1, end - 1);
    if (ip.find(':') == std::string_view::npos) return std::nullopt;
  } else if (const size_t colon = text.find(':');
             colon != std::string_view::npos && text.find(':', colon + 1) == text.npos) {
    ip = text.substr(0, colon);
  }
  const auto address = SocketAddress::FromLiteral(ip, 0);
  if (!address) return std::nullopt;
  return *address;
}

}  // namespace nearside::net
