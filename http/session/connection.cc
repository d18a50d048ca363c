#include "http/session/connection.h"

#include <algorithm>

namespace nearside::http {

Connection::Connection(SessionContext& context, std::unique_ptr<net::Stream> stream,
                       const SessionLimits& limits)
    : context_(context),
      loop_(context.loop),
      limits_(limits),
      stream_(std::move(stream)),
      timer_(context.loop, [this] { OnTimer(); }) {
  deadlines_.fill(MonoTime::max());
}

Connection::~Connection() = default;

void Connection::Expect(Wait wait, milliseconds limit) {
  const MonoTime deadline = loop_.now() + limit;
  deadlines_[static_cast<size_t>(wait)] = deadline;
  // Deadlines mostly move back: the timer stays where it is and looks again when it fires.
  if (timer_.armed() && armed_until_ <= deadline) return;
  armed_until_ = deadline;
  timer_.Arm(limit);
}

void Connection::ExpectAt(Wait wait, MonoTime deadline) {
  Expect(wait, std::max(milliseconds(1), std::chrono::ceil<milliseconds>(deadline - loop_.now())));
}

MonoTime Connection::UnreadUntil(MonoTime answered, MonoTime last_input, bool draining) const {
  return std::min(answered + (draining ? limits_.unread_silence : limits_.unread_time),
                  last_input + limits_.unread_silence);
}

void Connection::OnTimer() {
  const MonoTime now = loop_.now();
  for (size_t i = 0; i < deadlines_.size() && !ended_; ++i) {
    if (deadlines_[i] > now) continue;
    const Wait wait = static_cast<Wait>(i);
    Forget(wait);
    const Pace pace = wait == Wait::kSend ? LookAtSending() : Pace::kStalled;
    if (pace == Pace::kStalled) OnTimeout(wait);
    if (pace != Pace::kSlow) continue;
    ++context_.counters.slow_reads;
    Kill("slow_read");
  }
  if (ended_) return;
  const MonoTime next = *std::min_element(deadlines_.begin(), deadlines_.end());
  if (next == MonoTime::max()) return;
  armed_until_ = next;
  timer_.Arm(std::max(milliseconds(1), std::chrono::ceil<milliseconds>(next - now)));
}

void Connection::WatchSending() {
  if (Expects(Wait::kSend)) return;
  sent_at_watch_ = stream_->counters().bytes_out;
  Expect(Wait::kSend, limits_.send_timeout);
}

Connection::Pace Connection::LookAtSending() {
  const bool socket_full = stream_->unsent_bytes() > 0;
  if (!socket_full && !OutputWaits()) return Pace::kSteady;
  const uint64_t taken = stream_->counters().bytes_out - sent_at_watch_;
  if (taken == 0) return Pace::kStalled;
  // It has been full all the while: a watch is over when all has been sent.
  if (socket_full && IsHeldToRate() && taken < LeastBytes(limits_.send_timeout)) return Pace::kSlow;
  WatchSending();
  return Pace::kSteady;
}

void Connection::OnDrained() {
  CountBytes();
  if (!OutputWaits()) Forget(Wait::kSend);
}

void Connection::CountBytes() {
  const net::StreamCounters& now = stream_->counters();
  context_.counters.bytes_in += now.bytes_in - counted_in_;
  context_.counters.bytes_out += now.bytes_out - counted_out_;
  counted_in_ = now.bytes_in;
  counted_out_ = now.bytes_out;
}

void Connection::End() {
  if (ended_) return;
  ended_ = true;
  timer_.Disarm();
  if (stream_ != nullptr) {
    CountBytes();
    stream_->SetHandler(nullptr);
  }
  context_.owner.OnConnectionEnd(this);
}

std::string OwnAnswerText(int status, std::string_view reason) {
  std::string text = std::to_string(status);
  text.append(" ").append(ReasonPhrase(status)).append(" (").append(reason).append(")\n");
  return text;
}

std::vector<FieldLine> OwnAnswerLines(int status) {
  std::vector<FieldLine> lines = {{"content-type", "text/plain; charset=utf-8"},
                                  {"cache-control", "no-store"}};
  // RFC 9110 §15.5.6
  if (status == 405) lines.push_back({"allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"});
  return lines;
}

}  // namespace nearside::http
