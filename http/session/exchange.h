#pragma once

// What a daemon sees of a connection with a client: one Exchange a request, the same over HTTP/1.1
// and HTTP/2 (and over HTTP/3, when it comes). The session owns sockets, framing, flow control and
// limits; the application owns meaning.

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "http/message.h"
#include "http/session/body_source.h"
#include "net/stream.h"
#include "runtime/clock.h"

namespace nearside::http {

enum class Version { kHttp10, kHttp11, kHttp2 };
std::string_view VersionName(Version version);  ///< "HTTP/1.0", "HTTP/1.1", "HTTP/2"

/// How an exchange ended, told once.
struct ExchangeOutcome {
  bool complete = false;    ///< the whole response was handed to the socket
  uint64_t body_bytes = 0;  ///< of the response, as framed
  std::string_view
      reason;  ///< why not complete: "client_reset", "client_gone", "body_failed", "timeout", …
};

/// The application's side of a request that needs more than an immediate answer: a body to receive,
/// a fill to wait for, an end to log. Owned by the exchange; the session's thread.
class ExchangeHandler {
 public:
  virtual ~ExchangeHandler() = default;
  /// Request body bytes, valid during the call. They count against the client's window until
  /// ConsumedBody.
  virtual void OnBody(std::span<const uint8_t> bytes) { (void)bytes; }
  /// The request's body is whole. Trailers may be empty.
  virtual void OnBodyEnd(const Fields& trailers) { (void)trailers; }
  /// Last call: the response has been sent, or the exchange failed or was abandoned by the client.
  /// The exchange and this handler are destroyed right after.
  virtual void OnFinished(const ExchangeOutcome& outcome) { (void)outcome; }
};

/// One request and its response. Owned by the session; valid until OnFinished (without a handler:
/// until Respond returns). The session's thread.
class Exchange {
 public:
  virtual ~Exchange() = default;

  /// With a protocol ("websocket": an upgrade, or CONNECT over HTTP/2) only where the application
  /// takes it up.
  virtual const RequestHead& request() const = 0;
  /// "http" or "https": how the client came, where something in front that is believed ended its
  /// TLS.
  virtual void SetScheme(std::string_view scheme) = 0;
  /// Whether a body follows (or is arriving): HTTP/1.1 with Content-Length > 0 or chunked, HTTP/2
  /// without END_STREAM.
  virtual bool has_body() const = 0;
  virtual Version version() const = 0;
  virtual const net::Stream& stream() const = 0;
  /// A number for logs, unique in the process for its lifetime.
  virtual uint64_t id() const = 0;
  /// When the request's head was complete.
  virtual MonoTime started() const = 0;

  /// To be called inside OnRequest when the answer does not come at once or a body is wanted.
  /// Without a handler the request's body is read and dropped.
  virtual void SetHandler(std::unique_ptr<ExchangeHandler> handler) = 0;
  /// The application is done with `n` more bytes of the request's body: opens the window (HTTP/2)
  /// or goes on reading (HTTP/1.1). At most 256 KiB stand unconsumed.
  virtual void ConsumedBody(size_t n) = 0;
  /// 103 and the like; 100 is sent by WantBody.
  virtual void SendInterim(int status, const Fields& fields) = 0;
  /// Sends "100 Continue" if the client waits for one (RFC 9110 §10.1.1).
  virtual void WantBody() = 0;

  /// Sends the final head, once, then the body. `prepared` lines are not copied: `body` must keep
  /// them alive as long as it lives (a cached object's lines, built once); `extra` lines are
  /// copied. The session adds framing (Content-Length only if in the lines; chunked in HTTP/1.1
  /// otherwise) and, where absent, Date. `body` null: no content. For HEAD and bodiless statuses a
  /// body is accepted and not sent. Connection-specific fields must not be among the lines.
  virtual void Respond(int status, std::span<const FieldLine> prepared,
                       std::span<const FieldLine> extra, std::unique_ptr<BodySource> body) = 0;
  /// Instead of Respond, to a request with a protocol: agrees to it, by 101 or, over HTTP/2, 200.
  /// From here on bytes go both ways as they come: the client's are OnBody, its end is OnBodyEnd;
  /// those of `body` are sent, and its end as an end. The exchange is over when both have ended; a
  /// client that goes on is heard until it says nothing for a body_timeout. Lines are copied. A
  /// drain ends it at once.
  virtual void SwitchProtocol(std::span<const FieldLine> lines,
                              std::unique_ptr<BodySource> body) = 0;
  /// The body source that answered kWait has more (or an end, or a failure).
  virtual void Resume() = 0;
  /// Ends the exchange without a whole response: RST_STREAM in HTTP/2, closing in HTTP/1.1.
  /// OnFinished follows later.
  virtual void Abort() = 0;
};

/// A daemon's entry for requests, one for each worker.
class Application {
 public:
  virtual ~Application() = default;
  /// The head of a valid request has arrived. Answer at once by Respond, or SetHandler and answer
  /// later.
  virtual void OnRequest(Exchange& exchange) = 0;
  /// Whether it takes WebSocket up. Else an upgrade is dropped as other hop-by-hop fields are, and
  /// CONNECT refused.
  virtual bool TakesWebSocket() const { return false; }
};

/// A whole body from memory, for errors and small answers: copies `text`.
std::unique_ptr<BodySource> TextBody(std::string_view text);

}  // namespace nearside::http
