#include "origin/tls_front.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <span>
#include <system_error>

#include "net/stream.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

/// The API is spoken in HTTP/1.1.
std::vector<std::string> ApiAlpn() { return {"http/1.1"}; }

constexpr milliseconds kLingerTime{2000};
/// A client that takes nothing of an answer whose sender has closed. The gate waits for no such
/// client, so it must not hold its place here either. (A slow one takes 64 KiB in this time.)
constexpr milliseconds kStallTime = seconds(120);
constexpr uint32_t kInnerEvents = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;

}  // namespace

/// One connection: what the client sends goes into the inner socket, what comes out of that goes to
/// the client. Neither side is read further than the other takes it.
class TlsFront::Passage final : public net::StreamHandler,
                                public net::Watcher,
                                public net::Disposable {
 public:
  Passage(TlsFront& front, std::unique_ptr<net::Stream> stream, net::Descriptor inner)
      : front_(front),
        stream_(std::move(stream)),
        inner_(std::move(inner)),
        end_(*front.loop_, [this] { End(); }),
        stall_(*front.loop_, [this] { OnStall(); }) {}
  ~Passage() override { Leave(); }

  Status Begin() {
    if (Status watched = front_.loop_->Watch(inner_.get(), kInnerEvents, this); !watched) {
      return watched;
    }
    stream_->SetHandler(this);
    return {};
  }

  void OnBytes(std::span<const uint8_t> bytes) override {
    if (inner_gone_) return;
    if (waiting_.empty()) bytes = bytes.subspan(SendInner(bytes));
    if (inner_gone_ || bytes.empty()) return;
    waiting_.insert(waiting_.end(), bytes.begin(), bytes.end());
    stream_->PauseReading();
  }

  void OnEnd() override {
    client_ended_ = true;
    if (waiting_.empty()) ::shutdown(inner_.get(), SHUT_WR);
  }

  bool Produce(net::Output& output) override {
    const std::span<uint8_t> scratch = front_.loop_->input_scratch();
    while (output.room() > 0 && !inner_ended_) {
      const size_t wanted = std::min(output.room(), scratch.size());
      const ssize_t n = ::recv(inner_.get(), scratch.data(), wanted, MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return false;
      if (n <= 0) {
        inner_ended_ = true;
        end_.Arm(milliseconds(0));  // the stream may not be closed from here
        return false;
      }
      output.Append(scratch.first(static_cast<size_t>(n)));
      if (stall_.armed()) stall_.Arm(kStallTime);
    }
    return !inner_ended_;
  }

  void OnClosed(const Error&) override { front_.Remove(this); }

  void OnReady(uint32_t events) override {
    if ((events & EPOLLOUT) != 0) SendWaiting();
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 && !inner_ended_) {
      stream_->WantWrite();
    }
    if ((events & EPOLLHUP) != 0 && !inner_ended_) stall_.Arm(kStallTime);
  }

  /// It is about to be destroyed: nothing more reaches it.
  void Leave() {
    end_.Disarm();
    stall_.Disarm();
    front_.loop_->Unwatch(inner_.get());
  }

 private:
  void End() {
    stall_.Disarm();  // the stream itself waits no longer than it should from here on
    stream_->Close(kLingerTime);
  }

  void OnStall() {
    stream_->Abort();
    front_.Remove(this);
  }

  /// How many bytes the inner socket has taken.
  size_t SendInner(std::span<const uint8_t> bytes) {
    size_t sent = 0;
    while (sent < bytes.size()) {
      const ssize_t n = ::send(inner_.get(), bytes.data() + sent, bytes.size() - sent,
                               MSG_DONTWAIT | MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) break;
      if (n < 0) {
        inner_gone_ = true;  // nobody wants more; what was answered still goes out
        break;
      }
      sent += static_cast<size_t>(n);
    }
    return sent;
  }

  void SendWaiting() {
    if (waiting_.empty()) return;
    const size_t sent = SendInner(waiting_);
    waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(sent));
    if (inner_gone_) waiting_.clear();
    if (!waiting_.empty()) return;
    waiting_.shrink_to_fit();
    if (client_ended_) {
      ::shutdown(inner_.get(), SHUT_WR);
    } else {
      stream_->ResumeReading();
    }
  }

  TlsFront& front_;
  std::unique_ptr<net::Stream> stream_;
  net::Descriptor inner_;
  std::vector<uint8_t> waiting_;  ///< from the client, until the inner socket has room
  net::Timer end_;
  net::Timer stall_;  ///< armed once nobody is behind any more: what was answered is still to go
  bool client_ended_ = false;
  bool inner_ended_ = false;  ///< it has told all it had to say
  bool inner_gone_ = false;   ///< it takes nothing any more
};

TlsFront::TlsFront(OnConnection on_connection) : on_connection_(std::move(on_connection)) {}

Result<std::unique_ptr<TlsFront>> TlsFront::Open(const Options& options,
                                                 const std::vector<net::Certificate>& certificates,
                                                 OnConnection on_connection) {
  std::unique_ptr<TlsFront> front(new TlsFront(std::move(on_connection)));
  auto loop = net::EventLoop::Create();
  if (!loop) return unexpected(std::move(loop.error()));
  front->loop_ = std::move(*loop);
  auto tls = net::TlsServer::Create(certificates, ApiAlpn(), front->ticket_keys_);
  if (!tls) return unexpected(std::move(tls.error()));
  for (const net::SocketAddress& address : options.addresses) {
    auto listener =
        net::Listener::Open(*front->loop_,
                            {.address = address,
                             .reuse_port = false,
                             .max_connections = options.connections,
                             .handshake_timeout = options.handshake_timeout},
                            *tls, [raw = front.get()](std::unique_ptr<net::Stream> stream) {
                              raw->Admit(std::move(stream));
                            });
    if (!listener) return unexpected(std::move(listener.error()));
    front->listeners_.push_back(std::move(*listener));
  }
  return front;
}

TlsFront::~TlsFront() {
  if (thread_.joinable()) {
    loop_->Stop();
    thread_.join();
  }
  listeners_.clear();
  passages_.clear();
  if (loop_) loop_->DestroyDisposed();
}

void TlsFront::Start() {
  thread_ = std::thread([this] { loop_->Run(); });
}

void TlsFront::Admit(std::unique_ptr<net::Stream> stream) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0) {
    return Log(Level::kWarning, "accept_failed",
               {{"error", std::generic_category().message(errno)}});
  }
  net::Descriptor theirs(ends[1]);
  std::string client = stream->peer().Ip();
  auto passage = std::make_unique<Passage>(*this, std::move(stream), net::Descriptor(ends[0]));
  if (Status begun = passage->Begin(); !begun) {
    return Log(Level::kWarning, "accept_failed", {{"error", begun.error().ToString()}});
  }
  Passage* begun_passage = passage.get();
  passages_.emplace(begun_passage, std::move(passage));
  ++open_;
  on_connection_(std::move(theirs), std::move(client));
}

void TlsFront::Remove(Passage* passage) {
  const auto found = passages_.find(passage);
  if (found == passages_.end()) return;
  passage->Leave();
  loop_->DisposeLater(std::move(found->second));
  passages_.erase(found);
  --open_;
}

void TlsFront::UseCertificates(std::vector<net::Certificate> certificates) {
  loop_->Post([this, certificates = std::move(certificates)] {
    auto tls = net::TlsServer::Create(certificates, ApiAlpn(), ticket_keys_);
    if (!tls) {
      return Log(Level::kError, "certificate_refused", {{"error", tls.error().message}});
    }
    for (const auto& listener : listeners_) listener->SetTls(*tls);
  });
}

void TlsFront::Drain() {
  loop_->Post([this] {
    for (const auto& listener : listeners_) listener->StopAccepting();
  });
}

std::vector<net::SocketAddress> TlsFront::addresses() const {
  std::vector<net::SocketAddress> addresses;
  for (const auto& listener : listeners_) addresses.push_back(listener->address());
  return addresses;
}

}  // namespace nearside::origin
