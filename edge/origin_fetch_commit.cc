// The end of a fetch whose response is stored: under which key, and whether it still may.

#include "edge/cache_key.h"
#include "edge/origin_fetch.h"
#include "edge/purge.h"
#include "edge/variant_index.h"
#include "edge/worker.h"
#include "http/accept_language.h"

namespace nearside::edge {

storage::Head OriginFetch::MakeStorageHead(const Key256& key, const StoredResponse& response,
                                           WallTime drop_at) const {
  storage::Head head;
  head.key = key;
  head.stored_at = response.freshness.response_time;
  head.drop_at = drop_at;
  head.purge_sequence = purge_sequence_;
  head.scopes = ScopesOfObject(order_.site->settings.name, order_.target, response.tags);
  head.meta = EncodeStored(response);
  return head;
}

/// Whether another fetch beside this one has stored something else under the key while this one was
/// under way: requests that do not wait for one another may be answered in any order.
bool OriginFetch::IsOvertakenByAnother(const Key256& key) const {
  Node& node = worker_.node();
  if (!counted_ || !node.fills.IsStoredSince(order_.primary, key, stored_then_)) return false;
  const storage::HeadRef top = node.store->Find(order_.primary);
  if (!top || ResponseOf(*top).is_index() != (key != order_.primary)) return true;
  const storage::HeadRef there = node.store->Find(key);
  if (!there) return true;
  const http::Fields& theirs = ResponseOf(*there).fields;
  for (const std::string_view validator : {"etag", "last-modified"}) {
    const auto ours = response_->fields.Get(validator);
    if (ours) return ours != theirs.Get(validator);
  }
  return true;
}

/// Whether what stands under the key was fetched after a purge that came when this fetch was under
/// way, or by another one meanwhile. Which of the two is of the later release nobody knows: neither
/// stays, nor what others still fetch that began before now.
bool OriginFetch::IsOvertaken(const Key256& key) const {
  if (IsOvertakenByAnother(key)) return true;
  storage::CacheStore& store = *worker_.node().store;
  if (const storage::HeadRef there = store.Find(key)) {
    return there->head.purge_sequence > purge_sequence_;
  }
  // What is on disk alone may have been fetched then as well.
  return store.purge_sequence() > purge_sequence_ && store.MayBeOnDisk(key);
}

/// Whether more than a tail stands under the key by now: a tail is not to take its place.
bool OriginFetch::IsInTheWay(const Key256& key) const {
  storage::CacheStore& store = *worker_.node().store;
  const storage::HeadRef there = store.Find(key);
  return there ? !ResponseOf(*there).is_tail() : store.MayBeOnDisk(key);
}

storage::HeadRef OriginFetch::Commit() {
  if (ChunkRef tail = order_.fill->TakeTail()) writer_->Append(std::move(tail));
  if (order_.sliced) return CommitSlice();
  StoredResponse stored = *response_;
  // RFC 9110 §8.6: not with a 204.
  if (!stored.fields.Has("content-length") && !http::StatusHasNoContent(stored.status)) {
    stored.fields.Add("content-length", std::to_string(order_.fill->published()));
  }
  const http::Fields& selecting = order_.fill->head().selecting;
  Key256 key = order_.primary;
  if (!selecting.empty()) key = VariantKey(order_.primary, selecting);
  storage::HeadRef kept;
  {
    // Of two that end on two workers at once, one sees the other.
    const auto lock = worker_.node().index_locks.Hold(order_.primary);
    if (response_->is_tail() && IsInTheWay(key)) {
      // The clients have it; it is not worth what is there.
    } else if (!IsOvertaken(key)) {
      kept = writer_->Commit(MakeStorageHead(key, stored, decision_.drop_at));
      if (kept && !stored.is_tail()) worker_.node().fills.NoteStored(order_.primary, key);
    } else {
      Invalidate(worker_.node(), *order_.site, order_.url);
    }
  }
  writer_.reset();
  if (kept && !selecting.empty()) {
    const WallTime stored_at = response_->freshness.response_time;
    CommitIndex({.selecting = selecting,
                 .key = key,
                 .stored_at = stored_at,
                 .language = http::SoleContentLanguage(stored.fields)},
                decision_.drop_at);
  }
  return kept;
}

void OriginFetch::CommitIndex(const Variant& newest, WallTime drop_at) {
  IndexEntry entry;
  entry.head.key = order_.primary;
  entry.head.drop_at = drop_at;
  entry.head.purge_sequence = purge_sequence_;
  entry.head.scopes = ScopesOfObject(order_.site->settings.name, order_.target, {});
  entry.newest = newest;
  entry.url = order_.url;
  entry.before = order_.index;
  CommitVariant(*worker_.node().store, worker_.node().index_locks, std::move(entry));
}

/// A variant that was validated is kept longer than the index knows: without it, it would not be
/// found.
void OriginFetch::ProlongIndex() {
  if (!order_.index || order_.index->head.drop_at >= decision_.drop_at) return;
  for (const Variant& variant : ResponseOf(*order_.index).variants) {
    if (variant.key == order_.validate->head.key) return CommitIndex(variant, decision_.drop_at);
  }
}

}  // namespace nearside::edge
