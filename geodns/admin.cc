#include "geodns/admin.h"

#include <array>
#include <nlohmann/json.hpp>

#include "geodns/explain.h"
#include "geodns/status.h"
#include "http/uri.h"
#include "net/address.h"
#include "runtime/clock.h"
#include "runtime/crypto.h"

namespace nearside::geodns {
namespace {

constexpr size_t kLongestPost = 64 << 10;
constexpr std::string_view kJsonType = "application/json";
constexpr std::string_view kTextType = "text/plain; charset=utf-8";
constexpr std::string_view kMetricsType = "text/plain; version=0.0.4; charset=utf-8";

void RespondText(http::Exchange& exchange, int status, std::string_view type,
                 std::string_view text) {
  const std::string length = std::to_string(text.size());
  const std::array<http::FieldLine, 3> lines = {
      {{"content-type", type}, {"content-length", length}, {"cache-control", "no-store"}}};
  exchange.Respond(status, {}, lines, http::TextBody(text));
}

void RespondError(http::Exchange& exchange, int status, std::string_view message) {
  RespondText(exchange, status, kJsonType, ErrorJson(message));
}

/// The value of `name` in a query, percent-decoded; "" when it is not there.
std::string QueryValue(std::string_view query, std::string_view name) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos || pair.substr(0, equals) != name) continue;
    return http::PercentDecode(pair.substr(equals + 1)).value_or("");
  }
  return "";
}

}  // namespace

std::string ErrorJson(std::string_view message) {
  using Json = nlohmann::json;
  return Json({{"error", message}}).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

/// Gathers a POST's body, hands it over whole and carries the answer, for which it lives.
class Admin::PostBody final : public http::ExchangeHandler {
 public:
  PostBody(const PostRoute& route, http::Exchange& exchange)
      : route_(route), exchange_(exchange), client_(std::make_shared<http::Exchange*>(&exchange)) {}
  ~PostBody() override { *client_ = nullptr; }
  void OnBody(std::span<const uint8_t> bytes) override {
    exchange_.ConsumedBody(bytes.size());
    if (done_) return;
    if (body_.size() + bytes.size() > kLongestPost) {
      done_ = true;
      return RespondError(exchange_, 413, "expected at most 64 KiB");
    }
    body_.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  void OnBodyEnd(const http::Fields&) override { Run(); }
  void Run() {
    if (std::exchange(done_, true)) return;
    const std::string body =
        body_.empty() ? std::string(exchange_.request().query()) : std::move(body_);
    // An answer at once destroys this.
    route_.run(body, [client = client_](int status, const std::string& json) {
      if (*client == nullptr) return;
      RespondText(*std::exchange(*client, nullptr), status, kJsonType, json);
    });
  }

 private:
  const PostRoute& route_;
  http::Exchange& exchange_;
  const std::shared_ptr<http::Exchange*> client_;  ///< null when it has gone or was answered
  std::string body_;
  bool done_ = false;
};

Admin::Admin(const metrics::Registry& registry, WallTime started, Sources sources)
    : registry_(registry), started_(started), sources_(std::move(sources)) {}

void Admin::OnRequest(http::Exchange& exchange) {
  const std::string& method = exchange.request().method;
  if (method == "GET" || method == "HEAD") return Get(exchange);
  if (method == "POST") return Post(exchange);
  RespondText(exchange, 405, kTextType, "expected GET or POST\n");
}

void Admin::Get(http::Exchange& exchange) {
  const std::string_view path = exchange.request().path();
  if (path == "/healthz") {
    bool draining = sources_.draining();
    return RespondText(exchange, draining ? 503 : 200, kTextType, draining ? "draining\n" : "ok\n");
  }
  if (path == "/metrics") {
    std::string text =
        registry_.Expose() + WorldMetrics(sources_.world(), sources_.moment(), sources_.aliases);
    return RespondText(exchange, 200, kMetricsType, text);
  }
  if (path == "/status") {
    return RespondText(
        exchange, 200, kJsonType,
        StatusJson(sources_.world(), sources_.moment(), WallNow(), started_, sources_.aliases));
  }
  if (path == "/explain") return Explain(exchange);
  std::string expected = "expected /healthz, /metrics, /status, /explain";
  for (const PostRoute& route : sources_.gets) {
    if (path == route.path) return Run(route, exchange);
    expected += ", " + route.path;
  }
  RespondText(exchange, 404, kTextType, expected + "\n");
}

void Admin::Explain(http::Exchange& exchange) {
  const std::string_view query = exchange.request().query();
  auto name = dns::Name::FromText(QueryValue(query, "name"));
  const auto client_text = QueryValue(query, "client");
  if (!name || client_text.empty()) {
    return RespondError(exchange, 400,
                        "expected /explain?name=www.example.org&client=192.0.2.1 (or a network "
                        "like 192.0.2.0/24)");
  }
  auto client = Network::Parse(client_text);
  if (!client) return RespondError(exchange, 400, "client: " + client.error().message);
  auto snapshot = sources_.snapshot();
  auto json = geodns::Explain(sources_.world(), *snapshot, sources_.moment(), *name, *client);
  if (!json) return RespondError(exchange, 404, json.error().message);
  RespondText(exchange, 200, kJsonType, *json);
}

void Admin::Run(const PostRoute& route, http::Exchange& exchange) {
  auto body = std::make_unique<PostBody>(route, exchange);
  PostBody* handler = body.get();
  if (exchange.has_body()) exchange.WantBody();
  exchange.SetHandler(std::move(body));
  if (!exchange.has_body()) handler->Run();
}

// A page in a browser on this machine can reach loopback, so that alone opens nothing: a token, and
// a Host that no DNS name of an attacker can be (rebinding).
void Admin::Post(http::Exchange& exchange) {
  const http::RequestHead& request = exchange.request();
  const std::string_view host = request.host();
  if (!net::IsIpLiteral(host) && host != "localhost") {
    return RespondError(exchange, 421, "expected an address or localhost as Host");
  }
  const std::string& token = sources_.world().configuration->admin_token;
  if (token.empty()) {
    return RespondError(exchange, 403, "POST is off: set admin.token_file to a file with a token");
  }
  const std::string given(request.fields.Get("authorization").value_or(""));
  if (!EqualInConstantTime(given, "Bearer " + token)) {
    return RespondError(exchange, 401, "expected \"Authorization: Bearer\" with the admin token");
  }
  std::string expected;
  for (const PostRoute& route : sources_.posts) {
    if (request.path() != route.path) {
      expected += (expected.empty() ? "expected " : " or ") + route.path;
      continue;
    }
    return Run(route, exchange);
  }
  RespondError(exchange, 404, expected.empty() ? "nothing takes a POST here" : expected);
}

}  // namespace nearside::geodns
