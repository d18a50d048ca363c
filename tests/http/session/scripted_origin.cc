#include "tests/http/session/scripted_origin.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <algorithm>

namespace nearside::http {

OriginConnection::OriginConnection(net::Descriptor socket) : socket_(std::move(socket)) {
  timeval patience{.tv_sec = 20, .tv_usec = 0};
  setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(socket_.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
}

std::string OriginConnection::ReadHead() {
  std::string head;
  while (!head.ends_with("\r\n\r\n")) {
    const std::string byte = Read(1);
    if (byte.empty()) return "";
    head += byte;
  }
  return head;
}

std::string OriginConnection::Read(size_t size) {
  std::string bytes(size, '\0');
  size_t filled = 0;
  while (filled < size) {
    const ssize_t got = recv(socket_.get(), bytes.data() + filled, size - filled, 0);
    if (got <= 0) break;
    filled += static_cast<size_t>(got);
  }
  bytes.resize(filled);
  return bytes;
}

void OriginConnection::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

void OriginConnection::EndSending() { shutdown(socket_.get(), SHUT_WR); }

void OriginConnection::Close() {
  const std::lock_guard lock(mutex_);
  socket_.Close();
}

void OriginConnection::Stop() {
  const std::lock_guard lock(mutex_);
  if (socket_.is_open()) shutdown(socket_.get(), SHUT_RDWR);
}

void OriginConnection::Reset() {
  const std::lock_guard lock(mutex_);
  linger reset{.l_onoff = 1, .l_linger = 0};
  setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  socket_.Close();
}

void OriginConnection::AwaitEnd() {
  while (!Read(1).empty()) {
  }
}

ScriptedOrigin::ScriptedOrigin(std::vector<Script> scripts)
    : scripts_(std::move(scripts)), listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), length);
  listen(listener_.get(), 100);
  getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &length);
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] { Accept(); });
}

ScriptedOrigin::~ScriptedOrigin() {
  shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  for (const auto& connection : open_) connection->Stop();
  for (std::thread& thread : threads_) thread.join();
}

void ScriptedOrigin::Accept() {
  while (true) {
    net::Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!socket.is_open()) return;
    const auto number = static_cast<size_t>(connections_++);
    auto connection = std::make_shared<OriginConnection>(std::move(socket));
    open_.push_back(connection);
    threads_.emplace_back([this, number, connection] {
      scripts_[std::min(number, scripts_.size() - 1)](*connection);
      connection->Close();
    });
  }
}

}  // namespace nearside::http
