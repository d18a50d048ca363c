#include "storage/lmdb_cache_store.h"

#include <algorithm>
#include <utility>

#include "runtime/chunk_memory.h"
#include "storage/chunk_codec.h"
#include "storage/chunk_table.h"
#include "storage/object_writer.h"

namespace nearside::storage {

namespace {

/// Purge marks take up to a quarter of the heads' map, at 64 bytes each.
constexpr uint64_t kMarkShare = 4;
constexpr uint64_t kMarkBytes = 64;
constexpr uint64_t kMostMarks = 1 << 20;
/// A load that is overtaken again and again is answered as a miss.
constexpr int kMostLoadTries = 8;

size_t MostMarks(const StoreLayout& layout) {
  return std::min(kMostMarks, layout.heads_map_bytes / kMarkShare / kMarkBytes);
}

}  // namespace

// ---- What the reader threads do

ColdReads::ColdReads(CacheOptions options, PayloadDecoder decoder,
                     std::unique_ptr<StoreDisk> opened)
    : disk(std::move(opened)),
      parts(std::move(options), std::move(decoder), BatchLimits(disk->layout()),
            MostMarks(disk->layout())) {}

void ColdReads::RemoveObject(const Key256& key, uint64_t object_id, Removal why) {
  HeadIndex::Slot slot = parts.index.Lock(key);
  parts.ram.EraseHead(key, object_id);
  const std::optional<HeadRef> pending = slot.pending();
  if (pending && (*pending == nullptr || (*pending)->head.object_id != object_id)) return;
  const Ticket ticket = parts.queue.PushRemoval({.key = key, .object_id = object_id, .why = why});
  slot.SetPending(ticket, nullptr);
}

bool ColdReads::ReadHead(const Key256& key, HeadIndex::LoadNumber load, ReadSession* session) {
  HeadRef found;
  std::vector<HeadIndex::Waiter> waiters;
  for (int tries = 0; waiters.empty(); ++tries) {
    found = session != nullptr ? ReadStored(key, *session) : nullptr;
    HeadIndex::Slot slot = parts.index.Lock(key);
    if (!slot.IsLoading(load)) return false;  // answered as too slow meanwhile
    const std::optional<HeadRef> pending = slot.pending();
    HeadRef in_ram = parts.ram.PeekHead(key);
    if (in_ram != nullptr || pending) {
      // It was put, or removed, since the load began: that is newer than what was read.
      found = in_ram != nullptr ? std::move(in_ram) : *pending;
    } else if (slot.overtaken()) {
      found = nullptr;
      if (session != nullptr && tries + 1 < kMostLoadTries) {
        slot.RestartLoad();
        continue;
      }
    }
    if (found != nullptr) parts.ram.InsertHead(found, ChargeOf(*found));
    waiters = slot.FinishLoad();
  }
  if (found != nullptr) {
    StoreCounters::Add(parts.counters.head_loads);
    parts.touches.Add(key);
  } else {
    StoreCounters::Add(parts.counters.head_misses);
  }
  for (HeadIndex::Waiter& waiter : waiters) {
    waiter.executor->Post([done = std::move(waiter.done), found] { done(found); });
  }
  return true;
}

/// The head as it is on disk now, or null; what is broken, expired or purged is removed.
HeadRef ColdReads::ReadStored(const Key256& key, ReadSession& session) {
  std::optional<HeadRecord> record;
  ChunkRef body;
  const Status read = session.WithHeads([&](const LmdbTxn& txn) -> Status {
    auto stored = storage::ReadHead(txn, disk->head_tables().heads, key);
    if (!stored) return tl::unexpected(stored.error());
    record = std::move(*stored);
    if (record && record->inline_body) {
      if (!record->inline_body->empty()) body = Chunk::Copy(*record->inline_body);
      record->inline_body = Bytes{};  // the page goes with the snapshot
    }
    return {};
  });
  if (session.abandoned()) return nullptr;
  if (!read) {
    // Whichever it is: the writer erases and counts a record that cannot be read.
    RemoveObject(key, 0, Removal::kBroken);
    return nullptr;
  }
  if (!record) return nullptr;
  const bool in_chunk =
      !record->inline_body && record->head.body_bytes > 0 && record->head.body_bytes <= kInlineBody;
  if (in_chunk) {
    const ChunkName name{.object_id = record->head.object_id, .index = 0};
    Result<ChunkRef> verified =
        ReadVerified(session, name, static_cast<uint32_t>(record->head.body_bytes));
    if (session.abandoned()) return nullptr;
    if (!verified) {
      RemoveObject(key, record->head.object_id, Removal::kBroken);
      return nullptr;
    }
    body = std::move(*verified);
  }
  return MakeLoaded(key, std::move(*record), std::move(body));
}

HeadRef ColdReads::MakeLoaded(const Key256& key, HeadRecord record, ChunkRef body) {
  const uint64_t object_id = record.head.object_id;
  const bool pinned = record.place.segment == Segment::kPinned;
  const bool expired = !pinned && record.head.drop_at <= WallNow();
  if (expired || parts.purges.Judge(record.head) == Validity::kGone) {
    RemoveObject(key, object_id, expired ? Removal::kExpired : Removal::kPurged);
    return nullptr;
  }
  std::shared_ptr<StoredHead> head = MakeStoredHead(parts, std::move(record.head), std::move(body));
  if (head == nullptr) RemoveObject(key, object_id, Removal::kBroken);
  return head;
}

bool ColdReads::ReadChunk(ChunkLoad& load, ReadSession* session) {
  Result<ChunkRef> result = FindOrRead(load, session);
  if (load.answered.exchange(true)) return false;
  parts.counters.cold_read_times->Record(MonoNow() - load.since);
  load.executor.Post([done = std::move(load.done), head = std::move(load.head),
                      result = std::move(result)]() mutable { done(std::move(result)); });
  return true;
}

Result<ChunkRef> ColdReads::FindOrRead(const ChunkLoad& load, ReadSession* session) {
  if (ChunkRef chunk = parts.ram.FindChunk(load.name)) return chunk;  // read by another meanwhile
  if (session == nullptr)
    return Fail(Fault::kSelf, "read_failed", "the disk takes too long, or the store is closing");
  if (load.name.index >= ChunkCount(load.body_bytes)) {
    return Fail(Fault::kSelf, "gone", "the body has no such chunk");
  }
  Result<ChunkRef> result =
      ReadVerified(*session, load.name, ChunkLength(load.body_bytes, load.name.index));
  if (session->abandoned()) return result;
  if (result) {
    StoreCounters::Add(parts.counters.chunk_loads);
    parts.ram.InsertChunk(load.name, *result);
    return result;
  }
  // LMDB has given the environment up, not this chunk: it is opened again.
  const bool content =
      !IsPanic(result.error()) && !IsDamage(result.error()) && result.error().reason != "lmdb";
  if (result.error().reason != "bad_checksum" && result.error().reason != "gone") {
    result.error().reason = "read_failed";
  }
  if (!content) return result;
  // A body with a hole is no body: the object is fetched anew.
  RemoveObject(load.key, load.name.object_id, Removal::kBroken);
  return result;
}

/// A chunk that does not match its checksum is counted.
Result<ChunkRef> ColdReads::ReadVerified(ReadSession& session, ChunkName name, uint32_t length) {
  CopiedChunk copy;
  const Status copied = session.WithChunks([&](const LmdbTxn& txn) -> Status {
    auto chunk = CopyChunk(txn, disk->chunk_tables(), name, length);
    if (!chunk) return tl::unexpected(chunk.error());
    copy = std::move(*chunk);
    return {};
  });
  Result<ChunkRef> result = copied ? VerifyChunk(name, std::move(copy))
                                   : Result<ChunkRef>(tl::unexpected(copied.error()));
  if (!result && result.error().reason == "bad_checksum") {
    StoreCounters::Add(parts.counters.checksum_failures);
  }
  return result;
}

// ---- The store

Result<std::unique_ptr<CacheStore>> LmdbCacheStore::Open(const CacheOptions& options,
                                                         PayloadDecoder decoder) {
  Result<std::unique_ptr<StoreDisk>> disk = StoreDisk::Open({.path = options.path,
                                                             .disk = options.disk,
                                                             .reserve = options.reserve_disk,
                                                             .readers = options.reader_threads});
  if (!disk) return tl::unexpected(disk.error());
  std::unique_ptr<LmdbCacheStore> store(
      new LmdbCacheStore(options, std::move(decoder), std::move(*disk)));
  store->writer_.Start();
  return store;
}

LmdbCacheStore::LmdbCacheStore(CacheOptions options, PayloadDecoder decoder,
                               std::unique_ptr<StoreDisk> disk)
    : reads_(std::make_shared<ColdReads>(std::move(options), std::move(decoder), std::move(disk))),
      parts_(reads_->parts),
      readers_(*reads_->disk,
               {.threads = parts_.options.reader_threads,
                .most_waiting = parts_.options.read_queue,
                .patience = parts_.options.read_timeout},
               reads_),
      writer_(parts_, *reads_->disk, readers_),
      metrics_(this) {
  parts_.purges.Load(reads_->disk->meta().purges, reads_->disk->TakeMarks());
  parts_.position = reads_->disk->meta().position;
}

LmdbCacheStore::~LmdbCacheStore() {
  metrics_.Detach();
  readers_.Stop();
  writer_.Stop();
  if (!parts_.pass_through.load()) reads_->disk->MarkSound();
}

HeadRef LmdbCacheStore::Find(const Key256& key) {
  HeadRef head = parts_.ram.FindHead(key);
  if (head == nullptr) {
    if (!parts_.presence.MayContain(key)) StoreCounters::Add(parts_.counters.head_misses);
    return nullptr;
  }
  if (parts_.purges.Check(*head) != Validity::kGone) {
    if (!head->unwritten.load(std::memory_order_relaxed)) return head;
    if (head->head.drop_at > WallNow()) {
      WriteUnwritten(parts_, head);
      return head;
    }
    // Nothing looks for those that have expired but on disk.
    parts_.ram.EraseThisHead(*head);
    StoreCounters::Add(parts_.counters.head_misses);
    return nullptr;
  }
  reads_->RemoveObject(key, head->head.object_id, Removal::kPurged);
  StoreCounters::Add(parts_.counters.head_misses);
  return nullptr;
}

bool LmdbCacheStore::MayBeOnDisk(const Key256& key) const {
  return parts_.presence.MayContain(key);
}

bool LmdbCacheStore::MayHold(const Key256& key) const {
  return parts_.presence.MayContain(key) || parts_.ram.PeekHead(key) != nullptr;
}

void LmdbCacheStore::Remove(const Key256& key) {
  HeadIndex::Slot slot = parts_.index.Lock(key);
  parts_.ram.EraseHead(key, std::nullopt);
  if (!parts_.presence.MayContain(key)) {
    slot.Overtake();
    return;
  }
  const Ticket ticket = parts_.queue.PushRemoval({.key = key});
  slot.SetPending(ticket, nullptr);
}

void LmdbCacheStore::Pin(const Key256& key, Executor& executor,
                         std::function<void(PinOutcome)> done) {
  const HeadRef head = parts_.ram.PeekHead(key);
  if (head && head->unwritten.load() && head->head.drop_at > WallNow()) {
    WriteUnwritten(parts_, head);
  }
  parts_.queue.PushPin({.kind = PinRequest::Kind::kPin,
                        .key = key,
                        .executor = &executor,
                        .done = std::move(done),
                        .listed = {}});
}

void LmdbCacheStore::Unpin(const Key256& key) {
  parts_.queue.PushPin({.kind = PinRequest::Kind::kUnpin, .key = key, .done = {}, .listed = {}});
}

void LmdbCacheStore::ListPinned(Executor& executor, std::function<void(std::vector<Key256>)> done) {
  parts_.queue.PushPin({.kind = PinRequest::Kind::kList,
                        .key = {},
                        .executor = &executor,
                        .done = {},
                        .listed = std::move(done)});
}

// ---- Loads

void LmdbCacheStore::Load(const Key256& key, Executor& executor,
                          std::function<void(HeadRef)> done) {
  HeadRef found;
  std::optional<HeadIndex::LoadNumber> load;
  {
    HeadIndex::Slot slot = parts_.index.Lock(key);
    found = parts_.ram.PeekHead(key);
    const std::optional<HeadRef> pending = slot.pending();
    if (found == nullptr && pending) {
      // RAM has evicted it already, or it is being removed.
      found = *pending;
      if (found != nullptr) parts_.ram.InsertHead(found, ChargeOf(*found));
    } else if (found == nullptr && parts_.presence.MayContain(key)) {
      load = slot.JoinLoad({.executor = &executor, .done = done});
      if (!load) return;
    }
  }
  if (load) return StartLoad(key, *load);
  if (found != nullptr && parts_.purges.Check(*found) == Validity::kGone) {
    reads_->RemoveObject(key, found->head.object_id, Removal::kPurged);
    found = nullptr;
  }
  if (found == nullptr) StoreCounters::Add(parts_.counters.head_misses);
  executor.Post([done = std::move(done), found = std::move(found)] { done(found); });
}

void LmdbCacheStore::StartLoad(const Key256& key, HeadIndex::LoadNumber load) {
  // The pool keeps reads_ for as long as a job runs.
  auto job = [reads = reads_.get(), key, load, since = MonoNow()](ReadSession* session) {
    if (!reads->ReadHead(key, load, session)) return false;
    reads->parts.counters.cold_read_times->Record(MonoNow() - since);
    return true;
  };
  if (readers_.Push(std::move(job))) return;
  StoreCounters::Add(parts_.counters.reads_refused);
  reads_->ReadHead(key, load, nullptr);
}

ChunkRef LmdbCacheStore::FindChunk(const CachedHead& head, uint32_t index) {
  if (head.inline_body) return index == 0 ? head.inline_body : ChunkRef();
  return parts_.ram.FindChunk({.object_id = head.head.object_id, .index = index});
}

void LmdbCacheStore::LoadChunk(HeadRef head, uint32_t index, Executor& executor,
                               std::function<void(Result<ChunkRef>)> done) {
  const ChunkName name{.object_id = head->head.object_id, .index = index};
  ChunkRef chunk = FindChunk(*head, index);
  if (!chunk) chunk = parts_.queue.FindChunk(name);
  if (!chunk) return StartChunkLoad(std::move(head), index, executor, std::move(done));
  executor.Post(
      [done = std::move(done), head = std::move(head), chunk = std::move(chunk)] { done(chunk); });
}

void LmdbCacheStore::StartChunkLoad(HeadRef head, uint32_t index, Executor& executor,
                                    std::function<void(Result<ChunkRef>)> done) {
  auto load = std::shared_ptr<ColdReads::ChunkLoad>(
      new ColdReads::ChunkLoad{.key = head->head.key,
                               .name = {.object_id = head->head.object_id, .index = index},
                               .body_bytes = head->head.body_bytes,
                               .since = MonoNow(),
                               .executor = executor,
                               .head = std::move(head),
                               .done = std::move(done)});
  // The pool keeps reads_ for as long as a job runs.
  auto job = [reads = reads_.get(), load](ReadSession* session) {
    return reads->ReadChunk(*load, session);
  };
  if (readers_.Push(std::move(job))) return;
  StoreCounters::Add(parts_.counters.reads_refused);
  executor.Post([done = std::move(load->done), head = std::move(load->head)] {
    done(Fail(Fault::kSelf, "queue_full", "too many cold reads wait for the disk"));
  });
}

// ---- Writing

std::unique_ptr<ObjectWriter> LmdbCacheStore::Begin(std::optional<uint64_t> known_bytes) {
  if (known_bytes.value_or(0) > LargestObject(parts_.options, parts_.options.disk)) {
    parts_.counters.Refuse(NotStored::kTooLarge);
    return nullptr;
  }
  const bool has_chunks = known_bytes.value_or(0) > kInlineBody;
  if (parts_.pass_through.load() || parts_.heads_held.load() ||
      (has_chunks && parts_.chunks_held.load())) {
    parts_.counters.Refuse(NotStored::kDiskFull);
    return nullptr;
  }
  return std::make_unique<LmdbObjectWriter>(parts_);
}

HeadRef LmdbCacheStore::Refresh(const HeadRef& old, Head head) {
  head.key = old->head.key;
  head.object_id = old->head.object_id;
  head.body_bytes = old->head.body_bytes;
  if (parts_.pass_through.load() || parts_.heads_held.load() ||
      HeadTooLong(head, InlineBytes(old->inline_body)) || !parts_.purges.MayStore(head)) {
    return nullptr;
  }
  std::shared_ptr<StoredHead> stored = MakeStoredHead(parts_, std::move(head), old->inline_body);
  if (stored == nullptr) return nullptr;
  const Key256& key = stored->head.key;
  const uint64_t charge = ChargeOf(*stored);
  HeadIndex::Slot slot = parts_.index.Lock(key);
  // What RAM has, or the writer is about to store, is the newest; anything else cannot be known
  // without a read.
  const std::optional<HeadRef> pending = slot.pending();
  if (parts_.ram.PeekHead(key) != old && !(pending && *pending == old)) return nullptr;
  if (old->unwritten.load()) {
    auto fill = std::make_shared<Fill>(stored->head.object_id, parts_.generation.load());
    if (PushWhole(parts_, stored, slot, std::move(fill))) return nullptr;
  } else {
    const std::optional<Ticket> ticket = parts_.queue.PushHead({.head = stored, .charge = charge});
    if (!ticket) return nullptr;
    slot.SetPending(*ticket, stored);
  }
  parts_.ram.InsertHead(stored, charge);
  // As after a fill: see LmdbObjectWriter::CommitHead. The writer thread refuses it too.
  if (!parts_.purges.MayStore(stored->head)) {
    parts_.ram.EraseThisHead(*stored);
    return nullptr;
  }
  return stored;
}

// ---- Purges

uint64_t LmdbCacheStore::Purge(const std::vector<ScopeHash>& scopes, bool soft,
                               std::optional<LogPosition> position, Executor* executor,
                               std::function<void()> on_durable) {
  const uint64_t sequence = parts_.purges.Apply(scopes, soft);
  // A local purge that nobody waits for goes with the next batch, within a second: each write to a
  // site would cost an fsync else.
  if (position || on_durable) {
    parts_.queue.PushDurable(
        {.position = position, .executor = executor, .done = std::move(on_durable)});
  }
  return sequence;
}

void LmdbCacheStore::Advance(LogPosition position, Executor* executor,
                             std::function<void()> on_durable) {
  parts_.queue.PushDurable(
      {.position = position, .executor = executor, .done = std::move(on_durable)});
}

uint64_t LmdbCacheStore::PurgeAll(Validity left) {
  const uint64_t sequence = parts_.purges.ApplyToAll(left);
  parts_.queue.PushDurable({});
  return sequence;
}

Validity LmdbCacheStore::Check(const CachedHead& head) const { return parts_.purges.Check(head); }
Validity LmdbCacheStore::CheckFetch(uint64_t purge_sequence,
                                    const std::vector<ScopeHash>& scopes) const {
  return parts_.purges.JudgeFetch(purge_sequence, scopes);
}
uint64_t LmdbCacheStore::purge_sequence() const { return parts_.purges.sequence(); }
LogPosition LmdbCacheStore::log_position() const { return parts_.durable_position(); }

// ---- Figures

CacheStats LmdbCacheStore::Stats() const {
  const RamTier::Figures ram = parts_.ram.Read();
  const StoreCounters& counters = parts_.counters;
  CacheStats stats;
  stats.memory_bytes = ram.bytes;
  stats.memory_heads = ram.heads;
  stats.memory_chunks = ram.chunks;
  stats.head_hits = ram.head_hits;
  stats.chunk_hits = ram.chunk_hits;
  stats.evicted_memory = ram.evicted;
  stats.disk_bytes = counters.disk_bytes;
  stats.disk_objects = counters.disk_objects;
  stats.disk_limit_bytes = parts_.options.disk.bytes;
  stats.head_loads = counters.head_loads;
  stats.head_misses = counters.head_misses;
  stats.chunk_loads = counters.chunk_loads;
  stats.stored = counters.stored;
  stats.unwritten = counters.unwritten;
  stats.written_later = counters.written_later;
  stats.not_stored = counters.AllNotStored();
  for (size_t i = 0; i < kNotStoredReasons; ++i) stats.not_stored_by[i] = counters.not_stored[i];
  for (size_t i = 0; i < kRemovals; ++i) stats.removed_by[i] = counters.removed[i];
  stats.evicted_disk = counters.Evicted();
  stats.expired = counters.Removed(Removal::kExpired);
  stats.checksum_failures = counters.checksum_failures;
  stats.write_errors = counters.write_errors;
  stats.orphans_swept = counters.orphans_swept;
  stats.reads_refused = counters.reads_refused;
  stats.reads_timed_out = readers_.timed_out();
  stats.write_queue_bytes = parts_.queue.bytes();
  stats.read_queue_length = readers_.length();
  stats.presence_bytes = parts_.presence.memory_bytes();
  stats.chunk_memory_bytes = ChunkMemory::Get().usage().region_bytes;
  stats.purge_marks = parts_.purges.scopes();
  stats.pinned_objects = counters.pinned_objects;
  stats.pinned_bytes = counters.pinned_bytes;
  stats.retired_bytes = counters.retired_bytes;
  stats.slab_dead_bytes = counters.slab_dead_bytes;
  stats.free_list_pages = counters.free_list_pages;
  stats.pinned_pages = counters.pinned_pages;
  stats.oldest_read =
      std::max(readers_.oldest_age(), milliseconds(counters.oldest_snapshot_ms.load()));
  stats.walked = parts_.presence.complete();
  stats.bodies_held = parts_.chunks_held;
  stats.heads_held = parts_.heads_held;
  stats.pass_through = parts_.pass_through;
  return stats;
}

CacheTimes LmdbCacheStore::Times() const {
  return {.batches = parts_.counters.batch_times, .cold_reads = parts_.counters.cold_read_times};
}

void LmdbCacheStore::ExportMetrics(metrics::Registry& registry) {
  metrics_.Declare(registry, Times());
}

void LmdbCacheStore::Flush() { parts_.queue.Flush(); }

}  // namespace nearside::storage
