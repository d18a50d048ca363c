#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "http/session/exchange.h"
#include "net/stream.h"
#include "runtime/clock.h"
#include "runtime/units.h"

namespace nearside::http {

/// Limits of a client connection; every one has a named outcome that is counted (SessionCounters).
struct SessionLimits {
  ByteSize request_line = {16 << 10};  ///< longer: 414
  ByteSize fields = {64 << 10};        ///< name + value + 32 a line; more: 431
  size_t field_lines = 200;            ///< more: 431
  ByteSize body = {0};                 ///< of a request; 0: no limit; more: 413
  uint32_t concurrent_streams = 128;
  uint32_t stream_window = 256 << 10;  ///< bytes of request body a stream may have unconsumed
  uint32_t connection_window = 1 << 20;
  uint32_t abuse_budget = 200;  ///< HTTP/2 abuse points (resets, pings, settings, empty frames) …
  uint32_t abuse_refill = 20;   ///< … regained a second; spent: GOAWAY ENHANCE_YOUR_CALM
  milliseconds head_timeout = seconds(10);   ///< from the first byte of a head to its end
  milliseconds idle_timeout = seconds(120);  ///< without a request under way
  milliseconds body_timeout = seconds(30);   ///< without a byte of an expected request body
  milliseconds send_timeout = seconds(30);   ///< without the socket taking a byte that waits
  /// HTTP/1.1: a client that has ended its side (FIN, close_notify) has left when its answer has
  /// been silent for so long; while draining, at once. 0: always at once.
  milliseconds half_closed_timeout = seconds(5);
  /// A second: of a request's body that is awaited through a body_timeout, and of what waits for
  /// the client through a send_timeout. Not of WebSockets. 0: no matter how slow.
  ByteSize least_rate = {0};
  /// What still comes of a request's body behind the whole answer is dropped, so that the answer is
  /// not lost to a client that sends first and reads then: until nothing has come for
  /// `unread_silence`, for `unread_time` at most (while draining: `unread_silence`), and at most so
  /// many bytes. Then RST_STREAM(NO_ERROR) or the connection's end.
  ByteSize unread_bytes = {16 << 20};
  milliseconds unread_silence = seconds(5);
  milliseconds unread_time = seconds(30);
};

/// Counts of one worker's sessions. Written by the worker, read by it.
struct SessionCounters {
  uint64_t connections = 0;
  uint64_t open = 0;
  uint64_t requests_http11 = 0;
  uint64_t requests_http2 = 0;
  uint64_t bad_requests = 0;  ///< 400 and close
  uint64_t too_large = 0;     ///< 413, 414, 431
  uint64_t timeouts = 0;
  uint64_t slow_reads = 0;       ///< responses taken slower than least_rate
  uint64_t slow_bodies = 0;      ///< requests' bodies sent slower than least_rate
  uint64_t abuse_closed = 0;     ///< ENHANCE_YOUR_CALM
  uint64_t protocol_errors = 0;  ///< HTTP/2 connection errors
  uint64_t resets_by_client = 0;
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
  SessionCounters& operator+=(const SessionCounters& other);
};

/// All client connections of one worker's listeners: speaks HTTP/2 or HTTP/1.1 by ALPN; on
/// cleartext HTTP/2 when the client begins with its preface (prior knowledge), else HTTP/1.1. Owned
/// by the worker.
class ServerSessions {
 public:
  static std::unique_ptr<ServerSessions> Create(net::EventLoop& loop, Application& application,
                                                const SessionLimits& limits);
  virtual ~ServerSessions() = default;
  /// Takes a connection over.
  virtual void Adopt(std::unique_ptr<net::Stream> stream) = 0;
  /// New limits for connections adopted from now on.
  virtual void SetLimits(const SessionLimits& limits) = 0;
  /// Graceful end: GOAWAY twice (RFC 9113 §6.8) or Connection: close; idle connections close at
  /// once, exchanges under way finish, and after `deadline` what is left is aborted. `on_drained`
  /// runs once when no connection is left.
  virtual void Drain(milliseconds deadline, std::function<void()> on_drained) = 0;
  virtual size_t open_connections() const = 0;
  virtual size_t open_exchanges() const = 0;
  virtual const SessionCounters& counters() const = 0;
};

}  // namespace nearside::http
