#include <nlohmann/json.hpp>

#include "origin/api.h"
#include "origin/audit.h"
#include "origin/event.h"
#include "origin/manifest.h"

namespace nearside::origin {
namespace {

nlohmann::ordered_json QuotaJson(const storage::SiteQuota& quota) {
  return {{"bytes", quota.bytes}, {"files", quota.files}};
}

nlohmann::ordered_json SiteJson(const storage::Site& site) {
  nlohmann::ordered_json json = {{"name", site.name},
                                 {"hosts", site.hosts},
                                 {"created", ToUnixMillis(site.created)},
                                 {"changed", ToUnixMillis(site.changed)},
                                 {"quota", QuotaJson(site.quota)}};
  if (site.active != storage::kNoRelease) json["release"] = std::to_string(site.active);
  return json;
}

OwnHosts OwnHostsOf(const OriginSettings& settings) {
  return {settings.node.name, settings.s3.domain, settings.accounts.hosts};
}

/// The members of the answer to a site's change.
std::string SiteMembers(const storage::SiteDraft& draft) {
  std::string text = nlohmann::ordered_json{{"name", draft.name}, {"hosts", draft.hosts}}.dump();
  return text.substr(1, text.size() - 2);
}

Deed DeedOf(std::string_view action, const storage::SiteDraft& draft) {
  nlohmann::ordered_json detail = {{"hosts", draft.hosts}};
  if (draft.quota) detail["quota"] = QuotaJson(*draft.quota);
  return {.action = action, .site = draft.name, .detail = detail.dump()};
}

}  // namespace

ApiOutcome Api::ListSites(const ApiRequest& request) {
  Result<std::vector<storage::Site>> sites = node_.metadata->Sites();
  if (!sites) return ProblemAnswer(sites.error());
  nlohmann::ordered_json json;
  json["sites"] = nlohmann::ordered_json::array();
  const std::string& only = request.caller.site;
  for (const storage::Site& site : *sites) {
    if (only.empty() || site.name == only) json["sites"].push_back(SiteJson(site));
  }
  return JsonAnswer(200, json.dump());
}

ApiOutcome Api::CreateSite(const ApiRequest& request) {
  Result<std::string> text = ReadWhole(request.body, kSmallBody);
  if (!text) return ProblemAnswer(text.error());
  Result<storage::SiteDraft> draft = ParseSite(*text, "", OwnHostsOf(node_.settings));
  if (!draft) return ProblemAnswer(draft.error());
  if (auto wait = QueryWait(request.head.query(), kLongestWait); !wait) {
    return ProblemAnswer(wait.error());
  }
  Result<storage::LogPosition> position = node_.metadata->CreateSite(
      *draft, Signed([](const storage::Change& change) { return AnnounceSite(change, false); },
                     RecordOf(request, DeedOf("site_created", *draft))));
  if (!position) return ProblemAnswer(position.error());
  return Done(request, {.event = "site_created",
                        .site = draft->name,
                        .status = 201,
                        .position = *position,
                        .since = WallNow(),
                        .members = SiteMembers(*draft)});
}

ApiOutcome Api::GetSite(const Route& route) {
  Result<storage::Site> site = node_.metadata->FindSite(route.site);
  if (!site) return ProblemAnswer(site.error());
  Result<storage::SiteUsage> used = node_.metadata->UsageOf(route.site);
  if (!used) return ProblemAnswer(used.error());
  nlohmann::ordered_json json = SiteJson(*site);
  json["used"] = {{"bytes", used->bytes}, {"files", used->files}};
  return JsonAnswer(200, json.dump());
}

/// Whoever has a site is not who says how much it may hold. The quota that it has may be said
/// again.
Status Api::CheckQuotaChange(const ApiRequest& request, const storage::SiteDraft& draft) {
  if (!draft.quota || request.caller.May(Right::kAdmin, kEverySite)) return {};
  Result<storage::Site> there = node_.metadata->FindSite(draft.name);
  if (there && there->quota == *draft.quota) return {};
  return Require(request.caller, Right::kAdmin, kEverySite);
}

ApiOutcome Api::PutSite(const Route& route, const ApiRequest& request) {
  Result<std::string> text = ReadWhole(request.body, kSmallBody);
  if (!text) return ProblemAnswer(text.error());
  Result<storage::SiteDraft> draft = ParseSite(*text, route.site, OwnHostsOf(node_.settings));
  if (!draft) return ProblemAnswer(draft.error());
  if (auto wait = QueryWait(request.head.query(), kLongestWait); !wait) {
    return ProblemAnswer(wait.error());
  }
  if (Status allowed = CheckQuotaChange(request, *draft); !allowed) {
    return Refused(request, allowed.error());
  }
  const auto announce = [](const storage::Change& change) { return AnnounceSite(change, false); };
  bool created = false;
  Result<storage::LogPosition> position = node_.metadata->ReplaceSite(
      *draft, Signed(announce, RecordOf(request, DeedOf("site_changed", *draft))));
  if (!position && position.error().reason == "no_such_site") {
    // A token of one site makes none, not even that one when it is gone.
    Status allowed = Require(request.caller, Right::kAdmin, kEverySite);
    if (!allowed) return Refused(request, allowed.error());
    created = true;
    position = node_.metadata->CreateSite(
        *draft, Signed(announce, RecordOf(request, DeedOf("site_created", *draft))));
  }
  if (!position) return ProblemAnswer(position.error());
  return Done(request, {.event = "site_put",
                        .site = draft->name,
                        .status = created ? 201 : 200,
                        .position = *position,
                        .since = WallNow(),
                        .members = SiteMembers(*draft)});
}

ApiOutcome Api::DeleteSite(const Route& route, const ApiRequest& request) {
  if (auto wait = QueryWait(request.head.query(), kLongestWait); !wait) {
    return ProblemAnswer(wait.error());
  }
  Result<storage::LogPosition> position = node_.metadata->DeleteSite(
      route.site, Signed([](const storage::Change& change) { return AnnounceSite(change, true); },
                         RecordOf(request, {.action = "site_deleted", .site = route.site})));
  if (!position) return ProblemAnswer(position.error());
  TokensChanged();  // the site's were revoked with it
  return Done(
      request,
      {.event = "site_deleted", .site = route.site, .position = *position, .since = WallNow()});
}

}  // namespace nearside::origin
