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
  if (body_bytes_ <= kInlineBody) {
    small_ = Trimmed(std::move(chunk));
  } else {
    Queue(Trimmed(std::move(chunk)));
  }
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
  } else if (HeadTooLong(head, small_ ? small_->size() : 0)) {
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
  // A small body goes into the head's record, unless heads are short of room: then into a chunk on
  // disk. In RAM it is inline either way.
  const bool inline_on_disk = body_bytes_ == 0 || (small_ && parts_.inline_on_disk.load());
  if (small_ && !inline_on_disk) {
    if (!parts_.queue.PushChunk({.fill = fill_, .index = 0, .chunk = small_})) {
      GiveUp(NotStored::kQueueFull);
      return nullptr;
    }
    queued_ = 1;
  }
  return CommitHead(std::move(stored), inline_on_disk);
}

HeadRef LmdbObjectWriter::CommitHead(std::shared_ptr<StoredHead> stored, bool inline_on_disk) {
  const Key256& key = stored->head.key;
  const uint64_t charge = ChargeOf(*stored);
  HeadRef ref = stored;
  NotStored reason = NotStored::kQueueFull;
  {
    HeadIndex::Slot slot = parts_.index.Lock(key);
    std::optional<Ticket> ticket;
    if (fill_->generation != parts_.generation.load()) {
      reason = NotStored::kDiskFull;  // the disk has been started over since it began
    } else {
      ticket = parts_.queue.PushHead(
          {.head = ref, .fill = fill_, .inline_on_disk = inline_on_disk, .charge = charge});
    }
    if (ticket) {
      // Counted before it can be found: MayBeOnDisk's "no" is exact from the start.
      parts_.presence.Add(key);
      slot.SetPending(*ticket, ref);
      parts_.ram.InsertHead(ref, charge);
      finished_ = true;
    }
  }
  if (!finished_) {
    GiveUp(reason);
    return nullptr;
  }
  // Once more: marks that spoke against it may have been about to be dropped when it was first
  // judged (StoreWalk). The writer thread judges by the same rule.
  if (!parts_.purges.MayStore(ref->head)) {
    parts_.counters.Refuse(NotStored::kPurged);
    TakeBack(*ref);
    return nullptr;
  }
  StoreCounters::Add(parts_.counters.stored);
  return ref;
}

/// It may be on disk already: its head goes first, and takes the chunks with it.
void LmdbObjectWriter::TakeBack(const CachedHead& head) {
  const Key256& key = head.head.key;
  HeadIndex::Slot slot = parts_.index.Lock(key);
  parts_.ram.EraseThisHead(head);
  const std::optional<HeadRef> pending = slot.pending();
  if (pending && pending->get() != &head) return;  // a newer one has its place
  const Ticket ticket = parts_.queue.PushRemoval({.key = key, .object_id = head.head.object_id});
  slot.SetPending(ticket, nullptr);
}

}  // namespace nearside::storage
