// From the handler to the socket: at the end of a turn all of its answers leave in one send.

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "net/socket_stream.h"
#include "net/turn_output.h"

namespace nearside::net {

namespace {

// A flush produces between these: more while the socket takes everything, less when it was full, so
// that a slow reader holds little memory and a fast one costs few system calls.
constexpr uint32_t kLeastBudget = 64 << 10;
constexpr uint32_t kMostBudget = 256 << 10;
// Answers to TLS alerts and key updates, of a peer that sends these and reads nothing.
constexpr size_t kMaxUnsentControl = size_t{1} << 20;

}  // namespace

bool SocketStream::Flush() {
  if (write_error_ != 0) return true;  // waiting for the end of what the peer had sent
  bool producing = want_write_ && handler_ != nullptr && state_ == State::kOpen;
  TurnOutput output(loop_, tls_.get(), budget_);
  output.AppendWire(std::span(unsent_).subspan(unsent_from_));
  DropUnsent();
  bool more = false;
  if (producing) {
    want_write_ = false;
    if (!CallOut([&] { more = handler_->Produce(output); })) return false;
    if (!output.Seal()) return Fail("tls_failed", "TLS " + tls_->failure());
    if (output.produced() > 0) drain_untold_ = true;
    // A handler that has more but gave nothing would be asked in vain for ever.
    more = more && output.produced() > 0 && state_ == State::kOpen && !end_sending_;
    want_write_ = want_write_ || more;
  }
  if (state_ == State::kClosing || end_sending_) output.AppendCloseNotify();
  Send(output.wire());
  if (write_error_ != 0) return OnWriteError();
  if (blocked_) return true;
  if (more) {
    loop_.AtTurnEnd(this);  // others first
    return true;
  }
  return OnAllSent();
}

bool SocketStream::OnAllSent() {
  if (state_ == State::kClosing) {
    if (input_ended_) return End(Error{Fault::kSelf, "closed", "closed by both sides"});
    shutdown(socket_.get(), SHUT_WR);
    BeginLinger();
    return true;
  }
  if (end_sending_ && !fin_sent_) {
    fin_sent_ = true;
    shutdown(socket_.get(), SHUT_WR);
  }
  if (!drain_untold_ || state_ != State::kOpen || handler_ == nullptr) return true;
  drain_untold_ = false;
  return CallOut([&] { handler_->OnDrained(); });
}

bool SocketStream::OnWritable() {
  if (!blocked_) {
    // Left armed by the last time: a stream that is often full is spared two system calls each
    // time.
    Arm(armed_events_ & ~EPOLLOUT);
    return true;
  }
  unsent_from_ += TrySend(std::span(unsent_).subspan(unsent_from_));
  if (write_error_ != 0) return OnWriteError();
  if (unsent_bytes() > 0) return true;
  DropUnsent();
  blocked_ = false;
  loop_.AtTurnEnd(this);
  return true;
}

bool SocketStream::OnWriteError() {
  DropUnsent();
  want_write_ = false;
  blocked_ = false;
  // A peer that answered early and closed has perhaps said why: what it sent is read to its end
  // first.
  bool peer_left = write_error_ == EPIPE || write_error_ == ECONNRESET;
  if (peer_left && MayRead()) return true;
  return FailWith("send", write_error_);
}

void SocketStream::Send(std::span<const uint8_t> wire) {
  if (wire.empty() || write_error_ != 0) return;
  size_t sent = blocked_ ? 0 : TrySend(wire);
  if (write_error_ != 0) return;
  if (sent == wire.size()) {
    if (sent >= budget_ - budget_ / 4) budget_ = std::min(budget_ * 2, kMostBudget);
    return;
  }
  KeepUnsent(wire.subspan(sent));
  if (blocked_) return;
  blocked_ = true;
  budget_ = std::max(budget_ / 2, kLeastBudget);
  Arm(armed_events_ | EPOLLOUT);
}

size_t SocketStream::TrySend(std::span<const uint8_t> wire) {
  if (wire.empty()) return 0;
  ssize_t sent = send(socket_.get(), wire.data(), wire.size(), MSG_NOSIGNAL);
  if (sent >= 0) {
    counters_.bytes_out += static_cast<uint64_t>(sent);
    return static_cast<size_t>(sent);
  }
  if (errno != EAGAIN && errno != EINTR) write_error_ = errno;
  return 0;
}

void SocketStream::KeepUnsent(std::span<const uint8_t> wire) {
  unsent_.insert(unsent_.end(), wire.begin(), wire.end());
}

void SocketStream::DropUnsent() {
  if (unsent_.capacity() > 0) unsent_ = {};
  unsent_from_ = 0;
}

bool SocketStream::KeepControlOutput() {
  size_t bytes = tls_->output_bytes();
  if (bytes == 0) return true;
  if (unsent_bytes() + bytes > kMaxUnsentControl) {
    return Fail("tls_failed", "sends TLS control messages and does not read the answers");
  }
  KeepUnsent(loop_.output_scratch().first(bytes));
  tls_->SetOutput({});
  if (!blocked_) loop_.AtTurnEnd(this);
  return true;
}

}  // namespace nearside::net
