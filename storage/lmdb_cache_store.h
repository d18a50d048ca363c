#pragma once

// The cache on disk: CacheStore over RamTier, the writer thread and the reader threads.

#include <atomic>
#include <functional>
#include <memory>

#include "storage/read_pool.h"
#include "storage/store_disk.h"
#include "storage/store_metrics.h"
#include "storage/store_parts.h"
#include "storage/store_writer.h"

namespace nearside::storage {

/// What the reader threads use. It outlives the store for as long as one of them hangs in the disk;
/// what comes out of that read then touches nothing else: neither executors nor the decoder.
class ColdReads {
 public:
  ColdReads(CacheOptions options, PayloadDecoder decoder, std::unique_ptr<StoreDisk> opened);

  const std::unique_ptr<StoreDisk> disk;
  StoreParts parts;

  /// One read of a chunk. Whoever answers first, the read or its refusal, takes `done` and `head`.
  struct ChunkLoad {
    const Key256 key;
    const ChunkName name;
    const uint64_t body_bytes = 0;
    const MonoTime since{};
    Executor& executor;
    HeadRef head;
    std::function<void(Result<ChunkRef>)> done;
    std::atomic<bool> answered{false};
  };

  /// Reads until what was read is still what is stored, then answers everyone who waits for the
  /// key; without a session the answer is null. False when the load had been answered before.
  bool ReadHead(const Key256& key, HeadIndex::LoadNumber load, ReadSession* session);
  /// The same for a chunk.
  bool ReadChunk(ChunkLoad& load, ReadSession* session);
  /// Forgets this object and no other that may have taken its key meanwhile.
  void RemoveObject(const Key256& key, uint64_t object_id, Removal why);

 private:
  HeadRef ReadStored(const Key256& key, ReadSession& session);
  HeadRef MakeLoaded(const Key256& key, HeadRecord record, ChunkRef body);
  Result<ChunkRef> FindOrRead(const ChunkLoad& load, ReadSession* session);
  Result<ChunkRef> ReadVerified(ReadSession& session, ChunkName name, uint32_t length);
};

class LmdbCacheStore final : public CacheStore {
 public:
  static Result<std::unique_ptr<CacheStore>> Open(const CacheOptions& options,
                                                  PayloadDecoder decoder);
  ~LmdbCacheStore() override;

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

 private:
  LmdbCacheStore(CacheOptions options, PayloadDecoder decoder, std::unique_ptr<StoreDisk> disk);
  void StartLoad(const Key256& key, HeadIndex::LoadNumber load);
  void StartChunkLoad(HeadRef head, uint32_t index, Executor& executor,
                      std::function<void(Result<ChunkRef>)> done);

  const std::shared_ptr<ColdReads> reads_;
  StoreParts& parts_;  ///< of reads_
  ReadPool readers_;
  StoreWriter writer_;
  MetricsSource metrics_;
};

}  // namespace nearside::storage
