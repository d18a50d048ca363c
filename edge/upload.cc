#include "edge/upload.h"

namespace nearside::edge {

class Upload::Source final : public http::BodySource {
 public:
  explicit Source(std::shared_ptr<Upload> upload) : upload_(std::move(upload)) {}
  ~Source() override {
    // Answered before it had read all, or failed: the client may send the rest into nothing.
    Upload& upload = *upload_;
    upload.abandoned_ = true;
    const size_t left = upload.bytes_.size();
    upload.bytes_.Clear();
    if (upload.exchange_ != nullptr && left > 0) upload.exchange_->ConsumedBody(left);
  }
  State Peek(std::span<const uint8_t>* piece) override {
    const Upload& upload = *upload_;
    *piece = upload.bytes_.Front();
    if (!piece->empty()) return State::kReady;
    if (upload.ended_) return State::kEnd;
    return upload.exchange_ == nullptr ? State::kFailed : State::kWait;
  }
  void Consume(size_t n) override {
    upload_->bytes_.Pop(n);
    if (upload_->exchange_ != nullptr) upload_->exchange_->ConsumedBody(n);
  }
  const http::Fields* Trailers() override { return &upload_->trailers_; }

 private:
  std::shared_ptr<Upload> upload_;
};

void Upload::Push(std::span<const uint8_t> bytes) {
  if (!abandoned_) return bytes_.Push(bytes);
  if (exchange_ != nullptr) exchange_->ConsumedBody(bytes.size());
}

std::unique_ptr<http::BodySource> Upload::MakeSource(std::shared_ptr<Upload> self) {
  return std::make_unique<Source>(std::move(self));
}

}  // namespace nearside::edge
