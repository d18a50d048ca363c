#pragma once

// The asking side: HTTP/1.1 over a pool of kept connections, to origins and for health checks.
// HTTP/1.1 and not HTTP/2, because a fill wants its own flow control and origins are near or few
// (docs/decisions/origin-protocol.md).

#include <compare>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "http/message.h"
#include "http/session/body_source.h"
#include "net/connector.h"
#include "net/event_loop.h"
#include "net/resolver.h"
#include "runtime/result.h"
#include "runtime/units.h"

namespace nearside::http {

/// Where requests go: parsed from "http://10.0.0.1:9000" or "https://origin.example".
struct Endpoint {
  bool tls = false;
  std::string host;
  uint16_t port = 0;
  /// Another name for SNI and verification than `host`; "" = host.
  std::string server_name;

  /// Scheme http or https, a host, an optional port, and no path, query or user. Error: kOperator
  /// bad_url.
  static Result<Endpoint> Parse(std::string_view url);
  std::string ToString() const;  ///< "http://10.0.0.1:9000"
  auto operator<=>(const Endpoint&) const = default;
};

struct ClientLimits {
  ByteSize fields = {64 << 10};  ///< of a response; more: bad_response
  milliseconds connect_timeout = seconds(3);
  milliseconds head_timeout = seconds(30);  ///< from the request sent to each head, the final last
  milliseconds read_timeout = seconds(30);  ///< without a byte of an expected body
  milliseconds idle_timeout = seconds(55);  ///< a kept connection is closed after this
  /// A connection is not kept for longer, so that the endpoint's name is looked up again now and
  /// then however busy it is.
  milliseconds connection_age = std::chrono::minutes(5);
  size_t idle_connections = 64;  ///< kept for one endpoint
  size_t connections = 1024;     ///< to one endpoint; more requests wait for one in order
};

/// Told how a call goes. Owned by the caller; must outlive the call (or Cancel it). The loop's
/// thread.
class CallHandler {
 public:
  virtual ~CallHandler() = default;
  /// A 1xx other than 101, as often as 32 times: 100 as well, which is between neighbours. Without
  /// hop-by-hop fields; valid during the call.
  virtual void OnInterim(int status, const Fields& fields) { (void)status, (void)fields; }
  /// The final head. Content-Length was checked; hop-by-hop fields are removed (Connection and
  /// those it names, Keep-Alive, Transfer-Encoding, TE, Trailer, Upgrade, Proxy-Connection).
  virtual void OnHead(ResponseHead&& head) = 0;
  /// Decoded body bytes, valid during the call.
  virtual void OnBody(std::span<const uint8_t> bytes) = 0;
  /// After a 101: the server has ended its side, and hears ours until that ends as well.
  virtual void OnPeerEnd() {}
  /// The response is whole by its framing; after a 101, both sides have ended. Last call.
  virtual void OnEnd(const Fields& trailers) = 0;
  /// The call failed; nothing more comes. Before or after OnHead. Last call. Errors: kOrigin
  /// connect_*, tls_*, no_such_name, resolve_*, head_timeout, read_timeout, closed_early (the
  /// connection ended inside the response), bad_response (not HTTP, two lengths, …).
  virtual void OnFailure(const Error& error) = 0;
};

/// A request under way. Destroying it cancels it (the connection is closed, not reused).
class Call {
 public:
  virtual ~Call() = default;
  /// The handler cannot take more body: stop reading from the socket. Resume goes on.
  virtual void PauseBody() = 0;
  virtual void ResumeBody() = 0;
  /// The request's body source that answered kWait has more.
  virtual void ResumeRequestBody() = 0;
};

/// One worker's connections to every endpoint. Outlives its calls.
class Client {
 public:
  /// `tls` serves https endpoints; null: those fail with tls_failed.
  static std::unique_ptr<Client> Create(net::EventLoop& loop, net::Resolver& resolver,
                                        std::shared_ptr<net::TlsClient> tls,
                                        const ClientLimits& limits);
  virtual ~Client() = default;

  /// Sends `head` (authority becomes Host; framing fields are ours: Content-Length when
  /// `body_bytes` is known, chunked when it is not) and reports to `handler`, never from inside the
  /// call. A kept connection that dies before a byte of the answer is retried once on a new one if
  /// the method is idempotent and no body byte was sent (RFC 9112 §9.3.1).
  ///
  /// With `head.protocol` "websocket" (and method GET) it asks for that by Upgrade, on a connection
  /// of its own if there is room, once. OnHead with 101: agreed (the fields of the handshake are
  /// the handler's to check); from here on `body` is sent and OnBody comes as it is, in no framing,
  /// in no time limits, and not counted in `connections`; the end of either is a FIN, behind which
  /// the other may still speak. Any other head is an ordinary answer, and `body` is not asked.
  virtual std::unique_ptr<Call> Start(const Endpoint& endpoint, const RequestHead& head,
                                      std::unique_ptr<BodySource> body,
                                      std::optional<uint64_t> body_bytes, CallHandler* handler) = 0;
  virtual size_t idle_connections() const = 0;
  virtual size_t open_connections() const = 0;
};

}  // namespace nearside::http
