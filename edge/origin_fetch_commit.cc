// The end of a fetch whose response is stored: under which key, and whether it still may.

#include "edge/cache_key.h"
#include "edge/origin_fetch.h"
#include "edge/purge.h"
#include "edge/variant_index.h"
#include "edge/worker.h"

namespace nearside::edge {
namespace {

bool IsIndex(const storage::HeadRef& head) { return head && ResponseOf(*head).is_index(); }

/// Whether two responses name the same validator.
bool IsSame(const http::Fields& one, const http::Fields& other) {
  for (const std::string_view validator : {"etag", "last-modified"}) {
    if (const auto named = other.Get(validator)) return named == one.Get(validator);
  }
  return false;
}

}  // namespace

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
  const storage::HeadRef there = node.store->Find(key);
  if (!there || ResponseOf(*there).is_index()) return order;
  if (key != order_.primary && IsFromBefore(*there)) return order;
  return IsSame(ResponseOf(*there).fields, fields) ? StoringOrder::kNewer : order;
}

/// Of what is stored under the key of a variant: whether nobody is answered with it any more.
bool OriginFetch::IsFromBefore(const storage::CachedHead& variant) const {
  const storage::HeadRef top = IndexNow();
  return !top || edge::IsFromBefore(*top, variant);
}

/// What stands for the whole resource: in RAM, or, if that has it no more, as it was at lookup.
storage::HeadRef OriginFetch::IndexNow() const {
  Node& node = worker_.node();
  storage::HeadRef top = node.store->Find(order_.primary);
  if (top || node.fills.HasBrought(order_.primary, order_.primary)) return top;
  return order_.index;
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

/// Where nobody knows which of two is of the later release, neither stays, nor what others still
/// fetch that began before now.
void OriginFetch::ForgetUnordered() {
  Invalidate(worker_.node(), *order_.site, order_.url);
  RememberShared();  // the next one is to be stored, and not passed on
}

/// Null: it is not to stand there, or the store does not take it.
storage::HeadRef OriginFetch::StoreInOrder(const Key256& key, const StoredResponse& response,
                                           storage::ObjectWriter& writer) {
  Node& node = worker_.node();
  // Of two that end on two workers at once, one sees the other.
  const auto lock = node.index_locks.Hold(order_.primary);
  if (response.is_tail() && IsInTheWay(key)) return nullptr;
  const StoringOrder order = IsPurged(key) ? StoringOrder::kUnknown : OrderOf(key, response.fields);
  // A response without Vary that some variants are newer than says of the others that they are
  // older than it is.
  const bool parts_variants =
      order == StoringOrder::kOlder && key == order_.primary && IsIndex(IndexNow());
  if (order == StoringOrder::kUnknown || parts_variants) {
    ForgetUnordered();
    return nullptr;
  }
  if (order == StoringOrder::kOlder) return nullptr;
  storage::HeadRef kept = writer.Commit(MakeStorageHead(key, response, decision_.drop_at));
  // Also of what a purge keeps out: it is shown.
  if (!response.is_tail()) node.fills.NoteBrought(order_.primary, key, era_);
  return kept;
}

/// The same of a 304, which has made `fresh` of the stored response that it is about. Something
/// else may have taken the place of that, for one visitor or for all, since the origin was asked:
/// what is not found any more is not to come back as if it were new.
storage::HeadRef OriginFetch::RefreshInOrder(const StoredResponse& fresh) {
  Node& node = worker_.node();
  const storage::Head& old = order_.validate->head;
  const auto lock = node.index_locks.Hold(order_.primary);
  const StoringOrder order = OrderOf(old.key, fresh.fields);
  if (order == StoringOrder::kOlder) return nullptr;
  const storage::HeadRef there = node.store->Find(old.key);
  const bool is_another = there && there->head.object_id != old.object_id &&
                          !IsSame(ResponseOf(*there).fields, fresh.fields);
  const bool is_passed = old.key != order_.primary && IsFromBefore(*order_.validate);
  if (order == StoringOrder::kUnknown || is_another || is_passed) {
    ForgetUnordered();
    return nullptr;
  }
  // What others have stored there meanwhile is the same.
  node.fills.NoteBrought(order_.primary, old.key, era_);
  return node.store->Refresh(order_.validate, MakeStorageHead(old.key, fresh, decision_.drop_at));
}

storage::HeadRef OriginFetch::Commit() {
  if (ChunkRef tail = order_.fill->TakeTail()) writer_->Append(std::move(tail));
  if (order_.sliced) return CommitSlice();
  std::shared_ptr<const StoredResponse> stored = response_;
  // RFC 9110 §8.6: not with a 204.
  if (!stored->fields.Has("content-length") && !http::StatusHasNoContent(stored->status)) {
    auto measured = std::make_shared<StoredResponse>(*stored);
    measured->fields.Add("content-length", std::to_string(order_.fill->published()));
    stored = std::move(measured);
  }
  const http::Fields& selecting = order_.fill->head().selecting;
  Key256 key = order_.primary;
  if (!selecting.empty()) key = VariantKey(order_.primary, selecting);
  storage::HeadRef kept = StoreInOrder(key, *stored, *writer_);
  writer_.reset();
  if (kept && !selecting.empty()) {
    CommitIndex(MakeVariant(key, selecting, *stored), kept->head.object_id);
  }
  return kept;
}

void OriginFetch::CommitIndex(const Variant& newest, uint64_t object_id) {
  IndexEntry entry;
  entry.head.key = order_.primary;
  entry.head.drop_at = decision_.drop_at;
  entry.head.purge_sequence = purge_sequence_;
  entry.head.scopes = ScopesOfObject(order_.site->settings.name, order_.target, {});
  entry.newest = newest;
  entry.object_id = object_id;
  entry.url = order_.url;
  entry.before = IndexNow();
  CommitVariant(*worker_.node().store, worker_.node().index_locks, std::move(entry));
}

/// A variant that was validated is kept longer than the index knows, without which it would not be
/// found, and has another Date.
void OriginFetch::RelistVariant(const StoredResponse& fresh) {
  const storage::HeadRef index = IndexNow();
  if (!index) return;
  const storage::Head& validated = order_.validate->head;
  for (Variant variant : ResponseOf(*index).variants) {
    if (variant.key != validated.key) continue;
    const bool is_known = variant.date == DateOf(fresh);
    if (is_known && index->head.drop_at >= decision_.drop_at) return;
    variant.date = DateOf(fresh);
    return CommitIndex(variant, validated.object_id);
  }
}

}  // namespace nearside::edge
