// From the socket to the handler: one recv for each readiness event, into the loop's shared buffer.

#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <utility>

#include "net/socket_stream.h"

namespace nearside::net {

bool SocketStream::MayRead() const {
  if (input_ended_) return false;
  if (state_ == State::kOpen) return handler_ != nullptr && !paused_ && !input_held_;
  return !IsGone();
}

void SocketStream::UpdateReading() {
  if (MayRead()) Arm((armed_events_ | EPOLLIN) & ~uint32_t{EPOLLET});
}

bool SocketStream::OnReadable(uint32_t events) {
  if (!MayRead()) {
    if ((events & (EPOLLERR | EPOLLHUP)) == 0) {
      Arm(armed_events_ & ~EPOLLIN);
      return true;
    }
    if (fin_sent_ && (events & EPOLLERR) == 0) {
      // Both sides have ended, and what the peer sent waits to be read: being told once is enough.
      Arm((armed_events_ & ~EPOLLIN) | EPOLLET);
      return true;
    }
    int error = write_error_;
    socklen_t length = sizeof error;
    if (error == 0) getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length);
    return FailWith("connection", error != 0 ? error : ECONNRESET);
  }
  std::span<uint8_t> scratch = loop_.input_scratch();
  ssize_t taken = recv(socket_.get(), scratch.data(), scratch.size(), 0);
  if (looks_again_) siblings_->prompt_ends.Learn(taken == 0 || (taken < 0 && errno != EAGAIN));
  if (taken > 0) {
    counters_.bytes_in += static_cast<uint64_t>(taken);
    return Receive(scratch.first(static_cast<size_t>(taken)));
  }
  if (taken == 0) return OnPeerFin();
  if (errno == EAGAIN || errno == EINTR) return true;
  return FailWith("recv", write_error_ != 0 ? write_error_ : errno);
}

bool SocketStream::Receive(std::span<const uint8_t> raw) {
  if (state_ == State::kHandshaking) return AdvanceHandshake(raw);
  if (state_ == State::kOpen) return Deliver(raw);
  return true;  // after Close nobody wants it
}

bool SocketStream::AdvanceHandshake(std::span<const uint8_t> raw) {
  std::span<uint8_t> room = loop_.output_scratch();
  tls_->SetInput(raw);
  tls_->SetOutput(room);
  TlsSession::Step step = tls_->Handshake();
  std::span<const uint8_t> rest = tls_->input();
  std::span<const uint8_t> flight = room.first(tls_->output_bytes());
  tls_->SetInput({});
  tls_->SetOutput({});
  if (step == TlsSession::Step::kNeedInput) {
    Send(flight);
    return true;
  }
  if (step == TlsSession::Step::kEnded) return Fail("tls_failed", "ended TLS in the handshake");
  if (step == TlsSession::Step::kFailed) {
    Send(flight);  // the alert
    return Fail(tls_->failure_reason(), "TLS " + tls_->failure());
  }
  // The last flight (a ticket, or a client's Finished) leaves with the first bytes of the protocol.
  KeepUnsent(flight);
  if (!blocked_ && !flight.empty()) loop_.AtTurnEnd(this);
  state_ = State::kOpen;
  HandshakeOwner* owner = std::exchange(owner_, nullptr);
  if (!CallOut([&] { owner->OnHandshake(this, {}); })) return false;
  return rest.empty() || state_ != State::kOpen || Deliver(rest);
}

bool SocketStream::Deliver(std::span<const uint8_t> raw) {
  if (handler_ == nullptr) {
    Hold(raw);
    return true;
  }
  if (tls_ != nullptr) return DeliverTls(raw);
  return raw.empty() || CallOut([&] { handler_->OnBytes(raw); });
}

bool SocketStream::DeliverTls(std::span<const uint8_t> raw) {
  std::span<uint8_t> plain = loop_.plain_scratch();
  TlsSession::Step step = TlsSession::Step::kDone;
  tls_->SetInput(raw);
  while (step == TlsSession::Step::kDone && state_ == State::kOpen) {
    if (handler_ == nullptr) {
      Hold(tls_->input());
      break;
    }
    size_t filled = 0;
    tls_->SetOutput(loop_.output_scratch());
    do {
      size_t bytes = 0;
      step = tls_->Read(plain.subspan(filled), &bytes);
      filled += bytes;
    } while (step == TlsSession::Step::kDone && filled < plain.size());
    if (!KeepControlOutput()) return false;
    if (filled > 0 && !CallOut([&] { handler_->OnBytes(plain.first(filled)); })) return false;
  }
  tls_->SetInput({});
  if (state_ != State::kOpen) return true;
  if (step == TlsSession::Step::kEnded) return EndInput();
  if (step != TlsSession::Step::kFailed) return true;
  if (!blocked_) TrySend(std::exchange(unsent_, {}));  // the alert, if the socket takes it
  return Fail("tls_failed", "TLS " + tls_->failure());
}

void SocketStream::Hold(std::span<const uint8_t> raw) {
  held_.insert(held_.end(), raw.begin(), raw.end());
  input_held_ = true;
}

bool SocketStream::DeliverHeld() {
  if (state_ != State::kOpen || handler_ == nullptr || paused_) return true;
  if (input_held_) {
    // OpenSSL may hold decrypted bytes even if nothing raw is left.
    std::vector<uint8_t> raw = std::exchange(held_, {});
    input_held_ = false;
    if (!Deliver(raw)) return false;
  }
  if (end_untold_ && state_ == State::kOpen && handler_ != nullptr) {
    end_untold_ = false;
    return CallOut([&] { handler_->OnEnd(); });
  }
  UpdateReading();
  return true;
}

bool SocketStream::OnPeerFin() {
  if (write_error_ != 0) return FailWith("send", write_error_);
  switch (state_) {
    case State::kHandshaking:
      return Fail("tls_failed", "closed the connection during the TLS handshake");
    case State::kLingering:
      return End(Error{Fault::kSelf, "closed", "closed by us"});
    case State::kOpen:
      // RFC 8446 §6.1, RFC 9112 §9.8: without close_notify it may be a truncation attack.
      if (tls_ != nullptr) return Fail("truncated", "closed without TLS close_notify");
      break;
    default:
      break;
  }
  return EndInput();
}

/// The next event disarms EPOLLIN: most streams are gone by then.
bool SocketStream::EndInput() {
  input_ended_ = true;
  if (state_ != State::kOpen) return true;
  if (handler_ == nullptr) {
    end_untold_ = true;
    return true;
  }
  return CallOut([&] { handler_->OnEnd(); });
}

}  // namespace nearside::net
