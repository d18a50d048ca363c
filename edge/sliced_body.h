#pragma once

#include <functional>
#include <memory>
#include <optional>

#include "edge/bodies.h"
#include "edge/fill.h"
#include "edge/origin_fetch.h"
#include "http/session/exchange.h"
#include "runtime/result.h"

namespace nearside::edge {

class Worker;

/// What it takes to fetch slices of a stored representation for a client. Immutable, shared by the
/// parts of one answer; one worker.
struct SliceOrder {
  std::shared_ptr<const Configuration> configuration;
  const Site* site = nullptr;
  http::RequestHead request;         ///< as the client sent it
  http::RequestHead origin_request;  ///< for the whole, unconditional
  std::string url;                   ///< normalised
  std::string target;                ///< its path and query
  Key256 primary;
  storage::HeadRef head;        ///< of the representation
  bool only_if_cached = false;  ///< the request wants no slice to be fetched
};

/// The body of a representation that is stored in slices, or a span of it: slice by slice from the
/// store, and from the origin what is missing, one slice ahead. A slice that breaks off is asked
/// for once more: its bytes are the same by its strong validator. Where the origin sends the whole
/// instead of a slice, the rest is taken of that. Keeps the head alive.
class SlicedBody final : public http::BodySource {
 public:
  /// `exchange` is resumed when there is more, once Prepare is over or was never called.
  SlicedBody(Worker& worker, std::shared_ptr<const SliceOrder> order, ByteSpan span,
             http::Exchange& exchange, BodyCount count);
  ~SlicedBody() override;

  /// Has the first bytes at hand before they are wanted. `ready` runs once, on this thread, perhaps
  /// from inside, and may destroy this; an error is why there is nothing to begin with.
  void Prepare(std::function<void(const Status&)> ready);
  /// Whether an origin was asked for what came first.
  bool fetched() const { return fetched_; }
  const std::shared_ptr<const SliceOrder>& order() const { return order_; }
  /// Why nothing came; of an origin.
  Reason reason() const { return reason_; }

  State Peek(std::span<const uint8_t>* piece) override;
  void Consume(size_t n) override;

 private:
  struct Life {
    SlicedBody* owner;
  };
  uint64_t slice() const;
  ByteSpan Wanted() const;
  bool IsUsable(const storage::HeadRef& head) const;

  void Obtain();
  void OnSliceHead(storage::HeadRef head);
  void OnChunk(storage::HeadRef head, Result<ChunkRef> chunk);
  void Fetch();
  void OnFill();
  void Use(std::unique_ptr<http::BodySource> source);
  void Fail(Reason reason, Error error);
  void Tell();
  FillTable::Claim Claim(uint64_t n);
  void AskAhead();
  FetchOrder OrderFor(std::shared_ptr<Fill> fill, uint64_t n) const;

  Worker& worker_;
  const std::shared_ptr<const SliceOrder> order_;
  ByteSpan span_;  ///< not yet consumed
  http::Exchange& exchange_;
  const BodyCount count_;
  std::unique_ptr<http::BodySource> source_;  ///< of the slice at span_.first
  std::unique_ptr<FillReader> reader_;        ///< of that slice's fill, until its head is there
  storage::HeadRef unreadable_;
  std::function<void(const Status&)> ready_;
  Status status_;
  Reason reason_ = Reason::kOriginBroken;
  int attempts_ = 0;  ///< to get on at this place
  bool obtaining_ = false;
  bool peeking_ = false;
  bool fetched_ = false;
  bool leads_ = false;  ///< the fill being read was made for this one
  const std::shared_ptr<Life> life_;
};

}  // namespace nearside::edge
