#include "origin/route.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "http/uri.h"
#include "origin/account_name.h"
#include "origin/asset_path.h"
#include "origin/manifest.h"
#include "runtime/units.h"

namespace nearside::origin {
namespace {

constexpr size_t kEdgeNameBytes = 63;
constexpr size_t kTokenIdMost = 64;
constexpr size_t kUploadIdMost = 64;

constexpr RouteRow kRoutes[] = {
    {RouteKind::kHealth, "/healthz", "GET, HEAD"},
    {RouteKind::kAsset, "/v1/sites/{site}/assets/{path}", "GET, HEAD, PUT, DELETE"},
    {RouteKind::kAssets, "/v1/sites/{site}/assets", "GET, HEAD"},
    {RouteKind::kUploads, "/v1/sites/{site}/uploads/", "OPTIONS, POST"},
    {RouteKind::kUpload, "/v1/sites/{site}/uploads/{id}", "OPTIONS, HEAD, PATCH, DELETE"},
    {RouteKind::kReleases, "/v1/sites/{site}/releases", "GET, HEAD, POST"},
    {RouteKind::kRelease, "/v1/sites/{site}/releases/{id}", "GET, HEAD"},
    {RouteKind::kActivation, "/v1/sites/{site}/releases/{id}/activate", "POST"},
    {RouteKind::kPreparation, "/v1/sites/{site}/releases/{id}/prepare", "GET, HEAD, POST"},
    {RouteKind::kContent, "/v1/sites/{site}/releases/{id}/content", "GET, HEAD"},
    {RouteKind::kBlob, "/v1/blobs/{sha256}", "GET, HEAD, PUT"},
    {RouteKind::kPurge, "/v1/purge", "POST"},
    {RouteKind::kEvents, "/v1/events", "GET"},
    {RouteKind::kEdges, "/v1/edges", "GET, HEAD"},
    {RouteKind::kEdge, "/v1/edges/{name}", "GET, HEAD, POST, DELETE"},
    {RouteKind::kSites, "/v1/sites", "GET, HEAD, POST"},
    {RouteKind::kSite, "/v1/sites/{site}", "GET, HEAD, PUT, DELETE"},
    {RouteKind::kTokens, "/v1/tokens", "GET, HEAD, POST"},
    {RouteKind::kToken, "/v1/tokens/{id}", "GET, HEAD, DELETE"},
    {RouteKind::kAudit, "/v1/audit", "GET, HEAD"},
    {RouteKind::kAccounts, "/v1/accounts", "GET, HEAD, POST"},
    {RouteKind::kAccount, "/v1/accounts/{account}", "GET, HEAD, DELETE"},
    {RouteKind::kAccountGrants, "/v1/accounts/{account}/grants", "PUT"},
    {RouteKind::kAccountPassword, "/v1/accounts/{account}/password", "PUT"},
    {RouteKind::kAccountSessions, "/v1/accounts/{account}/sessions", "GET, HEAD, DELETE"},
    {RouteKind::kReceipts, "/v1/receipts", "GET, HEAD"},
    {RouteKind::kReceipt, "/v1/receipts/{id}", "GET, HEAD"},
    {RouteKind::kJobs, "/v1/jobs", "GET, HEAD"},
    {RouteKind::kJobRetry, "/v1/jobs/{id}/retry", "POST"},
    {RouteKind::kOpenApi, "/v1/openapi.json", "GET, HEAD"},
};

tl::unexpected<Error> NoSuchRoute(std::string_view path) {
  return Fail(Fault::kClient, "no_such_route",
              "the API has no \"" + std::string(path.substr(0, 200)) +
                  "\": docs/origin.md lists what it has");
}

tl::unexpected<Error> BadQuery(std::string message) {
  return Fail(Fault::kClient, "bad_query", std::move(message));
}

/// Takes one segment off the front of *rest ("demo/assets/…" → "demo", "assets/…").
std::string_view TakeSegment(std::string_view* rest) {
  const size_t end = std::min(rest->find('/'), rest->size());
  const std::string_view segment = rest->substr(0, end);
  rest->remove_prefix(std::min(end + 1, rest->size()));
  return segment;
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return number;
}

Result<Route> ParseReleases(Route route, std::string_view rest, std::string_view path) {
  route.kind = RouteKind::kReleases;
  if (rest.empty()) return route;
  if (rest == "active/content") {
    route.kind = RouteKind::kContent;
    return route;
  }
  const std::optional<uint64_t> id = ParseNumber(TakeSegment(&rest));
  if (!id || *id > uint64_t{INT64_MAX}) return NoSuchRoute(path);
  route.release = static_cast<storage::ReleaseId>(*id);
  route.kind = RouteKind::kRelease;
  if (rest.empty()) return route;
  route.kind = RouteKind::kActivation;
  if (rest == "activate") return route;
  route.kind = RouteKind::kPreparation;
  if (rest == "prepare") return route;
  route.kind = RouteKind::kContent;
  if (rest == "content" && *id != 0) return route;
  return NoSuchRoute(path);
}

/// Lower-case letters and digits, as our ids have them.
bool IsId(std::string_view text, size_t most) {
  const bool characters = std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
  });
  return characters && text.size() <= most;
}

/// With and without the slash at the end of the list's own path.
Result<Route> ParseUploads(Route route, std::string_view id, std::string_view path) {
  if (!IsId(id, kUploadIdMost)) return NoSuchRoute(path);
  route.kind = id.empty() ? RouteKind::kUploads : RouteKind::kUpload;
  route.name = id;
  return route;
}

Result<Route> ParseSites(std::string_view rest, std::string_view path) {
  Route route;
  route.kind = RouteKind::kSites;
  if (rest.empty()) return route;
  route.kind = RouteKind::kSite;
  route.site = TakeSegment(&rest);
  if (Status good = CheckSiteName(route.site); !good) return NoSuchRoute(path);
  const bool whole = path.ends_with("/" + route.site);
  if (whole && rest.empty()) return route;
  const std::string_view what = TakeSegment(&rest);
  if (what == "releases") return ParseReleases(std::move(route), rest, path);
  if (what == "uploads") return ParseUploads(std::move(route), rest, path);
  if (what != "assets") return NoSuchRoute(path);
  route.kind = RouteKind::kAssets;
  if (rest.empty()) return route;
  route.kind = RouteKind::kAsset;
  Result<std::string> asset = DecodeAssetPath(rest);
  if (!asset) return unexpected(std::move(asset.error()));
  route.path = std::move(*asset);
  return route;
}

Result<Route> ParseEdge(std::string_view name, std::string_view path) {
  const bool characters = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '_' || c == '-';
  });
  if (!characters || name.size() > kEdgeNameBytes) return NoSuchRoute(path);
  Route route;
  route.kind = name.empty() ? RouteKind::kEdges : RouteKind::kEdge;
  route.name = name;
  return route;
}

Result<Route> ParseToken(std::string_view id, std::string_view path) {
  if (!IsId(id, kTokenIdMost)) return NoSuchRoute(path);
  Route route;
  route.kind = id.empty() ? RouteKind::kTokens : RouteKind::kToken;
  route.name = id;
  return route;
}

Result<Route> ParseAccount(std::string_view rest, std::string_view path) {
  Route route;
  route.kind = RouteKind::kAccounts;
  if (rest.empty()) return route;
  const std::string_view segment = TakeSegment(&rest);
  const std::optional<std::string> plain = http::PercentDecode(segment);
  const Result<std::string> name =
      plain ? NormalAccountName(*plain) : Result<std::string>(NoSuchRoute(path));
  if (!name || path.ends_with('/')) return NoSuchRoute(path);
  route.name = *name;
  route.kind = RouteKind::kAccount;
  if (rest.empty()) return route;
  constexpr std::pair<std::string_view, RouteKind> kParts[] = {
      {"grants", RouteKind::kAccountGrants},
      {"password", RouteKind::kAccountPassword},
      {"sessions", RouteKind::kAccountSessions}};
  for (const auto& [part, kind] : kParts) {
    if (rest != part) continue;
    route.kind = kind;
    return route;
  }
  return NoSuchRoute(path);
}

Result<Route> ParseReceipt(std::string_view id, std::string_view path) {
  Route route;
  route.kind = RouteKind::kReceipts;
  if (id.empty() && !path.ends_with('/')) return route;
  const std::optional<uint64_t> number = ParseNumber(id);
  if (!number || *number > uint64_t{INT64_MAX}) return NoSuchRoute(path);
  route.kind = RouteKind::kReceipt;
  route.receipt = static_cast<int64_t>(*number);
  return route;
}

Result<Route> ParseJob(std::string_view rest, std::string_view path) {
  Route route;
  route.kind = RouteKind::kJobRetry;
  const std::optional<uint64_t> number = ParseNumber(TakeSegment(&rest));
  if (!number || rest != "retry") return NoSuchRoute(path);
  route.job = *number;
  return route;
}

/// What has one path and nothing behind it.
std::optional<RouteKind> SingleOf(std::string_view path) {
  for (const RouteKind kind : {RouteKind::kPurge, RouteKind::kEvents, RouteKind::kAudit,
                               RouteKind::kJobs, RouteKind::kOpenApi}) {
    if (kRoutes[static_cast<size_t>(kind)].path == path) return kind;
  }
  return std::nullopt;
}

}  // namespace

Result<Route> ParseRoute(std::string_view path) {
  constexpr std::string_view kBase = "/v1/";
  Route route;
  if (path == "/healthz") return route;
  if (!path.starts_with(kBase)) return NoSuchRoute(path);
  std::string_view rest = path.substr(kBase.size());
  const std::string_view what = TakeSegment(&rest);
  if (what == "sites") return ParseSites(rest, path);
  if (what == "edges") return ParseEdge(rest, path);
  if (what == "blobs" && !rest.empty()) {
    route.kind = RouteKind::kBlob;
    route.name = rest;
    return route;
  }
  if (what == "receipts") return ParseReceipt(rest, path);
  if (what == "tokens") return ParseToken(rest, path);
  if (what == "accounts") return ParseAccount(rest, path);
  if (what == "jobs" && !rest.empty()) return ParseJob(rest, path);
  if (const std::optional<RouteKind> kind = SingleOf(path)) {
    route.kind = *kind;
    return route;
  }
  return NoSuchRoute(path);
}

std::span<const RouteRow> Routes() { return kRoutes; }

std::string_view MethodsOf(RouteKind kind) {
  const RouteRow& row = kRoutes[static_cast<size_t>(kind)];
  return row.methods;
}

bool Allows(std::string_view methods, std::string_view method) {
  for (size_t at = 0; at < methods.size();) {
    const size_t end = std::min(methods.find(", ", at), methods.size());
    if (methods.substr(at, end - at) == method) return true;
    at = end + 2;
  }
  return false;
}

std::optional<std::string> QueryValue(std::string_view query, std::string_view key) {
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(pair.size() + 1, query.size()));
    const size_t equals = std::min(pair.find('='), pair.size());
    if (pair.substr(0, equals) != key) continue;
    return http::PercentDecode(pair.substr(std::min(equals + 1, pair.size())));
  }
  return std::nullopt;
}

Result<size_t> QueryLimit(std::string_view query, size_t fallback, size_t most) {
  const std::optional<std::string> text = QueryValue(query, "limit");
  if (!text) return fallback;
  const std::optional<uint64_t> limit = ParseNumber(*text);
  if (!limit || *limit == 0 || *limit > most) {
    return BadQuery("limit: expected a number from 1 to " + std::to_string(most));
  }
  return static_cast<size_t>(*limit);
}

Result<uint64_t> QueryCount(std::string_view query, std::string_view key) {
  const std::optional<std::string> text = QueryValue(query, key);
  if (!text) return 0;
  const std::optional<uint64_t> count = ParseNumber(*text);
  if (!count) return BadQuery(std::string(key) + ": expected a whole number");
  return *count;
}

Result<std::optional<uint64_t>> QueryAfter(std::string_view query) {
  const std::optional<std::string> text = QueryValue(query, "after");
  if (!text) return std::nullopt;
  const std::optional<uint64_t> after = ParseNumber(*text);
  if (!after) return BadQuery("after: expected a number, 0 for the first");
  return after;
}

Result<std::optional<milliseconds>> QueryWait(std::string_view query, milliseconds most) {
  const std::optional<std::string> text = QueryValue(query, "wait");
  if (!text) return std::nullopt;
  Result<milliseconds> wait = ParseDuration(*text);
  if (!wait || *wait > most) {
    return BadQuery("wait: expected a duration up to " + FormatDuration(most) +
                    ", for example wait=2s");
  }
  return *wait;
}

Result<EventsQuery> ParseEventsQuery(std::string_view query, std::string_view last_event_id) {
  EventsQuery wanted;
  std::optional<std::string> after = QueryValue(query, "after");
  if (!after && !last_event_id.empty()) after = std::string(last_event_id);
  const std::optional<std::string> epoch = QueryValue(query, "epoch");
  if (epoch) {
    wanted.epoch = ParseNumber(*epoch);
    if (!wanted.epoch) return BadQuery("epoch: expected a number");
  }
  if (!after) {
    if (epoch) return BadQuery("epoch alone says no place: expected after=N beside it");
    return wanted;
  }
  std::string_view place = *after;
  if (const size_t colon = place.find(':'); colon != std::string_view::npos) {
    const std::optional<uint64_t> of_place = ParseNumber(place.substr(0, colon));
    if (!of_place || (wanted.epoch && wanted.epoch != of_place)) {
      return BadQuery("after: expected EPOCH:N, with the same epoch as epoch= if that is given");
    }
    wanted.epoch = of_place;
    place.remove_prefix(colon + 1);
  }
  wanted.after = ParseNumber(place);
  if (!wanted.after) return BadQuery("after: expected EPOCH:N or N");
  return wanted;
}

}  // namespace nearside::origin
