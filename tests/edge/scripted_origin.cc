#include "tests/edge/scripted_origin.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <utility>

#include "http/fields.h"
#include "net/address.h"

namespace nearside::edge {
namespace {

constexpr std::chrono::seconds kPatience{30};

/// Appends what arrives; false at the end.
bool Receive(int socket, std::string* buffer) {
  char bytes[16'384];
  const ssize_t got = ::recv(socket, bytes, sizeof bytes, 0);
  if (got > 0) buffer->append(bytes, static_cast<size_t>(got));
  return got > 0;
}

/// A chunked body at the front of `buffer`, which grows as needed; taken out of it.
bool TakeChunked(int socket, std::string* buffer, std::string* body, std::string* trailers) {
  while (true) {
    size_t end;
    while ((end = buffer->find("\r\n")) == std::string::npos) {
      if (!Receive(socket, buffer)) return false;
    }
    const size_t size = std::stoul(buffer->substr(0, end), nullptr, 16);
    if (size == 0) {
      while ((end = buffer->find("\r\n\r\n")) == std::string::npos) {
        if (!Receive(socket, buffer)) return false;
      }
      const size_t begin = buffer->find("\r\n") + 2;
      if (end > begin) *trailers = buffer->substr(begin, end + 2 - begin);
      buffer->erase(0, end + 4);
      return true;
    }
    while (buffer->size() < end + 2 + size + 2) {
      if (!Receive(socket, buffer)) return false;
    }
    body->append(*buffer, end + 2, size);
    buffer->erase(0, end + 2 + size + 2);
  }
}

}  // namespace

std::string ScriptedOrigin::Asked::Field(std::string_view name) const {
  for (size_t at = head_.find("\r\n"); at != std::string::npos; at = head_.find("\r\n", at + 2)) {
    const std::string line = head_.substr(at + 2, head_.find("\r\n", at + 2) - at - 2);
    const size_t colon = line.find(": ");
    if (colon != std::string::npos && http::LowerName(line.substr(0, colon)) == name) {
      return line.substr(colon + 2);
    }
  }
  return "";
}

void ScriptedOrigin::Asked::Send(std::string_view bytes) const {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;  // the edge has left
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

void ScriptedOrigin::Asked::Answer(std::string_view status, std::string_view lines,
                                   std::string_view body) const {
  std::string answer = "HTTP/1.1 " + std::string(status) + "\r\n";
  while (!lines.empty()) {
    const size_t end = lines.find('\n');
    answer.append(lines.substr(0, end)).append("\r\n");
    lines.remove_prefix(end + 1);
  }
  if (!status.starts_with("204") && !status.starts_with("304")) {
    answer += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  }
  Send(answer.append("\r\n").append(body));
}

void ScriptedOrigin::Asked::EndSending() const { ::shutdown(socket_, SHUT_WR); }

void ScriptedOrigin::Asked::Close() const { ::shutdown(socket_, SHUT_RDWR); }

void ScriptedOrigin::Asked::Reset() const {
  // Closing a socket that is unread or lingers for no time resets; the reading thread keeps ours
  // open, so the protocol is made to forget it. Not by connect(): ThreadSanitizer takes that for
  // the making of a descriptor, which would race with the reading.
  sockaddr nowhere{};
  nowhere.sa_family = AF_UNSPEC;
  ::syscall(SYS_connect, socket_, &nowhere, sizeof nowhere);
}

void ScriptedOrigin::Asked::AwaitClosed() const {
  // The reading thread shuts the socket down when the edge does.
  char byte;
  while (::recv(socket_, &byte, 1, MSG_PEEK) > 0) std::this_thread::yield();
}

ScriptedOrigin::ScriptedOrigin(Family family) : family_(family) {
  const bool ipv4 = family == Family::kIpv4;
  listener_ = ::socket(ipv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto any = net::SocketAddress::Parse(ipv4 ? "127.0.0.1:0" : "[::1]:0").value();
  EXPECT_EQ(::bind(listener_, any.get(), any.length()), 0);
  EXPECT_EQ(::listen(listener_, 1024), 0);
  sockaddr_storage bound{};
  socklen_t length = sizeof bound;
  ::getsockname(listener_, reinterpret_cast<sockaddr*>(&bound), &length);
  port_ = net::SocketAddress(reinterpret_cast<sockaddr*>(&bound), length).port();
  acceptor_ = std::thread([this] { Accept(); });
}

ScriptedOrigin::~ScriptedOrigin() {
  ::shutdown(listener_, SHUT_RDWR);
  acceptor_.join();
  for (int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
  for (std::thread& server : servers_) server.join();
  for (int socket : sockets_) ::close(socket);
  ::close(listener_);
}

void ScriptedOrigin::Accept() {
  while (true) {
    const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (socket < 0) return;
    const int on = 1;
    ::setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    sockets_.push_back(socket);
    servers_.emplace_back([this, socket] { Serve(socket); });
  }
}

void ScriptedOrigin::Serve(int socket) {
  std::string buffer;
  while (true) {
    size_t end;
    while ((end = buffer.find("\r\n\r\n")) == std::string::npos) {
      if (!Receive(socket, &buffer)) return;
    }
    Asked head(socket, buffer.substr(0, end + 2), "");
    buffer.erase(0, end + 4);
    std::string body, trailers;
    if (head.Field("transfer-encoding") == "chunked") {
      if (!TakeChunked(socket, &buffer, &body, &trailers)) return;
    } else if (const std::string length = head.Field("content-length"); !length.empty()) {
      while (buffer.size() < std::stoul(length)) {
        if (!Receive(socket, &buffer)) return;
      }
      body = buffer.substr(0, std::stoul(length));
      buffer.erase(0, body.size());
    }
    std::lock_guard lock(mutex_);
    waiting_.emplace_back(socket, head.head(), std::move(body), std::move(trailers));
    ++count_;
    changed_.notify_all();
  }
}

ScriptedOrigin::Asked ScriptedOrigin::Next() {
  std::unique_lock lock(mutex_);
  const bool came = changed_.wait_for(lock, kPatience, [this] { return !waiting_.empty(); });
  EXPECT_TRUE(came) << "the edge asked for nothing";
  if (!came) return {-1, "", ""};
  Asked asked = std::move(waiting_.front());
  waiting_.pop_front();
  return asked;
}

size_t ScriptedOrigin::waiting() const {
  std::lock_guard lock(mutex_);
  return waiting_.size();
}

size_t ScriptedOrigin::count() const {
  std::lock_guard lock(mutex_);
  return count_;
}

}  // namespace nearside::edge
