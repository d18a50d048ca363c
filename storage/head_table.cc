#include "storage/head_table.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

#include "runtime/text_bytes.h"
#include "storage/chunk_codec.h"
#include "storage/stored_integer.h"

namespace nearside::storage {

namespace {

using ExpiryKey = std::array<uint8_t, 16>;
using QueueKey = std::array<uint8_t, 9>;
using ScopeKey = std::array<uint8_t, 8>;

constexpr std::string_view kMetaKey = "store";
/// The share of the disk's bytes that probation is kept above: a tenth, as in S3-FIFO's paper.
constexpr uint64_t kProbationShare = 10;

/// Small objects are evicted first for heads' room while they take this part of it.
constexpr uint64_t kSmallObjectsShare = 4;

// The sign bit is flipped, so that times before 1970 sort before those after it.
constexpr uint64_t kSignBit = uint64_t{1} << 63;
uint64_t SortableTime(WallTime time) {
  return static_cast<uint64_t>(ToUnixMillis(time)) ^ kSignBit;
}
WallTime FromSortableTime(uint64_t time) {
  return FromUnixMillis(static_cast<int64_t>(time ^ kSignBit));
}

ExpiryKey EncodeExpiryKey(const Head& head) {
  ExpiryKey key;
  PutBig(key.data(), SortableTime(head.drop_at));
  PutBig(key.data() + 8, head.object_id);
  return key;
}

/// First bytes of the queue's keys: one for each segment of each queue, the pinned ones last.
constexpr uint8_t kEvictedSegments = 2;
constexpr uint8_t kFirstPinned = kBodyPlaces * kEvictedSegments;
constexpr uint8_t kQueuePrefixes = kFirstPinned + kBodyPlaces;

QueueKey EncodeQueueKey(BodyIn body_in, QueuePlace place) {
  const auto body = static_cast<uint8_t>(body_in);
  QueueKey key;
  key[0] =
      static_cast<uint8_t>(place.segment == Segment::kPinned
                               ? kFirstPinned + body
                               : body * kEvictedSegments + static_cast<uint8_t>(place.segment));
  PutBig(key.data() + 1, place.position);
  return key;
}

std::optional<Key256> ToKey(Bytes bytes) {
  Key256 key;
  if (bytes.size() != key.bytes.size()) return std::nullopt;
  std::memcpy(key.bytes.data(), bytes.data(), bytes.size());
  return key;
}

}  // namespace

Result<HeadTables> MakeHeadTables(LmdbWriteTxn& txn) {
  HeadTables tables;
  const std::pair<const char*, LmdbTable*> all[] = {{"heads", &tables.heads},
                                                    {"expiry", &tables.expiry},
                                                    {"queue", &tables.queue},
                                                    {"purges", &tables.purges},
                                                    {"meta", &tables.meta}};
  for (const auto& [name, table] : all) {
    Result<LmdbTable> made = txn.MakeTable(name);
    if (!made) return tl::unexpected(made.error());
    *table = *made;
  }
  return tables;
}

Result<std::optional<StoreMeta>> ReadMeta(const LmdbTxn& txn, LmdbTable meta_table) {
  const Result<std::optional<Bytes>> row = txn.Get(meta_table, AsBytes(kMetaKey));
  if (!row) return tl::unexpected(row.error());
  if (!*row) return std::nullopt;
  Result<StoreMeta> meta = DecodeMeta(**row);
  if (!meta) return tl::unexpected(meta.error());
  return *meta;
}

Status WriteMeta(LmdbWriteTxn& txn, LmdbTable meta_table, const StoreMeta& meta) {
  return txn.Put(meta_table, AsBytes(kMetaKey), AsBytes(EncodeMeta(meta)));
}

Result<std::vector<std::pair<ScopeHash, PurgeMark>>> ReadMarks(const LmdbTxn& txn,
                                                               LmdbTable purges) {
  Result<LmdbCursor> cursor = txn.Open(purges);
  if (!cursor) return tl::unexpected(cursor.error());
  std::vector<std::pair<ScopeHash, PurgeMark>> marks;
  for (auto entry = cursor->First();; entry = cursor->Next()) {
    if (!entry) return tl::unexpected(entry.error());
    if (!*entry) return marks;
    if ((*entry)->key.size() != sizeof(ScopeHash)) {
      return Fail(Fault::kSelf, "damaged", "a stored purge has a key of the wrong length");
    }
    const auto scope = GetBig<ScopeHash>((*entry)->key.data());
    const Result<PurgeMark> mark = DecodeMark(scope, (*entry)->value);
    if (!mark) return tl::unexpected(mark.error());
    marks.emplace_back(scope, *mark);
  }
}

Result<uint64_t> LastPosition(const LmdbTxn& txn, LmdbTable queue) {
  Result<LmdbCursor> cursor = txn.Open(queue);
  if (!cursor) return tl::unexpected(cursor.error());
  uint64_t last = 0;
  // The last row before each segment's end: LMDB has no "at or before", so what comes after is
  // sought.
  for (uint8_t prefix = 0; prefix < kQueuePrefixes; ++prefix) {
    QueueKey after{};
    after[0] = static_cast<uint8_t>(prefix + 1);
    auto entry = cursor->AtOrAfter(after);
    if (entry) entry = *entry ? cursor->Previous() : cursor->Last();
    if (!entry) return tl::unexpected(entry.error());
    if (!*entry || (*entry)->key.size() != after.size()) continue;
    last = std::max(last, GetBig<uint64_t>((*entry)->key.data() + 1));
  }
  return last;
}

Result<std::optional<WallTime>> FirstExpiry(const LmdbTxn& txn, LmdbTable expiry) {
  Result<LmdbCursor> cursor = txn.Open(expiry);
  if (!cursor) return tl::unexpected(cursor.error());
  const auto entry = cursor->First();
  if (!entry) return tl::unexpected(entry.error());
  if (!*entry || (*entry)->key.size() != std::tuple_size_v<ExpiryKey>) return std::nullopt;
  return FromSortableTime(GetBig<uint64_t>((*entry)->key.data()));
}

Result<std::optional<HeadRecord>> ReadHead(const LmdbTxn& txn, LmdbTable heads, const Key256& key) {
  const Result<std::optional<Bytes>> bytes = txn.Get(heads, key.bytes);
  if (!bytes) return tl::unexpected(bytes.error());
  if (!*bytes) return std::nullopt;
  Result<HeadRecord> record = DecodeHead(key, **bytes);
  if (!record) return tl::unexpected(std::move(record.error()));
  return std::move(*record);
}

// ---- HeadBatch

Result<HeadBatch> HeadBatch::Begin(LmdbEnv& env, const HeadTables& tables, const StoreMeta& meta) {
  Result<LmdbWriteTxn> txn = env.BeginWrite();
  if (!txn) return tl::unexpected(txn.error());
  return HeadBatch(env, std::move(*txn), tables, meta);
}

uint64_t HeadBatch::DiskBytes(const HeadRecord& record) const {
  const uint64_t inline_bytes = record.inline_body ? record.inline_body->size() : 0;
  const uint64_t in_chunks =
      record.inline_body ? 0 : BodyDiskBytes(record.head.body_bytes, page_bytes_);
  return EncodedBytes(record.head, inline_bytes) + in_chunks;
}

PinnedTotals HeadBatch::PinnedSizeOf(const HeadRecord& record) const {
  const uint64_t inline_bytes = record.inline_body ? record.inline_body->size() : 0;
  const uint64_t head_bytes = EncodedBytes(record.head, inline_bytes);
  return {.objects = 1, .head_bytes = head_bytes, .chunk_bytes = DiskBytes(record) - head_bytes};
}

bool HeadBatch::HasRoomPinned(const HeadRecord& record) const {
  const PinnedTotals size = PinnedSizeOf(record);
  return meta_.pinned.head_bytes + size.head_bytes <= pin_limits_.head_bytes &&
         meta_.pinned.chunk_bytes + size.chunk_bytes <= pin_limits_.chunk_bytes;
}

void HeadBatch::Charge(const HeadRecord& record) {
  if (record.place.segment != Segment::kPinned) {
    BytesOf(record) += DiskBytes(record);
    return;
  }
  const PinnedTotals size = PinnedSizeOf(record);
  meta_.pinned.objects += size.objects;
  meta_.pinned.head_bytes += size.head_bytes;
  meta_.pinned.chunk_bytes += size.chunk_bytes;
}

void HeadBatch::Discharge(const HeadRecord& record) {
  if (record.place.segment == Segment::kPinned) {
    const PinnedTotals size = PinnedSizeOf(record);
    PinnedTotals& pinned = meta_.pinned;
    pinned.objects -= std::min(pinned.objects, size.objects);
    pinned.head_bytes -= std::min(pinned.head_bytes, size.head_bytes);
    pinned.chunk_bytes -= std::min(pinned.chunk_bytes, size.chunk_bytes);
    return;
  }
  uint64_t& bytes = BytesOf(record);
  bytes -= std::min(bytes, DiskBytes(record));
}

/// The record under the key. A broken one is erased and reported as removed; rows that point to it
/// are passed over and erased when their turn comes.
Result<std::optional<HeadRecord>> HeadBatch::ReadOrErase(const Key256& key) {
  Result<std::optional<HeadRecord>> record = ReadHead(txn_, tables_.heads, key);
  if (record) return record;
  const std::string& reason = record.error().reason;
  if (reason != "bad_checksum" && reason != "bad_length" && reason != "unknown_version") {
    return record;
  }
  const Result<bool> erased = txn_.Erase(tables_.heads, key.bytes);
  if (!erased) return tl::unexpected(erased.error());
  removed_.push_back({.key = key, .why = Removal::kBroken});
  return std::nullopt;
}

Status HeadBatch::Store(const HeadRecord& record) {
  const std::string encoded = EncodeHead(record);
  if (Status s = txn_.Put(tables_.heads, record.head.key.bytes, AsBytes(encoded)); !s) return s;
  if (record.place.segment != Segment::kPinned) {
    const ExpiryKey expiry = EncodeExpiryKey(record.head);
    if (Status s = txn_.Put(tables_.expiry, expiry, record.head.key.bytes); !s) return s;
  }
  const QueueKey queue = EncodeQueueKey(record.body_in(), record.place);
  return txn_.Put(tables_.queue, queue, record.head.key.bytes);
}

Status HeadBatch::Erase(const HeadRecord& record, Removal why) {
  const Head& head = record.head;
  const RemovedObject removed{.key = head.key,
                              .object_id = head.object_id,
                              .body_bytes = head.body_bytes,
                              .in_chunks = !record.inline_body && head.body_bytes > 0,
                              .segment = record.place.segment,
                              .why = why};
  Discharge(record);
  const ExpiryKey expiry = EncodeExpiryKey(head);
  const QueueKey queue = EncodeQueueKey(record.body_in(), record.place);
  // `record` may view into the page that the first erasure changes: it is not used after this line.
  const std::pair<LmdbTable, Bytes> rows[] = {
      {tables_.heads, removed.key.bytes}, {tables_.expiry, expiry}, {tables_.queue, queue}};
  for (const auto& [table, key] : rows) {
    if (Result<bool> erased = txn_.Erase(table, key); !erased) {
      return tl::unexpected(erased.error());
    }
  }
  removed_.push_back(removed);
  return {};
}

Status HeadBatch::Put(const Head& head, std::optional<Bytes> inline_body, QueuePlace place) {
  const Result<std::optional<HeadRecord>> old = ReadOrErase(head.key);
  if (!old) return tl::unexpected(old.error());
  if (*old) {
    // What replaces a popular object is popular, what replaces a pinned one is pinned.
    place.segment = std::max(place.segment, (*old)->place.segment);
    if (Status s = Erase(**old, Removal::kReplaced); !s) return s;
  }
  HeadRecord record{.head = head, .place = place, .inline_body = inline_body};
  const bool pinned = record.place.segment == Segment::kPinned;
  if (pinned && !HasRoomPinned(record)) record.place.segment = Segment::kMain;
  if (Status s = Store(record); !s) return s;
  Charge(record);
  return {};
}

Result<bool> HeadBatch::Refresh(const Head& head) {
  const Result<std::optional<HeadRecord>> old = ReadOrErase(head.key);
  if (!old) return tl::unexpected(old.error());
  if (!*old || (*old)->head.object_id != head.object_id) return false;
  Discharge(**old);
  const ExpiryKey expiry = EncodeExpiryKey((*old)->head);
  std::string body;  // leaves the page before the page changes
  const bool has_inline = (*old)->inline_body.has_value();
  if (has_inline)
    body.assign(reinterpret_cast<const char*>((*old)->inline_body->data()),
                (*old)->inline_body->size());
  HeadRecord record{.head = head, .place = (*old)->place};
  if (has_inline) record.inline_body = AsBytes(body);
  if (Result<bool> erased = txn_.Erase(tables_.expiry, expiry); !erased) return erased;
  if (Status s = Store(record); !s) return tl::unexpected(s.error());
  Charge(record);
  return true;
}

Result<bool> HeadBatch::Remove(const Key256& key, std::optional<uint64_t> object_id, Removal why) {
  const Result<std::optional<HeadRecord>> record = ReadOrErase(key);
  if (!record) return tl::unexpected(record.error());
  if (!*record || (object_id && (*record)->head.object_id != *object_id)) return false;
  if (Status s = Erase(**record, why); !s) return tl::unexpected(s.error());
  return true;
}

/// Gives an object another place in the queue: the record is rewritten with it.
Status HeadBatch::Move(HeadRecord record, QueuePlace place) {
  const QueueKey old_key = EncodeQueueKey(record.body_in(), record.place);
  Discharge(record);
  record.place = place;
  Charge(record);
  const std::string encoded = EncodeHead(record);  // copies the inline body off the page
  if (Result<bool> erased = txn_.Erase(tables_.queue, old_key); !erased) {
    return tl::unexpected(erased.error());
  }
  if (Status s = txn_.Put(tables_.heads, record.head.key.bytes, AsBytes(encoded)); !s) return s;
  return txn_.Put(tables_.queue, EncodeQueueKey(record.body_in(), place), record.head.key.bytes);
}

Result<bool> HeadBatch::Promote(const Key256& key, uint64_t position) {
  Result<std::optional<HeadRecord>> record = ReadOrErase(key);
  if (!record) return tl::unexpected(record.error());
  if (!*record || (*record)->place.segment != Segment::kProbation) return false;
  Status s = Move(std::move(**record), {.segment = Segment::kMain, .position = position});
  if (!s) return tl::unexpected(s.error());
  return true;
}

Result<PinOutcome> HeadBatch::Pin(const Key256& key, uint64_t position) {
  Result<std::optional<HeadRecord>> record = ReadOrErase(key);
  if (!record) return tl::unexpected(record.error());
  if (!*record) return PinOutcome::kAbsent;
  if ((*record)->place.segment == Segment::kPinned) return PinOutcome::kPinned;
  if (!HasRoomPinned(**record)) return PinOutcome::kNoRoom;
  const ExpiryKey expiry = EncodeExpiryKey((*record)->head);
  Status s = Move(std::move(**record), {.segment = Segment::kPinned, .position = position});
  if (!s) return tl::unexpected(s.error());
  if (Result<bool> erased = txn_.Erase(tables_.expiry, expiry); !erased) {
    return tl::unexpected(erased.error());
  }
  return PinOutcome::kPinned;
}

Result<bool> HeadBatch::Unpin(const Key256& key, uint64_t position) {
  Result<std::optional<HeadRecord>> record = ReadOrErase(key);
  if (!record) return tl::unexpected(record.error());
  if (!*record || (*record)->place.segment != Segment::kPinned) return false;
  const ExpiryKey expiry = EncodeExpiryKey((*record)->head);
  Status s = Move(std::move(**record), {.segment = Segment::kMain, .position = position});
  if (s) s = txn_.Put(tables_.expiry, expiry, key.bytes);
  if (!s) return tl::unexpected(s.error());
  return true;
}

Result<std::vector<Key256>> HeadBatch::PinnedKeys() const {
  Result<LmdbCursor> cursor = txn_.Open(tables_.queue);
  if (!cursor) return tl::unexpected(cursor.error());
  std::vector<Key256> keys;
  QueueKey first{};
  first[0] = kFirstPinned;
  for (auto entry = cursor->AtOrAfter(first);; entry = cursor->Next()) {
    if (!entry) return tl::unexpected(entry.error());
    if (!*entry) return keys;
    if (const auto key = ToKey((*entry)->value)) keys.push_back(*key);
  }
}

Result<size_t> HeadBatch::Expire(WallTime now, size_t most) {
  const uint64_t last = SortableTime(now);
  for (size_t expired = 0; expired < most; ++expired) {
    ExpiryKey row_key;
    std::optional<Key256> key;
    {
      Result<LmdbCursor> cursor = txn_.Open(tables_.expiry);
      if (!cursor) return tl::unexpected(cursor.error());
      const auto entry = cursor->First();
      if (!entry) return tl::unexpected(entry.error());
      if (!*entry || (*entry)->key.size() != row_key.size()) return expired;
      std::memcpy(row_key.data(), (*entry)->key.data(), row_key.size());
      if (GetBig<uint64_t>(row_key.data()) > last) return expired;
      key = ToKey((*entry)->value);
    }
    if (key) {
      const Result<std::optional<HeadRecord>> record = ReadOrErase(*key);
      if (!record) return tl::unexpected(record.error());
      if (*record && EncodeExpiryKey((*record)->head) == row_key) {
        if (Status s = Erase(**record, Removal::kExpired); !s) return tl::unexpected(s.error());
        continue;
      }
    }
    // A row that no record answers to, left behind by a broken one.
    if (Result<bool> erased = txn_.Erase(tables_.expiry, row_key); !erased) {
      return tl::unexpected(erased.error());
    }
  }
  return most;
}

Result<std::optional<HeadBatch::Candidate>> HeadBatch::FirstOf(BodyIn body_in,
                                                               Segment segment) const {
  Result<LmdbCursor> cursor = txn_.Open(tables_.queue);
  if (!cursor) return tl::unexpected(cursor.error());
  const QueueKey begin = EncodeQueueKey(body_in, {.segment = segment, .position = 0});
  const auto entry = cursor->AtOrAfter(begin);
  if (!entry) return tl::unexpected(entry.error());
  if (!*entry || (*entry)->key.size() != begin.size() || (*entry)->key[0] != begin[0]) {
    return std::nullopt;
  }
  return Candidate{
      .body_in = body_in,
      .place = {.segment = segment, .position = GetBig<uint64_t>((*entry)->key.data() + 1)},
      .key = ToKey((*entry)->value).value_or(Key256{})};
}

/// The next of one queue in S3-FIFO's order.
Result<std::optional<HeadBatch::Candidate>> HeadBatch::NextOf(BodyIn body_in) const {
  const QueueTotals& totals = meta_.totals[static_cast<size_t>(body_in)];
  const bool probation_first =
      totals.probation_bytes * kProbationShare >= totals.probation_bytes + totals.main_bytes;
  auto candidate = FirstOf(body_in, probation_first ? Segment::kProbation : Segment::kMain);
  if (candidate && !*candidate) {
    candidate = FirstOf(body_in, probation_first ? Segment::kMain : Segment::kProbation);
  }
  return candidate;
}

/// The next of the queue that has what is short of room. Where that is heads, those with a body in
/// them, as they give back most for an object lost; when they are few, whichever has waited longer.
Result<std::optional<HeadBatch::Candidate>> HeadBatch::NextInLine(Removal why) const {
  auto chunked = NextOf(BodyIn::kChunks);
  if (!chunked || why == Removal::kEvictedForBodies) return chunked;
  auto small = NextOf(BodyIn::kHead);
  if (!small || !*chunked) return small;
  const QueueTotals& in_heads = meta_.totals[static_cast<size_t>(BodyIn::kHead)];
  const uint64_t small_bytes = in_heads.probation_bytes + in_heads.main_bytes;
  if (*small && small_bytes * kSmallObjectsShare >= UsedPages() * page_bytes_) return small;
  if (!*small || (*chunked)->place.position < (*small)->place.position) return chunked;
  return small;
}

Result<bool> HeadBatch::EvictOne(Removal why, const std::function<bool(const Key256&)>& accessed,
                                 const std::function<uint64_t()>& next_position) {
  while (true) {
    const Result<std::optional<Candidate>> candidate = NextInLine(why);
    if (!candidate) return tl::unexpected(candidate.error());
    if (!*candidate) return false;

    Result<std::optional<HeadRecord>> record = ReadOrErase((*candidate)->key);
    if (!record) return tl::unexpected(record.error());
    const bool answers = *record && (*record)->place == (*candidate)->place &&
                         (*record)->body_in() == (*candidate)->body_in;
    if (!answers) {
      const QueueKey stale = EncodeQueueKey((*candidate)->body_in, (*candidate)->place);
      if (Result<bool> erased = txn_.Erase(tables_.queue, stale); !erased) return erased;
      continue;
    }
    if (second_chances_ > 0 && accessed((*candidate)->key)) {
      --second_chances_;
      Status s =
          Move(std::move(**record), {.segment = Segment::kMain, .position = next_position()});
      if (!s) return tl::unexpected(s.error());
      continue;
    }
    if (Status s = Erase(**record, why); !s) return tl::unexpected(s.error());
    return true;
  }
}

Status HeadBatch::SavePurges(const PurgeTable::Changes& changes) {
  if (changes.all_marks) {
    if (Status s = txn_.Clear(tables_.purges); !s) return s;
  }
  for (const auto& [scope, mark] : changes.marks) {
    ScopeKey key;
    PutBig(key.data(), scope);
    if (mark == PurgeMark{}) {
      if (Result<bool> erased = txn_.Erase(tables_.purges, key); !erased) {
        return tl::unexpected(erased.error());
      }
    } else if (Status s = txn_.Put(tables_.purges, key, AsBytes(EncodeMark(scope, mark))); !s) {
      return s;
    }
  }
  meta_.purges = changes.horizon;
  return {};
}

Result<std::optional<WallTime>> HeadBatch::FirstExpiry() const {
  return storage::FirstExpiry(txn_, tables_.expiry);
}

Status HeadBatch::Commit() {
  if (Status s = WriteMeta(txn_, tables_.meta, meta_); !s) return s;
  return txn_.Commit();
}

Result<std::optional<Key256>> WalkHeads(const LmdbTxn& txn, LmdbTable heads,
                                        const std::optional<Key256>& after, size_t most,
                                        const HeadWalkSlice& slice) {
  Result<LmdbCursor> cursor = txn.Open(heads);
  if (!cursor) return tl::unexpected(cursor.error());
  std::optional<Key256> last;
  auto entry = after ? cursor->AtOrAfter(after->bytes) : cursor->First();
  for (size_t visited = 0; visited < most; entry = cursor->Next()) {
    if (!entry) return tl::unexpected(entry.error());
    if (!*entry) return std::nullopt;
    const std::optional<Key256> key = ToKey((*entry)->key);
    if (!key || key == after) continue;
    const Result<HeadRecord> record = DecodeHead(*key, (*entry)->value);
    if (record) {
      slice.visit(*record);
    } else {
      slice.broken(*key);
    }
    last = key;
    ++visited;
  }
  return last;
}

}  // namespace nearside::storage
