#include "origin/admin.h"

#include <nlohmann/json.hpp>

#include "origin/visitor_service.h"
#include "runtime/daemon.h"

namespace nearside::origin {
namespace {

Answer NotAllowed() {
  Answer answer =
      TextAnswer(405, "Only GET and HEAD are served here: changes go through the API.\n");
  answer.fields.Add("allow", "GET, HEAD");
  return answer;
}

}  // namespace

void Admin::OnRequest(http::Exchange& exchange) {
  const std::string& method = exchange.request().method;
  Answer answer;
  if (method == "GET" || method == "HEAD") {
    answer = Get(exchange.request().path());
  } else if (method == "POST") {
    answer = Post(exchange.request());
  } else {
    answer = NotAllowed();
  }
  const std::string length = std::to_string(answer.body_bytes());
  answer.fields.Add("content-length", length);
  exchange.Respond(answer.status, {}, answer.fields.lines(),
                   http::TextBody(answer.body.front().text));
}

Answer Admin::Get(std::string_view path) const {
  if (path == "/healthz") return HealthAnswer(node_);
  if (path == "/status") return StatusAnswer();
  if (path == "/metrics") {
    Answer answer = TextAnswer(200, node_.registry.Expose());
    answer.fields.Set("content-type", "text/plain; version=0.0.4; charset=utf-8");
    return answer;
  }
  return TextAnswer(404, "Expected /healthz, /metrics or /status.\n");
}

Answer Admin::Post(const http::RequestHead& request) const {
  if (!tokens_) {
    return TextAnswer(403, "POST is off: set admin.token_file to a file with a token.\n");
  }
  if (tokens_->ScopeOf(request.fields) != Scope::kAdmin) {
    Answer answer =
        TextAnswer(401, "Expected \"Authorization: Bearer\" with the token of admin.token_file.\n");
    answer.fields.Add("www-authenticate", "Bearer realm=\"nearside\"");
    return answer;
  }
  return NotAllowed();
}

Answer Admin::StatusAnswer() const {
  Result<storage::LogState> log = node_.metadata->Log();
  if (!log) return ProblemAnswer(log.error());
  const WallTime now = WallNow();
  nlohmann::ordered_json json = {
      {"name", node_.settings.node.name},
      {"version", Version()},
      {"uptime_s", std::chrono::duration_cast<seconds>(now - started_).count()},
      {"draining", node_.draining.load()},
      {"load", node_.load()},
      {"sites", node_.sites.size()},
      {"log", {{"epoch", log->last.epoch}, {"first", log->first}, {"seq", log->last.sequence}}}};
  json["edges"] = nlohmann::ordered_json::array();
  for (const storage::EdgeReport& edge : node_.fleet.Edges()) {
    json["edges"].push_back({{"name", edge.name},
                             {"reachable", now - edge.seen_at < kEdgeLost},
                             {"seq", edge.applied.sequence},
                             {"same_log", edge.applied.epoch == log->last.epoch}});
  }
  Answer answer = JsonAnswer(200, json.dump(2));
  return answer;
}

}  // namespace nearside::origin
