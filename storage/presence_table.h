#pragma once

// Which keys are on disk, or on their way there, in 10 to 22 bytes of RAM an object: a miss is
// known without a read. Also the popularity of what RAM no longer holds, for the disk's eviction.

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <vector>

#include "runtime/hash.h"

namespace nearside::storage {

/// Counts by the first 57 bits of a key: "no" is exact, "yes" is wrong once in 10^10 keys. Any
/// thread.
class PresenceTable {
 public:
  /// One more head of the key is queued for the disk or was found there.
  void Add(const Key256& key);
  /// One fewer: it was replaced, removed or never written.
  void Drop(const Key256& key);
  /// Before SetComplete: always true.
  bool MayContain(const Key256& key) const;
  /// The walk over the disk at start has seen every head.
  void SetComplete(bool complete) { complete_.store(complete, std::memory_order_release); }
  bool complete() const { return complete_.load(std::memory_order_acquire); }

  /// Notes an access, up to three.
  void Mark(const Key256& key);
  /// Uses up one noted access; false when there is none.
  bool TakeMark(const Key256& key);

  /// Room for this many keys without growing; at start.
  void Expect(uint64_t keys);
  void Clear();
  uint64_t memory_bytes() const;

 private:
  // A slot: 57 bits of the key, 2 of marks, 5 of count; 0 is empty (the count of a used slot is not
  // 0).
  struct Shard {
    mutable std::mutex mutex;
    std::vector<uint64_t> slots;
    size_t used = 0;

    size_t Find(uint64_t tag) const;
    void Grow(size_t slots_wanted);
    void EraseAt(size_t at);
  };
  static constexpr size_t kShards = 64;
  Shard& ShardOf(uint64_t word) { return shards_[word >> 58]; }
  const Shard& ShardOf(uint64_t word) const { return shards_[word >> 58]; }

  std::array<Shard, kShards> shards_;
  std::atomic<bool> complete_{false};
};

}  // namespace nearside::storage
