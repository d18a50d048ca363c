#include "storage/ghost_table.h"

#include <algorithm>
#include <bit>

namespace nearside::storage {

GhostTable::GhostTable(size_t entries)
    : buckets_(std::bit_ceil(std::max<size_t>(entries / std::tuple_size_v<Bucket>, 1))) {}

void GhostTable::Add(uint64_t hash) {
  const auto fingerprint = static_cast<uint32_t>(hash >> 32);
  Bucket& bucket = BucketOf(hash);
  if (++clock_ == 0) clock_ = 1;
  Entry* oldest = &bucket[0];
  for (Entry& entry : bucket) {
    if (entry.fingerprint == fingerprint && entry.added != 0) {
      entry.added = clock_;
      return;
    }
    if (entry.added < oldest->added) oldest = &entry;
  }
  *oldest = {.fingerprint = fingerprint, .added = clock_};
}

bool GhostTable::Take(uint64_t hash, uint64_t window) {
  const auto fingerprint = static_cast<uint32_t>(hash >> 32);
  for (Entry& entry : BucketOf(hash)) {
    if (entry.added == 0 || entry.fingerprint != fingerprint) continue;
    const bool recent = clock_ - entry.added < window;
    entry = {};
    return recent;
  }
  return false;
}

}  // namespace nearside::storage
