#include "origin/visitor_service.h"

#include <cstdio>

#include "net/address.h"
#include "origin/acme.h"
#include "origin/collector.h"
#include "origin/visitor.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

Answer FailedAnswer(const http::RequestHead& request, const Error& error) {
  Log(Level::kError, "visitor_failed",
      {{"host", request.authority}, {"target", request.target}, {"error", error.ToString()}});
  const bool busy = error.reason == "database_busy";
  Answer answer = TextAnswer(busy ? 503 : 500, "The origin cannot answer this now.\n");
  answer.fields.Add("cache-control", "no-store");
  answer.reason = error.reason;
  return answer;
}

}  // namespace

Answer AnswerVisitor(Node& node, const http::RequestHead& request) {
  if (auto challenge = AnswerChallenge(node.settings.node.acme_webroot, request)) {
    return *std::move(challenge);
  }
  // Another origin may have told the edge that asks of a change which this one has not seen yet.
  if (Status read = node.newest_sites.CatchUp(); !read) return FailedAnswer(request, read.error());
  const ServedSitePointer site = node.sites.FindHost(request.host());
  if (site == nullptr) return UnknownHost(request.host());
  ReleaseContent content(*node.metadata, site, RetentionOf(node.settings.releases));
  Result<Answer> answer = ServeVisitor(request, content, WallNow());
  if (!answer) return FailedAnswer(request, answer.error());
  if (request.method == "HEAD") return *std::move(answer);
  if (Status opened = OpenBody(*node.blobs, &*answer); !opened) {
    return FailedAnswer(request, opened.error());
  }
  return *std::move(answer);
}

Answer HealthAnswer(const Node& node) {
  const bool draining = node.draining.load();
  char load[32];
  std::snprintf(load, sizeof load, "%.3f", node.load());
  Answer answer = draining ? TextAnswer(503, "draining\n") : TextAnswer(200, "ok\n");
  answer.fields.Add("cache-control", "no-store");
  answer.fields.Add("nearside-load", load);
  answer.fields.Add("nearside-drain", draining ? "1" : "0");
  answer.fields.Add("nearside-lag", "0.0");  // the log is here: there is nothing to be behind
  return answer;
}

bool AsksNode(const Node& node, const http::RequestHead& request) {
  const std::string_view host = request.host();
  return net::IsIpLiteral(host) || host == http::LowerName(node.settings.node.name);
}

Answer UnknownHost(std::string_view host) {
  Answer answer = TextAnswer(421, "No site here has the host \"" + std::string(host) + "\".\n");
  answer.fields.Add("cache-control", "no-store");
  return answer;
}

}  // namespace nearside::origin
