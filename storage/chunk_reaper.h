#pragma once

// Chunks of objects whose heads are gone: erased in short steps, those that a client still streams
// when it has finished. What a kill leaves of this list are orphans, found by the walk at the next
// start.

#include <cstdint>
#include <deque>
#include <unordered_set>

#include "runtime/clock.h"
#include "storage/chunk_batch.h"
#include "storage/live_objects.h"

namespace nearside::storage {

/// Writer thread.
class ChunkReaper {
 public:
  /// `body_bytes` 0: unknown.
  void Add(uint64_t object_id, uint64_t body_bytes);
  /// The same when nobody holds the object any more.
  void AddWhenReleased(uint64_t object_id, uint64_t body_bytes, MonoTime now);
  /// Turns to those that have been released, were waited for too long, or would keep more than
  /// `most_bytes`.
  void CollectReleased(const LiveObjects& live, MonoTime now, uint64_t most_bytes);

  /// Erases up to `most` chunks inside `batch`. How many. Confirm when it is committed, else Undo.
  Result<size_t> Step(ChunkBatch& batch, size_t most);
  void Confirm();
  void Undo() { finished_ = 0; }
  void Clear();

  bool idle() const { return doomed_.empty(); }
  bool Knows(uint64_t object_id) const { return known_.contains(object_id); }
  /// Of chunks that will be erased soon; an estimate. Whole chunks give their pages back at once,
  /// tails when their slab goes.
  uint64_t doomed_bytes() const { return doomed_bytes_; }
  uint64_t doomed_tail_bytes() const { return doomed_tail_bytes_; }
  uint64_t retired_bytes() const { return retired_bytes_; }

 private:
  struct Object {
    uint64_t object_id = 0;
    uint64_t body_bytes = 0;
    MonoTime since{};
  };
  void Doom(const Object& object);
  std::deque<Object> doomed_;
  std::deque<Object> retired_;
  std::unordered_multiset<uint64_t> known_;
  uint64_t doomed_bytes_ = 0;
  uint64_t doomed_tail_bytes_ = 0;  ///< of these
  uint64_t retired_bytes_ = 0;
  size_t finished_ =
      0;  ///< of doomed_, from the front: erased by the step that is not yet committed
};

}  // namespace nearside::storage
