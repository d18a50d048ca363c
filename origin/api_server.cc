#include "origin/api_server.h"

#include "origin/acme.h"
#include "origin/client_network.h"
#include "origin/s3_errors.h"
#include "origin/visitor_service.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

constexpr std::string_view kClassNames[] = {"other", "1xx", "2xx", "3xx", "4xx", "5xx"};

struct CounterRow {
  std::string_view name;
  std::string_view help;
  std::atomic<uint64_t> NodeCounters::*counter;
};
constexpr CounterRow kCounters[] = {
    {"nearside_origin_received_bytes_total", "Bytes of requests' contents.",
     &NodeCounters::received_bytes},
    {"nearside_origin_sent_bytes_total", "Bytes of responses' contents.",
     &NodeCounters::sent_bytes},
    {"nearside_origin_stored_blobs_total", "Contents stored.", &NodeCounters::stored_blobs},
    {"nearside_origin_stored_bytes_total", "Bytes of contents stored.",
     &NodeCounters::stored_bytes},
    {"nearside_origin_failed_uploads_total", "Uploads of which nothing was stored.",
     &NodeCounters::failed_uploads},
    {"nearside_origin_begun_uploads_total", "Uploads in several goes that were begun.",
     &NodeCounters::begun_uploads},
    {"nearside_origin_expired_uploads_total", "Of these, removed before they were whole.",
     &NodeCounters::expired_uploads},
    {"nearside_origin_refused_busy_total", "503 because a queue was full.",
     &NodeCounters::refused_busy},
    {"nearside_origin_denied_total", "Requests without the token they need.",
     &NodeCounters::denied},
};

struct GateRow {
  std::string_view name;
  std::string_view help;
  uint64_t GateCounters::*counter;
};
constexpr GateRow kGateCounters[] = {
    {"nearside_origin_connections_total", "Connections accepted.", &GateCounters::accepted},
    {"nearside_origin_refused_connections_total", "Connections closed at once: too many.",
     &GateCounters::refused_full},
    {"nearside_origin_bad_requests_total", "Malformed requests.", &GateCounters::bad_requests},
    {"nearside_origin_head_timeouts_total", "Heads that did not come in time.",
     &GateCounters::timeouts},
};

GateOptions GateOptionsOf(const LimitSettings& limits) {
  GateOptions options;
  options.conversation.body_timeout = limits.body_timeout;
  options.conversation.send_timeout = limits.send_timeout;
  options.conversation.least_bytes_per_second = limits.least_rate.bytes;
  options.head_timeout = limits.head_timeout;
  options.idle_timeout = limits.idle_timeout;
  options.connections = static_cast<size_t>(limits.connections);
  return options;
}

/// How often uploads in parts and in goes, and sessions, are looked at for those that have expired.
constexpr milliseconds kExpiryStep = seconds(60);

constexpr milliseconds kFormPatience = seconds(5);

/// These paths are the API's, but where the host names a bucket; so no bucket has such a name.
bool IsOfApi(const http::RequestHead& head) {
  return head.path() == "/healthz" || head.path().starts_with("/v1/");
}

size_t Size(int setting) { return static_cast<size_t>(setting); }

}  // namespace

ApiServer::ApiServer(Node& node)
    : node_(node),
      api_(node),
      s3_(node),
      parts_clock_("uploads in parts", node.settings.s3.upload_expiry),
      account_pages_(node),
      visitors_(Size(node.settings.threads.visitors), Size(node.settings.limits.queue)),
      uploads_(Size(node.settings.threads.uploads), Size(node.settings.limits.queue)),
      small_(Size(node.settings.threads.api), Size(node.settings.limits.queue), kWaitingReceipts),
      s3_readers_(Size(node.settings.threads.s3), Size(node.settings.limits.queue)),
      accounts_(Size(node.settings.threads.accounts), Size(node.settings.limits.queue)) {}

Result<std::unique_ptr<ApiServer>> ApiServer::Open(
    Node& node, const std::vector<net::SocketAddress>& addresses) {
  std::unique_ptr<ApiServer> server(new ApiServer(node));
  if (Status bound = server->Bind(addresses); !bound) {
    return unexpected(std::move(bound.error()));
  }
  return server;
}

Status ApiServer::Bind(const std::vector<net::SocketAddress>& addresses) {
  FollowersOptions options;
  options.heartbeat = node_.settings.events.heartbeat;
  options.limit = Size(node_.settings.events.followers);
  auto followers = Followers::Start(
      *node_.metadata, options,
      {.on_news = [this](const std::string& site) { node_.ReadSite(site); },
       .on_look = [this](const storage::LogState& log) { node_.access.table().Follow(log); },
       .on_tick =
           [this] {
             node_.fleet.Tick(MonoNow(), WallNow());
             ExpireUploads();
           },
       .may_follow =
           [this](const std::string& token) {
             return node_.access.table().Find(token, WallNow()).has_value();
           }});
  if (!followers) return unexpected(std::move(followers.error()));
  followers_ = std::move(*followers);
  node_.wake_followers = [this] { followers_->Wake(); };
  node_.followers_full = [this] { return followers_->full(); };
  node_.load = [this] { return load(); };
  auto gate = Gate::Open(addresses, GateOptionsOf(node_.settings.limits),
                         [this](std::unique_ptr<Conversation> c) { OnRequest(std::move(c)); });
  if (!gate) return unexpected(std::move(gate.error()));
  gate_ = std::move(*gate);
  return {};
}

ApiServer::~ApiServer() {
  // Those who call the others go first: receipts, threads that answer, streams, the gate.
  node_.fleet.EndWaits(WallNow());
  CutOff();
  visitors_.Stop();
  uploads_.Stop();
  small_.Stop();
  s3_readers_.Stop();
  accounts_.Stop();
  followers_.reset();
  node_.wake_followers = [] {};
  node_.followers_full = [] { return false; };
  node_.load = [] { return 0.0; };
  gate_.reset();
}

void ApiServer::Drain() {
  gate_->Drain();
  node_.fleet.EndWaits(WallNow());
  followers_->CloseAll();
}

bool ApiServer::idle() const {
  std::lock_guard lock(under_way_mutex_);
  return under_way_.empty();
}

void ApiServer::CutOff() {
  std::lock_guard lock(under_way_mutex_);
  for (Conversation* conversation : under_way_) conversation->CutOff();
}

void ApiServer::GiveBack(std::unique_ptr<Conversation> conversation) {
  {
    std::lock_guard lock(under_way_mutex_);
    under_way_.erase(conversation.get());
  }
  gate_->GiveBack(std::move(conversation));
}

double ApiServer::load() const {
  return static_cast<double>(visitors_.busy() + visitors_.queued()) /
         static_cast<double>(visitors_.threads());
}

ApiServer::Purpose ApiServer::PurposeOf(const http::RequestHead& head) const {
  Purpose purpose;
  if (IsChallenge(node_.settings.node.acme_webroot, head)) {
    purpose.kind = RequestKind::kVisitor;  // of whichever host: no site is looked at
    return purpose;
  }
  // What is the accounts' or S3's is no site's, whatever a site made before says.
  if (account_pages_.Serves(head)) {
    purpose.kind = RequestKind::kAccount;
    return purpose;
  }
  const S3Host s3_host = s3_.HostOf(head);
  if (s3_host == S3Host::kNone && node_.sites.FindHost(head.host()) != nullptr) {
    purpose.kind = RequestKind::kVisitor;
  } else if (s3_host == S3Host::kBucket || (!IsOfApi(head) && s3_.Takes(head))) {
    purpose.s3 = true;
    purpose.kind = IsS3Upload(head) ? RequestKind::kUpload : RequestKind::kS3;
  } else if (IsUpload(head)) {
    purpose.kind = RequestKind::kUpload;
  } else if (head.path() == "/v1/events") {
    purpose.kind = RequestKind::kEvents;
  }
  return purpose;
}

Pool& ApiServer::PoolOf(RequestKind kind) {
  switch (kind) {
    case RequestKind::kVisitor:
      return visitors_;
    case RequestKind::kUpload:
      return uploads_;
    case RequestKind::kS3:
      return s3_readers_;
    case RequestKind::kAccount:
      return accounts_;
    case RequestKind::kApi:
    case RequestKind::kEvents:
      break;
  }
  return small_;
}

void ApiServer::OnRequest(std::unique_ptr<Conversation> conversation) {
  {
    std::lock_guard lock(under_way_mutex_);
    under_way_.insert(conversation.get());
  }
  const Purpose purpose = PurposeOf(conversation->request());
  // Visitors, and who signs in, come through a few edges, which have no share to mind.
  const bool shares =
      purpose.kind != RequestKind::kVisitor && purpose.kind != RequestKind::kAccount;
  const std::string client = shares ? ClientNetwork(conversation->client()) : "";
  // std::function wants to be copied.
  auto shared = std::make_shared<std::unique_ptr<Conversation>>(std::move(conversation));
  const bool taken = PoolOf(purpose.kind)
                         .Submit(
                             [this, purpose, shared] {
                               if (purpose.kind == RequestKind::kVisitor) {
                                 ServeVisitor(std::move(*shared));
                               } else if (purpose.kind == RequestKind::kAccount) {
                                 ServeAccount(std::move(*shared));
                               } else if (purpose.s3) {
                                 ServeS3(purpose.kind, std::move(*shared));
                               } else {
                                 ServeApi(purpose.kind, std::move(*shared));
                               }
                             },
                             client);
  if (!taken) RefuseBusy(purpose, std::move(*shared));
}

void ApiServer::ServeVisitor(std::unique_ptr<Conversation> conversation) {
  const http::RequestHead& head = conversation->request();
  Answer answer = AnswerVisitor(node_, head);
  // An edge that checks its origin asks by a site's host; a site may have such a page of its own.
  if (answer.status == 404 && head.path() == "/healthz") answer = HealthAnswer(node_);
  Finish(RequestKind::kVisitor, answer, std::move(conversation));
}

void ApiServer::ServeS3(RequestKind kind, std::unique_ptr<Conversation> conversation) {
  const Answer answer = s3_.Handle(conversation->request(), conversation->client(), *conversation);
  Finish(kind, answer, std::move(conversation));
}

void ApiServer::ServeAccount(std::unique_ptr<Conversation> conversation) {
  // Forms alone, of a few KiB, and few threads for them.
  conversation->Hurry(kFormPatience);
  const Answer answer =
      account_pages_.Handle(conversation->request(), conversation->client(), *conversation);
  Finish(RequestKind::kAccount, answer, std::move(conversation));
}

/// Now and then. The followers' thread has other things to do than to wait for a disk.
void ApiServer::ExpireUploads() {
  const MonoTime now = MonoNow();
  if (now < next_expiry_) return;
  next_expiry_ = now + kExpiryStep;
  (void)s3_readers_.Submit([this] {
    s3_.Expire(parts_clock_.Read(MonoNow(), WallNow()));
    api_.ExpireUploads();
  });
  (void)accounts_.Submit([this] { node_.accounts.Sweep(); });
}

void ApiServer::ServeApi(RequestKind kind, std::unique_ptr<Conversation> conversation) {
  const http::RequestHead& head = conversation->request();
  if (!IsOfApi(head)) {
    const bool local = AsksNode(node_, head) || head.host() == "localhost";
    const Answer answer =
        local ? TextAnswer(404, "The API is below /v1/; a site answers to its own hosts.\n")
              : UnknownHost(head.host());
    return Finish(kind, answer, std::move(conversation));
  }
  const ApiOutcome outcome = api_.Handle({head, conversation->client(), *conversation});
  if (const auto* follow = std::get_if<FollowLog>(&outcome)) {
    return StartFollowing(*follow, std::move(conversation));
  }
  if (const auto* awaited = std::get_if<AwaitEdges>(&outcome)) {
    return Await(kind, *awaited, std::move(conversation));
  }
  const Answer& answer = std::get<Answer>(outcome);
  if (answer.status >= 500 && answer.status != 503) {
    Log(Level::kError, "request_failed",
        {{"client", conversation->client()},
         {"method", head.method},
         {"target", head.target.substr(0, 200)},
         {"status", answer.status},
         {"reason", answer.reason}});
  }
  Finish(kind, answer, std::move(conversation));
}

void ApiServer::StartFollowing(const FollowLog& follow,
                               std::unique_ptr<Conversation> conversation) {
  Answer head;
  head.fields.Add("content-type", "text/event-stream");
  head.fields.Add("cache-control", "no-store");
  net::Descriptor socket = conversation->StartStream(head);
  node_.counters.Count(RequestKind::kEvents, head.status);
  LogRequest(RequestKind::kEvents, head, *conversation, /*complete=*/socket.is_open());
  if (socket.is_open()) {
    Log(Level::kInfo, "follower_connected", {{"client", conversation->client()}});
    followers_->Follow(std::move(socket), follow.after, follow.token);
  }
  GiveBack(std::move(conversation));
}

void ApiServer::Await(RequestKind kind, const AwaitEdges& awaited,
                      std::unique_ptr<Conversation> conversation) {
  auto shared = std::make_shared<std::unique_ptr<Conversation>>(std::move(conversation));
  const auto answer = [this, kind, awaited, shared](Receipt receipt) {
    auto send = [this, kind, awaited, shared, receipt] {
      Finish(kind, ReceiptAnswer(awaited, receipt), std::move(*shared));
    };
    // The thread that calls has other things to do than to send. The change was made, so a full
    // queue is no reason to answer 503.
    if (small_.SubmitDue(send)) return;
    FinishAtOnce(kind, ReceiptAnswer(awaited, receipt), std::move(*shared));
  };
  const Fleet::Wanted wanted{.position = awaited.position,
                             .since = awaited.since,
                             .deadline = MonoNow() + awaited.patience};
  if (!node_.fleet.WhenApplied(wanted, WallNow(), answer)) {
    const Receipt now = node_.fleet.ReceiptOf(awaited.position, awaited.since, WallNow());
    Finish(kind, ReceiptAnswer(awaited, now), std::move(*shared));
  }
}

void ApiServer::Finish(RequestKind kind, const Answer& answer,
                       std::unique_ptr<Conversation> conversation) {
  if (node_.draining.load()) conversation->CloseAfterwards();
  node_.counters.Count(kind, answer.status);  // before anybody can have seen the answer
  conversation->Respond(answer);
  node_.counters.received_bytes += conversation->received_bytes();
  node_.counters.sent_bytes += conversation->sent_bytes();
  const bool complete = conversation->afterwards() != Afterwards::kClose;
  LogRequest(kind, answer, *conversation, complete);
  GiveBack(std::move(conversation));
}

/// For threads that must not block: the gate's, and those that settle receipts.
void ApiServer::FinishAtOnce(RequestKind kind, const Answer& answer,
                             std::unique_ptr<Conversation> conversation) {
  node_.counters.Count(kind, answer.status);
  conversation->RespondAtOnce(answer);
  node_.counters.sent_bytes += conversation->sent_bytes();
  LogRequest(kind, answer, *conversation, /*complete=*/true);
  GiveBack(std::move(conversation));
}

void ApiServer::LogRequest(RequestKind kind, const Answer& answer, const Conversation& conversation,
                           bool complete) {
  const auto took = std::chrono::duration_cast<milliseconds>(MonoNow() - conversation.started());
  node_.access_log.Add({.kind = KindName(kind),
                        .client = conversation.client(),
                        .request = conversation.request(),
                        .status = answer.status,
                        .reason = answer.reason,
                        .received_bytes = conversation.received_bytes(),
                        .sent_bytes = conversation.sent_bytes(),
                        .duration = took,
                        .complete = complete});
}

void ApiServer::RefuseBusy(const Purpose& purpose, std::unique_ptr<Conversation> conversation) {
  ++node_.counters.refused_busy;
  constexpr std::string_view kWhy = "too many requests wait here: try again in a moment";
  const Error busy{Fault::kSelf, "busy", std::string(kWhy)};
  Answer answer;
  if (purpose.kind == RequestKind::kVisitor || purpose.kind == RequestKind::kAccount) {
    answer = TextAnswer(503, std::string(kWhy) + "\n");
    answer.fields.Add("retry-after", "1");
  } else if (purpose.s3) {
    answer = S3ErrorAnswer(busy, conversation->request().path(), "");
  } else {
    answer = ProblemAnswer(503, busy);
  }
  FinishAtOnce(purpose.kind, answer, std::move(conversation));
}

void ApiServer::ExportMetrics(metrics::Registry& registry) const {
  ExportRequests(registry);
  ExportConnections(registry);
  node_.accounts.ExportMetrics(registry);
  node_.quota_figures.ExportMetrics(registry);
  registry.Gauge("nearside_origin_followers", "Streams of events now.", {},
                 [this] { return static_cast<double>(followers_->count()); });
  registry.CounterFrom("nearside_origin_events_sent_total", "Events sent to followers.", {},
                       [this] { return static_cast<double>(followers_->sent_events()); });
  const std::pair<std::string, const Pool*> pools[] = {{"visitor", &visitors_},
                                                       {"upload", &uploads_},
                                                       {"api", &small_},
                                                       {"s3", &s3_readers_},
                                                       {"account", &accounts_}};
  for (const auto& [name, pool] : pools) {
    registry.Gauge("nearside_origin_busy_threads", "Threads at work, by kind.", {{"kind", name}},
                   [pool = pool] { return static_cast<double>(pool->busy()); });
    registry.Gauge("nearside_origin_queued_requests", "Requests that wait for a thread, by kind.",
                   {{"kind", name}}, [pool = pool] { return static_cast<double>(pool->queued()); });
  }
}

void ApiServer::ExportRequests(metrics::Registry& registry) const {
  const auto value = [](const std::atomic<uint64_t>& counter) {
    return [&counter] { return static_cast<double>(counter.load(std::memory_order_relaxed)); };
  };
  const NodeCounters& counters = node_.counters;
  for (size_t kind = 0; kind < kRequestKinds; ++kind) {
    for (size_t status = 2; status < std::size(kClassNames); ++status) {
      registry.CounterFrom("nearside_origin_requests_total",
                           "Requests answered on the API's addresses.",
                           {{"kind", std::string(KindName(static_cast<RequestKind>(kind)))},
                            {"status", std::string(kClassNames[status])}},
                           value(counters.answers[kind][status]));
    }
  }
  registry.CounterFrom("nearside_origin_locked_out_total",
                       "Requests of addresses that had shown too many wrong tokens: 429.", {},
                       [this] { return static_cast<double>(node_.access.locked_out()); });
  registry.Gauge("nearside_origin_tokens", "Tokens made by the API that are kept.", {},
                 [this] { return static_cast<double>(node_.access.table().size()); });
  registry.Gauge("nearside_origin_open_uploads", "Uploads in several goes under way.", {}, [this] {
    return static_cast<double>(node_.metadata->CountResumables().value_or(0));
  });
  for (const CounterRow& row : kCounters) {
    registry.CounterFrom(row.name, row.help, {}, value(counters.*row.counter));
  }
}

void ApiServer::ExportConnections(metrics::Registry& registry) const {
  for (const GateRow& row : kGateCounters) {
    registry.CounterFrom(row.name, row.help, {}, [this, member = row.counter] {
      return static_cast<double>(gate_->counters().*member);
    });
  }
  registry.Gauge("nearside_origin_connections", "Connections now.", {},
                 [this] { return static_cast<double>(gate_->counters().open); });
}

}  // namespace nearside::origin
