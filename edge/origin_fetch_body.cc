// The body of what an origin answers, on its way to the fill and the store; and who is waited for.

#include "edge/compression.h"
#include "edge/origin_fetch.h"
#include "edge/tunnel.h"
#include "edge/worker.h"

namespace nearside::edge {
namespace {

/// A disk that makes an origin wait longer than this has one object less to store.
constexpr seconds kStorePatience{2};

Error WrongLength() {
  return {Fault::kOrigin, "bad_response",
          "its body has another length than its Content-Range says"};
}

}  // namespace

void OriginFetch::OnBody(std::span<const uint8_t> bytes) {
  if (done_ || discard_body_ || retrying_ || prepared_body_) return;
  worker_.cells().Add(worker_.node().metrics.origin_bytes, bytes.size());
  if (switched_) {
    reader_paused_ = order_.tunnel->Push(bytes);
    if (reader_paused_ && call_) call_->PauseBody();
    return;
  }
  if (promised_bytes_ && come_bytes_ + bytes.size() > *promised_bytes_) {
    return GiveUp(Reason::kOriginBroken, WrongLength());
  }
  come_bytes_ += bytes.size();
  TakeBody(bytes);
}

void OriginFetch::TakeBody(std::span<const uint8_t> bytes) {
  encoder_ ? EncodeBody(bytes, http::ContentEncoder::Step::kMore) : AppendBody(bytes);
  if (!done_) PauseIfAhead();
}

void OriginFetch::AppendBody(std::span<const uint8_t> bytes) {
  for (ChunkRef& chunk : order_.fill->Append(bytes)) {
    if (writer_) writer_->Append(std::move(chunk));
  }
}

/// What comes of it comes to OnEncoded.
void OriginFetch::EncodeBody(std::span<const uint8_t> bytes, http::ContentEncoder::Step step) {
  encoder_->Encode(bytes, step);
  // One flush for all that has come at once: each costs some bytes.
  if (step == http::ContentEncoder::Step::kMore && flushes_ && !flush_posted_ && !done_) {
    flush_posted_ = true;
    worker_.loop().Post([self = self_] {
      if (*self != nullptr) (*self)->FlushEncoder();
    });
  }
}

void OriginFetch::FlushEncoder() {
  flush_posted_ = false;
  if (!done_ && !discard_body_ && !ended_) EncodeBody({}, http::ContentEncoder::Step::kFlush);
}

/// What could not be encoded nobody gets the rest of.
void OriginFetch::OnEncoded(const Status& status, std::span<const uint8_t> encoded,
                            http::ContentEncoder::Step step) {
  if (done_) return;
  if (!status) return GiveUp(Reason::kOriginBroken, status.error());
  if (!encoded.empty()) AppendBody(encoded);
  if (step == http::ContentEncoder::Step::kFinish) return FinishBody();
  const bool was_paused = encoder_paused_;
  PauseIfAhead();
  if (was_paused && !encoder_paused_) ResumeBody();
}

void OriginFetch::PauseIfAhead() {
  if (writer_ && writer_->given_up()) {
    writer_.reset();
    order_.fill->StopStoring();
    // Those who have joined are paced by the slowest of them from here on; nobody else is to be.
    if (order_.may_store && !order_.sliced) {
      worker_.node().fills.Remove(order_.fill);
      RememberNotShared(/*by_size=*/true);
    }
    CancelIfUnwanted();
  }
  reader_paused_ = reader_paused_ || order_.fill->ShouldPause();
  encoder_paused_ = encoder_ && encoder_->is_behind();
  PauseForStore();
  if (is_paused() && call_ && !prepared_body_) call_->PauseBody();
}

void OriginFetch::PauseForStore() {
  const bool whole = order_.fill->head().body_bytes == order_.fill->published();
  if (!writer_ || store_paused_ || !waits_for_store_ || whole) return;
  store_paused_ = writer_->WaitsForRoom(worker_.loop(), [self = self_] {
    if (*self != nullptr) (*self)->ResumeForStore();
  });
  if (store_paused_) patience_.Arm(kStorePatience);
}

void OriginFetch::ResumeForStore() {
  store_paused_ = false;
  patience_.Disarm();
  ResumeBody();
}

/// Clients are not to wait for a disk that hangs: the object is given up if the queue fills.
void OriginFetch::LosePatience() {
  if (switched_) return Cancel();
  waits_for_store_ = false;
  ResumeForStore();
}

void OriginFetch::ResumeBody() {
  if (is_paused()) return;
  if (prepared_body_) return FeedSoon();
  if (call_) call_->ResumeBody();
}

/// The client may have more to say to it.
void OriginFetch::OnPeerEnd() {
  if (!done_) order_.tunnel->End();
}

void OriginFetch::OnEnd(const http::Fields& trailers) {
  if (done_ || retrying_ || prepared_body_) return;
  if (promised_bytes_ && come_bytes_ != *promised_bytes_) {
    return GiveUp(Reason::kOriginBroken, WrongLength());
  }
  attempt_.Complete();
  ended_ = true;
  if (!discard_body_) {
    trailers_ = trailers;
    return encoder_ ? EncodeBody({}, http::ContentEncoder::Step::kFinish) : FinishBody();
  }
  worker_.node().fills.Remove(order_.fill);
  Done();
}

void OriginFetch::FinishBody() {
  encoder_.reset();
  // A digest of what came is none of what was made of it.
  http::Fields behind = response_ ? FreshFields(*response_, trailers_) : trailers_;
  if (!behind.empty() && order_.fill->head().shared) {
    behind = SharedTrailers(*response_, behind);
  }
  order_.fill->Finish(writer_ ? Commit() : nullptr, std::move(behind));
  worker_.node().fills.Remove(order_.fill);
  Done();
}

}  // namespace nearside::edge
