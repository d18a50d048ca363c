#include "edge/blob_fetch.h"

#include <algorithm>
#include <utility>

namespace nearside::edge {
namespace {

constexpr milliseconds kPaceWait{10};

}  // namespace

BlobFetch::BlobFetch(net::EventLoop& loop, http::Client& client, storage::CacheStore& store,
                     Pace& pace, Order order, std::function<void(Status)> done)
    : loop_(loop),
      store_(store),
      pace_(pace),
      order_(std::move(order)),
      done_(std::move(done)),
      pause_(loop, [this] { WaitForTurn(); }),
      self_(std::make_shared<BlobFetch*>(this)) {
  http::RequestHead head;
  head.method = "GET";
  head.scheme = order_.origin.tls ? "https" : "http";
  head.authority = order_.origin.host + ":" + std::to_string(order_.origin.port);
  head.target = "/v1/blobs/" + order_.sha256;
  head.fields.Add("authorization", "Bearer " + order_.token);
  call_ = client.Start(order_.origin, head, nullptr, std::nullopt, this);
}

BlobFetch::~BlobFetch() { *self_ = nullptr; }

void BlobFetch::OnHead(http::ResponseHead&& head) {
  status_ = head.status;
  if (status_ != 200) return;  // OnEnd tells
  writer_ = store_.Begin(order_.bytes);
  if (!writer_) return Done(Fail(Fault::kSelf, "not_stored", "the cache does not take it"));
  writer_->WriteAtOnce();
}

void BlobFetch::OnBody(std::span<const uint8_t> bytes) {
  if (!done_ || status_ != 200) return;
  if (come_bytes_ + bytes.size() > order_.bytes) return Refuse("more bytes than it should have");
  Append(bytes);
  if (writer_->given_up()) {
    return Done(Fail(Fault::kSelf, "not_stored", "the cache does not take it"));
  }
  owed_bytes_ += bytes.size();
  if (!store_waits_) {
    store_waits_ = writer_->WaitsForRoom(loop_, [self = self_] {
      if (*self == nullptr) return;
      (*self)->store_waits_ = false;
      (*self)->WaitForTurn();
    });
  }
  WaitForTurn();
}

void BlobFetch::Append(std::span<const uint8_t> bytes) {
  hash_.Update(bytes);
  while (!bytes.empty()) {
    if (!chunk_) {
      chunk_ = Chunk::Make(std::min<uint64_t>(order_.bytes - come_bytes_, kChunkBytes));
    }
    const size_t taken = chunk_->Append(bytes);
    bytes = bytes.subspan(taken);
    come_bytes_ += taken;
    if (chunk_->room() == 0) writer_->Append(std::exchange(chunk_, {}));
  }
}

/// Reads on once what has come is within the pace, and the store has room.
void BlobFetch::WaitForTurn() {
  if (!done_) return;
  owed_bytes_ -= pace_.Take(owed_bytes_, loop_.now());
  if (owed_bytes_ == 0 && !store_waits_) return call_->ResumeBody();
  call_->PauseBody();
  if (owed_bytes_ > 0) pause_.Arm(kPaceWait);
}

void BlobFetch::OnEnd(const http::Fields& /*trailers*/) {
  if (!done_) return;
  if (status_ != 200) {
    return Done(Fail(Fault::kOrigin, "status_" + std::to_string(status_),
                     "the origin answered " + std::to_string(status_) + " to a content"));
  }
  if (come_bytes_ != order_.bytes) return Refuse("fewer bytes than it should have");
  if (HexEncode(hash_.Finish()) != order_.sha256) return Refuse("bytes of another SHA-256");
  if (chunk_) writer_->Append(std::exchange(chunk_, {}));
  const bool stored = writer_->Commit(std::move(order_.head)) != nullptr;
  writer_.reset();
  Done(stored ? Status() : Fail(Fault::kSelf, "not_stored", "the cache does not take it"));
}

void BlobFetch::OnFailure(const Error& error) { Done(tl::unexpected<Error>(error)); }

void BlobFetch::Refuse(std::string what) {
  Done(Fail(Fault::kOrigin, "wrong_bytes", "the content " + order_.sha256 + " came as " + what));
}

void BlobFetch::Done(Status status) {
  writer_.reset();
  pause_.Disarm();
  if (done_) std::exchange(done_, nullptr)(std::move(status));
}

}  // namespace nearside::edge
