#include "http/session/client.h"

#include <algorithm>
#include <list>
#include <map>
#include <utility>
#include <vector>

#include "http/http1_writer.h"
#include "http/session/client_connection.h"
#include "http/websocket.h"

namespace nearside::http {

namespace {

class EndpointPool;

/// What calls and pools of one client share.
struct ClientContext {
  net::EventLoop& loop;
  net::Resolver& resolver;
  std::shared_ptr<net::TlsClient> tls;
  ClientLimits limits;
};

/// idle → (waiting for a free connection | resolving → connecting) → on a connection → over.
class PooledCall final : public Call, private ResponseSink, private net::TurnEnd {
 public:
  PooledCall(ClientContext& context, EndpointPool& pool, CallHandler* handler,
             ClientRequest request);
  ~PooledCall() override;

  /// On a connection that is free, of its pool.
  void Attach(ClientConnection* connection);
  /// On a connection of its own making.
  void Connect();
  /// Fails at the end of this turn.
  void FailLater(Error error);
  /// In the pool's queue, for as long as a connection may take.
  void Wait();
  void StopWaiting();

  void PauseBody() override {
    if (connection_ != nullptr) connection_->PauseBody();
  }
  void ResumeBody() override {
    if (connection_ != nullptr) connection_->ResumeBody();
  }
  void ResumeRequestBody() override {
    if (connection_ != nullptr) connection_->ResumeRequestBody();
  }

 private:
  void OnInterim(int status, const Fields& fields) override { handler_->OnInterim(status, fields); }
  void OnHead(ResponseHead&& head) override { handler_->OnHead(std::move(head)); }
  void OnBody(std::span<const uint8_t> bytes) override { handler_->OnBody(bytes); }
  void OnPeerEnd() override { handler_->OnPeerEnd(); }
  void OnEnd(const Fields& trailers) override;
  void OnFailure(const Error& error, bool unanswered) override;
  void OnTurnEnd() override;
  void OnImpatience();

  void OnResolved(Result<std::vector<net::SocketAddress>> addresses);
  void TryNext();
  void OnConnected(Result<std::unique_ptr<net::Stream>> stream);
  void StopConnecting();
  void GiveUp(const Error& error) { handler_->OnFailure(error); }  // may destroy this

  ClientContext& context_;
  EndpointPool& pool_;
  CallHandler* handler_;
  ClientRequest request_;
  ClientConnection* connection_ = nullptr;
  std::unique_ptr<net::Connector> connector_;
  std::vector<net::SocketAddress> addresses_;
  size_t next_address_ = 0;
  MonoTime connect_deadline_;
  std::unique_ptr<Error> early_error_;
  net::Timer patience_;      ///< armed while in the pool's queue
  bool connecting_ = false;  ///< counted by the pool
  bool retried_ = false;
  /// For the resolver, whose answer cannot be called off.
  std::shared_ptr<PooledCall*> self_ = std::make_shared<PooledCall*>(this);
};

/// The connections to one endpoint, and the calls that wait for one.
class EndpointPool final : public ConnectionPool {
 public:
  EndpointPool(ClientContext& context, Endpoint endpoint)
      : context_(context), endpoint_(std::move(endpoint)) {}

  const Endpoint& endpoint() const { return endpoint_; }
  size_t idle() const { return idle_.size(); }
  size_t open() const { return connections_.size(); }
  bool unused() const {
    return connections_.empty() && waiting_.empty() && connecting_ == 0 && calls == 0;
  }
  size_t calls = 0;

  void Begin(PooledCall* call) {
    if (!idle_.empty()) {
      ClientConnection* connection =
          idle_.back();  // the one used last is the least likely to be stale
      idle_.pop_back();
      call->Attach(connection);
    } else if (HasRoom()) {
      call->Connect();
    } else {
      waiting_.push_back(call);
      call->Wait();
    }
  }
  /// The same, but never on a kept connection.
  void BeginAnew(PooledCall* call) {
    if (HasRoom()) {
      call->Connect();
    } else {
      waiting_.push_front(call);
      call->Wait();
    }
  }
  /// On a connection of its own if there is room.
  void BeginApart(PooledCall* call) { HasRoom() ? call->Connect() : Begin(call); }
  void StopWaiting(PooledCall* call) { waiting_.remove(call); }

  void CountConnecting() { ++connecting_; }
  void UncountConnecting() { --connecting_; }
  /// There may be room for one more.
  void ServeWaiting() {
    while (!waiting_.empty() && HasRoom()) TakeWaiting()->Connect();
  }

  ClientConnection* Add(std::unique_ptr<net::Stream> stream) {
    auto connection = std::make_unique<ClientConnection>(
        context_.loop, std::move(stream), context_.limits, endpoint_.ToString(), *this);
    connection->place = connections_.size();
    return connections_.emplace_back(std::move(connection)).get();
  }

 private:
  void OnFree(ClientConnection* connection) override {
    if (context_.loop.now() - connection->opened() >= context_.limits.connection_age) {
      connection->Retire();
    } else if (!waiting_.empty()) {
      TakeWaiting()->Attach(connection);
    } else if (idle_.size() < context_.limits.idle_connections) {
      idle_.push_back(connection);
    } else {
      connection->Retire();
    }
  }
  void OnSwitched(ClientConnection*) override {
    ++switched_;
    ServeWaiting();
  }
  void OnGone(ClientConnection* connection) override {
    std::erase(idle_, connection);
    if (connection->switched()) --switched_;
    const size_t freed = connection->place;
    std::swap(connections_[freed], connections_.back());
    connections_[freed]->place = freed;
    context_.loop.DisposeLater(std::move(connections_.back()));
    connections_.pop_back();
    ServeWaiting();
  }

  bool HasRoom() const {
    return connections_.size() - switched_ + connecting_ < context_.limits.connections;
  }
  PooledCall* TakeWaiting() {
    PooledCall* call = waiting_.front();
    waiting_.pop_front();
    call->StopWaiting();
    return call;
  }

  ClientContext& context_;
  Endpoint endpoint_;
  std::vector<std::unique_ptr<ClientConnection>> connections_;
  std::vector<ClientConnection*> idle_;
  std::list<PooledCall*> waiting_;
  size_t connecting_ = 0;
  size_t switched_ = 0;  ///< of connections_: they carry no more requests
};

PooledCall::PooledCall(ClientContext& context, EndpointPool& pool, CallHandler* handler,
                       ClientRequest request)
    : context_(context),
      pool_(pool),
      handler_(handler),
      request_(std::move(request)),
      patience_(context.loop, [this] { OnImpatience(); }) {
  ++pool_.calls;
}

PooledCall::~PooledCall() {
  --pool_.calls;
  context_.loop.CancelTurnEnd(this);
  if (patience_.armed()) pool_.StopWaiting(this);
  connector_.reset();
  if (connecting_) StopConnecting();
  if (connection_ != nullptr) connection_->Abandon();
}

void PooledCall::Attach(ClientConnection* connection) {
  connection_ = connection;
  connection->Send(&request_, this);
}

void PooledCall::Wait() { patience_.Arm(context_.limits.connect_timeout); }

void PooledCall::StopWaiting() { patience_.Disarm(); }

void PooledCall::OnImpatience() {
  pool_.StopWaiting(this);
  FailLater({Fault::kOrigin, "connect_timeout",
             pool_.endpoint().ToString() + ": all " + std::to_string(context_.limits.connections) +
                 " connections are in use"});
}

void PooledCall::FailLater(Error error) {
  early_error_ = std::make_unique<Error>(std::move(error));
  context_.loop.AtTurnEnd(this);
}

void PooledCall::OnTurnEnd() { GiveUp(Error(*early_error_)); }

void PooledCall::Connect() {
  const Endpoint& endpoint = pool_.endpoint();
  if (endpoint.tls && context_.tls == nullptr) {
    FailLater(
        {Fault::kOrigin, "tls_failed", endpoint.ToString() + ": no TLS is set up on this side"});
    return;
  }
  connecting_ = true;
  pool_.CountConnecting();
  connect_deadline_ = context_.loop.now() + context_.limits.connect_timeout;
  context_.resolver.Resolve(
      endpoint.host, endpoint.port,
      [self = std::weak_ptr(self_)](Result<std::vector<net::SocketAddress>> found) {
        if (const auto call = self.lock()) (*call)->OnResolved(std::move(found));
      });
}

void PooledCall::StopConnecting() {
  connecting_ = false;
  pool_.UncountConnecting();
  pool_.ServeWaiting();
}

void PooledCall::OnResolved(Result<std::vector<net::SocketAddress>> addresses) {
  if (!addresses) {
    StopConnecting();
    GiveUp(addresses.error());
    return;
  }
  addresses_ = *std::move(addresses);
  next_address_ = 0;
  TryNext();
}

void PooledCall::TryNext() {
  const Endpoint& endpoint = pool_.endpoint();
  const auto left = std::chrono::ceil<milliseconds>(connect_deadline_ - context_.loop.now());
  // The last address gets all the time there is, the others a fair part of it.
  const auto remaining = static_cast<int64_t>(addresses_.size() - next_address_);
  const net::ConnectOptions options = {
      .address = addresses_[next_address_++],
      .tls = endpoint.tls ? context_.tls : nullptr,
      .server_name = endpoint.server_name.empty() ? endpoint.host : endpoint.server_name,
      .timeout = std::max(milliseconds(1), left / remaining)};
  connector_ = net::Connector::Start(
      context_.loop, options,
      [this](Result<std::unique_ptr<net::Stream>> stream) { OnConnected(std::move(stream)); });
}

void PooledCall::OnConnected(Result<std::unique_ptr<net::Stream>> stream) {
  const std::unique_ptr<net::Connector> finished = std::move(connector_);
  if (!stream) {
    if (next_address_ < addresses_.size() && context_.loop.now() < connect_deadline_) {
      TryNext();
      return;
    }
    StopConnecting();
    GiveUp(stream.error());
    return;
  }
  connecting_ = false;
  pool_.UncountConnecting();
  Attach(pool_.Add(*std::move(stream)));
}

void PooledCall::OnEnd(const Fields& trailers) {
  connection_ = nullptr;
  handler_->OnEnd(trailers);
}

/// RFC 9112 §9.3.1: a kept connection may die just as it is used again. Nothing has been answered,
/// and doing it twice would do no harm: so ask once more.
void PooledCall::OnFailure(const Error& error, bool unanswered) {
  connection_ = nullptr;
  const bool again = unanswered && !retried_ && IsIdempotentMethod(request_.method) &&
                     !request_.body_touched && !request_.websocket;
  if (!again) {
    GiveUp(error);
    return;
  }
  retried_ = true;
  pool_.BeginAnew(this);
}

class PooledClient final : public Client {
 public:
  PooledClient(net::EventLoop& loop, net::Resolver& resolver, std::shared_ptr<net::TlsClient> tls,
               const ClientLimits& limits)
      : context_{loop, resolver, std::move(tls), limits} {}

  std::unique_ptr<Call> Start(const Endpoint& endpoint, const RequestHead& head,
                              std::unique_ptr<BodySource> body, std::optional<uint64_t> body_bytes,
                              CallHandler* handler) override {
    ClientRequest request;
    request.method = head.method;
    request.websocket = head.protocol == kWebSocket;
    if (body == nullptr || request.websocket) body_bytes.reset();
    AppendRequestHead(head,
                      {.has_body = body != nullptr && !request.websocket,
                       .body_bytes = body_bytes,
                       .upgrade = request.websocket ? kWebSocket : std::string_view()},
                      &request.head);
    request.body = std::move(body);
    request.body_bytes = body_bytes;
    EndpointPool& pool = PoolOf(endpoint);
    const bool apart = request.websocket;
    auto call = std::make_unique<PooledCall>(context_, pool, handler, std::move(request));
    apart ? pool.BeginApart(call.get()) : pool.Begin(call.get());
    return call;
  }

  size_t idle_connections() const override {
    size_t idle = 0;
    for (const auto& [key, pool] : pools_) idle += pool->idle();
    return idle;
  }
  size_t open_connections() const override {
    size_t open = 0;
    for (const auto& [key, pool] : pools_) open += pool->open();
    return open;
  }

 private:
  /// More pools than this, and those out of use are dropped.
  static constexpr size_t kPools = 64;

  EndpointPool& PoolOf(const Endpoint& endpoint) {
    const auto found = pools_.find(endpoint);
    if (found != pools_.end()) return *found->second;
    if (pools_.size() >= kPools)
      std::erase_if(pools_, [](const auto& pool) { return pool.second->unused(); });
    return *pools_.emplace(endpoint, std::make_unique<EndpointPool>(context_, endpoint))
                .first->second;
  }

  ClientContext context_;
  std::map<Endpoint, std::unique_ptr<EndpointPool>> pools_;
};

}  // namespace

std::unique_ptr<Client> Client::Create(net::EventLoop& loop, net::Resolver& resolver,
                                       std::shared_ptr<net::TlsClient> tls,
                                       const ClientLimits& limits) {
  return std::make_unique<PooledClient>(loop, resolver, std::move(tls), limits);
}

}  // namespace nearside::http
