#include "net/socket_stream.h"

#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

namespace nearside::net {

namespace {

// What a flush may produce at first; it doubles while the socket takes everything.
constexpr uint32_t kFirstBudget = 64 << 10;
// Waiting for a peer that has our FIN but still drinks from the socket's buffer, in linger periods.
constexpr int kMaxLingerPeriods = 30;
// ... and for one that takes what is left here bit by bit: enough for 1 KiB a second.
constexpr int kMaxClosingPeriods = 150;

}  // namespace

/// What Close waits with.
struct SocketStream::Lingering {
  Lingering(EventLoop& loop, std::function<void()> on_fire) : timer(loop, std::move(on_fire)) {}
  Timer timer;
  milliseconds period{0};
  size_t outstanding = 0;  // when the timer was armed: less means progress
  int periods = 0;
};

SocketStream::SocketStream(EventLoop& loop, Parts parts)
    : loop_(loop),
      socket_(std::move(parts.socket)),
      peer_(parts.peer),
      over_tls_(parts.over_tls),
      tls_(std::move(parts.tls)),
      siblings_(std::move(parts.siblings)),
      budget_(kFirstBudget),
      role_(parts.role) {}

SocketStream::~SocketStream() {
  Release();
  loop_.CancelTurnEnd(this);
  if (destroyed_ != nullptr) *destroyed_ = true;
}

Status SocketStream::Open(bool watched) {
  armed_events_ = EPOLLIN;
  is_watched_ = true;
  return watched ? loop_.Rewatch(socket_.get(), armed_events_, this)
                 : loop_.Watch(socket_.get(), armed_events_, this);
}

void SocketStream::OpenReading() {
  armed_events_ = EPOLLIN;
  reads_first_ = true;
  loop_.AtTurnEnd(this);
}

void SocketStream::StartHandshake(HandshakeOwner* owner) {
  state_ = State::kHandshaking;
  owner_ = owner;
  if (role_ == Role::kConnected) loop_.AtTurnEnd(this);  // the client speaks first
}

void SocketStream::SetHandler(StreamHandler* handler) {
  handler_ = handler;
  if (handler == nullptr) return;
  bool untold = input_held_ || end_untold_ || want_write_ || drain_untold_ || !is_watched_;
  if (untold || why_gone_ != nullptr) loop_.AtTurnEnd(this);
  UpdateReading();
}

void SocketStream::WantWrite() {
  if (state_ != State::kOpen || want_write_ || end_sending_) return;
  want_write_ = true;
  if (!blocked_ && !reads_first_) loop_.AtTurnEnd(this);
}

void SocketStream::PauseReading() { paused_ = true; }  // the next event disarms EPOLLIN

void SocketStream::ResumeReading() {
  paused_ = false;
  if (IsGone()) return;
  if (input_held_ || end_untold_) loop_.AtTurnEnd(this);
  UpdateReading();
}

void SocketStream::Close(milliseconds linger) {
  if (state_ != State::kOpen) return;
  state_ = State::kClosing;
  want_write_ = false;
  held_ = {};
  lingering_ = std::make_unique<Lingering>(loop_, [this] { OnLingerTimer(); });
  lingering_->period = linger;
  RestartLinger();
  UpdateReading();  // so that the peer is not reset for what it still sends
  loop_.AtTurnEnd(this);
}

void SocketStream::EndSending() {
  if (state_ != State::kOpen || end_sending_) return;
  end_sending_ = true;
  want_write_ = false;
  if (!blocked_) loop_.AtTurnEnd(this);
}

void SocketStream::Abort() {
  if (IsGone()) return;
  linger reset{.l_onoff = 1, .l_linger = 0};
  setsockopt(socket_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  handler_ = nullptr;
  owner_ = nullptr;
  Release();
}

const SocketAddress& SocketStream::local() const {
  if (local_ == nullptr) {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    auto* address = reinterpret_cast<sockaddr*>(&storage);
    bool known = socket_.is_open() && getsockname(socket_.get(), address, &length) == 0;
    local_ = std::make_unique<SocketAddress>(known ? address : nullptr, length);
  }
  return *local_;
}

std::string_view SocketStream::server_name() const {
  return tls_ != nullptr ? std::string_view(tls_->server_name()) : std::string_view();
}

void SocketStream::OnReady(uint32_t events) {
  if ((events & EPOLLOUT) != 0 && !OnWritable()) return;
  if ((events & ~EPOLLOUT) != 0 && !OnReadable(events)) return;
  // What is ready to leave leaves now and not at the end of the turn: what it is made of is in the
  // processor's caches, and the next stream finds its memory there.
  if (!want_write_ || !is_queued()) return;
  loop_.CancelTurnEnd(this);
  OnTurnEnd();
}

void SocketStream::OnTurnEnd() {
  if (IsGone()) {
    if (why_gone_ == nullptr || handler_ == nullptr) return;
    Error why = std::move(*why_gone_);
    why_gone_.reset();
    std::exchange(handler_, nullptr)->OnClosed(why);
    return;
  }
  if (state_ == State::kHandshaking) {
    AdvanceHandshake({});
    return;
  }
  if (reads_first_ || looks_again_) {
    if (!OnReadable(EPOLLIN)) return;
    reads_first_ = false;
    looks_again_ = false;
  }
  if ((input_held_ || end_untold_) && !DeliverHeld()) return;
  if (!blocked_ && !Flush()) return;
  if (!is_watched_) WatchLate();
}

void SocketStream::Arm(uint32_t events) {
  if (events == armed_events_) return;
  armed_events_ = events;
  if (is_watched_) loop_.Rewatch(socket_.get(), events, this);
}

/// After OpenReading. One without a handler has most likely ended with its first bytes, and is
/// destroyed in this turn; else SetHandler leads here again.
void SocketStream::WatchLate() {
  if (handler_ == nullptr && state_ == State::kOpen) return;
  if (ShouldLookAgain()) {
    looks_again_ = true;
    return loop_.AtTurnEndWithin(this, siblings_->prompt_ends.within());
  }
  auto watched = loop_.Watch(socket_.get(), armed_events_, this);
  if (watched) {
    is_watched_ = true;
  } else {
    End(std::move(watched.error()));
  }
}

/// Not for one that has sent nothing yet, or waits for something else than the peer's next bytes.
bool SocketStream::ShouldLookAgain() {
  if (std::exchange(has_looked_, true) || siblings_ == nullptr) return false;
  if (state_ != State::kOpen || counters_.bytes_in == 0 || blocked_ || !MayRead()) return false;
  return siblings_->prompt_ends.ShouldLook(loop_.now());
}

bool SocketStream::End(Error why) {
  bool handshaking = state_ == State::kHandshaking;
  Release();
  if (handshaking) {
    if (owner_ != nullptr) {
      std::exchange(owner_, nullptr)->OnHandshake(this, unexpected(std::move(why)));
    }
  } else if (handler_ != nullptr) {
    std::exchange(handler_, nullptr)->OnClosed(why);
  } else {
    why_gone_ = std::make_unique<Error>(std::move(why));
  }
  return false;
}

bool SocketStream::Fail(std::string_view reason, std::string message) {
  Fault fault = role_ == Role::kAccepted ? Fault::kClient : Fault::kOrigin;
  return End(Error{fault, std::string(reason), peer_.ToString() + ": " + std::move(message)});
}

bool SocketStream::FailWith(std::string_view what, int error_number) {
  std::string_view reason = "io_error";
  if (error_number == ECONNRESET || error_number == EPIPE) reason = "reset";
  if (error_number == ETIMEDOUT) reason = "timed_out";
  return Fail(reason, std::string(what) + ": " + strerrordesc_np(error_number));
}

void SocketStream::Release() {
  if (IsGone()) return;
  state_ = State::kGone;
  loop_.CancelTurnEnd(this);
  if (is_watched_) loop_.Forget(socket_.get());
  socket_.Close();
  DropUnsent();
  held_ = {};
  lingering_.reset();
  if (siblings_ != nullptr) --std::exchange(siblings_, nullptr)->live;
}

size_t SocketStream::OutstandingBytes() const {
  int queued = 0;
  if (ioctl(socket_.get(), SIOCOUTQ, &queued) != 0) queued = 0;
  return unsent_bytes() + static_cast<size_t>(queued);
}

/// All is sent: what is left is the peer's end.
void SocketStream::BeginLinger() {
  state_ = State::kLingering;
  lingering_->periods = 0;
  RestartLinger();
}

void SocketStream::RestartLinger() {
  lingering_->outstanding = OutstandingBytes();
  lingering_->timer.Arm(lingering_->period);
}

void SocketStream::OnLingerTimer() {
  bool progress = OutstandingBytes() < lingering_->outstanding;
  bool patient =
      ++lingering_->periods < (state_ == State::kClosing ? kMaxClosingPeriods : kMaxLingerPeriods);
  if (progress && patient) {
    RestartLinger();
    return;
  }
  if (state_ == State::kClosing) {
    Fail("close_timeout", "did not take what was sent before the close");
    return;
  }
  End(Error{Fault::kSelf, "closed", "closed by us; the peer had not closed in time"});
}

}  // namespace nearside::net
