#include "edge/reason.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

namespace nearside::edge {
namespace {

struct ReasonRow {
  Reason reason;
  std::string_view text;  ///< name, RFC 9211 §2.2's word or "-", result class
};

constexpr ReasonRow kReasonRows[] = {
    {Reason::kFresh, "fresh - hit"},
    {Reason::kStaleWhileRevalidate, "stale_while_revalidate - stale"},
    {Reason::kStaleIfError, "stale_if_error - stale"},
    {Reason::kMaxStale, "max_stale - stale"},
    {Reason::kValidated, "validated stale hit"},
    {Reason::kUriMiss, "uri_miss uri-miss miss"},
    {Reason::kPartialMiss, "partial_miss partial miss"},
    {Reason::kVaryMiss, "vary_miss vary-miss miss"},
    {Reason::kExpired, "expired stale miss"},
    {Reason::kResponseNoCache, "response_no_cache stale miss"},
    {Reason::kSoftPurged, "soft_purged stale miss"},
    {Reason::kRequestNoCache, "request_no_cache request miss"},
    {Reason::kRequestMaxAge, "request_max_age request miss"},
    {Reason::kMethod, "method method pass"},
    {Reason::kNotShared, "not_shared bypass pass"},
    {Reason::kWebSocket, "websocket bypass pass"},
    {Reason::kOnlyIfCached, "only_if_cached - error"},
    {Reason::kOriginUnreachable, "origin_unreachable uri-miss error"},
    {Reason::kOriginWrongName, "origin_wrong_name uri-miss error"},
    {Reason::kOriginExpired, "origin_expired uri-miss error"},
    {Reason::kOriginUntrusted, "origin_untrusted uri-miss error"},
    {Reason::kOriginTimeout, "origin_timeout uri-miss error"},
    {Reason::kOriginBroken, "origin_broken uri-miss error"},
    {Reason::kNotSwitched, "not_switched bypass error"},
    {Reason::kTooManyTunnels, "too_many_tunnels - error"},
    {Reason::kOriginFailed, "origin_failed uri-miss error"},
    {Reason::kRetryBudget, "retry_budget uri-miss error"},
    {Reason::kUnknownHost, "unknown_host - error"},
    {Reason::kWrongCertificate, "wrong_certificate - error"},
    {Reason::kNodeRequest, "node - node"},
    {Reason::kRedirectHttps, "redirect_https - node"},
    {Reason::kTrailingSlash, "trailing_slash - node"},
    {Reason::kPreflight, "preflight - node"},
    {Reason::kCorsRefused, "cors_refused - error"},
    {Reason::kBadRequest, "bad_request - error"},
    {Reason::kLoop, "loop_detected - error"},
    {Reason::kStored, "stored - miss"},
    {Reason::kNoStore, "no_store - miss"},
    {Reason::kPrivate, "private - miss"},
    {Reason::kSetCookie, "set_cookie - miss"},
    {Reason::kAuthorization, "authorization - miss"},
    {Reason::kCookie, "cookie - miss"},
    {Reason::kUncacheableStatus, "uncacheable_status - miss"},
    {Reason::kNoFreshness, "no_freshness - miss"},
    {Reason::kVaryStar, "vary_star - miss"},
    {Reason::kPartial, "partial - miss"},
    {Reason::kStoreRefused, "store_refused - miss"},
};

std::string TextOf(Reason reason) {
  const auto forward = ForwardOf(reason);
  return std::string(ReasonName(reason)) + " " +
         std::string(forward ? http::ForwardReasonName(*forward) : "-") + " " +
         std::string(ResultClassName(ClassOf(reason)));
}

TEST(ReasonTest, EachHasItsNameForwardWordAndClass) {
  for (const ReasonRow& row : kReasonRows) EXPECT_EQ(TextOf(row.reason), row.text);
}

TEST(ReasonTest, TheTableAboveHasAllOfThem) {
  std::set<Reason> listed;
  for (const ReasonRow& row : kReasonRows) listed.insert(row.reason);
  EXPECT_EQ(listed.size(), static_cast<size_t>(kReasonCount));
}

TEST(ReasonTest, NamesAreUniqueAndFitMetricsAndStructuredFields) {
  std::set<std::string_view> names;
  for (int i = 0; i < kReasonCount; ++i) {
    const std::string_view name = ReasonName(static_cast<Reason>(i));
    EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_EQ(name.find_first_not_of("abcdefghijklmnopqrstuvwxyz_"), name.npos) << name;
  }
}

TEST(ReasonTest, ClassNamesAreUnique) {
  std::set<std::string_view> names;
  for (int i = 0; i < kResultClassCount; ++i) {
    names.insert(ResultClassName(static_cast<ResultClass>(i)));
  }
  EXPECT_EQ(names.size(), static_cast<size_t>(kResultClassCount));
}

}  // namespace
}  // namespace nearside::edge
