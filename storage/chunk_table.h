#pragma once

// The chunks environment: bodies in chunks under object id and index (storage/chunk_codec.h).

#include <cstdint>
#include <optional>

#include "runtime/chunk.h"
#include "storage/chunk_codec.h"
#include "storage/lmdb_env.h"

namespace nearside::storage {

struct ChunkTables {
  LmdbTable chunks;
  LmdbTable meta;
};

Result<ChunkTables> MakeChunkTables(LmdbWriteTxn& txn);

/// Stores one chunk; its name has never been used before.
Status PutChunk(LmdbWriteTxn& txn, LmdbTable chunks, ChunkName name, Bytes bytes);

/// Erases up to `most` chunks of one object, from the first that is there on. How many: fewer than
/// `most` means that none is left. A chunk whose pages the disk cannot read is passed over, and
/// logged: LMDB would have to read the first of them to give them back.
Result<size_t> EraseChunks(LmdbWriteTxn& txn, LmdbTable chunks, uint64_t object_id, size_t most);

/// A chunk as it was read, not to be trusted before VerifyChunk.
struct CopiedChunk {
  ChunkRef bytes;
  Hash128 checksum;
};
/// Copies one chunk. Errors kSelf: gone, bad_checksum (its length is not `length`), LMDB's, errno's
/// name (the disk cannot read it).
Result<CopiedChunk> CopyChunk(const LmdbTxn& txn, LmdbTable chunks, ChunkName name,
                              uint32_t length);
/// The chunk if it is what was stored under this name. Needs no transaction. Error kSelf:
/// bad_checksum.
Result<ChunkRef> VerifyChunk(ChunkName name, CopiedChunk copy);

/// The object id of the last chunk; 0 when there is none.
Result<uint64_t> LastObjectId(const LmdbTxn& txn, LmdbTable chunks);
/// The least object id above `after` that has chunks; nothing past the last.
Result<std::optional<uint64_t>> NextObjectId(const LmdbTxn& txn, LmdbTable chunks, uint64_t after);

}  // namespace nearside::storage
