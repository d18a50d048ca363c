#include "tests/geodns/dns_client.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>

#include <cstdlib>

namespace nearside::geodns {

DnsClient::DnsClient(Kind kind, const net::SocketAddress& server, std::string_view from)
    : kind_(kind) {
  descriptor_ = socket(server.family(), kind == Kind::kUdp ? SOCK_DGRAM : SOCK_STREAM, 0);
  timeval limit{10, 0};
  setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
  setsockopt(descriptor_, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
  if (!from.empty()) {
    auto local = net::SocketAddress::FromLiteral(from, 0);
    if (!local || bind(descriptor_, local->get(), local->length()) != 0) std::abort();
  }
  // Connected even for UDP: an answer from another address would not arrive.
  if (connect(descriptor_, server.get(), server.length()) != 0) std::abort();
}

DnsClient::~DnsClient() { close(descriptor_); }

void DnsClient::Send(std::span<const uint8_t> bytes) {
  while (!bytes.empty()) {
    ssize_t n = send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return;
    bytes = bytes.subspan(static_cast<size_t>(n));
  }
}

void DnsClient::SendFramed(std::span<const uint8_t> message) { Send(Framed(message)); }

void DnsClient::FinishSending() { shutdown(descriptor_, SHUT_WR); }

bool DnsClient::ReadAll(uint8_t* out, size_t size) {
  while (size > 0) {
    ssize_t n = recv(descriptor_, out, size, 0);
    if (n <= 0) return false;
    out += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

std::vector<uint8_t> DnsClient::Receive() {
  if (kind_ == Kind::kTcp) {
    uint8_t length[2];
    if (!ReadAll(length, 2)) return {};
    std::vector<uint8_t> message(static_cast<size_t>(length[0] << 8 | length[1]));
    if (!ReadAll(message.data(), message.size())) return {};
    return message;
  }
  std::vector<uint8_t> message(65'536);
  sockaddr_storage peer{};
  socklen_t peer_bytes = sizeof peer;
  ssize_t n = recvfrom(descriptor_, message.data(), message.size(), 0,
                       reinterpret_cast<sockaddr*>(&peer), &peer_bytes);
  message.resize(n < 0 ? 0 : static_cast<size_t>(n));
  last_peer_ = net::SocketAddress(reinterpret_cast<sockaddr*>(&peer), peer_bytes).Ip();
  return message;
}

bool DnsClient::IsEnded() {
  uint8_t byte;
  ssize_t n = recv(descriptor_, &byte, 1, 0);
  return n == 0 || (n < 0 && errno != EAGAIN);
}

std::vector<uint8_t> Framed(std::span<const uint8_t> message) {
  std::vector<uint8_t> framed(2 + message.size());
  framed[0] = static_cast<uint8_t>(message.size() >> 8);
  framed[1] = static_cast<uint8_t>(message.size());
  std::copy(message.begin(), message.end(), framed.begin() + 2);
  return framed;
}

}  // namespace nearside::geodns
