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

/// tus lets clients that have no other methods than GET and POST say which one they mean. Its
/// uploads have no POST of their own, and all their methods want the same right.
std::string_view MethodOf(const Route& route, const http::RequestHead& head) {
  const std::string_view other = head.fields.Get("x-http-method-override").value_or("");
  const bool heeded = route.kind == RouteKind::kUpload && head.method == "POST";
  return heeded && (other == "PATCH" || other == "DELETE") ? other : std::string_view(head.method);
}

std::string PositionMembers(storage::LogPosition position) {
  return "\"epoch\":" + std::to_string(position.epoch) +
         ",\"seq\":" + std::to_string(position.sequence);
}

}  // namespace

Answer ReceiptAnswer(const AwaitEdges& awaited, const Receipt& receipt) {
  Answer answer = JsonAnswer(
      awaited.status, "{" + awaited.members + (awaited.members.empty() ? "" : ",") +
                          PositionMembers(awaited.position) + "," + ReceiptMembers(receipt) + "}");
  for (const http::FieldLine& line : awaited.fields.lines()) {
    answer.fields.Set(line.name, line.value);
  }
  return answer;
}

bool IsUpload(const http::RequestHead& head) {
  if (head.method == "PUT" || head.method == "PATCH") return true;
  const std::string_view path = head.path();
  return head.method == "POST" &&
         (path.ends_with("/releases") || path.find("/uploads") != std::string_view::npos);
}

ApiOutcome Api::Handle(const ApiRequest& incoming) {
  const Result<Route> route = ParseRoute(incoming.head.path());
  ApiOutcome outcome = HandleByToken(incoming, route);
  if (route && (route->kind == RouteKind::kUploads || route->kind == RouteKind::kUpload)) {
    DressUpload(incoming.head, &outcome);
  }
  return outcome;
}

ApiOutcome Api::HandleByToken(const ApiRequest& incoming, const Result<Route>& route) {
  ApiRequest request = incoming;
  const std::string_view method = route ? MethodOf(*route, request.head) : request.head.method;
  if (!route || NeedOf(route->kind, method).reach != Reach::kOpen) {
    // Who has no token is not told what there is and what not.
    Result<Caller> caller = node_.access.Authenticate(request.head.fields, request.client);
    if (!caller && caller.error().reason == "too_many_failures") {
      return TooManyFailures(caller.error(), node_.access.LockedOutFor(request.client));
    }
    if (!caller) return Refused(request, caller.error());
    request.caller = std::move(*caller);
  }
  return HandleRoute(route, request);
}

ApiOutcome Api::HandleAs(Caller caller, const ApiRequest& incoming) {
  ApiRequest request = incoming;
  request.caller = std::move(caller);
  return HandleRoute(ParseRoute(request.head.path()), request);
}

ApiOutcome Api::HandleRoute(const Result<Route>& route, const ApiRequest& request) {
  if (!route) return ProblemAnswer(route.error());
  const std::string_view method = MethodOf(*route, request.head);
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
  return Dispatch(*route, request, method);
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

ApiOutcome Api::DispatchUpload(const Route& route, const ApiRequest& request,
                               std::string_view method) {
  if (method == "OPTIONS") return UploadOptions(request);
  if (method == "HEAD") return LookAtUpload(route, request);
  return method == "PATCH" ? AppendToUpload(route, request) : RemoveUpload(route, request);
}

ApiOutcome Api::Dispatch(const Route& route, const ApiRequest& request, std::string_view method) {
  const bool reads = method == "GET" || method == "HEAD";
  switch (route.kind) {
    case RouteKind::kHealth:
      return HealthAnswer(node_);
    case RouteKind::kAsset:
      if (reads) return GetAsset(route, request);
      return method == "PUT" ? PutAsset(route, request) : DeleteAsset(route, request);
    case RouteKind::kAssets:
      return ListAssets(route, request);
    case RouteKind::kUploads:
      return method == "POST" ? BeginUpload(route, request) : UploadOptions(request);
    case RouteKind::kUpload:
      return DispatchUpload(route, request, method);
    case RouteKind::kReleases:
      return reads ? ListReleases(route, request) : CreateRelease(route, request);
    case RouteKind::kRelease:
      return GetRelease(route);
    case RouteKind::kActivation:
      return Activate(route, request);
    case RouteKind::kPreparation:
      return reads ? GetPreparation(route, request) : PrepareRelease(route, request);
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
    case RouteKind::kAccounts:
      return reads ? ListAccounts(request) : CreateAccount(request);
    case RouteKind::kAccount:
      return reads ? GetAccount(route) : DeleteAccount(route, request);
    case RouteKind::kAccountGrants:
      return PutGrants(route, request);
    case RouteKind::kAccountPassword:
      return PutPassword(route, request);
    case RouteKind::kAccountSessions:
      return reads ? ListSessions(route) : EndSessions(route, request);
    case RouteKind::kReceipts:
      return ListReceipts(request);
    case RouteKind::kReceipt:
      return GetReceipt(route, request);
    case RouteKind::kJobs:
      return ListJobs(request);
    case RouteKind::kJobRetry:
      return RetryJob(route, request);
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
