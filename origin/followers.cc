#include "origin/followers.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include "runtime/log.h"

namespace nearside::origin {

/// One stream. At most one batch of messages waits in memory for a slow reader.
class Followers::Follower final : public net::Watcher {
 public:
  Follower(Followers& owner, net::Descriptor socket, LogTail::Place place, std::string token)
      : owner_(owner),
        socket_(std::move(socket)),
        place_(place),
        token_(std::move(token)),
        heartbeat_(*owner.loop_, [this] { OnHeartbeat(); }) {}
  ~Follower() override { Unwatch(); }

  const std::string& token() const { return token_; }

  /// No event reaches it from now on.
  void Unwatch() {
    if (std::exchange(watched_, false)) owner_.loop_->Unwatch(socket_.get());
  }

  bool Open(std::string first) {
    out_ = std::move(first);
    watched_ = owner_.loop_->Watch(socket_.get(), EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET, this)
                   .has_value();
    heartbeat_.Arm(owner_.options_.heartbeat);
    return watched_;
  }

  /// Sends what there is. The stream may be gone afterwards.
  void Pump() {
    while (true) {
      while (sent_ < out_.size()) {
        const ssize_t n = ::send(socket_.get(), out_.data() + sent_, out_.size() - sent_,
                                 MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n <= 0) return owner_.Remove(this);
        sent_ += static_cast<size_t>(n);
      }
      out_.clear();
      sent_ = 0;
      const LogTail::Place before = place_;
      if (!Fill()) return owner_.Remove(this);
      if (place_ == before) return;
      heartbeat_.Arm(owner_.options_.heartbeat);
    }
  }

  void OnReady(uint32_t events) override {
    if ((events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0 && !StillThere()) {
      return owner_.Remove(this);
    }
    if ((events & EPOLLOUT) != 0) Pump();
  }

 private:
  bool Fill() {
    const LogTail::Place before = place_;
    if (!owner_.tail_.Next(&place_, &out_)) return false;
    owner_.sent_events_ += place_ - before;
    return true;
  }

  /// A follower sends nothing; what it sends is dropped, and its end ends the stream.
  bool StillThere() {
    char dropped[512];
    while (true) {
      const ssize_t n = ::recv(socket_.get(), dropped, sizeof dropped, MSG_DONTWAIT);
      if (n > 0 || (n < 0 && errno == EINTR)) continue;
      return n < 0 && errno == EAGAIN;
    }
  }

  void OnHeartbeat() {
    heartbeat_.Arm(owner_.options_.heartbeat);
    if (!out_.empty()) return;  // it does not read what it has
    out_ = ": heartbeat\n\n";
    Pump();
  }

  Followers& owner_;
  net::Descriptor socket_;
  LogTail::Place place_;
  const std::string token_;
  net::Timer heartbeat_;
  std::string out_;
  size_t sent_ = 0;
  bool watched_ = false;
};

Followers::Followers(storage::EventLog& log, const FollowersOptions& options, Callbacks callbacks)
    : tail_(log), options_(options), callbacks_(std::move(callbacks)) {}

Result<std::unique_ptr<Followers>> Followers::Start(storage::EventLog& log,
                                                    const FollowersOptions& options,
                                                    Callbacks callbacks) {
  std::unique_ptr<Followers> followers(new Followers(log, options, std::move(callbacks)));
  if (Status opened = followers->Open(); !opened) return unexpected(std::move(opened.error()));
  return followers;
}

Status Followers::Open() {
  Result<std::unique_ptr<net::EventLoop>> loop = net::EventLoop::Create();
  if (!loop) return unexpected(std::move(loop.error()));
  loop_ = std::move(*loop);
  if (Status opened = tail_.Open(); !opened) return opened;
  timer_ = std::make_unique<net::Timer>(*loop_, [this] { Tick(); });
  timer_->Arm(options_.poll);
  thread_ = std::thread([this] { loop_->Run(); });
  return {};
}

Followers::~Followers() {
  if (thread_.joinable()) {
    loop_->Stop();
    thread_.join();
  }
  followers_.clear();
  timer_.reset();
}

void Followers::Tick() {
  timer_->Arm(options_.poll);
  Look();
  callbacks_.on_tick();
}

void Followers::Look() {
  Result<LogTail::News> news = tail_.Look();
  if (!news) return;  // tried again in a moment; the API tells of it
  callbacks_.on_look(tail_.state());
  EndThoseWithout();
  if (news->replaced) {
    Log(Level::kError, "event_log_replaced", {{"epoch", tail_.state().last.epoch}});
    callbacks_.on_news("");
    return RemoveAll();
  }
  if (news->sites.empty()) return;
  for (const std::string& site : news->sites) callbacks_.on_news(site);
  std::vector<Follower*> all;
  for (const auto& [follower, owner] : followers_) all.push_back(follower);
  for (Follower* follower : all) {
    if (followers_.contains(follower)) follower->Pump();
  }
  if (news->more) Wake();
}

/// A stream has no end of its own: whose token is revoked or has expired is told nothing further.
void Followers::EndThoseWithout() {
  std::vector<Follower*> ended;
  for (const auto& [follower, owner] : followers_) {
    if (!follower->token().empty() && !callbacks_.may_follow(follower->token())) {
      ended.push_back(follower);
    }
  }
  for (Follower* follower : ended) Remove(follower);
}

void Followers::Follow(net::Descriptor socket, std::optional<storage::LogPosition> after,
                       std::string token) {
  ++count_;
  auto shared = std::make_shared<net::Descriptor>(std::move(socket));
  loop_->Post(
      [this, shared, after, token = std::move(token)] { Add(std::move(*shared), after, token); });
}

void Followers::Add(net::Descriptor socket, std::optional<storage::LogPosition> after,
                    std::string token) {
  Look();
  LogTail::Place place = 0;
  std::optional<std::string> first = tail_.Begin(after, loop_->wall_now(), &place);
  if (!first) {
    --count_;
    return;
  }
  auto owner = std::make_unique<Follower>(*this, std::move(socket), place, std::move(token));
  Follower* follower = owner.get();
  followers_.emplace(follower, std::move(owner));
  if (!follower->Open(*std::move(first))) return Remove(follower);
  follower->Pump();
}

namespace {

template <typename T>
struct Later final : net::Disposable {
  explicit Later(std::unique_ptr<T> o) : object(std::move(o)) {}
  std::unique_ptr<T> object;
};

}  // namespace

void Followers::Remove(Follower* follower) {
  const auto found = followers_.find(follower);
  if (found == followers_.end()) return;
  --count_;
  follower->Unwatch();
  loop_->DisposeLater(std::make_unique<Later<Follower>>(std::move(found->second)));
  followers_.erase(found);
}

void Followers::Wake() {
  loop_->Post([this] { Look(); });
}

void Followers::RemoveAll() {
  while (!followers_.empty()) Remove(followers_.begin()->first);
}

void Followers::CloseAll() {
  loop_->Post([this] { RemoveAll(); });
}

}  // namespace nearside::origin
