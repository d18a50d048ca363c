// A fetch of what the edge may have the body of already, because the release that the origin has
// now was prepared here (edge/site_preparer.h). The origin is asked as ever, with the content's tag
// in If-None-Match; of a 304 to that tag and the body becomes the 200 that it stands for, which
// goes the way of any other.

#include "edge/origin_fetch.h"
#include "edge/worker.h"

namespace nearside::edge {
namespace {

/// So much is taken in one turn of the loop.
constexpr int kChunksOfTurn = 8;

}  // namespace

void OriginFetch::OfferPrepared() {
  if (!order_.may_store || order_.sliced || order_.tail_bytes != 0) return;
  if (order_.origin_request.method != "GET") return;
  Node& node = worker_.node();
  prepared_ = node.prepared.Find(order_.site->settings.name, order_.target);
  if (!prepared_) return;
  http::Fields& fields = order_.origin_request.fields;
  known_tags_ = fields.Joined("if-none-match");
  // A copy with a date alone could not be validated beside a tag (RFC 9110 §13.2.2).
  const bool by_date = known_tags_.empty() && fields.Has("if-modified-since");
  if (by_date || known_tags_ == prepared_->etag || !node.store->MayHold(prepared_->key)) {
    prepared_.reset();
    return;
  }
  fields.Set("if-none-match",
             known_tags_.empty() ? prepared_->etag : known_tags_ + ", " + prepared_->etag);
}

bool OriginFetch::IsAboutPrepared(const http::ResponseHead& response) const {
  return response.fields.Get("etag") == prepared_->etag;
}

/// The body is not here any more, or the origin does not say which of the tags it means.
void OriginFetch::AskWithoutPrepared() {
  prepared_.reset();
  http::Fields& fields = order_.origin_request.fields;
  if (known_tags_.empty()) {
    fields.Remove("if-none-match");
  } else {
    fields.Set("if-none-match", known_tags_);
  }
  AskAgain();
}

void OriginFetch::OnPrepared(http::ResponseHead&& response) {
  prepared_body_ = std::make_unique<PreparedBody>();
  prepared_body_->response = std::move(response);
  prepared_body_->came_at = worker_.loop().wall_now();
  storage::CacheStore& store = *worker_.node().store;
  storage::HeadRef head = store.Find(prepared_->key);
  if (head || !store.MayBeOnDisk(prepared_->key)) return BeginPrepared(std::move(head));
  store.Load(prepared_->key, worker_.loop(), [self = self_](storage::HeadRef loaded) {
    if (*self != nullptr && !(*self)->done_) (*self)->BeginPrepared(std::move(loaded));
  });
}

void OriginFetch::BeginPrepared(storage::HeadRef head) {
  Node& node = worker_.node();
  const bool usable = head && head->head.body_bytes == prepared_->bytes &&
                      node.store->Check(*head) != storage::Validity::kGone;
  if (!usable) {
    prepared_body_.reset();
    return AskWithoutPrepared();
  }
  PreparedBody& body = *prepared_body_;
  body.head = std::move(head);
  body.response.status = 200;
  body.response.fields.Set("content-length", std::to_string(prepared_->bytes));
  worker_.cells().Add(node.metrics.prepared);
  OnWhole({.request = order_.request,
           .response = body.response,
           .request_time = request_time_,
           .response_time = body.came_at,
           .site = order_.site->settings});
  FeedSoon();
}

/// Never from inside: what is fed may pause and resume it.
void OriginFetch::FeedSoon() {
  if (!prepared_body_->head || std::exchange(prepared_body_->posted, true)) return;
  worker_.loop().Post([self = self_] {
    if (*self == nullptr) return;
    (*self)->prepared_body_->posted = false;
    if (!(*self)->done_) (*self)->FeedPrepared();
  });
}

void OriginFetch::FeedPrepared() {
  PreparedBody& body = *prepared_body_;
  for (int taken = 0; !done_ && !is_paused(); ++taken) {
    if (uint64_t{body.next} * kChunkBytes >= prepared_->bytes) {
      attempt_.Complete();
      ended_ = true;
      return encoder_ ? EncodeBody({}, http::ContentEncoder::Step::kFinish) : FinishBody();
    }
    if (taken == kChunksOfTurn) return FeedSoon();
    const ChunkRef chunk = TakePreparedChunk();
    if (!chunk) return;
    ++body.next;
    TakeBody(chunk->bytes());
  }
}

/// The next one; null: it is being loaded.
ChunkRef OriginFetch::TakePreparedChunk() {
  PreparedBody& body = *prepared_body_;
  if (body.head->inline_body) return body.head->inline_body;
  if (body.loaded) return std::exchange(body.loaded, {});
  storage::CacheStore& store = *worker_.node().store;
  if (ChunkRef chunk = store.FindChunk(*body.head, body.next)) return chunk;
  if (std::exchange(body.loading, true)) return {};
  store.LoadChunk(body.head, body.next, worker_.loop(), [self = self_](Result<ChunkRef> chunk) {
    if (*self == nullptr || (*self)->done_) return;
    OriginFetch& fetch = **self;
    fetch.prepared_body_->loading = false;
    if (!chunk) return fetch.GiveUp(Reason::kOriginBroken, chunk.error());
    fetch.prepared_body_->loaded = std::move(*chunk);
    fetch.FeedSoon();
  });
  return {};
}

}  // namespace nearside::edge
