#include "storage/chunk_batch.h"

#include <algorithm>
#include <array>
#include <optional>

#include "runtime/log.h"
#include "storage/head_table.h"
#include "storage/stored_integer.h"

namespace nearside::storage {

namespace {

/// Of a slab of which more lives nothing is gained.
constexpr uint8_t kMostEighthsToEmpty = 6;
/// A slab that is left with less room is not opened again: that writes all of it anew.
constexpr size_t kRoomToGoOn = kSlabBytes / 4;

/// Whether the page that counts the value's pages, the one it begins on, can be read.
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

Result<bool> EraseRow(LmdbCursor& row) {
  const Status erased = row.Erase();
  return erased ? Result<bool>(true) : tl::unexpected(erased.error());
}

}  // namespace

Result<ChunkBatch> ChunkBatch::Begin(LmdbEnv& env, const ChunkTables& tables, OpenSlab open,
                                     std::function<uint64_t()> next_id) {
  Result<LmdbWriteTxn> txn = env.BeginWrite();
  if (!txn) return tl::unexpected(txn.error());
  const Result<SlabTotals> totals = ReadSlabTotals(*txn, tables);
  if (!totals) return tl::unexpected(totals.error());
  return ChunkBatch(std::move(*txn), tables, std::move(open), std::move(next_id), *totals);
}

// ---- Chunks

Status ChunkBatch::Put(ChunkName name, Bytes bytes) {
  if (bytes.size() < kChunkBytes) return PutTail(name, bytes);
  return txn_.PutLast(tables_.chunks, EncodeChunkKey(name, ChunkChecksum(name, bytes)), bytes);
}

Status ChunkBatch::PutTail(ChunkName name, Bytes bytes) {
  const Result<std::vector<SlabPart>> parts = AddParts(name, bytes, kMostParts);
  if (!parts) return tl::unexpected(parts.error());
  const std::string row = EncodeParts(*parts);
  return txn_.PutLast(tables_.tails, EncodeChunkKey(name, ChunkChecksum(name, bytes)),
                      {reinterpret_cast<const uint8_t*>(row.data()), row.size()});
}

Result<size_t> ChunkBatch::Erase(uint64_t object_id, size_t most) {
  Result<size_t> whole = EraseRows(
      tables_.chunks, object_id, most, [this](ChunkName name, LmdbCursor& row, Bytes value) {
        return CanBeErased(txn_, name, value) ? EraseRow(row) : Result<bool>(false);
      });
  if (!whole || *whole == most) return whole;
  Result<size_t> tails =
      EraseRows(tables_.tails, object_id, most - *whole,
                [this](ChunkName, LmdbCursor& row, Bytes value) { return EraseTail(row, value); });
  if (!tails) return tails;
  return *whole + *tails;
}

/// Each row of the object, until `most` have been erased. How many.
Result<size_t> ChunkBatch::EraseRows(LmdbTable table, uint64_t object_id, size_t most,
                                     const RowEraser& erase) {
  Result<LmdbCursor> cursor = txn_.Open(table);
  if (!cursor) return tl::unexpected(cursor.error());
  auto entry = cursor->AtOrAfter(EncodeChunkPrefix({.object_id = object_id, .index = 0}));
  for (size_t erased = 0; erased < most; entry = cursor->Next()) {
    if (!entry) return tl::unexpected(entry.error());
    const std::optional<DecodedChunkKey> key =
        *entry ? DecodeChunkKey((*entry)->key) : std::nullopt;
    if (!key || key->name.object_id != object_id) return erased;
    const Result<bool> gone = erase(key->name, *cursor, (*entry)->value);
    if (!gone) return tl::unexpected(gone.error());
    erased += *gone ? 1 : 0;
  }
  return most;
}

Result<bool> ChunkBatch::EraseTail(LmdbCursor& row, Bytes value) {
  const std::optional<std::vector<SlabPart>> parts = DecodeParts(value);
  Result<bool> erased = EraseRow(row);
  if (!erased) return erased;
  for (const SlabPart& part : parts.value_or(std::vector<SlabPart>{})) {
    if (Status s = Release(part); !s) return tl::unexpected(s.error());
  }
  return true;
}

// ---- The slab that is being filled

/// Opens the slab that the batch before left room in, or a new one.
Status ChunkBatch::TakeUpSlab() {
  if (filling_) return {};
  if (open_.id == 0) return BeginSlab();
  const Result<uint64_t> live = LiveIn(open_.id);
  if (!live) return tl::unexpected(live.error());
  if (*live == 0) return BeginSlab();  // all that was in it has been erased since
  const Result<bool> erased = EraseSlabBytes(open_.id);
  if (!erased) return tl::unexpected(erased.error());
  if (!*erased) return BeginSlab();
  filling_ = true;
  open_live_ = open_stored_ = *live;
  return {};
}

Status ChunkBatch::BeginSlab() {
  if (Status s = CloseSlab(); !s) return s;
  open_.id = next_id_();
  open_.filled.Clear();
  filling_ = true;
  open_live_ = open_stored_ = 0;
  return {};
}

/// Writes the slab, if one is being filled. What room it has is for the next batch.
Status ChunkBatch::CloseSlab() {
  if (!filling_) return {};
  filling_ = false;
  if (Status s = SetLive(open_.id, open_stored_, open_live_); !s) return s;
  if (open_live_ == 0) {
    open_ = {};
    return {};
  }
  const Bytes bytes = open_.filled.Finish();
  return txn_.PutLast(tables_.slabs, EncodeSlabKey(open_.id, SlabChecksum(open_.id, bytes)), bytes);
}

/// Puts the bytes into at most `most_parts` parts, 1 or kMostParts.
Result<std::vector<SlabPart>> ChunkBatch::AddParts(ChunkName name, Bytes bytes, size_t most_parts) {
  std::vector<SlabPart> parts;
  for (Bytes rest = bytes; !rest.empty(); rest = rest.subspan(parts.back().bytes)) {
    if (Status s = TakeUpSlab(); !s) return tl::unexpected(s.error());
    const size_t room = open_.filled.room();
    const bool may_cut = parts.size() + 1 < most_parts && room >= kLeastPartBytes;
    if (room < rest.size() && !may_cut) {
      if (Status s = BeginSlab(); !s) return tl::unexpected(s.error());
    }
    parts.push_back(AddPart(name, rest.first(std::min(open_.filled.room(), rest.size()))));
  }
  return parts;
}

SlabPart ChunkBatch::AddPart(ChunkName name, Bytes bytes) {
  const SlabPart part{.slab_id = open_.id,
                      .offset = open_.filled.Add(name, bytes),
                      .bytes = static_cast<uint32_t>(bytes.size())};
  open_live_ += part.cost();
  totals_.live_bytes += part.cost();
  return part;
}

// ---- What lives in a slab

/// 0: there is no such slab.
Result<uint64_t> ChunkBatch::LiveIn(uint64_t slab_id) const {
  const Result<std::optional<Bytes>> row = txn_.Get(tables_.slab_live, EncodeSlabPrefix(slab_id));
  if (!row) return tl::unexpected(row.error());
  if (!*row || (*row)->size() != sizeof(uint32_t)) return 0;
  return GetLittle<uint32_t>((*row)->data());
}

/// The two rows that say how much of a slab lives; none when nothing does. `before`: as they are.
Status ChunkBatch::SetLive(uint64_t slab_id, uint64_t before, uint64_t live) {
  const uint8_t old_eighths = SlabEighths(before);
  const uint8_t eighths = SlabEighths(live);
  if (old_eighths != eighths) {
    if (Status s = ForgetOrder(slab_id, old_eighths); !s) return s;
    if (eighths > 0) {
      const auto order = EncodeSlabOrder(eighths, slab_id);
      if (Status s = txn_.Put(tables_.slab_order, order, {}); !s) return s;
    }
  }
  const auto prefix = EncodeSlabPrefix(slab_id);
  if (live > 0) {
    std::array<uint8_t, sizeof(uint32_t)> value;
    PutLittle(value.data(), static_cast<uint32_t>(live));
    return txn_.Put(tables_.slab_live, prefix, value);
  }
  const Result<bool> erased = txn_.Erase(tables_.slab_live, prefix);
  return erased ? Status{} : tl::unexpected(erased.error());
}

Status ChunkBatch::ForgetOrder(uint64_t slab_id, uint8_t eighths) {
  const Result<bool> erased = txn_.Erase(tables_.slab_order, EncodeSlabOrder(eighths, slab_id));
  return erased ? Status{} : tl::unexpected(erased.error());
}

/// A part lives no more; its slab goes with the last one.
Status ChunkBatch::Release(const SlabPart& part) {
  if (filling_ && part.slab_id == open_.id) {
    const uint64_t released = std::min(open_live_, part.cost());
    open_live_ -= released;
    totals_.live_bytes -= std::min(totals_.live_bytes, released);
    return {};
  }
  const Result<uint64_t> live = LiveIn(part.slab_id);
  if (!live) return tl::unexpected(live.error());
  if (*live <= part.cost()) return *live == 0 ? Status{} : EraseSlab(part.slab_id, *live);
  totals_.live_bytes -= std::min(totals_.live_bytes, part.cost());
  return SetLive(part.slab_id, *live, *live - part.cost());
}

/// `live`: as its row says.
Status ChunkBatch::EraseSlab(uint64_t slab_id, uint64_t live) {
  totals_.live_bytes -= std::min(totals_.live_bytes, live);
  if (Status s = SetLive(slab_id, live, 0); !s) return s;
  const Result<bool> erased = EraseSlabBytes(slab_id);
  return erased ? Status{} : tl::unexpected(erased.error());
}

/// False when they are not there, or the disk cannot read their first page: then they stay.
Result<bool> ChunkBatch::EraseSlabBytes(uint64_t slab_id) {
  const Result<std::optional<SlabRow>> row = FindSlab(txn_, tables_.slabs, slab_id);
  if (!row) return tl::unexpected(row.error());
  const ChunkName name{.object_id = slab_id, .index = 0};
  if (!*row || !CanBeErased(txn_, name, (*row)->bytes)) return false;
  return txn_.Erase(tables_.slabs, EncodeSlabKey(slab_id, (*row)->checksum));
}

// ---- Emptying slabs

Result<size_t> ChunkBatch::Compact(size_t most, uint64_t kept_dead, uint64_t spared) {
  size_t emptied = 0;
  std::array<uint8_t, kSlabOrderBytes> from{};
  while (emptied < most) {
    totals_.slabs = txn_.Entries(tables_.slab_live);
    if (totals_.dead_bytes() <= kept_dead) break;
    const Result<std::optional<DecodedSlabOrder>> next = NextInOrder(from);
    if (!next) return tl::unexpected(next.error());
    if (!*next || (*next)->eighths > kMostEighthsToEmpty) break;
    const auto [eighths, slab_id] = **next;
    from = EncodeSlabOrder(eighths, slab_id + 1);
    if (slab_id == spared || slab_id == open_.id) continue;
    changed_ = true;
    const Result<bool> done = EmptySlab(slab_id);
    if (!done) return tl::unexpected(done.error());
    emptied += *done ? 1 : 0;
    // What is sound in it can still be read, and the slab goes with the last of it.
    if (*done) continue;
    if (Status s = ForgetOrder(slab_id, eighths); !s) return tl::unexpected(s.error());
  }
  return emptied;
}

Result<std::optional<DecodedSlabOrder>> ChunkBatch::NextInOrder(Bytes from) const {
  Result<LmdbCursor> cursor = txn_.Open(tables_.slab_order);
  if (!cursor) return tl::unexpected(cursor.error());
  const auto entry = cursor->AtOrAfter(from);
  if (!entry) return tl::unexpected(entry.error());
  return *entry ? DecodeSlabOrder((*entry)->key) : std::nullopt;
}

/// False when it cannot be.
Result<bool> ChunkBatch::EmptySlab(uint64_t slab_id) {
  const Result<uint64_t> live = LiveIn(slab_id);
  if (!live) return tl::unexpected(live.error());
  std::vector<uint8_t> bytes(kSlabBytes);
  Result<bool> copied = CopySlab(slab_id, bytes);
  if (!copied || !*copied) return copied;
  const auto entries = DecodeSlab(bytes);
  if (!entries || *live == 0) return false;
  for (const SlabEntry& entry : *entries) {
    const Bytes part = Bytes(bytes).subspan(entry.offset, entry.bytes);
    if (Status s = MovePart(slab_id, entry, part); !s) return tl::unexpected(s.error());
  }
  if (Status s = EraseSlab(slab_id, *live); !s) return tl::unexpected(s.error());
  return true;
}

/// False when it cannot be read or does not match its checksum.
Result<bool> ChunkBatch::CopySlab(uint64_t slab_id, std::vector<uint8_t>& bytes) const {
  const Result<std::optional<SlabRow>> row = FindSlab(txn_, tables_.slabs, slab_id);
  if (!row) return tl::unexpected(row.error());
  if (!*row || (*row)->bytes.size() != bytes.size()) return false;
  const Status read = txn_.Copy((*row)->bytes, bytes.data());
  const bool sound = read && SlabChecksum(slab_id, bytes) == (*row)->checksum;
  if (!sound) {
    Log(Level::kError, "store_slab_unreadable",
        {{"slab", slab_id},
         {"error", read ? "it does not match its checksum" : read.error().ToString()},
         {"effect", "its room comes back when all in it is gone"}});
  }
  return sound;
}

/// Nothing is done with a part that no tail points to any more.
Status ChunkBatch::MovePart(uint64_t slab_id, const SlabEntry& entry, Bytes bytes) {
  const Result<std::optional<ChunkRow>> row = FindChunkRow(txn_, tables_.tails, entry.tail);
  if (!row) return tl::unexpected(row.error());
  auto parts = *row ? DecodeParts((*row)->value) : std::nullopt;
  if (!parts) return {};
  const SlabPart here{.slab_id = slab_id, .offset = entry.offset, .bytes = entry.bytes};
  const auto found = std::ranges::find(*parts, here);
  if (found == parts->end()) return {};
  const ChunkKey key = EncodeChunkKey(entry.tail, (*row)->checksum);
  const Result<std::vector<SlabPart>> moved =
      AddParts(entry.tail, bytes, kMostParts + 1 - parts->size());
  if (!moved) return tl::unexpected(moved.error());
  parts->insert(parts->erase(found), moved->begin(), moved->end());
  const std::string value = EncodeParts(*parts);
  return txn_.Put(tables_.tails, key,
                  {reinterpret_cast<const uint8_t*>(value.data()), value.size()});
}

// ---- The end

Status ChunkBatch::Commit(const StoreMeta& meta) {
  if (Status s = CloseSlab(); !s) return s;
  if (open_.filled.room() < kRoomToGoOn) open_ = {};
  totals_.slabs = txn_.Entries(tables_.slab_live);
  if (Status s = WriteSlabTotals(txn_, tables_, totals_); !s) return s;
  // Written in every batch, so that one without chunks tries the disk as well.
  if (Status s = WriteMeta(txn_, tables_.meta, meta); !s) return s;
  used_pages_ = txn_.UsedPages();
  return txn_.Commit();
}

}  // namespace nearside::storage
