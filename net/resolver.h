#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/address.h"
#include "net/event_loop.h"
#include "runtime/result.h"

namespace nearside::net {

struct ResolverOptions {
  std::string servers;                ///< "127.0.0.1:53,[::1]:53"; empty: those of /etc/resolv.conf
  milliseconds timeout = seconds(2);  ///< of the first try at one server
  int tries = 2;
};

/// Looks names up without blocking the loop (c-ares), follows /etc/hosts and /etc/resolv.conf, and
/// keeps an answer for its TTL (at least 1 s, at most 1 h; failures 1 s). Owned by one worker.
class Resolver {
 public:
  using OnDone = std::function<void(Result<std::vector<SocketAddress>>)>;
  /// Error: kOperator bad_address (servers), kSelf resolver_setup.
  static Result<std::unique_ptr<Resolver>> Create(EventLoop& loop,
                                                  const ResolverOptions& options = {});
  virtual ~Resolver() = default;
  /// IPv4 and IPv6 addresses of `host` with `port`, never empty on success. An address literal is
  /// answered too. `on_done` runs once, never from inside the call, and not after the resolver's
  /// end. Error: kOrigin no_such_name, resolve_timeout, resolve_failed.
  virtual void Resolve(const std::string& host, uint16_t port, OnDone on_done) = 0;
};

}  // namespace nearside::net
