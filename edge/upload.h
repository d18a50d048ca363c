#pragma once

#include <memory>
#include <span>
#include <utility>

#include "edge/byte_queue.h"
#include "http/session/exchange.h"

namespace nearside::edge {

/// A request's body on its way from the client's session to the origin's, in constant memory: what
/// the origin has taken opens the client's window again. One worker's thread.
class Upload {
 public:
  explicit Upload(http::Exchange& exchange) : exchange_(&exchange) {}
  void Push(std::span<const uint8_t> bytes);
  /// The client has sent all, and these fields behind it.
  void End(http::Fields trailers = {}) {
    trailers_ = std::move(trailers);
    ended_ = true;
  }
  /// The exchange is over: an upload that is not whole fails at the origin.
  void Detach() { exchange_ = nullptr; }
  /// What the origin's session reads; at most one.
  std::unique_ptr<http::BodySource> MakeSource(std::shared_ptr<Upload> self);

 private:
  class Source;
  http::Exchange* exchange_;
  ByteQueue bytes_;
  http::Fields trailers_;
  bool ended_ = false;
  bool abandoned_ = false;  ///< the origin wants no more: what comes is dropped
};

}  // namespace nearside::edge
