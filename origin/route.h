#pragma once

// From a request's target to what it asks of the API. Pure.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/clock.h"
#include "runtime/result.h"
#include "storage/metadata.h"

namespace nearside::origin {

enum class RouteKind {
  kHealth,       ///< /healthz
  kAsset,        ///< /v1/sites/{site}/assets/{path}
  kAssets,       ///< /v1/sites/{site}/assets
  kUploads,      ///< /v1/sites/{site}/uploads/
  kUpload,       ///< /v1/sites/{site}/uploads/{id}
  kReleases,     ///< /v1/sites/{site}/releases
  kRelease,      ///< /v1/sites/{site}/releases/{id}
  kActivation,   ///< /v1/sites/{site}/releases/{id}/activate
  kPreparation,  ///< /v1/sites/{site}/releases/{id}/prepare
  kContent,      ///< /v1/sites/{site}/releases/{id}/content
  kBlob,         ///< /v1/blobs/{sha256}
  kPurge,        ///< /v1/purge
  kEvents,       ///< /v1/events
  kEdges,        ///< /v1/edges
  kEdge,         ///< /v1/edges/{name}
  kSites,        ///< /v1/sites
  kSite,         ///< /v1/sites/{site}
  kTokens,       ///< /v1/tokens
  kToken,        ///< /v1/tokens/{id}
  kAudit,        ///< /v1/audit
  kAccounts,     ///< /v1/accounts
  kAccount,      ///< /v1/accounts/{account}
  kAccountGrants,
  kAccountPassword,
  kAccountSessions,
  kReceipts,  ///< /v1/receipts
  kReceipt,   ///< /v1/receipts/{id}
  kJobs,      ///< /v1/jobs
  kJobRetry,  ///< /v1/jobs/{id}/retry
  kOpenApi,   ///< /v1/openapi.json
};

/// A row of the table of routes: path as in OpenAPI, "GET, HEAD, PUT".
struct RouteRow {
  RouteKind kind;
  std::string_view path;
  std::string_view methods;
};
/// Every kind once, in the order of RouteKind.
std::span<const RouteRow> Routes();

struct Route {
  RouteKind kind = RouteKind::kHealth;
  std::string site;
  std::string path;                                  ///< of an asset, decoded
  storage::ReleaseId release = storage::kNoRelease;  ///< kNoRelease in kContent: the active one
  int64_t receipt = 0;
  uint64_t job = 0;
  std::string name;  ///< of an edge, an account; a blob's digits; a token's or an upload's id
};

/// Errors: kClient no_such_route, bad_path, path_too_long.
Result<Route> ParseRoute(std::string_view path);
/// "GET, HEAD, PUT, DELETE": what the route has methods for.
std::string_view MethodsOf(RouteKind kind);
bool Allows(std::string_view methods, std::string_view method);

/// The value of `key` in a query, percent-decoded; nullopt when it is absent or badly encoded.
std::optional<std::string> QueryValue(std::string_view query, std::string_view key);

/// ?limit=: `fallback` when absent. Error: kClient bad_query unless it is from 1 to `most`.
Result<size_t> QueryLimit(std::string_view query, size_t fallback, size_t most);
/// A whole number by its key; 0 when absent. Error: kClient bad_query.
Result<uint64_t> QueryCount(std::string_view query, std::string_view key);
/// ?after=: nullopt when absent. Error: kClient bad_query unless it is a number.
Result<std::optional<uint64_t>> QueryAfter(std::string_view query);
/// ?wait=: nullopt when absent. Error: kClient bad_query unless it is a duration up to `most`.
Result<std::optional<milliseconds>> QueryWait(std::string_view query, milliseconds most);

/// Where a stream of events is to begin.
struct EventsQuery {
  std::optional<uint64_t> epoch;
  std::optional<uint64_t> after;  ///< nullopt: behind the newest
};
/// From ?after=, ?epoch= and Last-Event-ID (""). Error: kClient bad_query.
Result<EventsQuery> ParseEventsQuery(std::string_view query, std::string_view last_event_id);

}  // namespace nearside::origin
