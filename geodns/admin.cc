#include "geodns/admin.h"

#include <array>

#include "geodns/explain.h"
#include "geodns/status.h"
#include "http/uri.h"
#include "runtime/clock.h"
#include "runtime/crypto.h"

namespace nearside::geodns {
namespace {

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

Admin::Admin(const metrics::Registry& registry, WallTime started, Sources sources)
    : registry_(registry), started_(started), sources_(std::move(sources)) {}

void Admin::OnRequest(http::Exchange& exchange) {
  const std::string& method = exchange.request().method;
  if (method == "GET" || method == "HEAD") return Get(exchange);
  if (method == "POST") return Post(exchange);
  RespondText(exchange, 405, kTextType, "expected GET\n");
}

void Admin::Get(http::Exchange& exchange) {
  const std::string_view path = exchange.request().path();
  if (path == "/healthz") {
    bool draining = sources_.draining();
    return RespondText(exchange, draining ? 503 : 200, kTextType, draining ? "draining\n" : "ok\n");
  }
  if (path == "/metrics") {
    std::string text =
        registry_.Expose() + WorldMetrics(sources_.world(), sources_.targets(), sources_.aliases);
    return RespondText(exchange, 200, kMetricsType, text);
  }
  if (path == "/status") {
    return RespondText(
        exchange, 200, kJsonType,
        StatusJson(sources_.world(), sources_.targets(), WallNow(), started_, sources_.aliases));
  }
  if (path == "/explain") return Explain(exchange);
  RespondText(exchange, 404, kTextType, "expected /healthz, /metrics, /status or /explain\n");
}

void Admin::Explain(http::Exchange& exchange) {
  const std::string_view query = exchange.request().query();
  auto name = dns::Name::FromText(QueryValue(query, "name"));
  auto client = Network::Parse(QueryValue(query, "client"));
  if (!name || !client) {
    return RespondText(exchange, 400, kTextType,
                       "expected /explain?name=www.example.org&client=192.0.2.1 (or a network like "
                       "192.0.2.0/24)\n");
  }
  auto snapshot = sources_.snapshot();
  auto json = geodns::Explain(sources_.world(), *snapshot, sources_.targets(), *name, *client);
  if (!json) return RespondText(exchange, 404, kTextType, json.error().message + "\n");
  RespondText(exchange, 200, kJsonType, *json);
}

/// Nothing can be changed from here yet; who asks is told so only with the token.
void Admin::Post(http::Exchange& exchange) {
  const std::string& token = sources_.world().configuration->admin_token;
  auto given = exchange.request().fields.Get("authorization");
  if (token.empty()) {
    return RespondText(exchange, 403, kTextType, "POST needs admin.token_file in the settings\n");
  }
  if (!given || !EqualInConstantTime(*given, "Bearer " + token)) {
    return RespondText(exchange, 401, kTextType, "expected Authorization: Bearer TOKEN\n");
  }
  RespondText(exchange, 404, kTextType, "nothing is changed by POST\n");
}

}  // namespace nearside::geodns
