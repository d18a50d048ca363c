#include "http/session/http2_exchange.h"

#include "http/session/http2_connection.h"
#include "runtime/fatal.h"

namespace nearside::http {

void Http2Exchange::Reset(Http2Connection* connection, int32_t stream) {
  connection_ = connection;
  stream_id = stream;
  head.method.clear();
  head.scheme.clear();
  head.authority.clear();
  head.target.clear();
  head.protocol.clear();
  head.fields.Clear();
  trailers.Clear();
  host.clear();
  cookie.clear();
  has_host = has_cookie = has_authority = has_good_scheme = false;
  bad_expectation = awaits_continue = target_too_long = fields_too_large = false;
  field_bytes = field_lines = 0;
  dispatched = has_request_body = request_ended = false;
  received = 0;
  received_at_watch = UINT64_MAX;
  unconsumed = 0;
  handler.reset();
  responded = switched = half_closed = headers_sent = deferred = false;
  left.reset();
  body.reset();
  piece = {};
  sent = 0;
  sent_at_watch = UINT64_MAX;
  unread = reset_by_client = done_queued = finished = closed = false;
  outcome = {};
}

const net::Stream& Http2Exchange::stream() const { return connection_->client(); }

void Http2Exchange::ConsumedBody(size_t n) { connection_->ConsumedBody(this, n); }

void Http2Exchange::SendInterim(int status, const Fields& fields) {
  if (!responded) connection_->SubmitInterim(this, status, fields.lines());
}

void Http2Exchange::WantBody() {
  if (!awaits_continue || responded) return;
  awaits_continue = false;
  connection_->SubmitInterim(this, 100, {});
}

void Http2Exchange::Respond(int status, std::span<const FieldLine> prepared,
                            std::span<const FieldLine> extra, std::unique_ptr<BodySource> source) {
  if (responded) Fatal("Respond was called twice");
  body = std::move(source);
  connection_->SubmitResponse(this, status, prepared, extra);
}

/// RFC 8441 §5.
void Http2Exchange::SwitchProtocol(std::span<const FieldLine> lines,
                                   std::unique_ptr<BodySource> source) {
  if (head.protocol.empty()) Fatal("SwitchProtocol without a request for it");
  if (connection_->draining()) return Abort();  // it would have no end to wait for
  switched = true;
  Respond(200, {}, lines, std::move(source));
}

void Http2Exchange::Resume() { connection_->ResumeBody(this); }

void Http2Exchange::Abort() { connection_->Break(this, "aborted"); }

}  // namespace nearside::http
