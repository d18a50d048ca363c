#include "storage/chunk_table.h"

#include <utility>

#include "runtime/log.h"

namespace nearside::storage {

namespace {

/// Whether the page that counts the chunk's pages, the one it begins on, can be read.
bool CanBeErased(const LmdbWriteTxn& txn, ChunkName name, Bytes value) {
  if (value.empty()) return true;
  uint8_t first;
  const Status read = txn.Copy(value.first(1), &first);
  if (!read) {
    Log(Level::kError, "store_chunk_unreadable",
        {{"object", name.object_id}, {"chunk", name.index}, {"error", read.error().ToString()}});
  }
  return read.has_value();
}

}  // namespace

Result<ChunkTables> MakeChunkTables(LmdbWriteTxn& txn) {
  const Result<LmdbTable> chunks = txn.MakeTable("chunks");
  if (!chunks) return tl::unexpected(chunks.error());
  const Result<LmdbTable> meta = txn.MakeTable("meta");
  if (!meta) return tl::unexpected(meta.error());
  return ChunkTables{.chunks = *chunks, .meta = *meta};
}

Status PutChunk(LmdbWriteTxn& txn, LmdbTable chunks, ChunkName name, Bytes bytes) {
  return txn.PutLast(chunks, EncodeChunkKey(name, ChunkChecksum(name, bytes)), bytes);
}

Result<size_t> EraseChunks(LmdbWriteTxn& txn, LmdbTable chunks, uint64_t object_id, size_t most) {
  Result<LmdbCursor> cursor = txn.Open(chunks);
  if (!cursor) return tl::unexpected(cursor.error());
  auto entry = cursor->AtOrAfter(EncodeChunkPrefix({.object_id = object_id, .index = 0}));
  for (size_t erased = 0; erased < most; entry = cursor->Next()) {
    if (!entry) return tl::unexpected(entry.error());
    if (!*entry) return erased;
    const std::optional<DecodedChunkKey> key = DecodeChunkKey((*entry)->key);
    if (!key || key->name.object_id != object_id) return erased;
    if (!CanBeErased(txn, key->name, (*entry)->value)) continue;
    if (Status s = cursor->Erase(); !s) return tl::unexpected(s.error());
    ++erased;
  }
  return most;
}

Result<CopiedChunk> CopyChunk(const LmdbTxn& txn, LmdbTable chunks, ChunkName name,
                              uint32_t length) {
  Result<LmdbCursor> cursor = txn.Open(chunks);
  if (!cursor) return tl::unexpected(cursor.error());
  const auto entry = cursor->AtOrAfter(EncodeChunkPrefix(name));
  if (!entry) return tl::unexpected(entry.error());
  const std::optional<DecodedChunkKey> key = *entry ? DecodeChunkKey((*entry)->key) : std::nullopt;
  if (!key || key->name != name) {
    return Fail(Fault::kSelf, "gone", "the object was evicted or removed meanwhile");
  }
  const Bytes value = (*entry)->value;
  if (value.size() != length || value.size() > kChunkBytes) {
    return Fail(Fault::kSelf, "bad_checksum", "a stored chunk has the wrong length");
  }
  ChunkRef chunk = Chunk::Make(value.size());
  if (Status s = txn.Copy(value, chunk->mutable_data()); !s) return tl::unexpected(s.error());
  chunk->Extend(value.size());
  return CopiedChunk{.bytes = std::move(chunk), .checksum = key->checksum};
}

Result<ChunkRef> VerifyChunk(ChunkName name, CopiedChunk copy) {
  if (copy.checksum != ChunkChecksum(name, copy.bytes->bytes())) {
    return Fail(Fault::kSelf, "bad_checksum", "a stored chunk does not match its checksum");
  }
  return std::move(copy.bytes);
}

Result<uint64_t> LastObjectId(const LmdbTxn& txn, LmdbTable chunks) {
  Result<LmdbCursor> cursor = txn.Open(chunks);
  if (!cursor) return tl::unexpected(cursor.error());
  const auto entry = cursor->Last();
  if (!entry) return tl::unexpected(entry.error());
  const std::optional<DecodedChunkKey> key = *entry ? DecodeChunkKey((*entry)->key) : std::nullopt;
  return key ? key->name.object_id : 0;
}

Result<std::optional<uint64_t>> NextObjectId(const LmdbTxn& txn, LmdbTable chunks, uint64_t after) {
  Result<LmdbCursor> cursor = txn.Open(chunks);
  if (!cursor) return tl::unexpected(cursor.error());
  const auto entry = cursor->AtOrAfter(EncodeChunkPrefix({.object_id = after + 1, .index = 0}));
  if (!entry) return tl::unexpected(entry.error());
  const std::optional<DecodedChunkKey> key = *entry ? DecodeChunkKey((*entry)->key) : std::nullopt;
  if (!key) return std::nullopt;
  return key->name.object_id;
}

}  // namespace nearside::storage
