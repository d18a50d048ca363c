#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "runtime/result.h"

namespace nearside::net {

/// An IPv4 or IPv6 address with a port. A value; unset when default-constructed.
class SocketAddress {
 public:
  SocketAddress() = default;
  SocketAddress(const sockaddr* address, socklen_t length);

  /// "127.0.0.1:8443", "[::1]:53". Names are not looked up. Error: kOperator bad_address.
  static Result<SocketAddress> Parse(std::string_view text);
  /// An address literal without a port ("::1", "127.0.0.1"). Error: kOperator bad_address.
  static Result<SocketAddress> FromLiteral(std::string_view ip, uint16_t port);

  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage_); }
  socklen_t length() const { return length_; }
  bool is_set() const { return length_ != 0; }
  int family() const { return storage_.ss_family; }
  uint16_t port() const;
  void set_port(uint16_t port);
  bool IsLoopback() const;
  /// The raw address: 4 or 16 bytes, valid while this object lives.
  std::string_view bytes() const;
  /// "127.0.0.1", "::1".
  std::string Ip() const;
  /// What Parse reads back.
  std::string ToString() const;
  bool operator==(const SocketAddress& other) const;

 private:
  sockaddr_storage storage_{};
  socklen_t length_ = 0;
};

/// True for "127.0.0.1" and "::1" (no brackets), as a Host of that form asks for the node itself.
bool IsIpLiteral(std::string_view host);

/// The address of a client as proxies write it: "192.0.2.7", "192.0.2.7:4711", "2001:db8::1",
/// "[2001:db8::1]:4711", its port left out. nullopt for "unknown", "_hidden" and the like (RFC 7239
/// §6).
std::optional<SocketAddress> ReadForwardedNode(std::string_view text);

}  // namespace nearside::net
