// How long those who wait for one fetch wait for its first byte once the origin has sent it: many
// requests for one cold object over several workers of a real edge, an origin on loopback. Prints;
// asserts nothing but that one request reached the origin.
//
//   fill_wake [--waiters 1000 --workers 2 --rounds 50 --body 65536]
//
// Run it alone on the machine; the figures in docs/ are of the release preset.

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdio>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "edge/node.h"
#include "edge/worker.h"
#include "net/address.h"
#include "net/descriptor.h"
#include "net/worker_group.h"
#include "runtime/fatal.h"
#include "tests/edge/fake_exchange.h"
#include "tests/edge/messages.h"

namespace nearside::edge {
namespace {

struct Options {
  size_t waiters = 1000;
  size_t workers = 2;
  size_t rounds = 50;
  size_t body_bytes = 65536;
};

/// Answers each request when the round says so, and notes when.
class GatedOrigin {
 public:
  explicit GatedOrigin(size_t body_bytes)
      : answer_("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: " +
                std::to_string(body_bytes) + "\r\n\r\n" + std::string(body_bytes, 'x')),
        listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const auto any = net::SocketAddress::Parse("127.0.0.1:0").value();
    if (::bind(listener_.get(), any.get(), any.length()) != 0) Fatal("no port is free");
    if (::listen(listener_.get(), 16) != 0) Fatal("cannot listen");
    sockaddr_storage bound{};
    socklen_t length = sizeof bound;
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&bound), &length);
    url_ = "http://" + net::SocketAddress(reinterpret_cast<sockaddr*>(&bound), length).ToString();
    acceptor_ = std::thread([this] { Accept(); });
  }
  /// When nobody is connected any more.
  ~GatedOrigin() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    acceptor_.join();
    for (std::thread& server : servers_) server.join();
  }
  const std::string& url() const { return url_; }
  size_t asked() const { return asked_; }
  /// Lets one answer go.
  void Open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_one();
  }
  /// Just before the last answer was sent.
  MonoTime sent() const { return sent_; }

 private:
  /// Each worker has connections of its own.
  void Accept() {
    while (true) {
      const int socket = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) return;
      servers_.emplace_back([this, socket] { Serve(net::Descriptor(socket)); });
    }
  }

  void Serve(const net::Descriptor& connection) {
    const int on = 1;
    ::setsockopt(connection.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    std::string heads;
    char bytes[4096];
    while (true) {
      const ssize_t got = ::recv(connection.get(), bytes, sizeof bytes, 0);
      if (got <= 0) return;
      heads.append(bytes, static_cast<size_t>(got));
      const size_t end = heads.find("\r\n\r\n");
      if (end == std::string::npos) continue;
      heads.erase(0, end + 4);
      ++asked_;
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return open_; });
      open_ = false;
      sent_ = MonoNow();
      ::send(connection.get(), answer_.data(), answer_.size(), MSG_NOSIGNAL);
    }
  }

  const std::string answer_;
  net::Descriptor listener_;
  std::string url_;
  std::atomic<size_t> asked_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  MonoTime sent_;
  std::thread acceptor_;
  std::vector<std::thread> servers_;
};

/// Counts things down; one thread waits for the last.
class Countdown {
 public:
  explicit Countdown(size_t left) : left_(left) {}
  void Count() {
    const std::lock_guard lock(mutex_);
    if (--left_ == 0) done_.notify_one();
  }
  void Await() {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return left_ == 0; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable done_;
  size_t left_;
};

/// A client that takes its body as it comes and notes when the first of it did.
class WaitingClient final : public http::Exchange {
 public:
  WaitingClient(http::RequestHead request, net::EventLoop& loop, Countdown& ended)
      : request_(std::move(request)), stream_(&loop), ended_(ended) {}
  ~WaitingClient() override {
    if (handler_) handler_->OnFinished({.complete = true, .body_bytes = taken_, .reason = {}});
    source_.reset();
  }

  const http::RequestHead& request() const override { return request_; }
  void SetScheme(std::string_view scheme) override { request_.scheme = scheme; }
  bool has_body() const override { return false; }
  http::Version version() const override { return http::Version::kHttp2; }
  const net::Stream& stream() const override { return stream_; }
  uint64_t id() const override { return 1; }
  MonoTime started() const override { return started_; }
  void SetHandler(std::unique_ptr<http::ExchangeHandler> handler) override {
    handler_ = std::move(handler);
  }
  void ConsumedBody(size_t) override {}
  void SendInterim(int, const http::Fields&) override {}
  void WantBody() override {}
  void Respond(int, std::span<const http::FieldLine>, std::span<const http::FieldLine>,
               std::unique_ptr<http::BodySource> body) override {
    source_ = std::move(body);
    Take();
  }
  /// Nobody asks for another protocol here.
  void SwitchProtocol(std::span<const http::FieldLine>,
                      std::unique_ptr<http::BodySource>) override {}
  void Resume() override { Take(); }
  void Abort() override {}

  MonoTime first_byte;
  uint64_t taken() const { return taken_; }

 private:
  void Take() {
    if (over_) return;
    std::span<const uint8_t> piece;
    while (source_) {
      const auto state = source_->Peek(&piece);
      if (state == http::BodySource::State::kWait) return;
      if (state != http::BodySource::State::kReady) break;
      if (taken_ == 0) first_byte = MonoNow();
      taken_ += piece.size();
      source_->Consume(piece.size());
    }
    over_ = true;
    ended_.Count();
  }

  http::RequestHead request_;
  FakeStream stream_;
  Countdown& ended_;
  const MonoTime started_ = MonoNow();
  std::unique_ptr<http::BodySource> source_;
  std::unique_ptr<http::ExchangeHandler> handler_;
  uint64_t taken_ = 0;
  bool over_ = false;
};

class Bench {
 public:
  explicit Bench(const Options& options)
      : options_(options),
        origin_(options.body_bytes),
        group_(std::move(*net::WorkerGroup::Create(options.workers))) {
    storage::CacheOptions cache;
    cache.memory = 256_MiB;
    auto store = storage::CacheStore::Open(
        cache, [](const storage::Head& head) { return DecodeStored(head.meta); });
    if (!store) Fatal(store.error().message);
    node_ = std::make_unique<Node>("bench", std::move(*store), std::move(*LineLog::Open("off")));
    EdgeSettings settings = SettingsWith();
    settings.listen.clear();  // clients come by OnRequest
    settings.sites[0].origins = {origin_.url()};
    const auto configuration = std::make_shared<const Configuration>(std::move(settings));
    for (size_t i = 0; i < options.workers; ++i) {
      workers_.push_back(std::make_unique<Worker>(*node_, group_->loop(i), configuration));
      if (!workers_.back()->Open({}, net::TicketKeys::Random())) Fatal("no worker");
    }
    group_->Start([](size_t) {});
  }
  ~Bench() {
    group_->Stop();
    workers_.clear();  // their loops stand still
  }

  void Run() {
    for (size_t round = 0; round < options_.rounds; ++round) RunRound(round);
    std::sort(waits_.begin(), waits_.end());
    const auto at = [this](double share) {
      return std::chrono::duration<double, std::micro>(
                 waits_[static_cast<size_t>(share * static_cast<double>(waits_.size() - 1))])
          .count();
    };
    std::printf(
        "%zu waiters, %zu workers, %zu rounds, body of %zu bytes: from the origin's first byte to "
        "a waiter's: %.0f us in the middle, %.0f at p90, %.0f at p99, %.0f the longest\n",
        options_.waiters, options_.workers, options_.rounds, options_.body_bytes, at(0.5), at(0.9),
        at(0.99), at(1));
  }

 private:
  void RunRound(size_t round) {
    const std::string url = "https://www.demo.test/" + std::to_string(round);
    Countdown ended(options_.waiters);
    std::vector<std::vector<std::unique_ptr<WaitingClient>>> clients(options_.workers);
    Countdown asked(options_.workers);
    for (size_t i = 0; i < options_.workers; ++i) {
      const size_t share = (options_.waiters + i) / options_.workers;
      group_->loop(i).Post([&, i, share] {
        for (size_t n = 0; n < share; ++n) {
          clients[i].push_back(
              std::make_unique<WaitingClient>(GetFor(url), group_->loop(i), ended));
          workers_[i]->OnRequest(*clients[i].back());
        }
        asked.Count();
      });
    }
    asked.Await();  // each of them waits for the fetch, or leads it
    origin_.Open();
    ended.Await();
    if (origin_.asked() != round + 1) Fatal("more than one request reached the origin");
    for (const auto& of_worker : clients) {
      for (const auto& client : of_worker) {
        if (client->taken() != options_.body_bytes) Fatal("a body is not whole");
        waits_.push_back(client->first_byte - origin_.sent());
      }
    }
    Countdown gone(options_.workers);
    for (size_t i = 0; i < options_.workers; ++i) {
      group_->loop(i).Post([&, i] {
        clients[i].clear();
        gone.Count();
      });
    }
    gone.Await();
  }

  const Options options_;
  GatedOrigin origin_;
  std::unique_ptr<net::WorkerGroup> group_;
  std::unique_ptr<Node> node_;
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<MonoTime::duration> waits_;
};

}  // namespace
}  // namespace nearside::edge

int main(int argc, char** argv) {
  nearside::edge::Options options;
  CLI::App app("How long waiters of one fetch wait for its first byte.");
  app.add_option("--waiters", options.waiters)->check(CLI::Range(1, 100'000));
  app.add_option("--workers", options.workers)->check(CLI::Range(1, 64));
  app.add_option("--rounds", options.rounds)->check(CLI::Range(1, 10'000));
  app.add_option("--body", options.body_bytes)->check(CLI::Range(1, 1 << 24));
  CLI11_PARSE(app, argc, argv);
  nearside::edge::Bench(options).Run();
  return 0;
}
