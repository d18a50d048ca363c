#include "storage/memory_cache_store.h"

#include <algorithm>
#include <utility>

#include "runtime/chunk_memory.h"
#include "storage/chunk_codec.h"
#include "storage/head_codec.h"
#include "storage/object_writer.h"

namespace nearside::storage {

namespace {

constexpr milliseconds kSweepPeriod{1000};
/// Objects looked at under one hold of the lock.
constexpr size_t kObjectsPerSlice = 256;
/// Marks of purges may take a sixteenth of what objects may: 64 bytes each.
constexpr uint64_t kBytesPerMark = 16 * 64;
constexpr uint64_t kFewestMarks = 1024;
constexpr uint64_t kMostMarksInMemory = 1 << 20;

uint64_t ChargeOfObject(const MemoryObject& object) {
  uint64_t charge = ChargeOf(object) + object.chunks.capacity() * sizeof(ChunkRef);
  for (const ChunkRef& chunk : object.chunks) charge += chunk->charge();
  return charge;
}

}  // namespace

/// Bodies in the making count against the memory limit from the first chunk on.
class MemoryCacheStore::Writer final : public ObjectWriter {
 public:
  explicit Writer(MemoryCacheStore& store) : store_(store) {}
  ~Writer() override { Drop(); }

  void Append(ChunkRef chunk) override {
    if (finished_ || chunk->size() == 0) return;
    if (last_seen_) return GiveUp(NotStored::kRefused);
    last_seen_ = chunk->size() < kChunkBytes;
    body_bytes_ += chunk->size();
    if (body_bytes_ > LargestObject(store_.options_, store_.options_.memory)) {
      return GiveUp(NotStored::kTooLarge);
    }
    chunk = Trimmed(std::move(chunk));
    if (!store_.ram_.Reserve(chunk->charge())) return GiveUp(NotStored::kQueueFull);
    reserved_ += chunk->charge();
    chunks_.push_back(std::move(chunk));
  }

  /// RAM makes room at once or not at all.
  bool WaitsForRoom(Executor&, std::function<void()>) override { return false; }
  bool given_up() const override { return finished_; }

  HeadRef Commit(Head head) override {
    if (finished_) return nullptr;
    head.object_id = store_.next_id_.fetch_add(1);
    head.body_bytes = body_bytes_;
    const bool is_small = body_bytes_ > 0 && body_bytes_ <= kInlineBody;
    auto object = std::make_shared<MemoryObject>();
    if (HeadTooLong(head, 0)) return GiveUp(NotStored::kTooLarge), nullptr;
    const std::shared_lock accepting(store_.accepting_);
    if (!store_.purges_.MayStore(head)) return GiveUp(NotStored::kPurged), nullptr;
    object->head = std::move(head);
    object->payload = store_.decoder_(object->head);
    if (object->payload == nullptr) return GiveUp(NotStored::kRefused), nullptr;
    if (is_small) {
      object->inline_body = std::move(chunks_.front());
    } else {
      object->chunks = std::move(chunks_);
    }
    Drop();  // the tier counts the object from here on
    if (!store_.ram_.InsertHead(object, ChargeOfObject(*object))) {
      return GiveUp(NotStored::kTooLarge), nullptr;
    }
    store_.NoteExpiry(object->head);
    StoreCounters::Add(store_.counters_.stored);
    return object;
  }

 private:
  void Drop() {
    finished_ = true;
    chunks_.clear();
    store_.ram_.Release(std::exchange(reserved_, 0));
  }
  void GiveUp(NotStored reason) {
    store_.counters_.Refuse(reason);
    Drop();
  }

  MemoryCacheStore& store_;
  std::vector<ChunkRef> chunks_;
  uint64_t body_bytes_ = 0;
  uint64_t reserved_ = 0;
  bool last_seen_ = false;
  bool finished_ = false;
};

MemoryCacheStore::MemoryCacheStore(const CacheOptions& options, PayloadDecoder decoder)
    : options_(options),
      decoder_(std::move(decoder)),
      ram_(options.memory),
      purges_(std::clamp(options.memory.bytes / kBytesPerMark, kFewestMarks, kMostMarksInMemory),
              PurgeTable::Saving::kNever),
      metrics_(this) {
  sweeper_ = std::thread([this] { RunSweeper(); });
}

MemoryCacheStore::~MemoryCacheStore() {
  metrics_.Detach();
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  stopping_.notify_all();
  sweeper_.join();
}

void MemoryCacheStore::NoteExpiry(const Head& head) {
  const std::lock_guard lock(mutex_);
  expiry_.emplace(head.drop_at, head.object_id, head.key);
}

void MemoryCacheStore::RunSweeper() {
  std::unique_lock lock(mutex_);
  while (!stopping_.wait_for(lock, kSweepPeriod, [this] { return stop_; })) {
    lock.unlock();
    Sweep();
    Reclaim(MonoNow());
    lock.lock();
  }
}

void MemoryCacheStore::Sweep() {
  const WallTime now = WallNow();
  std::unique_lock lock(mutex_);
  while (!expiry_.empty()) {
    const auto [drop_at, object_id, key] = *expiry_.begin();
    if (drop_at > now) return;
    expiry_.erase(expiry_.begin());
    lock.unlock();
    // A freshened head of the same object has a row of its own, later.
    const HeadRef head = ram_.PeekHead(key);
    if (head != nullptr && head->head.drop_at <= now && ram_.EraseThisHead(*head)) {
      counters_.Remove(Removal::kExpired);
    }
    lock.lock();
  }
}

void MemoryCacheStore::Reclaim(MonoTime now) {
  const std::lock_guard reclaiming(reclaiming_);
  if (!reclaim_.Begin(now, purges_.sequence())) return;
  purges_.RefuseBefore(reclaim_.old_sequence());
  // What was accepted until then is in the tables once this lock has been had.
  { const std::unique_lock accepting(accepting_); }
  JudgeAll();
  reclaim_.End();
  purges_.Drop(reclaim_.floor());
}

/// Each object that is stored has a row in `expiry_`; those that come meanwhile know the purges up
/// to the floor.
void MemoryCacheStore::JudgeAll() {
  std::vector<Expiry> rows;
  do {
    {
      const std::lock_guard lock(mutex_);
      auto row = rows.empty() ? expiry_.begin() : expiry_.upper_bound(rows.back());
      rows.clear();
      for (; row != expiry_.end() && rows.size() < kObjectsPerSlice; ++row) rows.push_back(*row);
    }
    for (const Expiry& row : rows) {
      const HeadRef head = ram_.PeekHead(std::get<Key256>(row));
      if (head == nullptr) continue;
      const Validity validity = purges_.Judge(head->head);
      if (validity == Validity::kStale || validity == Validity::kUnsure) {
        reclaim_.NoteStale(head->head.purge_sequence);
      }
      if (validity == Validity::kGone && ram_.EraseThisHead(*head)) {
        counters_.Remove(Removal::kPurged);
      }
    }
  } while (!rows.empty());
}

HeadRef MemoryCacheStore::Find(const Key256& key) {
  HeadRef head = ram_.FindHead(key);
  if (head == nullptr || purges_.Check(*head) != Validity::kGone) return head;
  ram_.EraseThisHead(*head);
  return nullptr;
}

bool MemoryCacheStore::MayBeOnDisk(const Key256& /*key*/) const { return false; }

bool MemoryCacheStore::MayHold(const Key256& key) const { return ram_.PeekHead(key) != nullptr; }

void MemoryCacheStore::Load(const Key256& key, Executor& executor,
                            std::function<void(HeadRef)> done) {
  HeadRef found = ram_.PeekHead(key);
  if (found != nullptr && purges_.Check(*found) == Validity::kGone) found = nullptr;
  executor.Post([done = std::move(done), found = std::move(found)] { done(found); });
}

ChunkRef MemoryCacheStore::FindChunk(const CachedHead& head, uint32_t index) {
  if (head.inline_body) return index == 0 ? head.inline_body : ChunkRef();
  const auto& object = static_cast<const MemoryObject&>(head);
  return index < object.chunks.size() ? object.chunks[index] : ChunkRef();
}

void MemoryCacheStore::LoadChunk(HeadRef head, uint32_t index, Executor& executor,
                                 std::function<void(Result<ChunkRef>)> done) {
  Result<ChunkRef> result = FindChunk(*head, index);
  if (!*result) result = Fail(Fault::kSelf, "gone", "the body has no such chunk");
  executor.Post([done = std::move(done), head = std::move(head),
                 result = std::move(result)]() mutable { done(std::move(result)); });
}

std::unique_ptr<ObjectWriter> MemoryCacheStore::Begin(std::optional<uint64_t> known_bytes) {
  if (known_bytes.value_or(0) > LargestObject(options_, options_.memory)) {
    counters_.Refuse(NotStored::kTooLarge);
    return nullptr;
  }
  return std::make_unique<Writer>(*this);
}

HeadRef MemoryCacheStore::Refresh(const HeadRef& old, Head head) {
  head.key = old->head.key;
  head.object_id = old->head.object_id;
  head.body_bytes = old->head.body_bytes;
  const std::shared_lock accepting(accepting_);
  if (HeadTooLong(head, 0) || !purges_.MayStore(head)) return nullptr;
  auto object = std::make_shared<MemoryObject>();
  object->head = std::move(head);
  object->payload = decoder_(object->head);
  if (object->payload == nullptr) return nullptr;
  object->inline_body = old->inline_body;
  object->chunks = static_cast<const MemoryObject&>(*old).chunks;
  if (!ram_.ReplaceHead(*old, object, ChargeOfObject(*object))) return nullptr;
  NoteExpiry(object->head);
  return object;
}

void MemoryCacheStore::Remove(const Key256& key) { ram_.EraseHead(key, std::nullopt); }

void MemoryCacheStore::Pin(const Key256& /*key*/, Executor& executor,
                           std::function<void(PinOutcome)> done) {
  executor.Post([done = std::move(done)] { done(PinOutcome::kNoRoom); });
}

void MemoryCacheStore::Unpin(const Key256& /*key*/) {}

void MemoryCacheStore::ListPinned(Executor& executor,
                                  std::function<void(std::vector<Key256>)> done) {
  executor.Post([done = std::move(done)] { done({}); });
}

uint64_t MemoryCacheStore::Purge(const std::vector<ScopeHash>& scopes, bool soft,
                                 std::optional<LogPosition> position, Executor* executor,
                                 std::function<void()> on_durable) {
  const uint64_t sequence = purges_.Apply(scopes, soft);
  if (position) {
    Advance(*position, executor, std::move(on_durable));
  } else if (executor != nullptr && on_durable) {
    executor->Post(std::move(on_durable));
  }
  return sequence;
}

void MemoryCacheStore::Advance(LogPosition position, Executor* executor,
                               std::function<void()> on_durable) {
  {
    const std::lock_guard lock(mutex_);
    position_ = position;
  }
  if (executor != nullptr && on_durable) executor->Post(std::move(on_durable));
}

uint64_t MemoryCacheStore::PurgeAll(Validity left) { return purges_.ApplyToAll(left); }
Validity MemoryCacheStore::Check(const CachedHead& head) const { return purges_.Check(head); }
Validity MemoryCacheStore::CheckFetch(uint64_t purge_sequence,
                                      const std::vector<ScopeHash>& scopes) const {
  return purges_.JudgeFetch(purge_sequence, scopes);
}
uint64_t MemoryCacheStore::purge_sequence() const { return purges_.sequence(); }

LogPosition MemoryCacheStore::log_position() const {
  const std::lock_guard lock(mutex_);
  return position_;
}

CacheStats MemoryCacheStore::Stats() const {
  const RamTier::Figures ram = ram_.Read();
  CacheStats stats;
  stats.memory_bytes = ram.bytes;
  stats.memory_heads = ram.heads;
  stats.head_hits = ram.head_hits;
  stats.head_misses = ram.head_misses;
  stats.evicted_memory = ram.evicted;
  stats.stored = counters_.stored;
  stats.not_stored = counters_.AllNotStored();
  for (size_t i = 0; i < kNotStoredReasons; ++i) stats.not_stored_by[i] = counters_.not_stored[i];
  stats.expired = counters_.Removed(Removal::kExpired);
  for (const Removal why : {Removal::kExpired, Removal::kPurged}) {
    stats.removed_by[static_cast<size_t>(why)] = counters_.Removed(why);
  }
  stats.chunk_memory_bytes = ChunkMemory::Get().usage().region_bytes;
  stats.purge_marks = purges_.scopes();
  stats.walked = true;
  return stats;
}

CacheTimes MemoryCacheStore::Times() const {
  return {.batches = counters_.batch_times, .cold_reads = counters_.cold_read_times};
}

void MemoryCacheStore::ExportMetrics(metrics::Registry& registry) {
  metrics_.Declare(registry, Times());
}

void MemoryCacheStore::Flush() { Sweep(); }

}  // namespace nearside::storage
