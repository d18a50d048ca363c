#pragma once

// The names of what was evicted last: S3-FIFO's ghost queue (Yang et al., SOSP'23, §4.2 describes
// this form: fingerprints with insertion times in a table, instead of a queue with an index).

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace nearside::storage {

/// Bounded for good at construction: eight bytes an entry. Not thread-safe: its owner's lock covers
/// it.
class GhostTable {
 public:
  /// `entries`: how many evictions it can remember; rounded up to a power of two.
  explicit GhostTable(size_t entries);

  void Add(uint64_t hash);
  /// Whether `hash` was among the last `window` additions, and forgets it: it comes back only once.
  /// A different hash may be taken for it with a chance of about 1 in 10^9.
  bool Take(uint64_t hash, uint64_t window);
  size_t memory_bytes() const { return buckets_.size() * sizeof(Bucket); }

 private:
  struct Entry {
    uint32_t fingerprint = 0;
    uint32_t added = 0;  ///< clock_ at the addition; 0: empty
  };
  using Bucket = std::array<Entry, 4>;
  Bucket& BucketOf(uint64_t hash) { return buckets_[hash & (buckets_.size() - 1)]; }

  std::vector<Bucket> buckets_;
  uint32_t clock_ = 0;  ///< additions so far; wraps after 2^32, which forgets a few entries early
};

}  // namespace nearside::storage
