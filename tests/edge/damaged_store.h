#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "storage/cache_store.h"

namespace nearside::edge {

/// A store whose bodies cannot be read while `damaged`, and whose disk is `behind`.
class DamagedStore final : public storage::CacheStore {
 public:
  explicit DamagedStore(std::unique_ptr<CacheStore> whole) : whole_(std::move(whole)) {}
  std::atomic<bool> damaged{false};
  std::atomic<bool> behind{false};
  /// What waits for room, on the worker's loop.
  std::vector<std::function<void()>> waiting;

  ChunkRef FindChunk(const storage::CachedHead& head, uint32_t index) override {
    return damaged ? ChunkRef() : whole_->FindChunk(head, index);
  }
  void LoadChunk(storage::HeadRef head, uint32_t index, Executor& executor,
                 std::function<void(Result<ChunkRef>)> done) override {
    if (!damaged) return whole_->LoadChunk(std::move(head), index, executor, std::move(done));
    executor.Post([done = std::move(done)] {
      done(Fail(Fault::kSelf, "bad_checksum", "the chunk is damaged"));
    });
  }

  storage::HeadRef Find(const Key256& key) override { return whole_->Find(key); }
  bool MayBeOnDisk(const Key256& key) const override { return whole_->MayBeOnDisk(key); }
  bool MayHold(const Key256& key) const override { return whole_->MayHold(key); }
  void Load(const Key256& key, Executor& executor,
            std::function<void(storage::HeadRef)> done) override {
    whole_->Load(key, executor, std::move(done));
  }
  std::unique_ptr<storage::ObjectWriter> Begin(std::optional<uint64_t> known_bytes) override {
    return std::make_unique<Writer>(*this, whole_->Begin(known_bytes));
  }
  storage::HeadRef Refresh(const storage::HeadRef& old, storage::Head head) override {
    return whole_->Refresh(old, std::move(head));
  }
  void Remove(const Key256& key) override { whole_->Remove(key); }
  void Pin(const Key256& key, Executor& executor,
           std::function<void(storage::PinOutcome)> done) override {
    whole_->Pin(key, executor, std::move(done));
  }
  void Unpin(const Key256& key) override { whole_->Unpin(key); }
  void ListPinned(Executor& executor, std::function<void(std::vector<Key256>)> done) override {
    whole_->ListPinned(executor, std::move(done));
  }
  uint64_t Purge(const std::vector<storage::ScopeHash>& scopes, bool soft,
                 std::optional<storage::LogPosition> position, Executor* executor,
                 std::function<void()> on_durable) override {
    return whole_->Purge(scopes, soft, position, executor, std::move(on_durable));
  }
  void Advance(storage::LogPosition position, Executor* executor,
               std::function<void()> on_durable) override {
    whole_->Advance(position, executor, std::move(on_durable));
  }
  uint64_t PurgeAll(storage::Validity left) override { return whole_->PurgeAll(left); }
  storage::Validity Check(const storage::CachedHead& head) const override {
    return whole_->Check(head);
  }
  storage::Validity CheckFetch(uint64_t purge_sequence,
                               const std::vector<storage::ScopeHash>& scopes) const override {
    return whole_->CheckFetch(purge_sequence, scopes);
  }
  uint64_t purge_sequence() const override { return whole_->purge_sequence(); }
  storage::LogPosition log_position() const override { return whole_->log_position(); }
  storage::CacheStats Stats() const override { return whole_->Stats(); }
  storage::CacheTimes Times() const override { return whole_->Times(); }
  void ExportMetrics(metrics::Registry& registry) override { whole_->ExportMetrics(registry); }
  void Flush() override { whole_->Flush(); }

 private:
  class Writer final : public storage::ObjectWriter {
   public:
    Writer(DamagedStore& store, std::unique_ptr<storage::ObjectWriter> whole)
        : store_(store), whole_(std::move(whole)) {}
    void Append(ChunkRef chunk) override { whole_->Append(std::move(chunk)); }
    bool WaitsForRoom(Executor&, std::function<void()> room) override {
      if (store_.behind) store_.waiting.push_back(std::move(room));
      return store_.behind;
    }
    bool given_up() const override { return whole_->given_up(); }
    storage::HeadRef Commit(storage::Head head) override { return whole_->Commit(std::move(head)); }

   private:
    DamagedStore& store_;
    const std::unique_ptr<storage::ObjectWriter> whole_;
  };

  const std::unique_ptr<CacheStore> whole_;
};

}  // namespace nearside::edge
