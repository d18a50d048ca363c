#pragma once

// Contents that the next release of a site will have and that are here already: fetched by their
// SHA-256 before the switch, kept under keys that no request has. A fetch offers what it knows as
// one more tag of If-None-Match; an origin that answers 304 to it has said everything but the body.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "runtime/hash.h"

namespace nearside::edge {

/// Of a site's URL, once the release is active.
struct PreparedContent {
  std::string etag;  ///< strong, as the origin will send it
  Key256 key;        ///< where the store has the body
  uint64_t bytes = 0;
};
/// By path, as it stands in keys.
using PreparedSet = std::unordered_map<std::string, PreparedContent>;

/// Where a site's content is kept that is not at any URL yet. `sha256` in hexadecimal.
Key256 PreparedKey(std::string_view site, std::string_view sha256);

/// What is prepared, by site. Any thread.
class PreparedContents {
 public:
  /// Takes the place of what was there; an empty set removes it.
  void Put(const std::string& site, PreparedSet set);
  /// By a target in its normal form, whose query does not count. It is a hint: the store may have
  /// lost the body meanwhile.
  std::optional<PreparedContent> Find(const std::string& site, std::string_view target) const;

 private:
  std::atomic<bool> any_{false};  ///< so that a miss costs nothing where nothing is prepared
  mutable std::mutex mutex_;
  std::map<std::string, std::shared_ptr<const PreparedSet>> sites_;
};

}  // namespace nearside::edge
