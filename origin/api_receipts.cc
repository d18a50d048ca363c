// What edges hold of releases, and the receipts that tell of it.

#include <algorithm>
#include <nlohmann/json.hpp>

#include "origin/api.h"
#include "origin/content_urls.h"
#include "origin/json.h"

namespace nearside::origin {
namespace {

using Json = nlohmann::ordered_json;

constexpr size_t kContentDefault = 1000;
constexpr size_t kContentMost = 1000;
constexpr size_t kReceiptsDefault = 20;
constexpr size_t kReceiptsMost = 1000;

std::string Written(const Json& json) {
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Json ReceiptJson(const storage::PublishReceipt& receipt) {
  return {{"id", std::to_string(receipt.id)},
          {"site", receipt.site},
          {"release", std::to_string(receipt.release)},
          {"previous", std::to_string(receipt.previous)},
          {"epoch", receipt.position.epoch},
          {"seq", receipt.position.sequence},
          {"time", ToUnixMillis(receipt.time)},
          {"changed", receipt.changed}};
}

/// What an edge told, with when. `complete` becomes false unless it has proved all.
Json ProofJson(const storage::PublishReceipt& receipt, const storage::EdgeProof& proof,
               const std::vector<storage::EdgeReport>& fleet, bool* complete) {
  const auto since = [&](WallTime at) { return std::max<int64_t>(0, (at - receipt.time).count()); };
  const Json told = Json::parse(proof.report, nullptr, /*allow_exceptions=*/false);
  const auto count = [&](const char* key) {
    const auto found = told.is_object() ? told.find(key) : told.end();
    const bool there = told.is_object() && found != told.end() && found->is_number_unsigned();
    return there ? found->get<uint64_t>() : 0;
  };
  const auto text = [&](const char* key) {
    const auto found = told.is_object() ? told.find(key) : told.end();
    const bool there = told.is_object() && found != told.end() && found->is_string();
    return there ? found->get<std::string>() : std::string();
  };
  const auto has = [&](const char* key) { return told.is_object() && told.contains(key); };
  const bool applied = ToUnixMillis(proof.applied_at) > 0;
  const std::string state = applied ? text("state") : "waiting";
  Json json = {{"name", proof.edge}, {"applied", applied}};
  if (applied) json["ms"] = since(proof.applied_at);
  json["state"] = state;
  const std::string digest = text("digest");
  const bool same = !digest.empty() && digest == receipt.digest;
  const bool not_asked = state == "unserved" || state == "off";
  if (!not_asked && applied) {
    json["urls"] = count("urls");
    json["same"] = count("same");
  }
  if (!digest.empty()) {
    json["digest"] = digest;
    json["digest_is_ours"] = same;
  }
  const bool proved = not_asked || (state == "proved" && same);
  if (proved && ToUnixMillis(proof.proved_at) > 0) json["proof_ms"] = since(proof.proved_at);
  for (const char* key : {"prepared", "differing", "whole"}) {
    if (has(key)) json[key] = told[key];
  }
  const auto edge = std::find_if(fleet.begin(), fleet.end(),
                                 [&](const auto& one) { return one.name == proof.edge; });
  if (edge != fleet.end()) {
    json["reachable"] = WallNow() - edge->seen_at < kEdgeLost;
    json["seen"] = ToUnixMillis(edge->seen_at);
  } else {
    json["reachable"] = false;  // forgotten: gone for good
  }
  const bool forgotten = edge == fleet.end();
  *complete = *complete && (proved || forgotten);
  return json;
}

/// A release of the path: a number, or the active one.
Result<storage::Release> ReleaseOfContent(storage::Metadata& metadata, const storage::Site& site,
                                          storage::ReleaseId wanted) {
  const storage::ReleaseId id = wanted == storage::kNoRelease ? site.active : wanted;
  if (id == storage::kNoRelease) {
    return Fail(Fault::kClient, "no_such_release",
                "site \"" + site.name + "\" has no active release yet");
  }
  return metadata.FindRelease(site.name, id);
}

/// The release that was active before this one.
Result<storage::ReleaseId> PreviousOf(storage::Metadata& metadata, const storage::Site& site,
                                      storage::ReleaseId release) {
  if (release == site.active) {
    return site.earlier.empty() ? storage::kNoRelease : site.earlier.front();
  }
  Result<std::vector<storage::PublishReceipt>> receipts =
      metadata.Receipts(site.name, storage::kReceiptsOfSite);
  if (!receipts) return unexpected(std::move(receipts.error()));
  for (const storage::PublishReceipt& receipt : *receipts) {
    if (receipt.release == release) return receipt.previous;
  }
  return storage::kNoRelease;
}

/// The newest switch to the active release, and whether an edge has proved that.
void AddSwitch(const storage::PublishReceipt& receipt, const std::optional<std::string>& edge,
               Json* json) {
  (*json)["switch"] = {{"epoch", receipt.position.epoch}, {"seq", receipt.position.sequence}};
  if (!edge) return;
  const auto proof = std::find_if(receipt.edges.begin(), receipt.edges.end(),
                                  [&](const auto& one) { return one.edge == *edge; });
  (*json)["proved"] = proof != receipt.edges.end() && ToUnixMillis(proof->proved_at) > 0;
}

/// ?since=: a release's number, "previous", "active", or nothing.
Result<storage::ReleaseId> QuerySince(storage::Metadata& metadata, const storage::Site& site,
                                      storage::ReleaseId release, std::string_view query) {
  const std::optional<std::string> text = QueryValue(query, "since");
  if (!text) return storage::kNoRelease;
  if (*text == "active") return site.active;
  if (*text == "previous") return PreviousOf(metadata, site, release);
  Result<Route> named = ParseRoute("/v1/sites/" + site.name + "/releases/" + *text);
  if (!named || named->kind != RouteKind::kRelease) {
    return Fail(Fault::kClient, "bad_query",
                "since: expected a release's number, previous, or active");
  }
  if (named->release == storage::kNoRelease) return storage::kNoRelease;
  Result<storage::Release> there = metadata.FindRelease(site.name, named->release);
  if (!there) return unexpected(std::move(there.error()));
  return there->id;
}

}  // namespace

ApiOutcome Api::ListContent(const Route& route, const ApiRequest& request) {
  const std::string_view query = request.head.query();
  Result<size_t> limit = QueryLimit(query, kContentDefault, kContentMost);
  if (!limit) return ProblemAnswer(limit.error());
  Result<storage::Site> site = node_.metadata->FindSite(route.site);
  if (!site) return ProblemAnswer(site.error());
  Result<storage::Release> release = ReleaseOfContent(*node_.metadata, *site, route.release);
  if (!release) return ProblemAnswer(release.error());
  Result<storage::ReleaseId> since = QuerySince(*node_.metadata, *site, release->id, query);
  if (!since) return ProblemAnswer(since.error());
  Result<ContentPage> page = origin::ListContent(node_, *site,
                                                 {.release = release->id,
                                                  .since = *since,
                                                  .after = QueryValue(query, "after").value_or(""),
                                                  .limit = *limit});
  if (!page) return ProblemAnswer(page.error());
  Json json = {{"site", site->name},
               {"release", std::to_string(release->id)},
               {"since", std::to_string(*since)},
               {"active", std::to_string(site->active)},
               {"hosts", site->hosts}};
  const std::optional<std::string> edge = QueryValue(query, "edge");
  Result<std::vector<storage::PublishReceipt>> newest = node_.metadata->Receipts(site->name, 1);
  if (newest && !newest->empty() && newest->front().release == site->active) {
    Result<storage::PublishReceipt> whole = node_.metadata->FindReceipt(newest->front().id);
    if (whole) AddSwitch(*whole, edge, &json);
  }
  json["urls"] = Json::array();
  for (const ContentUrl& row : page->urls) {
    Json url = {{"url", row.url}, {"status", row.status}};
    if (row.blob) url["sha256"] = storage::BlobName(*row.blob);
    if (row.blob) url["bytes"] = row.bytes;
    if (row.blob && !row.etag.empty()) url["etag"] = row.etag;
    json["urls"].push_back(std::move(url));
  }
  json["next"] = page->next.empty() ? Json() : Json(page->next);
  return JsonAnswer(200, Written(json));
}

ApiOutcome Api::ListReceipts(const ApiRequest& request) {
  const std::string_view query = request.head.query();
  Result<size_t> limit = QueryLimit(query, kReceiptsDefault, kReceiptsMost);
  if (!limit) return ProblemAnswer(limit.error());
  const std::string site = QueryValue(query, "site").value_or(request.caller.site);
  if (Status may = Require(request.caller, Right::kRead, site); !may) {
    return Refused(request, may.error());
  }
  Result<std::vector<storage::PublishReceipt>> receipts = node_.metadata->Receipts(site, *limit);
  if (!receipts) return ProblemAnswer(receipts.error());
  Json json;
  json["receipts"] = Json::array();
  for (const storage::PublishReceipt& receipt : *receipts) {
    json["receipts"].push_back(ReceiptJson(receipt));
  }
  return JsonAnswer(200, Written(json));
}

ApiOutcome Api::GetReceipt(const Route& route, const ApiRequest& request) {
  Result<storage::PublishReceipt> receipt = node_.metadata->FindReceipt(route.receipt);
  // Whose it is stands in it: to who may not see all, one that is not there is as another's.
  const std::string site = receipt ? receipt->site : std::string(kEverySite);
  if (Status may = Require(request.caller, Right::kRead, site); !may) {
    return Refused(request, may.error());
  }
  if (!receipt) return ProblemAnswer(receipt.error());
  if (Status loaded = node_.fleet.Load(); !loaded) return ProblemAnswer(loaded.error());
  Result<std::vector<storage::PublishReceipt>> newest = node_.metadata->Receipts(receipt->site, 1);
  if (!newest) return ProblemAnswer(newest.error());
  const std::vector<storage::EdgeReport> fleet = node_.fleet.Edges();
  bool complete = true;
  Json edges = Json::array();
  for (const storage::EdgeProof& proof : receipt->edges) {
    edges.push_back(ProofJson(*receipt, proof, fleet, &complete));
  }
  Json json = ReceiptJson(*receipt);
  json["digest"] = receipt->digest.empty() ? Json() : Json(receipt->digest);
  // Edges look at the newest switch: what an older one has not been told by now it never will be.
  json["superseded"] = !newest->empty() && newest->front().id != receipt->id;
  json["complete"] = complete;
  json["edges"] = std::move(edges);
  return JsonAnswer(200, Written(json));
}

/// After the switch: without a receipt it is a switch all the same, and the log says so.
storage::DraftReceipt Api::DraftReceiptOf(const Route& route) {
  (void)node_.fleet.Load();  // who is missing tells of itself
  std::vector<storage::EdgeProof> edges;
  for (const storage::EdgeReport& edge : node_.fleet.Edges()) {
    edges.push_back({.edge = edge.name, .applied_at = {}, .proved_at = {}, .report = ""});
  }
  return [&route, edges = std::move(edges)](const storage::Activation& activation) {
    return storage::PublishReceipt{.site = route.site,
                                   .release = route.release,
                                   .previous = activation.previous,
                                   .position = activation.position,
                                   .time = WallNow(),
                                   .changed = activation.changed_paths,
                                   .digest = "",
                                   .edges = edges};
  };
}

}  // namespace nearside::origin
