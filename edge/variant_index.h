#pragma once

#include <array>
#include <mutex>

#include "edge/stored_response.h"
#include "runtime/hash.h"
#include "storage/cache_store.h"

namespace nearside::edge {

/// Locks by key, so that one index is changed by one worker at a time. Any thread. They are held
/// for the microseconds of a look-up in RAM and a commit, which wait for no disk.
class IndexLocks {
 public:
  std::unique_lock<std::mutex> Hold(const Key256& primary) {
    return std::unique_lock(mutexes_[primary.bytes[31] % mutexes_.size()]);
  }

 private:
  std::array<std::mutex, 64> mutexes_;
};

/// One more variant of a resource.
struct IndexEntry {
  storage::Head head;  ///< of the index: key, scopes, purge sequence, and the variant's drop_at
  Variant newest;      ///< goes first
  std::string url;     ///< for `explain`
  storage::HeadRef before;  ///< the index at lookup, for when RAM has it no more; or null
};

/// Lists a variant in the index of its resource, whoever else does so at the same time, keeping the
/// newest kMaxVariants. The index's freshness.response_time is that of the oldest one it has ever
/// listed: what is older was stored under an index that is gone, and what changed while there was
/// none has passed it by (a change is not looked for where nothing seems to be stored).
void CommitVariant(storage::CacheStore& store, IndexLocks& locks, IndexEntry entry);

}  // namespace nearside::edge
