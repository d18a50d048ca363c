#include "storage/write_queue.h"

#include <algorithm>
#include <utility>

namespace nearside::storage {

namespace {

/// Nobody waits for room at a disk that has done nothing for so long.
constexpr seconds kPatience{2};

}  // namespace

/// Whether the writer is to be woken: for the first entry and for a full batch, not for each one
/// between.
bool WriteQueue::AddLocked(Entry entry) {
  entries_.push_back(std::move(entry));
  if (entries_.size() == 1) first_at_ = MonoNow();
  return entries_.size() == 1 || ReachesLocked();
}

bool WriteQueue::AddChunkLocked(ChunkWrite write) {
  bytes_ += write.chunk->charge();
  queued_bytes_ += write.chunk->size();
  ++queued_chunks_;
  const ChunkName name{.object_id = write.fill->object_id, .index = write.index};
  waiting_chunks_.emplace(name, write.chunk);
  return AddLocked(std::move(write));
}

bool WriteQueue::AddHeadLocked(HeadWrite write) {
  bytes_ += write.charge;
  write.ticket = ++last_ticket_;
  return AddLocked(std::move(write));
}

bool WriteQueue::PushChunk(ChunkWrite write) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (stop_ || FullLocked(write.chunk->charge())) return false;
    wake = AddChunkLocked(std::move(write));
  }
  if (wake) filled_.notify_one();
  return true;
}

bool WriteQueue::WaitsForRoom(Executor& executor, std::function<void()> room) {
  const std::lock_guard lock(mutex_);
  if (stop_ || bytes_ <= limit_ / 2 || MonoNow() - moved_at_ > kPatience) return false;
  room_waiters_.push_back({.executor = &executor, .room = std::move(room)});
  return true;
}

std::optional<Ticket> WriteQueue::PushHead(HeadWrite write) {
  Ticket ticket = 0;
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (stop_ || FullLocked(write.charge)) return std::nullopt;
    wake = AddHeadLocked(std::move(write));
    ticket = last_ticket_;
  }
  if (wake) filled_.notify_one();
  return ticket;
}

std::optional<Ticket> WriteQueue::PushObject(ChunkWrite chunk, HeadWrite head) {
  Ticket ticket = 0;
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    if (stop_ || FullLocked(chunk.chunk->charge() + head.charge)) return std::nullopt;
    wake = AddChunkLocked(std::move(chunk));
    wake = AddHeadLocked(std::move(head)) || wake;
    ticket = last_ticket_;
  }
  if (wake) filled_.notify_one();
  return ticket;
}

Ticket WriteQueue::PushRemoval(HeadRemoval removal) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    removal.ticket = ++last_ticket_;
    wake = AddLocked(removal);
  }
  if (wake) filled_.notify_one();
  return removal.ticket;
}

void WriteQueue::PushAbandonment(Abandonment abandonment) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    wake = AddLocked(abandonment);
  }
  if (wake) filled_.notify_one();
}

void WriteQueue::PushPin(PinRequest request) {
  bool wake = false;
  {
    const std::lock_guard lock(mutex_);
    wake = AddLocked(std::move(request));
  }
  if (wake) filled_.notify_one();
}

void WriteQueue::PushDurable(DurableRequest request) {
  {
    const std::lock_guard lock(mutex_);
    durable_.push_back(std::move(request));
  }
  filled_.notify_one();
}

void WriteQueue::Flush() {
  std::unique_lock lock(mutex_);
  if (stop_) return;
  const uint64_t mine = ++flushes_;
  filled_.notify_one();
  flushed_.wait(lock, [&] { return finished_flushes_ >= mine; });
}

void WriteQueue::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
    WakeRoomWaitersLocked();
  }
  filled_.notify_one();
}

void WriteQueue::Wake() {
  {
    const std::lock_guard lock(mutex_);
    wake_ = true;
  }
  filled_.notify_one();
}

bool WriteQueue::ReachesLocked() const {
  return queued_bytes_ >= batch_.chunk_bytes || queued_chunks_ >= batch_.chunks ||
         entries_.size() - queued_chunks_ >= batch_.heads;
}

WriteBatch WriteQueue::Take(MonoTime deadline) {
  std::unique_lock lock(mutex_);
  filled_.wait_until(lock, deadline, [&] { return UrgentLocked() || !entries_.empty(); });
  if (!entries_.empty()) {
    filled_.wait_until(lock, first_at_ + batch_.window,
                       [&] { return UrgentLocked() || ReachesLocked(); });
  }
  WriteBatch batch{.stop = stop_};
  wake_ = false;
  uint64_t chunk_bytes = 0;
  while (!entries_.empty() && chunk_bytes < batch_.chunk_bytes &&
         batch.chunks.size() < batch_.chunks && batch.heads.size() < batch_.heads) {
    Entry entry = std::move(entries_.front());
    entries_.pop_front();
    if (auto* chunk = std::get_if<ChunkWrite>(&entry)) {
      chunk_bytes += chunk->chunk->size();
      queued_bytes_ -= chunk->chunk->size();
      --queued_chunks_;
      batch.chunks.push_back(std::move(*chunk));
    } else if (auto* head = std::get_if<HeadWrite>(&entry)) {
      bytes_ -= head->charge;
      batch.heads.emplace_back(std::move(*head));
    } else if (auto* removal = std::get_if<HeadRemoval>(&entry)) {
      batch.heads.emplace_back(*removal);
    } else if (auto* pin = std::get_if<PinRequest>(&entry)) {
      batch.pins.push_back(std::move(*pin));
    } else {
      batch.abandoned.push_back(std::get<Abandonment>(entry));
    }
  }
  batch.durable = std::exchange(durable_, {});
  if (entries_.empty()) batch.flushes = taken_flushes_ = flushes_;
  return batch;
}

void WriteQueue::FinishFlushes(uint64_t flushes) {
  {
    const std::lock_guard lock(mutex_);
    finished_flushes_ = std::max(finished_flushes_, flushes);
  }
  flushed_.notify_all();
}

void WriteQueue::FinishChunks(const std::vector<ChunkWrite>& chunks) {
  const std::lock_guard lock(mutex_);
  moved_at_ = MonoNow();
  for (const ChunkWrite& write : chunks) {
    bytes_ -= write.chunk->charge();
    waiting_chunks_.erase({.object_id = write.fill->object_id, .index = write.index});
  }
  if (bytes_ <= limit_ / 4) WakeRoomWaitersLocked();
}

void WriteQueue::WakeRoomWaitersLocked() {
  for (RoomWaiter& waiter : std::exchange(room_waiters_, {})) {
    waiter.executor->Post(std::move(waiter.room));
  }
}

ChunkRef WriteQueue::FindChunk(ChunkName name) const {
  const std::lock_guard lock(mutex_);
  const auto found = waiting_chunks_.find(name);
  return found != waiting_chunks_.end() ? found->second : ChunkRef();
}

Ticket WriteQueue::last_ticket() const {
  const std::lock_guard lock(mutex_);
  return last_ticket_;
}

uint64_t WriteQueue::bytes() const {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

size_t WriteQueue::length() const {
  const std::lock_guard lock(mutex_);
  return entries_.size();
}

}  // namespace nearside::storage
