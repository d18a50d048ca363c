#include "storage/chunk_table.h"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "storage/slab_codec.h"
#include "storage/stored_integer.h"

namespace nearside::storage {

namespace {

constexpr std::string_view kTotalsKey = "slabs";

Bytes TotalsKey() {
  return {reinterpret_cast<const uint8_t*>(kTotalsKey.data()), kTotalsKey.size()};
}

tl::unexpected<Error> Gone() {
  return Fail(Fault::kSelf, "gone", "the object was evicted or removed meanwhile");
}

tl::unexpected<Error> WrongLength() {
  return Fail(Fault::kSelf, "bad_checksum", "a stored chunk has the wrong length");
}

/// Gathers a tail from its parts.
Status CopyParts(const LmdbTxn& txn, LmdbTable slabs, Bytes row, Chunk& out, uint32_t length) {
  const std::optional<std::vector<SlabPart>> parts = DecodeParts(row);
  if (!parts) return WrongLength();
  uint64_t bytes = 0;
  for (const SlabPart& part : *parts) bytes += part.bytes;
  if (bytes != length) return WrongLength();
  size_t filled = 0;
  for (const SlabPart& part : *parts) {
    const Result<std::optional<SlabRow>> slab = FindSlab(txn, slabs, part.slab_id);
    if (!slab) return tl::unexpected(slab.error());
    if (!*slab || (*slab)->bytes.size() != kSlabBytes) return WrongLength();
    const Bytes view = (*slab)->bytes.subspan(part.offset, part.bytes);
    if (Status s = txn.Copy(view, out.mutable_data() + filled); !s) return s;
    filled += part.bytes;
  }
  return {};
}

Result<std::optional<uint64_t>> NextIdIn(const LmdbTxn& txn, LmdbTable table, uint64_t after) {
  Result<LmdbCursor> cursor = txn.Open(table);
  if (!cursor) return tl::unexpected(cursor.error());
  const auto entry = cursor->AtOrAfter(EncodeChunkPrefix({.object_id = after + 1, .index = 0}));
  if (!entry) return tl::unexpected(entry.error());
  const std::optional<DecodedChunkKey> key = *entry ? DecodeChunkKey((*entry)->key) : std::nullopt;
  if (!key) return std::nullopt;
  return key->name.object_id;
}

/// Of the last key, which begins with an id; 0 when the table is empty.
Result<uint64_t> LastIdIn(const LmdbTxn& txn, LmdbTable table) {
  Result<LmdbCursor> cursor = txn.Open(table);
  if (!cursor) return tl::unexpected(cursor.error());
  const auto entry = cursor->Last();
  if (!entry) return tl::unexpected(entry.error());
  if (!*entry || (*entry)->key.size() < sizeof(uint64_t)) return 0;
  return GetBig<uint64_t>((*entry)->key.data());
}

}  // namespace

Result<ChunkTables> MakeChunkTables(LmdbWriteTxn& txn) {
  ChunkTables tables;
  const std::pair<const char*, LmdbTable*> made[] = {
      {"chunks", &tables.chunks},         {"tails", &tables.tails},
      {"slabs", &tables.slabs},           {"slab_live", &tables.slab_live},
      {"slab_order", &tables.slab_order}, {"meta", &tables.meta}};
  for (const auto& [name, table] : made) {
    const Result<LmdbTable> handle = txn.MakeTable(name);
    if (!handle) return tl::unexpected(handle.error());
    *table = *handle;
  }
  return tables;
}

Result<std::optional<ChunkRow>> FindChunkRow(const LmdbTxn& txn, LmdbTable table, ChunkName name) {
  Result<LmdbCursor> cursor = txn.Open(table);
  if (!cursor) return tl::unexpected(cursor.error());
  const auto entry = cursor->AtOrAfter(EncodeChunkPrefix(name));
  if (!entry) return tl::unexpected(entry.error());
  const std::optional<DecodedChunkKey> key = *entry ? DecodeChunkKey((*entry)->key) : std::nullopt;
  if (!key || key->name != name) return std::nullopt;
  return ChunkRow{.checksum = key->checksum, .value = (*entry)->value};
}

Result<CopiedChunk> CopyChunk(const LmdbTxn& txn, const ChunkTables& tables, ChunkName name,
                              uint32_t length) {
  if (length > kChunkBytes) return WrongLength();
  const bool whole = length == kChunkBytes;
  const auto row = FindChunkRow(txn, whole ? tables.chunks : tables.tails, name);
  if (!row) return tl::unexpected(row.error());
  if (!*row) return Gone();
  if (whole && (*row)->value.size() != length) return WrongLength();
  ChunkRef chunk = Chunk::Make(length);
  const Status copied = whole ? txn.Copy((*row)->value, chunk->mutable_data())
                              : CopyParts(txn, tables.slabs, (*row)->value, *chunk, length);
  if (!copied) return tl::unexpected(copied.error());
  chunk->Extend(length);
  return CopiedChunk{.bytes = std::move(chunk), .checksum = (*row)->checksum};
}

Result<ChunkRef> VerifyChunk(ChunkName name, CopiedChunk copy) {
  if (copy.checksum != ChunkChecksum(name, copy.bytes->bytes())) {
    return Fail(Fault::kSelf, "bad_checksum", "a stored chunk does not match its checksum");
  }
  return std::move(copy.bytes);
}

Result<std::optional<SlabRow>> FindSlab(const LmdbTxn& txn, LmdbTable slabs, uint64_t slab_id) {
  Result<LmdbCursor> cursor = txn.Open(slabs);
  if (!cursor) return tl::unexpected(cursor.error());
  const auto entry = cursor->AtOrAfter(EncodeSlabPrefix(slab_id));
  if (!entry) return tl::unexpected(entry.error());
  const std::optional<DecodedSlabKey> key = *entry ? DecodeSlabKey((*entry)->key) : std::nullopt;
  if (!key || key->slab_id != slab_id) return std::nullopt;
  return SlabRow{.checksum = key->checksum, .bytes = (*entry)->value};
}

Result<uint64_t> LastChunkId(const LmdbTxn& txn, const ChunkTables& tables) {
  uint64_t last = 0;
  for (const LmdbTable table : {tables.chunks, tables.tails, tables.slabs}) {
    Result<uint64_t> id = LastIdIn(txn, table);
    if (!id) return id;
    last = std::max(last, *id);
  }
  return last;
}

Result<std::optional<uint64_t>> NextObjectId(const LmdbTxn& txn, const ChunkTables& tables,
                                             uint64_t after) {
  auto whole = NextIdIn(txn, tables.chunks, after);
  if (!whole) return whole;
  auto tail = NextIdIn(txn, tables.tails, after);
  if (!tail) return tail;
  if (!*whole || !*tail) return *whole ? whole : tail;
  return std::min(**whole, **tail);
}

uint64_t SlabTotals::dead_bytes() const {
  const uint64_t all = slabs * kSlabBytes;
  return all - std::min(all, live_bytes);
}

Result<SlabTotals> ReadSlabTotals(const LmdbTxn& txn, const ChunkTables& tables) {
  const Result<std::optional<Bytes>> row = txn.Get(tables.meta, TotalsKey());
  if (!row) return tl::unexpected(row.error());
  SlabTotals totals{.slabs = txn.Entries(tables.slab_live)};
  if (*row && (*row)->size() == sizeof(uint64_t)) {
    totals.live_bytes = GetLittle<uint64_t>((*row)->data());
  }
  return totals;
}

Status WriteSlabTotals(LmdbWriteTxn& txn, const ChunkTables& tables, const SlabTotals& totals) {
  std::array<uint8_t, sizeof(uint64_t)> value;
  PutLittle(value.data(), totals.live_bytes);
  return txn.Put(tables.meta, TotalsKey(), value);
}

}  // namespace nearside::storage
