#include "edge/variant_index.h"

#include <algorithm>
#include <utility>

namespace nearside::edge {

void CommitVariant(storage::CacheStore& store, IndexLocks& locks, IndexEntry entry) {
  storage::Head& head = entry.head;
  StoredResponse index;
  index.url = std::move(entry.url);
  index.freshness.response_time = head.stored_at = entry.newest.stored_at;
  const Key256 newest = entry.newest.key;
  index.variants.push_back(std::move(entry.newest));
  const auto lock = locks.Hold(head.key);
  storage::HeadRef known = store.Find(head.key);
  if (!known) known = std::move(entry.before);
  if (known && store.Check(*known) != storage::Validity::kGone) {
    head.drop_at = std::max(head.drop_at, known->head.drop_at);
    WallTime& since = index.freshness.response_time;
    since = std::min(since, ResponseOf(*known).freshness.response_time);
    for (const Variant& other : ResponseOf(*known).variants) {
      if (index.variants.size() == kMaxVariants) break;
      if (other.key != newest) index.variants.push_back(other);
    }
  }
  auto writer = store.Begin(0);
  head.meta = EncodeStored(index);
  // What no index names would be found again once there is one, whatever was purged meanwhile.
  if (!writer || !writer->Commit(std::move(head))) store.Remove(newest);
}

}  // namespace nearside::edge
