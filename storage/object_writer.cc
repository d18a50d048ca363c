#include "storage/object_writer.h"

#include <algorithm>
#include <utility>

#include "storage/chunk_codec.h"
#include "storage/head_codec.h"

namespace nearside::storage {

namespace {

/// A chunk may be a sixteenth empty before it is worth a copy.
constexpr uint32_t kSlackShare = 16;

}  // namespace

std::shared_ptr<StoredHead> MakeStoredHead(const StoreParts& parts, Head head,
                                           ChunkRef inline_body) {
  auto stored = std::make_shared<StoredHead>(parts.live, std::move(head));
  stored->payload = parts.decoder(stored->head);
  if (stored->payload == nullptr) return nullptr;
  stored->inline_body = std::move(inline_body);
  return stored;
}

bool HeadTooLong(const Head& head, size_t inline_bytes) {
  return head.scopes.size() > kMostScopes ||
         EncodedBytes(head, inline_bytes) > kLongestHeadRecord + kInlineBody;
}

uint64_t LargestObject(const CacheOptions& options, ByteSize room) {
  return options.largest_object.bytes > 0 ? options.largest_object.bytes : room.bytes / 2;
}

size_t InlineBytes(const ChunkRef& body) {
  return body && body->size() <= kInlineBody ? body->size() : 0;
}

std::optional<NotStored> PushWhole(StoreParts& parts, const HeadRef& head, HeadIndex::Slot& slot,
                                   std::shared_ptr<Fill> fill) {
  // A small body goes into the head's record, unless heads are short of room: then into a chunk on
  // disk, as a larger one does. In RAM it is inline either way.
  const ChunkRef& body = head->inline_body;
  const bool inline_on_disk = !body || (body->size() <= kInlineBody && parts.inline_on_disk.load());
  std::optional<Ticket> ticket;
  if (inline_on_disk) {
    ticket = parts.queue.PushHead(
        {.head = head, .fill = std::move(fill), .inline_on_disk = true, .charge = ChargeOf(*head)});
  } else if (parts.chunks_held.load()) {
    return NotStored::kDiskFull;
  } else {
    ticket = parts.queue.PushObject(
        {.fill = fill, .index = 0, .chunk = body},
        {.head = head, .fill = fill, .charge = ChargeOf(*head) - body->charge()});
  }
  if (!ticket) return NotStored::kQueueFull;
  // Counted before it can be found: MayBeOnDisk's "no" is exact from the start.
  parts.presence.Add(head->head.key);
  slot.SetPending(*ticket, head);
  return std::nullopt;
}

namespace {

/// It may be on disk already: its head goes first, and takes the chunks with it.
void TakeBack(StoreParts& parts, const CachedHead& head, HeadIndex::Slot& slot) {
  parts.ram.EraseThisHead(head);
  const std::optional<HeadRef> pending = slot.pending();
  if (pending && pending->get() != &head) return;  // a newer one has its place
  const Ticket ticket =
      parts.queue.PushRemoval({.key = head.head.key, .object_id = head.head.object_id});
  slot.SetPending(ticket, nullptr);
}

}  // namespace

void WriteUnwritten(StoreParts& parts, const HeadRef& head) {
  // One that was found valid, but whose fetch began before what the marks still know, stays as it
  // is: no pass over the disk could judge it.
  const bool may_be_written =
      !parts.pass_through.load() && !parts.heads_held.load() && parts.purges.MayStore(head->head);
  if (!may_be_written) return;
  HeadIndex::Slot slot = parts.index.Lock(head->head.key);
  if (!head->unwritten.load() || parts.ram.PeekHead(head->head.key) != head) return;
  auto fill = std::make_shared<Fill>(head->head.object_id, parts.generation.load());
  if (PushWhole(parts, head, slot, std::move(fill))) return;
  // Once more, see LmdbObjectWriter::CommitHead; as an unwritten one it is judged until then, and
  // ever after by those who hold it.
  if (!parts.purges.MayStore(head->head)) return TakeBack(parts, *head, slot);
  head->unwritten.store(false);
  StoreCounters::Add(parts.counters.written_later);
}

ChunkRef Trimmed(ChunkRef chunk) {
  if (chunk->room() <= chunk->size() / kSlackShare) return chunk;
  return Chunk::Copy(chunk->bytes());
}

LmdbObjectWriter::LmdbObjectWriter(StoreParts& parts)
    : parts_(parts),
      fill_(std::make_shared<Fill>(parts.next_id.fetch_add(1), parts.generation.load())) {}

LmdbObjectWriter::~LmdbObjectWriter() {
  if (finished_) return;
  finished_ = true;
  fill_->failed.store(true);
  if (queued_ > 0) Abandon();
}

/// The writer thread erases the chunks, in RAM too: there may be thousands.
void LmdbObjectWriter::Abandon() {
  parts_.queue.PushAbandonment({.fill = fill_, .chunks = queued_});
}

void LmdbObjectWriter::GiveUp(NotStored reason) {
  finished_ = true;
  parts_.counters.Refuse(reason);
  fill_->failed.store(true);
  small_ = {};
  if (queued_ > 0) Abandon();
}

void LmdbObjectWriter::Append(ChunkRef chunk) {
  if (finished_ || chunk->size() == 0) return;
  if (fill_->failed.load()) return GiveUp(NotStored::kDiskFull);
  if (last_seen_) return GiveUp(NotStored::kRefused);
  last_seen_ = chunk->size() < kChunkBytes;
  body_bytes_ += chunk->size();
  if (body_bytes_ > LargestObject(parts_.options, parts_.options.disk)) {
    return GiveUp(NotStored::kTooLarge);
  }
  const bool waits = parts_.options.disk_min_uses > 1 && !at_once_ && queued_ == 0 && !small_;
  if (body_bytes_ <= kInlineBody || waits) {
    small_ = Trimmed(std::move(chunk));
    return;
  }
  if (small_) Queue(std::exchange(small_, {}));
  if (!finished_) Queue(Trimmed(std::move(chunk)));
}

bool LmdbObjectWriter::WaitsForRoom(Executor& executor, std::function<void()> room) {
  return !finished_ && queued_ > 0 && parts_.queue.WaitsForRoom(executor, std::move(room));
}

void LmdbObjectWriter::Queue(ChunkRef chunk) {
  const ChunkName name{.object_id = fill_->object_id, .index = queued_};
  if (parts_.chunks_held.load() || parts_.heads_held.load()) {
    return GiveUp(NotStored::kDiskFull);
  }
  if (!parts_.queue.PushChunk({.fill = fill_, .index = name.index, .chunk = chunk})) {
    return GiveUp(NotStored::kQueueFull);
  }
  ++queued_;
  parts_.ram.InsertChunk(name, std::move(chunk));
}

HeadRef LmdbObjectWriter::Commit(Head head) {
  if (finished_) return nullptr;
  head.object_id = fill_->object_id;
  head.body_bytes = body_bytes_;
  NotStored reason = NotStored::kDiskFull;
  std::shared_ptr<StoredHead> stored;
  if (fill_->failed.load() || parts_.pass_through.load() || parts_.heads_held.load()) {
    reason = NotStored::kDiskFull;
  } else if (HeadTooLong(head, InlineBytes(small_))) {
    reason = NotStored::kTooLarge;
  } else if (!parts_.purges.MayStore(head)) {
    reason = NotStored::kPurged;
  } else {
    stored = MakeStoredHead(parts_, std::move(head), small_);
    reason = NotStored::kRefused;
  }
  if (stored == nullptr) {
    GiveUp(reason);
    return nullptr;
  }
  if (MayStayInMemory(stored->head.key)) {
    if (HeadRef kept = CommitInMemory(stored)) return kept;
    if (finished_) return nullptr;
  }
  return CommitHead(std::move(stored));
}

/// Not what takes the place of an object on disk, nor one that has been asked for before.
bool LmdbObjectWriter::MayStayInMemory(const Key256& key) {
  return queued_ == 0 && !at_once_ && parts_.options.disk_min_uses > 1 &&
         !parts_.presence.MayContain(key) && !parts_.first_uses.WritesNow(key);
}

/// Null: RAM does not take it, or what it was to replace is on its way to disk after all; or it has
/// been purged, and is finished.
HeadRef LmdbObjectWriter::CommitInMemory(std::shared_ptr<StoredHead> stored) {
  const HeadIndex::Slot slot = parts_.index.Lock(stored->head.key);
  if (slot.pending() || parts_.presence.MayContain(stored->head.key)) return nullptr;
  stored->unwritten.store(true);
  if (!parts_.ram.InsertHead(stored, ChargeOf(*stored))) {
    stored->unwritten.store(false);
    return nullptr;
  }
  // Once more, see CommitHead.
  if (!parts_.purges.MayStore(stored->head)) {
    parts_.ram.EraseThisHead(*stored);
    GiveUp(NotStored::kPurged);
    return nullptr;
  }
  finished_ = true;
  StoreCounters::Add(parts_.counters.stored);
  StoreCounters::Add(parts_.counters.unwritten);
  return stored;
}

HeadRef LmdbObjectWriter::CommitHead(HeadRef head) {
  HeadIndex::Slot slot = parts_.index.Lock(head->head.key);
  std::optional<NotStored> refused;
  if (fill_->generation != parts_.generation.load()) {
    refused = NotStored::kDiskFull;  // the disk has been started over since it began
  } else if (queued_ == 0) {
    refused = PushWhole(parts_, head, slot, fill_);
  } else if (const auto ticket =
                 parts_.queue.PushHead({.head = head, .fill = fill_, .charge = ChargeOf(*head)})) {
    parts_.presence.Add(head->head.key);  // before it can be found, see PushWhole
    slot.SetPending(*ticket, head);
  } else {
    refused = NotStored::kQueueFull;
  }
  if (refused) {
    GiveUp(*refused);
    return nullptr;
  }
  finished_ = true;
  parts_.ram.InsertHead(head, ChargeOf(*head));
  // Once more: marks that spoke against it may have been about to be dropped when it was first
  // judged (StoreWalk). The writer thread judges by the same rule.
  if (!parts_.purges.MayStore(head->head)) {
    parts_.counters.Refuse(NotStored::kPurged);
    TakeBack(parts_, *head, slot);
    return nullptr;
  }
  StoreCounters::Add(parts_.counters.stored);
  return head;
}

}  // namespace nearside::storage
