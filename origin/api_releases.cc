#include <nlohmann/json.hpp>

#include "origin/api.h"
#include "origin/audit.h"
#include "origin/event.h"
#include "origin/manifest.h"
#include "origin/rules_files.h"

namespace nearside::origin {
namespace {

constexpr size_t kReleasesDefault = 20;
constexpr size_t kReleasesMost = 1000;

std::string_view StateName(storage::ReleaseState state) {
  switch (state) {
    case storage::ReleaseState::kOpen:
      return "open";
    case storage::ReleaseState::kActive:
      return "active";
    case storage::ReleaseState::kPast:
      return "past";
  }
  return "";
}

nlohmann::ordered_json ReleaseJson(const storage::Release& release) {
  nlohmann::ordered_json json = {
      {"id", std::to_string(release.id)},
      {"site", release.site},
      {"kind", release.kind == storage::ReleaseKind::kLive ? "live" : "published"},
      {"state", StateName(release.state)},
      {"created", ToUnixMillis(release.created)},
      {"assets", release.assets},
      {"bytes", release.bytes}};
  if (ToUnixMillis(release.activated) > 0) json["activated"] = ToUnixMillis(release.activated);
  return json;
}

Result<nlohmann::ordered_json> MissingJson(storage::Metadata& metadata,
                                           storage::ReleaseId release) {
  Result<std::vector<storage::StoredBlob>> missing = metadata.MissingBlobs(release);
  if (!missing) return unexpected(std::move(missing.error()));
  nlohmann::ordered_json json = nlohmann::ordered_json::array();
  for (const storage::StoredBlob& blob : *missing) json.push_back(storage::BlobName(blob.id));
  return json;
}

}  // namespace

ApiOutcome Api::ListReleases(const Route& route, const ApiRequest& request) {
  Result<size_t> limit = QueryLimit(request.head.query(), kReleasesDefault, kReleasesMost);
  if (!limit) return ProblemAnswer(limit.error());
  Result<std::vector<storage::Release>> releases = node_.metadata->Releases(route.site, *limit);
  if (!releases) return ProblemAnswer(releases.error());
  nlohmann::ordered_json json;
  json["site"] = route.site;
  json["releases"] = nlohmann::ordered_json::array();
  for (const storage::Release& release : *releases)
    json["releases"].push_back(ReleaseJson(release));
  return JsonAnswer(200, json.dump());
}

ApiOutcome Api::CreateRelease(const Route& route, const ApiRequest& request) {
  Result<std::string> text =
      ReadWhole(request.body, static_cast<size_t>(node_.settings.limits.json_body.bytes));
  if (!text) return ProblemAnswer(text.error());
  Result<std::vector<storage::Asset>> assets = ParseManifest(*text);
  if (!assets) return ProblemAnswer(assets.error());
  Result<storage::Release> release = node_.metadata->CreateRelease(route.site, *assets);
  if (!release) return ProblemAnswer(release.error());
  Record(request, {.action = "release_created",
                   .site = route.site,
                   .detail = "{\"release\":\"" + std::to_string(release->id) +
                             "\",\"assets\":" + std::to_string(release->assets) + "}"});
  Result<nlohmann::ordered_json> missing = MissingJson(*node_.metadata, release->id);
  if (!missing) return ProblemAnswer(missing.error());
  nlohmann::ordered_json json = ReleaseJson(*release);
  json["missing"] = std::move(*missing);
  Answer answer = JsonAnswer(201, json.dump());
  answer.fields.Add("location",
                    "/v1/sites/" + route.site + "/releases/" + std::to_string(release->id));
  return answer;
}

ApiOutcome Api::GetRelease(const Route& route) {
  Result<storage::Release> release = node_.metadata->FindRelease(route.site, route.release);
  if (!release) return ProblemAnswer(release.error());
  Result<nlohmann::ordered_json> missing = MissingJson(*node_.metadata, release->id);
  if (!missing) return ProblemAnswer(missing.error());
  nlohmann::ordered_json json = ReleaseJson(*release);
  json["missing"] = std::move(*missing);
  return JsonAnswer(200, json.dump());
}

/// What the release's files of rules say; nothing is activated when they are wrong. They are read
/// before the transaction: a release that can be activated does not change any more.
Result<http::RedirectRules> Api::RulesToActivate(const Route& route) {
  Result<storage::Release> release = node_.metadata->FindRelease(route.site, route.release);
  if (!release) return unexpected(std::move(release.error()));
  Result<RulesFiles> files = FindRulesFiles(*node_.metadata, route.release);
  if (!files) return unexpected(std::move(files.error()));
  Result<http::SiteRules> rules = ReadRulesFiles(*node_.blobs, *files);
  if (rules) return std::move(rules->redirects);
  // A rollback goes on without them, as that release was served before.
  const bool was_active = release->state != storage::ReleaseState::kOpen;
  if (was_active && rules.error().reason == "bad_rules") return http::RedirectRules();
  return unexpected(std::move(rules.error()));
}

ApiOutcome Api::Activate(const Route& route, const ApiRequest& request) {
  if (auto wait = QueryWait(request.head.query(), kLongestWait); !wait) {
    return ProblemAnswer(wait.error());
  }
  Result<http::RedirectRules> rules = RulesToActivate(route);
  if (!rules) return ProblemAnswer(rules.error());
  Result<storage::Activation> activation = node_.metadata->ActivateRelease(
      route.site, route.release,
      Signed(
          [&](const storage::Change& c) { return AnnounceActivation(c, *rules); },
          RecordOf(request, {.action = "release_activated",
                             .site = route.site,
                             .detail = "{\"release\":\"" + std::to_string(route.release) + "\"}"})),
      DraftReceiptOf(route));
  if (!activation) return ProblemAnswer(activation.error());
  const WallTime since = WallNow();
  std::string members = "\"site\":" + JsonString(route.site) + ",\"release\":\"" +
                        std::to_string(route.release) + "\",\"previous\":\"" +
                        std::to_string(activation->previous) +
                        "\",\"changed\":" + std::to_string(activation->changed_paths);
  if (activation->receipt) {
    members += ",\"receipt\":\"" + std::to_string(*activation->receipt) + "\"";
  }
  return Done(request, {.event = "release_activated",
                        .site = route.site,
                        .position = activation->position,
                        .since = since,
                        .members = std::move(members)});
}

}  // namespace nearside::origin
