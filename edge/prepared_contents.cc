#include "edge/prepared_contents.h"

#include <utility>

#include "runtime/crypto.h"

namespace nearside::edge {

Key256 PreparedKey(std::string_view site, std::string_view sha256) {
  // A normal URL begins with a scheme, so that no request has a key of this text.
  std::string text(site);
  text.append("\0prepared\0", 10).append(sha256);
  return Key256{Sha256Of(text)};
}

void PreparedContents::Put(const std::string& site, PreparedSet set) {
  std::shared_ptr<const PreparedSet> shared;
  if (!set.empty()) shared = std::make_shared<const PreparedSet>(std::move(set));
  std::lock_guard lock(mutex_);
  if (shared) {
    sites_[site] = std::move(shared);
  } else {
    sites_.erase(site);
  }
  any_.store(!sites_.empty());
}

std::optional<PreparedContent> PreparedContents::Find(const std::string& site,
                                                      std::string_view target) const {
  if (!any_.load(std::memory_order_relaxed)) return std::nullopt;
  std::shared_ptr<const PreparedSet> set;
  {
    std::lock_guard lock(mutex_);
    const auto found = sites_.find(site);
    if (found == sites_.end()) return std::nullopt;
    set = found->second;
  }
  const auto found = set->find(std::string(target.substr(0, target.find('?'))));
  if (found == set->end()) return std::nullopt;
  return found->second;
}

}  // namespace nearside::edge
