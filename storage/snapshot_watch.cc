#include "storage/snapshot_watch.h"

namespace nearside::storage {

void SnapshotWatch::Look(LmdbEnv& env, MonoTime now) {
  std::optional<LmdbReader> oldest = env.OldestReader();
  // The newest snapshot holds nothing back. An older one can no longer be begun: seen twice, it was
  // held between.
  if (oldest && oldest->snapshot >= env.LastCommit()) oldest.reset();
  if (oldest && oldest_ && oldest->snapshot == oldest_->snapshot) {
    env.FreeDeadReaders();
    return;
  }
  oldest_ = oldest;
  since_ = now;
}

milliseconds SnapshotWatch::age(MonoTime now) const {
  if (!oldest_) return milliseconds(0);
  return std::chrono::duration_cast<milliseconds>(now - since_);
}

}  // namespace nearside::storage
