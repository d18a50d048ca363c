#pragma once

#include <memory>
#include <mutex>

#include "storage/cache_store.h"

namespace nearside::storage {

/// The way from a registry, which lives as long as the daemon, to a store, which may end before.
/// Any thread.
class MetricsSource {
 public:
  explicit MetricsSource(const CacheStore* store);
  /// From now on the metrics read zero. Before the store goes.
  void Detach();
  /// Declares nearside_cache_*.
  void Declare(metrics::Registry& registry, const CacheTimes& times);

 private:
  struct Link {
    std::mutex mutex;
    const CacheStore* store = nullptr;
    CacheStats Read() {
      const std::lock_guard lock(mutex);
      return store != nullptr ? store->Stats() : CacheStats{};
    }
  };
  std::shared_ptr<Link> link_;
};

}  // namespace nearside::storage
