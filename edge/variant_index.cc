#include "edge/variant_index.h"

#include <algorithm>
#include <utility>

#include "http/accept_language.h"
#include "http/date.h"

namespace nearside::edge {

WallTime DateOf(const StoredResponse& response) {
  const WallTime came = response.freshness.response_time;
  return http::ParseDate(response.fields.Get("date").value_or(""), came).value_or(came);
}

Variant MakeVariant(const Key256& key, http::Fields selecting, const StoredResponse& response) {
  return {.selecting = std::move(selecting),
          .key = key,
          .stored_at = response.freshness.response_time,
          .date = DateOf(response),
          .language = http::SoleContentLanguage(response.fields)};
}

void CommitVariant(storage::CacheStore& store, IndexLocks& locks, IndexEntry entry) {
  storage::Head& head = entry.head;
  StoredResponse index;
  index.url = std::move(entry.url);
  index.freshness.response_time = head.stored_at = entry.newest.stored_at;
  index.since = entry.object_id;
  const Key256 newest = entry.newest.key;
  const auto lock = locks.Hold(head.key);
  storage::HeadRef known = store.Find(head.key);
  if (!known) known = std::move(entry.before);
  if (known && store.Check(*known) != storage::Validity::kGone) {
    const StoredResponse& there = ResponseOf(*known);
    if (!there.is_index() && known->head.object_id > entry.object_id) return;
    head.drop_at = std::max(head.drop_at, known->head.drop_at);
    const bool is_listed =
        std::any_of(there.variants.begin(), there.variants.end(),
                    [&](const Variant& variant) { return variant.key == newest; });
    if (is_listed || (there.is_index() && there.since < index.since)) index.since = there.since;
    for (const Variant& other : there.variants) {
      if (index.variants.size() == kMaxVariants - 1) break;
      if (other.key != newest) index.variants.push_back(other);
    }
  }
  const auto place =
      std::find_if(index.variants.begin(), index.variants.end(),
                   [&entry](const Variant& other) { return other.date <= entry.newest.date; });
  index.variants.insert(place, std::move(entry.newest));
  auto writer = store.Begin(0);
  head.meta = EncodeStored(index);
  // What no index names would be found again once there is one, whatever was purged meanwhile.
  if (!writer || !writer->Commit(std::move(head))) store.Remove(newest);
}

bool IsFromBefore(const storage::CachedHead& top, const storage::CachedHead& variant) {
  const StoredResponse& response = ResponseOf(top);
  return !response.is_index() || variant.head.object_id < response.since;
}

}  // namespace nearside::edge
