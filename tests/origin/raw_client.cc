#include "tests/origin/raw_client.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace nearside::test {
namespace {

constexpr int kPatienceMs = 20'000;

}  // namespace

std::string Reply::Field(std::string_view name) const {
  const std::vector<std::string> all = Fields(name);
  return all.empty() ? "" : all.front();
}

std::vector<std::string> Reply::Fields(std::string_view name) const {
  const std::string wanted = "\n" + std::string(name) + ": ";
  std::vector<std::string> values;
  for (size_t at = head.find(wanted); at != std::string::npos; at = head.find(wanted, at + 1)) {
    const size_t begin = at + wanted.size();
    values.push_back(head.substr(begin, head.find('\n', begin) - begin));
  }
  return values;
}

RawClient::RawClient(uint16_t port, uint8_t source) {
  fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in from{};
  from.sin_family = AF_INET;
  from.sin_addr.s_addr = htonl((INADDR_LOOPBACK & ~uint32_t{0xff}) | source);
  EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&from), sizeof from), 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    ::close(fd_);
    fd_ = -1;
  }
}

RawClient::~RawClient() {
  if (fd_ >= 0) ::close(fd_);
}

bool RawClient::Send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

bool RawClient::Fill() {
  if (fd_ < 0) return false;  // poll would wait
  pollfd watched{fd_, POLLIN, 0};
  if (::poll(&watched, 1, kPatienceMs) != 1) return false;
  char piece[64 << 10];
  const ssize_t n = ::recv(fd_, piece, sizeof piece, 0);
  if (n <= 0) return false;
  buffer_.append(piece, static_cast<size_t>(n));
  return true;
}

Reply RawClient::Read(bool head_request) {
  size_t end = 0;
  while ((end = buffer_.find("\r\n\r\n")) == std::string::npos) {
    if (!Fill()) return {};
  }
  Reply reply;
  bool in_name = false;
  for (char c : buffer_.substr(0, end + 2)) {
    if (c == '\r') continue;
    if (c == ':') in_name = false;
    reply.head += in_name ? static_cast<char>(std::tolower(c)) : c;
    if (c == '\n') in_name = true;
  }
  buffer_.erase(0, end + 4);
  reply.status = std::atoi(reply.head.substr(reply.head.find(' ') + 1).c_str());
  if (reply.status / 100 == 1) return reply;
  const std::string length = reply.Field("content-length");
  if (head_request || length.empty()) return reply;
  const auto wanted = static_cast<size_t>(std::strtoull(length.c_str(), nullptr, 10));
  while (buffer_.size() < wanted) {
    if (!Fill()) {
      reply.body = buffer_;
      return reply;
    }
  }
  reply.body = buffer_.substr(0, wanted);
  buffer_.erase(0, wanted);
  return reply;
}

std::string RawClient::ReadUntil(std::string_view end) {
  size_t at = 0;
  while ((at = buffer_.find(end)) == std::string::npos) {
    if (!Fill()) return "";
  }
  std::string text = buffer_.substr(0, at + end.size());
  buffer_.erase(0, text.size());
  return text;
}

bool RawClient::Ends() {
  while (true) {
    pollfd watched{fd_, POLLIN, 0};
    if (::poll(&watched, 1, kPatienceMs) != 1) return false;
    char dropped[4096];
    if (::recv(fd_, dropped, sizeof dropped, 0) <= 0) return true;
  }
}

void RawClient::EndSending() { ::shutdown(fd_, SHUT_WR); }

void RawClient::Reset() {
  const linger at_once{1, 0};
  ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  ::close(fd_);
  fd_ = -1;
}

Reply Ask(uint16_t port, std::string_view request) {
  RawClient client(port);
  client.Send(request);
  return client.Read(request.starts_with("HEAD "));
}

}  // namespace nearside::test
