#pragma once

// How long the oldest snapshot of an environment has been held, by whichever process: one of our
// reader threads, or somebody's mdb_copy. LMDB's reader table tells ids without times, so they are
// seen to stay.

#include <optional>

#include "runtime/clock.h"
#include "storage/lmdb_env.h"

namespace nearside::storage {

/// Owned by the writer thread.
class SnapshotWatch {
 public:
  /// Looks at the table now. Slots of dead processes are freed once they hold something back.
  void Look(LmdbEnv& env, MonoTime now);
  /// Since when at least the oldest snapshot has held freed pages back, as seen by Look; zero when
  /// none does.
  milliseconds age(MonoTime now) const;
  /// The process that holds it; 0 for none.
  int pid() const { return oldest_ ? oldest_->pid : 0; }

 private:
  std::optional<LmdbReader> oldest_;
  MonoTime since_{};
};

}  // namespace nearside::storage
