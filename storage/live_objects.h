#pragma once

// Which stored objects some HeadRef still names: while one does, its chunks stay on disk, so that a
// client that is half-way through a body gets the rest of it, whatever replaced, purged or expired
// the object.

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "storage/cache_store.h"

namespace nearside::storage {

/// Any thread.
class LiveObjects {
 public:
  void Hold(uint64_t object_id);
  void Release(uint64_t object_id);
  bool Contains(uint64_t object_id) const;

 private:
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<uint64_t, uint32_t> holds;
  };
  Shard& ShardOf(uint64_t object_id) { return shards_[object_id % shards_.size()]; }
  const Shard& ShardOf(uint64_t object_id) const { return shards_[object_id % shards_.size()]; }
  std::array<Shard, 16> shards_;
};

/// The head that the LMDB store hands out: counts among the live objects as long as it exists,
/// which may be longer than the store does.
struct StoredHead : CachedHead {
  explicit StoredHead(std::shared_ptr<LiveObjects> registry, Head stored);
  ~StoredHead();
  StoredHead(const StoredHead&) = delete;
  StoredHead& operator=(const StoredHead&) = delete;

 private:
  std::shared_ptr<LiveObjects> live_;
};

}  // namespace nearside::storage
