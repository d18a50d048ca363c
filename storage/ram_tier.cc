#include "storage/ram_tier.h"

#include <algorithm>
#include <bit>
#include <utility>

namespace nearside::storage {

namespace {

constexpr uint8_t kMostFrequency = 3;
/// Accesses that an entry of the small queue needs to move on to the main one: more than this. The
/// paper says more than one; one is up to a point better where an object's requests come in bursts,
/// and in a large cache.
constexpr uint8_t kPromoteAbove = 0;
/// The small queue's share of the bytes: a tenth, as in the paper.
constexpr uint64_t kSmallShare = 10;
/// Second chances given under one hold of a lock: then others get their turn before the search goes
/// on. It ends, as each chance uses up an access.
constexpr int kMostChances = 64;
constexpr uint64_t kLeastShardBytes = 8 << 20;
constexpr uint64_t kMostShards = 32;
/// A bucket for this many bytes of the limit: chains stay short down to heads of a few hundred
/// bytes.
constexpr uint64_t kBytesPerBucket = 2048;
/// A ghost for this many bytes: heads with small bodies come to a thousand each, and no fewer than
/// the main queue's are to be remembered.
constexpr uint64_t kBytesPerGhost = 1024;
/// The smallest are known for this many times as long as those of mean size.
constexpr uint64_t kMostWindow = 2;
constexpr size_t kMostTouchedHeads = 256;
constexpr uint64_t kAllocatorBytes = 32;  // malloc's own, for an entry and a head's control block

uint64_t ShardCount(uint64_t limit) {
  return std::bit_floor(std::clamp<uint64_t>(limit / kLeastShardBytes, 1, kMostShards));
}

}  // namespace

/// What an entry is found by: a head's key, or a chunk's name in the same 32 bytes.
struct RamTier::Name {
  explicit Name(const Key256& head_key) : key(head_key) {}
  explicit Name(ChunkName name) : is_chunk(true) {
    std::memcpy(key.bytes.data(), &name.object_id, sizeof name.object_id);
    std::memcpy(key.bytes.data() + sizeof name.object_id, &name.index, sizeof name.index);
  }
  bool operator==(const Name&) const = default;
  uint64_t hash() const {
    // A key's word is uniform already, a chunk's id and index are small numbers. The
    // multiplications let shard, bucket and ghost take any bits.
    uint64_t word = key.word();
    if (is_chunk) {
      uint32_t index;
      std::memcpy(&index, key.bytes.data() + sizeof word, sizeof index);
      word = ChunkName{.object_id = word, .index = index}.hash();
    }
    return std::rotl(word * 0x9e3779b97f4a7c15u, 32);
  }

  Key256 key;
  bool is_chunk = false;
};

/// A lookup reads the first cache line alone: the members are in this order for that.
struct alignas(64) RamTier::Entry {
  explicit Entry(const Name& n) : name(n) {}
  Entry* chain = nullptr;  ///< next in the bucket
  HeadRef head;
  Name name;
  uint8_t frequency = 0;
  bool in_main = false;
  ChunkRef chunk;
  Entry* newer = nullptr;
  Entry* older = nullptr;
  uint64_t charge = 0;
};

/// An intrusive queue with its bytes. Owns nothing: the bucket's chains do.
struct RamTier::Fifo {
  Entry* newest = nullptr;
  Entry* oldest = nullptr;
  uint64_t bytes = 0;
  uint64_t entries = 0;

  void Push(Entry* entry) {
    entry->older = newest;
    entry->newer = nullptr;
    (newest != nullptr ? newest->newer : oldest) = entry;
    newest = entry;
    bytes += entry->charge;
    ++entries;
  }
  void Remove(Entry* entry) {
    (entry->newer != nullptr ? entry->newer->older : newest) = entry->older;
    (entry->older != nullptr ? entry->older->newer : oldest) = entry->newer;
    bytes -= entry->charge;
    --entries;
  }
};

struct alignas(64) RamTier::Shard {
  Shard(size_t bucket_count, size_t ghosts) : buckets(bucket_count, nullptr), ghost(ghosts) {
    touched.reserve(kMostTouchedHeads);
  }
  ~Shard() {
    for (Entry* entry : buckets) {
      while (entry != nullptr) delete std::exchange(entry, entry->chain);
    }
  }

  // Low bits choose the bucket, high ones have chosen the shard.
  Entry** BucketOf(uint64_t hash) { return &buckets[hash & (buckets.size() - 1)]; }
  Entry** Slot(const Name& name, uint64_t hash) {
    Entry** slot = BucketOf(hash);
    while (*slot != nullptr && !((*slot)->name == name)) slot = &(*slot)->chain;
    return slot;
  }
  /// What was evicted a short while ago, or replaces something in the main queue, goes to the main
  /// queue.
  void Link(std::unique_ptr<Entry> owned) {
    Entry* entry = owned.release();
    const uint64_t hash = entry->name.hash();
    Entry** bucket = BucketOf(hash);
    entry->chain = *bucket;
    *bucket = entry;
    entry->in_main = entry->in_main || ghost.Take(hash, GhostWindow(entry->charge));
    (entry->in_main ? main : small).Push(entry);
    ++(entry->name.is_chunk ? chunks : heads);
    PublishBytes();
  }
  /// How many evictions ago something of this size may have left and be known: as many as the main
  /// queue has entries (the paper), more for the small and fewer for the large, as a large one
  /// pushes more others out of it. Who is asked for while in the small queue needs no ghost: a hot
  /// large object gets into the main queue all the same.
  uint64_t GhostWindow(uint64_t charge) const {
    const uint64_t entries = small.entries + main.entries;
    if (entries == 0) return 0;
    const uint64_t mean_charge = (small.bytes + main.bytes) / entries;
    const uint64_t window = std::max(main.entries, small.entries);
    return std::min(window * kMostWindow, window * mean_charge / charge);
  }
  std::unique_ptr<Entry> Unlink(Entry** slot) {
    std::unique_ptr<Entry> entry(*slot);
    *slot = entry->chain;
    (entry->in_main ? main : small).Remove(entry.get());
    --(entry->name.is_chunk ? chunks : heads);
    PublishBytes();
    return entry;
  }
  std::unique_ptr<Entry> UnlinkOldest(const Fifo& fifo) {
    return Unlink(Slot(fifo.oldest->name, fifo.oldest->name.hash()));
  }
  void Access(Entry* entry) {
    if (entry->frequency == 0 && !entry->name.is_chunk && touched.size() < kMostTouchedHeads) {
      touched.push_back(entry->name.key);
    }
    if (entry->frequency < kMostFrequency) ++entry->frequency;
  }
  void PublishBytes() { bytes.store(small.bytes + main.bytes, std::memory_order_relaxed); }
  struct Search {
    std::unique_ptr<Entry> victim;
    bool unfinished = false;  ///< no victim yet, but chances were used up
  };
  Search Evict();

  mutable std::mutex mutex;
  std::vector<Entry*> buckets;
  std::atomic<uint64_t> bytes{0};  ///< of both queues, for who looks for the fullest shard
  Fifo small;
  Fifo main;
  GhostTable ghost;
  std::vector<Key256> touched;
  uint64_t heads = 0, chunks = 0;
  uint64_t head_hits = 0, head_misses = 0, chunk_hits = 0, chunk_misses = 0, evicted = 0;
};

RamTier::Shard::Search RamTier::Shard::Evict() {
  for (int chances = 0; chances < kMostChances; ++chances) {
    const bool from_small =
        main.oldest == nullptr || small.bytes * kSmallShare >= small.bytes + main.bytes;
    Entry* oldest = from_small ? small.oldest : main.oldest;
    if (oldest == nullptr) return {};
    if (from_small && oldest->frequency > kPromoteAbove) {
      small.Remove(oldest);
      oldest->frequency = 0;
      oldest->in_main = true;
      main.Push(oldest);
    } else if (!from_small && oldest->frequency > 0) {
      --oldest->frequency;
      main.Remove(oldest);
      main.Push(oldest);
    } else {
      if (from_small) ghost.Add(oldest->name.hash());
      ++evicted;
      return {.victim = UnlinkOldest(from_small ? small : main)};
    }
  }
  return {.unfinished = true};
}

uint64_t ChargeOf(const CachedHead& head) {
  uint64_t charge = sizeof(CachedHead) + kAllocatorBytes;
  charge += head.head.scopes.capacity() * sizeof(ScopeHash) + head.head.meta.capacity();
  if (head.payload != nullptr) charge += head.payload->charge();
  if (head.inline_body) charge += head.inline_body->charge();
  return charge;
}

RamTier::RamTier(ByteSize limit) : limit_(limit.bytes) {
  const uint64_t shards = ShardCount(limit_);
  const uint64_t buckets = std::bit_ceil(std::max<uint64_t>(limit_ / shards / kBytesPerBucket, 64));
  const uint64_t ghosts = limit_ / shards / kBytesPerGhost;
  for (uint64_t i = 0; i < shards; ++i) shards_.push_back(std::make_unique<Shard>(buckets, ghosts));
}

RamTier::~RamTier() = default;

RamTier::Shard& RamTier::ShardOf(uint64_t hash) const {
  return *shards_[(hash >> 40) & (shards_.size() - 1)];
}

HeadRef RamTier::FindHead(const Key256& key) {
  const Name name(key);
  const uint64_t hash = name.hash();
  Shard& shard = ShardOf(hash);
  const std::lock_guard lock(shard.mutex);
  Entry* entry = *shard.Slot(name, hash);
  ++(entry != nullptr ? shard.head_hits : shard.head_misses);
  if (entry == nullptr) return nullptr;
  shard.Access(entry);
  return entry->head;
}

HeadRef RamTier::PeekHead(const Key256& key) const {
  const Name name(key);
  const uint64_t hash = name.hash();
  Shard& shard = ShardOf(hash);
  const std::lock_guard lock(shard.mutex);
  const Entry* entry = *shard.Slot(name, hash);
  return entry != nullptr ? entry->head : nullptr;
}

ChunkRef RamTier::FindChunk(ChunkName chunk_name) {
  const Name name(chunk_name);
  const uint64_t hash = name.hash();
  Shard& shard = ShardOf(hash);
  const std::lock_guard lock(shard.mutex);
  Entry* entry = *shard.Slot(name, hash);
  ++(entry != nullptr ? shard.chunk_hits : shard.chunk_misses);
  if (entry == nullptr) return {};
  shard.Access(entry);
  return entry->chunk;
}

/// `may_replace` is asked, under the lock, with the entry that has the name, or null. Whether it
/// was linked.
template <typename MayReplace>
bool RamTier::Insert(std::unique_ptr<Entry> entry, MayReplace may_replace) {
  const Name name = entry->name;
  const bool fits = MakeRoom(entry->charge);
  const uint64_t hash = name.hash();
  Shard& shard = ShardOf(hash);
  std::unique_ptr<Entry> replaced;  // destroyed without the lock, as is what was not linked
  bool wanted = false;
  {
    const std::lock_guard lock(shard.mutex);
    Entry** slot = shard.Slot(name, hash);
    wanted = may_replace(*slot);
    if (wanted && *slot != nullptr) {  // what replaces is as popular as what it replaces
      entry->frequency = (*slot)->frequency;
      entry->in_main = (*slot)->in_main;
      replaced = shard.Unlink(slot);
    }
    if (wanted && fits) shard.Link(std::move(entry));
  }
  if (replaced != nullptr) Destroy(std::move(replaced));
  if (entry != nullptr && fits) Destroy(std::move(entry));
  return wanted && fits;
}

bool RamTier::InsertHead(HeadRef head, uint64_t charge) {
  auto entry = std::make_unique<Entry>(Name(head->head.key));
  entry->charge = charge + sizeof(Entry) + kAllocatorBytes;
  entry->head = std::move(head);
  return Insert(std::move(entry), [](const Entry*) { return true; });
}

bool RamTier::ReplaceHead(const CachedHead& old, HeadRef head, uint64_t charge) {
  auto entry = std::make_unique<Entry>(Name(head->head.key));
  entry->charge = charge + sizeof(Entry) + kAllocatorBytes;
  entry->head = std::move(head);
  return Insert(std::move(entry), [&old](const Entry* there) {
    return there != nullptr && there->head.get() == &old;
  });
}

void RamTier::InsertChunk(ChunkName name, ChunkRef chunk) {
  auto entry = std::make_unique<Entry>(Name(name));
  entry->charge = chunk->charge() + sizeof(Entry) + kAllocatorBytes;
  entry->chunk = std::move(chunk);
  Insert(std::move(entry), [](const Entry* there) { return there == nullptr; });
}

bool RamTier::MakeRoom(uint64_t charge) {
  if (charge > limit_) return false;
  uint64_t used = bytes_.load(std::memory_order_relaxed);
  while (true) {
    if (used + charge <= limit_) {
      if (bytes_.compare_exchange_weak(used, used + charge, std::memory_order_relaxed)) return true;
    } else {
      if (!EvictOne()) return false;
      used = bytes_.load(std::memory_order_relaxed);
    }
  }
}

/// The fullest shard gives: all have the same room then, so that together they evict in nearly the
/// order of one. (Each in turn lets them drift apart, which costs up to a point of hits.)
RamTier::Shard* RamTier::FullestShard() const {
  Shard* fullest = nullptr;
  uint64_t most = 0;
  for (const auto& shard : shards_) {
    const uint64_t bytes = shard->bytes.load(std::memory_order_relaxed);
    if (bytes <= most) continue;
    most = bytes;
    fullest = shard.get();
  }
  return fullest;
}

bool RamTier::EvictOne() {
  // Found empty under its lock after all: others evict too, and the next look tells.
  while (Shard* shard = FullestShard()) {
    Shard::Search search;
    do {
      const std::lock_guard lock(shard->mutex);
      search = shard->Evict();
    } while (search.unfinished);
    if (search.victim == nullptr) continue;
    Destroy(std::move(search.victim));
    return true;
  }
  return false;
}

void RamTier::Destroy(std::unique_ptr<Entry> entry) {
  const uint64_t charge = entry->charge;
  entry.reset();
  Release(charge);
}

bool RamTier::Reserve(uint64_t bytes) { return MakeRoom(bytes); }

template <typename Match>
bool RamTier::Erase(const Name& name, Match match) {
  const uint64_t hash = name.hash();
  Shard& shard = ShardOf(hash);
  std::unique_ptr<Entry> out;
  {
    const std::lock_guard lock(shard.mutex);
    Entry** slot = shard.Slot(name, hash);
    if (*slot == nullptr || !match(**slot)) return false;
    out = shard.Unlink(slot);
  }
  Destroy(std::move(out));
  return true;
}

bool RamTier::EraseHead(const Key256& key, std::optional<uint64_t> object_id) {
  return Erase(Name(key), [object_id](const Entry& entry) {
    return !object_id || entry.head->head.object_id == *object_id;
  });
}

bool RamTier::EraseThisHead(const CachedHead& head) {
  return Erase(Name(head.head.key),
               [&head](const Entry& entry) { return entry.head.get() == &head; });
}

void RamTier::EraseChunks(uint64_t object_id, uint64_t count) {
  for (uint64_t i = 0; i < count; ++i) {
    Erase(Name(ChunkName{.object_id = object_id, .index = static_cast<uint32_t>(i)}),
          [](const Entry&) { return true; });
  }
}

void RamTier::Clear() {
  for (const auto& shard : shards_) {
    while (true) {
      std::unique_ptr<Entry> out;
      {
        const std::lock_guard lock(shard->mutex);
        Fifo& fifo = shard->small.oldest != nullptr ? shard->small : shard->main;
        if (fifo.oldest != nullptr) out = shard->UnlinkOldest(fifo);
      }
      if (out == nullptr) break;
      Destroy(std::move(out));
    }
  }
}

bool RamTier::TakeAccess(const Key256& key) {
  const Name name(key);
  const uint64_t hash = name.hash();
  Shard& shard = ShardOf(hash);
  const std::lock_guard lock(shard.mutex);
  Entry* entry = *shard.Slot(name, hash);
  if (entry == nullptr || entry->frequency == 0) return false;
  --entry->frequency;
  return true;
}

void RamTier::DrainTouched(std::vector<Key256>& out) {
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    out.insert(out.end(), shard->touched.begin(), shard->touched.end());
    shard->touched.clear();
  }
}

RamTier::Figures RamTier::Read() const {
  Figures figures{.bytes = bytes()};
  for (const auto& shard : shards_) {
    const std::lock_guard lock(shard->mutex);
    figures.heads += shard->heads;
    figures.chunks += shard->chunks;
    figures.head_hits += shard->head_hits;
    figures.head_misses += shard->head_misses;
    figures.chunk_hits += shard->chunk_hits;
    figures.chunk_misses += shard->chunk_misses;
    figures.evicted += shard->evicted;
  }
  return figures;
}

}  // namespace nearside::storage
