#include "geodns/stub_query.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "dns/wire.h"
#include "runtime/crypto.h"
#include "runtime/units.h"

namespace nearside::geodns {
namespace {

constexpr size_t kTcpLengthBytes = 2;  // before a message over TCP (RFC 1035 §4.2.2)

}  // namespace

StubQuery::StubQuery(net::EventLoop& loop, const Options& options, dns::NameView name,
                     uint16_t type, OnDone on_done)
    : loop_(loop),
      options_(options),
      name_(name),
      type_(type),
      on_done_(std::move(on_done)),
      timer_(loop, [this] {
        if (!socket_.is_open()) return Try();
        FailTry({Fault::kOrigin, "timeout", "no answer in " + FormatDuration(options_.timeout)});
      }) {
  timer_.Arm(milliseconds(0));
}

StubQuery::~StubQuery() { Close(); }

void StubQuery::Close() {
  timer_.Disarm();
  if (!socket_.is_open()) return;
  loop_.Unwatch(socket_.get());
  socket_.Close();
}

void StubQuery::Try() {
  if (auto sent = SendDatagram(); !sent) return FailTry(std::move(sent.error()));
  timer_.Arm(options_.timeout);
}

Status StubQuery::Open(int type, uint32_t events) {
  socket_ = net::Descriptor(socket(resolver().family(), type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_.is_open()) return FailErrno("socket", errno);
  if (auto watched = loop_.Watch(socket_.get(), events, this); !watched) {
    socket_.Close();
    return watched;
  }
  return {};
}

std::vector<uint8_t> StubQuery::NewQuery() {
  uint8_t random[2];
  RandomBytes(random);
  id_ = static_cast<uint16_t>(random[0] << 8 | random[1]);
  return dns::EncodeQuery(id_, name_, type_, options_.subnet);
}

/// A connected socket: the kernel picks its port and lets nobody else's datagrams in.
Status StubQuery::SendDatagram() {
  step_ = Step::kDatagram;
  if (auto opened = Open(SOCK_DGRAM, EPOLLIN); !opened) return opened;
  if (connect(socket_.get(), resolver().get(), resolver().length()) != 0) {
    return FailErrno("connect", errno);
  }
  const std::vector<uint8_t> query = NewQuery();
  if (send(socket_.get(), query.data(), query.size(), 0) < 0) return FailErrno("send", errno);
  return {};
}

/// To the resolver that has just truncated its answer.
Status StubQuery::StartTcp() {
  Close();
  step_ = Step::kConnecting;
  received_.clear();
  if (auto opened = Open(SOCK_STREAM, EPOLLOUT); !opened) return opened;
  if (connect(socket_.get(), resolver().get(), resolver().length()) != 0 && errno != EINPROGRESS) {
    return FailErrno("connect over TCP", errno);
  }
  timer_.Arm(options_.timeout);
  return {};
}

Status StubQuery::SendMessage() {
  int error = 0;
  socklen_t length = sizeof error;
  getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
  if (error != 0) return FailErrno("connect over TCP", error);
  std::vector<uint8_t> message = NewQuery();
  const std::array<uint8_t, kTcpLengthBytes> front = {static_cast<uint8_t>(message.size() >> 8),
                                                      static_cast<uint8_t>(message.size())};
  message.insert(message.begin(), front.begin(), front.end());
  // Some hundred bytes on a new connection go out whole or never.
  const ssize_t sent = send(socket_.get(), message.data(), message.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(message.size())) {
    return FailErrno("send over TCP", sent < 0 ? errno : EMSGSIZE);
  }
  step_ = Step::kMessage;
  return loop_.Rewatch(socket_.get(), EPOLLIN, this);
}

void StubQuery::OnReady(uint32_t) {
  switch (step_) {
    case Step::kDatagram:
      return OnDatagram();
    case Step::kConnecting:
      if (auto sent = SendMessage(); !sent) FailTry(std::move(sent.error()));
      return;
    case Step::kMessage:
      return OnMessage();
  }
}

void StubQuery::OnDatagram() {
  uint8_t message[4096];
  const ssize_t size = recv(socket_.get(), message, sizeof message, 0);
  if (size < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    return FailTry(FailErrno("receive", errno).value());
  }
  const std::span<const uint8_t> reply(message, static_cast<size_t>(size));
  if (!dns::IsReplyTo(reply, id_, name_, type_)) return;  // forged, or late: the right one may come
  Take(reply);
}

void StubQuery::OnMessage() {
  const std::span<uint8_t> scratch = loop_.input_scratch();
  const ssize_t size = recv(socket_.get(), scratch.data(), scratch.size(), 0);
  if (size < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    return FailTry(FailErrno("receive over TCP", errno).value());
  }
  if (size == 0) {
    return FailTry({Fault::kOrigin, "cut_off", "the resolver closed before its answer was whole"});
  }
  received_.insert(received_.end(), scratch.begin(), scratch.begin() + size);
  if (received_.size() < kTcpLengthBytes) return;
  const size_t length = dns::Load16(received_.data());
  if (received_.size() - kTcpLengthBytes < length) return;
  const std::vector<uint8_t> whole = std::move(received_);
  const std::span<const uint8_t> reply = std::span(whole).subspan(kTcpLengthBytes, length);
  if (!dns::IsReplyTo(reply, id_, name_, type_)) {
    return FailTry({Fault::kOrigin, "bad_reply", "an answer to another question"});
  }
  Take(reply);
}

void StubQuery::Take(std::span<const uint8_t> reply) {
  auto parsed = dns::ParseAddressReply(reply, name_, type_, options_.subnet);
  if (parsed) return Done(std::move(parsed));
  if (step_ != Step::kDatagram || parsed.error().reason != "truncated") {
    return FailTry(std::move(parsed.error()));
  }
  if (auto started = StartTcp(); !started) FailTry(std::move(started.error()));
}

void StubQuery::FailTry(Error error) {
  const net::SocketAddress& failed = resolver();
  Close();
  if (++tries_ < kRounds * options_.resolvers.size()) return timer_.Arm(milliseconds(0));
  Done(unexpected(std::move(error).In(failed.ToString())));
}

void StubQuery::Done(Result<dns::AddressReply> result) {
  Close();
  const OnDone on_done = std::move(on_done_);  // which may destroy this
  on_done(std::move(result));
}

}  // namespace nearside::geodns
