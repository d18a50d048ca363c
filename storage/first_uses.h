#pragma once

// Which keys were fetched once of late: CacheOptions::disk_min_uses.

#include <cstdint>
#include <memory>
#include <mutex>

#include "storage/cache_store.h"
#include "storage/ghost_table.h"
#include "storage/ram_tier.h"

namespace nearside::storage {

/// Knows an object that is fetched again though it has left RAM meanwhile. Holds eight bytes a key,
/// out of what RAM may take. Any thread.
class FirstUses {
 public:
  FirstUses(const CacheOptions& options, RamTier& ram);
  /// Whether an object of this key, fetched now, goes to disk at once; else the key is remembered.
  bool WritesNow(const Key256& key);

 private:
  std::mutex mutex_;
  std::unique_ptr<GhostTable> seen_;  ///< null: every object does
  uint64_t window_ = 0;               ///< so many keys are remembered
};

}  // namespace nearside::storage
