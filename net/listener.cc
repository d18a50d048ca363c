#include "net/listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <unordered_map>
#include <utility>

#include "net/descriptor.h"
#include "net/proxy_greeting.h"
#include "net/socket_stream.h"
#include "net/tls_context.h"
#include "runtime/log.h"

namespace nearside::net {

namespace {

constexpr int kAcceptBatch = 64;           // of one turn, so that a flood does not starve the rest
constexpr int kSingleTurns = 8;            // with one each, before it is more
constexpr milliseconds kAcceptPause{100};  // when the system has no descriptors or memory
constexpr seconds kProxyLogPause{60};
/// The system counts in times that it asks a client again: once, after a second.
constexpr int kDeferSeconds = 1;

tl::unexpected<Error> ListenError(const SocketAddress& address, int error) {
  std::string at = "cannot listen on " + address.ToString() + ": ";
  switch (error) {
    case EADDRINUSE:
      return Fail(Fault::kOperator, "address_in_use",
                  at + "another process has it; stop that one or set another address");
    case EACCES:
    case EPERM:
      return Fail(Fault::kOperator, "no_permission",
                  at + "not permitted; ports under 1024 need CAP_NET_BIND_SERVICE");
    case EADDRNOTAVAIL:
      return Fail(Fault::kOperator, "bad_address",
                  at + "no interface of this machine has the address");
    case EAFNOSUPPORT:
      return Fail(Fault::kOperator, "bad_address", at + "this machine has no such address family");
    default:
      return FailErrno(at + "socket", error);
  }
}

Result<Descriptor> BoundSocket(const SocketAddress& address, bool reuse_port) {
  if (!address.is_set()) {
    return Fail(Fault::kOperator, "bad_address", "cannot listen: no address was given");
  }
  Descriptor socket(::socket(address.family(), SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!socket.is_open()) return ListenError(address, errno);
  int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (reuse_port) setsockopt(socket.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  if (address.family() == AF_INET6) {
    setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on);
  }
  // Accepted sockets inherit it.
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (bind(socket.get(), address.get(), address.length()) != 0) return ListenError(address, errno);
  return socket;
}

/// A failure costs a wake-up for each connection, and nothing else.
void DeferAccept(int socket) {
  const int seconds = kDeferSeconds;
  setsockopt(socket, IPPROTO_TCP, TCP_DEFER_ACCEPT, &seconds, sizeof seconds);
}

class TcpListener final : public Listener, private Watcher, private HandshakeOwner {
 public:
  TcpListener(EventLoop& loop, const ListenerOptions& options, std::shared_ptr<TlsServer> tls,
              OnStream on_stream)
      : loop_(loop),
        options_(options),
        tls_(std::move(tls)),
        on_stream_(std::make_shared<OnStream>(std::move(on_stream))),
        resume_(loop, [this] { Resume(); }),
        siblings_(std::make_shared<Siblings>(options.look_again)) {}

  ~TcpListener() override {
    StopAccepting();
    if (destroyed_ != nullptr) *destroyed_ = true;
  }

  Status Open() {
    if (options_.inherited >= 0) {
      socket_ = Descriptor(options_.inherited);
    } else {
      auto bound = BoundSocket(options_.address, options_.reuse_port);
      if (!bound) return unexpected(bound.error());
      socket_ = std::move(*bound);
    }
    if (options_.defers_accept) DeferAccept(socket_.get());
    if (listen(socket_.get(), options_.backlog) != 0) return ListenError(options_.address, errno);
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    auto* name = reinterpret_cast<sockaddr*>(&storage);
    if (getsockname(socket_.get(), name, &length) != 0) return FailErrno("getsockname", errno);
    address_ = SocketAddress(name, length);
    return loop_.Watch(socket_.get(), EPOLLIN, this);
  }

  void SetTls(std::shared_ptr<TlsServer> tls) override { tls_ = std::move(tls); }

  void SetProxies(std::shared_ptr<const AddressRanges> proxies) override {
    options_.proxies = std::move(proxies);
  }

  void StopAccepting() override {
    resume_.Disarm();
    if (!socket_.is_open()) return;
    loop_.Unwatch(socket_.get());
    socket_.Close();
  }

  const SocketAddress& address() const override { return address_; }
  int descriptor() const override { return socket_.get(); }
  const ListenerCounters& counters() const override { return counters_; }

 private:
  struct Handshake {
    Handshake(EventLoop& loop, std::unique_ptr<SocketStream> s, std::function<void()> on_timeout)
        : stream(std::move(s)), timeout(loop, std::move(on_timeout)) {}
    std::unique_ptr<SocketStream> stream;
    Timer timeout;
  };

  void OnReady(uint32_t) override {
    const bool goes_on = loop_.turns() == last_turn_ + 1;
    full_turns_ = goes_on ? std::min(full_turns_ + 1, kSingleTurns + 6) : 0;
    last_turn_ = loop_.turns();
    const int batch = BatchAfter(full_turns_);
    bool destroyed = false;
    destroyed_ = &destroyed;
    for (int i = 0; i < batch && socket_.is_open(); ++i) {
      const bool again = AcceptOne();
      if (destroyed) return;
      if (!again) full_turns_ = -1;
      if (!again) break;
    }
    destroyed_ = nullptr;
  }

  /// One connection a turn, since a second accept4 would most often find none; after some turns in
  /// a row in which that left something, twice as many each.
  static int BatchAfter(int full_turns) {
    if (full_turns < kSingleTurns) return 1;
    return std::min(2 << (full_turns - kSingleTurns), kAcceptBatch);
  }

  /// False when there is nothing more to accept now.
  bool AcceptOne() {
    sockaddr_storage storage{};
    socklen_t length = sizeof storage;
    auto* name = reinterpret_cast<sockaddr*>(&storage);
    Descriptor accepted(accept4(socket_.get(), name, &length, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!accepted.is_open()) return OnAcceptError(errno);
    if (siblings_->live + greetings_.size() >= options_.max_connections) {
      ++counters_.refused_full;
      return true;
    }
    ++counters_.accepted;
    const SocketAddress peer(name, length);
    if (options_.proxy_protocol) {
      Greet(std::move(accepted), peer);
    } else {
      Adopt(std::move(accepted), peer, false);
    }
    return true;
  }

  bool OnAcceptError(int error) {
    if (error == EAGAIN) return false;
    // A connection that broke while it waited says nothing about the next one.
    if (error == ECONNABORTED || error == EINTR || error == EPROTO) return true;
    ++counters_.accept_errors;
    loop_.Unwatch(socket_.get());
    resume_.Arm(kAcceptPause);
    return false;
  }

  void Resume() {
    if (!loop_.Watch(socket_.get(), EPOLLIN, this)) resume_.Arm(kAcceptPause);
  }

  void Greet(Descriptor socket, const SocketAddress& peer) {
    if (options_.proxies == nullptr || !options_.proxies->Contains(peer)) {
      return RefuseProxy(ProxyRefusal::kUntrusted, peer);
    }
    auto greeting = std::make_unique<ProxyGreeting>(
        loop_, std::move(socket), peer,
        [this](ProxyGreeting* done, ProxyRefusal refusal) { OnGreeting(done, refusal); });
    if (!greeting->Start(options_.handshake_timeout)) {
      ++counters_.accept_errors;
      return;
    }
    ProxyGreeting* key = greeting.get();
    greetings_.emplace(key, std::move(greeting));
  }

  void OnGreeting(ProxyGreeting* greeting, ProxyRefusal refusal) {
    auto found = greetings_.extract(greeting);
    if (refusal != ProxyRefusal::kNone) return RefuseProxy(refusal, greeting->peer());
    Adopt(greeting->TakeSocket(), greeting->peer(), greeting->over_tls());
  }

  /// Counts it; one line a minute says why, since every further one says the same.
  void RefuseProxy(ProxyRefusal refusal, const SocketAddress& peer) {
    ++counters_.proxy_refused[static_cast<size_t>(refusal)];
    if (proxy_logged_ && loop_.now() - *proxy_logged_ < kProxyLogPause) return;
    proxy_logged_ = loop_.now();
    Log(Level::kWarning, "proxy_header_refused",
        {{"listener", address_.ToString()},
         {"peer", peer.ToString()},
         {"reason", ProxyRefusalName(refusal)},
         {"error", ProxyRefusalText(refusal)}});
  }

  /// `over_tls`: the client's TLS ended at a proxy before us.
  void Adopt(Descriptor socket, const SocketAddress& peer, bool over_tls) {
    SocketStream::Parts parts{.socket = std::move(socket), .peer = peer, .over_tls = over_tls};
    if (tls_ != nullptr) {
      auto session = TlsSession::Accept(std::static_pointer_cast<TlsServerContext>(tls_));
      if (!session) {
        ++counters_.handshakes_failed;
        return;
      }
      parts.tls = std::move(*session);
    }
    ++siblings_->live;
    parts.siblings = siblings_;
    auto stream = std::make_unique<SocketStream>(loop_, std::move(parts));
    if (options_.reads_first && tls_ == nullptr) {
      stream->OpenReading();
    } else if (!stream->Open(false)) {
      ++counters_.accept_errors;
      return;
    }
    if (tls_ == nullptr) {
      HandOver(std::move(stream));
    } else {
      StartHandshake(std::move(stream));
    }
  }

  void StartHandshake(std::unique_ptr<SocketStream> stream) {
    SocketStream* key = stream.get();
    auto handshake = std::make_unique<Handshake>(loop_, std::move(stream), [this, key] {
      ++counters_.handshakes_timed_out;
      handshakes_.erase(key);
    });
    handshake->timeout.Arm(options_.handshake_timeout);
    handshakes_.emplace(key, std::move(handshake));
    key->StartHandshake(this);
  }

  void OnHandshake(SocketStream* stream, Status status) override {
    auto found = handshakes_.extract(stream);
    if (!status) {
      ++counters_.handshakes_failed;
      return;
    }
    HandOver(std::move(found.mapped()->stream));
  }

  void HandOver(std::unique_ptr<SocketStream> stream) {
    // Held, because it may destroy this listener.
    std::shared_ptr<OnStream> on_stream = on_stream_;
    (*on_stream)(std::move(stream));
  }

  EventLoop& loop_;
  ListenerOptions options_;
  std::shared_ptr<TlsServer> tls_;
  std::shared_ptr<OnStream> on_stream_;
  Descriptor socket_;
  SocketAddress address_;
  ListenerCounters counters_;
  Timer resume_;
  std::shared_ptr<Siblings> siblings_;
  std::unordered_map<ProxyGreeting*, std::unique_ptr<ProxyGreeting>> greetings_;
  std::unordered_map<SocketStream*, std::unique_ptr<Handshake>> handshakes_;
  uint64_t last_turn_ = 0;  // of the loop, in which something was to be accepted
  int full_turns_ = 0;      // in a row before that one, each of which accepted all that it wanted
  std::optional<MonoTime> proxy_logged_;
  bool* destroyed_ = nullptr;
};

}  // namespace

Result<std::unique_ptr<Listener>> Listener::Open(EventLoop& loop, const ListenerOptions& options,
                                                 std::shared_ptr<TlsServer> tls,
                                                 OnStream on_stream) {
  auto listener =
      std::make_unique<TcpListener>(loop, options, std::move(tls), std::move(on_stream));
  if (auto opened = listener->Open(); !opened) return unexpected(opened.error());
  return listener;
}

Status Listener::CheckFree(const SocketAddress& address) {
  auto bound = BoundSocket(address, false);
  if (!bound) return unexpected(bound.error());
  // bind alone lets two sockets with SO_REUSEADDR share an address until one listens.
  if (listen(bound->get(), 1) != 0) return ListenError(address, errno);
  return {};
}

}  // namespace nearside::net
