#include "edge/byte_queue.h"

#include <algorithm>

namespace nearside::edge {

namespace {

constexpr size_t kLeastChunk = 16 << 10;

}  // namespace

void ByteQueue::Push(std::span<const uint8_t> bytes) {
  size_ += bytes.size();
  // Small pieces share a chunk: each has a cost beside its bytes.
  while (!bytes.empty()) {
    const bool room = !chunks_.empty() && chunks_.back()->room() > 0;
    if (!room)
      chunks_.push_back(Chunk::Make(std::max(kLeastChunk, std::min(bytes.size(), kChunkBytes))));
    bytes = bytes.subspan(chunks_.back()->Append(bytes));
  }
}

std::span<const uint8_t> ByteQueue::Front() const {
  if (chunks_.empty()) return {};
  return chunks_.front()->bytes().subspan(offset_);
}

void ByteQueue::Pop(size_t n) {
  offset_ += n;
  size_ -= n;
  if (offset_ == chunks_.front()->size()) {
    chunks_.pop_front();
    offset_ = 0;
  }
}

void ByteQueue::Clear() {
  chunks_.clear();
  offset_ = size_ = 0;
}

}  // namespace nearside::edge
