#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "http/http1_parser.h"
#include "http/session/connection.h"
#include "http/session/exchange.h"

namespace nearside::http {

/// Of a request's body that nobody wants any more, read so that the connection may go on; more:
/// close.
inline constexpr uint64_t kDiscardBytes = 256 << 10;

/// HTTP/1.1 and 1.0 with one client (RFC 9112). One exchange at a time: what a client sends ahead
/// waits, at most one receive of it, and is answered in order. The connection is its one Exchange,
/// used again for each request.
class Http1Connection final : public Connection, private Exchange {
 public:
  Http1Connection(SessionContext& context, std::unique_ptr<net::Stream> stream,
                  const SessionLimits& limits);
  ~Http1Connection() override;

  void Start(std::span<const uint8_t> early) override;
  void Drain() override;
  void Kill(std::string_view reason) override;

 private:
  enum class Phase {
    kOpen,
    kLastAnswer,  ///< what is in head_ is sent, then the connection closes
    kUnread,      ///< our side has ended, what still comes of the answered request is dropped
    kClosing,     ///< the stream closes by itself
  };
  enum class Sent { kAll, kNoRoom, kWaiting, kFailed };

  // net::StreamHandler
  void OnBytes(std::span<const uint8_t> bytes) override;
  void OnEnd() override;
  bool Produce(net::Output& output) override;
  void OnClosed(const Error& why) override;

  // Connection
  void OnTimeout(Wait wait) override;
  bool OutputWaits() const override;
  bool IsHeldToRate() const override { return !switched_; }

  // Exchange
  const RequestHead& request() const override { return request_; }
  void SetScheme(std::string_view scheme) override { request_.scheme = scheme; }
  bool has_body() const override { return has_body_; }
  Version version() const override {
    return parser_.framing().http10 ? Version::kHttp10 : Version::kHttp11;
  }
  const net::Stream& stream() const override { return Connection::stream(); }
  uint64_t id() const override { return id_; }
  MonoTime started() const override { return started_; }
  void SetHandler(std::unique_ptr<ExchangeHandler> handler) override;
  void ConsumedBody(size_t n) override;
  void SendInterim(int status, const Fields& fields) override;
  void WantBody() override;
  void Respond(int status, std::span<const FieldLine> prepared, std::span<const FieldLine> extra,
               std::unique_ptr<BodySource> body) override;
  void SwitchProtocol(std::span<const FieldLine> lines, std::unique_ptr<BodySource> body) override;
  void Resume() override;
  void Abort() override;

  // Input (http1_connection.cc).
  void Parse(std::string_view* input);
  void ParsePending();
  void PassOn(std::string_view* input);
  bool MayParse() const;
  void UpdateReading();
  void OnHead();
  bool RefuseEarly();
  void OnBodyPiece();
  void WatchBody();
  void LookAtBody();
  void OnRequestEnd();
  void CheckInputEnd();
  void WatchHalfClosed();
  bool AnswerMoves() const;
  void BeginRequest();
  void Refuse(Refusal refusal);

  // Output (http1_output.cc).
  bool AppendHead(net::Output& output);
  Sent SendBody(net::Output& output);
  Sent SendPiece(std::span<const uint8_t> piece, net::Output& output);
  void ChooseFraming(int status, std::optional<std::string_view> length);
  void Answer(int status, std::string_view reason);
  void AnswerAndClose(int status, std::string_view reason);
  void FinishExchange(const ExchangeOutcome& outcome);
  void AfterResponse();
  void FailExchange(int status, std::string_view reason);
  void Reset(std::string_view reason);
  void Close();
  void DropRest();
  void LookAtUnread();
  void EndOurSide();
  void FinishSwitched();

  /// Work that must not be done inside a call of the application's.
  class Later final : public net::TurnEnd {
   public:
    explicit Later(Http1Connection& connection) : connection_(connection) {}
    void OnTurnEnd() override { connection_.OnLater(); }

   private:
    Http1Connection& connection_;
  };
  void OnLater();

  Http1RequestParser parser_;
  Later later_{*this};
  Phase phase_ = Phase::kOpen;
  std::string pending_;  ///< received and not yet parsed
  bool parsing_ = false;
  bool input_ended_ = false;
  bool paused_ = false;
  bool draining_ = false;
  uint64_t sent_at_end_ = 0;  ///< bytes the socket had taken when the client's end was looked at

  // The request.
  RequestHead request_;
  uint64_t id_ = 0;
  MonoTime started_;
  bool active_ = false;          ///< there is an exchange
  bool receiving_body_ = false;  ///< a head was parsed and its message is not at its end
  bool has_body_ = false;
  bool awaits_continue_ = false;
  bool keep_alive_ = false;
  bool aborted_ = false;
  bool switched_ = false;     ///< to another protocol: no more HTTP comes
  bool half_closed_ = false;  ///< after that: our side has ended, the client's has not
  uint64_t body_received_ = 0;
  uint64_t received_at_watch_ = 0;  ///< of it, when it was last looked at
  MonoTime last_piece_;
  MonoTime answered_;      ///< kUnread: since when
  size_t unconsumed_ = 0;  ///< given to the handler and not yet ConsumedBody
  uint64_t discarded_ = 0;
  std::unique_ptr<ExchangeHandler> handler_;

  // The response.
  bool responded_ = false;
  bool omit_body_ = false;  ///< HEAD, 204, 304
  bool chunked_ = false;
  bool last_chunk_written_ = false;
  bool body_waits_ = false;       ///< the source said kWait
  std::optional<uint64_t> left_;  ///< of Content-Length
  uint64_t body_sent_ = 0;
  std::string head_;  ///< bytes that precede the body: heads, the last chunk
  size_t head_sent_ = 0;
  std::unique_ptr<BodySource> body_;
};

}  // namespace nearside::http
