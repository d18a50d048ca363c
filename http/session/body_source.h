#pragma once

#include <cstdint>
#include <span>

#include "http/fields.h"

namespace nearside::http {

/// A body being sent, pulled by the session as flow control and the socket allow: nothing is queued
/// in between, so a slow reader holds at most the piece it is at. Owned by the session that sends
/// it; its thread. To be destroyed when the exchange ends for whatever reason.
class BodySource {
 public:
  enum class State {
    kReady,   ///< *piece is not empty
    kWait,    ///< nothing now: the source calls Resume() of the exchange when there is
    kEnd,     ///< the whole body has been consumed
    kFailed,  ///< it will never be whole: the stream is reset, never ended as if it were complete
  };
  virtual ~BodySource() = default;
  /// The contiguous bytes that come next, valid until Consume, the next Peek, or destruction.
  virtual State Peek(std::span<const uint8_t>* piece) = 0;
  /// The first `n` bytes of the last piece were taken.
  virtual void Consume(size_t n) = 0;
  /// After kEnd: fields to send behind the body, or null.
  virtual const Fields* Trailers() { return nullptr; }
};

}  // namespace nearside::http
