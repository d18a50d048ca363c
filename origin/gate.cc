#include "origin/gate.h"

#include <Poco/Net/NetException.h>
#include <Poco/Net/ServerSocket.h>
#include <Poco/Net/StreamSocket.h>
#include <Poco/Net/StreamSocketImpl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <atomic>
#include <thread>
#include <unordered_map>

#include "http/http1_parser.h"
#include "net/event_loop.h"
#include "origin/answer.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

constexpr int kBacklog = 1024;
constexpr milliseconds kLingerTime{2000};
constexpr milliseconds kAcceptPause{100};  ///< after EMFILE and its like
/// Edge-triggered: bytes of half a head stay in the socket, and would make a level-triggered one
/// spin.
constexpr uint32_t kWaitingEvents = EPOLLIN | EPOLLRDHUP | EPOLLET;
/// What a client that lingers may still send: it is read so that its answer is not lost in a reset,
/// but a fast sender may hold neither the thread (a turn's share) nor the connection (in all).
constexpr size_t kLingerTurnBytes = 256 << 10;
constexpr size_t kLingerBytes = 4 << 20;
/// Of a single field.
constexpr size_t kFieldNameBytes = 256;
constexpr size_t kFieldValueBytes = 8000;

struct AtomicCounters {
  std::atomic<uint64_t> accepted{0}, refused_full{0}, bad_requests{0}, timeouts{0}, open{0};
};

/// What a refused client is told to send instead.
std::string ExpectedInstead(int status, const http::Http1Limits& limits) {
  switch (status) {
    case 414:
      return "expected a request line of at most " + std::to_string(limits.first_line_bytes) +
             " bytes";
    case 417:
      return "expected no Expect but 100-continue";
    case 431:
      return "expected at most " + std::to_string(limits.field_lines) + " fields, together " +
             std::to_string(limits.field_bytes) + " bytes, names up to " +
             std::to_string(kFieldNameBytes) + " and values up to " +
             std::to_string(kFieldValueBytes);
    case 501:
      return "expected a method and a Transfer-Encoding of HTTP: of codings, chunked alone";
    case 505:
      return "expected HTTP/1.1 (or 1.0)";
    default:
      return "expected a well-formed HTTP/1.1 request (RFC 9112)";
  }
}

class EpollGate;

/// A connection that waits for a head, or lingers. The gate's thread.
class Waiting final : public net::Watcher {
 public:
  Waiting(EpollGate& gate, const Poco::Net::StreamSocket& socket, std::string tls_client);
  void AwaitHead(milliseconds timeout);
  void Linger();
  /// It leaves the gate: its timer, due or not, fires no more.
  void Leave() { timer_.Disarm(); }
  void OnReady(uint32_t events) override;
  int fd() const { return socket_.impl()->sockfd(); }
  const Poco::Net::StreamSocket& socket() const { return socket_; }
  bool idle() const { return !lingering_ && seen_ == 0; }

 private:
  void LookAtHead(uint32_t events);
  void DropInput();
  void OnHead(size_t head_bytes);
  void Refuse(int status, std::string_view reason);

  EpollGate& gate_;
  Poco::Net::StreamSocket socket_;
  const std::string tls_client_;
  net::Timer timer_;
  http::Http1RequestParser parser_;
  http::RequestHead head_;
  size_t seen_ = 0;     ///< bytes of the head that the parser has had
  size_t dropped_ = 0;  ///< bytes since it lingers
  bool lingering_ = false;
};

class EpollGate final : public Gate {
 public:
  EpollGate(const GateOptions& options, OnRequest on_request)
      : options_(options), on_request_(std::move(on_request)) {}
  ~EpollGate() override;
  Status Bind(const std::vector<net::SocketAddress>& addresses);

  void Start() override {
    thread_ = std::thread([this] { loop_->Run(); });
  }
  void Adopt(net::Descriptor socket, std::string client) override;
  void GiveBack(std::unique_ptr<Conversation> conversation) override;
  void Drain() override;
  const std::vector<net::SocketAddress>& addresses() const override { return addresses_; }
  GateCounters counters() const override;

  net::EventLoop& loop() { return *loop_; }
  const GateOptions& options() const { return options_; }
  AtomicCounters& atomic_counters() { return counters_; }
  /// Watches a waiting connection. False when the system has no room for it.
  bool Watch(Waiting* waiting);
  /// Events come again for what is in the socket already.
  void LookAgain(Waiting* waiting);
  /// The connection leaves the gate; the object dies at the end of the turn. Null when it has left
  /// already.
  std::unique_ptr<Waiting> Release(Waiting* waiting);
  void Close(Waiting* waiting);
  void HandOver(Waiting* waiting, Conversation::Head head);

 private:
  class Listening;
  Status Listen(const net::SocketAddress& address);
  void Accept(Poco::Net::ServerSocket& socket, net::Timer& pause, int fd, net::Watcher* watcher);
  /// Whether there is room for one more connection, which is counted then.
  bool TakesOneMore();
  void Admit(const Poco::Net::StreamSocket& socket, std::string tls_client, milliseconds timeout);
  void TakeBack(Conversation& conversation);

  const GateOptions options_;
  const OnRequest on_request_;
  std::unique_ptr<net::EventLoop> loop_;
  std::vector<net::SocketAddress> addresses_;
  std::vector<std::unique_ptr<Listening>> listening_;
  std::unordered_map<Waiting*, std::unique_ptr<Waiting>> waiting_;
  AtomicCounters counters_;
  bool draining_ = false;
  std::thread thread_;
};

/// A listening socket.
class EpollGate::Listening final : public net::Watcher {
 public:
  Listening(EpollGate& gate, const Poco::Net::ServerSocket& socket)
      : gate_(gate), socket_(socket), pause_(gate.loop(), [this] { Watch(); }) {}
  ~Listening() override { gate_.loop().Unwatch(fd()); }
  Status Watch() { return gate_.loop().Watch(fd(), EPOLLIN, this); }
  void OnReady(uint32_t) override;

 private:
  int fd() const { return socket_.impl()->sockfd(); }
  EpollGate& gate_;
  Poco::Net::ServerSocket socket_;
  net::Timer pause_;
};

void EpollGate::Listening::OnReady(uint32_t) {
  try {
    // One a turn: when more wait, the loop comes back at once.
    Poco::Net::StreamSocket socket = socket_.acceptConnection();
    if (!gate_.TakesOneMore()) return;
    socket.setNoDelay(true);
    gate_.Admit(socket, "", gate_.options_.head_timeout);
  } catch (const Poco::Exception& error) {
    if (error.code() == EAGAIN || error.code() == ECONNABORTED) return;  // it has left already
    Log(Level::kWarning, "accept_failed", {{"error", error.displayText()}});
    gate_.loop().Unwatch(fd());
    pause_.Arm(kAcceptPause);
  }
}

Waiting::Waiting(EpollGate& gate, const Poco::Net::StreamSocket& socket, std::string tls_client)
    : gate_(gate),
      socket_(socket),
      tls_client_(std::move(tls_client)),
      timer_(gate.loop(),
             [this] {
               if (!lingering_ && seen_ > 0) ++gate_.atomic_counters().timeouts;
               gate_.Close(this);
             }),
      parser_(gate.options().head) {
  parser_.Start(&head_);
}

void Waiting::AwaitHead(milliseconds timeout) { timer_.Arm(timeout); }

void Waiting::Linger() {
  lingering_ = true;
  ::shutdown(fd(), SHUT_WR);
  timer_.Arm(kLingerTime);
}

void Waiting::OnReady(uint32_t events) {
  if (lingering_) {
    DropInput();
  } else {
    LookAtHead(events);
  }
}

void Waiting::DropInput() {
  const std::span<uint8_t> scratch = gate_.loop().input_scratch();
  for (size_t turn = 0; turn < kLingerTurnBytes;) {
    const ssize_t n = ::recv(fd(), scratch.data(), scratch.size(), MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) return gate_.Close(this);
    turn += static_cast<size_t>(n);
    dropped_ += static_cast<size_t>(n);
    if (dropped_ > kLingerBytes) return gate_.Close(this);
  }
  gate_.LookAgain(this);  // after the others have had their turn
}

/// The head stays in the socket: whoever serves the connection reads it from there.
void Waiting::LookAtHead(uint32_t events) {
  const std::span<uint8_t> scratch = gate_.loop().input_scratch();
  const ssize_t n = ::recv(fd(), scratch.data(), scratch.size(), MSG_PEEK | MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n <= 0 || static_cast<size_t>(n) < seen_) return gate_.Close(this);
  if (static_cast<size_t>(n) == seen_) {
    // The peer has sent its end inside a head, or an event came for bytes that were seen already.
    if ((events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0) gate_.Close(this);
    return;
  }
  if (seen_ == 0) timer_.Arm(gate_.options().head_timeout);
  std::string_view input(reinterpret_cast<const char*>(scratch.data()), static_cast<size_t>(n));
  input.remove_prefix(seen_);
  seen_ = static_cast<size_t>(n);
  switch (parser_.Next(&input)) {
    case http::ParseEvent::kMore:
      return;
    case http::ParseEvent::kHead:
      return OnHead(seen_ - input.size());
    default:
      return Refuse(http::RefusalStatus(parser_.refusal()), http::RefusalName(parser_.refusal()));
  }
}

void Waiting::OnHead(size_t head_bytes) {
  for (const http::FieldLine& line : head_.fields.lines()) {
    if (line.name.size() > kFieldNameBytes || line.value.size() > kFieldValueBytes) {
      return Refuse(431, "field_too_large");
    }
  }
  head_.scheme = tls_client_.empty() ? "http" : "https";
  gate_.HandOver(this, {std::move(head_), parser_.framing(), parser_.expects_continue(), head_bytes,
                        tls_client_});
}

void Waiting::Refuse(int status, std::string_view reason) {
  ++gate_.atomic_counters().bad_requests;
  const Answer answer = ProblemAnswer(status, Error{Fault::kClient, std::string(reason),
                                                    ExpectedInstead(status, gate_.options().head)});
  const std::string out = LastResponse(answer);
  // Into a fresh socket this always fits; a client that does not read loses nothing but this.
  (void)::send(fd(), out.data(), out.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  Linger();
  DropInput();
}

EpollGate::~EpollGate() {
  if (thread_.joinable()) {
    loop_->Stop();
    thread_.join();
  }
  for (auto& [waiting, owner] : waiting_) loop_->Unwatch(waiting->fd());
  waiting_.clear();
  listening_.clear();
}

Status EpollGate::Listen(const net::SocketAddress& address) {
  try {
    Poco::Net::ServerSocket socket;
    socket.bind(Poco::Net::SocketAddress(address.get(), address.length()), /*reuseAddress=*/true,
                /*reusePort=*/false);
    socket.listen(kBacklog);
    socket.setBlocking(false);
    const Poco::Net::SocketAddress bound = socket.address();
    addresses_.emplace_back(bound.addr(), bound.length());
    listening_.push_back(std::make_unique<Listening>(*this, socket));
    return {};
  } catch (const Poco::Exception& error) {
    const bool in_use = error.code() == EADDRINUSE;
    return Fail(Fault::kOperator, in_use ? "address_in_use" : "bad_address",
                address.ToString() + ": " +
                    (in_use ? std::string("address already in use: expected a free one")
                            : error.displayText() + ": expected an address of this machine"));
  }
}

Status EpollGate::Bind(const std::vector<net::SocketAddress>& addresses) {
  Result<std::unique_ptr<net::EventLoop>> loop = net::EventLoop::Create();
  if (!loop) return unexpected(std::move(loop.error()));
  loop_ = std::move(*loop);
  for (const net::SocketAddress& address : addresses) {
    if (Status listening = Listen(address); !listening) return listening;
  }
  for (const auto& listening : listening_) {
    if (Status watched = listening->Watch(); !watched) return watched;
  }
  return {};
}

bool EpollGate::TakesOneMore() {
  if (counters_.open.load() >= options_.connections) {
    ++counters_.refused_full;
    return false;
  }
  ++counters_.accepted;
  ++counters_.open;
  return true;
}

void EpollGate::Adopt(net::Descriptor socket, std::string client) {
  // std::function wants to be copied.
  auto shared = std::make_shared<net::Descriptor>(std::move(socket));
  loop_->Post([this, shared, client = std::move(client)] {
    if (draining_ || !TakesOneMore()) return;
    const Poco::Net::StreamSocket adopted(new Poco::Net::StreamSocketImpl(shared->Release()));
    Admit(adopted, client, options_.head_timeout);
  });
}

void EpollGate::Admit(const Poco::Net::StreamSocket& socket, std::string tls_client,
                      milliseconds timeout) {
  auto owner = std::make_unique<Waiting>(*this, socket, std::move(tls_client));
  Waiting* waiting = owner.get();
  if (!Watch(waiting)) {
    --counters_.open;
    return;
  }
  waiting_.emplace(waiting, std::move(owner));
  waiting->AwaitHead(timeout);
}

bool EpollGate::Watch(Waiting* waiting) {
  const Status watched = loop_->Watch(waiting->fd(), kWaitingEvents, waiting);
  if (!watched) Log(Level::kWarning, "watch_failed", {{"error", watched.error().ToString()}});
  return watched.has_value();
}

void EpollGate::LookAgain(Waiting* waiting) {
  const Status watched = loop_->Rewatch(waiting->fd(), kWaitingEvents, waiting);
  if (!watched) Close(waiting);
}

std::unique_ptr<Waiting> EpollGate::Release(Waiting* waiting) {
  const auto found = waiting_.find(waiting);
  if (found == waiting_.end()) return nullptr;
  std::unique_ptr<Waiting> owner = std::move(found->second);
  waiting_.erase(found);
  loop_->Unwatch(owner->fd());
  // It lives until the turn's end, and timers that are due are still to fire in this turn.
  owner->Leave();
  return owner;
}

namespace {

/// Keeps a connection's object alive until the turn that is using it has ended.
struct Farewell final : net::Disposable {
  explicit Farewell(std::unique_ptr<Waiting> w) : waiting(std::move(w)) {}
  std::unique_ptr<Waiting> waiting;
};

}  // namespace

void EpollGate::Close(Waiting* waiting) {
  std::unique_ptr<Waiting> owner = Release(waiting);
  if (owner == nullptr) return;
  --counters_.open;
  loop_->DisposeLater(std::make_unique<Farewell>(std::move(owner)));
}

void EpollGate::HandOver(Waiting* waiting, Conversation::Head head) {
  std::unique_ptr<Waiting> owner = Release(waiting);
  if (owner == nullptr) return;
  auto conversation =
      std::make_unique<Conversation>(owner->socket(), std::move(head), options_.conversation);
  loop_->DisposeLater(std::make_unique<Farewell>(std::move(owner)));
  if (draining_) conversation->CloseAfterwards();
  on_request_(std::move(conversation));
}

void EpollGate::GiveBack(std::unique_ptr<Conversation> conversation) {
  // std::function wants to be copied.
  std::shared_ptr<Conversation> shared = std::move(conversation);
  loop_->Post([this, shared] { TakeBack(*shared); });
}

void EpollGate::TakeBack(Conversation& conversation) {
  const Afterwards afterwards = conversation.afterwards();
  if (afterwards == Afterwards::kClose || (afterwards == Afterwards::kKeep && draining_)) {
    --counters_.open;
    return;
  }
  auto owner = std::make_unique<Waiting>(*this, conversation.socket(), conversation.tls_client());
  Waiting* waiting = owner.get();
  if (!Watch(waiting)) {
    --counters_.open;
    return;
  }
  waiting_.emplace(waiting, std::move(owner));
  if (afterwards == Afterwards::kLinger) {
    waiting->Linger();
  } else {
    waiting->AwaitHead(options_.idle_timeout);
  }
}

void EpollGate::Drain() {
  loop_->Post([this] {
    draining_ = true;
    listening_.clear();
    std::vector<Waiting*> idle;
    for (const auto& [waiting, owner] : waiting_) {
      if (waiting->idle()) idle.push_back(waiting);
    }
    for (Waiting* waiting : idle) Close(waiting);
  });
}

GateCounters EpollGate::counters() const {
  return {.accepted = counters_.accepted.load(),
          .refused_full = counters_.refused_full.load(),
          .bad_requests = counters_.bad_requests.load(),
          .timeouts = counters_.timeouts.load(),
          .open = counters_.open.load()};
}

}  // namespace

Result<std::unique_ptr<Gate>> Gate::Open(const std::vector<net::SocketAddress>& addresses,
                                         const GateOptions& options, OnRequest on_request) {
  auto gate = std::make_unique<EpollGate>(options, std::move(on_request));
  if (Status bound = gate->Bind(addresses); !bound) {
    return unexpected(std::move(bound.error()));
  }
  return std::unique_ptr<Gate>(std::move(gate));
}

}  // namespace nearside::origin
