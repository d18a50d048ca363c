#include "edge/admin.h"

#include <array>
#include <nlohmann/json.hpp>

#include "edge/explain.h"
#include "edge/health.h"
#include "edge/purge.h"
#include "net/address.h"
#include "runtime/crypto.h"
#include "runtime/daemon.h"
#include "runtime/log.h"

namespace nearside::edge {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kLongestPost = 4 << 20;

void RespondError(http::Exchange& exchange, int status, std::string_view message) {
  RespondJson(
      exchange, status,
      Json({{"error", message}}).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
}

Json CacheJson(const storage::CacheStats& stats) {
  return {{"memory_bytes", stats.memory_bytes},
          {"disk_bytes", stats.disk_bytes},
          {"disk_limit_bytes", stats.disk_limit_bytes},
          {"disk_objects", stats.disk_objects},
          {"stored", stats.stored},
          {"not_stored", stats.not_stored},
          {"evicted", stats.evicted_disk},
          {"expired", stats.expired},
          {"pinned_objects", stats.pinned_objects},
          {"pinned_bytes", stats.pinned_bytes},
          {"checksum_failures", stats.checksum_failures},
          {"write_errors", stats.write_errors},
          {"pass_through", stats.pass_through}};
}

Json FleetJson(const FollowerState& state, int64_t lag_ms) {
  Json json = {{"following", state.following},
               {"origin", state.origin},
               {"epoch", state.applied.epoch},
               {"applied", state.applied.sequence},
               {"log", state.log.sequence},
               {"lag_ms", lag_ms},
               {"events_applied", state.events_applied},
               {"reconnects", state.reconnects},
               {"log_cuts", state.log_cuts}};
  if (!state.last_error.empty()) json["last_error"] = state.last_error;
  return json;
}

Json OriginsJson(const Configuration& configuration, MonoTime now) {
  Json origins = Json::array();
  for (const auto& site : configuration.sites.sites()) {
    for (const OriginReport& report : site->origin_set->Report(now)) {
      uint64_t failures = 0;
      for (const uint64_t count : report.failures) failures += count;
      Json& json = origins.emplace_back(Json{{"site", site->settings.name},
                                             {"origin", report.url},
                                             {"state", report.state},
                                             {"since", FormatIsoTime(report.since)}});
      if (!report.why.empty()) json["why"] = report.why;
      json["in_flight"] = report.in_flight;
      json["requests"] = report.requests;
      json["retries"] = report.retries;
      json["failures"] = failures;
      json["ejections"] = report.ejections;
    }
  }
  return origins;
}

}  // namespace

/// Gathers a POST's body and hands it over whole.
class Admin::PostBody final : public http::ExchangeHandler {
 public:
  PostBody(Admin& admin, http::Exchange& exchange)
      : admin_(admin), exchange_(exchange), client_(std::make_shared<http::Exchange*>(&exchange)) {}
  ~PostBody() override { *client_ = nullptr; }
  void OnBody(std::span<const uint8_t> bytes) override {
    exchange_.ConsumedBody(bytes.size());
    if (answered_) return;
    if (body_.size() + bytes.size() > kLongestPost) {
      answered_ = true;
      return RespondError(exchange_, 413, "expected at most 4 MiB; split the purge");
    }
    body_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void OnBodyEnd(const http::Fields&) override {
    if (!std::exchange(answered_, true)) admin_.OnPost(client_, body_);
  }

 private:
  Admin& admin_;
  http::Exchange& exchange_;
  const Client client_;
  std::string body_;
  bool answered_ = false;
};

Admin::Admin(Node& node, net::EventLoop& loop, std::string token, Sources sources)
    : node_(node),
      loop_(loop),
      token_(std::move(token)),
      sources_(std::move(sources)),
      started_(loop.wall_now()) {}

void Admin::OnRequest(http::Exchange& exchange) {
  const std::string& method = exchange.request().method;
  if (method == "GET" || method == "HEAD") return Get(exchange);
  if (method == "POST") return Post(exchange);
  RespondError(exchange, 405, "expected GET or POST");
}

void Admin::Get(http::Exchange& exchange) {
  const std::string_view path = exchange.request().path();
  if (path == "/healthz") return RespondHealth(node_, exchange);
  if (path == "/status") return RespondJson(exchange, 200, StatusJson());
  if (path == "/explain") {
    return RespondExplain(node_, loop_, sources_.configuration(), exchange.request().query(),
                          exchange);
  }
  if (path == "/metrics") {
    const std::string text = node_.registry.Expose();
    const std::string length = std::to_string(text.size());
    const std::array<http::FieldLine, 2> lines = {
        {{"content-type", "text/plain; version=0.0.4; charset=utf-8"}, {"content-length", length}}};
    return exchange.Respond(200, {}, lines, http::TextBody(text));
  }
  RespondError(exchange, 404, "expected /healthz, /metrics, /status or /explain?url=");
}

// A page in a browser on this machine can reach loopback, so that alone opens nothing: a token, and
// a Host that no DNS name of an attacker can be (rebinding).
void Admin::Post(http::Exchange& exchange) {
  const http::RequestHead& request = exchange.request();
  const std::string_view host = request.host();
  if (!net::IsIpLiteral(host) && host != "localhost" && host != node_.name) {
    return RespondError(exchange, 421, "expected an address, localhost or the edge's name as Host");
  }
  if (token_.empty()) {
    return RespondError(exchange, 403, "POST is off: set admin.token_file to a file with a token");
  }
  const std::string given(request.fields.Get("authorization").value_or(""));
  if (!EqualInConstantTime(given, "Bearer " + token_)) {
    return RespondError(exchange, 401, "expected \"Authorization: Bearer\" with the admin token");
  }
  const std::string_view path = request.path();
  if (path != "/purge" && path != "/drain") {
    return RespondError(exchange, 404, "expected /purge or /drain");
  }
  if (!exchange.has_body()) return OnPost(std::make_shared<http::Exchange*>(&exchange), "");
  exchange.WantBody();
  exchange.SetHandler(std::make_unique<PostBody>(*this, exchange));
}

void Admin::OnPost(const Client& client, const std::string& body) {
  if ((*client)->request().path() == "/purge") return Purge(client, body);
  Drain(**client, body);
}

/// Answered when a restart would not forget it any more; at once when the disk fails.
void Admin::Purge(const Client& client, const std::string& body) {
  http::Exchange& exchange = **client;
  auto order = ParsePurgeOrder(body);
  if (!order) return RespondError(exchange, 400, order.error().message);
  const auto configuration = sources_.configuration();
  const Site* site = configuration->sites.FindByName(order->site);
  if (site == nullptr) {
    return RespondError(exchange, 404, "no site of this edge is called \"" + order->site + "\"");
  }
  ApplyQueryRule(site->query_rule, &*order);
  const auto scopes = ScopesOf(*order);
  if (scopes.empty()) {
    return RespondError(exchange, 400, "expected urls, prefixes, tags or \"all\": true");
  }
  const auto answer = [client](uint64_t sequence, bool durable) {
    if (*client == nullptr) return;
    RespondJson(**client, 200, Json({{"local_seq", sequence}, {"durable", durable}}).dump() + "\n");
  };
  const bool disk_fails = node_.store->Stats().pass_through;
  auto sequence = std::make_shared<uint64_t>(0);
  *sequence = node_.store->Purge(scopes, order->soft, std::nullopt, &loop_,
                                 [sequence, answer] { answer(*sequence, /*durable=*/true); });
  sources_.purged(order->site);
  Log(Level::kInfo, "purged",
      {{"site", order->site}, {"scopes", scopes.size()}, {"soft", order->soft ? "yes" : "no"}});
  if (disk_fails) {
    answer(*sequence, /*durable=*/false);
    *client = nullptr;
  }
}

void Admin::Drain(http::Exchange& exchange, const std::string& body) {
  bool drain = true;
  if (!body.empty()) {
    const auto json = Json::parse(body, nullptr, false);
    const auto value = json.is_object() ? json.find("drain") : json.end();
    if (!json.is_object() || value == json.end() || !value->is_boolean()) {
      return RespondError(exchange, 400,
                          "expected nothing, or {\"drain\": true} or {\"drain\": false}");
    }
    drain = value->get<bool>();
  }
  node_.draining.store(drain);
  Log(Level::kInfo, drain ? "draining" : "undrained");
  RespondJson(exchange, 200, Json({{"draining", drain}}).dump() + "\n");
}

std::string Admin::StatusJson() const {
  const EdgeMetrics& metrics = node_.metrics;
  std::array<uint64_t, kResultClassCount> requests{};
  for (int i = 0; i < static_cast<int>(Reason::kStored); ++i) {
    requests[static_cast<size_t>(ClassOf(static_cast<Reason>(i)))] +=
        node_.registry.Sum(metrics.requests[i]);
  }
  Json by_result, bytes_by_result;
  for (int i = 0; i < kResultClassCount; ++i) {
    const auto name = std::string(ResultClassName(static_cast<ResultClass>(i)));
    by_result[name] = requests[i];
    bytes_by_result[name] = node_.registry.Sum(metrics.body_bytes[i]);
  }
  const auto sum_of = [&](ResultClass a, ResultClass b) {
    return requests[static_cast<size_t>(a)] + requests[static_cast<size_t>(b)];
  };
  const uint64_t served = sum_of(ResultClass::kHit, ResultClass::kStale);
  const uint64_t asked = served + sum_of(ResultClass::kMiss, ResultClass::kPass);
  const http::SessionCounters sessions = sources_.sessions();
  const auto configuration = sources_.configuration();
  Json sites = Json::array();
  for (const auto& site : configuration->sites.sites()) sites.push_back(site->settings.name);
  Json json = {
      {"name", node_.name},
      {"version", Version()},
      {"uptime_s", std::chrono::duration_cast<seconds>(loop_.wall_now() - started_).count()},
      {"draining", node_.draining.load()},
      {"load", node_.load_permille.load() / 1000.0},
      {"sites", sites},
      {"origins", OriginsJson(*configuration, loop_.now())},
      {"requests", by_result},
      {"hit_ratio", asked == 0 ? 0.0 : static_cast<double>(served) / static_cast<double>(asked)},
      {"body_bytes", bytes_by_result},
      {"connections", sessions.open},
      {"cache", CacheJson(node_.store->Stats())}};
  if (const FollowerState* state = sources_.follower()) {
    json["fleet"] = FleetJson(*state, node_.lag_ms.load());
    json["releases"] = Json::parse(sources_.kept());
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace nearside::edge
