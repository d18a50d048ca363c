#include "edge/origin_fetch.h"

#include <algorithm>

#include "edge/cache_key.h"
#include "edge/purge.h"
#include "edge/worker.h"

namespace nearside::edge {
namespace {

/// How long a key whose response was not to be shared is fetched for each request alone.
constexpr seconds kNotSharedFor{120};
/// A disk that makes an origin wait longer than this has one object less to store.
constexpr seconds kStorePatience{2};

Reason ReasonOf(const Error& error) {
  if (error.reason.ends_with("_timeout")) return Reason::kOriginTimeout;
  if (error.reason == "closed_early" || error.reason == "bad_response")
    return Reason::kOriginBroken;
  return Reason::kOriginUnreachable;
}

std::optional<uint64_t> ContentLength(const http::Fields& fields) {
  const auto text = fields.Get("content-length");
  if (!text) return std::nullopt;
  uint64_t length = 0;
  for (const char c : *text) length = length * 10 + static_cast<uint64_t>(c - '0');
  return length;  // digits that fit: the client session has checked it
}

}  // namespace

FetchHandle OriginFetch::Start(Worker& worker, FetchOrder order) {
  auto fetch = std::unique_ptr<OriginFetch>(new OriginFetch(worker, std::move(order)));
  OriginFetch* started = fetch.get();
  worker.Own(std::move(fetch));
  FetchHandle handle = started->self_;
  started->Try();
  return handle;
}

OriginFetch::OriginFetch(Worker& worker, FetchOrder order)
    : worker_(worker),
      order_(std::move(order)),
      purge_sequence_(order_.fill->purge_sequence()),
      store_patience_(worker.loop(), [this] { LoseStorePatience(); }),
      self_(std::make_shared<OriginFetch*>(this)) {
  // Both may be called on another worker's thread: the answer is a task on ours.
  net::EventLoop& loop = worker_.loop();
  order_.fill->SetResume([self = self_, &loop] {
    loop.Post([self] {
      if (*self == nullptr) return;
      (*self)->reader_paused_ = false;
      (*self)->ResumeBody();
    });
  });
  order_.fill->SetAbandoned([self = self_, &loop] {
    loop.Post([self] {
      if (*self != nullptr) (*self)->OnAbandoned();
    });
  });
}

OriginFetch::~OriginFetch() {
  *self_ = nullptr;
  order_.fill->SetResume(nullptr);
  order_.fill->SetAbandoned(nullptr);
  // A worker that is shut down in the middle of a body leaves no reader waiting for ever.
  if (!done_) {
    worker_.node().fills.Remove(order_.fill);
    order_.fill->Fail(Reason::kOriginBroken,
                      Error{Fault::kSelf, "shut_down", "the edge is shutting down"});
  }
}

void OriginFetch::Try() {
  request_time_ = worker_.loop().wall_now();
  worker_.cells().Add(worker_.node().metrics.origin_requests);
  const auto& origins = order_.site->origins;
  const http::Endpoint& origin = origins[(first_origin_ + attempt_) % origins.size()];
  body_begun_ = order_.body != nullptr;
  call_ =
      worker_.ClientOf(*order_.site)
          .Start(origin, order_.origin_request, std::move(order_.body), order_.body_bytes, this);
}

bool OriginFetch::CanTryAnother() const {
  return !head_seen_ && !body_begun_ && attempt_ + 1 < order_.site->origins.size() &&
         http::IsIdempotentMethod(order_.origin_request.method);
}

void OriginFetch::ResumeRequestBody() {
  if (call_) call_->ResumeRequestBody();
}

void OriginFetch::Cancel() {
  if (done_) return;
  order_.fill->Fail(Reason::kOriginBroken, Error{Fault::kClient, "client_gone", "the client left"});
  worker_.node().fills.Remove(order_.fill);
  call_.reset();
  Done();
}

void OriginFetch::OnAbandoned() {
  if (done_) return;
  if (order_.fill->readers() > 0) {  // somebody has come meanwhile
    reader_paused_ = order_.fill->ShouldPause();
    return ResumeBody();
  }
  const bool wanted = order_.may_store && (!head_seen_ || writer_ != nullptr);
  if (wanted) {
    reader_paused_ = false;
    ResumeBody();
  } else {
    Cancel();
  }
}

void OriginFetch::OnInterim(int, const http::Fields&) {}

void OriginFetch::OnHead(http::ResponseHead&& response) {
  head_seen_ = true;
  const Exchanged exchanged{.request = order_.request,
                            .response = response,
                            .request_time = request_time_,
                            .response_time = worker_.loop().wall_now(),
                            .site = order_.site->settings};
  if (response.status == 304 && order_.validate) return OnNotModified(exchanged);

  decision_ = DecideStore(exchanged);
  if (!order_.may_store) decision_.reason = Reason::kNotShared;
  // RFC 9111 §4.3.3: an error does not displace a copy that may be served instead of it.
  const bool displaces = !(order_.validate && IsErrorStatus(response.status));
  const std::string via = "1.1 " + worker_.node().name;
  response_ = MakeStored(exchanged, decision_, order_.url, via);
  FillHead head{.response = response_,
                .body_bytes = ContentLength(response.fields),
                .shared = order_.may_store && decision_.store(),
                .unshareable = decision_.unshareable,
                .store_reason = decision_.reason};
  if (order_.origin_request.method == "HEAD" || http::StatusHasNoContent(response.status)) {
    head.body_bytes = 0;
  }
  if (head.shared && response.fields.Has("vary")) {
    head.selecting = SelectingFields(response.fields.Joined("vary"), order_.request.fields);
  }
  if (head.shared) head.withheld = WithheldFields(exchanged);
  if (head.shared && !displaces) head.store_reason = Reason::kUncacheableStatus;
  if (head.shared && displaces) BeginStoring(&head);
  if (order_.may_store) {
    Node& node = worker_.node();
    worker_.cells().Add(node.metrics.stored[static_cast<size_t>(head.store_reason)]);
    if (!head.shared) node.fills.Remove(order_.fill);
    if (head.unshareable) {
      node.fills.MarkNotShared(order_.fill->key(), worker_.loop().now() + kNotSharedFor);
    }
  }
  order_.fill->SetHead(std::move(head));
  if (!writer_) CancelIfUnwanted();
}

/// What is neither stored nor read is not fetched to its end.
void OriginFetch::CancelIfUnwanted() {
  if (order_.fill->readers() > 0) return;
  worker_.loop().Post([self = self_] {
    if (*self != nullptr) (*self)->OnAbandoned();
  });
}

void OriginFetch::BeginStoring(FillHead* head) {
  writer_ = worker_.node().store->Begin(head->body_bytes);
  head->storing = writer_ != nullptr;
  if (!head->storing) head->store_reason = Reason::kStoreRefused;
}

void OriginFetch::OnNotModified(const Exchanged& exchanged) {
  Node& node = worker_.node();
  worker_.cells().Add(node.metrics.validations);
  const StoredResponse& old = ResponseOf(*order_.validate);
  const std::string via = "1.1 " + node.name;
  auto fresh = Freshened(old, exchanged, via, &decision_);
  storage::HeadRef head;
  if (decision_.store()) {
    head = node.store->Refresh(
        order_.validate, MakeStorageHead(order_.validate->head.key, *fresh, decision_.drop_at));
    if (head) ProlongIndex();
  } else if (decision_.unshareable) {
    node.store->Remove(order_.validate->head.key);
  }
  // What was validated for this request may answer it, even if it could not be kept.
  discard_body_ = true;
  order_.fill->FinishStored(head ? head : order_.validate, Reason::kValidated, decision_.store());
  node.fills.Remove(order_.fill);  // after this, requests find the refreshed head
}

void OriginFetch::OnBody(std::span<const uint8_t> bytes) {
  if (done_ || discard_body_) return;
  worker_.cells().Add(worker_.node().metrics.origin_bytes, bytes.size());
  for (ChunkRef& chunk : order_.fill->Append(bytes)) {
    if (writer_) writer_->Append(std::move(chunk));
  }
  if (writer_ && writer_->given_up()) {
    writer_.reset();
    order_.fill->StopStoring();
    CancelIfUnwanted();
  }
  reader_paused_ = reader_paused_ || order_.fill->ShouldPause();
  PauseForStore();
  if ((reader_paused_ || store_paused_) && call_) call_->PauseBody();
}

void OriginFetch::PauseForStore() {
  const bool whole = order_.fill->head().body_bytes == order_.fill->published();
  if (!writer_ || store_paused_ || !waits_for_store_ || whole) return;
  store_paused_ = writer_->WaitsForRoom(worker_.loop(), [self = self_] {
    if (*self != nullptr) (*self)->ResumeForStore();
  });
  if (store_paused_) store_patience_.Arm(kStorePatience);
}

void OriginFetch::ResumeForStore() {
  store_paused_ = false;
  store_patience_.Disarm();
  ResumeBody();
}

/// Clients are not to wait for a disk that hangs: the object is given up if the queue fills.
void OriginFetch::LoseStorePatience() {
  waits_for_store_ = false;
  ResumeForStore();
}

void OriginFetch::ResumeBody() {
  if (call_ && !reader_paused_ && !store_paused_) call_->ResumeBody();
}

void OriginFetch::OnEnd(const http::Fields&) {
  if (done_) return;
  if (!discard_body_) {
    order_.fill->Finish(writer_ ? Commit() : nullptr);
  }
  worker_.node().fills.Remove(order_.fill);
  Done();
}

void OriginFetch::OnFailure(const Error& error) {
  if (done_) return;
  worker_.LogOriginFailure(*order_.site, order_.url, error);
  worker_.cells().Add(worker_.node().metrics.origin_failures);
  if (CanTryAnother()) {
    ++attempt_;
    // The call that failed is on the stack: it is replaced when the stack has unwound.
    worker_.loop().Post([self = self_] {
      if (*self != nullptr && !(*self)->done_) (*self)->Try();
    });
    return;
  }
  worker_.node().fills.Remove(order_.fill);
  order_.fill->Fail(ReasonOf(error), error);
  Done();
}

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

storage::HeadRef OriginFetch::Commit() {
  if (ChunkRef tail = order_.fill->TakeTail()) writer_->Append(std::move(tail));
  StoredResponse stored = *response_;
  // RFC 9110 §8.6: not with a 204.
  if (!stored.fields.Has("content-length") && !http::StatusHasNoContent(stored.status)) {
    stored.fields.Add("content-length", std::to_string(order_.fill->published()));
  }
  const http::Fields& selecting = order_.fill->head().selecting;
  Key256 key = order_.primary;
  if (!selecting.empty()) key = VariantKey(order_.primary, selecting);
  storage::HeadRef kept = writer_->Commit(MakeStorageHead(key, stored, decision_.drop_at));
  writer_.reset();
  if (kept && !selecting.empty()) {
    const WallTime stored_at = response_->freshness.response_time;
    CommitIndex({.selecting = selecting, .key = key, .stored_at = stored_at}, decision_.drop_at);
  }
  return kept;
}

void OriginFetch::CommitIndex(const Variant& newest, WallTime drop_at) {
  storage::CacheStore& store = *worker_.node().store;
  StoredResponse index;
  index.url = order_.url;
  index.freshness.response_time = newest.stored_at;
  index.variants.push_back(newest);
  storage::HeadRef known = store.Find(order_.primary);
  if (!known) known = order_.index;
  if (known && store.Check(*known) != storage::Validity::kGone) {
    drop_at = std::max(drop_at, known->head.drop_at);
    for (const Variant& other : ResponseOf(*known).variants) {
      if (index.variants.size() == kMaxVariants) break;
      if (other.key != newest.key) index.variants.push_back(other);
    }
  }
  auto writer = store.Begin(0);
  if (writer) writer->Commit(MakeStorageHead(order_.primary, index, drop_at));
}

/// A variant that was validated is kept longer than the index knows: without it, it would not be
/// found.
void OriginFetch::ProlongIndex() {
  if (!order_.index || order_.index->head.drop_at >= decision_.drop_at) return;
  for (const Variant& variant : ResponseOf(*order_.index).variants) {
    if (variant.key == order_.validate->head.key) return CommitIndex(variant, decision_.drop_at);
  }
}

void OriginFetch::Done() {
  done_ = true;
  worker_.Disown(this);  // destroyed when the stack has unwound
}

}  // namespace nearside::edge
