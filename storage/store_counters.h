#pragma once

// What the LMDB store counts, for CacheStats. Any thread; relaxed.

#include <atomic>
#include <cstdint>
#include <memory>

#include "storage/cache_store.h"

namespace nearside::storage {

struct StoreCounters {
  using Counter = std::atomic<uint64_t>;
  Counter stored{0}, unwritten{0}, written_later{0};
  Counter not_stored[kNotStoredReasons]{};
  Counter head_loads{0}, head_misses{0}, chunk_loads{0}, reads_refused{0};
  Counter removed[kRemovals]{};
  Counter checksum_failures{0}, write_errors{0}, orphans_swept{0};
  // Gauges that the writer sets.
  Counter disk_bytes{0}, disk_objects{0}, retired_bytes{0}, free_list_pages{0}, slab_dead_bytes{0},
      pinned_objects{0}, pinned_bytes{0}, pinned_pages{0}, oldest_snapshot_ms{0};

  const std::shared_ptr<DurationHistogram> batch_times = std::make_shared<DurationHistogram>();
  const std::shared_ptr<DurationHistogram> cold_read_times = std::make_shared<DurationHistogram>();

  void Remove(Removal why) { Add(removed[static_cast<size_t>(why)]); }
  uint64_t Removed(Removal why) const {
    return removed[static_cast<size_t>(why)].load(std::memory_order_relaxed);
  }
  uint64_t Evicted() const {
    return Removed(Removal::kEvictedForBodies) + Removed(Removal::kEvictedForHeads);
  }
  void Refuse(NotStored reason) { Add(not_stored[static_cast<size_t>(reason)]); }
  static void Add(Counter& counter, uint64_t n = 1) {
    counter.fetch_add(n, std::memory_order_relaxed);
  }
  uint64_t AllNotStored() const {
    uint64_t sum = 0;
    for (const Counter& counter : not_stored) sum += counter.load(std::memory_order_relaxed);
    return sum;
  }
};

}  // namespace nearside::storage
