#pragma once

// The walk over all heads that runs behind the service, in slices between batches. At start it
// fills the presence table and finds orphans (chunks without a head); later, after purges, it
// removes what is hard-purged and finds out which marks of the purge table nothing stored is under
// any more.

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "runtime/clock.h"
#include "storage/chunk_reaper.h"
#include "storage/head_table.h"
#include "storage/purge_reclaim.h"
#include "storage/store_disk.h"
#include "storage/store_parts.h"

namespace nearside::storage {

/// Writer thread.
class StoreWalk {
 public:
  struct Removal {
    Key256 key;
    uint64_t object_id = 0;  ///< 0: only if the record is broken
  };

  StoreWalk(StoreParts& parts, StoreDisk& disk, ChunkReaper& reaper);

  /// The walk at start: heads and chunks below `first_new_id` are those of earlier runs.
  void BeginFirst(uint64_t first_new_id);
  /// A walk for the purges so far, unless one is under way, none is new and none old enough to be
  /// forgotten, or the last is too short ago.
  void MaybeBeginReclaim(MonoTime now);
  /// An empty store has been walked.
  void SetDone();

  bool active() const { return phase_ != Phase::kDone; }
  /// The walk at start, which is not paced: misses cost a read until it has ended.
  bool first() const { return active() && first_; }
  /// One slice. Errors: LMDB's; the walk can go on after it.
  Status Step();

  /// Whether the key's head, if there is one on disk, has been counted in the presence table.
  bool Counted(const Key256& key) const;
  /// A head is written while a walk is under way.
  void NotePut(const Head& head);
  /// A head operation is done, one way or the other. They are done in the order of their tickets.
  void NoteFinished(Ticket ticket) { finished_ = std::max(finished_, ticket); }
  /// Some of what the slices found to be removed. Return what could not be.
  std::vector<Removal> TakeRemovals(size_t most);
  void ReturnRemovals(const std::vector<Removal>& removals) {
    removals_.insert(removals_.end(), removals.begin(), removals.end());
  }
  bool has_removals() const { return !removals_.empty(); }

 private:
  enum class Phase : uint8_t { kHeads, kOrphans, kRefuse, kDrop, kDone };
  Status StepHeads();
  Status StepOrphans();
  void Visit(const HeadRecord& record);
  void EndHeads();
  void RefuseOlderFills();
  void DropMarks();

  StoreParts& parts_;
  StoreDisk& disk_;
  ChunkReaper& reaper_;
  Phase phase_ = Phase::kDone;
  bool first_ = false;
  std::optional<Key256> after_;
  uint64_t first_new_id_ = 0;
  std::vector<uint64_t> ids_;  ///< of objects with chunks; sorted at the end of the heads
  uint64_t after_id_ = 0;
  PurgeReclaim reclaim_;
  Ticket finished_ = 0;
  Ticket accepted_ = 0;  ///< the newest operation when older fills began to be refused
  std::vector<Removal> removals_;
};

}  // namespace nearside::storage
