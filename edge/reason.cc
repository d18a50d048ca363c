#include "edge/reason.h"

#include <array>

namespace nearside::edge {
namespace {

using http::ForwardReason;

struct Row {
  Reason reason;
  std::string_view name;
  std::optional<ForwardReason> forward;
  ResultClass result;
};

constexpr std::array<Row, kReasonCount> kRows = {{
    {Reason::kFresh, "fresh", std::nullopt, ResultClass::kHit},
    {Reason::kStaleWhileRevalidate, "stale_while_revalidate", std::nullopt, ResultClass::kStale},
    {Reason::kStaleIfError, "stale_if_error", std::nullopt, ResultClass::kStale},
    {Reason::kMaxStale, "max_stale", std::nullopt, ResultClass::kStale},
    {Reason::kValidated, "validated", ForwardReason::kStale, ResultClass::kHit},
    {Reason::kUriMiss, "uri_miss", ForwardReason::kUriMiss, ResultClass::kMiss},
    {Reason::kPartialMiss, "partial_miss", ForwardReason::kPartial, ResultClass::kMiss},
    {Reason::kVaryMiss, "vary_miss", ForwardReason::kVaryMiss, ResultClass::kMiss},
    {Reason::kExpired, "expired", ForwardReason::kStale, ResultClass::kMiss},
    {Reason::kResponseNoCache, "response_no_cache", ForwardReason::kStale, ResultClass::kMiss},
    {Reason::kSoftPurged, "soft_purged", ForwardReason::kStale, ResultClass::kMiss},
    {Reason::kRequestNoCache, "request_no_cache", ForwardReason::kRequest, ResultClass::kMiss},
    {Reason::kRequestMaxAge, "request_max_age", ForwardReason::kRequest, ResultClass::kMiss},
    {Reason::kMethod, "method", ForwardReason::kMethod, ResultClass::kPass},
    {Reason::kNotShared, "not_shared", ForwardReason::kBypass, ResultClass::kPass},
    {Reason::kWebSocket, "websocket", ForwardReason::kBypass, ResultClass::kPass},
    {Reason::kOnlyIfCached, "only_if_cached", std::nullopt, ResultClass::kError},
    {Reason::kOriginUnreachable, "origin_unreachable", ForwardReason::kUriMiss,
     ResultClass::kError},
    {Reason::kOriginWrongName, "origin_wrong_name", ForwardReason::kUriMiss, ResultClass::kError},
    {Reason::kOriginExpired, "origin_expired", ForwardReason::kUriMiss, ResultClass::kError},
    {Reason::kOriginUntrusted, "origin_untrusted", ForwardReason::kUriMiss, ResultClass::kError},
    {Reason::kOriginTimeout, "origin_timeout", ForwardReason::kUriMiss, ResultClass::kError},
    {Reason::kOriginBroken, "origin_broken", ForwardReason::kUriMiss, ResultClass::kError},
    {Reason::kOriginFailed, "origin_failed", ForwardReason::kUriMiss, ResultClass::kError},
    {Reason::kRetryBudget, "retry_budget", ForwardReason::kUriMiss, ResultClass::kError},
    {Reason::kNotSwitched, "not_switched", ForwardReason::kBypass, ResultClass::kError},
    {Reason::kTooManyTunnels, "too_many_tunnels", std::nullopt, ResultClass::kError},
    {Reason::kUnknownHost, "unknown_host", std::nullopt, ResultClass::kError},
    {Reason::kWrongCertificate, "wrong_certificate", std::nullopt, ResultClass::kError},
    {Reason::kNodeRequest, "node", std::nullopt, ResultClass::kNode},
    {Reason::kRedirectHttps, "redirect_https", std::nullopt, ResultClass::kNode},
    {Reason::kTrailingSlash, "trailing_slash", std::nullopt, ResultClass::kNode},
    {Reason::kPreflight, "preflight", std::nullopt, ResultClass::kNode},
    {Reason::kCorsRefused, "cors_refused", std::nullopt, ResultClass::kError},
    {Reason::kBadRequest, "bad_request", std::nullopt, ResultClass::kError},
    {Reason::kLoop, "loop_detected", std::nullopt, ResultClass::kError},
    {Reason::kStored, "stored", std::nullopt, ResultClass::kMiss},
    {Reason::kNoStore, "no_store", std::nullopt, ResultClass::kMiss},
    {Reason::kPrivate, "private", std::nullopt, ResultClass::kMiss},
    {Reason::kSetCookie, "set_cookie", std::nullopt, ResultClass::kMiss},
    {Reason::kAuthorization, "authorization", std::nullopt, ResultClass::kMiss},
    {Reason::kCookie, "cookie", std::nullopt, ResultClass::kMiss},
    {Reason::kUncacheableStatus, "uncacheable_status", std::nullopt, ResultClass::kMiss},
    {Reason::kNoFreshness, "no_freshness", std::nullopt, ResultClass::kMiss},
    {Reason::kVaryStar, "vary_star", std::nullopt, ResultClass::kMiss},
    {Reason::kPartial, "partial", std::nullopt, ResultClass::kMiss},
    {Reason::kStoreRefused, "store_refused", std::nullopt, ResultClass::kMiss},
}};

constexpr bool RowsAreInOrder() {
  for (int i = 0; i < kReasonCount; ++i) {
    if (static_cast<int>(kRows[i].reason) != i) return false;
  }
  return true;
}
static_assert(RowsAreInOrder());

const Row& RowOf(Reason reason) { return kRows[static_cast<size_t>(reason)]; }

}  // namespace

std::string_view ReasonName(Reason reason) { return RowOf(reason).name; }
std::optional<ForwardReason> ForwardOf(Reason reason) { return RowOf(reason).forward; }
ResultClass ClassOf(Reason reason) { return RowOf(reason).result; }

std::string_view ResultClassName(ResultClass result) {
  constexpr std::array<std::string_view, kResultClassCount> kNames = {"hit",  "stale", "miss",
                                                                      "pass", "error", "node"};
  return kNames[static_cast<size_t>(result)];
}

}  // namespace nearside::edge
