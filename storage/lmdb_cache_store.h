#pragma once

// The cache on disk: CacheStore over RamTier, the writer thread and the reader threads.

#include <memory>

#include "storage/read_pool.h"
#include "storage/store_disk.h"
#include "storage/store_metrics.h"
#include "storage/store_parts.h"
#include "storage/store_writer.h"

namespace nearside::storage {

class LmdbCacheStore final : public CacheStore {
 public:
  static Result<std::unique_ptr<CacheStore>> Open(const CacheOptions& options,
                                                  PayloadDecoder decoder);
  ~LmdbCacheStore() override;

  HeadRef Find(const Key256& key) override;
  bool MayBeOnDisk(const Key256& key) const override;
  void Load(const Key256& key, Executor& executor, std::function<void(HeadRef)> done) override;
  ChunkRef FindChunk(const CachedHead& head, uint32_t index) override;
  void LoadChunk(HeadRef head, uint32_t index, Executor& executor,
                 std::function<void(Result<ChunkRef>)> done) override;
  std::unique_ptr<ObjectWriter> Begin(std::optional<uint64_t> known_bytes) override;
  HeadRef Refresh(const HeadRef& old, Head head) override;
  void Remove(const Key256& key) override;
  uint64_t Purge(const std::vector<ScopeHash>& scopes, bool soft,
                 std::optional<LogPosition> position, Executor* executor,
                 std::function<void()> on_durable) override;
  void Advance(LogPosition position, Executor* executor, std::function<void()> on_durable) override;
  uint64_t PurgeAll(bool soft) override;
  Validity Check(const CachedHead& head) const override;
  uint64_t purge_sequence() const override;
  LogPosition log_position() const override;
  CacheStats Stats() const override;
  CacheTimes Times() const override;
  void ExportMetrics(metrics::Registry& registry) override;
  void Flush() override;

 private:
  LmdbCacheStore(CacheOptions options, PayloadDecoder decoder, std::unique_ptr<StoreDisk> disk);
  void RemoveObject(const Key256& key, uint64_t object_id, Removal why);
  void StartLoad(const Key256& key, HeadIndex::LoadNumber load);
  void ReadHeadJob(const Key256& key, HeadIndex::LoadNumber load, ReadSession* session);
  void StartChunkLoad(HeadRef head, uint32_t index, Executor& executor,
                      std::function<void(Result<ChunkRef>)> done);
  HeadRef ReadStored(const Key256& key, ReadSession& session);
  HeadRef MakeLoaded(const Key256& key, HeadRecord record, ChunkRef body);
  Result<ChunkRef> ReadChunkJob(const CachedHead& head, uint32_t index, ReadSession* session);

  std::unique_ptr<StoreDisk> disk_;
  StoreParts parts_;
  ReadPool readers_;
  StoreWriter writer_;
  MetricsSource metrics_;
};

}  // namespace nearside::storage
