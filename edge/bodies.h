#pragma once

#include <cstdint>
#include <memory>

#include "edge/fill.h"
#include "edge/stored_response.h"
#include "http/session/exchange.h"
#include "net/event_loop.h"
#include "runtime/metrics.h"
#include "runtime/recycled.h"
#include "storage/cache_store.h"

namespace nearside::edge {

/// Where a body source counts what it hands out.
struct BodyCount {
  metrics::Cells* cells = nullptr;
  metrics::Id bytes;
};

/// The body of a stored object, or a part of it: chunks in RAM are handed out where they lie, cold
/// ones are asked from the store's reader threads, one ahead of need. Keeps the head (and its
/// prepared lines) alive.
class StoredBody final : public http::BodySource, public Recycled<StoredBody> {
 public:
  /// `exchange` is resumed when a cold chunk has come; it owns this source. `first` is the chunk
  /// that holds the span's first byte, if that is in RAM; a body that is inline needs none.
  StoredBody(storage::CacheStore& store, storage::HeadRef head, ChunkRef first, ByteSpan span,
             net::EventLoop& loop, http::Exchange& exchange, BodyCount count);
  ~StoredBody() override;
  State Peek(std::span<const uint8_t>* piece) override;
  void Consume(size_t n) override;
  const storage::HeadRef& head() const { return head_; }

 private:
  ChunkRef TakeChunk(uint32_t index);
  void Ask(uint32_t index);

  storage::CacheStore& store_;
  storage::HeadRef head_;
  ByteSpan span_;
  net::EventLoop& loop_;
  http::Exchange& exchange_;
  BodyCount count_;
  ChunkRef held_;       ///< keeps chunk_, unless that is the head's own
  const Chunk* chunk_;  ///< null: none yet
  uint32_t chunk_index_ = UINT32_MAX;
  /// Shared with loads under way: they come back after this source may have died.
  struct Loads {
    StoredBody* owner = nullptr;
    ChunkRef next;
    uint32_t next_index = UINT32_MAX;
    uint32_t asked_index = UINT32_MAX;
    bool awaited = false;  ///< the one asked for is needed now, and not only ahead
    bool failed = false;
  };
  std::shared_ptr<Loads> loads_;
};

/// The body of a response that is still arriving. Once it has fallen too far behind, it goes on
/// from the store.
class FillBody final : public http::BodySource {
 public:
  /// `exchange` owns it.
  FillBody(std::unique_ptr<FillReader> reader, ByteSpan span, storage::CacheStore& store,
           net::EventLoop& loop, http::Exchange& exchange, BodyCount count);
  State Peek(std::span<const uint8_t>* piece) override;
  void Consume(size_t n) override;
  /// What the origin sent behind the body: they are not stored, and only a whole body has them.
  const http::Fields* Trailers() override;

 private:
  State GoOnFromStore(std::span<const uint8_t>* piece);

  std::unique_ptr<FillReader> reader_;
  std::shared_ptr<const StoredResponse> response_;
  ByteSpan span_;
  const bool whole_;  ///< to its end, wherever that is
  storage::CacheStore& store_;
  net::EventLoop& loop_;
  http::Exchange& exchange_;
  BodyCount count_;
  std::unique_ptr<StoredBody> stored_;
  ChunkRef chunk_;
};

}  // namespace nearside::edge
