#include "edge/bodies.h"

#include <algorithm>
#include <utility>

namespace nearside::edge {

StoredBody::StoredBody(storage::CacheStore& store, storage::HeadRef head, ChunkRef first,
                       ByteSpan span, net::EventLoop& loop, http::Exchange& exchange,
                       BodyCount count)
    : store_(store),
      head_(std::move(head)),
      span_(span),
      loop_(loop),
      exchange_(exchange),
      count_(count),
      held_(std::move(first)),
      chunk_(head_->inline_body ? head_->inline_body.get() : held_.get()),
      chunk_index_(chunk_ != nullptr ? static_cast<uint32_t>(span.first / kChunkBytes)
                                     : UINT32_MAX) {}

StoredBody::~StoredBody() {
  if (loads_) loads_->owner = nullptr;
}

http::BodySource::State StoredBody::Peek(std::span<const uint8_t>* piece) {
  if (span_.first >= span_.end) return State::kEnd;
  const auto index = static_cast<uint32_t>(span_.first / kChunkBytes);
  if (chunk_index_ != index) {
    held_ = TakeChunk(index);
    chunk_ = held_.get();
    if (chunk_ == nullptr) {
      if (loads_ && loads_->failed) return State::kFailed;
      Ask(index);
      loads_->awaited = true;
      return State::kWait;
    }
    chunk_index_ = index;
    // Only once a cold chunk was met is the next one asked for ahead.
    const bool more = (uint64_t{index} + 1) * kChunkBytes < span_.end;
    if (loads_ && more && !store_.FindChunk(*head_, index + 1)) Ask(index + 1);
  }
  const uint64_t offset = span_.first - uint64_t{index} * kChunkBytes;
  const uint64_t size = std::min<uint64_t>(chunk_->size() - offset, span_.end - span_.first);
  *piece = chunk_->bytes().subspan(offset, size);
  return State::kReady;
}

void StoredBody::Consume(size_t n) {
  span_.first += n;
  count_.cells->Add(count_.bytes, n);
}

ChunkRef StoredBody::TakeChunk(uint32_t index) {
  if (loads_ && loads_->next && loads_->next_index == index) return std::move(loads_->next);
  return store_.FindChunk(*head_, index);
}

void StoredBody::Ask(uint32_t index) {
  if (!loads_) {
    loads_ = std::make_shared<Loads>();
    loads_->owner = this;
  }
  if (loads_->asked_index == index) return;
  loads_->asked_index = index;
  store_.LoadChunk(head_, index, loop_, [loads = loads_, index](Result<ChunkRef> chunk) {
    if (loads->owner == nullptr || loads->asked_index != index) return;
    loads->asked_index = UINT32_MAX;
    if (chunk) {
      loads->next = std::move(*chunk);
      loads->next_index = index;
    }
    // What could not be read ahead is asked for again when it is needed.
    if (!std::exchange(loads->awaited, false)) return;
    loads->failed = !chunk;
    loads->owner->exchange_.Resume();
  });
}

FillBody::FillBody(std::unique_ptr<FillReader> reader, ByteSpan span, storage::CacheStore& store,
                   net::EventLoop& loop, http::Exchange& exchange, BodyCount count)
    : reader_(std::move(reader)),
      response_(reader_->fill()->head().response),
      span_(span),
      whole_(span.first == 0 && span.end == UINT64_MAX),
      store_(store),
      loop_(loop),
      exchange_(exchange),
      count_(count) {
  reader_->Advance(span_.first);
}

http::BodySource::State FillBody::Peek(std::span<const uint8_t>* piece) {
  if (stored_) return stored_->Peek(piece);
  if (span_.first >= span_.end) return State::kEnd;
  Fill::Piece found = reader_->fill()->Look(span_.first);
  switch (found.state) {
    case Fill::Piece::State::kNotYet:
      return State::kWait;
    case Fill::Piece::State::kBehind:
      return GoOnFromStore(piece);
    case Fill::Piece::State::kEnd:
      return State::kEnd;
    case Fill::Piece::State::kFailed:
      return State::kFailed;
    case Fill::Piece::State::kReady:
      break;
  }
  chunk_ = std::move(found.chunk);
  const uint64_t offset = span_.first % kChunkBytes;
  const uint64_t size = std::min<uint64_t>(found.valid - offset, span_.end - span_.first);
  *piece = std::span<const uint8_t>(chunk_->data() + offset, size);
  return State::kReady;
}

http::BodySource::State FillBody::GoOnFromStore(std::span<const uint8_t>* piece) {
  storage::HeadRef head = reader_->fill()->stored();
  if (!head) return State::kWait;  // it is woken when the body is whole
  const ByteSpan rest{.first = span_.first, .end = std::min(span_.end, head->head.body_bytes)};
  stored_ = std::make_unique<StoredBody>(store_, std::move(head), ChunkRef(), rest, loop_,
                                         exchange_, count_);
  return stored_->Peek(piece);
}

void FillBody::Consume(size_t n) {
  if (stored_) return stored_->Consume(n);
  span_.first += n;
  count_.cells->Add(count_.bytes, n);
  reader_->Advance(span_.first);
}

const http::Fields* FillBody::Trailers() { return whole_ ? &reader_->fill()->trailers() : nullptr; }

}  // namespace nearside::edge
