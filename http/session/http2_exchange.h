#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "http/session/exchange.h"

namespace nearside::http {

class Http2Connection;

/// One stream of an HTTP/2 connection as an Exchange. Used again for later streams of the worker's
/// connections (SpareExchanges); the plain members are the connection's to keep.
class Http2Exchange final : public Exchange {
 public:
  /// As new, for a stream of `connection`; the memory of strings and fields stays.
  void Reset(Http2Connection* connection, int32_t stream);

  const RequestHead& request() const override { return head; }
  void SetScheme(std::string_view scheme) override { head.scheme = scheme; }
  bool has_body() const override { return has_request_body; }
  Version version() const override { return Version::kHttp2; }
  const net::Stream& stream() const override;
  uint64_t id() const override { return number; }
  MonoTime started() const override { return begun; }
  void SetHandler(std::unique_ptr<ExchangeHandler> h) override { handler = std::move(h); }
  void ConsumedBody(size_t n) override;
  void SendInterim(int status, const Fields& fields) override;
  void WantBody() override;
  void Respond(int status, std::span<const FieldLine> prepared, std::span<const FieldLine> extra,
               std::unique_ptr<BodySource> source) override;
  void SwitchProtocol(std::span<const FieldLine> lines,
                      std::unique_ptr<BodySource> source) override;
  void Resume() override;
  void Abort() override;

  int32_t stream_id = 0;
  size_t place = 0;  ///< among the connection's live ones

  // The request.
  RequestHead head;
  Fields trailers;
  std::string host;    ///< the Host field, which HTTP/2 may have as well
  std::string cookie;  ///< crumbs joined (RFC 9113 §8.2.3)
  bool has_host = false;
  bool has_cookie = false;
  bool has_authority = false;
  bool has_good_scheme = false;  ///< http or https
  bool bad_expectation = false;
  bool awaits_continue = false;
  bool target_too_long = false;
  bool fields_too_large = false;
  size_t field_bytes = 0;
  size_t field_lines = 0;
  uint64_t number = 0;
  MonoTime begun;
  MonoTime last_input;
  bool dispatched = false;  ///< the application has been told of it, or we answered
  bool has_request_body = false;
  bool request_ended = false;
  uint64_t received = 0;                    ///< of the body
  uint64_t received_at_watch = UINT64_MAX;  ///< when it was last looked at, if it was awaited
  size_t unconsumed = 0;
  std::unique_ptr<ExchangeHandler> handler;

  // The response.
  bool responded = false;
  bool switched = false;     ///< to another protocol: DATA is not HTTP's
  bool half_closed = false;  ///< after that: our side has ended, the client's has not
  bool headers_sent = false;
  bool deferred = false;         ///< the source said kWait, and nghttp2 was told
  std::optional<uint64_t> left;  ///< of Content-Length
  std::unique_ptr<BodySource> body;
  std::span<const uint8_t> piece;  ///< peeked for the DATA frame under way
  uint64_t sent = 0;
  uint64_t sent_at_watch = UINT64_MAX;  ///< when its window was last looked at

  // The end.
  bool unread = false;  ///< answered, and what still comes of the request's body is dropped
  MonoTime answered;    ///< since when
  uint64_t received_at_answer = 0;
  bool reset_by_client = false;
  bool done_queued = false;
  bool finished = false;  ///< the handler has been told
  bool closed = false;    ///< nghttp2 has forgotten the stream
  ExchangeOutcome outcome;

 private:
  Http2Connection* connection_ = nullptr;
};

}  // namespace nearside::http
