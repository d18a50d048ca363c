#include "geodns/tcp_session.h"

#include <sys/socket.h>

#include <utility>

#include "dns/wire.h"

namespace nearside::geodns {
namespace {

constexpr size_t kLengthBytes = 2;  // before each message (RFC 1035 §4.2.2)
/// A longer query than this is none: questions have 259 bytes at most, options a few hundred.
constexpr size_t kMaxQueryBytes = 4096;
/// Answers that wait for a slow reader; beyond this its further queries wait.
constexpr size_t kMaxUnsentBytes = 128 << 10;

}  // namespace

std::vector<uint8_t> SpareBuffers::Take() {
  if (spare_.empty()) return {};
  std::vector<uint8_t> buffer = std::move(spare_.back());
  spare_.pop_back();
  return buffer;
}

void SpareBuffers::Give(std::vector<uint8_t>& buffer) {
  std::vector<uint8_t> given = std::exchange(buffer, {});
  if (spare_.size() == kMost || given.capacity() == 0 || given.capacity() > kMostBytes) return;
  given.clear();
  spare_.push_back(std::move(given));
}

IpAddress TcpSession::AddressOf(const net::SocketAddress& peer) {
  const auto* bytes = reinterpret_cast<const uint8_t*>(peer.bytes().data());
  return peer.family() == AF_INET6 ? IpAddress::V6(bytes) : IpAddress::V4(bytes);
}

TcpSession::TcpSession(TcpContext& context, TcpSessionOwner& owner,
                       std::unique_ptr<net::Stream> stream)
    : context_(context),
      owner_(owner),
      stream_(std::move(stream)),
      client_(AddressOf(stream_->peer())),
      last_query_(context.loop.now()) {
  stream_->SetHandler(this);
}

void TcpSession::OnBytes(std::span<const uint8_t> bytes) {
  if (ending_ || ended_) return;
  if (unread_.empty()) {
    size_t taken = AnswerWholeQueries(bytes);
    if (ended_ || taken == bytes.size()) return;
    unread_.assign(bytes.begin() + static_cast<ptrdiff_t>(taken), bytes.end());
  } else {
    unread_.insert(unread_.end(), bytes.begin(), bytes.end());
    AnswerUnread();
  }
}

void TcpSession::AnswerUnread() {
  size_t taken = AnswerWholeQueries(unread_);
  if (ended_) return;
  unread_.erase(unread_.begin(), unread_.begin() + static_cast<ptrdiff_t>(taken));
}

/// Answers the whole queries at the beginning of `bytes` until too many answers wait; returns the
/// bytes taken.
size_t TcpSession::AnswerWholeQueries(std::span<const uint8_t> bytes) {
  size_t taken = 0;
  const uint64_t before = uncounted_;
  while (bytes.size() - taken >= kLengthBytes) {
    if (unsent_.size() - unsent_begin_ >= kMaxUnsentBytes) {
      paused_ = true;
      stream_->PauseReading();
      break;
    }
    size_t length = dns::Load16(bytes.data() + taken);
    bool possible = length >= dns::kHeaderBytes && length <= kMaxQueryBytes;
    if (possible && bytes.size() - taken - kLengthBytes < length) break;
    if (!possible || !AnswerQuery(bytes.subspan(taken + kLengthBytes, length))) {
      context_.desk.Count(context_.desk.metrics().tcp_broken);
      End();
      return taken;
    }
    taken += kLengthBytes + length;
  }
  if (uncounted_ != before) owner_.OnQuery(this);
  return taken;
}

/// False for what cannot be answered: such a peer speaks no DNS.
bool TcpSession::AnswerQuery(std::span<const uint8_t> query) {
  size_t size = context_.desk.Answer(query, client_, Transport::kTcp, context_.answer);
  if (size == 0) return false;
  uint8_t length[kLengthBytes];
  dns::Store16(length, static_cast<uint16_t>(size));
  if (unsent_.empty()) {
    unsent_ = context_.spare.Take();
    unsent_.reserve(kLengthBytes + size);
  }
  unsent_.insert(unsent_.end(), length, length + kLengthBytes);
  unsent_.insert(unsent_.end(), context_.answer.begin(),
                 context_.answer.begin() + static_cast<ptrdiff_t>(size));
  last_query_ = context_.loop.now();
  // Since the turn in which the query could be read: what the thread did first it has waited for.
  if (uncounted_++ == 0) uncounted_since_ = last_query_;
  stream_->WantWrite();
  return true;
}

/// The answers so far have left us, or are so many that the rest waits for another turn: whoever
/// asks so much, or reads so slowly, waits for itself.
void TcpSession::CountSent() {
  if (uncounted_ == 0) return;
  context_.desk.metrics().ObserveAnswers(context_.desk.cells(), Transport::kTcp,
                                         MonoNow() - uncounted_since_,
                                         std::exchange(uncounted_, 0));
}

bool TcpSession::Produce(net::Output& output) {
  if (ended_) return false;
  size_t waiting = unsent_.size() - unsent_begin_;
  size_t fits = std::min(waiting, output.room());
  output.Append({unsent_.data() + unsent_begin_, fits});
  unsent_begin_ += fits;
  if (fits < waiting) {
    CountSent();
    // A client that always has a query under way never lets the rest become nothing. Moving less
    // than what has been sent costs no more than sending it did.
    if (unsent_begin_ >= waiting - fits) {
      unsent_.erase(unsent_.begin(), unsent_.begin() + static_cast<ptrdiff_t>(unsent_begin_));
      unsent_begin_ = 0;
    }
    return true;
  }
  context_.spare.Give(unsent_);
  unsent_begin_ = 0;
  return false;
}

void TcpSession::OnDrained() {
  if (ended_) return;
  CountSent();
  if (std::exchange(paused_, false)) {
    AnswerUnread();
    if (ended_) return;
    if (!paused_) stream_->ResumeReading();
  }
  EndIfDone();
}

void TcpSession::OnEnd() {
  ending_ = true;
  EndIfDone();
}

void TcpSession::Drain() {
  ending_ = true;
  EndIfDone();
}

/// Queries that wait behind a pause are answered before the end.
void TcpSession::EndIfDone() {
  if (ending_ && !ended_ && is_idle()) End();
}

void TcpSession::OnClosed(const Error&) { End(); }

void TcpSession::End() {
  if (std::exchange(ended_, true)) return;
  stream_->SetHandler(nullptr);
  owner_.OnSessionEnd(this);
}

}  // namespace nearside::geodns
