#pragma once

#include <array>
#include <functional>
#include <memory>
#include <string>

#include "net/address.h"
#include "net/address_ranges.h"
#include "net/event_loop.h"
#include "net/proxy_header.h"
#include "net/stream.h"
#include "net/tls.h"
#include "runtime/result.h"

namespace nearside::net {

struct ListenerOptions {
  SocketAddress address;
  bool reuse_port = true;  ///< each worker listens on a socket of its own
  int backlog = 4096;
  size_t max_connections =
      100'000;  ///< of this listener: beyond it new ones are closed at once and counted
  milliseconds handshake_timeout = seconds(10);  ///< and for the PROXY header, each
  /// Every connection begins with a PROXY header, and comes from one of `proxies`; others are
  /// closed and counted.
  bool proxy_protocol = false;
  /// Without TLS: a client has most likely sent something by the time it is accepted, so that its
  /// stream reads before it waits to be told. Saves a turn of the loop and two system calls then,
  /// and costs one otherwise.
  bool reads_first = false;
  /// Clients speak first: the system hands a connection over when its first bytes are there, or
  /// after a second or two without any (TCP_DEFER_ACCEPT). Saves waking up twice for each.
  bool defers_accept = false;
  /// With reads_first: how long an answered client's next bytes, or its end, may stay unseen while
  /// nearly all clients end at that point (PromptEnds). Saves a turn of the loop and a system call
  /// for each. 0: never.
  milliseconds look_again{4};
  /// A socket that listens on `address` already, or -1: it is taken over instead of opening one.
  int inherited = -1;
  std::shared_ptr<const AddressRanges> proxies;
};

struct ListenerCounters {
  uint64_t accepted = 0;
  uint64_t refused_full = 0;   ///< over max_connections
  uint64_t accept_errors = 0;  ///< EMFILE and the like: accepting pauses for 100 ms
  uint64_t handshakes_failed = 0;
  uint64_t handshakes_timed_out = 0;
  std::array<uint64_t, kProxyRefusals> proxy_refused{};  ///< by ProxyRefusal
};

/// Accepts on one address for one worker, reads PROXY headers, does TLS handshakes, and hands over
/// streams that are ready. Owned by one worker. Destroying it closes the listening socket and the
/// handshakes under way, not the streams handed over.
class Listener {
 public:
  using OnStream = std::function<void(std::unique_ptr<Stream>)>;
  /// `tls` may be null (cleartext). Error: kOperator address_in_use / bad_address / no_permission,
  /// with the address and what to change in the message.
  static Result<std::unique_ptr<Listener>> Open(EventLoop& loop, const ListenerOptions& options,
                                                std::shared_ptr<TlsServer> tls, OnStream on_stream);
  /// Whether nobody listens on `address` yet. Asked once before the workers open theirs, since
  /// SO_REUSEPORT would let a second daemon of the same user share the port unnoticed. Errors as
  /// Open.
  static Status CheckFree(const SocketAddress& address);
  virtual ~Listener() = default;
  /// New connections use this from now on (certificate reload).
  virtual void SetTls(std::shared_ptr<TlsServer> tls) = 0;
  /// New connections must come from these from now on, where proxy_protocol is on.
  virtual void SetProxies(std::shared_ptr<const AddressRanges> proxies) = 0;
  /// Stops accepting and closes the socket (drain); streams handed over go on.
  virtual void StopAccepting() = 0;
  /// The address bound, with the real port when 0 was asked for.
  virtual const SocketAddress& address() const = 0;
  /// The listening socket, for another process to inherit; -1 after StopAccepting.
  virtual int descriptor() const = 0;
  virtual const ListenerCounters& counters() const = 0;
};

}  // namespace nearside::net
