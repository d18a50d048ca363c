#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "edge/query_rule.h"
#include "runtime/result.h"
#include "storage/cache_store.h"

namespace nearside::edge {

/// What is to be forgotten of one site. Paths are as in a request's target, normalised:
/// "/a/b.css?v=1".
struct PurgeOrder {
  std::string site;
  std::vector<std::string> urls;
  std::vector<std::string> prefixes;  ///< end in "/": "/blog/"
  std::vector<std::string> tags;
  bool all = false;
  bool soft = false;  ///< stale instead of gone
};

inline constexpr size_t kMaxPurgeItems = 10'000;
inline constexpr size_t kMaxPrefixSegments = 16;
inline constexpr size_t kMaxTags = 128;  ///< of one response

/// Reads {"site": …, "urls": […], "prefixes": […], "tags": […], "all": …, "soft": …}. Error:
/// kClient bad_purge, saying which member is wrong and what was expected.
Result<PurgeOrder> ParsePurgeOrder(std::string_view json);

/// The order's URLs as they stand in the site's keys. One whose whole query is left out of them
/// becomes its path, which stands for every query.
void ApplyQueryRule(const QueryRule& rule, PurgeOrder* order);

/// The scopes that an order names. A URL without a query stands for that path with every query.
std::vector<storage::ScopeHash> ScopesOf(const PurgeOrder& order);

/// The scopes that a stored object belongs to: its site, its URL, the prefixes of its path, its
/// tags.
std::vector<storage::ScopeHash> ScopesOfObject(std::string_view site,
                                               std::string_view normal_target,
                                               const std::vector<std::string>& tags);

}  // namespace nearside::edge
