#pragma once

// One transaction on the chunks environment: what is put, what is erased, and slabs of which little
// lives emptied into others. Who decides how much of each: storage/store_writer.h.

#include <cstdint>
#include <functional>
#include <optional>
#include <utility>
#include <vector>

#include "storage/chunk_table.h"
#include "storage/slab_codec.h"
#include "storage/store_meta.h"

namespace nearside::storage {

/// The slab that the last committed batch left room in; the next batch goes on with it.
struct OpenSlab {
  uint64_t id = 0;  ///< 0: none
  SlabBuilder filled;
};

/// Any error leaves it fit for nothing but destruction, which undoes all. Writer thread.
class ChunkBatch {
 public:
  /// `next_id` gives the ids of new slabs, of the same numbers as those of objects.
  static Result<ChunkBatch> Begin(LmdbEnv& env, const ChunkTables& tables, OpenSlab open,
                                  std::function<uint64_t()> next_id);

  /// Stores one chunk of 1 to kChunkBytes bytes; its name has never been used before.
  Status Put(ChunkName name, Bytes bytes);
  /// Erases up to `most` chunks of one object, from the first that is there on. How many: fewer
  /// than `most` means that none is left. A chunk whose pages the disk cannot read is passed over,
  /// and logged: LMDB would have to read the first of them to give them back.
  Result<size_t> Erase(uint64_t object_id, size_t most);
  /// Empties up to `most` slabs into others, those first of which least lives, while more than
  /// `kept_dead` bytes of all slabs are dead. How many. Slab `spared` stays, and one that cannot be
  /// read, or is damaged: logged. Each needs up to kPagesToEmpty free pages.
  static constexpr size_t kPagesToEmpty = 32;
  Result<size_t> Compact(size_t most, uint64_t kept_dead, uint64_t spared);

  /// Whether Compact has done anything.
  bool changed() const { return changed_; }

  Status Commit(const StoreMeta& meta);
  /// After Commit.
  uint64_t used_pages() const { return used_pages_; }
  const SlabTotals& slab_totals() const { return totals_; }
  OpenSlab TakeOpen() { return std::move(open_); }

 private:
  ChunkBatch(LmdbWriteTxn txn, const ChunkTables& tables, OpenSlab open,
             std::function<uint64_t()> next_id, const SlabTotals& totals)
      : txn_(std::move(txn)),
        tables_(tables),
        open_(std::move(open)),
        next_id_(std::move(next_id)),
        totals_(totals) {}
  Status PutTail(ChunkName name, Bytes bytes);
  /// Erases the row that the cursor is on, if that can be. Whether it did.
  using RowEraser = std::function<Result<bool>(ChunkName, LmdbCursor&, Bytes)>;
  Result<size_t> EraseRows(LmdbTable table, uint64_t object_id, size_t most,
                           const RowEraser& erase);
  Result<bool> EraseTail(LmdbCursor& row, Bytes value);

  Status TakeUpSlab();
  Status BeginSlab();
  Status CloseSlab();
  Result<std::vector<SlabPart>> AddParts(ChunkName name, Bytes bytes, size_t most_parts);
  SlabPart AddPart(ChunkName name, Bytes bytes);
  Result<uint64_t> LiveIn(uint64_t slab_id) const;
  Status SetLive(uint64_t slab_id, uint64_t before, uint64_t live);
  Status Release(const SlabPart& part);
  Status EraseSlab(uint64_t slab_id, uint64_t live);
  Result<bool> EraseSlabBytes(uint64_t slab_id);
  Status ForgetOrder(uint64_t slab_id, uint8_t eighths);
  Result<std::optional<DecodedSlabOrder>> NextInOrder(Bytes from) const;
  Result<bool> EmptySlab(uint64_t slab_id);
  Result<bool> CopySlab(uint64_t slab_id, std::vector<uint8_t>& bytes) const;
  Status MovePart(uint64_t slab_id, const SlabEntry& entry, Bytes bytes);

  LmdbWriteTxn txn_;
  ChunkTables tables_;
  OpenSlab open_;
  bool filling_ = false;      ///< open_ is this batch's: its row is written when it is closed
  uint64_t open_live_ = 0;    ///< while filling
  uint64_t open_stored_ = 0;  ///< what its row of slab_live says, 0: it has none
  std::function<uint64_t()> next_id_;
  SlabTotals totals_;
  bool changed_ = false;
  uint64_t used_pages_ = 0;
};

}  // namespace nearside::storage
