#include "http/session/http2_connection.h"

#include <algorithm>
#include <array>
#include <utility>

#include "http/session/http2_callbacks.h"
#include "runtime/fatal.h"

namespace nearside::http {

namespace {

/// A client that does not answer our PING is told the last stream after this (RFC 9113 §6.8).
constexpr seconds kGoawayPatience{1};
constexpr std::array<uint8_t, 8> kDrainPing = {'d', 'r', 'a', 'i', 'n', 'i', 'n', 'g'};
/// Connections of a page that is being loaded are asked again sooner.
constexpr seconds kRestAfter{1};
constexpr int32_t kMaxStreamId = 0x7fffffff;

void PutBigEndian(uint32_t value, size_t bytes, std::string* out) {
  for (size_t i = bytes; i > 0; --i) *out += static_cast<char>(value >> (8 * (i - 1)) & 0xff);
}

/// RFC 9113 §6.8, for when nghttp2's session cannot be used any more.
void AppendGoaway(int32_t last_stream_id, uint32_t error_code, std::string* out) {
  PutBigEndian(8, 3, out);
  PutBigEndian(NGHTTP2_GOAWAY, 1, out);
  PutBigEndian(0, 1, out);
  PutBigEndian(0, 4, out);
  PutBigEndian(static_cast<uint32_t>(last_stream_id), 4, out);
  PutBigEndian(error_code, 4, out);
}

}  // namespace

std::unique_ptr<Connection> MakeHttp2Connection(SessionContext& context,
                                                std::unique_ptr<net::Stream> stream,
                                                const SessionLimits& limits) {
  return std::make_unique<Http2Connection>(context, std::move(stream), limits);
}

Http2Connection::Http2Connection(SessionContext& context, std::unique_ptr<net::Stream> stream,
                                 const SessionLimits& limits)
    : Connection(context, std::move(stream), limits),
      memory_(context.memory),
      budget_(limits.abuse_budget, limits.abuse_refill, context.loop.now()) {
  nghttp2_session* session = nullptr;
  if (nghttp2_session_server_new3(&session, Http2Callbacks::Get(), this, Http2Callbacks::Options(),
                                  memory_->functions()) != 0) {
    Fatal("out of memory");
  }
  session_.reset(session);
  frame_ = memory_->TakeLatestFrame();
  table_ = memory_->TakeLatestTable();
}

Http2Connection::~Http2Connection() {
  FinishAll("shutdown");
  loop().CancelTurnEnd(&later_);
}

void Http2Connection::Start(std::span<const uint8_t> early) {
  const auto setting = [](int32_t id, uint64_t value) {
    return nghttp2_settings_entry{id,
                                  static_cast<uint32_t>(std::min<uint64_t>(value, kMaxStreamId))};
  };
  // RFC 9113 §6.5.2: without MAX_CONCURRENT_STREAMS there is no limit, and before its ACK nghttp2
  // holds to it too. RFC 9218: the old priority tree is not for us.
  const std::array<nghttp2_settings_entry, 5> settings = {
      setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits().concurrent_streams),
      setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, limits().stream_window),
      setting(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits().fields.bytes),
      setting(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1),
      setting(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1)};  // RFC 8441 §3: last, if at all
  const size_t count = settings.size() - (context().application.TakesWebSocket() ? 0 : 1);
  nghttp2_submit_settings(session_.get(), NGHTTP2_FLAG_NONE, settings.data(), count);
  nghttp2_session_set_local_window_size(session_.get(), NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(limits().connection_window));
  Expect(Wait::kHead, limits().head_timeout);
  AwaitRequest();
  stream().SetHandler(this);
  stream().WantWrite();
  if (!early.empty()) OnBytes(early);
}

void Http2Connection::OnBytes(std::span<const uint8_t> bytes) {
  CountBytes();
  if (silent_ || closing_ || nghttp2_session_want_read(session_.get()) == 0) return;
  const ssize_t taken = nghttp2_session_mem_recv(session_.get(), bytes.data(), bytes.size());
  DispatchRead();
  if (taken < 0) OnFatal(static_cast<int>(taken));
  ProcessDone();
  if (ended() || closing_) return;
  if (live_.empty()) AwaitRequest();
  stream().WantWrite();
}

void Http2Connection::OnFatal(int nghttp2_error) {
  const bool flood = nghttp2_error == NGHTTP2_ERR_FLOODED ||
                     nghttp2_error == NGHTTP2_ERR_TOO_MANY_CONTINUATIONS ||
                     nghttp2_error == NGHTTP2_ERR_TOO_MANY_SETTINGS;
  if (abuse_ || flood) {
    ++counters().abuse_closed;
    Fail(NGHTTP2_ENHANCE_YOUR_CALM, "abuse");
  } else {
    ++counters().protocol_errors;
    Fail(NGHTTP2_PROTOCOL_ERROR, "protocol_error");
  }
}

/// HTTP/2 knows no half-closed connection: who can no longer say what it takes, and what it does
/// not want any more, has left.
void Http2Connection::OnEnd() {
  if (stream().unsent_bytes() > 0) return Kill("client_gone");
  Terminate(NGHTTP2_NO_ERROR, "client_gone");
}

void Http2Connection::OnClosed(const Error& why) {
  FinishAll(why.reason == "close_timeout" ? "timeout" : "client_gone");
  End();
}

/// PING and SETTINGS are answered whatever the windows: they are no progress.
Connection::Pace Http2Connection::LookAtSending() {
  const Pace pace = Connection::LookAtSending();
  if (pace != Pace::kSteady) return pace;
  const bool window_closed =
      ready_ > 0 && nghttp2_session_get_remote_window_size(session_.get()) <= 0;
  const uint64_t moved = data_sent_ - std::exchange(data_at_watch_, data_sent_);
  if (window_closed && moved == 0) return Pace::kStalled;
  if (window_closed && IsHeldToRate() && moved < LeastBytes(limits().send_timeout)) {
    return Pace::kSlow;
  }
  BreakStalled();
  return Pace::kSteady;
}

bool Http2Connection::IsHeldToRate() const {
  return std::none_of(live_.begin(), live_.end(),
                      [](const auto& exchange) { return exchange->switched; });
}

/// Responses whose stream's window has been closed since the last look, or opened by too little.
/// Those that only wait for their turn are left alone.
void Http2Connection::BreakStalled() {
  for (const auto& exchange : live_) {
    const bool waits =
        exchange->headers_sent && !exchange->deferred && !exchange->done_queued &&
        nghttp2_session_get_stream_remote_window_size(session_.get(), exchange->stream_id) <= 0;
    const uint64_t before =
        std::exchange(exchange->sent_at_watch, waits ? exchange->sent : UINT64_MAX);
    if (!waits || before == UINT64_MAX) continue;
    const uint64_t moved = exchange->sent - before;
    const bool slow = !exchange->switched && moved < LeastBytes(limits().send_timeout);
    if (moved > 0 && !slow) continue;
    ++(moved == 0 ? counters().timeouts : counters().slow_reads);
    Break(exchange.get(), moved == 0 ? "timeout" : "slow_read", NGHTTP2_CANCEL);
  }
}

void Http2Connection::OnTimeout(Wait wait) {
  switch (wait) {
    case Wait::kIdle:
      if (live_.empty()) Terminate(NGHTTP2_NO_ERROR, "timeout");
      return;
    case Wait::kRest:
      Rest();
      return;
    case Wait::kDrain:
      SendSecondGoaway();
      return;
    case Wait::kHead:
      ++counters().timeouts;
      Terminate(NGHTTP2_NO_ERROR, "timeout");
      return;
    case Wait::kSend:
      ++counters().timeouts;
      Kill("timeout");
      return;
    case Wait::kBody:
      LookAtBodies();
      return;
    case Wait::kUnread:
      LookAtUnread();
      return;
    case Wait::kHalfClosed:
      return;  // HTTP/1.1's
  }
}

/// Whether it is the client who is waited for, and not we who have given it no window.
bool Http2Connection::IsBodyAwaited(const Http2Exchange& exchange) const {
  if (nghttp2_session_get_local_window_size(session_.get()) <= 0) return false;
  return exchange.dispatched && !exchange.request_ended && !exchange.responded &&
         !exchange.done_queued && !exchange.awaits_continue && exchange.head.protocol.empty() &&
         exchange.unconsumed < limits().stream_window;
}

/// Bodies must have come on since the last look, and not too slowly.
void Http2Connection::LookAtBodies() {
  bool others = false;
  const MonoTime now = loop().now();
  for (const auto& exchange : live_) {
    const bool patient = now - exchange->last_input < limits().body_timeout;
    if (exchange->half_closed && exchange->unconsumed < limits().stream_window && !patient) {
      EndExchange(exchange.get());
      stream().WantWrite();
      continue;
    }
    const bool awaited = IsBodyAwaited(*exchange);
    const uint64_t before =
        std::exchange(exchange->received_at_watch, awaited ? exchange->received : UINT64_MAX);
    const bool silent = awaited && !patient;
    const bool slow = awaited && before != UINT64_MAX &&
                      exchange->received - before < LeastBytes(limits().body_timeout);
    if (!silent && !slow) {
      others = others || !exchange->request_ended;
      continue;
    }
    ++(silent ? counters().timeouts : counters().slow_bodies);
    FailBody(exchange.get(), 408, silent ? "timeout" : "slow_body");
  }
  if (others) Expect(Wait::kBody, limits().body_timeout);
  ProcessDone();
}

/// Requests whose answers were whole before they were: they are stopped in the end.
void Http2Connection::LookAtUnread() {
  MonoTime next = MonoTime::max();
  for (const auto& exchange : live_) {
    if (!exchange->unread) continue;
    const MonoTime until = UnreadUntil(exchange->answered, exchange->last_input, draining_);
    if (until <= loop().now()) {
      StopRequest(exchange.get());
      stream().WantWrite();
    } else {
      next = std::min(next, until);
    }
  }
  if (next != MonoTime::max()) ExpectAt(Wait::kUnread, next);
}

void Http2Connection::Drain() {
  if (draining_ || closing_ || silent_) return;
  draining_ = true;
  for (const auto& exchange : live_) {  // what has no end to wait for
    if (exchange->switched) Break(exchange.get(), "shutdown", NGHTTP2_CANCEL);
  }
  LookAtUnread();
  if (live_.empty()) {
    Terminate(NGHTTP2_NO_ERROR, "shutdown");
    return;
  }
  nghttp2_submit_shutdown_notice(session_.get());
  nghttp2_submit_ping(session_.get(), NGHTTP2_FLAG_NONE, kDrainPing.data());
  Expect(Wait::kDrain, kGoawayPatience);
  stream().WantWrite();
}

/// A round trip after the first: what the client had under way has arrived.
void Http2Connection::SendSecondGoaway() {
  if (!draining_ || goaway_final_ || silent_) return;
  goaway_final_ = true;
  Forget(Wait::kDrain);
  nghttp2_submit_goaway(session_.get(), NGHTTP2_FLAG_NONE,
                        nghttp2_session_get_last_proc_stream_id(session_.get()), NGHTTP2_NO_ERROR,
                        nullptr, 0);
  stream().WantWrite();
}

void Http2Connection::Kill(std::string_view reason) {
  if (ended()) return;
  closing_ = true;
  FinishAll(reason);
  CountBytes();
  stream().Abort();
  End();
}

/// GOAWAY through nghttp2, then the end.
void Http2Connection::Terminate(uint32_t error_code, std::string_view reason) {
  if (silent_ || closing_ || terminated_) return;
  terminated_ = true;  // FinishAll comes back here when no exchange is left
  nghttp2_session_terminate_session(session_.get(), error_code);
  FinishAll(reason);
  stream().WantWrite();
}

/// The same without nghttp2, whose session is not to be used after a fatal error.
void Http2Connection::Fail(uint32_t error_code, std::string_view reason) {
  if (silent_ || closing_) return;
  silent_ = true;
  AppendGoaway(nghttp2_session_get_last_proc_stream_id(session_.get()), error_code, &unsent_);
  FinishAll(reason);
  stream().WantWrite();
}

Http2Exchange* Http2Connection::Find(int32_t stream_id) {
  if (latest_ != nullptr && latest_->stream_id == stream_id) return latest_;
  auto* exchange =
      static_cast<Http2Exchange*>(nghttp2_session_get_stream_user_data(session_.get(), stream_id));
  if (exchange != nullptr) latest_ = exchange;
  return exchange;
}

Http2Exchange* Http2Connection::Acquire(int32_t stream_id) {
  std::unique_ptr<Http2Exchange> exchange = context().spare_exchanges.Take();
  exchange->Reset(this, stream_id);
  exchange->place = live_.size();
  Forget(Wait::kIdle);
  Forget(Wait::kRest);
  return latest_ = live_.emplace_back(std::move(exchange)).get();
}

void Http2Connection::Release(Http2Exchange* exchange) {
  if (exchange == receiving_head_) receiving_head_ = nullptr;
  if (exchange == latest_) latest_ = nullptr;
  const size_t freed = exchange->place;
  std::swap(live_[freed], live_.back());
  live_[freed]->place = freed;
  exchange->body.reset();
  context().spare_exchanges.Give(std::move(live_.back()));
  live_.pop_back();
}

void Http2Connection::QueueDone(Http2Exchange* exchange, bool complete, std::string_view reason) {
  if (exchange->done_queued) return;
  exchange->done_queued = true;
  exchange->outcome = {complete, exchange->sent, reason};
  if (exchange->responded && !exchange->deferred) --ready_;
  done_.push_back(exchange);
}

/// Tells handlers of the end of their exchanges: never from inside nghttp2.
void Http2Connection::ProcessDone() {
  if (processing_done_) return;
  processing_done_ = true;
  const bool any = !done_.empty();
  for (size_t i = 0; i < done_.size(); ++i) {
    Http2Exchange* exchange = done_[i];
    exchange->finished = true;
    if (exchange->dispatched) --context().open_exchanges;
    if (exchange->handler != nullptr) {
      exchange->handler->OnFinished(exchange->outcome);
      exchange->handler.reset();
    }
    // nghttp2 still has pointers into prepared lines of a head it has not sent: the body that keeps
    // them goes with the stream.
    if (exchange->headers_sent) exchange->body.reset();
    if (exchange->unconsumed > 0 && !silent_) {
      ConsumeConnection(exchange->unconsumed);
      if (exchange->unread) {  // its client may be waiting for the window
        nghttp2_session_consume_stream(session_.get(), exchange->stream_id, exchange->unconsumed);
        stream().WantWrite();
      }
    }
    if (exchange->closed) Release(exchange);
  }
  done_.clear();
  processing_done_ = false;
  if (!ended() && live_.empty()) {
    AwaitRequest();
    if (any) stream().WantWrite();  // perhaps that was the last: CloseWhenDone
  }
}

void Http2Connection::AwaitRequest() {
  if (Expects(Wait::kIdle)) return;
  Expect(Wait::kRest, kRestAfter);
  Expect(Wait::kIdle, limits().idle_timeout);
}

/// What serves only a busy connection is given back.
void Http2Connection::Rest() {
  if (!live_.empty() || silent_ || closing_ || OutputWaits()) return;
  std::exchange(live_, {});
  std::exchange(read_, {});
  std::exchange(done_, {});
  std::exchange(unsent_, {});
  std::exchange(good_authority_, {});
  if (frame_ != nullptr && nghttp2_session_want_write(session_.get()) == 0) {
    SessionMemory::GiveBackFrame(frame_);
  }
  if (table_ != nullptr) SessionMemory::GiveBackEmptyTable(table_);
}

void Http2Connection::FinishAll(std::string_view reason) {
  for (const auto& exchange : live_) QueueDone(exchange.get(), false, reason);
  ProcessDone();
}

}  // namespace nearside::http
