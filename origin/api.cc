#include "origin/api.h"

#include <algorithm>

#include "origin/event.h"
#include "origin/visitor_service.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

/// What the fleet's token opens beside what everybody may see.
bool FleetMay(RouteKind kind, std::string_view method) {
  const bool reads = method == "GET" || method == "HEAD";
  switch (kind) {
    case RouteKind::kEvents:
    case RouteKind::kEdges:
    case RouteKind::kSites:
    case RouteKind::kSite:
      return reads;
    case RouteKind::kEdge:
      return reads || method == "POST";
    default:
      return false;
  }
}

std::string ReceiptMembers(const Receipt& receipt) {
  std::string json = "\"edges\":[";
  for (size_t i = 0; i < receipt.edges.size(); ++i) {
    const ReceiptLine& line = receipt.edges[i];
    json += i > 0 ? "," : "";
    json += "{\"name\":" + JsonString(line.edge) +
            ",\"seq\":" + std::to_string(line.applied.sequence) +
            ",\"applied\":" + (line.done ? "true" : "false") +
            ",\"reachable\":" + (line.reachable ? "true" : "false");
    if (line.done) json += ",\"ms\":" + std::to_string(line.took.count());
    json += ",\"seen\":" + std::to_string(ToUnixMillis(line.seen_at)) + "}";
  }
  json += "],\"complete\":";
  return json + (receipt.complete ? "true" : "false");
}

std::string PositionMembers(storage::LogPosition position) {
  return "\"epoch\":" + std::to_string(position.epoch) +
         ",\"seq\":" + std::to_string(position.sequence);
}

}  // namespace

Answer ReceiptAnswer(const AwaitEdges& awaited, const Receipt& receipt) {
  return JsonAnswer(awaited.status, "{" + awaited.members + (awaited.members.empty() ? "" : ",") +
                                        PositionMembers(awaited.position) + "," +
                                        ReceiptMembers(receipt) + "}");
}

bool IsUpload(const http::RequestHead& head) {
  if (head.method == "PUT") return true;
  return head.method == "POST" && head.path().ends_with("/releases");
}

ApiOutcome Api::Handle(const ApiRequest& request) {
  Result<Route> route = ParseRoute(request.head.path());
  // Who has no token is not told what there is and what not.
  const RouteKind kind = route ? route->kind : RouteKind::kSites;
  if (Status allowed = Authorize(kind, request); !allowed) {
    Log(Level::kWarning, "access_denied",
        {{"client", request.client},
         {"method", request.head.method},
         {"target", request.head.target.substr(0, 200)},
         {"reason", allowed.error().reason}});
    return ProblemAnswer(allowed.error());
  }
  if (!route) return ProblemAnswer(route.error());
  const std::string_view methods = MethodsOf(route->kind);
  if (!Allows(methods, request.head.method)) {
    Answer answer = ProblemAnswer(Error{Fault::kClient, "method_not_allowed",
                                        "this resource has " + std::string(methods) + " only"});
    answer.fields.Add("allow", methods);
    return answer;
  }
  return Dispatch(*route, request);
}

Status Api::Authorize(RouteKind kind, const ApiRequest& request) const {
  if (kind == RouteKind::kHealth) return {};
  const Scope scope = node_.tokens()->ScopeOf(request.head.fields);
  if (scope == Scope::kAdmin) return {};
  if (scope == Scope::kFleet) {
    if (FleetMay(kind, request.head.method)) return {};
    return Fail(Fault::kClient, "forbidden",
                "the fleet's token does not open this: use the token of auth.token_file");
  }
  return Fail(Fault::kClient, "unauthorized",
              request.head.fields.Has("authorization")
                  ? "the token is not known here: expected one of auth.token_file"
                  : "expected the header \"Authorization: Bearer TOKEN\"");
}

ApiOutcome Api::Dispatch(const Route& route, const ApiRequest& request) {
  const std::string& method = request.head.method;
  const bool reads = method == "GET" || method == "HEAD";
  switch (route.kind) {
    case RouteKind::kHealth:
      return HealthAnswer(node_);
    case RouteKind::kAsset:
      if (reads) return GetAsset(route, request);
      return method == "PUT" ? PutAsset(route, request) : DeleteAsset(route, request);
    case RouteKind::kAssets:
      return ListAssets(route, request);
    case RouteKind::kReleases:
      return reads ? ListReleases(route, request) : CreateRelease(route, request);
    case RouteKind::kRelease:
      return GetRelease(route);
    case RouteKind::kActivation:
      return Activate(route, request);
    case RouteKind::kBlob:
      return reads ? GetBlob(route, request) : PutBlob(route, request);
    case RouteKind::kPurge:
      return Purge(request);
    case RouteKind::kEvents:
      return Events(request);
    case RouteKind::kEdges:
      return ListEdges();
    case RouteKind::kEdge:
      if (reads) return GetEdge(route);
      return method == "POST" ? ReportEdge(route, request) : RemoveEdge(route);
    case RouteKind::kSites:
      return reads ? ListSites() : CreateSite(request);
    case RouteKind::kSite:
      if (reads) return GetSite(route);
      return method == "PUT" ? PutSite(route, request) : DeleteSite(route, request);
  }
  return ProblemAnswer(Error{Fault::kClient, "no_such_route", "the API has nothing there"});
}

ApiOutcome Api::Done(const ApiRequest& request, Change change) {
  Log(Level::kInfo, change.event,
      {{"site", change.site},
       {"client", request.client},
       {"position", PositionText(change.position)}});
  node_.Changed(change.site);
  // Its syntax was checked before the change was made.
  const auto wait = QueryWait(request.head.query(), kLongestWait);
  if (wait && *wait) {
    return AwaitEdges{change.position, change.since, **wait, change.status,
                      std::move(change.members)};
  }
  return JsonAnswer(change.status, "{" + change.members + (change.members.empty() ? "" : ",") +
                                       PositionMembers(change.position) + "}");
}

}  // namespace nearside::origin
