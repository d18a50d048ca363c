#include "net/proxy_greeting.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

namespace nearside::net {

ProxyGreeting::ProxyGreeting(EventLoop& loop, Descriptor socket, const SocketAddress& peer,
                             OnDone on_done)
    : loop_(loop),
      socket_(std::move(socket)),
      peer_(peer),
      on_done_(std::move(on_done)),
      timeout_(loop, [this] { Finish(ProxyRefusal::kTimeout); }) {}

ProxyGreeting::~ProxyGreeting() { Unwatch(); }

Status ProxyGreeting::Start(milliseconds timeout) {
  if (auto watched = loop_.Watch(socket_.get(), EPOLLIN, this); !watched) return watched;
  watched_ = true;
  timeout_.Arm(timeout);
  return {};
}

Descriptor ProxyGreeting::TakeSocket() {
  Unwatch();
  return std::move(socket_);
}

void ProxyGreeting::Unwatch() {
  if (std::exchange(watched_, false)) loop_.Unwatch(socket_.get());
}

void ProxyGreeting::OnReady(uint32_t) {
  while (true) {
    const ProxyHeader header = ParseProxyHeader(std::span(bytes_).first(size_));
    if (header.refusal != ProxyRefusal::kNone) return Finish(header.refusal);
    if (header.needed <= size_) {
      if (header.source.is_set()) peer_ = header.source;
      over_tls_ = header.over_tls;
      return Finish(ProxyRefusal::kNone);
    }
    const ssize_t taken = recv(socket_.get(), &bytes_[size_], header.needed - size_, 0);
    if (taken < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (taken <= 0) return Finish(ProxyRefusal::kClosed);
    size_ += static_cast<size_t>(taken);
  }
}

void ProxyGreeting::Finish(ProxyRefusal refusal) {
  timeout_.Disarm();
  Unwatch();
  const OnDone done = std::exchange(on_done_, nullptr);
  done(this, refusal);
}

}  // namespace nearside::net
