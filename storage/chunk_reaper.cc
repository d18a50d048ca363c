#include "storage/chunk_reaper.h"

#include <algorithm>
#include <utility>

namespace nearside::storage {

namespace {

/// A client that needs longer for the rest of a body that was replaced gets it cut off.
constexpr std::chrono::minutes kLongestHold{30};

}  // namespace

void ChunkReaper::Add(uint64_t object_id, uint64_t body_bytes) {
  Doom({.object_id = object_id, .body_bytes = body_bytes});
  known_.insert(object_id);
}

void ChunkReaper::Doom(const Object& object) {
  doomed_.push_back(object);
  doomed_bytes_ += object.body_bytes;
  doomed_tail_bytes_ += object.body_bytes % kChunkBytes;
}

void ChunkReaper::AddWhenReleased(uint64_t object_id, uint64_t body_bytes, MonoTime now) {
  retired_.push_back({.object_id = object_id, .body_bytes = body_bytes, .since = now});
  retired_bytes_ += body_bytes;
  known_.insert(object_id);
}

void ChunkReaper::CollectReleased(const LiveObjects& live, MonoTime now, uint64_t most_bytes) {
  std::deque<Object> kept;
  uint64_t kept_bytes = retired_bytes_;
  for (Object& object : std::exchange(retired_, {})) {
    const bool keep = live.Contains(object.object_id) && now - object.since < kLongestHold &&
                      kept_bytes <= most_bytes;
    if (keep) {
      kept.push_back(object);
      continue;
    }
    kept_bytes -= object.body_bytes;
    Doom(object);
  }
  retired_ = std::move(kept);
  retired_bytes_ = kept_bytes;
}

Result<size_t> ChunkReaper::Step(ChunkBatch& batch, size_t most) {
  size_t erased = 0;
  finished_ = 0;
  for (const Object& object : doomed_) {
    if (erased >= most) break;
    const size_t room = most - erased;
    const Result<size_t> count = batch.Erase(object.object_id, room);
    if (!count) return count;
    erased += std::max<size_t>(*count, 1);  // looking for one that has none is work too
    if (*count < room) ++finished_;
  }
  return erased;
}

void ChunkReaper::Confirm() {
  for (; finished_ > 0; --finished_) {
    const Object& object = doomed_.front();
    doomed_bytes_ -= object.body_bytes;
    doomed_tail_bytes_ -= object.body_bytes % kChunkBytes;
    known_.erase(known_.find(object.object_id));
    doomed_.pop_front();
  }
}

void ChunkReaper::Clear() {
  doomed_.clear();
  retired_.clear();
  known_.clear();
  doomed_bytes_ = doomed_tail_bytes_ = retired_bytes_ = 0;
  finished_ = 0;
}

}  // namespace nearside::storage
