#include "edge/sliced_body.h"

#include <algorithm>
#include <utility>

#include "edge/purge.h"
#include "edge/slices.h"
#include "edge/worker.h"

namespace nearside::edge {
namespace {

/// How often a slice is begun at one place before the answer is cut off.
constexpr int kMostAttempts = 2;

}  // namespace

SlicedBody::SlicedBody(Worker& worker, std::shared_ptr<const SliceOrder> order, ByteSpan span,
                       http::Exchange& exchange, BodyCount count)
    : worker_(worker),
      order_(std::move(order)),
      span_(span),
      exchange_(exchange),
      count_(count),
      life_(std::make_shared<Life>(Life{this})) {}

SlicedBody::~SlicedBody() { life_->owner = nullptr; }

uint64_t SlicedBody::slice() const {
  return span_.first / ResponseOf(*order_->head).slicing.slice_bytes;
}

/// The part of the slice at hand that is wanted, in bytes from the slice's beginning.
ByteSpan SlicedBody::Wanted() const {
  const ByteSpan whole = SliceSpan(ResponseOf(*order_->head).slicing, slice());
  return {.first = span_.first - whole.first, .end = std::min(span_.end, whole.end) - whole.first};
}

/// A soft purge says that the representation is to be validated, and it has been; its slices are
/// what its validator says.
bool SlicedBody::IsUsable(const storage::HeadRef& head) const {
  if (!head || head == unreadable_) return false;
  const Slicing& slicing = ResponseOf(*order_->head).slicing;
  const ByteSpan whole = SliceSpan(slicing, slice());
  return head->head.body_bytes == whole.end - whole.first &&
         head->head.purge_sequence >= slicing.since_purge &&
         worker_.node().store->Check(*head) != storage::Validity::kGone;
}

void SlicedBody::Prepare(std::function<void(const Status&)> ready) {
  ready_ = std::move(ready);
  Obtain();
}

void SlicedBody::Obtain() {
  obtaining_ = true;
  ++attempts_;
  storage::CacheStore& store = *worker_.node().store;
  const Key256 key = SliceKey(order_->head->head.key, ResponseOf(*order_->head), slice());
  storage::HeadRef head = store.Find(key);
  if (head || !store.MayBeOnDisk(key)) return OnSliceHead(std::move(head));
  store.Load(key, worker_.loop(), [life = life_](storage::HeadRef loaded) {
    if (life->owner != nullptr) life->owner->OnSliceHead(std::move(loaded));
  });
}

void SlicedBody::OnSliceHead(storage::HeadRef head) {
  if (!IsUsable(head)) return Fetch();
  if (head->inline_body) return OnChunk(std::move(head), ChunkRef());
  storage::CacheStore& store = *worker_.node().store;
  const auto index = static_cast<uint32_t>(Wanted().first / kChunkBytes);
  if (ChunkRef chunk = store.FindChunk(*head, index)) {
    return OnChunk(std::move(head), std::move(chunk));
  }
  store.LoadChunk(head, index, worker_.loop(), [life = life_, head](Result<ChunkRef> chunk) {
    if (life->owner != nullptr) life->owner->OnChunk(head, std::move(chunk));
  });
}

void SlicedBody::OnChunk(storage::HeadRef head, Result<ChunkRef> chunk) {
  if (!chunk) {
    unreadable_ = std::move(head);
    return Fetch();
  }
  Use(std::make_unique<StoredBody>(*worker_.node().store, std::move(head), std::move(*chunk),
                                   Wanted(), worker_.loop(), exchange_, count_));
}

/// The fill of slice `n`, which is begun unless it is under way already.
FillTable::Claim SlicedBody::Claim(uint64_t n) {
  Node& node = worker_.node();
  const Key256 key = SliceKey(order_->head->head.key, ResponseOf(*order_->head), n);
  const std::vector<std::string>& tags = ResponseOf(*order_->head).tags;
  FillTable::Claim claim = node.fills.ClaimFill(
      key, order_->configuration->settings.cache.fill_window.bytes, *node.store,
      {.purge_sequence = node.store->purge_sequence(),
       .scopes = ScopesOfObject(order_->site->settings.name, order_->target, tags)});
  if (!claim.lead) return claim;
  // It may have been stored between the look into the store and the claim.
  storage::HeadRef head = node.store->Find(key);
  if (n == slice() && IsUsable(head)) {
    node.fills.Remove(claim.fill);
    claim.fill->FinishStored(std::move(head), Reason::kFresh, /*shared=*/true);
  } else {
    OriginFetch::Start(worker_, OrderFor(claim.fill, n));
  }
  return claim;
}

void SlicedBody::Fetch() {
  if (order_->only_if_cached) {
    return Fail(Reason::kOnlyIfCached,
                Error{Fault::kClient, "only_if_cached", "the request wants a stored response"});
  }
  fetched_ = true;
  FillTable::Claim claim = Claim(slice());
  leads_ = claim.lead;
  reader_ = std::make_unique<FillReader>(std::move(claim.fill), worker_.loop(), [life = life_] {
    if (life->owner != nullptr) life->owner->OnFill();
  });
  OnFill();  // it may have come further than we know
}

void SlicedBody::OnFill() {
  if (source_) return exchange_.Resume();
  if (!reader_) return;
  const std::shared_ptr<Fill> fill = reader_->fill();
  switch (fill->phase()) {
    case Fill::Phase::kPending:
      return;
    case Fill::Phase::kStreaming:
    case Fill::Phase::kWhole: {
      // The origin may send all of it where a slice was asked for: the rest is read there.
      const bool whole = fill->head().response->status == 200;
      auto body =
          std::make_unique<FillBody>(std::move(reader_), whole ? span_ : Wanted(),
                                     *worker_.node().store, worker_.loop(), exchange_, count_);
      if (!whole) AskAhead();
      return Use(std::move(body));
    }
    case Fill::Phase::kStored:
      reader_.reset();
      return OnSliceHead(fill->stored());
    case Fill::Phase::kFailed:
      reader_.reset();
      // Given up because its last reader left, just as we came; or what was refused to the request
      // that it was made for may be given to this one.
      if (attempts_ < kMostAttempts && fill->error().reason != kSliceChanged &&
          (!leads_ || fill->error().fault == Fault::kClient)) {
        return Obtain();
      }
      return Fail(fill->reason(), fill->error());
  }
}

/// The next slice is on its way while this one is being sent.
void SlicedBody::AskAhead() {
  const StoredResponse& whole = ResponseOf(*order_->head);
  const uint64_t next = slice() + 1;
  if (SliceSpan(whole.slicing, next).first >= span_.end || worker_.node().fills.tight()) return;
  const Key256 key = SliceKey(order_->head->head.key, whole, next);
  storage::CacheStore& store = *worker_.node().store;
  if (!store.Find(key) && !store.MayBeOnDisk(key)) Claim(next);
}

FetchOrder SlicedBody::OrderFor(std::shared_ptr<Fill> fill, uint64_t n) const {
  FetchOrder order;
  order.configuration = order_->configuration;
  order.site = order_->site;
  order.request = order_->request;
  order.origin_request = order_->origin_request;
  order.url = order_->url;
  order.target = order_->target;
  order.primary = order_->primary;
  order.fill = std::move(fill);
  order.may_store = true;
  AskForSlice(n, ResponseOf(*order_->head).slicing.slice_bytes, order_->head, &order);
  return order;
}

void SlicedBody::Use(std::unique_ptr<http::BodySource> source) {
  source_ = std::move(source);
  Tell();
}

void SlicedBody::Fail(Reason reason, Error error) {
  reason_ = reason;
  status_ = tl::unexpected<Error>(std::move(error));
  Tell();
}

void SlicedBody::Tell() {
  obtaining_ = false;
  if (ready_) return std::exchange(ready_, nullptr)(Status(status_));  // may destroy this
  if (!peeking_) exchange_.Resume();
}

http::BodySource::State SlicedBody::Peek(std::span<const uint8_t>* piece) {
  while (span_.first < span_.end) {
    if (!status_) return State::kFailed;
    if (!source_) {
      if (obtaining_) return State::kWait;
      peeking_ = true;
      Obtain();
      peeking_ = false;
      continue;
    }
    const State state = source_->Peek(piece);
    if (state == State::kReady || state == State::kWait) return state;
    // The slice has been sent, or it has broken off: then it is begun again where we are.
    source_.reset();
    if (state == State::kFailed && attempts_ >= kMostAttempts) return State::kFailed;
    if (state == State::kFailed) continue;
    if (span_.first < span_.end && Wanted().first != 0) return State::kFailed;  // it was too short
    attempts_ = 0;
  }
  return State::kEnd;
}

void SlicedBody::Consume(size_t n) {
  span_.first += n;
  source_->Consume(n);
}

}  // namespace nearside::edge
