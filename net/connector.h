#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/address.h"
#include "net/event_loop.h"
#include "net/stream.h"
#include "net/tls.h"
#include "runtime/result.h"

namespace nearside::net {

struct ConnectOptions {
  SocketAddress address;
  std::shared_ptr<TlsClient> tls;     ///< null: cleartext
  std::string server_name;            ///< SNI and the name verified; needed with tls
  milliseconds timeout = seconds(5);  ///< for TCP and TLS together
};

/// A connection attempt under way. Destroying it cancels it. One worker.
class Connector {
 public:
  using OnDone = std::function<void(Result<std::unique_ptr<Stream>>)>;
  /// Calls `on_done` once, never from inside Start. Errors: kOrigin connect_refused,
  /// connect_timeout, connect_failed, tls_wrong_name, tls_expired, tls_untrusted (the server's
  /// certificate), tls_failed; with OpenSSL's words.
  static std::unique_ptr<Connector> Start(EventLoop& loop, const ConnectOptions& options,
                                          OnDone on_done);
  virtual ~Connector() = default;
};

}  // namespace nearside::net
