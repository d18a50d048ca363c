#pragma once

// A TCP connection with or without TLS. Input is pushed to the protocol, output is pulled from it:
// at the end of a loop turn the stream asks its handler to produce, gathers 16 KiB records into one
// loop-shared buffer, and writes once. Only what the socket refuses is copied and kept, so a slow
// reader holds at most one turn's budget of memory (DESIGN.md, "The write path").

#include <memory>
#include <span>
#include <string_view>

#include "net/address.h"
#include "net/event_loop.h"
#include "net/tls.h"
#include "runtime/clock.h"
#include "runtime/result.h"

namespace nearside::net {

/// Where a handler puts what it has to send. Valid only inside Produce.
class Output {
 public:
  virtual ~Output() = default;
  /// Bytes that may still be appended in this turn. 0: stop, Produce is called again when there is
  /// room.
  virtual size_t room() const = 0;
  /// Copies `bytes`. At most 32 bytes more than room() are taken (a frame header that came with its
  /// body).
  virtual void Append(std::span<const uint8_t> bytes) = 0;
};

/// A protocol on a stream. All calls come from the loop's thread, never from inside a call to the
/// Stream (except Produce from Flush), and none after OnClosed or after the handler destroyed or
/// closed the stream.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  /// Bytes from the peer, valid during the call. All must be taken; PauseReading stops further ones
  /// (what one recv had already brought is still delivered).
  virtual void OnBytes(std::span<const uint8_t> bytes) = 0;
  /// The peer will send no more (FIN, or close_notify). Sending may go on. With TLS a FIN without
  /// close_notify may be an attacker's (RFC 9112 §9.8): it is OnClosed "truncated".
  virtual void OnEnd() = 0;
  /// Appends what is to be sent, up to room(). Returns true when it stopped for lack of room.
  virtual bool Produce(Output& output) = 0;
  /// Everything produced so far has left for the socket (for a close after the last answer).
  virtual void OnDrained() {}
  /// The connection is gone: reset, timeout, TLS failure, or our own Close having finished. Last
  /// call.
  virtual void OnClosed(const Error& why) = 0;
};

/// Bytes and system calls of a stream, for metrics and logs.
struct StreamCounters {
  uint64_t bytes_in = 0;
  uint64_t bytes_out = 0;
};

/// Owned by the protocol session that uses it (which is its handler), or by the Listener/Connector
/// until it is handed over. One thread. Destroying it closes the socket at once.
class Stream {
 public:
  virtual ~Stream() = default;

  /// Who is told of input from now on. Bytes that arrived meanwhile are delivered in a later
  /// callback.
  virtual void SetHandler(StreamHandler* handler) = 0;
  /// Asks for Produce at the end of this turn. Cheap, idempotent.
  virtual void WantWrite() = 0;
  virtual void PauseReading() = 0;
  virtual void ResumeReading() = 0;
  /// Sends what was produced, then close_notify and FIN, waits for the peer's FIN for at most
  /// `linger`, and ends with OnClosed. No more Produce. A slow peer is waited for while it takes
  /// bytes, 150 times `linger` at most; one that takes none for `linger` is left (close_timeout).
  virtual void Close(milliseconds linger = milliseconds(2000)) = 0;
  /// Sends what was produced, then close_notify and FIN, and goes on reading. No more Produce. The
  /// handler still calls Close or Abort.
  virtual void EndSending() = 0;
  /// Ends now with a RST. OnClosed is not called.
  virtual void Abort() = 0;

  /// Bytes produced that the socket has not taken yet.
  virtual size_t unsent_bytes() const = 0;
  virtual const StreamCounters& counters() const = 0;
  virtual EventLoop& loop() = 0;
  virtual const SocketAddress& peer() const = 0;
  virtual const SocketAddress& local() const = 0;
  /// "h2", "http/1.1", or "" (cleartext, or nothing agreed).
  virtual std::string_view alpn() const = 0;
  /// Name the client asked for, lower case; "" without TLS or SNI.
  virtual std::string_view server_name() const = 0;
  virtual bool is_tls() const = 0;
  /// Whether the client speaks TLS: to us, or to a trusted proxy whose PROXY header says so.
  virtual bool is_https() const = 0;
  /// Whether the certificate of this connection is valid for `host` (lower case, no port): RFC 9110
  /// §7.4, answered 421 otherwise. True for cleartext.
  virtual bool Covers(std::string_view host) const = 0;
};

}  // namespace nearside::net
