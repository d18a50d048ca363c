#include "http/session/server.h"

#include <algorithm>
#include <atomic>
#include <string>
#include <utility>
#include <vector>

#include "http/session/connection.h"

namespace nearside::http {

namespace {

/// Exchange ids: a worker's number above, a count below.
constexpr int kIdBits = 40;
std::atomic<uint64_t> next_worker{1};

/// For so long memory of connections that are gone is at hand for those that come.
constexpr milliseconds kTrimAfter{1000};
/// Between two parts of what is given back then.
constexpr milliseconds kTrimPause{20};

constexpr std::string_view kHttp2Preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

enum class Protocol { kHttp1, kHttp2 };

/// Takes over a stream whose protocol is known, with the bytes that told it.
class ProtocolChooser {
 public:
  virtual ~ProtocolChooser() = default;
  virtual void OnProtocol(Protocol protocol, std::unique_ptr<net::Stream> stream,
                          std::string_view early) = 0;
};

/// A cleartext connection until it is known what it speaks: HTTP/2 begins with its preface (RFC
/// 9113 §3.4), which is no valid HTTP/1.1 request.
class SniffedConnection final : public Connection {
 public:
  SniffedConnection(SessionContext& context, std::unique_ptr<net::Stream> stream,
                    const SessionLimits& limits, ProtocolChooser& chooser)
      : Connection(context, std::move(stream), limits), chooser_(chooser) {}

  void Start(std::span<const uint8_t>) override {
    Expect(Wait::kIdle, limits().idle_timeout);
    stream().SetHandler(this);
  }
  void Drain() override { Kill("shutdown"); }
  void Kill(std::string_view) override {
    if (ended()) return;
    stream().Abort();
    End();
  }

 private:
  void OnBytes(std::span<const uint8_t> bytes) override {
    early_ += AsText(bytes);
    const bool http2 = early_.starts_with(kHttp2Preface);
    if (!http2 && kHttp2Preface.starts_with(early_)) {
      if (!Expects(Wait::kHead)) Expect(Wait::kHead, limits().head_timeout);
      return;
    }
    std::unique_ptr<net::Stream> stream = TakeStream();
    End();
    chooser_.OnProtocol(http2 ? Protocol::kHttp2 : Protocol::kHttp1, std::move(stream), early_);
  }
  void OnEnd() override { Kill("client_gone"); }
  bool Produce(net::Output&) override { return false; }
  void OnClosed(const Error&) override { End(); }
  void OnTimeout(Wait wait) override {
    if (wait == Wait::kHead) ++counters().timeouts;
    Kill("timeout");
  }
  bool OutputWaits() const override { return false; }

  ProtocolChooser& chooser_;
  std::string early_;
};

class Sessions final : public ServerSessions, private ConnectionOwner, private ProtocolChooser {
 public:
  Sessions(net::EventLoop& loop, Application& application, const SessionLimits& limits)
      : limits_(limits),
        context_{.loop = loop,
                 .application = application,
                 .owner = *this,
                 .next_exchange_id = next_worker.fetch_add(1) << kIdBits},
        deadline_(loop, [this] { KillAll("drain_deadline"); }),
        trim_(loop, [this] { TrimMemory(); }) {}
  ~Sessions() override { connections_.clear(); }

  void Adopt(std::unique_ptr<net::Stream> stream) override {
    ++context_.counters.connections;
    if (stream->alpn() == "h2") {
      Begin(MakeHttp2Connection(context_, std::move(stream), limits_), {});
    } else if (stream->is_tls()) {
      Begin(MakeHttp1Connection(context_, std::move(stream), limits_), {});
    } else {
      Begin(std::make_unique<SniffedConnection>(context_, std::move(stream), limits_,
                                                static_cast<ProtocolChooser&>(*this)),
            {});
    }
  }

  void SetLimits(const SessionLimits& limits) override { limits_ = limits; }

  void Drain(milliseconds deadline, std::function<void()> on_drained) override {
    draining_ = true;
    on_drained_ = std::move(on_drained);
    deadline_.Arm(deadline);
    for (Connection* connection : Snapshot()) connection->Drain();
    TellDrained();
  }

  size_t open_connections() const override { return connections_.size(); }
  size_t open_exchanges() const override { return context_.open_exchanges; }
  const SessionCounters& counters() const override { return context_.counters; }

 private:
  void OnConnectionEnd(Connection* connection) override {
    const size_t place = connection->place;
    std::swap(connections_[place], connections_.back());
    connections_[place]->place = place;
    context_.loop.DisposeLater(std::move(connections_.back()));
    connections_.pop_back();
    --context_.counters.open;
    if (!trim_.armed()) trim_.Arm(kTrimAfter);
    TellDrained();
  }

  void OnProtocol(Protocol protocol, std::unique_ptr<net::Stream> stream,
                  std::string_view early) override {
    Begin(protocol == Protocol::kHttp2 ? MakeHttp2Connection(context_, std::move(stream), limits_)
                                       : MakeHttp1Connection(context_, std::move(stream), limits_),
          early);
  }

  void Begin(std::unique_ptr<Connection> connection, std::string_view early) {
    ++context_.counters.open;
    connection->place = connections_.size();
    Connection* begun = connections_.emplace_back(std::move(connection)).get();
    begun->Start(AsBytes(early));
    if (draining_) begun->Drain();
  }

  void TrimMemory() {
    SessionMemory& memory = *context_.memory;
    if (!trimming_) memory.BeginTrim();
    trimming_ = memory.Trim();
    if (trimming_) {
      trim_.Arm(kTrimPause);
    } else if (memory.HasSurplus()) {
      trim_.Arm(kTrimAfter);
    }
  }

  std::vector<Connection*> Snapshot() const {
    std::vector<Connection*> all;
    for (const auto& connection : connections_) all.push_back(connection.get());
    return all;
  }

  void KillAll(std::string_view reason) {
    for (Connection* connection : Snapshot()) connection->Kill(reason);
  }

  void TellDrained() {
    if (!connections_.empty() || !on_drained_) return;
    deadline_.Disarm();
    context_.loop.Post(std::exchange(on_drained_, nullptr));
  }

  SessionLimits limits_;
  SessionContext context_;
  net::Timer deadline_;
  net::Timer trim_;
  bool trimming_ = false;
  std::function<void()> on_drained_;
  bool draining_ = false;
  std::vector<std::unique_ptr<Connection>> connections_;
};

}  // namespace

std::unique_ptr<ServerSessions> ServerSessions::Create(net::EventLoop& loop,
                                                       Application& application,
                                                       const SessionLimits& limits) {
  return std::make_unique<Sessions>(loop, application, limits);
}

SessionCounters& SessionCounters::operator+=(const SessionCounters& other) {
  connections += other.connections;
  open += other.open;
  requests_http11 += other.requests_http11;
  requests_http2 += other.requests_http2;
  bad_requests += other.bad_requests;
  too_large += other.too_large;
  timeouts += other.timeouts;
  slow_reads += other.slow_reads;
  slow_bodies += other.slow_bodies;
  abuse_closed += other.abuse_closed;
  protocol_errors += other.protocol_errors;
  resets_by_client += other.resets_by_client;
  bytes_in += other.bytes_in;
  bytes_out += other.bytes_out;
  return *this;
}

}  // namespace nearside::http
