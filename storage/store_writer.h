#pragma once

// The one thread that writes to LMDB. It gathers what waits into batches and commits each to the
// two environments in an order that leaves nothing dangling, whenever it is killed:
//
//   1. heads: those whose chunks the batch before has committed go in; removed, expired and evicted
//   ones go
//      out; purges and the log position with them
//   2. chunks: those of the heads that went out are erased; new ones are put
//
// so that a head on disk always has its chunks on disk. Between batches it walks the store
// (StoreWalk).

#include <optional>
#include <thread>
#include <variant>
#include <vector>

#include "storage/chunk_batch.h"
#include "storage/chunk_reaper.h"
#include "storage/ghost_table.h"
#include "storage/head_table.h"
#include "storage/read_pool.h"
#include "storage/snapshot_watch.h"
#include "storage/store_disk.h"
#include "storage/store_parts.h"
#include "storage/store_walk.h"

namespace nearside::storage {

/// Limits of a batch for this disk.
WriteQueue::Limits BatchLimits(const StoreLayout& layout);

class StoreWriter {
 public:
  /// `disk` is open. Nothing runs before Start.
  StoreWriter(StoreParts& parts, StoreDisk& disk, ReadPool& readers);
  ~StoreWriter();
  void Start();
  /// Commits what is queued, as far as the disk takes it, and ends the thread.
  void Stop();

 private:
  /// What one transaction on the heads is to do, and what came of it.
  struct HeadsPlan {
    bool only_make_room = false;  ///< a few evictions and nothing else
    bool sparing = false;         ///< a reader holds most of the room: what corrects, nothing more
    size_t most_spared = 0;       ///< then so many removals and expiries
    size_t evict_heads = 0;       ///< so many evictions when only room is made
    uint64_t evict_chunk_bytes = 0;  ///< how much of bodies is to be evicted
    uint64_t freed_bytes = 0;        ///< of bodies, by eviction
    size_t operations = 0;  ///< so many of deferred_, from the first, are in the transaction
    std::vector<StoreWalk::Removal> removals;
    /// Of pins_, from the first: what came of each; nothing for one whose head is on its way.
    std::vector<std::optional<PinOutcome>> pins;
    std::optional<std::vector<Key256>> pinned_keys;  ///< when somebody asks for them
    std::vector<const HeadWrite*> stored;            ///< of deferred_: in the transaction
    std::vector<const HeadWrite*>
        refused;  ///< of deferred_: purged meanwhile, or their object is gone
    std::optional<WallTime> first_expiry;
    uint64_t heads = 0, used_pages = 0;
  };

  void Run();
  MonoTime NextTurn() const;
  void RunBatch(WriteBatch batch);
  void AddRequest(DurableRequest request);
  void FinishFlushes();
  void CollectTouches();
  /// The state in which the disk is left alone until retry_at_.
  void Decline(WriteBatch& batch);

  // Heads.
  bool HeadsHaveWork(uint64_t incoming_bytes) const;
  Status CommitHeads(uint64_t incoming_bytes);
  Status TryHeads(HeadsPlan& plan);
  Status MakeRoomForHeads(size_t victims);
  bool HeadsAreHeld(bool full);
  Status CommitSparingly();
  void WatchRoom();
  Status FillHeads(HeadBatch& batch, HeadsPlan& plan);
  Status ApplyAll(HeadBatch& batch, HeadsPlan& plan);
  Status ApplyWrite(HeadBatch& batch, const HeadWrite& write, HeadsPlan& plan);
  Status Promote(HeadBatch& batch);
  Status ApplyPins(HeadBatch& batch, HeadsPlan& plan);
  void FinishPins(const HeadsPlan& plan);
  Status Evict(HeadBatch& batch, HeadsPlan& plan);
  uint64_t EvictionGoal(uint64_t incoming_bytes) const;
  void FinishHeads(const HeadBatch& batch, const HeadsPlan& plan);
  void FinishRemoved(const RemovedObject& removed);
  void FinishRequests();
  void FailWrites();
  void DropHead(const HeadWrite& write, bool removal_waits, std::optional<Ticket> kept);
  void FinishDropped(HeadIndex::Slot& slot, Ticket ticket, std::optional<Ticket> kept);
  void BoundWaitingRemovals();
  void Doom(uint64_t object_id, uint64_t body_bytes);

  // Chunks.
  Status CommitChunks(const std::vector<ChunkWrite>& chunks);
  Status PutWithRoom(const std::vector<ChunkWrite>& chunks);
  Status TryChunks(const std::vector<ChunkWrite>& chunks, size_t most_erased);
  Result<uint64_t> EvictForRoom(uint64_t evict_bytes);
  uint64_t DiskBytes(const std::vector<ChunkWrite>& chunks) const;
  bool HasRoomFor(uint64_t incoming_bytes);
  Status TidySlabs();
  Result<bool> EraseForRoom();
  Result<bool> EmptySlabsForRoom();
  Result<bool> EmptySlabs(uint64_t kept_dead, uint64_t spared_pages);
  uint64_t KeptDeadBytes() const;
  void Erase(Fill& fill);
  bool ReaderHoldsRoom();
  void FailChunks(const std::vector<ChunkWrite>& chunks);

  // Failure.
  void HandleFailure(const Error& error);
  void EnterPassThrough(const Error& error);
  void LeavePassThrough();
  bool StartOver(const Error& error);
  Status Reopen();
  bool OpenAgain();
  void ReadDisk();
  void UpdateGauges();
  void WatchReaders();
  milliseconds OldestSnapshotAge() const;

  /// A read that takes longer holds pages back: then new chunks are refused rather than what is
  /// stored evicted.
  static constexpr milliseconds kStalledRead{250};

  StoreParts& parts_;
  StoreDisk& disk_;
  ReadPool& readers_;
  std::thread thread_;

  StoreMeta meta_;  ///< as last committed
  /// Head operations, in order, whose chunks are on disk; after a failure the removals among them.
  std::vector<HeadOperation> deferred_;
  std::vector<PinRequest> pins_;  ///< in order
  std::vector<DurableRequest> requests_;
  uint64_t flushes_ = 0, finished_flushes_ = 0;
  ChunkReaper reaper_;
  StoreWalk walk_;
  GhostTable ghost_;
  std::vector<Key256> touched_;
  MonoTime next_touch_{};
  std::optional<WallTime> first_expiry_;
  uint64_t page_bytes_ = 4096;  ///< LMDB takes the machine's
  uint64_t heads_used_pages_ = 0;
  uint64_t chunks_used_pages_ = 0;
  SlabTotals slab_totals_;
  OpenSlab open_slab_;
  uint64_t stuck_dead_bytes_ = 0;  ///< of slabs, as of when emptying some of them gained nothing
  MonoTime reap_at_{};             ///< not before: there was no room even for erasing
  MonoTime sparing_at_{};  ///< not before: the next commit to heads whose room a reader holds
  int last_turns_ = 0;     ///< since it was told to stop
  bool reopen_ = false;    ///< LMDB has given the environments up, their content is sound

  MonoTime retry_at_{};
  MonoTime left_pass_through_{};
  milliseconds backoff_{0};
  int full_in_a_row_ = 0;
  bool probing_ =
      false;  ///< the first batch after a pause: writes to both environments to see whether it can
  SnapshotWatch heads_watch_, chunks_watch_;
  MonoTime next_reader_alarm_{};
};

}  // namespace nearside::storage
