#pragma once

// The chunks environment as it is read. Whole chunks lie under object id and index
// (storage/chunk_codec.h); the tail of a body, its last chunk when that is shorter, lies with
// others in slabs (storage/slab_codec.h). What writes to it: storage/chunk_batch.h.

#include <cstdint>
#include <optional>

#include "runtime/chunk.h"
#include "storage/chunk_codec.h"
#include "storage/lmdb_env.h"

namespace nearside::storage {

struct ChunkTables {
  LmdbTable chunks;      ///< object id, index, checksum → the bytes of a whole chunk
  LmdbTable tails;       ///< object id, index, checksum → where its parts lie
  LmdbTable slabs;       ///< slab id, checksum → the slab's bytes
  LmdbTable slab_live;   ///< slab id → bytes that still live in it
  LmdbTable slab_order;  ///< eighths that live, slab id → nothing
  LmdbTable meta;        ///< "store" → StoreMeta, "slabs" → SlabTotals
};

Result<ChunkTables> MakeChunkTables(LmdbWriteTxn& txn);

/// A chunk as it was read, not to be trusted before VerifyChunk.
struct CopiedChunk {
  ChunkRef bytes;
  Hash128 checksum;
};
/// Copies one chunk. Errors kSelf: gone, bad_checksum (its length is not `length`, or a slab is
/// missing), LMDB's, errno's name (the disk cannot read it).
Result<CopiedChunk> CopyChunk(const LmdbTxn& txn, const ChunkTables& tables, ChunkName name,
                              uint32_t length);
/// The chunk if it is what was stored under this name. Needs no transaction. Error kSelf:
/// bad_checksum.
Result<ChunkRef> VerifyChunk(ChunkName name, CopiedChunk copy);

/// A chunk's row; nothing when it is not there. The bytes are valid as the transaction's views are.
struct ChunkRow {
  Hash128 checksum;
  Bytes value;
};
/// `table`: chunks or tails.
Result<std::optional<ChunkRow>> FindChunkRow(const LmdbTxn& txn, LmdbTable table, ChunkName name);

/// A slab's row; nothing when it is not there.
struct SlabRow {
  Hash128 checksum;
  Bytes bytes;
};
Result<std::optional<SlabRow>> FindSlab(const LmdbTxn& txn, LmdbTable slabs, uint64_t slab_id);

/// The largest id in use, of an object or a slab; 0 when there is none.
Result<uint64_t> LastChunkId(const LmdbTxn& txn, const ChunkTables& tables);
/// The least object id above `after` that has chunks; nothing past the last.
Result<std::optional<uint64_t>> NextObjectId(const LmdbTxn& txn, const ChunkTables& tables,
                                             uint64_t after);

/// All slabs together.
struct SlabTotals {
  uint64_t slabs = 0;
  uint64_t live_bytes = 0;  ///< parts and their entries
  /// What erased tails have left, and ends that were not filled.
  uint64_t dead_bytes() const;
};
Result<SlabTotals> ReadSlabTotals(const LmdbTxn& txn, const ChunkTables& tables);
Status WriteSlabTotals(LmdbWriteTxn& txn, const ChunkTables& tables, const SlabTotals& totals);

}  // namespace nearside::storage
