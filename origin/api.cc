#include "origin/api.h"

#include <algorithm>

#include "origin/event.h"
#include "origin/openapi.h"
#include "origin/route_access.h"
#include "origin/visitor_service.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

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

Answer TooManyFailures(const Error& error, milliseconds wait) {
  Answer answer = ProblemAnswer(error);
  const auto whole = std::max<int64_t>(1, std::chrono::ceil<seconds>(wait).count());
  answer.fields.Add("retry-after", std::to_string(whole));
  return answer;
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

ApiOutcome Api::Handle(const ApiRequest& incoming) {
  ApiRequest request = incoming;
  const std::string& method = request.head.method;
  Result<Route> route = ParseRoute(request.head.path());
  if (!route || NeedOf(route->kind, method).reach != Reach::kOpen) {
    // Who has no token is not told what there is and what not.
    Result<Caller> caller = node_.access.Authenticate(request.head.fields, request.client);
    if (!caller && caller.error().reason == "too_many_failures") {
      return TooManyFailures(caller.error(), node_.access.LockedOutFor(request.client));
    }
    if (!caller) return Refused(request, caller.error());
    request.caller = std::move(*caller);
  }
  if (!route) return ProblemAnswer(route.error());
  const std::string_view methods = MethodsOf(route->kind);
  if (!Allows(methods, method)) {
    Answer answer = ProblemAnswer(Error{Fault::kClient, "method_not_allowed",
                                        "this resource has " + std::string(methods) + " only"});
    answer.fields.Add("allow", methods);
    return answer;
  }
  if (Status allowed = CheckAccess(request.caller, *route, method); !allowed) {
    return Refused(request, allowed.error());
  }
  return Dispatch(*route, request);
}

Answer Api::Refused(const ApiRequest& request, const Error& error) const {
  const int status = StatusOfError(error);
  if (status == 401 || status == 403) {
    Log(Level::kWarning, "access_denied",
        {{"client", request.client},
         {"token", request.caller.name},
         {"method", request.head.method},
         {"target", request.head.target.substr(0, 200)},
         {"reason", error.reason}});
  }
  return ProblemAnswer(status, error);
}

void Api::Record(const ApiRequest& request, const Deed& deed) {
  if (Status kept = node_.metadata->AddAudit(RecordOf(request, deed)); !kept) {
    Log(Level::kError, "audit_record_lost",
        {{"action", deed.action}, {"token", request.caller.name}, {"error", kept.error().message}});
  }
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
    case RouteKind::kContent:
      return ListContent(route, request);
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
      return method == "POST" ? ReportEdge(route, request) : RemoveEdge(route, request);
    case RouteKind::kSites:
      return reads ? ListSites(request) : CreateSite(request);
    case RouteKind::kSite:
      if (reads) return GetSite(route);
      return method == "PUT" ? PutSite(route, request) : DeleteSite(route, request);
    case RouteKind::kTokens:
      return reads ? ListTokens(request) : CreateToken(request);
    case RouteKind::kToken:
      return reads ? GetToken(route, request) : RevokeToken(route, request);
    case RouteKind::kAudit:
      return ListAudit(request);
    case RouteKind::kReceipts:
      return ListReceipts(request);
    case RouteKind::kReceipt:
      return GetReceipt(route, request);
    case RouteKind::kOpenApi:
      return JsonAnswer(200, OpenApiDocument());
  }
  return ProblemAnswer(Error{Fault::kClient, "no_such_route", "the API has nothing there"});
}

ApiOutcome Api::Done(const ApiRequest& request, Change change) {
  Log(Level::kInfo, change.event,
      {{"site", change.site},
       {"client", request.client},
       {"token", request.caller.name},
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
