#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "http/http1_parser.h"
#include "http/session/client.h"
#include "net/event_loop.h"
#include "net/stream.h"

namespace nearside::http {

class ClientConnection;

/// What a call asks for and how it is going; between the call's owner, the pool and a connection.
struct ClientRequest {
  std::string head;  ///< serialised
  std::string method;
  std::unique_ptr<BodySource> body;
  std::optional<uint64_t> body_bytes;
  bool websocket = false;     ///< asks for it: the body is what is sent once that is agreed to
  bool body_touched = false;  ///< bytes of the body have been sent: it cannot be sent again
};

/// Who uses a connection for one request. Told in this order: interims, head, body, after a 101 the
/// peer's end, end; or failure.
class ResponseSink {
 public:
  virtual ~ResponseSink() = default;
  virtual void OnInterim(int status, const Fields& fields) = 0;
  virtual void OnHead(ResponseHead&& head) = 0;
  virtual void OnBody(std::span<const uint8_t> bytes) = 0;
  virtual void OnPeerEnd() = 0;
  virtual void OnEnd(const Fields& trailers) = 0;
  /// `unanswered`: a kept connection died before a byte of the response came.
  virtual void OnFailure(const Error& error, bool unanswered) = 0;
};

/// The pool a connection belongs to.
class ConnectionPool {
 public:
  virtual ~ConnectionPool() = default;
  /// The response is whole and the connection can take another request.
  virtual void OnFree(ClientConnection* connection) = 0;
  /// It has left HTTP: it does not count among those that requests may wait for.
  virtual void OnSwitched(ClientConnection* connection) = 0;
  /// Gone: its memory goes after this turn.
  virtual void OnGone(ClientConnection* connection) = 0;
};

/// One kept connection to a server: HTTP/1.1, one request at a time. Owned by its pool; the loop's
/// thread.
class ClientConnection final : public net::StreamHandler, public net::Disposable {
 public:
  ClientConnection(net::EventLoop& loop, std::unique_ptr<net::Stream> stream,
                   const ClientLimits& limits, std::string peer, ConnectionPool& pool);
  ~ClientConnection() override;

  /// Begins a request; the sink must stay until its last call or Abandon, the request as long.
  void Send(ClientRequest* request, ResponseSink* sink);
  /// The sink wants nothing more: the connection is closed if its response is not over.
  void Abandon();
  void PauseBody();
  void ResumeBody();
  void ResumeRequestBody();
  /// Closes a connection that is not in use.
  void Retire();
  bool switched() const { return switched_; }

  /// When it was made.
  MonoTime opened() const { return opened_; }

  /// Its place in its pool's list of all connections, kept by the pool.
  size_t place = 0;

 private:
  enum class Sent { kAll, kNoRoom, kWaiting, kFailed };

  void OnBytes(std::span<const uint8_t> bytes) override;
  void OnEnd() override;
  bool Produce(net::Output& output) override;
  void OnDrained() override;
  void OnClosed(const Error& why) override;

  void Parse(std::string_view* input);
  void ParsePending();
  bool Deliver(ParseEvent event, bool followed);
  void OnResponseHead();
  void OnResponseEnd(bool followed);
  void OnSwitchedEnd();
  void EndBroken();
  void OnLater();
  Sent SendHead(net::Output& output);
  Sent SendBody(net::Output& output);
  Sent SendUnframed(net::Output& output);
  void Fail(std::string_view reason, std::string_view what);
  void FailWith(const Error& error);
  Error BodyFailed() const;
  void OnTimer();
  void Wait(milliseconds limit);
  void Leave();

  class Later final : public net::TurnEnd {
   public:
    explicit Later(ClientConnection& connection) : connection_(connection) {}
    void OnTurnEnd() override { connection_.OnLater(); }

   private:
    ClientConnection& connection_;
  };

  net::EventLoop& loop_;
  const MonoTime opened_ = loop_.now();
  std::unique_ptr<net::Stream> stream_;
  ClientLimits limits_;
  std::string peer_;  ///< for messages
  ConnectionPool& pool_;
  net::Timer timer_;
  MonoTime deadline_ = MonoTime::max();
  Later later_{*this};

  ClientRequest* request_ = nullptr;
  ResponseSink* sink_ = nullptr;
  bool used_before_ = false;  ///< this is not its first request
  bool gone_ = false;
  bool paused_ = false;
  bool parsing_ = false;
  bool input_ended_ = false;

  // Sending.
  size_t head_sent_ = 0;
  std::optional<uint64_t> left_;  ///< of the request's body
  bool body_done_ = true;
  bool source_waits_ = false;
  bool last_chunk_queued_ = false;
  std::string tail_;  ///< the last chunk, where it did not fit

  // Receiving.
  Http1ResponseParser parser_;
  ResponseHead head_;
  bool answered_ = false;  ///< a byte of the response has come
  bool head_received_ = false;
  bool switched_ = false;  ///< by 101: both bodies are unframed
  bool end_told_ = false;  ///< of the peer's side, after that
  bool broken_ = false;    ///< our side broke off, after that
  std::string pending_;    ///< received while paused
};

}  // namespace nearside::http
