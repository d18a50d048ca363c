#pragma once

#include <list>
#include <memory>
#include <span>
#include <vector>

#include "geodns/client_count.h"
#include "geodns/query_desk.h"
#include "net/event_loop.h"
#include "net/stream.h"
#include "runtime/recycled.h"

namespace nearside::geodns {

/// Buffers of answers that have left, for the next ones: a connection that waits for nothing holds
/// none, and one that has a single query allocates none.
class SpareBuffers {
 public:
  static constexpr size_t kMost = 64;
  static constexpr size_t kMostBytes = 16 << 10;  ///< of one; larger ones are freed

  /// An empty one.
  std::vector<uint8_t> Take();
  /// Leaves `buffer` empty and without memory.
  void Give(std::vector<uint8_t>& buffer);

 private:
  std::vector<std::vector<uint8_t>> spare_;
};

/// What the TCP connections of one worker share.
struct TcpContext {
  net::EventLoop& loop;
  QueryDesk& desk;
  std::vector<uint8_t> answer = std::vector<uint8_t>(kTcpAnswerBytes);  ///< scratch for one answer
  SpareBuffers spare;
};

class TcpSession;

class TcpSessionOwner {
 public:
  virtual ~TcpSessionOwner() = default;
  /// A whole query has come, or several in one piece.
  virtual void OnQuery(TcpSession* session) = 0;
  /// The session has ended; it is destroyed after this turn.
  virtual void OnSessionEnd(TcpSession* session) = 0;
};

/// DNS over one TCP connection (RFC 7766): queries may be pipelined, each is answered as soon as it
/// is whole. No answer waits for anything but those before it, so that none could overtake another
/// (§7) without being held up itself. Input waits while answers do. Its loop's thread.
class TcpSession final : public net::StreamHandler,
                         public net::Disposable,
                         public Recycled<TcpSession> {
 public:
  TcpSession(TcpContext& context, TcpSessionOwner& owner, std::unique_ptr<net::Stream> stream);

  void OnBytes(std::span<const uint8_t> bytes) override;
  void OnEnd() override;
  bool Produce(net::Output& output) override;
  void OnDrained() override;
  void OnClosed(const Error& why) override;

  /// Of the client, without its port.
  static IpAddress AddressOf(const net::SocketAddress& peer);
  /// Ends as soon as what was asked is answered.
  void Drain();
  /// Ends at once.
  void End();
  /// Whether neither an answer nor a query waits for the client to take what is there.
  bool is_idle() const { return !paused_ && unsent_.empty() && stream_->unsent_bytes() == 0; }
  /// When the turn was in which its last query was answered; before the first, when it came.
  MonoTime last_query() const { return last_query_; }
  /// What its buffers hold, sent or not.
  size_t buffer_bytes() const { return unread_.capacity() + unsent_.capacity(); }

  // The owner's.
  std::list<std::unique_ptr<TcpSession>>* list = nullptr;  ///< that it stands in
  std::list<std::unique_ptr<TcpSession>>::iterator place;  ///< in `list`
  ClientCount::Place counted_as = 0;                       ///< where its client is counted

 private:
  size_t AnswerWholeQueries(std::span<const uint8_t> bytes);
  bool AnswerQuery(std::span<const uint8_t> query);
  void AnswerUnread();
  void CountSent();
  void EndIfDone();

  TcpContext& context_;
  TcpSessionOwner& owner_;
  std::unique_ptr<net::Stream> stream_;
  IpAddress client_;
  MonoTime last_query_;
  std::vector<uint8_t> unread_;  ///< a query that is not whole, or queries that wait
  std::vector<uint8_t> unsent_;  ///< answers that the stream has not taken
  size_t unsent_begin_ = 0;
  uint64_t uncounted_ = 0;  ///< answers of which the time is not told yet
  MonoTime uncounted_since_;
  bool paused_ = false;
  bool ending_ = false;  ///< no more input counts
  bool ended_ = false;
};

}  // namespace nearside::geodns
