#pragma once

// Cache-Control, of requests and responses (RFC 9111 §5.2, RFC 5861, RFC 8246), and its targeted
// cousins (RFC 9213). What the directives mean for a request at hand is edge/policy's business.

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/fields.h"
#include "runtime/clock.h"

namespace nearside::http {

/// The most that a delta-seconds says; larger ones mean this (RFC 9111 §1.2.2).
inline constexpr seconds kLongestDelta{int64_t{1} << 31};

struct CacheControl {
  bool no_cache = false;  ///< without field names
  bool no_store = false;
  bool no_transform = false;
  bool only_if_cached = false;  ///< requests
  bool must_revalidate = false;
  bool proxy_revalidate = false;
  bool must_understand = false;
  bool is_public = false;
  bool is_private = false;  ///< without field names
  bool immutable = false;

  /// An argument that is no delta-seconds makes a response stale, so it reads as 0 (RFC 9111
  /// §4.2.1). Of two directives the shorter counts.
  std::optional<seconds> max_age;
  std::optional<seconds> s_maxage;
  /// These extend what a cache may do: one with a bad argument is as if it were absent.
  std::optional<seconds> min_fresh;
  std::optional<seconds> max_stale;  ///< without argument: kLongestDelta
  std::optional<seconds> stale_while_revalidate;
  std::optional<seconds> stale_if_error;

  std::vector<std::string> no_cache_fields;  ///< no-cache="set-cookie": lower case
  std::vector<std::string> private_fields;   ///< private="x-account"

  /// Directives that we do not know, in order: name in lower case, argument without quotes.
  std::vector<std::pair<std::string, std::optional<std::string>>> extensions;

  bool operator==(const CacheControl&) const = default;
};

CacheControl ParseCacheControl(std::string_view value);
/// All lines named Cache-Control together.
CacheControl ParseCacheControl(const Fields& fields);
/// Whether one of them has the directive (lower case), with whatever argument: what its flag above
/// says, without the others.
bool HasDirective(const Fields& fields, std::string_view directive);

/// A targeted field such as "cdn-cache-control" (RFC 9213 §2.1): a structured dictionary. nullopt
/// when there is none, it is empty, or breaks the grammar: then it is ignored and the next target
/// counts. A directive whose argument has the wrong type reads like one with a bad argument above.
std::optional<CacheControl> ParseTargetedCacheControl(const Fields& fields, std::string_view name);

/// RFC 9111 §1.2.2: digits only; more than fits is kLongestDelta.
std::optional<seconds> ParseDeltaSeconds(std::string_view text);

}  // namespace nearside::http
