#pragma once

// Queries by zone. Zones come and go with reloads, so these counters are not cells of the registry.

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "geodns/zone.h"
#include "runtime/metrics.h"

namespace nearside::geodns {

/// One zone's counter: each worker writes a cache line of its own, any thread sums.
class ZoneCounter {
 public:
  explicit ZoneCounter(size_t workers) : lines_(workers) {}
  /// Of the worker's thread alone.
  void Add(size_t worker) {
    auto& count = lines_[worker].count;
    count.store(count.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  uint64_t Sum() const;

 private:
  struct alignas(64) Line {
    std::atomic<uint64_t> count{0};
  };
  std::vector<Line> lines_;
};

using ZoneCounters = std::vector<std::shared_ptr<ZoneCounter>>;

/// The counters by the zones' names: a zone that a reload keeps goes on with its own. Control
/// loop's thread.
class ZoneQueries {
 public:
  explicit ZoneQueries(size_t workers) : workers_(workers) {}
  /// One for each zone, in their order; those of other zones are forgotten.
  ZoneCounters For(std::span<const std::shared_ptr<const Zone>> zones);
  std::vector<metrics::Registry::Sample> Samples() const;

 private:
  const size_t workers_;
  std::map<std::string, std::shared_ptr<ZoneCounter>> counters_;
};

}  // namespace nearside::geodns
