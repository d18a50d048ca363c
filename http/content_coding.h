#pragma once

// Bodies on their way into a content coding: bytes in, bytes out, in constant memory. Pure.

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>

#include "http/accept_encoding.h"
#include "runtime/result.h"

namespace nearside::http {

/// How hard an encoder tries.
enum class Effort : uint8_t {
  kQuick,  ///< somebody waits for the body; a few megabytes of memory
  kBest,   ///< once, beforehand: smaller, a hundred times slower, tens of megabytes
};

/// One body. A value of its own thread; what it holds does not grow with the body
/// (docs/decisions/compression.md has figures).
class ContentEncoder {
 public:
  enum class Step : uint8_t {
    kMore,    ///< what is short of a block stays inside until more comes
    kFlush,   ///< all that went in comes out, so that the other side can read it now
    kFinish,  ///< the body ends here; last call
  };
  /// Called with pieces of the result, each valid during the call; never with an empty one.
  using Sink = std::function<void(std::span<const uint8_t>)>;

  /// `coding` is not the identity. `body_bytes`, if known, must be what will come. Error: kSelf
  /// no_encoder when there is no memory for one.
  static Result<std::unique_ptr<ContentEncoder>> Make(Coding coding,
                                                      std::optional<uint64_t> body_bytes,
                                                      Effort effort = Effort::kQuick);
  virtual ~ContentEncoder() = default;

  /// Takes all of `bytes`, which may be none. Error: kSelf encoding_failed, after which the encoder
  /// is of no more use.
  virtual Status Encode(std::span<const uint8_t> bytes, Step step, const Sink& sink) = 0;

 protected:
  /// What the library writes into, again and again.
  std::span<uint8_t> output() { return output_; }
  /// Hands out what has been written.
  void Give(size_t bytes, const Sink& sink) const {
    if (bytes > 0) sink(std::span(output_).first(bytes));
  }

 private:
  std::array<uint8_t, 16 << 10> output_;
};

}  // namespace nearside::http
