#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "net/address.h"

namespace nearside::geodns {

/// A blocking UDP or TCP client for tests, with a limit of 10 s on everything.
class DnsClient {
 public:
  enum class Kind { kUdp, kTcp };
  /// `from`: the local address, or none.
  DnsClient(Kind kind, const net::SocketAddress& server, std::string_view from = "");
  ~DnsClient();
  DnsClient(const DnsClient&) = delete;
  DnsClient& operator=(const DnsClient&) = delete;

  /// UDP: one datagram; TCP: the bytes as they are.
  void Send(std::span<const uint8_t> bytes);
  /// TCP: with the length in front.
  void SendFramed(std::span<const uint8_t> message);
  /// TCP: nothing more will be sent (FIN).
  void FinishSending();
  /// UDP: the next datagram; TCP: the next message without its length. Empty: none came, or the
  /// end.
  std::vector<uint8_t> Receive();
  /// TCP: true when the server has ended the connection and nothing more comes.
  bool IsEnded();
  /// The address that the last datagram came from.
  const std::string& last_peer() const { return last_peer_; }

 private:
  bool ReadAll(uint8_t* out, size_t size);
  int descriptor_;
  Kind kind_;
  std::string last_peer_;
};

/// Prefixes a message with its length.
std::vector<uint8_t> Framed(std::span<const uint8_t> message);

}  // namespace nearside::geodns
