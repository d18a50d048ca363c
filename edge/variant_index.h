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

/// When a stored response was made, as its Date says; where that is none, when it came.
WallTime DateOf(const StoredResponse& response);

/// A response that is stored under `key` for requests that say `selecting`.
Variant MakeVariant(const Key256& key, http::Fields selecting, const StoredResponse& response);

/// One more variant of a resource.
struct IndexEntry {
  storage::Head head;      ///< of the index: key, scopes, purge sequence, and the variant's drop_at
  Variant newest;          ///< has just been stored, or validated
  uint64_t object_id = 0;  ///< of the variant, in the store
  std::string url;         ///< for `explain`
  storage::HeadRef before;  ///< the index at lookup, for when RAM has it no more; or null
};

/// Lists a variant in the index of its resource, whoever else does so at the same time, where its
/// date puts it (RFC 9111 §4). Of more than kMaxVariants the one of the oldest date goes. The
/// index's `since` is the id of the oldest one it has ever listed: what is older was stored under
/// an index that is gone, and what changed while there was none has passed it by (a change is not
/// looked for where nothing seems to be stored). Does nothing where a response without Vary has
/// come after the variant.
void CommitVariant(storage::CacheStore& store, IndexLocks& locks, IndexEntry entry);

/// Whether what is stored under a variant's key is from before `top`, which stands under the
/// resource's own: nobody is to be answered with it. By the store's ids, as clocks may be set, and
/// a 304 that was long under way makes what is old young again.
bool IsFromBefore(const storage::CachedHead& top, const storage::CachedHead& variant);

}  // namespace nearside::edge
