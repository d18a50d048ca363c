#pragma once

#include <array>
#include <functional>
#include <span>

#include "net/descriptor.h"
#include "net/event_loop.h"
#include "net/proxy_header.h"

namespace nearside::net {

/// A connection of which the PROXY header is being read, and not one byte behind it: what follows
/// is the client's. Owned by its listener; one loop's thread.
class ProxyGreeting final : private Watcher {
 public:
  /// Told once, when the header is there or the connection is refused; may destroy the greeting.
  using OnDone = std::function<void(ProxyGreeting*, ProxyRefusal)>;

  ProxyGreeting(EventLoop& loop, Descriptor socket, const SocketAddress& peer, OnDone on_done);
  ~ProxyGreeting() override;

  /// Error: kSelf.
  Status Start(milliseconds timeout);
  /// Once done: the connection, no longer watched.
  Descriptor TakeSocket();
  /// Who made the connection; the proxy itself where the header does not say.
  const SocketAddress& peer() const { return peer_; }
  /// Whether it was made over TLS, which ended at the proxy.
  bool over_tls() const { return over_tls_; }

 private:
  void OnReady(uint32_t events) override;
  void Finish(ProxyRefusal refusal);
  void Unwatch();

  EventLoop& loop_;
  Descriptor socket_;
  SocketAddress peer_;
  OnDone on_done_;
  Timer timeout_;
  bool watched_ = false;
  bool over_tls_ = false;
  size_t size_ = 0;
  std::array<uint8_t, kMostProxyBytes> bytes_;
};

}  // namespace nearside::net
