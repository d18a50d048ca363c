#pragma once

// What a site may hold at the origin.

#include <cstdint>

namespace nearside::storage {

/// 0: no limit.
struct SiteQuota {
  /// Contents that the site's kept releases and its uploads under way name, each counted once.
  uint64_t bytes = 0;
  /// Files of a release.
  uint64_t files = 0;
  bool limits() const { return bytes != 0 || files != 0; }
  bool operator==(const SiteQuota&) const = default;
};

/// The same of what it holds.
struct SiteUsage {
  uint64_t bytes = 0;
  uint64_t files = 0;  ///< of the active release
  bool operator==(const SiteUsage&) const = default;
};

}  // namespace nearside::storage
