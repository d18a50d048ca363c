#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>

#include "http/cache_status.h"

namespace nearside::edge {

/// Why a request was answered as it was, and why a response was stored or not. One list for the
/// Cache-Status field, the access log, the counters, `explain` and the tests.
enum class Reason : uint8_t {
  // Served from the cache.
  kFresh,                 ///< fresh: RFC 9111 §4.2
  kStaleWhileRevalidate,  ///< stale, being validated behind: RFC 5861 §3
  kStaleIfError,          ///< stale, because the origin failed: RFC 5861 §4, RFC 9111 §4.2.4
  kMaxStale,              ///< stale, because the request allows it: RFC 9111 §5.2.1.2
  kValidated,             ///< the origin said 304 while this request waited
  // Sent on to the origin.
  kUriMiss,          ///< nothing stored under this key
  kPartialMiss,      ///< stored in slices, of which one that is wanted is missing: RFC 9111 §3.3
  kVaryMiss,         ///< stored, but for other selecting fields: RFC 9111 §4.1
  kExpired,          ///< stored, stale
  kResponseNoCache,  ///< stored with no-cache: validated each time
  kSoftPurged,       ///< stored, marked stale by a purge
  kRequestNoCache,   ///< the request says no-cache (or Pragma alone)
  kRequestMaxAge,    ///< older than the request's max-age, or less fresh than its min-fresh
  kMethod,           ///< not GET or HEAD
  kNotShared,        ///< known to be uncacheable: fetched for each request alone
  kWebSocket,        ///< asks to change the protocol: RFC 6455, RFC 8441
  // Answered by the edge itself.
  kOnlyIfCached,       ///< 504: the request wants a stored response and there is none
  kOriginUnreachable,  ///< 502: no origin could be connected to
  kOriginWrongName,    ///< 502: its certificate is for another name
  kOriginExpired,      ///< 502: its certificate is not valid at this time
  kOriginUntrusted,    ///< 502: nobody we trust has signed its certificate
  kOriginTimeout,      ///< 504
  kOriginBroken,       ///< 502: nonsense, cut off, or wrong length
  kOriginFailed,       ///< it answered a request that this one waited for with an error: the same
                       ///< status, or 503 where that answer was for one visitor
  kRetryBudget,        ///< 502: an origin failed, and retries are over their share of requests
  kNotSwitched,        ///< 502: its answer would read as an agreement to WebSocket and is none
  kTooManyTunnels,     ///< 503: no more WebSockets at once
  kUnknownHost,        ///< 421: no site has this host
  kWrongCertificate,   ///< 421: the connection's certificate does not cover the host
  kNodeRequest,        ///< /healthz and the like
  kRedirectHttps,      ///< 301, 308: site setting redirect_https
  kTrailingSlash,      ///< 301, 308: site setting trailing_slash
  kPreflight,          ///< 204: a CORS preflight, site setting cors
  kCorsRefused,        ///< 403: a CORS preflight of an origin that is not allowed
  kBadRequest,         ///< 400
  kLoop,               ///< 508: the request has been through this edge before
  // Why a response was stored, or not.
  kStored,
  kNoStore,            ///< RFC 9111 §5.2.2.5, or no-store in the request
  kPrivate,            ///< §5.2.2.7
  kSetCookie,          ///< site setting set_cookie = "bypass"
  kAuthorization,      ///< §3.5
  kCookie,             ///< made for a request with a cookie, and nothing says who else may have it
  kUncacheableStatus,  ///< no explicit freshness and not heuristically cacheable, or not understood
  kNoFreshness,        ///< no lifetime, and no validator to use it with
  kVaryStar,           ///< Vary: *, or a Vary that no key of ours can follow
  kPartial,            ///< a 206 or 416 that cannot be part of what is stored
  kStoreRefused,       ///< more tags than kMaxTags; or too large, queue full or disk full, as
                       ///< nearside_cache_not_stored_total tells
};
inline constexpr int kReasonCount = static_cast<int>(Reason::kStoreRefused) + 1;
/// From kOriginUnreachable to kOriginFailed: how an origin can fail.
inline constexpr size_t kOriginFailures = static_cast<size_t>(Reason::kOriginFailed) -
                                          static_cast<size_t>(Reason::kOriginUnreachable) + 1;

/// "stale_if_error": in logs, metrics and Cache-Status' detail.
std::string_view ReasonName(Reason reason);
/// RFC 9211 §2.2's reason for a request that was forwarded; nullopt for the others.
std::optional<http::ForwardReason> ForwardOf(Reason reason);

/// How requests are counted: nearside_edge_requests_total{result="…"}.
enum class ResultClass : uint8_t { kHit, kStale, kMiss, kPass, kError, kNode };
inline constexpr int kResultClassCount = 6;
ResultClass ClassOf(Reason reason);
std::string_view ResultClassName(ResultClass result);

}  // namespace nearside::edge
