#pragma once

// The cache without a disk: whole objects in RAM, gone with the process.

#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <thread>
#include <tuple>
#include <vector>

#include "runtime/clock.h"
#include "storage/cache_store.h"
#include "storage/purge_reclaim.h"
#include "storage/purge_table.h"
#include "storage/ram_tier.h"
#include "storage/store_counters.h"
#include "storage/store_metrics.h"

namespace nearside::storage {

/// A head with its body: whoever has the head can serve all of it, whatever is evicted meanwhile.
/// The chunks of a freshened head are those of the one before.
struct MemoryObject : CachedHead {
  std::vector<ChunkRef> chunks;
};

class MemoryCacheStore final : public CacheStore {
 public:
  MemoryCacheStore(const CacheOptions& options, PayloadDecoder decoder);
  ~MemoryCacheStore() override;

  HeadRef Find(const Key256& key) override;
  bool MayBeOnDisk(const Key256& key) const override;
  bool MayHold(const Key256& key) const override;
  void Load(const Key256& key, Executor& executor, std::function<void(HeadRef)> done) override;
  ChunkRef FindChunk(const CachedHead& head, uint32_t index) override;
  void LoadChunk(HeadRef head, uint32_t index, Executor& executor,
                 std::function<void(Result<ChunkRef>)> done) override;
  std::unique_ptr<ObjectWriter> Begin(std::optional<uint64_t> known_bytes) override;
  HeadRef Refresh(const HeadRef& old, Head head) override;
  void Remove(const Key256& key) override;
  void Pin(const Key256& key, Executor& executor, std::function<void(PinOutcome)> done) override;
  void Unpin(const Key256& key) override;
  void ListPinned(Executor& executor, std::function<void(std::vector<Key256>)> done) override;
  uint64_t Purge(const std::vector<ScopeHash>& scopes, bool soft,
                 std::optional<LogPosition> position, Executor* executor,
                 std::function<void()> on_durable) override;
  void Advance(LogPosition position, Executor* executor, std::function<void()> on_durable) override;
  uint64_t PurgeAll(Validity left) override;
  Validity Check(const CachedHead& head) const override;
  Validity CheckFetch(uint64_t purge_sequence, const std::vector<ScopeHash>& scopes) const override;
  uint64_t purge_sequence() const override;
  LogPosition log_position() const override;
  CacheStats Stats() const override;
  CacheTimes Times() const override;
  void ExportMetrics(metrics::Registry& registry) override;
  void Flush() override;

  /// Removes what purges have made gone and forgets marks that concern nothing any more, if it is
  /// time for that. The sweeper does so by itself; any thread.
  void Reclaim(MonoTime now);

 private:
  class Writer;
  /// When an object is to be dropped, and which.
  using Expiry = std::tuple<WallTime, uint64_t, Key256>;
  void NoteExpiry(const Head& head);
  void RunSweeper();
  void Sweep();
  void JudgeAll();

  const CacheOptions options_;
  const PayloadDecoder decoder_;
  RamTier ram_;
  PurgeTable purges_;
  StoreCounters counters_;
  std::atomic<uint64_t> next_id_{1};
  MetricsSource metrics_;

  mutable std::mutex mutex_;
  std::condition_variable stopping_;
  bool stop_ = false;
  LogPosition position_;
  /// When which object is to be dropped; rows of objects gone before are dropped with them in time.
  std::set<Expiry> expiry_;
  /// Shared from the look at the purges until an object is in the tables.
  std::shared_mutex accepting_;
  std::mutex reclaiming_;
  PurgeReclaim reclaim_;  ///< guarded by reclaiming_
  std::thread sweeper_;
};

}  // namespace nearside::storage
