#include "geodns/stub_query.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>

#include "dns/edns.h"
#include "runtime/crypto.h"
#include "runtime/units.h"

namespace nearside::geodns {

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
  const net::SocketAddress& resolver = options_.resolvers[tries_ % options_.resolvers.size()];
  if (auto sent = Send(resolver); !sent) return FailTry(std::move(sent.error()));
  timer_.Arm(options_.timeout);
}

/// A connected socket: the kernel picks its port and lets nobody else's datagrams in.
Status StubQuery::Send(const net::SocketAddress& resolver) {
  socket_ =
      net::Descriptor(socket(resolver.family(), SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket_.is_open()) return FailErrno("socket", errno);
  if (auto watched = loop_.Watch(socket_.get(), EPOLLIN, this); !watched) {
    socket_.Close();
    return watched;
  }
  if (connect(socket_.get(), resolver.get(), resolver.length()) != 0) {
    return FailErrno("connect", errno);
  }
  uint8_t random[2];
  RandomBytes(random);
  id_ = static_cast<uint16_t>(random[0] << 8 | random[1]);
  const std::vector<uint8_t> query = dns::EncodeQuery(id_, name_, type_);
  if (send(socket_.get(), query.data(), query.size(), 0) < 0) return FailErrno("send", errno);
  return {};
}

void StubQuery::OnReady(uint32_t) {
  uint8_t message[4096];
  const ssize_t size = recv(socket_.get(), message, sizeof message, 0);
  if (size < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    return FailTry(FailErrno("receive", errno).value());
  }
  const std::span<const uint8_t> reply(message, static_cast<size_t>(size));
  if (!dns::IsReplyTo(reply, id_, name_, type_)) return;  // forged, or late: the right one may come
  auto parsed = dns::ParseAddressReply(reply, name_, type_);
  if (!parsed) return FailTry(std::move(parsed.error()));
  Done(std::move(parsed));
}

void StubQuery::FailTry(Error error) {
  const size_t at = tries_ % options_.resolvers.size();
  Close();
  if (++tries_ < kRounds * options_.resolvers.size()) return timer_.Arm(milliseconds(0));
  Done(unexpected(std::move(error).In(options_.resolvers[at].ToString())));
}

void StubQuery::Done(Result<dns::AddressReply> result) {
  Close();
  const OnDone on_done = std::move(on_done_);  // which may destroy this
  on_done(std::move(result));
}

}  // namespace nearside::geodns
