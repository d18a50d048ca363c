#pragma once

// The edge's store for the simulation. Purges are the product's (storage/purge_table.h); what
// stands in for LMDB and its threads is a model of what they promise: what is in RAM is lost with
// the process, what a commit has written is kept, and a commit writes heads, removals, purges and
// the log's position as they were at one moment, or nothing of them. Bodies are as short as the
// store keeps inside heads.

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <vector>

#include "storage/cache_store.h"
#include "storage/purge_table.h"
#include "tests/sim/bug.h"

namespace nearside::sim {

/// What outlives the process.
struct Disk {
  struct Object {
    storage::Head head;
    ChunkRef body;
  };
  std::map<Key256, Object> objects;
  std::map<storage::ScopeHash, storage::PurgeMark> marks;
  storage::PurgeHorizon horizon;
  storage::LogPosition position;
  std::map<uint64_t, uint64_t> reached;  ///< of each epoch, the furthest position so far
  uint64_t next_id = 1;
};

class DiskStore final : public storage::CacheStore {
 public:
  /// `changed` is called when there is something to commit, which may be in the middle of a call.
  /// `disk` outlives it.
  DiskStore(Disk& disk, storage::PayloadDecoder decoder, Bug bug, std::function<void()> changed);

  // The world's side.
  /// A commit: all that was queued is on disk.
  void Write();
  /// Tells those who wait for what has been written.
  void TellWritten();
  /// Drops a head from RAM that the disk has.
  void Evict(uint64_t draw);
  /// Whether nothing that is stored could be used without asking.
  bool IsAllStale() const;

  storage::HeadRef Find(const Key256& key) override;
  bool MayBeOnDisk(const Key256& key) const override;
  bool MayHold(const Key256& key) const override;
  void Load(const Key256& key, Executor& executor,
            std::function<void(storage::HeadRef)> done) override;
  ChunkRef FindChunk(const storage::CachedHead& head, uint32_t index) override;
  void LoadChunk(storage::HeadRef head, uint32_t index, Executor& executor,
                 std::function<void(Result<ChunkRef>)> done) override;
  std::unique_ptr<storage::ObjectWriter> Begin(std::optional<uint64_t> known_bytes) override;
  storage::HeadRef Refresh(const storage::HeadRef& old, storage::Head head) override;
  void Remove(const Key256& key) override;
  void Pin(const Key256& key, Executor& executor,
           std::function<void(storage::PinOutcome)> done) override;
  void Unpin(const Key256& key) override;
  void ListPinned(Executor& executor, std::function<void(std::vector<Key256>)> done) override;
  uint64_t Purge(const std::vector<storage::ScopeHash>& scopes, bool soft,
                 std::optional<storage::LogPosition> position, Executor* executor,
                 std::function<void()> on_durable) override;
  void Advance(storage::LogPosition position, Executor* executor,
               std::function<void()> on_durable) override;
  uint64_t PurgeAll(storage::Validity left) override;
  storage::Validity Check(const storage::CachedHead& head) const override;
  storage::Validity CheckFetch(uint64_t purge_sequence,
                               const std::vector<storage::ScopeHash>& scopes) const override;
  uint64_t purge_sequence() const override { return purges_.sequence(); }
  storage::LogPosition log_position() const override { return disk_.position; }
  storage::CacheStats Stats() const override { return {}; }
  storage::CacheTimes Times() const override { return {}; }
  void ExportMetrics(metrics::Registry&) override {}
  void Flush() override { Write(); }

 private:
  class Writer;
  struct Operation {
    Key256 key;
    storage::HeadRef head;  ///< null: it is removed
  };
  struct Request {
    std::optional<storage::LogPosition> position;
    Executor* executor = nullptr;
    std::function<void()> done;
  };
  storage::HeadRef Make(storage::Head head, ChunkRef body) const;
  void Put(storage::HeadRef head);
  void Apply(const Operation& operation);
  bool IsPending(const Key256& key) const;
  void Ask(Request request);

  Disk& disk_;
  const storage::PayloadDecoder decoder_;
  const Bug bug_;
  const std::function<void()> changed_;
  storage::PurgeTable purges_;
  std::map<Key256, storage::HeadRef> ram_;
  std::deque<Operation> operations_;
  std::vector<Request> requests_, written_;
};

}  // namespace nearside::sim
