// The receiving side of an HTTP/2 connection: frames and fields in, requests out.

#include <algorithm>
#include <charconv>

#include "http/characters.h"
#include "http/field_list.h"
#include "http/session/http2_connection.h"
#include "http/uri.h"
#include "http/websocket.h"

namespace nearside::http {

using std::string_view_literals::operator""sv;  // compares lengths first

namespace {

/// A head this many times over the limit is not even decoded to its end.
constexpr size_t kHopelessFactor = 4;
/// Whole requests of one read are dispatched together: nghttp2's code and the application's take
/// turns in the processor's instruction cache once for that many, and not once for each
/// (docs/performance.md, where it was measured with clients of 32 streams; fewer gained no more).
constexpr size_t kDispatchedTogether = 32;

/// Content-Length, whose syntax nghttp2 has checked; 0 without one.
uint64_t AnnouncedLength(const Fields& fields) {
  const std::string_view digits = fields.Get("content-length").value_or("");
  uint64_t length = 0;
  std::from_chars(digits.data(), digits.data() + digits.size(), length);
  return length;
}

bool Has(const nghttp2_frame_hd& frame, uint8_t flag) { return (frame.flags & flag) != 0; }

}  // namespace

int Http2Connection::Spend(uint32_t tenths) {
  if (budget_.Spend(tenths, loop().now())) return 0;
  abuse_ = true;
  return NGHTTP2_ERR_CALLBACK_FAILURE;  // fatal: what is left of the input is not looked at
}

int Http2Connection::OnBeginFrame(const nghttp2_frame_hd& frame) {
  const bool is_head = frame.type == NGHTTP2_HEADERS || frame.type == NGHTTP2_CONTINUATION;
  if (is_head) {
    if (!Expects(Wait::kHead)) Expect(Wait::kHead, limits().head_timeout);
  } else if (settings_received_) {
    Forget(Wait::kHead);
  }
  switch (frame.type) {
    case NGHTTP2_DATA:
      return frame.length == 0 && !Has(frame, NGHTTP2_FLAG_END_STREAM)
                 ? Spend(AbuseCost::kEmptyFrame)
                 : 0;
    case NGHTTP2_CONTINUATION:
      return frame.length == 0 && !Has(frame, NGHTTP2_FLAG_END_HEADERS)
                 ? Spend(AbuseCost::kEmptyFrame)
                 : 0;
    case NGHTTP2_RST_STREAM: {
      // Who has a whole answer and stops its request costs us nothing.
      const Http2Exchange* exchange = Find(frame.stream_id);
      return exchange != nullptr && exchange->unread ? 0 : Spend(AbuseCost::kReset);
    }
    case NGHTTP2_PING:
      return Has(frame, NGHTTP2_FLAG_ACK) ? 0 : Spend(AbuseCost::kPing);
    case NGHTTP2_SETTINGS:
      if (Has(frame, NGHTTP2_FLAG_ACK)) return 0;
      return settings_received_ ? Spend(AbuseCost::kSettings) : 0;
    case NGHTTP2_PRIORITY:
    case NGHTTP2_PRIORITY_UPDATE:
      return Spend(AbuseCost::kPriority);
    case NGHTTP2_WINDOW_UPDATE:
      return window_updates_.OnWindowUpdate() ? 0 : Spend(AbuseCost::kWindowUpdate);
    default:
      return 0;
  }
}

int Http2Connection::OnBeginHeaders(const nghttp2_frame& frame) {
  if (frame.hd.type != NGHTTP2_HEADERS || frame.headers.cat != NGHTTP2_HCAT_REQUEST) {
    receiving_head_ = Find(frame.hd.stream_id);
    return 0;
  }
  receiving_head_ = Acquire(frame.hd.stream_id);
  nghttp2_session_set_stream_user_data(session_.get(), frame.hd.stream_id, receiving_head_);
  return 0;
}

int Http2Connection::OnHeader(std::string_view name, std::string_view value) {
  Http2Exchange* exchange = receiving_head_;
  if (exchange == nullptr) return 0;
  exchange->field_bytes += WireSize({name, value});
  ++exchange->field_lines;
  if (exchange->field_bytes > limits().fields.bytes ||
      exchange->field_lines > limits().field_lines) {
    exchange->fields_too_large = true;
    if (exchange->field_bytes <= kHopelessFactor * limits().fields.bytes) return 0;
    const int spent = Spend(AbuseCost::kHeadTooLarge);
    return spent != 0 ? spent : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  }
  if (exchange->dispatched) return AddTrailer(exchange, name, value);
  if (!name.starts_with(':')) {
    AddField(exchange, name, value);
  } else if (name == ":method") {
    exchange->head.method = value;
  } else if (name == ":scheme") {
    exchange->has_good_scheme = value == "http" || value == "https";
  } else if (name == ":authority") {
    exchange->has_authority = true;
    AssignLowered(value, &exchange->head.authority);
  } else if (name == ":path") {
    exchange->target_too_long = value.size() > limits().request_line.bytes;
    if (!exchange->target_too_long) exchange->head.target = value;
  } else if (name == ":protocol") {
    exchange->head.protocol = value;
  }
  return 0;
}

/// nghttp2 has checked name and value, and refused the connection-specific ones.
void Http2Connection::AddField(Http2Exchange* exchange, std::string_view name,
                               std::string_view value) {
  if (name == "cookie") {
    if (exchange->has_cookie) exchange->cookie += "; ";
    exchange->has_cookie = true;
    exchange->cookie += value;
  } else if (name == "host") {
    exchange->has_host = true;
    AssignLowered(value, &exchange->host);
  } else if (name == "expect") {
    exchange->awaits_continue = EqualsIgnoringCase(value, "100-continue");
    exchange->bad_expectation = exchange->bad_expectation || !exchange->awaits_continue;
  } else if (name != "te") {
    exchange->head.fields.Add(name, value);
  }
}

int Http2Connection::AddTrailer(Http2Exchange* exchange, std::string_view name,
                                std::string_view value) {
  if (MayBeTrailer(name)) exchange->trailers.Add(name, value);
  return 0;
}

int Http2Connection::OnFrame(const nghttp2_frame& frame) {
  switch (frame.hd.type) {
    case NGHTTP2_SETTINGS:
      if (Has(frame.hd, NGHTTP2_FLAG_ACK) || settings_received_) break;
      settings_received_ = true;
      Forget(Wait::kHead);
      break;
    case NGHTTP2_PING:
      if (Has(frame.hd, NGHTTP2_FLAG_ACK)) SendSecondGoaway();
      break;
    case NGHTTP2_RST_STREAM:
      ++counters().resets_by_client;
      DispatchRead();  // nghttp2 closes the stream next
      if (Http2Exchange* exchange = Find(frame.hd.stream_id)) exchange->reset_by_client = true;
      break;
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA: {
      Http2Exchange* exchange = Find(frame.hd.stream_id);
      if (exchange == nullptr) break;
      const bool ended = Has(frame.hd, NGHTTP2_FLAG_END_STREAM);
      if (frame.hd.type == NGHTTP2_HEADERS) Forget(Wait::kHead);
      if (!exchange->dispatched && ended) {
        read_.push_back(exchange);
        if (read_.size() == kDispatchedTogether) DispatchRead();
      } else if (!exchange->dispatched) {
        DispatchRead();  // in the order in which they came
        Dispatch(exchange, false);
      } else if (ended) {
        EndRequest(exchange);
      }
      break;
    }
    default:
      break;
  }
  return 0;
}

int Http2Connection::OnInvalidFrame(const nghttp2_frame& frame) {
  if (frame.hd.type == NGHTTP2_HEADERS) Forget(Wait::kHead);
  if (frame.hd.type == NGHTTP2_HEADERS || frame.hd.type == NGHTTP2_DATA) ++counters().bad_requests;
  return 0;  // the reset that nghttp2 sends for it is counted when it is sent
}

/// To be called before nghttp2 can close any of these streams: at RST_STREAM and after each read.
void Http2Connection::DispatchRead() {
  for (size_t i = 0; i < read_.size(); ++i) {
    // The end of the connection, by one before it, has ended it as well.
    if (!read_[i]->done_queued) Dispatch(read_[i], true);
  }
  read_.clear();
}

void Http2Connection::Dispatch(Http2Exchange* exchange, bool ended) {
  ++counters().requests_http2;
  ++context().open_exchanges;
  exchange->dispatched = true;
  exchange->has_request_body = !ended;
  exchange->request_ended = ended;
  exchange->number = context().next_exchange_id++;
  exchange->begun = exchange->last_input = loop().now();
  exchange->field_bytes = exchange->field_lines = 0;  // trailers count for themselves
  std::string_view reason;
  const int status = RefusalOf(exchange, &reason);
  if (status != 0) {
    Answer(exchange, status, reason);
    return;
  }
  exchange->awaits_continue = exchange->awaits_continue && !ended;
  if (exchange->has_cookie) exchange->head.fields.Add("cookie", exchange->cookie);
  // The scheme is what the connection is: a client's claim would let it choose another site.
  exchange->head.scheme = stream().is_https() ? "https" : "http";
  if (!ended && !Expects(Wait::kBody)) Expect(Wait::kBody, limits().body_timeout);
  context().application.OnRequest(*exchange);
  if (exchange->handler == nullptr && !exchange->responded && !exchange->done_queued) {
    Answer(exchange, 500, "no_answer");
  }
}

/// The status that answers a request no application is asked about; 0 when it is to be asked.
int Http2Connection::RefusalOf(Http2Exchange* exchange, std::string_view* reason) {
  const RequestHead& head = exchange->head;
  const auto refuse = [&](int status, std::string_view why, uint64_t* counter) {
    *reason = why;
    if (counter != nullptr) ++*counter;
    return status;
  };
  if (exchange->fields_too_large) return refuse(431, "fields_too_large", &counters().too_large);
  if (exchange->target_too_long) return refuse(414, "target_too_long", &counters().too_large);
  if (head.method == "CONNECT"sv) {
    // RFC 8441; and no tunnels to anywhere.
    if (head.protocol.empty()) return refuse(405, "no_tunnels", nullptr);
    if (head.protocol != kWebSocket) return refuse(501, "unknown_protocol", nullptr);
  }
  if (!exchange->has_good_scheme) return refuse(400, "bad_scheme", &counters().bad_requests);
  const bool asterisk = head.target == "*"sv && head.method == "OPTIONS"sv;
  if (!IsToken(head.method) || !AllIn(kTargetCharacters, head.target) ||
      !(head.target.starts_with('/') || asterisk)) {
    return refuse(400, "bad_target", &counters().bad_requests);
  }
  if (!SettleAuthority(exchange)) return refuse(400, "bad_authority", &counters().bad_requests);
  if (exchange->bad_expectation) return refuse(417, "bad_expectation", nullptr);
  if (limits().body.bytes != 0 && AnnouncedLength(head.fields) > limits().body.bytes) {
    return refuse(kBodyTooLarge, "body_too_large", &counters().too_large);
  }
  return 0;
}

/// RFC 9113 §8.3.1: one authority; a Host beside it must be the same.
bool Http2Connection::SettleAuthority(Http2Exchange* exchange) {
  std::string& authority = exchange->head.authority;
  if (exchange->has_authority && exchange->has_host && exchange->host != authority) return false;
  if (!exchange->has_authority) authority = exchange->host;
  // Nearly all requests of a connection have the same.
  if (authority == good_authority_ && !authority.empty()) return true;
  if (!SplitAuthority(authority)) return false;
  DropRootDot(&authority);
  good_authority_ = authority;
  return true;
}

void Http2Connection::EndRequest(Http2Exchange* exchange) {
  exchange->request_ended = true;
  if (exchange->handler != nullptr && !exchange->done_queued) {
    exchange->handler->OnBodyEnd(exchange->trailers);
  }
  if (exchange->half_closed) QueueDone(exchange, true, "");
}

int Http2Connection::OnData(int32_t stream_id, std::span<const uint8_t> bytes) {
  Http2Exchange* exchange = Find(stream_id);
  const bool wanted = exchange != nullptr && exchange->handler != nullptr && !exchange->done_queued;
  if (exchange != nullptr) {
    exchange->last_input = loop().now();
    exchange->awaits_continue = false;
    exchange->received += bytes.size();
  }
  if (!wanted) {
    const bool enough =
        exchange != nullptr && exchange->unread &&
        exchange->received - exchange->received_at_answer > limits().unread_bytes.bytes;
    ConsumeConnection(bytes.size());
    if (!enough) nghttp2_session_consume_stream(session_.get(), stream_id, bytes.size());
    return 0;
  }
  if (limits().body.bytes != 0 && exchange->received > limits().body.bytes &&
      !exchange->responded) {
    ++counters().too_large;
    ConsumeConnection(bytes.size());
    nghttp2_session_consume_stream(session_.get(), stream_id, bytes.size());
    FailBody(exchange, kBodyTooLarge, "body_too_large");
    return 0;
  }
  exchange->unconsumed += bytes.size();
  exchange->handler->OnBody(bytes);
  // Now it is us who are slow.
  if (exchange->unconsumed >= limits().stream_window) exchange->received_at_watch = UINT64_MAX;
  return 0;
}

/// The request's body will not be whole: the handler is let go, the client told if nothing was said
/// yet.
void Http2Connection::FailBody(Http2Exchange* exchange, int status, std::string_view reason) {
  if (exchange->responded || exchange->handler == nullptr) {
    Break(exchange, reason);
    return;
  }
  const std::unique_ptr<ExchangeHandler> handler = std::move(exchange->handler);
  handler->OnFinished({false, exchange->sent, reason});
  Answer(exchange, status, reason);
}

int Http2Connection::OnStreamClose(int32_t stream_id) {
  Http2Exchange* exchange = Find(stream_id);
  if (exchange == nullptr) return 0;
  nghttp2_session_set_stream_user_data(session_.get(), stream_id, nullptr);
  latest_ = nullptr;
  exchange->closed = true;
  if (!exchange->dispatched || exchange->finished) {
    Release(exchange);  // no handler was ever told of it, or all have been
  } else {
    const std::string_view reason = exchange->reset_by_client ? "client_reset" : "bad_request";
    QueueDone(exchange, exchange->half_closed, exchange->half_closed ? "" : reason);
  }
  return 0;
}

void Http2Connection::ConsumedBody(Http2Exchange* exchange, size_t n) {
  n = std::min(n, exchange->unconsumed);
  if (n == 0 || silent_ || exchange->closed) return;
  exchange->unconsumed -= n;
  exchange->last_input = loop().now();
  ConsumeConnection(n);
  nghttp2_session_consume_stream(session_.get(), exchange->stream_id, n);
  stream().WantWrite();
}

/// Gives back window of the connection. While there was none no client could go on with any body:
/// its time begins when it can again.
void Http2Connection::ConsumeConnection(size_t n) {
  const bool had_window = nghttp2_session_get_local_window_size(session_.get()) > 0;
  nghttp2_session_consume_connection(session_.get(), n);
  if (had_window || nghttp2_session_get_local_window_size(session_.get()) <= 0) return;
  for (const auto& exchange : live_) {
    if (exchange->unread || exchange->half_closed) continue;
    exchange->last_input = loop().now();
    exchange->received_at_watch = UINT64_MAX;
  }
}

}  // namespace nearside::http
