#include "edge/upload.h"

#include <algorithm>

namespace nearside::edge {

namespace {

constexpr size_t kLeastChunk = 16 << 10;

}  // namespace

class Upload::Source final : public http::BodySource {
 public:
  explicit Source(std::shared_ptr<Upload> upload) : upload_(std::move(upload)) {}
  ~Source() override {
    // Answered before it had read all, or failed: the client may send the rest into nothing.
    Upload& upload = *upload_;
    upload.abandoned_ = true;
    size_t left = 0;
    for (const ChunkRef& chunk : upload.chunks_) left += chunk->size();
    left -= upload.offset_;
    upload.chunks_.clear();
    upload.offset_ = 0;
    if (upload.exchange_ != nullptr && left > 0) upload.exchange_->ConsumedBody(left);
  }
  State Peek(std::span<const uint8_t>* piece) override {
    const Upload& upload = *upload_;
    if (!upload.chunks_.empty()) {
      *piece = upload.chunks_.front()->bytes().subspan(upload.offset_);
      return State::kReady;
    }
    if (upload.ended_) return State::kEnd;
    return upload.exchange_ == nullptr ? State::kFailed : State::kWait;
  }
  void Consume(size_t n) override {
    Upload& upload = *upload_;
    upload.offset_ += n;
    if (upload.offset_ == upload.chunks_.front()->size()) {
      upload.chunks_.pop_front();
      upload.offset_ = 0;
    }
    if (upload.exchange_ != nullptr) upload.exchange_->ConsumedBody(n);
  }
  const http::Fields* Trailers() override { return &upload_->trailers_; }

 private:
  std::shared_ptr<Upload> upload_;
};

void Upload::Push(std::span<const uint8_t> bytes) {
  if (abandoned_) {
    if (exchange_ != nullptr) exchange_->ConsumedBody(bytes.size());
    return;
  }
  // Small pieces share a chunk: each has a cost beside its bytes.
  while (!bytes.empty()) {
    const bool room = !chunks_.empty() && chunks_.back()->room() > 0;
    if (!room)
      chunks_.push_back(Chunk::Make(std::max(kLeastChunk, std::min(bytes.size(), kChunkBytes))));
    bytes = bytes.subspan(chunks_.back()->Append(bytes));
  }
}

std::unique_ptr<http::BodySource> Upload::MakeSource(std::shared_ptr<Upload> self) {
  return std::make_unique<Source>(std::move(self));
}

}  // namespace nearside::edge
