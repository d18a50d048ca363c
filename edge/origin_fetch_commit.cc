// The end of a fetch whose response is stored: under which key, and whether it still may.

#include "edge/cache_key.h"
#include "edge/origin_fetch.h"
#include "edge/purge.h"
#include "edge/variant_index.h"
#include "edge/worker.h"

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

/// Where the response belongs among what other fetches beside this one have stored: requests that
/// do not wait for one another may be answered in any order. What is the same is as good as newer.
StoringOrder OriginFetch::OrderOf(const Key256& key, const http::Fields& fields) const {
  Node& node = worker_.node();
  const StoringOrder order = node.fills.OrderOf(order_.primary, key, era_);
  if (!counted_ || order == StoringOrder::kNewer) return StoringOrder::kNewer;
  const storage::HeadRef top = node.store->Find(order_.primary);
  if (!top || ResponseOf(*top).is_index() != (key != order_.primary)) return order;
  const storage::HeadRef there = node.store->Find(key);
  if (!there) return order;
  for (const std::string_view validator : {"etag", "last-modified"}) {
    const auto ours = fields.Get(validator);
    if (!ours) continue;
    return ours == ResponseOf(*there).fields.Get(validator) ? StoringOrder::kNewer : order;
  }
  return order;
}

/// Whether what stands under the key was fetched after a purge that came when this fetch was under
/// way.
bool OriginFetch::IsPurged(const Key256& key) const {
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
  if (!there) return store.MayBeOnDisk(key);
  return !ResponseOf(*there).is_tail() && store.Check(*there) != storage::Validity::kGone;
}

/// Null: it is not to stand there, or the store does not take it. Where nobody knows which of two
/// is of the later release, neither stays, nor what others still fetch that began before now.
storage::HeadRef OriginFetch::StoreInOrder(const Key256& key, const StoredResponse& response,
                                           storage::ObjectWriter& writer) {
  Node& node = worker_.node();
  // Of two that end on two workers at once, one sees the other.
  const auto lock = node.index_locks.Hold(order_.primary);
  if (response.is_tail() && IsInTheWay(key)) return nullptr;
  const StoringOrder order = IsPurged(key) ? StoringOrder::kUnknown : OrderOf(key, response.fields);
  if (order == StoringOrder::kOlder) return nullptr;
  if (order == StoringOrder::kUnknown) {
    Invalidate(node, *order_.site, order_.url);
    RememberShared();  // the next one is to be stored, and not passed on
    return nullptr;
  }
  storage::HeadRef kept = writer.Commit(MakeStorageHead(key, response, decision_.drop_at));
  if (kept && !response.is_tail()) node.fills.NoteStored(order_.primary, key, era_);
  return kept;
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
  storage::HeadRef kept = StoreInOrder(key, stored, *writer_);
  writer_.reset();
  if (kept && !selecting.empty()) {
    CommitIndex(MakeVariant(key, selecting, stored), decision_.drop_at);
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

/// A variant that was validated is kept longer than the index knows, without which it would not be
/// found, and has another Date. What has come without Vary meanwhile stands for all of them.
void OriginFetch::RelistVariant(const StoredResponse& fresh) {
  if (!order_.index) return;
  const storage::HeadRef top = worker_.node().store->Find(order_.primary);
  if (top && !ResponseOf(*top).is_index()) return;
  for (Variant variant : ResponseOf(*order_.index).variants) {
    if (variant.key != order_.validate->head.key) continue;
    const bool is_known = variant.date == DateOf(fresh);
    if (is_known && order_.index->head.drop_at >= decision_.drop_at) return;
    variant.date = DateOf(fresh);
    return CommitIndex(variant, decision_.drop_at);
  }
}

}  // namespace nearside::edge
