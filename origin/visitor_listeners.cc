#include "origin/visitor_listeners.h"

#include <algorithm>
#include <utility>

#include "origin/acme.h"
#include "origin/answer_body.h"
#include "origin/form.h"
#include "origin/request_body.h"
#include "origin/visitor_service.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

constexpr milliseconds kCountEvery{1000};

std::vector<std::string> PublicAlpn() { return {"h2", "http/1.1"}; }

http::SessionLimits LimitsOf(const LimitSettings& settings) {
  http::SessionLimits limits;
  limits.body = ByteSize{1 << 20};  // visitors have nothing to send
  limits.head_timeout = settings.head_timeout;
  limits.idle_timeout = settings.idle_timeout;
  limits.body_timeout = settings.body_timeout;
  limits.send_timeout = settings.send_timeout;
  return limits;
}

Answer BusyAnswer() {
  Answer answer = TextAnswer(503, "Too many requests wait here. Try again in a moment.\n");
  answer.fields.Add("retry-after", "1");
  answer.fields.Add("cache-control", "no-store");
  return answer;
}

/// What a pool's thread brings back: the answer and the beginning of its first blob.
struct Fetched {
  Answer answer;
  std::vector<uint8_t> first;
};

Fetched Fetch(Node& node, const http::RequestHead& request) {
  Fetched fetched;
  fetched.answer = AnswerVisitor(node, request);
  for (const BodyPiece& piece : fetched.answer.body) {
    if (!piece.reader) continue;
    fetched.first.resize(
        static_cast<size_t>(std::min<uint64_t>(AnswerBody::kPieceBytes, piece.bytes)));
    Result<size_t> n = piece.reader->ReadAt(piece.first, fetched.first);
    fetched.first.resize(n.value_or(0));  // a failure shows itself when the body is sent
    break;
  }
  return fetched;
}

/// The answer's fields and its length.
http::Fields FieldsOf(const Answer& answer) {
  http::Fields fields = answer.fields;
  if (!http::StatusHasNoContent(answer.status)) {
    fields.Set("content-length", std::to_string(answer.body_bytes()));
  }
  return fields;
}

}  // namespace

void VisitorListeners::Note(RequestKind kind, const http::Exchange& exchange,
                            const http::ExchangeOutcome& outcome, const Served& served) {
  node_.access_log.Add(
      {.kind = KindName(kind),
       .client = exchange.stream().peer().Ip(),
       .request = exchange.request(),
       .status = served.status,
       .reason = outcome.complete ? served.reason : outcome.reason,
       .received_bytes = served.received_bytes,
       .sent_bytes = outcome.body_bytes,
       .duration = std::chrono::duration_cast<milliseconds>(loop_->now() - exchange.started()),
       .complete = outcome.complete});
}

/// A request on its way, most often to the disk pool and back.
class VisitorListeners::Visit final : public http::ExchangeHandler {
 public:
  Visit(VisitorListeners& owner, http::Exchange& exchange)
      : owner_(owner), exchange_(exchange), self_(std::make_shared<Visit*>(this)) {}
  ~Visit() override { *self_ = nullptr; }

  void Start() {
    auto work = [&owner = owner_, self = self_, request = exchange_.request()] {
      auto fetched = std::make_shared<Fetched>(Fetch(owner.node_, request));
      owner.loop_->Post([self, fetched] {
        if (*self != nullptr) (*self)->OnFetched(std::move(*fetched));
      });
    };
    if (!owner_.disk_.Submit(std::move(work))) OnFetched({BusyAnswer(), {}});
  }

  void OnFetched(Fetched fetched) {
    status_ = fetched.answer.status;
    reason_ = fetched.answer.reason;
    const http::Fields fields = FieldsOf(fetched.answer);
    std::unique_ptr<http::BodySource> body;
    if (!fetched.answer.body.empty() && exchange_.request().method != "HEAD") {
      body = std::make_unique<AnswerBody>(std::move(fetched.answer.body), std::move(fetched.first),
                                          owner_.disk_, *owner_.loop_,
                                          [&exchange = exchange_] { exchange.Resume(); });
    }
    exchange_.Respond(status_, {}, fields.lines(), std::move(body));
  }

  void OnBody(std::span<const uint8_t> bytes) override {
    received_bytes_ += bytes.size();
    exchange_.ConsumedBody(bytes.size());
  }

  void OnFinished(const http::ExchangeOutcome& outcome) override {
    owner_.Note(RequestKind::kVisitor, exchange_, outcome,
                {.status = status_, .reason = reason_, .received_bytes = received_bytes_});
  }

 private:
  VisitorListeners& owner_;
  http::Exchange& exchange_;
  std::shared_ptr<Visit*> self_;  ///< null inside once the exchange has ended
  int status_ = 0;
  std::string reason_;
  uint64_t received_bytes_ = 0;
};

/// A request to the pages of accounts: its form is gathered, then a thread answers.
class VisitorListeners::AccountVisit final : public http::ExchangeHandler {
 public:
  AccountVisit(VisitorListeners& owner, http::Exchange& exchange)
      : owner_(owner), exchange_(exchange), self_(std::make_shared<AccountVisit*>(this)) {}
  ~AccountVisit() override { *self_ = nullptr; }

  void Start() {
    if (!exchange_.has_body()) return Serve();
    exchange_.WantBody();
  }

  void OnBody(std::span<const uint8_t> bytes) override {
    received_bytes_ += bytes.size();
    // One byte too many is enough to be refused by.
    const size_t room = kFormBytes + 1 - std::min(form_.size(), kFormBytes + 1);
    form_.append(reinterpret_cast<const char*>(bytes.data()), std::min(room, bytes.size()));
    exchange_.ConsumedBody(bytes.size());
  }

  void OnBodyEnd(const http::Fields& /*trailers*/) override { Serve(); }

  void OnFinished(const http::ExchangeOutcome& outcome) override {
    owner_.Note(RequestKind::kAccount, exchange_, outcome,
                {.status = status_, .reason = reason_, .received_bytes = received_bytes_});
  }

 private:
  void Serve() {
    if (std::exchange(served_, true)) return;
    auto work = [&owner = owner_, self = self_, form = std::move(form_),
                 request = exchange_.request(), peer = exchange_.stream().peer().Ip()] {
      TextContent body(form);
      auto answer = std::make_shared<Answer>(owner.account_pages_.Handle(request, peer, body));
      owner.loop_->Post([self, answer] {
        if (*self != nullptr) (*self)->OnAnswer(*answer);
      });
    };
    if (!owner_.accounts_->Submit(std::move(work))) OnAnswer(BusyAnswer());
  }

  void OnAnswer(const Answer& answer) {
    status_ = answer.status;
    reason_ = answer.reason;
    std::string text;
    for (const BodyPiece& piece : answer.body) text += piece.text;
    exchange_.Respond(status_, {}, FieldsOf(answer).lines(), http::TextBody(text));
  }

  VisitorListeners& owner_;
  http::Exchange& exchange_;
  std::shared_ptr<AccountVisit*> self_;  ///< null inside once the exchange has ended
  std::string form_;
  bool served_ = false;
  int status_ = 0;
  std::string reason_;
  uint64_t received_bytes_ = 0;
};

VisitorListeners::VisitorListeners(Node& node)
    : node_(node),
      account_pages_(node),
      disk_(static_cast<size_t>(node.settings.threads.disk),
            static_cast<size_t>(node.settings.limits.queue)) {
  if (node.settings.accounts.hosts.empty()) return;
  accounts_ = std::make_unique<Pool>(static_cast<size_t>(node.settings.threads.accounts),
                                     static_cast<size_t>(node.settings.limits.queue));
}

Result<std::unique_ptr<VisitorListeners>> VisitorListeners::Open(
    Node& node, const std::vector<net::Certificate>& certificates) {
  std::unique_ptr<VisitorListeners> listeners(new VisitorListeners(node));
  Result<std::unique_ptr<net::EventLoop>> loop = net::EventLoop::Create();
  if (!loop) return unexpected(std::move(loop.error()));
  listeners->loop_ = std::move(*loop);
  listeners->sessions_ =
      http::ServerSessions::Create(*listeners->loop_, *listeners, LimitsOf(node.settings.limits));
  std::shared_ptr<net::TlsServer> tls;
  if (!certificates.empty()) {
    auto made = net::TlsServer::Create(certificates, PublicAlpn(), listeners->ticket_keys_);
    if (!made) return node.settings.certificates.front().where.Refuse("chain", made.error());
    tls = std::move(*made);
  }
  for (const ListenSettings& listen : node.settings.listen) {
    if (Status opened = listeners->OpenListener(listen, listen.tls ? tls : nullptr); !opened) {
      return unexpected(std::move(opened.error()));
    }
  }
  listeners->counting_ = std::make_unique<net::Timer>(
      *listeners->loop_, [raw = listeners.get()] { raw->PublishCounters(); });
  listeners->counting_->Arm(kCountEvery);
  return listeners;
}

Status VisitorListeners::OpenListener(const ListenSettings& settings,
                                      std::shared_ptr<net::TlsServer> tls) {
  Result<net::SocketAddress> address = net::SocketAddress::Parse(settings.address);
  if (!address) return settings.where.Refuse("address", address.error());
  const bool is_tls = tls != nullptr;
  auto listener = net::Listener::Open(
      *loop_,
      {.address = *address,
       .reuse_port = false,
       .max_connections = static_cast<size_t>(node_.settings.limits.connections)},
      std::move(tls),
      [this](std::unique_ptr<net::Stream> stream) { sessions_->Adopt(std::move(stream)); });
  if (!listener) return settings.where.Refuse("address", listener.error());
  if (is_tls) tls_listeners_.push_back(listener->get());
  listeners_.push_back(std::move(*listener));
  return {};
}

VisitorListeners::~VisitorListeners() {
  disk_.Stop();  // its tasks post to the loop
  if (accounts_) accounts_->Stop();
  if (thread_.joinable()) {
    loop_->Stop();
    thread_.join();
  }
  listeners_.clear();
  sessions_.reset();
  counting_.reset();
}

void VisitorListeners::Start() {
  thread_ = std::thread([this] { loop_->Run(); });
}

void VisitorListeners::OnRequest(http::Exchange& exchange) {
  const http::RequestHead& request = exchange.request();
  if (account_pages_.Serves(request) && exchange.stream().Covers(request.host()) &&
      !IsChallenge(node_.settings.node.acme_webroot, request)) {
    auto made = std::make_unique<AccountVisit>(*this, exchange);
    AccountVisit& visit = *made;
    exchange.SetHandler(std::move(made));
    return visit.Start();
  }
  auto made = std::make_unique<Visit>(*this, exchange);
  Visit& visit = *made;
  exchange.SetHandler(std::move(made));
  if (request.path() == "/healthz" && AsksNode(node_, request)) {
    return visit.OnFetched({HealthAnswer(node_), {}});
  }
  // Whatever the host: no site is looked at.
  if (IsChallenge(node_.settings.node.acme_webroot, request)) return visit.Start();
  if (node_.sites.FindHost(request.host()) == nullptr ||
      !exchange.stream().Covers(request.host())) {
    return visit.OnFetched({UnknownHost(request.host()), {}});
  }
  visit.Start();
}

void VisitorListeners::UseCertificates(std::vector<net::Certificate> certificates) {
  loop_->Post([this, certificates = std::move(certificates)] {
    auto tls = net::TlsServer::Create(certificates, PublicAlpn(), ticket_keys_);
    if (!tls) {
      Log(Level::kError, "certificate_refused", {{"error", tls.error().message}});
      return;
    }
    for (net::Listener* listener : tls_listeners_) listener->SetTls(*tls);
  });
}

void VisitorListeners::Drain(milliseconds deadline, std::function<void()> done) {
  loop_->Post([this, deadline, done = std::move(done)] {
    for (auto& listener : listeners_) listener->StopAccepting();
    sessions_->Drain(deadline, done);
  });
}

std::vector<net::SocketAddress> VisitorListeners::addresses() const {
  std::vector<net::SocketAddress> addresses;
  for (const auto& listener : listeners_) addresses.push_back(listener->address());
  return addresses;
}

void VisitorListeners::PublishCounters() {
  counting_->Arm(kCountEvery);
  std::lock_guard lock(counters_mutex_);
  counters_ = sessions_->counters();
}

http::SessionCounters VisitorListeners::counters() const {
  std::lock_guard lock(counters_mutex_);
  return counters_;
}

void VisitorListeners::ExportMetrics(metrics::Registry& registry) const {
  struct Row {
    std::string_view name;
    std::string_view help;
    uint64_t http::SessionCounters::*member;
  };
  constexpr Row kRows[] = {
      {"nearside_origin_visitor_http11_requests_total", "Requests of visitors over HTTP/1.1.",
       &http::SessionCounters::requests_http11},
      {"nearside_origin_visitor_http2_requests_total", "Requests of visitors over HTTP/2.",
       &http::SessionCounters::requests_http2},
      {"nearside_origin_visitor_connections_total", "Connections of visitors.",
       &http::SessionCounters::connections},
      {"nearside_origin_visitor_bad_requests_total", "Malformed requests of visitors.",
       &http::SessionCounters::bad_requests},
      {"nearside_origin_visitor_abuse_closed_total", "Connections closed: ENHANCE_YOUR_CALM.",
       &http::SessionCounters::abuse_closed},
      {"nearside_origin_visitor_sent_bytes_total", "Bytes to visitors, before TLS.",
       &http::SessionCounters::bytes_out},
  };
  for (const Row& row : kRows) {
    registry.CounterFrom(row.name, row.help, {}, [this, member = row.member] {
      return static_cast<double>(counters().*member);
    });
  }
}

}  // namespace nearside::origin
