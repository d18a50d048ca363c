#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "http/session/connection.h"
#include "http/session/http2_abuse.h"
#include "http/session/http2_exchange.h"

namespace nearside::http {

/// HTTP/2 with one client, by nghttp2 (RFC 9113). nghttp2 keeps framing, HPACK, flow control and
/// the order of streams; here are limits, requests, and the way of a body from its source to the
/// output without a copy.
class Http2Connection final : public Connection {
 public:
  Http2Connection(SessionContext& context, std::unique_ptr<net::Stream> stream,
                  const SessionLimits& limits);
  ~Http2Connection() override;

  void Start(std::span<const uint8_t> early) override;
  void Drain() override;
  void Kill(std::string_view reason) override;

  // For Http2Exchange.
  const net::Stream& client() const { return stream(); }
  bool draining() const { return draining_; }
  void ConsumedBody(Http2Exchange* exchange, size_t n);
  void SubmitInterim(Http2Exchange* exchange, int status, std::span<const FieldLine> lines);
  void SubmitResponse(Http2Exchange* exchange, int status, std::span<const FieldLine> prepared,
                      std::span<const FieldLine> extra);
  void ResumeBody(Http2Exchange* exchange);
  /// Ends the exchange with RST_STREAM.
  void Break(Http2Exchange* exchange, std::string_view reason,
             uint32_t error_code = NGHTTP2_INTERNAL_ERROR);

 private:
  friend struct Http2Callbacks;
  struct SessionDeleter {
    void operator()(nghttp2_session* session) const { nghttp2_session_del(session); }
  };

  // net::StreamHandler
  void OnBytes(std::span<const uint8_t> bytes) override;
  void OnEnd() override;
  bool Produce(net::Output& output) override;
  void OnClosed(const Error& why) override;

  // Connection
  void OnTimeout(Wait wait) override;
  Pace LookAtSending() override;
  bool IsHeldToRate() const override;
  void BreakStalled();
  void LookAtBodies();
  bool IsBodyAwaited(const Http2Exchange& exchange) const;
  void LookAtUnread();
  void ConsumeConnection(size_t n);
  bool OutputWaits() const override { return unsent_from_ < unsent_.size() || ready_ > 0; }

  // nghttp2's callbacks of the receiving side (http2_request.cc). What they answer goes to nghttp2.
  int OnBeginFrame(const nghttp2_frame_hd& frame);
  int OnBeginHeaders(const nghttp2_frame& frame);
  int OnHeader(std::string_view name, std::string_view value);
  int OnFrame(const nghttp2_frame& frame);
  int OnInvalidFrame(const nghttp2_frame& frame);
  int OnData(int32_t stream_id, std::span<const uint8_t> bytes);
  int OnStreamClose(int32_t stream_id);
  void AddField(Http2Exchange* exchange, std::string_view name, std::string_view value);
  int AddTrailer(Http2Exchange* exchange, std::string_view name, std::string_view value);
  void Dispatch(Http2Exchange* exchange, bool ended);
  void DispatchRead();
  int RefusalOf(Http2Exchange* exchange, std::string_view* reason);
  bool SettleAuthority(Http2Exchange* exchange);
  void EndRequest(Http2Exchange* exchange);
  void Answer(Http2Exchange* exchange, int status, std::string_view reason);
  void FailBody(Http2Exchange* exchange, int status, std::string_view reason);
  int Spend(uint32_t tenths);

  // ... and of the sending side (http2_output.cc).
  int OnFrameSent(const nghttp2_frame& frame);
  ssize_t ReadBody(int32_t stream_id, size_t most, uint32_t* flags);
  ssize_t OfferPiece(Http2Exchange* exchange, size_t most, uint32_t* flags);
  ssize_t EndBody(Http2Exchange* exchange, uint32_t* flags);
  int SendData(const nghttp2_frame& frame, const uint8_t* frame_header, size_t size);
  void OnResponseSent(Http2Exchange* exchange);
  void EndExchange(Http2Exchange* exchange);
  void StopRequest(Http2Exchange* exchange);
  bool AppendUnsent(net::Output& output);
  void CloseWhenDone();

  // Lives of exchanges.
  Http2Exchange* Find(int32_t stream_id);
  Http2Exchange* Acquire(int32_t stream_id);
  void Release(Http2Exchange* exchange);
  void QueueDone(Http2Exchange* exchange, bool complete, std::string_view reason);
  void ProcessDone();
  void AwaitRequest();
  void Rest();
  void FinishAll(std::string_view reason);

  // The end of the connection.
  void Terminate(uint32_t error_code, std::string_view reason);
  void Fail(uint32_t error_code, std::string_view reason);
  void OnFatal(int nghttp2_error);
  void SendSecondGoaway();

  class Later final : public net::TurnEnd {
   public:
    explicit Later(Http2Connection& connection) : connection_(connection) {}
    void OnTurnEnd() override { connection_.ProcessDone(); }

   private:
    Http2Connection& connection_;
  };

  const std::shared_ptr<SessionMemory> memory_;       ///< goes after the session
  void* frame_ = nullptr;                             ///< the session's frame buffer; may be null
  void* table_ = nullptr;                             ///< its first of streams; may be null
  std::vector<std::unique_ptr<Http2Exchange>> live_;  ///< in no order; each knows its place
  std::vector<Http2Exchange*> read_;                  ///< whole requests, not yet dispatched
  std::vector<Http2Exchange*> done_;                  ///< to be told of their end
  std::unique_ptr<nghttp2_session, SessionDeleter> session_;  ///< goes before the exchanges
  Later later_{*this};
  AbuseBudget budget_;
  WindowUpdateCredit window_updates_;
  std::string good_authority_;  ///< the latest that was well formed
  std::string unsent_;          ///< of a frame that did not fit into the last output
  size_t unsent_from_ = 0;
  Http2Exchange* receiving_head_ = nullptr;  ///< whose HEADERS are being read; may be null
  Http2Exchange* latest_ = nullptr;          ///< the answer of Find that is likeliest; may be null
  net::Output* output_ = nullptr;            ///< inside Produce
  size_t ready_ = 0;        ///< responses that wait for the client, not for their source
  uint64_t data_sent_ = 0;  ///< bytes of bodies
  uint64_t data_at_watch_ = 0;
  size_t own_resets_ = 0;     ///< RST_STREAM submitted by us and not yet sent
  bool output_full_ = false;  ///< a DATA frame did not fit into output_
  bool abuse_ = false;        ///< the budget is spent
  bool settings_received_ = false;
  bool processing_done_ = false;
  bool draining_ = false;
  bool goaway_final_ = false;
  bool silent_ = false;      ///< nghttp2 is not asked any more: unsent_ is the last
  bool terminated_ = false;  ///< the last GOAWAY is with nghttp2
  bool closing_ = false;
};

}  // namespace nearside::http
