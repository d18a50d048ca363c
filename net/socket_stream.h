#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "net/descriptor.h"
#include "net/prompt_ends.h"
#include "net/stream.h"
#include "net/tls_session.h"
#include "runtime/recycled.h"

namespace nearside::net {

class SocketStream;

/// What a listener and its streams share.
struct Siblings {
  explicit Siblings(milliseconds look_again) : prompt_ends(look_again) {}
  size_t live = 0;  ///< streams that have not ended
  PromptEnds prompt_ends;
};

/// Who waits for a stream's TLS handshake: its listener or its connector.
class HandshakeOwner {
 public:
  virtual ~HandshakeOwner() = default;
  /// The handshake is over. The owner takes the stream out of its hands on success, and may destroy
  /// it either way. Called once, never from inside StartHandshake.
  virtual void OnHandshake(SocketStream* stream, Status status) = 0;
};

/// The one implementation of Stream: a connected non-blocking socket, with TLS when it has a
/// session.
///
///   handshaking → open → closing (unsent bytes leave) → lingering (until the peer's FIN) → gone
///
/// Any callback may destroy the stream: whoever calls out asks a Guard afterwards.
class SocketStream final : public Stream,
                           public Recycled<SocketStream>,
                           private Watcher,
                           private TurnEnd {
 public:
  /// Whose fault it is when the connection breaks.
  enum class Role { kAccepted, kConnected };

  struct Parts {
    Descriptor socket;
    SocketAddress peer;
    Role role = Role::kAccepted;
    bool over_tls = false;               ///< the peer spoke TLS to a proxy, where it ended
    std::unique_ptr<TlsSession> tls;     ///< null: cleartext
    std::shared_ptr<Siblings> siblings;  ///< may be null
  };

  SocketStream(EventLoop& loop, Parts parts);
  ~SocketStream() override;

  /// Begins to watch the socket. Without TLS the stream is open at once.
  /// `watched`: the loop knows the descriptor already, under another watcher. Error: kSelf.
  Status Open(bool watched);
  /// Instead of Open, for a peer that has most likely sent something already: reads at the end of
  /// this turn, answers, and begins to watch the socket after that, or after a second look in the
  /// next turn, by Siblings::prompt_ends. Without TLS.
  void OpenReading();
  /// After Open, with TLS: tells `owner` (who must outlive the stream's handshake) when it is done.
  void StartHandshake(HandshakeOwner* owner);

  void SetHandler(StreamHandler* handler) override;
  void WantWrite() override;
  void PauseReading() override;
  void ResumeReading() override;
  void Close(milliseconds linger) override;
  void EndSending() override;
  void Abort() override;
  size_t unsent_bytes() const override { return unsent_.size() - unsent_from_; }
  const StreamCounters& counters() const override { return counters_; }
  EventLoop& loop() override { return loop_; }
  const SocketAddress& peer() const override { return peer_; }
  const SocketAddress& local() const override;
  std::string_view alpn() const override { return tls_ ? tls_->alpn() : std::string_view(); }
  std::string_view server_name() const override;
  bool is_tls() const override { return tls_ != nullptr; }
  bool is_https() const override { return is_tls() || over_tls_; }
  bool Covers(std::string_view host) const override { return !tls_ || tls_->Covers(host); }

 private:
  enum class State { kHandshaking, kOpen, kClosing, kLingering, kGone };
  class Guard;
  struct Lingering;

  void OnReady(uint32_t events) override;
  void OnTurnEnd() override;
  /// Calls the handler or the owner. False: the stream is gone, and `this` perhaps with it.
  template <typename Call>
  bool CallOut(Call call);
  bool IsGone() const { return state_ == State::kGone; }
  void Arm(uint32_t events);
  void WatchLate();
  bool ShouldLookAgain();

  // Input (socket_stream_input.cc). A false answer means what CallOut's means.
  bool MayRead() const;
  void UpdateReading();
  bool OnReadable(uint32_t events);
  bool Receive(std::span<const uint8_t> raw);
  bool AdvanceHandshake(std::span<const uint8_t> raw);
  bool Deliver(std::span<const uint8_t> raw);
  bool DeliverTls(std::span<const uint8_t> raw);
  bool DeliverHeld();
  void Hold(std::span<const uint8_t> raw);
  bool OnPeerFin();
  bool EndInput();

  // Output (socket_stream_output.cc).
  bool Flush();
  bool OnWritable();
  bool OnAllSent();
  bool OnWriteError();
  void Send(std::span<const uint8_t> wire);
  size_t TrySend(std::span<const uint8_t> wire);
  void KeepUnsent(std::span<const uint8_t> wire);
  void DropUnsent();
  bool KeepControlOutput();

  // Ends (socket_stream.cc). Always false, for `return End(…)`.
  bool End(Error why);
  bool Fail(std::string_view reason, std::string message);
  bool FailWith(std::string_view what, int error_number);
  void Release();
  void BeginLinger();
  void RestartLinger();
  void OnLingerTimer();
  size_t OutstandingBytes() const;

  EventLoop& loop_;
  Descriptor socket_;
  SocketAddress peer_;
  bool over_tls_;
  mutable std::unique_ptr<SocketAddress> local_;  // asked for when it is wanted
  std::unique_ptr<TlsSession> tls_;
  std::shared_ptr<Siblings> siblings_;
  StreamHandler* handler_ = nullptr;
  HandshakeOwner* owner_ = nullptr;
  bool* destroyed_ = nullptr;  // of the innermost Guard on the stack
  StreamCounters counters_;

  std::vector<uint8_t> unsent_;  // wire bytes that have yet to leave, from unsent_from_ on
  size_t unsent_from_ = 0;
  std::vector<uint8_t> held_;        // raw input that came while there was no handler
  std::unique_ptr<Error> why_gone_;  // for a handler that is not there yet
  std::unique_ptr<Lingering> lingering_;

  uint32_t armed_events_ = 0;
  uint32_t budget_;
  int write_error_ = 0;  // errno of a send; what the peer had sent before is still read
  State state_ = State::kOpen;
  Role role_;
  bool is_watched_ = false;
  bool reads_first_ = false;  // OpenReading: it has not come to that yet
  bool looks_again_ = false;  // ... it has, and is not watched before a second look
  bool has_looked_ = false;   // ... or that was not worth it
  bool want_write_ = false;
  bool blocked_ = false;  // the socket was full: EPOLLOUT is awaited
  bool paused_ = false;
  bool input_held_ = false;    // in held_ or in OpenSSL
  bool input_ended_ = false;   // FIN or close_notify was read
  bool end_untold_ = false;    // ... and no handler knows
  bool end_sending_ = false;   // FIN is to follow what was produced
  bool fin_sent_ = false;      // ... and did, while reading goes on
  bool drain_untold_ = false;  // bytes were produced since the last OnDrained
};

/// Notices when a callback destroys the stream. Guards nest.
class SocketStream::Guard {
 public:
  explicit Guard(SocketStream* stream) : stream_(stream), outer_(stream->destroyed_) {
    stream->destroyed_ = &destroyed_;
  }
  ~Guard() {
    if (!destroyed_) {
      stream_->destroyed_ = outer_;
    } else if (outer_ != nullptr) {
      *outer_ = true;
    }
  }
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;
  bool IsGone() const { return destroyed_ || stream_->IsGone(); }

 private:
  SocketStream* stream_;
  bool* outer_;
  bool destroyed_ = false;
};

template <typename Call>
bool SocketStream::CallOut(Call call) {
  Guard guard(this);
  call();
  return !guard.IsGone();
}

}  // namespace nearside::net
