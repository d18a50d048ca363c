#include "http/session/http1_connection.h"

#include <algorithm>
#include <utility>

namespace nearside::http {

namespace {

constexpr int kRequestTimeout = 408;

Http1Limits ParserLimits(const SessionLimits& limits) {
  return {.first_line_bytes = static_cast<size_t>(limits.request_line.bytes),
          .field_bytes = static_cast<size_t>(limits.fields.bytes),
          .field_lines = limits.field_lines};
}

}  // namespace

std::unique_ptr<Connection> MakeHttp1Connection(SessionContext& context,
                                                std::unique_ptr<net::Stream> stream,
                                                const SessionLimits& limits) {
  return std::make_unique<Http1Connection>(context, std::move(stream), limits);
}

Http1Connection::Http1Connection(SessionContext& context, std::unique_ptr<net::Stream> stream,
                                 const SessionLimits& limits)
    : Connection(context, std::move(stream), limits), parser_(ParserLimits(limits)) {}

Http1Connection::~Http1Connection() {
  FinishExchange({false, body_sent_, "shutdown"});
  loop().CancelTurnEnd(&later_);
}

void Http1Connection::Start(std::span<const uint8_t> early) {
  BeginRequest();
  Connection::stream().SetHandler(this);
  if (!early.empty()) OnBytes(early);
}

void Http1Connection::BeginRequest() {
  parser_.Start(&request_);
  receiving_body_ = false;
  Forget(Wait::kBody);
  Expect(Wait::kIdle, limits().idle_timeout);
}

void Http1Connection::Drain() {
  draining_ = true;
  keep_alive_ = false;
  if (switched_) {  // it has no end to wait for
    FinishExchange({false, body_sent_, "shutdown"});
    return Close();
  }
  if (phase_ == Phase::kUnread) return LookAtUnread();
  if (phase_ == Phase::kOpen && !active_ && !receiving_body_ && parser_.idle()) Close();
  CheckInputEnd();
}

void Http1Connection::Kill(std::string_view reason) {
  if (!ended()) Reset(reason);
}

void Http1Connection::OnBytes(std::span<const uint8_t> bytes) {
  CountBytes();
  if (phase_ == Phase::kUnread) {
    last_piece_ = loop().now();
    discarded_ += bytes.size();
    if (discarded_ > limits().unread_bytes.bytes) Close();
  }
  if (phase_ != Phase::kOpen) return;
  std::string_view input = AsText(bytes);
  if (pending_.empty()) {
    Parse(&input);
    if (phase_ == Phase::kOpen) pending_.assign(input);
    UpdateReading();
    CheckInputEnd();
  } else {
    pending_.append(input);
    ParsePending();
  }
}

void Http1Connection::ParsePending() {
  if (parsing_ || phase_ != Phase::kOpen) return;
  std::string_view input = pending_;
  Parse(&input);
  if (phase_ == Phase::kOpen) pending_.erase(0, pending_.size() - input.size());
  if (pending_.empty()) pending_ = {};  // rare, and up to a receive's size: not to be kept for ever
  UpdateReading();
  CheckInputEnd();
}

bool Http1Connection::MayParse() const {
  if (phase_ != Phase::kOpen || aborted_) return false;
  if (receiving_body_) return unconsumed_ < limits().stream_window;
  return !active_;
}

/// After SwitchProtocol: the client's bytes as they come, a receive more than the window at most.
void Http1Connection::PassOn(std::string_view* input) {
  if (input->empty() || !MayParse() || handler_ == nullptr) return;
  parsing_ = true;
  if (half_closed_) WatchBody();
  unconsumed_ += input->size();
  handler_->OnBody(AsBytes(std::exchange(*input, {})));
  if (unconsumed_ >= limits().stream_window) Forget(Wait::kBody);  // now it is us who are slow
  parsing_ = false;
}

void Http1Connection::Parse(std::string_view* input) {
  if (switched_) return PassOn(input);
  parsing_ = true;
  bool more = true;
  while (more && !switched_ && MayParse()) {
    if (!receiving_body_ && !input->empty() && !Expects(Wait::kHead)) {
      Forget(Wait::kIdle);
      Expect(Wait::kHead, limits().head_timeout);
    }
    switch (parser_.Next(input)) {
      case ParseEvent::kHead:
        OnHead();
        break;
      case ParseEvent::kBody:
        OnBodyPiece();
        break;
      case ParseEvent::kEnd:
        OnRequestEnd();
        break;
      case ParseEvent::kRefused:
        Refuse(parser_.refusal());
        break;
      case ParseEvent::kMore:
      case ParseEvent::kInterim:
        more = false;
        break;
    }
  }
  // Empty lines before a request are not its beginning.
  if (!receiving_body_ && parser_.idle() && Expects(Wait::kHead)) {
    Forget(Wait::kHead);
    Expect(Wait::kIdle, limits().idle_timeout);
  }
  parsing_ = false;
}

/// Reads no further than one receive ahead of what can be used; and watches for the end otherwise.
void Http1Connection::UpdateReading() {
  if (phase_ != Phase::kOpen || ended()) return;
  const bool pause =
      !pending_.empty() || (receiving_body_ && unconsumed_ >= limits().stream_window);
  if (pause == paused_) return;
  paused_ = pause;
  if (pause) {
    Connection::stream().PauseReading();
  } else {
    Connection::stream().ResumeReading();
  }
}

void Http1Connection::OnHead() {
  const Http1Framing& framing = parser_.framing();
  Forget(Wait::kHead);
  ++counters().requests_http11;
  ++context().open_exchanges;
  request_.scheme = Connection::stream().is_https() ? "https" : "http";
  id_ = context().next_exchange_id++;
  started_ = loop().now();
  active_ = true;
  receiving_body_ = true;
  has_body_ = framing.body == BodyFraming::kChunked || framing.length > 0;
  awaits_continue_ = parser_.expects_continue();
  keep_alive_ = framing.keep_alive && !draining_;
  body_received_ = 0;
  unconsumed_ = 0;
  discarded_ = 0;
  responded_ = false;
  body_sent_ = 0;
  if (has_body_ && !awaits_continue_) WatchBody();
  if (RefuseEarly()) return;
  if (!request_.protocol.empty() && !context().application.TakesWebSocket()) {
    request_.protocol.clear();
  }
  context().application.OnRequest(*this);
  if (handler_ == nullptr && !responded_ && !aborted_) Answer(500, "no_answer");
}

/// From here on the client owes what comes of the body.
void Http1Connection::WatchBody() {
  last_piece_ = loop().now();
  received_at_watch_ = body_received_;
  Expect(Wait::kBody, limits().body_timeout);
}

/// kBody is over: the body must have come on, and not too slowly.
void Http1Connection::LookAtBody() {
  const bool silent = loop().now() - last_piece_ >= limits().body_timeout;
  const bool slow = body_received_ - received_at_watch_ < LeastBytes(limits().body_timeout);
  if (!silent && !slow) {
    received_at_watch_ = body_received_;
    return Expect(Wait::kBody, limits().body_timeout);
  }
  if (!active_) return Close();  // nobody waits for it: it has been answered
  ++(silent ? counters().timeouts : counters().slow_bodies);
  FailExchange(kRequestTimeout, silent ? "timeout" : "slow_body");
}

/// Answers what no application is asked about.
bool Http1Connection::RefuseEarly() {
  if (request_.method == "CONNECT") {
    keep_alive_ = false;  // what follows may be meant for the far end of a tunnel
    Answer(405, "no_tunnels");
    return true;
  }
  if (limits().body.bytes != 0 && parser_.framing().length > limits().body.bytes) {
    ++counters().too_large;
    Answer(kBodyTooLarge, "body_too_large");
    return true;
  }
  return false;
}

void Http1Connection::OnBodyPiece() {
  const std::span<const uint8_t> piece = parser_.body();
  body_received_ += piece.size();
  awaits_continue_ = false;
  last_piece_ = loop().now();
  if (!Expects(Wait::kBody)) WatchBody();
  if (limits().body.bytes != 0 && body_received_ > limits().body.bytes && active_ && !responded_) {
    ++counters().too_large;
    FailExchange(kBodyTooLarge, "body_too_large");
    return;
  }
  if (handler_ == nullptr) {
    discarded_ += piece.size();
    if (!active_ && discarded_ > kDiscardBytes) DropRest();
    return;
  }
  unconsumed_ += piece.size();
  handler_->OnBody(piece);
  if (unconsumed_ >= limits().stream_window) Forget(Wait::kBody);  // now it is us who are slow
}

void Http1Connection::OnRequestEnd() {
  receiving_body_ = false;
  Forget(Wait::kBody);
  if (!active_) {
    BeginRequest();  // the rest of an answered request's body has been dropped
    if (draining_) Close();
    return;
  }
  if (has_body_ && handler_ != nullptr) handler_->OnBodyEnd(parser_.trailers());
}

void Http1Connection::Refuse(Refusal refusal) {
  const int status = RefusalStatus(refusal);
  if (status == 414 || status == 431) {
    ++counters().too_large;
  } else {
    ++counters().bad_requests;
  }
  if (active_) {
    FailExchange(status, "bad_request");
  } else if (receiving_body_) {
    Reset("bad_request");  // in a body that is only dropped: it was answered before
  } else {
    AnswerAndClose(status, RefusalName(refusal));
  }
}

void Http1Connection::OnEnd() {
  input_ended_ = true;
  if (phase_ == Phase::kUnread) return Close();
  CheckInputEnd();
}

/// After the client's FIN: what came before it is still answered (a client may close its half).
void Http1Connection::CheckInputEnd() {
  if (!input_ended_ || phase_ != Phase::kOpen) return;
  if (active_ && !receiving_body_ && !switched_) return WatchHalfClosed();
  if (!pending_.empty()) return;
  if (switched_) {
    if (std::exchange(receiving_body_, false) && handler_ != nullptr) handler_->OnBodyEnd({});
    if (half_closed_) FinishSwitched();
  } else if (receiving_body_) {
    Reset("client_gone");
  } else if (!active_) {
    Close();
  }
}

/// It has ended its side and waits for its answer, or it has left: TCP says the same of both, until
/// something is written. So an answer on which nothing moves is waited for only for a while (RFC
/// 9112 §9.6 leaves it to us), and not at all when all is to end.
void Http1Connection::WatchHalfClosed() {
  if (!Expects(Wait::kHalfClosed)) {
    sent_at_end_ = Connection::stream().counters().bytes_out;
    Expect(Wait::kHalfClosed, limits().half_closed_timeout);
  }
  const bool at_once = draining_ || limits().half_closed_timeout == milliseconds(0);
  if (at_once && !AnswerMoves()) Reset("client_gone");
}

bool Http1Connection::AnswerMoves() const {
  const net::Stream& stream = Connection::stream();
  return OutputWaits() || stream.unsent_bytes() > 0 || stream.counters().bytes_out > sent_at_end_;
}

void Http1Connection::OnClosed(const Error& why) {
  const std::string_view reason = why.reason == "close_timeout" ? "timeout" : "client_gone";
  FinishExchange({half_closed_, body_sent_, half_closed_ ? "" : reason});
  End();
}

void Http1Connection::OnTimeout(Wait wait) {
  if (wait == Wait::kIdle) {
    Close();
    return;
  }
  if (wait == Wait::kBody && half_closed_) return FinishSwitched();
  if (wait == Wait::kBody) {
    // Its response is on the way: what is missing of the body is looked at behind it.
    if (!active_ || !responded_) LookAtBody();
    return;
  }
  if (wait == Wait::kUnread) return LookAtUnread();
  if (wait == Wait::kHalfClosed) {
    if (active_ && !switched_) AnswerMoves() ? CheckInputEnd() : Reset("client_gone");
    return;
  }
  ++counters().timeouts;
  if (wait == Wait::kHead) {
    AnswerAndClose(kRequestTimeout, "head_timeout");
  } else {
    Reset("timeout");
  }
}

void Http1Connection::SetHandler(std::unique_ptr<ExchangeHandler> handler) {
  handler_ = std::move(handler);
}

void Http1Connection::ConsumedBody(size_t n) {
  const bool was_full = unconsumed_ >= limits().stream_window;
  unconsumed_ -= std::min(n, unconsumed_);
  if (!was_full || unconsumed_ >= limits().stream_window) return;
  if (receiving_body_ && (!switched_ || half_closed_)) WatchBody();
  if (!parsing_) loop().AtTurnEnd(&later_);
}

void Http1Connection::OnLater() {
  if (ended()) return;
  if (aborted_) {
    Reset("aborted");
    return;
  }
  ParsePending();
}

}  // namespace nearside::http
