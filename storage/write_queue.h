#pragma once

// What waits for the writer thread: chunks, head operations, purges to be made durable. Bounded by
// bytes for what fills it; operations that correct the store (removals, purges) are always taken.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <variant>
#include <vector>

#include "runtime/clock.h"
#include "runtime/executor.h"
#include "storage/cache_store.h"
#include "storage/chunk_codec.h"

namespace nearside::storage {

/// One object on its way to disk, shared by its writer and its queued parts.
struct Fill {
  Fill(uint64_t id, uint64_t store_generation) : object_id(id), generation(store_generation) {}
  const uint64_t object_id;
  const uint64_t generation;  ///< of the disk's content that its chunks go to (StoreParts)
  std::atomic<bool> failed{
      false};  ///< a part could not be written: the rest need not be, the head must not
  // The writer thread's.
  bool on_disk = false;  ///< a chunk of it has been committed
  bool doomed = false;   ///< and is to be erased
};

struct ChunkWrite {
  std::shared_ptr<Fill> fill;
  uint32_t index = 0;
  ChunkRef chunk;
};
/// Numbers a head operation; later ones of a key have larger tickets.
using Ticket = uint64_t;
/// A head to store with its object (`fill`), or in place of the head of an object already stored
/// (no `fill`).
struct HeadWrite {
  HeadRef head;
  std::shared_ptr<Fill> fill;
  bool inline_on_disk = false;  ///< the body goes into the head's record
  uint64_t charge = 0;          ///< bytes held in RAM while it waits
  Ticket ticket = 0;
};
struct HeadRemoval {
  Key256 key;
  std::optional<uint64_t> object_id;  ///< nullopt: whatever is stored
  Removal why = Removal::kRemoved;
  Ticket ticket = 0;
};
/// An object whose writer gave up: its chunks are to be erased.
struct Abandonment {
  std::shared_ptr<Fill> fill;
  uint32_t chunks = 0;  ///< so many were appended
};
using HeadOperation = std::variant<HeadWrite, HeadRemoval>;

/// A log position to be made durable together with the purges before it, and who is to be told.
struct DurableRequest {
  std::optional<LogPosition> position;
  Executor* executor = nullptr;
  std::function<void()> done;
};

/// To be pinned, unpinned, or told what is.
struct PinRequest {
  enum class Kind : uint8_t { kPin, kUnpin, kList } kind = Kind::kPin;
  Key256 key;
  Executor* executor = nullptr;
  std::function<void(PinOutcome)> done;             ///< of kPin
  std::function<void(std::vector<Key256>)> listed;  ///< of kList
};

struct WriteBatch {
  std::vector<ChunkWrite> chunks;
  std::vector<HeadOperation> heads;
  std::vector<PinRequest> pins;
  std::vector<Abandonment> abandoned;
  std::vector<DurableRequest> durable;
  uint64_t flushes =
      0;  ///< the number of the last Flush that this batch, the last before it, satisfies
  bool stop = false;
  bool empty() const {
    return chunks.empty() && heads.empty() && pins.empty() && abandoned.empty() && durable.empty();
  }
};

/// Any thread pushes, the writer thread takes.
class WriteQueue {
 public:
  /// What one batch takes at most, and how long its first entry waits for company.
  struct Limits {
    uint64_t chunk_bytes = 0;
    size_t chunks = 0;
    size_t heads = 0;
    milliseconds window{0};
  };
  WriteQueue(ByteSize limit, Limits batch) : limit_(limit.bytes), batch_(batch) {}

  /// False when the queue is full: the chunk is not taken.
  bool PushChunk(ChunkWrite write);
  /// Whether it is over half full and moves at all; if so `room` is posted to `executor` when it is
  /// under a quarter.
  bool WaitsForRoom(Executor& executor, std::function<void()> room);
  /// False when the queue is full. The ticket is filled in, and returned.
  std::optional<Ticket> PushHead(HeadWrite write);
  /// The same of an object of one chunk: both are taken or none.
  std::optional<Ticket> PushObject(ChunkWrite chunk, HeadWrite head);
  Ticket PushRemoval(HeadRemoval removal);
  void PushAbandonment(Abandonment abandonment);
  void PushPin(PinRequest request);
  void PushDurable(DurableRequest request);

  /// Waits until everything pushed before is durable, or has failed to be.
  void Flush();
  void Stop();
  /// Has the writer look at once: there is something that is not in the queue.
  void Wake();

  /// The next batch: waits for the first entry until `deadline`, then for the window to end unless
  /// a limit is reached or somebody waits (flush, durable). May be empty.
  WriteBatch Take(MonoTime deadline);
  /// Says that the flushes up to this number are satisfied.
  void FinishFlushes(uint64_t flushes);
  /// The chunks have been written, or never will be: their bytes are free, FindChunk knows them no
  /// more.
  void FinishChunks(const std::vector<ChunkWrite>& chunks);

  /// The newest head operation's.
  Ticket last_ticket() const;
  /// A chunk that is not yet on disk.
  ChunkRef FindChunk(ChunkName name) const;
  uint64_t bytes() const;
  /// Head operations and chunks that wait.
  size_t length() const;

 private:
  using Entry = std::variant<ChunkWrite, HeadWrite, HeadRemoval, PinRequest, Abandonment>;
  struct NameHash {
    size_t operator()(const ChunkName& name) const { return name.hash(); }
  };
  struct RoomWaiter {
    Executor* executor = nullptr;
    std::function<void()> room;
  };
  bool FullLocked(uint64_t more) const { return bytes_ + more > limit_; }
  bool UrgentLocked() const {
    return stop_ || wake_ || !durable_.empty() || flushes_ > taken_flushes_;
  }
  bool ReachesLocked() const;
  bool AddLocked(Entry entry);
  bool AddChunkLocked(ChunkWrite write);
  bool AddHeadLocked(HeadWrite write);
  void WakeRoomWaitersLocked();

  const uint64_t limit_;
  const Limits batch_;
  mutable std::mutex mutex_;
  std::condition_variable filled_;
  std::condition_variable flushed_;
  std::deque<Entry> entries_;
  std::vector<DurableRequest> durable_;
  std::vector<RoomWaiter> room_waiters_;
  std::unordered_map<ChunkName, ChunkRef, NameHash> waiting_chunks_;
  uint64_t bytes_ = 0;         ///< of chunks not finished and heads not taken
  uint64_t queued_bytes_ = 0;  ///< of chunks not taken
  size_t queued_chunks_ = 0;
  MonoTime moved_at_ = MonoNow();  ///< when the writer thread finished its last batch
  MonoTime first_at_{};            ///< when the oldest entry came
  Ticket last_ticket_ = 0;
  uint64_t flushes_ = 0, taken_flushes_ = 0, finished_flushes_ = 0;
  bool stop_ = false;
  bool wake_ = false;
};

}  // namespace nearside::storage
