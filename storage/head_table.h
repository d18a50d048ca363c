#pragma once

// The heads environment: heads by key, an index by time of expiry, the eviction queue, purges, the
// store's facts. Everything that removes an object removes it from all of them in one transaction.

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "storage/head_codec.h"
#include "storage/lmdb_env.h"
#include "storage/store_meta.h"

namespace nearside::storage {

struct HeadTables {
  LmdbTable heads;   ///< key (32) → head record
  LmdbTable expiry;  ///< drop_at, object id → key; pinned objects have no row
  LmdbTable queue;   ///< where the body lies, segment, position → key
  LmdbTable purges;  ///< scope → marks
  LmdbTable meta;    ///< "store" → StoreMeta
};

/// Makes the tables that are missing, inside `txn`.
Result<HeadTables> MakeHeadTables(LmdbWriteTxn& txn);
/// The row of facts; nothing in a new store. Also for the chunks environment's table.
Result<std::optional<StoreMeta>> ReadMeta(const LmdbTxn& txn, LmdbTable meta_table);
Status WriteMeta(LmdbWriteTxn& txn, LmdbTable meta_table, const StoreMeta& meta);
Result<std::vector<std::pair<ScopeHash, PurgeMark>>> ReadMarks(const LmdbTxn& txn,
                                                               LmdbTable purges);
/// The largest position in the queue, 0 when it is empty.
Result<uint64_t> LastPosition(const LmdbTxn& txn, LmdbTable queue);
/// When the first object expires; nothing in an empty store.
Result<std::optional<WallTime>> FirstExpiry(const LmdbTxn& txn, LmdbTable expiry);

/// Nothing: no such key. Errors: DecodeHead's and LMDB's. The record views into the transaction.
Result<std::optional<HeadRecord>> ReadHead(const LmdbTxn& txn, LmdbTable heads, const Key256& key);

/// An object that left the environment, for those who hold its chunks and its head in RAM.
struct RemovedObject {
  Key256 key;
  uint64_t object_id = 0;  ///< 0: unknown, the record was broken
  uint64_t body_bytes = 0;
  bool in_chunks = false;
  Segment segment = Segment::kProbation;
  Removal why = Removal::kRemoved;
};

/// How much of the disk pinned objects may take.
struct PinLimits {
  uint64_t head_bytes = UINT64_MAX;
  uint64_t chunk_bytes = UINT64_MAX;
};

/// One transaction on the heads environment. Any error leaves it fit for nothing but destruction,
/// which undoes all. Writer thread.
class HeadBatch {
 public:
  /// `meta` as of the last commit.
  static Result<HeadBatch> Begin(LmdbEnv& env, const HeadTables& tables, const StoreMeta& meta);

  /// Stores a head under its key, with its body when that is small; an older object there is
  /// removed.
  Status Put(const Head& head, std::optional<Bytes> inline_body, QueuePlace place);
  /// Replaces the head of an object that is still stored; its place and inline body stay. False
  /// when it is not.
  Result<bool> Refresh(const Head& head);
  /// Removes what is stored under the key, if it is of `object_id` (nullopt: whatever it is).
  /// Whether it was.
  Result<bool> Remove(const Key256& key, std::optional<uint64_t> object_id, Removal why);
  /// Moves the key's object from probation to the end of main. False when there is none or it is
  /// there.
  Result<bool> Promote(const Key256& key, uint64_t position);
  /// Moves the key's object out of the reach of eviction and expiry, to `position` among the
  /// pinned.
  Result<PinOutcome> Pin(const Key256& key, uint64_t position);
  /// Moves a pinned object to the end of main. False when it is none.
  Result<bool> Unpin(const Key256& key, uint64_t position);
  Result<std::vector<Key256>> PinnedKeys() const;
  /// At first there is no limit.
  void LimitPins(const PinLimits& limits) { pin_limits_ = limits; }
  /// Removes what has to be dropped at or before `now`, oldest first, up to `most`. How many.
  Result<size_t> Expire(WallTime now, size_t most);
  /// Removes one object in the order of S3-FIFO: of those with a body in chunks when that map is
  /// short of room (kEvictedForBodies), else of all. `accessed` says whether a key has been asked
  /// for since it was last considered (each call uses up one access), `next_position` gives places
  /// for second chances. False when there is nothing to evict.
  Result<bool> EvictOne(Removal why, const std::function<bool(const Key256&)>& accessed,
                        const std::function<uint64_t()>& next_position);
  /// So many second chances may the calls of EvictOne give in all: each is written to pages of its
  /// own. Once they are used up, the next in line goes, popular or not. At first none.
  void AllowSecondChances(size_t most) { second_chances_ = most; }
  Status SavePurges(const PurgeTable::Changes& changes);

  StoreMeta& meta() { return meta_; }
  const StoreMeta& meta() const { return meta_; }
  const std::vector<RemovedObject>& removed() const { return removed_; }
  uint64_t UsedPages() const { return txn_.UsedPages(); }
  uint64_t Entries() const { return txn_.Entries(tables_.heads); }
  /// When the first object expires now.
  Result<std::optional<WallTime>> FirstExpiry() const;
  Status Commit();

 private:
  HeadBatch(LmdbEnv& env, LmdbWriteTxn txn, const HeadTables& tables, const StoreMeta& meta)
      : txn_(std::move(txn)), tables_(tables), meta_(meta) {
    page_bytes_ = env.page_bytes();
  }
  struct Candidate {
    BodyIn body_in = BodyIn::kChunks;
    QueuePlace place;
    Key256 key;
  };
  Result<std::optional<Candidate>> FirstOf(BodyIn body_in, Segment segment) const;
  Result<std::optional<Candidate>> NextOf(BodyIn body_in) const;
  Result<std::optional<Candidate>> NextInLine(Removal why) const;
  Result<std::optional<HeadRecord>> ReadOrErase(const Key256& key);
  Status Store(const HeadRecord& record);
  Status Move(HeadRecord record, QueuePlace place);
  Status Erase(const HeadRecord& record, Removal why);
  bool HasRoomPinned(const HeadRecord& record) const;
  PinnedTotals PinnedSizeOf(const HeadRecord& record) const;
  uint64_t& BytesOf(const HeadRecord& record) {
    QueueTotals& totals = meta_.totals[static_cast<size_t>(record.body_in())];
    return record.place.segment == Segment::kMain ? totals.main_bytes : totals.probation_bytes;
  }
  uint64_t DiskBytes(const HeadRecord& record) const;
  void Charge(const HeadRecord& record);
  void Discharge(const HeadRecord& record);

  LmdbWriteTxn txn_;
  HeadTables tables_;
  StoreMeta meta_;
  uint64_t page_bytes_ = 4096;
  std::vector<RemovedObject> removed_;
  size_t second_chances_ = 0;
  PinLimits pin_limits_;
};

/// A walk over all heads in slices, each a short read transaction of its own. Between slices heads
/// come and go.
struct HeadWalkSlice {
  /// Called with each head; a broken record is reported by its key alone.
  std::function<void(const HeadRecord&)> visit;
  std::function<void(const Key256&)> broken;
};
/// Visits up to `most` heads with keys above `after` (nullopt: from the first). The last key
/// visited, or nothing when the end was reached.
Result<std::optional<Key256>> WalkHeads(const LmdbTxn& txn, LmdbTable heads,
                                        const std::optional<Key256>& after, size_t most,
                                        const HeadWalkSlice& slice);

}  // namespace nearside::storage
