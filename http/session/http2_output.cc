// The sending side of an HTTP/2 connection: responses in, frames out.

#include <algorithm>
#include <array>
#include <charconv>

#include "http/session/http2_callbacks.h"
#include "http/session/http2_connection.h"

namespace nearside::http {

using std::string_view_literals::operator""sv;  // compares lengths first

namespace {

constexpr size_t kFrameHeaderBytes = 9;
/// With its header one DATA frame fills one TLS record, and the output's stage.
constexpr size_t kMostFrameBytes = 16'384 - kFrameHeaderBytes;
/// With less room than this a turn's output is full: smaller DATA frames are not worth their
/// headers.
constexpr size_t kLeastDataRoom = 1024;

}  // namespace

bool Http2Connection::Produce(net::Output& output) {
  output_ = &output;
  output_full_ = false;
  bool more = false;
  while (true) {
    more = !AppendUnsent(output);
    if (more || silent_ || closing_) break;
    if (output.room() < kLeastDataRoom) {
      more = nghttp2_session_want_write(session_.get()) != 0;
      break;
    }
    const uint8_t* bytes = nullptr;
    const ssize_t size = nghttp2_session_mem_send(session_.get(), &bytes);
    if (size < 0) {
      OnFatal(static_cast<int>(size));
      continue;
    }
    if (size == 0) {
      more = output_full_;
      break;
    }
    const std::span<const uint8_t> frame(bytes, static_cast<size_t>(size));
    if (frame.size() <= output.room()) {
      output.Append(frame);
    } else {
      unsent_.assign(AsText(frame));
    }
  }
  output_ = nullptr;
  ProcessDone();
  if (!more) CloseWhenDone();
  if (!ended() && !closing_) WatchSending();
  return more && !closing_ && !ended();
}

bool Http2Connection::AppendUnsent(net::Output& output) {
  const size_t size = std::min(unsent_.size() - unsent_from_, output.room());
  output.Append(AsBytes(std::string_view(unsent_).substr(unsent_from_, size)));
  unsent_from_ += size;
  if (unsent_from_ < unsent_.size()) return false;
  unsent_.clear();
  unsent_from_ = 0;
  return true;
}

/// nghttp2 wants neither to read nor to write any more once a GOAWAY and the last stream are
/// through.
void Http2Connection::CloseWhenDone() {
  if (closing_ || ended()) return;
  nghttp2_session* session = session_.get();
  const bool done = silent_ || (nghttp2_session_want_read(session) == 0 &&
                                nghttp2_session_want_write(session) == 0);
  if (!done) return;
  closing_ = true;
  FinishAll("protocol_error");
  for (const Wait wait : {Wait::kIdle, Wait::kHead, Wait::kBody, Wait::kSend, Wait::kDrain,
                          Wait::kRest, Wait::kUnread})
    Forget(wait);
  stream().Close();
}

int Http2Connection::OnFrameSent(const nghttp2_frame& frame) {
  switch (frame.hd.type) {
    case NGHTTP2_RST_STREAM:
      if (own_resets_ > 0) {
        --own_resets_;
      } else if (frame.rst_stream.error_code != NGHTTP2_NO_ERROR) {
        return Spend(AbuseCost::kProvokedReset);
      }
      return 0;
    case NGHTTP2_GOAWAY:
      if (frame.goaway.error_code == NGHTTP2_ENHANCE_YOUR_CALM) {
        ++counters().abuse_closed;
      } else if (frame.goaway.error_code != NGHTTP2_NO_ERROR) {
        ++counters().protocol_errors;
      }
      return 0;
    case NGHTTP2_DATA:
      window_updates_.OnDataSent();
      break;
    case NGHTTP2_HEADERS:
      break;
    default:
      return 0;
  }
  Http2Exchange* exchange = Find(frame.hd.stream_id);
  if (exchange == nullptr || !exchange->responded) return 0;
  exchange->headers_sent = true;
  if ((frame.hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) OnResponseSent(exchange);
  return 0;
}

void Http2Connection::OnResponseSent(Http2Exchange* exchange) {
  if (exchange->switched && !exchange->request_ended && !exchange->done_queued) {
    // The client may have more to say: it is heard until it ends as well.
    exchange->half_closed = exchange->deferred = true;
    exchange->last_input = loop().now();
    --ready_;
    if (!Expects(Wait::kBody)) Expect(Wait::kBody, limits().body_timeout);
    return;
  }
  EndExchange(exchange);
}

/// Its response has been sent. RFC 9113 §8.1: the rest of the request is not needed, and may be
/// stopped by a reset. Not at once: curl (7.88) forgets an answer whose reset it reads with it.
void Http2Connection::EndExchange(Http2Exchange* exchange) {
  QueueDone(exchange, true, "");
  if (exchange->request_ended) return;
  // What comes of a tunnel is no request's body, and a refused one is no reason to wait.
  if (exchange->head.method == "CONNECT"sv) return StopRequest(exchange);
  exchange->unread = true;
  exchange->answered = exchange->last_input = loop().now();
  exchange->received_at_answer = exchange->received;
  if (Expects(Wait::kUnread)) return;
  ExpectAt(Wait::kUnread, UnreadUntil(exchange->answered, exchange->last_input, draining_));
}

void Http2Connection::StopRequest(Http2Exchange* exchange) {
  exchange->unread = false;
  ++own_resets_;
  nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, exchange->stream_id,
                            NGHTTP2_NO_ERROR);
}

ssize_t Http2Connection::ReadBody(int32_t stream_id, size_t most, uint32_t* flags) {
  Http2Exchange* exchange = Find(stream_id);
  if (exchange == nullptr || exchange->done_queued || exchange->body == nullptr) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  switch (exchange->body->Peek(&exchange->piece)) {
    case BodySource::State::kReady:
      return OfferPiece(exchange, most, flags);
    case BodySource::State::kEnd:
      return EndBody(exchange, flags);
    case BodySource::State::kWait:
      exchange->deferred = true;
      --ready_;
      return NGHTTP2_ERR_DEFERRED;
    case BodySource::State::kFailed:
      break;
  }
  QueueDone(exchange, false, "body_failed");
  ++own_resets_;
  return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;  // RST_STREAM INTERNAL_ERROR
}

ssize_t Http2Connection::OfferPiece(Http2Exchange* exchange, size_t most, uint32_t* flags) {
  size_t size = std::min({most, exchange->piece.size(), kMostFrameBytes});
  if (exchange->left) size = static_cast<size_t>(std::min<uint64_t>(size, *exchange->left));
  // A frame cut to what is left of the turn; unless that is next to nothing, when it waits for the
  // next.
  const size_t room = output_->room();
  if (room >= kLeastDataRoom + kFrameHeaderBytes) size = std::min(size, room - kFrameHeaderBytes);
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (exchange->left == size) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(size);
}

ssize_t Http2Connection::EndBody(Http2Exchange* exchange, uint32_t* flags) {
  if (exchange->left.value_or(0) > 0) {  // shorter than announced
    QueueDone(exchange, false, "body_failed");
    ++own_resets_;
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  exchange->piece = {};
  *flags |= NGHTTP2_DATA_FLAG_EOF;
  const Fields* trailers = exchange->body->Trailers();
  if (trailers == nullptr || trailers->empty()) return 0;
  Http2HeadLines& head = context().head_lines;
  head.Begin(trailers->size());
  Http2HeadLines::Framing none;
  head.Add(trailers->lines(), NGHTTP2_NV_FLAG_NONE, &none);
  if (nghttp2_submit_trailer(session_.get(), exchange->stream_id, head.data(), head.size()) == 0) {
    *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
  }
  return 0;
}

int Http2Connection::SendData(const nghttp2_frame& frame, const uint8_t* frame_header,
                              size_t size) {
  Http2Exchange* exchange = Find(frame.hd.stream_id);
  if (exchange == nullptr || exchange->done_queued || exchange->body == nullptr) {
    return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  if (output_->room() < size + kFrameHeaderBytes) {
    output_full_ = true;
    return NGHTTP2_ERR_WOULDBLOCK;  // asked again in the next turn; the frame stays as it is
  }
  output_->Append({frame_header, kFrameHeaderBytes});
  output_->Append(exchange->piece.first(size));
  exchange->sent += size;
  data_sent_ += size;
  if (exchange->left) *exchange->left -= size;
  if (size > 0) exchange->body->Consume(size);
  return 0;
}

void Http2Connection::SubmitInterim(Http2Exchange* exchange, int status,
                                    std::span<const FieldLine> lines) {
  if (exchange->done_queued || silent_) return;
  const std::string text = std::to_string(status);
  Http2HeadLines& head = context().head_lines;
  head.Begin(lines.size() + 1);
  head.Add(":status", text, NGHTTP2_NV_FLAG_NO_COPY_NAME);
  Http2HeadLines::Framing none;
  head.Add(lines, NGHTTP2_NV_FLAG_NONE, &none);
  nghttp2_submit_headers(session_.get(), NGHTTP2_FLAG_NONE, exchange->stream_id, nullptr,
                         head.data(), head.size(), nullptr);
  stream().WantWrite();
}

void Http2Connection::SubmitResponse(Http2Exchange* exchange, int status,
                                     std::span<const FieldLine> prepared,
                                     std::span<const FieldLine> extra) {
  exchange->responded = true;
  if (exchange->done_queued || silent_) return;
  ++ready_;
  const bool omit_body = exchange->head.method == "HEAD"sv || StatusHasNoContent(status);
  const std::array<char, 3> digits = {static_cast<char>('0' + status / 100),
                                      static_cast<char>('0' + status / 10 % 10),
                                      static_cast<char>('0' + status % 10)};
  Http2HeadLines& head = context().head_lines;
  head.Begin(prepared.size() + extra.size() + 2);
  head.Add(":status", {digits.data(), digits.size()}, NGHTTP2_NV_FLAG_NO_COPY_NAME);
  // The body keeps prepared lines alive, and outlives the head in nghttp2's queue.
  constexpr uint8_t kNoCopy = NGHTTP2_NV_FLAG_NO_COPY_NAME | NGHTTP2_NV_FLAG_NO_COPY_VALUE;
  Http2HeadLines::Framing framing;
  head.Add(prepared, exchange->body != nullptr ? kNoCopy : uint8_t{NGHTTP2_NV_FLAG_NONE}, &framing);
  head.Add(extra, NGHTTP2_NV_FLAG_NONE, &framing);
  if (!framing.dated) {
    head.Add("date", context().dates.At(context().loop.wall_now()), NGHTTP2_NV_FLAG_NO_COPY_NAME);
  }
  const std::string_view length = framing.length;
  uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), bytes);
  if (!length.empty() && error == std::errc() && end == length.data() + length.size())
    exchange->left = bytes;
  const bool has_body = exchange->body != nullptr && !omit_body && exchange->left != 0u;
  const int submitted =
      nghttp2_submit_response(session_.get(), exchange->stream_id, head.data(), head.size(),
                              has_body ? Http2Callbacks::BodyProvider() : nullptr);
  if (submitted != 0) Break(exchange, "not_sent");
  stream().WantWrite();
}

void Http2Connection::ResumeBody(Http2Exchange* exchange) {
  if (!exchange->deferred || exchange->half_closed || exchange->done_queued || silent_) return;
  exchange->deferred = false;
  ++ready_;
  nghttp2_session_resume_data(session_.get(), exchange->stream_id);
  stream().WantWrite();
}

void Http2Connection::Break(Http2Exchange* exchange, std::string_view reason, uint32_t error_code) {
  if (exchange->done_queued || silent_) return;
  QueueDone(exchange, false, reason);
  ++own_resets_;
  nghttp2_submit_rst_stream(session_.get(), NGHTTP2_FLAG_NONE, exchange->stream_id, error_code);
  loop().AtTurnEnd(&later_);
  stream().WantWrite();
}

/// An answer of the session's own. Its lines are copied: they go before the head does.
void Http2Connection::Answer(Http2Exchange* exchange, int status, std::string_view reason) {
  const std::string text = OwnAnswerText(status, reason);
  const std::string length = std::to_string(text.size());
  std::vector<FieldLine> lines = OwnAnswerLines(status);
  lines.push_back({"content-length", length});
  exchange->Respond(status, {}, lines, TextBody(text));
}

}  // namespace nearside::http
