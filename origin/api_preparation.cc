// Before a switch: edges are told to fetch what a release changes, and asked how far they are.

#include <nlohmann/json.hpp>

#include "origin/api.h"
#include "origin/audit.h"
#include "origin/event.h"

namespace nearside::origin {
namespace {

using Json = nlohmann::ordered_json;

/// What an edge's report tells of preparing a release of the site; null when it tells nothing.
Json PreparingOf(const storage::EdgeReport& edge, const std::string& site,
                 const std::string& release) {
  const Json report = Json::parse(edge.report, nullptr, /*allow_exceptions=*/false);
  if (!report.is_object()) return {};
  const auto sites = report.find("sites");
  if (sites == report.end() || !sites->is_array()) return {};
  for (const Json& told : *sites) {
    if (!told.is_object() || told.value("site", Json()) != site) continue;
    const auto preparing = told.find("preparing");
    const bool same = preparing != told.end() && preparing->is_object() &&
                      preparing->value("release", Json()) == release;
    return same ? *preparing : Json();
  }
  return {};
}

/// A line of the answer. `asked`: of the event that asked for it; sequence 0: whichever it was.
Json EdgeLine(const storage::EdgeReport& edge, const Json& told, storage::LogPosition asked,
              WallTime now) {
  Json line = {{"name", edge.name}, {"reachable", now - edge.seen_at < kEdgeLost}};
  const bool applied = edge.applied.epoch == asked.epoch && edge.applied.sequence >= asked.sequence;
  const Json sequence = told.is_object() ? told.value("seq", Json()) : Json();
  const bool answers = sequence.is_number_unsigned() &&
                       sequence.get<uint64_t>() >= asked.sequence &&
                       told.value("epoch", Json()) == asked.epoch;
  if (!answers) {
    // One that knows of no preparation, or does not serve the site, has applied the event alike.
    line["state"] = applied ? "none" : "waiting";
    return line;
  }
  for (const char* key : {"state", "held", "of", "bytes", "ms", "why"}) {
    if (told.contains(key)) line[key] = told[key];
  }
  return line;
}

bool IsOver(const Json& line) {
  const Json state = line.value("state", Json());
  return state != "waiting" && state != "preparing";
}

}  // namespace

ApiOutcome Api::PrepareRelease(const Route& route, const ApiRequest& request) {
  if (auto wait = QueryWait(request.head.query(), kLongestWait); !wait) {
    return ProblemAnswer(wait.error());
  }
  Result<storage::Site> site = node_.metadata->FindSite(route.site);
  if (!site) return ProblemAnswer(site.error());
  Result<storage::Release> release = node_.metadata->FindRelease(route.site, route.release);
  if (!release) return ProblemAnswer(release.error());
  Result<std::vector<storage::StoredBlob>> missing = node_.metadata->MissingBlobs(route.release);
  if (!missing) return ProblemAnswer(missing.error());
  if (!missing->empty()) {
    return ProblemAnswer(Error{Fault::kClient, "missing_blobs",
                               "the release names content that has not been uploaded: GET it to "
                               "see which"});
  }
  const std::string member = "\"release\":\"" + std::to_string(route.release) + "\"";
  const WallTime since = WallNow();
  Result<storage::LogPosition> position = node_.metadata->Append(Signed(
      EventsOf("prepare", *site, Forget(), member),
      RecordOf(request,
               {.action = "release_prepared", .site = route.site, .detail = "{" + member + "}"})));
  if (!position) return ProblemAnswer(position.error());
  return Done(request, {.event = "release_prepared",
                        .site = route.site,
                        .position = *position,
                        .since = since,
                        .members = "\"site\":" + JsonString(route.site) + "," + member});
}

ApiOutcome Api::GetPreparation(const Route& route, const ApiRequest& request) {
  Result<uint64_t> sequence = QueryCount(request.head.query(), "seq");
  if (!sequence) return ProblemAnswer(sequence.error());
  Result<storage::Release> release = node_.metadata->FindRelease(route.site, route.release);
  if (!release) return ProblemAnswer(release.error());
  Result<storage::LogState> log = node_.metadata->Log();
  if (!log) return ProblemAnswer(log.error());
  if (Status loaded = node_.fleet.Load(); !loaded) return ProblemAnswer(loaded.error());
  const storage::LogPosition asked{log->last.epoch, *sequence};
  const std::string id = std::to_string(route.release);
  const WallTime now = WallNow();
  bool complete = true;
  Json edges = Json::array();
  for (const storage::EdgeReport& edge : node_.fleet.Edges()) {
    Json line = EdgeLine(edge, PreparingOf(edge, route.site, id), asked, now);
    if (line["reachable"] == true && !IsOver(line)) complete = false;
    edges.push_back(std::move(line));
  }
  const Json json = {
      {"site", route.site}, {"release", id}, {"complete", complete}, {"edges", std::move(edges)}};
  return JsonAnswer(200, json.dump(-1, ' ', false, Json::error_handler_t::replace));
}

}  // namespace nearside::origin
