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
  const Key256 newest = entry.newest.key;
  const auto lock = locks.Hold(head.key);
  storage::HeadRef known = store.Find(head.key);
  if (!known) known = std::move(entry.before);
  if (known && store.Check(*known) != storage::Validity::kGone) {
    head.drop_at = std::max(head.drop_at, known->head.drop_at);
    // A response without Vary that stood there has none of the variants before it.
    const StoredResponse& before = ResponseOf(*known);
    WallTime& since = index.freshness.response_time;
    if (before.is_index()) since = std::min(since, before.freshness.response_time);
    for (const Variant& other : before.variants) {
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

}  // namespace nearside::edge
