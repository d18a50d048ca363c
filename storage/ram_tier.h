#pragma once

// Heads and chunks in RAM under one byte-exact limit, evicted by S3-FIFO (Yang, Zhang, Qiu, Yue,
// Vigfusson, "FIFO queues are all you need for cache eviction", SOSP'23): a small queue for what is
// new, a main one for what was asked for again, a ghost table of what left the small one. A scan of
// one-hit objects passes through the small queue alone. Three things differ from the paper: one
// more request is enough for the main queue, what is large is known to the ghost table for a
// shorter time, and the queues are cut into shards, of which the fullest evicts. What each is worth
// tests/bench/hit_ratio.cc tells.

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "storage/cache_store.h"
#include "storage/chunk_codec.h"
#include "storage/ghost_table.h"

namespace nearside::storage {

/// Bytes that a head holds in RAM: itself, its strings, its payload, its inline body.
uint64_t ChargeOf(const CachedHead& head);

/// Any thread. A lookup takes its shard's lock for nanoseconds; what is evicted is destroyed
/// outside it.
class RamTier {
 public:
  explicit RamTier(ByteSize limit);
  ~RamTier();
  RamTier(const RamTier&) = delete;
  RamTier& operator=(const RamTier&) = delete;

  HeadRef FindHead(const Key256& key);
  ChunkRef FindChunk(ChunkName name);
  /// The same without counting as an access.
  HeadRef PeekHead(const Key256& key) const;

  /// Replaces the key's head. `charge` is ChargeOf(*head), plus the body's where the head owns it.
  /// False when it is larger than what can be freed for it: then the key has no head in RAM.
  bool InsertHead(HeadRef head, uint64_t charge);
  /// The same, but only in the place of `old`: false when another head has taken it, or none is
  /// there.
  bool ReplaceHead(const CachedHead& old, HeadRef head, uint64_t charge);
  /// A chunk that is there already stays. Too large for the limit: not taken.
  void InsertChunk(ChunkName name, ChunkRef chunk);

  /// Erases the key's head if it is of `object_id` (nullopt: of any). Whether it did.
  bool EraseHead(const Key256& key, std::optional<uint64_t> object_id);
  /// Erases exactly this head, if it is the one in RAM. Whether it did.
  bool EraseThisHead(const CachedHead& head);
  void EraseChunks(uint64_t object_id, uint64_t count);
  void Clear();

  /// Takes bytes out of the limit for something the tier does not hold itself, evicting for it.
  /// False when they cannot be had. Give back by Release.
  bool Reserve(uint64_t bytes);
  void Release(uint64_t bytes) { bytes_.fetch_sub(bytes, std::memory_order_relaxed); }

  /// Whether the key's head was asked for since it was last told: the disk's eviction asks, and
  /// each answer uses up one access.
  bool TakeAccess(const Key256& key);
  /// Keys of heads that were found again after a while without; each call empties the lists. Lists
  /// are short: what does not fit is dropped, it will be asked for again.
  void DrainTouched(std::vector<Key256>& out);

  struct Figures {
    uint64_t bytes = 0, heads = 0, chunks = 0;
    uint64_t head_hits = 0, head_misses = 0, chunk_hits = 0, chunk_misses = 0;
    uint64_t evicted = 0;
  };
  Figures Read() const;
  uint64_t limit_bytes() const { return limit_; }
  uint64_t bytes() const { return bytes_.load(std::memory_order_relaxed); }

 private:
  struct Entry;
  struct Fifo;
  struct Shard;
  struct Name;

  Shard& ShardOf(uint64_t hash) const;
  template <typename MayReplace>
  bool Insert(std::unique_ptr<Entry> entry, MayReplace may_replace);
  bool MakeRoom(uint64_t charge);
  Shard* FullestShard() const;
  bool EvictOne();
  /// Destroys and gives the bytes back, in this order: the limit holds at every instant.
  void Destroy(std::unique_ptr<Entry> entry);
  template <typename Match>
  bool Erase(const Name& name, Match match);

  uint64_t limit_;
  std::atomic<uint64_t> bytes_{0};
  std::vector<std::unique_ptr<Shard>> shards_;
};

}  // namespace nearside::storage
