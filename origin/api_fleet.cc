#include <nlohmann/json.hpp>

#include "origin/api.h"
#include "origin/audit.h"
#include "origin/event.h"
#include "origin/json.h"
#include "origin/log_tail.h"
#include "origin/manifest.h"

namespace nearside::origin {
namespace {

/// The site that a purge means: by its name, or by the host of its first absolute URL. Error:
/// kClient forbidden as well, before it is told whether there is such a site.
Result<storage::Site> SiteOfPurge(Node& node, const PurgeRequest& purge, const Caller& caller) {
  const auto allowed = [&](std::string_view name) { return Require(caller, Right::kPurge, name); };
  if (!purge.site.empty()) {
    if (Status may = allowed(purge.site); !may) return unexpected(std::move(may.error()));
    return node.metadata->FindSite(purge.site);
  }
  const std::string host = HostOfPurge(purge.forget);
  if (host.empty()) {
    return Fail(
        Fault::kClient, "bad_purge",
        "which site? expected URLs as https://HOST/PATH, without a fragment, of a host of one, "
        "or \"site\" (nearside purge --site NAME)");
  }
  std::shared_ptr<const storage::Site> site = node.sites.FindHost(host);
  if (site != nullptr) {
    if (Status may = allowed(site->name); !may) return unexpected(std::move(may.error()));
    return *site;
  }
  return Fail(Fault::kClient, "bad_purge", "no site has the host \"" + host + "\"");
}

/// What a purge was about, with the first few of each kind.
std::string DetailOf(const Forget& forget) {
  constexpr size_t kShown = 10;
  constexpr size_t kShownBytes = 200;
  nlohmann::ordered_json json = {{"soft", forget.soft}};
  if (forget.all) json["all"] = true;
  const std::pair<const char*, const std::vector<std::string>&> kinds[] = {
      {"urls", forget.urls}, {"prefixes", forget.prefixes}, {"tags", forget.tags}};
  for (const auto& [kind, names] : kinds) {
    if (names.empty()) continue;
    json[kind] = nlohmann::ordered_json::array();
    for (size_t i = 0; i < std::min(names.size(), kShown); ++i) {
      json[kind].push_back(names[i].substr(0, kShownBytes));
    }
    if (names.size() > kShown) json[std::string(kind) + "_count"] = names.size();
  }
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

/// How far behind an edge is: since the first event that it has not applied.
Result<int64_t> LagMillis(storage::Metadata& metadata, const storage::EdgeReport& edge,
                          const storage::LogState& log, WallTime now) {
  if (edge.applied.epoch != log.last.epoch || edge.applied.sequence >= log.last.sequence) return 0;
  Result<std::vector<storage::Event>> next = metadata.Events(edge.applied.sequence, 1);
  if (!next) return unexpected(std::move(next.error()));
  return next->empty() ? 0 : std::max<int64_t>(0, (now - next->front().time).count());
}

Result<nlohmann::ordered_json> EdgeJson(storage::Metadata& metadata,
                                        const storage::EdgeReport& edge,
                                        const storage::LogState& log, WallTime now) {
  Result<int64_t> lag = LagMillis(metadata, edge, log, now);
  if (!lag) return unexpected(std::move(lag.error()));
  const bool same_log = edge.applied.epoch == log.last.epoch;
  nlohmann::ordered_json json = {
      {"name", edge.name},
      {"reachable", now - edge.seen_at < kEdgeLost},
      {"epoch", edge.applied.epoch},
      {"seq", edge.applied.sequence},
      {"behind", same_log && edge.applied.sequence <= log.last.sequence
                     ? nlohmann::ordered_json(log.last.sequence - edge.applied.sequence)
                     : nlohmann::ordered_json()},
      {"lag_ms", *lag},
      {"applied", ToUnixMillis(edge.applied_at)},
      {"seen", ToUnixMillis(edge.seen_at)}};
  json["report"] = nlohmann::ordered_json::parse(edge.report, nullptr, /*allow_exceptions=*/false);
  if (json["report"].is_discarded()) json["report"] = nlohmann::ordered_json::object();
  return json;
}

/// What a report tells of preparing releases: who publishes may ask another origin for it.
std::string AwaitedOf(const nlohmann::json& sites) {
  std::string text;
  for (const nlohmann::json& site : sites) {
    if (!site.is_object() || !site.contains("preparing")) continue;
    text += site["preparing"].dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  }
  return text;
}

}  // namespace

ApiOutcome Api::Purge(const ApiRequest& request) {
  Result<std::string> text = ReadWhole(request.body, kSmallBody);
  if (!text) return ProblemAnswer(text.error());
  Result<PurgeRequest> purge = ParsePurge(*text);
  if (!purge) return ProblemAnswer(purge.error());
  if (auto wait = QueryWait(request.head.query(), kLongestWait); !wait) {
    return ProblemAnswer(wait.error());
  }
  Result<storage::Site> site = SiteOfPurge(node_, *purge, request.caller);
  if (!site) return Refused(request, site.error());
  if (Status good = ResolvePurge(*site, &purge->forget); !good) return ProblemAnswer(good.error());
  const WallTime since = WallNow();
  const std::vector<storage::NewEvent> events =
      Signed(EventsOf("purge", *site, purge->forget),
             RecordOf(request,
                      {.action = "purged", .site = site->name, .detail = DetailOf(purge->forget)}));
  Result<storage::LogPosition> position = node_.metadata->Append(events);
  if (!position) return ProblemAnswer(position.error());
  return Done(request, {.event = "purged",
                        .site = site->name,
                        .position = *position,
                        .since = since,
                        .members = "\"site\":" + JsonString(site->name)});
}

ApiOutcome Api::Events(const ApiRequest& request) {
  Result<EventsQuery> wanted =
      ParseEventsQuery(request.head.query(), request.head.fields.Get("last-event-id").value_or(""));
  if (!wanted) return ProblemAnswer(wanted.error());
  Result<storage::LogState> log = node_.metadata->Log();
  if (!log) return ProblemAnswer(log.error());
  if (std::optional<Answer> gone = GoneAnswer(*wanted, *log)) return *std::move(gone);
  if (node_.followers_full()) {
    return ProblemAnswer(Error{Fault::kSelf, "too_many_followers",
                               "as many streams of events are open as events.followers allows"});
  }
  FollowLog follow;
  follow.token = request.caller.token;
  if (wanted->after) follow.after = storage::LogPosition{log->last.epoch, *wanted->after};
  return follow;
}

ApiOutcome Api::ListEdges() {
  Result<storage::LogState> log = node_.metadata->Log();
  Status loaded = node_.fleet.Load();
  if (!log) return ProblemAnswer(log.error());
  if (!loaded) return ProblemAnswer(loaded.error());
  const WallTime now = WallNow();
  nlohmann::ordered_json json = {
      {"epoch", log->last.epoch}, {"seq", log->last.sequence}, {"now", ToUnixMillis(now)}};
  json["edges"] = nlohmann::ordered_json::array();
  for (const storage::EdgeReport& edge : node_.fleet.Edges()) {
    Result<nlohmann::ordered_json> one = EdgeJson(*node_.metadata, edge, *log, now);
    if (!one) return ProblemAnswer(one.error());
    json["edges"].push_back(std::move(*one));
  }
  return JsonAnswer(200, json.dump());
}

ApiOutcome Api::GetEdge(const Route& route) {
  Result<storage::LogState> log = node_.metadata->Log();
  Status loaded = node_.fleet.Load();
  if (!log) return ProblemAnswer(log.error());
  if (!loaded) return ProblemAnswer(loaded.error());
  for (const storage::EdgeReport& edge : node_.fleet.Edges()) {
    if (edge.name != route.name) continue;
    Result<nlohmann::ordered_json> json = EdgeJson(*node_.metadata, edge, *log, WallNow());
    if (!json) return ProblemAnswer(json.error());
    return JsonAnswer(200, json->dump());
  }
  return ProblemAnswer(404,
                       Error{Fault::kClient, "no_such_edge",
                             "no edge \"" + route.name + "\" has reported: see GET /v1/edges"});
}

ApiOutcome Api::ReportEdge(const Route& route, const ApiRequest& request) {
  Result<std::string> text = ReadWhole(request.body, kReportBytes);
  if (!text) return ProblemAnswer(text.error());
  Result<nlohmann::json> json = ParseJson(*text);
  if (!json) return ProblemAnswer(json.error());
  JsonObject object(*json, "bad_report", "the report");
  const std::optional<uint64_t> epoch = object.Count("epoch");
  const std::optional<uint64_t> sequence = object.Count("seq");
  object.Number("load");
  object.Text("address");
  for (const char* counter : {"requests", "hits", "hit_bytes", "miss_bytes"}) object.Count(counter);
  const nlohmann::json* sites = object.Array("sites", kSitesOfReport);
  if (!epoch || !sequence)
    object.Refuse("expected \"epoch\" and \"seq\", 0 and 0 before the first");
  if (Status good = object.status(); !good) return ProblemAnswer(good.error());
  if (sites != nullptr) node_.proofs.Take(node_, route.name, *sites, WallNow());
  const std::string awaited = sites != nullptr ? AwaitedOf(*sites) : "";
  json->erase("epoch");
  json->erase("seq");
  const Status kept = node_.fleet.Report(
      route.name, {*epoch, *sequence},
      json->dump(-1, ' ', false, nlohmann::json::error_handler_t::replace), WallNow(), awaited);
  if (!kept) return ProblemAnswer(kept.error());
  Result<storage::LogState> log = node_.metadata->Log();
  if (!log) return ProblemAnswer(log.error());
  return JsonAnswer(200, "{\"epoch\":" + std::to_string(log->last.epoch) +
                             ",\"seq\":" + std::to_string(log->last.sequence) + "}");
}

ApiOutcome Api::RemoveEdge(const Route& route, const ApiRequest& request) {
  if (Status removed = node_.fleet.Remove(route.name, WallNow()); !removed) {
    return ProblemAnswer(removed.error());
  }
  node_.proofs.Forget(route.name);
  Record(request,
         {.action = "edge_forgotten", .detail = "{\"edge\":" + JsonString(route.name) + "}"});
  Answer answer;
  answer.status = 204;
  return answer;
}

}  // namespace nearside::origin
