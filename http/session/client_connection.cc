#include "http/session/client_connection.h"

#include <algorithm>

#include "http/http1_writer.h"
#include "runtime/text_bytes.h"

namespace nearside::http {

namespace {

constexpr size_t kStatusLineBytes = 16 << 10;

}  // namespace

ClientConnection::ClientConnection(net::EventLoop& loop, std::unique_ptr<net::Stream> stream,
                                   const ClientLimits& limits, std::string peer,
                                   ConnectionPool& pool)
    : loop_(loop),
      stream_(std::move(stream)),
      limits_(limits),
      peer_(std::move(peer)),
      pool_(pool),
      timer_(loop, [this] { OnTimer(); }),
      parser_({.first_line_bytes = kStatusLineBytes,
               .field_bytes = static_cast<size_t>(limits.fields.bytes)}) {
  stream_->SetHandler(this);
}

ClientConnection::~ClientConnection() { loop_.CancelTurnEnd(&later_); }

void ClientConnection::Send(ClientRequest* request, ResponseSink* sink) {
  request_ = request;
  sink_ = sink;
  head_sent_ = 0;
  left_ = request->body_bytes;
  body_done_ = request->body == nullptr;
  source_waits_ = false;
  last_chunk_queued_ = false;
  tail_.clear();
  parser_.Start(request->method, &head_, request->websocket);
  answered_ = false;
  head_received_ = false;
  Wait(limits_.head_timeout);
  stream_->WantWrite();
}

void ClientConnection::Wait(milliseconds limit) {
  const MonoTime before = deadline_;
  deadline_ = loop_.now() + limit;
  if (!timer_.armed() || deadline_ < before) timer_.Arm(limit);
}

void ClientConnection::OnTimer() {
  const MonoTime now = loop_.now();
  if (deadline_ == MonoTime::max()) return;
  if (now < deadline_) {
    timer_.Arm(std::max(milliseconds(1), std::chrono::ceil<milliseconds>(deadline_ - now)));
    return;
  }
  if (sink_ == nullptr) {
    Retire();
  } else if (!head_received_ && source_waits_) {
    Wait(limits_.head_timeout);  // it is us who do not send
  } else if (!head_received_) {
    Fail("head_timeout", "did not answer in time");
  } else if (!paused_) {
    Fail("read_timeout", "stopped sending inside its answer");
  } else {
    Wait(limits_.read_timeout);  // it is us who do not read
  }
}

bool ClientConnection::Produce(net::Output& output) {
  if (request_ == nullptr || gone_) return false;
  const bool was_sent = body_done_;
  Sent sent = SendHead(output);
  if (sent == Sent::kAll) {
    if (!request_->websocket) {
      sent = SendBody(output);
    } else if (switched_) {
      sent = SendUnframed(output);
    }
  }
  source_waits_ = sent == Sent::kWaiting;
  if (sent == Sent::kFailed) {
    FailWith(BodyFailed());
    return false;
  }
  // The time the request takes is not the server's: its own begins with the last byte.
  if (!head_received_ && !(was_sent && body_done_)) Wait(limits_.head_timeout);
  return sent == Sent::kNoRoom;
}

ClientConnection::Sent ClientConnection::SendHead(net::Output& output) {
  const std::string_view rest = std::string_view(request_->head).substr(head_sent_);
  const size_t size = std::min(rest.size(), output.room());
  output.Append(AsBytes(rest.substr(0, size)));
  head_sent_ += size;
  return size == rest.size() ? Sent::kAll : Sent::kNoRoom;
}

ClientConnection::Sent ClientConnection::SendBody(net::Output& output) {
  while (!body_done_) {
    if (output.room() < kLeastChunkRoom) return Sent::kNoRoom;
    std::span<const uint8_t> piece;
    switch (request_->body->Peek(&piece)) {
      case BodySource::State::kWait:
        return Sent::kWaiting;
      case BodySource::State::kFailed:
        return Sent::kFailed;
      case BodySource::State::kEnd:
        if (left_.value_or(0) > 0) return Sent::kFailed;  // shorter than announced
        if (!left_ && !last_chunk_queued_) AppendLastChunk(request_->body->Trailers(), &tail_);
        last_chunk_queued_ = true;
        if (tail_.size() > output.room()) {
          const size_t size = output.room();
          output.Append(AsBytes(tail_).first(size));
          tail_.erase(0, size);
          return Sent::kNoRoom;
        }
        output.Append(AsBytes(tail_));
        body_done_ = true;
        return Sent::kAll;
      case BodySource::State::kReady:
        break;
    }
    if (left_ && piece.size() > *left_) return Sent::kFailed;  // longer than announced
    request_->body_touched = true;
    const size_t size = std::min(piece.size(), output.room() - (left_ ? 0 : kChunkOverhead));
    char buffer[kChunkHeaderBytes];
    if (!left_) output.Append(AsBytes(FormatChunkHeader(size, buffer)));
    output.Append(piece.first(size));
    if (!left_) output.Append(AsBytes("\r\n"));
    if (left_) *left_ -= size;
    request_->body->Consume(size);
    body_done_ = left_ == 0u;
  }
  return Sent::kAll;
}

/// The source's end is the end of our side; the other may have more to say.
ClientConnection::Sent ClientConnection::SendUnframed(net::Output& output) {
  while (!body_done_) {
    if (output.room() < kLeastChunkRoom) return Sent::kNoRoom;
    std::span<const uint8_t> piece;
    switch (request_->body->Peek(&piece)) {
      case BodySource::State::kWait:
        return Sent::kWaiting;
      case BodySource::State::kFailed:
        broken_ = true;
        loop_.AtTurnEnd(&later_);
        return Sent::kWaiting;
      case BodySource::State::kEnd:
        body_done_ = true;
        stream_->EndSending();
        if (input_ended_) loop_.AtTurnEnd(&later_);  // so have both
        return Sent::kAll;
      case BodySource::State::kReady:
        break;
    }
    const size_t size = std::min(piece.size(), output.room());
    output.Append(piece.first(size));
    request_->body->Consume(size);
  }
  return Sent::kAll;
}

void ClientConnection::OnBytes(std::span<const uint8_t> bytes) {
  if (gone_) return;
  if (sink_ == nullptr) {
    Retire();  // nothing was asked: it is of no use any more
    return;
  }
  if (head_sent_ == 0) {
    // An answer before the question belongs to nobody: perhaps smuggled behind an earlier one.
    Fail("closed_early", "sent something before it was asked");
    return;
  }
  answered_ = true;
  if (head_received_ && !switched_) Wait(limits_.read_timeout);
  std::string_view input = AsText(bytes);
  if (!pending_.empty() || parsing_) {
    pending_.append(input);
    ParsePending();
    return;
  }
  Parse(&input);
  if (!gone_) pending_.assign(input);
}

void ClientConnection::ParsePending() {
  if (parsing_ || gone_ || paused_) return;
  // What is parsed stays where it is while callbacks run.
  const std::string parsed = std::exchange(pending_, {});
  std::string_view input = parsed;
  Parse(&input);
  if (gone_) return;
  pending_.insert(0, input);
  if (input_ended_ && pending_.empty()) OnEnd();
}

void ClientConnection::Parse(std::string_view* input) {
  parsing_ = true;
  bool more = true;
  while (more && sink_ != nullptr && !gone_ && !paused_) {
    const ParseEvent event = parser_.Next(input);
    more = Deliver(event, !input->empty());
  }
  parsing_ = false;
}

/// False when there is nothing more to parse for now. `followed`: there is input behind the event.
bool ClientConnection::Deliver(ParseEvent event, bool followed) {
  switch (event) {
    case ParseEvent::kMore:
      return false;
    case ParseEvent::kInterim:
      Wait(limits_.head_timeout);  // it is at work; how many there may be is limited
      sink_->OnInterim(head_.status, head_.fields);
      return true;
    case ParseEvent::kHead:
      OnResponseHead();
      return true;
    case ParseEvent::kBody:
      sink_->OnBody(parser_.body());
      return true;
    case ParseEvent::kEnd:
      OnResponseEnd(followed);
      return false;
    case ParseEvent::kRefused:
      Fail("bad_response",
           "sent what is no valid answer: " + std::string(RefusalName(parser_.refusal())));
      return false;
  }
  return false;
}

void ClientConnection::OnResponseHead() {
  head_received_ = true;
  switched_ = head_.status == 101;  // which the parser lets through only where it was asked for
  if (switched_) {
    deadline_ = MonoTime::max();  // how long it may be silent is for those who talk
    pool_.OnSwitched(this);
    stream_->WantWrite();
  } else {
    Wait(limits_.read_timeout);
  }
  sink_->OnHead(std::move(head_));
}

/// `followed`: by bytes that no request asked for.
void ClientConnection::OnResponseEnd(bool followed) {
  ResponseSink* sink = std::exchange(sink_, nullptr);
  // With the request not sent to its end, the server's next bytes would be anybody's guess.
  const bool reusable =
      parser_.framing().keep_alive && body_done_ && !input_ended_ && !followed && pending_.empty();
  request_ = nullptr;
  used_before_ = true;
  const Fields trailers = parser_.trailers();
  if (reusable) {
    Wait(limits_.idle_timeout);
    pool_.OnFree(this);
  } else {
    stream_->Close();
    Leave();
  }
  sink->OnEnd(trailers);
}

void ClientConnection::OnEnd() {
  if (gone_) return;
  input_ended_ = true;
  if (!pending_.empty()) return;  // first what came before
  if (sink_ == nullptr) {
    Leave();
  } else if (switched_) {
    OnSwitchedEnd();
  } else if (answered_ && parser_.EndOfInput() == ParseEvent::kEnd) {
    OnResponseEnd(false);
  } else {
    Fail("closed_early", "closed the connection before its answer was whole");
  }
}

/// After a 101 each side ends for itself: what we have to send is sent before the connection is
/// closed.
void ClientConnection::OnSwitchedEnd() {
  if (!std::exchange(end_told_, true)) sink_->OnPeerEnd();
  if (sink_ != nullptr && body_done_ && stream_->unsent_bytes() == 0) OnResponseEnd(false);
}

/// The body of a tunnel broke off: what it had brought before leaves first.
void ClientConnection::EndBroken() {
  if (stream_->unsent_bytes() > 0) return;
  ResponseSink* sink = std::exchange(sink_, nullptr);
  Retire();
  if (sink != nullptr) sink->OnFailure(BodyFailed(), false);
}

void ClientConnection::OnDrained() {
  if (gone_ || !switched_) return;
  if (broken_) return EndBroken();
  if (input_ended_) OnEnd();
}

void ClientConnection::OnLater() { broken_ && !gone_ ? EndBroken() : ParsePending(); }

void ClientConnection::OnClosed(const Error& why) {
  if (gone_) return;
  if (sink_ == nullptr) {
    Leave();
  } else {
    Fail("closed_early", "ended the connection before its answer was whole (" + why.message + ")");
  }
}

void ClientConnection::Fail(std::string_view reason, std::string_view what) {
  FailWith(Error{Fault::kOrigin, std::string(reason), peer_ + " " + std::string(what)});
}

Error ClientConnection::BodyFailed() const {
  return {Fault::kClient, "body_failed", peer_ + ": the body to send to it broke off"};
}

void ClientConnection::FailWith(const Error& error) {
  ResponseSink* sink = std::exchange(sink_, nullptr);
  const bool unanswered = used_before_ && !answered_ && error.reason == "closed_early";
  request_ = nullptr;
  stream_->Abort();
  Leave();
  if (sink != nullptr) sink->OnFailure(error, unanswered);
}

void ClientConnection::Abandon() {
  if (sink_ == nullptr) return;
  sink_ = nullptr;
  request_ = nullptr;
  stream_->Abort();
  Leave();
}

void ClientConnection::Retire() {
  if (gone_) return;
  stream_->Close(milliseconds(0));
  Leave();
}

void ClientConnection::Leave() {
  if (gone_) return;
  gone_ = true;
  timer_.Disarm();
  stream_->SetHandler(nullptr);
  pool_.OnGone(this);
}

void ClientConnection::PauseBody() {
  if (paused_ || gone_) return;
  paused_ = true;
  stream_->PauseReading();
}

void ClientConnection::ResumeBody() {
  if (!paused_ || gone_) return;
  paused_ = false;
  if (head_received_ && !switched_ && sink_ != nullptr) Wait(limits_.read_timeout);
  stream_->ResumeReading();
  loop_.AtTurnEnd(&later_);  // even with nothing pending: the end may be all that is missing
}

void ClientConnection::ResumeRequestBody() {
  if (!gone_) stream_->WantWrite();
}

}  // namespace nearside::http
