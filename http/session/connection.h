#pragma once

// What HTTP/1.1 and HTTP/2 connections of a server have in common: a stream, a timer, an end.

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/date.h"
#include "http/session/exchange.h"
#include "http/session/http2_head_lines.h"
#include "http/session/server.h"
#include "http/session/session_memory.h"
#include "http/session/spare_exchanges.h"
#include "net/event_loop.h"
#include "net/stream.h"
#include "runtime/text_bytes.h"

namespace nearside::http {

/// RFC 9110 §15.5.14: a body over `client_max_body`.
inline constexpr int kBodyTooLarge = 413;

class Connection;

/// Who holds connections: told when one has ended.
class ConnectionOwner {
 public:
  virtual ~ConnectionOwner() = default;
  /// `connection` has ended: it is destroyed after this turn.
  virtual void OnConnectionEnd(Connection* connection) = 0;
};

/// What the connections of one worker share. Outlives them.
struct SessionContext {
  net::EventLoop& loop;
  Application& application;
  ConnectionOwner& owner;
  SessionCounters counters;
  DateClock dates;
  std::shared_ptr<SessionMemory> memory = std::make_shared<SessionMemory>();
  SpareExchanges spare_exchanges;
  Http2HeadLines head_lines;  ///< of the head being submitted
  uint64_t next_exchange_id = 0;
  size_t open_exchanges = 0;
};

/// One client connection. It lives from construction to End, and its memory to the end of that
/// turn, so callbacks on the stack may end it. Owned by the worker's ConnectionOwner; one thread.
class Connection : public net::StreamHandler, public net::Disposable {
 public:
  Connection(SessionContext& context, std::unique_ptr<net::Stream> stream,
             const SessionLimits& limits);
  ~Connection() override;

  /// Begins, with bytes that were read while it was not known which protocol this is.
  virtual void Start(std::span<const uint8_t> early) = 0;
  /// No more requests than those that are here; ends when they are answered.
  virtual void Drain() = 0;
  /// Ends now, whatever is under way. `reason` is what handlers are told.
  virtual void Kill(std::string_view reason) = 0;

  /// Its place among the owner's connections, kept by the owner.
  size_t place = 0;

 protected:
  /// What a connection can be too slow at; kRest: it has had nothing to do for a while;
  /// kHalfClosed: its client has ended its side; kUnread: bodies behind their answers.
  enum class Wait { kIdle, kHead, kBody, kSend, kDrain, kRest, kHalfClosed, kUnread };

  /// OnTimeout(wait) after `limit`, unless Forget or another Expect comes first.
  void Expect(Wait wait, milliseconds limit);
  void ExpectAt(Wait wait, MonoTime deadline);
  void Forget(Wait wait) { deadlines_[static_cast<size_t>(wait)] = MonoTime::max(); }
  bool Expects(Wait wait) const { return deadlines_[static_cast<size_t>(wait)] != MonoTime::max(); }
  /// To be called at the end of Produce: watches that what waits to be sent makes progress.
  void WatchSending();
  virtual void OnTimeout(Wait wait) = 0;
  /// How the client has taken what waited for it while it was watched.
  enum class Pace { kSteady, kSlow, kStalled };
  /// kSend is over. kSteady: it is watched on. kStalled: it has taken nothing.
  virtual Pace LookAtSending();
  /// Whether least_rate holds for what is being sent.
  virtual bool IsHeldToRate() const { return true; }
  /// What least_rate makes of so long a time, in bytes.
  uint64_t LeastBytes(milliseconds span) const {
    return limits_.least_rate.bytes * static_cast<uint64_t>(span.count()) / 1000;
  }
  /// Until when what comes of a body behind its answer is dropped (SessionLimits::unread_bytes).
  MonoTime UnreadUntil(MonoTime answered, MonoTime last_input, bool draining) const;
  /// Whether something could be sent but for the client (window, socket).
  virtual bool OutputWaits() const = 0;

  void OnDrained() override;

  /// The stream is gone or not needed any more: closes it if it is still there and leaves the
  /// owner.
  void End();
  bool ended() const { return ended_; }
  void CountBytes();

  /// Stays valid when the context is gone before the memory of this connection.
  net::EventLoop& loop() { return loop_; }
  SessionContext& context() { return context_; }
  SessionCounters& counters() { return context_.counters; }
  const SessionContext& context() const { return context_; }
  const SessionLimits& limits() const { return limits_; }
  net::Stream& stream() { return *stream_; }
  const net::Stream& stream() const { return *stream_; }
  std::unique_ptr<net::Stream> TakeStream() { return std::move(stream_); }

 private:
  void OnTimer();

  SessionContext& context_;
  net::EventLoop& loop_;
  SessionLimits limits_;
  std::unique_ptr<net::Stream> stream_;
  std::array<MonoTime, 8> deadlines_;
  MonoTime armed_until_ = MonoTime::max();
  net::Timer timer_;
  uint64_t counted_in_ = 0;
  uint64_t counted_out_ = 0;
  uint64_t sent_at_watch_ = 0;  ///< bytes the socket had taken when kSend was last set
  bool ended_ = false;
};

/// What the session itself answers with: "404 Not Found (no_such_thing)\n" and its lines, but for
/// the length.
std::string OwnAnswerText(int status, std::string_view reason);
std::vector<FieldLine> OwnAnswerLines(int status);

std::unique_ptr<Connection> MakeHttp1Connection(SessionContext& context,
                                                std::unique_ptr<net::Stream> stream,
                                                const SessionLimits& limits);
std::unique_ptr<Connection> MakeHttp2Connection(SessionContext& context,
                                                std::unique_ptr<net::Stream> stream,
                                                const SessionLimits& limits);

}  // namespace nearside::http
