// The sending half of an HTTP/1.1 connection.

#include <algorithm>
#include <charconv>
#include <utility>

#include "http/http1_writer.h"
#include "http/session/http1_connection.h"
#include "runtime/fatal.h"

namespace nearside::http {

namespace {

std::optional<uint64_t> ToNumber(std::string_view digits) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return number;
}

}  // namespace

bool Http1Connection::Produce(net::Output& output) {
  bool more = false;
  while (phase_ == Phase::kOpen && !aborted_) {
    if (!AppendHead(output)) {
      more = true;
      break;
    }
    if (!active_ || !responded_) break;
    const Sent sent = SendBody(output);
    more = sent == Sent::kNoRoom;
    if (sent == Sent::kFailed) {
      Reset("body_failed");
      return false;
    }
    if (sent != Sent::kAll) break;
    if (switched_ && receiving_body_) {
      EndOurSide();
      break;
    }
    FinishExchange({true, body_sent_, ""});
    AfterResponse();
    if (!pending_.empty()) ParsePending();
    CheckInputEnd();
  }
  if (phase_ == Phase::kLastAnswer) {
    more = !AppendHead(output);
    if (!more) receiving_body_ ? DropRest() : Close();
  }
  if (phase_ != Phase::kClosing) WatchSending();
  return more && !ended();
}

bool Http1Connection::AppendHead(net::Output& output) {
  const size_t size = std::min(head_.size() - head_sent_, output.room());
  output.Append(AsBytes(std::string_view(head_).substr(head_sent_, size)));
  head_sent_ += size;
  if (head_sent_ < head_.size()) return false;
  head_.clear();
  head_sent_ = 0;
  return true;
}

Http1Connection::Sent Http1Connection::SendBody(net::Output& output) {
  body_waits_ = false;
  if (body_ == nullptr || omit_body_) return Sent::kAll;
  while (!last_chunk_written_) {
    if (left_ == 0) return Sent::kAll;
    if (output.room() < kLeastChunkRoom) return Sent::kNoRoom;
    std::span<const uint8_t> piece;
    switch (body_->Peek(&piece)) {
      case BodySource::State::kWait:
        body_waits_ = true;
        return Sent::kWaiting;
      case BodySource::State::kFailed:
        return Sent::kFailed;
      case BodySource::State::kEnd:
        if (left_) return Sent::kFailed;  // shorter than announced
        if (!chunked_) return Sent::kAll;
        AppendLastChunk(body_->Trailers(), &head_);
        last_chunk_written_ = true;
        break;
      case BodySource::State::kReady: {
        const Sent sent = SendPiece(piece, output);
        if (sent != Sent::kAll) return sent;
        break;
      }
    }
  }
  return AppendHead(output) ? Sent::kAll : Sent::kNoRoom;
}

/// Sends as much of the piece as there is room for.
Http1Connection::Sent Http1Connection::SendPiece(std::span<const uint8_t> piece,
                                                 net::Output& output) {
  size_t size = std::min(piece.size(), output.room() - (chunked_ ? kChunkOverhead : 0));
  if (left_) size = static_cast<size_t>(std::min<uint64_t>(size, *left_));
  if (chunked_) {
    char buffer[kChunkHeaderBytes];
    output.Append(AsBytes(FormatChunkHeader(size, buffer)));
    output.Append(piece.first(size));
    output.Append(AsBytes("\r\n"));
  } else {
    output.Append(piece.first(size));
  }
  if (left_) *left_ -= size;
  body_sent_ += size;
  body_->Consume(size);
  return Sent::kAll;
}

bool Http1Connection::OutputWaits() const {
  if (phase_ == Phase::kClosing || half_closed_) return false;
  if (head_sent_ < head_.size()) return true;
  return active_ && responded_ && !body_waits_;
}

void Http1Connection::Respond(int status, std::span<const FieldLine> prepared,
                              std::span<const FieldLine> extra, std::unique_ptr<BodySource> body) {
  if (!active_ || responded_) Fatal("Respond was called twice, or after the exchange's end");
  responded_ = true;
  std::optional<std::string_view> length;
  bool dated = false;
  for (const std::span<const FieldLine> lines : {prepared, extra}) {
    for (const FieldLine& line : lines) {
      if (line.name == "content-length") length = line.value;
      if (line.name == "date") dated = true;
    }
  }
  body_ = std::move(body);
  ChooseFraming(status, length);
  const bool unread = receiving_body_ && has_body_ && awaits_continue_;
  if (unread || draining_)
    keep_alive_ = false;  // RFC 9110 §10.1.1: it may or may not send the body
  const ResponseFraming framing = {
      .chunked = chunked_,
      .zero_length = !omit_body_ && !length && body_ == nullptr,
      .close = !keep_alive_,
      .keep_alive = keep_alive_ && parser_.framing().http10,
      .date = dated ? std::string_view() : context().dates.At(context().loop.wall_now())};
  AppendResponseHead(status, prepared, extra, framing, &head_);
  Connection::stream().WantWrite();
}

void Http1Connection::SwitchProtocol(std::span<const FieldLine> lines,
                                     std::unique_ptr<BodySource> body) {
  if (!active_ || responded_ || request_.protocol.empty()) {
    Fatal("SwitchProtocol without a request for it");
  }
  if (draining_) return Abort();  // it would have no end to wait for
  responded_ = true;
  switched_ = true;
  keep_alive_ = false;
  receiving_body_ = true;
  body_ = std::move(body);
  omit_body_ = chunked_ = last_chunk_written_ = false;
  left_.reset();
  const ResponseFraming framing = {.upgrade = request_.protocol};
  AppendResponseHead(101, lines, {}, framing, &head_);
  Connection::stream().WantWrite();
  loop().AtTurnEnd(&later_);  // what came behind the request is the new protocol's
}

/// The client may have more to say: it is heard until it ends as well.
void Http1Connection::EndOurSide() {
  if (std::exchange(half_closed_, true)) return;
  Connection::stream().EndSending();
  WatchBody();
}

void Http1Connection::FinishSwitched() {
  FinishExchange({true, body_sent_, ""});
  Close();
}

void Http1Connection::ChooseFraming(int status, std::optional<std::string_view> length) {
  omit_body_ = request_.method == "HEAD" || StatusHasNoContent(status);
  chunked_ = false;
  last_chunk_written_ = false;
  left_.reset();
  if (omit_body_ || body_ == nullptr) return;
  if (length) left_ = ToNumber(*length);
  if (left_) return;
  chunked_ = !parser_.framing().http10;
  if (!chunked_) keep_alive_ = false;  // its end is the connection's
}

/// An answer of the session's own to the exchange under way.
void Http1Connection::Answer(int status, std::string_view reason) {
  const std::string text = OwnAnswerText(status, reason);
  const std::string length = std::to_string(text.size());
  const FieldLine length_line = {"content-length", length};
  Respond(status, OwnAnswerLines(status), {&length_line, 1}, TextBody(text));
}

/// The same where there is no exchange (any more), as the last thing on the connection.
void Http1Connection::AnswerAndClose(int status, std::string_view reason) {
  const std::string text = OwnAnswerText(status, reason);
  const std::string length = std::to_string(text.size());
  const FieldLine length_line = {"content-length", length};
  const ResponseFraming framing = {.close = true,
                                   .date = context().dates.At(context().loop.wall_now())};
  AppendResponseHead(status, OwnAnswerLines(status), {&length_line, 1}, framing, &head_);
  head_ += text;
  phase_ = Phase::kLastAnswer;
  pending_.clear();
  for (const Wait wait : {Wait::kIdle, Wait::kHead, Wait::kBody, Wait::kHalfClosed}) Forget(wait);
  Connection::stream().WantWrite();
}

void Http1Connection::SendInterim(int status, const Fields& fields) {
  if (responded_ || parser_.framing().http10) return;  // RFC 9110 §15.2: not to HTTP/1.0
  AppendInterimHead(status, fields, &head_);
  Connection::stream().WantWrite();
}

void Http1Connection::WantBody() {
  if (!awaits_continue_ || responded_) return;
  awaits_continue_ = false;
  AppendInterimHead(100, {}, &head_);
  WatchBody();
  Connection::stream().WantWrite();
}

void Http1Connection::Resume() { Connection::stream().WantWrite(); }

void Http1Connection::Abort() {
  aborted_ = true;
  loop().AtTurnEnd(&later_);
}

void Http1Connection::FinishExchange(const ExchangeOutcome& outcome) {
  if (!active_) return;
  active_ = false;
  --context().open_exchanges;
  if (handler_ != nullptr) {
    handler_->OnFinished(outcome);
    handler_.reset();
  }
  body_.reset();
  unconsumed_ = 0;
}

/// The response is out: on to the next request, or the end.
void Http1Connection::AfterResponse() {
  if (phase_ != Phase::kOpen) return;
  if (!receiving_body_) {
    if (!keep_alive_) {
      Close();
    } else {
      BeginRequest();
    }
    return;
  }
  // Its body has not been read to the end: drop a little, for the sake of the connection.
  const bool small = parser_.framing().length <= kDiscardBytes;
  if (awaits_continue_) {
    Close();
  } else if (!keep_alive_ || !small) {
    DropRest();
  } else {
    WatchBody();
    UpdateReading();
  }
}

/// The exchange cannot go on: answers `status` if nothing was answered yet, else breaks off.
void Http1Connection::FailExchange(int status, std::string_view reason) {
  const bool answer = !responded_;
  FinishExchange({false, body_sent_, reason});
  if (answer) {
    AnswerAndClose(status, reason);
  } else {
    Reset(reason);
  }
}

/// Ends at once and so that the client notices: an answer cut off must not look whole.
void Http1Connection::Reset(std::string_view reason) {
  phase_ = Phase::kClosing;
  FinishExchange({false, body_sent_, reason});
  if (ended()) return;
  CountBytes();
  Connection::stream().Abort();
  End();
}

/// Answered, and its body still comes. A socket closed on unread bytes resets, and takes the answer
/// from a client that has not read it (RFC 9112 §9.6): so they are read, within limits.
void Http1Connection::DropRest() {
  phase_ = Phase::kUnread;
  pending_.clear();
  for (const Wait wait : {Wait::kIdle, Wait::kHead, Wait::kBody, Wait::kHalfClosed}) Forget(wait);
  if (input_ended_) return Close();
  Connection::stream().EndSending();
  if (std::exchange(paused_, false)) Connection::stream().ResumeReading();
  answered_ = last_piece_ = loop().now();
  LookAtUnread();
}

void Http1Connection::LookAtUnread() {
  const MonoTime until = UnreadUntil(answered_, last_piece_, draining_);
  until <= loop().now() ? Close() : ExpectAt(Wait::kUnread, until);
}

void Http1Connection::Close() {
  if (phase_ == Phase::kClosing) return;
  phase_ = Phase::kClosing;
  pending_.clear();
  for (const Wait wait :
       {Wait::kIdle, Wait::kHead, Wait::kBody, Wait::kSend, Wait::kHalfClosed, Wait::kUnread})
    Forget(wait);
  Connection::stream().Close();
}

}  // namespace nearside::http
