#include "net/resolver.h"

#include <ares.h>
#include <netdb.h>
#include <sys/epoll.h>
#include <sys/stat.h>

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "net/tls_context.h"

namespace nearside::net {

namespace {

constexpr seconds kLeastTtl{1};  // also of failures
constexpr seconds kMostTtl{3600};
constexpr size_t kMaxCachedNames = 4096;
constexpr char kResolvConf[] = "/etc/resolv.conf";

using Answer = Result<std::vector<SocketAddress>>;

tl::unexpected<Error> LookupError(const std::string& host, int status) {
  std::string_view reason = "resolve_failed";
  if (status == ARES_ENOTFOUND || status == ARES_ENODATA) reason = "no_such_name";
  if (status == ARES_ETIMEOUT) reason = "resolve_timeout";
  return Fail(Fault::kOrigin, reason, host + ": " + ares_strerror(status));
}

class AresResolver final : public Resolver, private TurnEnd {
 public:
  AresResolver(EventLoop& loop, const ResolverOptions& options)
      : loop_(loop), options_(options), timer_(loop, [this] { Process(ARES_SOCKET_BAD, 0); }) {}

  ~AresResolver() override {
    loop_.CancelTurnEnd(this);
    if (destroyed_ != nullptr) *destroyed_ = true;
    closing_ = true;
    if (channel_ != nullptr) ares_destroy(channel_);
  }

  Status Open() {
    static const int library = ares_library_init(ARES_LIB_INIT_ALL);
    if (library != ARES_SUCCESS) return SetupError(library);
    ares_options wanted{};
    wanted.timeout = static_cast<int>(options_.timeout.count());
    wanted.tries = options_.tries;
    wanted.sock_state_cb = OnSocketState;
    wanted.sock_state_cb_data = this;
    int mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES | ARES_OPT_SOCK_STATE_CB;
    resolv_conf_time_ = ResolvConfTime();
    int status = ares_init_options(&channel_, &wanted, mask);
    if (status != ARES_SUCCESS) return SetupError(status);
    if (options_.servers.empty()) return {};
    status = ares_set_servers_ports_csv(channel_, options_.servers.c_str());
    if (status == ARES_SUCCESS) return {};
    return Fail(
        Fault::kOperator, "bad_address",
        "\"" + options_.servers + "\" is no list of name servers: expected \"127.0.0.1:53\"");
  }

  void Resolve(const std::string& host, uint16_t port, OnDone on_done) override {
    if (auto literal = SocketAddress::FromLiteral(host, port)) {
      Ready(std::move(on_done), std::vector<SocketAddress>{*literal}, port);
      return;
    }
    std::string name = CanonicalHost(host);
    auto cached = cache_.find(name);
    if (cached != cache_.end() && cached->second.expires > MonoNow()) {
      Ready(std::move(on_done), cached->second.answer, port);
      return;
    }
    std::vector<Waiter>& waiters = waiting_[name];
    waiters.push_back({port, std::move(on_done)});
    if (waiters.size() == 1) Look(name);
  }

 private:
  struct Cached {
    Answer answer;  // with port 0
    MonoTime expires;
  };
  struct Waiter {
    uint16_t port;
    OnDone on_done;
  };
  struct Lookup {
    AresResolver* resolver;
    std::string name;
  };
  class Socket final : public Watcher, public Disposable {
   public:
    Socket(AresResolver* resolver, int fd) : resolver_(resolver), fd_(fd) {}
    void OnReady(uint32_t events) override { resolver_->Process(fd_, events); }

   private:
    AresResolver* resolver_;
    int fd_;
  };

  static tl::unexpected<Error> SetupError(int status) {
    return Fail(Fault::kSelf, "resolver_setup", std::string("c-ares: ") + ares_strerror(status));
  }

  static timespec ResolvConfTime() {
    struct stat file {};
    if (stat(kResolvConf, &file) != 0) return {};
    return file.st_mtim;
  }

  void Look(const std::string& name) {
    FollowResolvConf();
    ares_addrinfo_hints hints{};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    auto lookup = std::make_unique<Lookup>(Lookup{this, name});
    ares_getaddrinfo(channel_, name.c_str(), nullptr, &hints, OnAnswer, lookup.get());
    static_cast<void>(lookup.release());  // OnAnswer's, which may have run already
    ArmTimer();
  }

  /// A network that came up later changes the file, and c-ares reads it only at the start.
  void FollowResolvConf() {
    if (!options_.servers.empty() || waiting_.size() > 1) return;
    timespec now = ResolvConfTime();
    if (now.tv_sec == resolv_conf_time_.tv_sec && now.tv_nsec == resolv_conf_time_.tv_nsec) return;
    ares_channel old = std::exchange(channel_, nullptr);
    if (Open()) {
      ares_destroy(old);
    } else {
      channel_ = old;
    }
  }

  static void OnSocketState(void* self, ares_socket_t fd, int readable, int writable) noexcept {
    static_cast<AresResolver*>(self)->WatchSocket(fd, readable != 0, writable != 0);
  }

  void WatchSocket(int fd, bool readable, bool writable) {
    auto known = sockets_.find(fd);
    if (!readable && !writable) {
      if (known == sockets_.end()) return;
      loop_.Unwatch(fd);
      loop_.DisposeLater(std::move(known->second));  // it may be what was called
      sockets_.erase(known);
      return;
    }
    uint32_t events = (readable ? EPOLLIN : 0U) | (writable ? EPOLLOUT : 0U);
    if (known != sockets_.end()) {
      loop_.Rewatch(fd, events, known->second.get());
      return;
    }
    auto socket = std::make_unique<Socket>(this, fd);
    // If the loop cannot watch it, c-ares' timeout ends the query.
    if (loop_.Watch(fd, events, socket.get())) sockets_.emplace(fd, std::move(socket));
  }

  void Process(int fd, uint32_t events) {
    bool reads = (events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0;
    bool writes = (events & EPOLLOUT) != 0;
    ares_process_fd(channel_, reads ? fd : ARES_SOCKET_BAD, writes ? fd : ARES_SOCKET_BAD);
    ArmTimer();
  }

  void ArmTimer() {
    timeval wait{};
    if (ares_timeout(channel_, nullptr, &wait) == nullptr) {
      timer_.Disarm();
      return;
    }
    auto exact = seconds(wait.tv_sec) + std::chrono::microseconds(wait.tv_usec);
    timer_.Arm(std::chrono::ceil<milliseconds>(exact));
  }

  static void OnAnswer(void* argument, int status, int, ares_addrinfo* found) noexcept {
    std::unique_ptr<Lookup> lookup(static_cast<Lookup*>(argument));
    if (!lookup->resolver->closing_) lookup->resolver->Take(lookup->name, status, found);
    if (found != nullptr) ares_freeaddrinfo(found);
  }

  void Take(const std::string& name, int status, const ares_addrinfo* found) {
    std::vector<SocketAddress> addresses;
    seconds ttl = kMostTtl;
    for (const auto* node = found != nullptr ? found->nodes : nullptr; node != nullptr;
         node = node->ai_next) {
      ttl = std::min(ttl, seconds(node->ai_ttl));
      addresses.emplace_back(node->ai_addr, static_cast<socklen_t>(node->ai_addrlen));
    }
    Answer answer = LookupError(name, status == ARES_SUCCESS ? ARES_ENODATA : status);
    if (status == ARES_SUCCESS && !addresses.empty()) answer = std::move(addresses);
    if (!answer) ttl = kLeastTtl;
    if (cache_.size() >= kMaxCachedNames) cache_.clear();
    cache_.insert_or_assign(name, Cached{answer, MonoNow() + std::max(ttl, kLeastTtl)});
    auto waiting = waiting_.extract(name);
    for (Waiter& waiter : waiting.mapped()) Ready(std::move(waiter.on_done), answer, waiter.port);
  }

  void Ready(OnDone on_done, Answer answer, uint16_t port) {
    if (answer) {
      for (SocketAddress& address : *answer) address.set_port(port);
    }
    ready_.emplace_back(std::move(on_done), std::move(answer));
    loop_.AtTurnEnd(this);
  }

  void OnTurnEnd() override {
    bool destroyed = false;
    destroyed_ = &destroyed;
    auto ready = std::exchange(ready_, {});
    for (auto& [on_done, answer] : ready) {
      on_done(std::move(answer));
      if (destroyed) return;
    }
    destroyed_ = nullptr;
  }

  EventLoop& loop_;
  ResolverOptions options_;
  Timer timer_;
  ares_channel channel_ = nullptr;
  timespec resolv_conf_time_{};
  bool closing_ = false;
  bool* destroyed_ = nullptr;
  std::unordered_map<int, std::unique_ptr<Socket>> sockets_;
  std::unordered_map<std::string, Cached> cache_;
  std::unordered_map<std::string, std::vector<Waiter>> waiting_;
  std::vector<std::pair<OnDone, Answer>> ready_;
};

}  // namespace

Result<std::unique_ptr<Resolver>> Resolver::Create(EventLoop& loop,
                                                   const ResolverOptions& options) {
  auto resolver = std::make_unique<AresResolver>(loop, options);
  if (auto opened = resolver->Open(); !opened) return unexpected(opened.error());
  return resolver;
}

}  // namespace nearside::net
