#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <vector>

#include "edge/node.h"
#include "http/content_coding.h"
#include "runtime/executor.h"
#include "runtime/metrics.h"
#include "runtime/result.h"

namespace nearside::edge {

/// One response's body in an encoder: one of as many as the node may run at once, with its bytes
/// counted. Owned by a fetch; its worker's thread.
///
/// What is known to be short is encoded where it comes. Longer and endless bodies are encoded by
/// the node's EncoderThreads, a piece at a time and in order, so that the loop goes on with others'
/// requests: a block of text takes milliseconds.
class BodyEncoder {
 public:
  using Step = http::ContentEncoder::Step;
  struct Order {
    http::Coding coding = http::Coding::kIdentity;
    std::optional<uint64_t> body_bytes;  ///< Content-Length
    int most = 0;                        ///< setting cache.encoders
    int threads = 0;                     ///< setting cache.encoder_threads
  };
  /// Bodies up to this length are encoded on the loop: a fraction of a millisecond.
  static constexpr uint64_t kMostOnLoop = 8 << 10;
  /// Bytes that may wait for a thread before who brings them is to pause.
  static constexpr size_t kMostWaiting = 128 << 10;

  /// Called on the worker's thread, with what has come out and what it went up to: everything up to
  /// a call of Encode with this step, or with kMore a part. After an error nothing else comes. May
  /// destroy the encoder.
  using Taker = std::function<void(Status status, std::span<const uint8_t> encoded, Step step)>;

  /// Null when so many are at work, or there is no memory for another. `loop` is the worker's, and
  /// lives as long as this.
  static std::unique_ptr<BodyEncoder> Begin(Node& node, metrics::Cells& cells, Executor& loop,
                                            const Order& order, Taker taker);
  /// What has not come out by then never will.
  ~BodyEncoder();
  BodyEncoder(const BodyEncoder&) = delete;
  BodyEncoder& operator=(const BodyEncoder&) = delete;

  /// Takes a copy of `bytes`. The result comes by `taker`, perhaps from inside.
  void Encode(std::span<const uint8_t> bytes, Step step);
  /// Too many bytes wait: no more are to be brought until `taker` has been called and this is
  /// false.
  bool is_behind() const { return waiting_.size() >= kMostWaiting; }

 private:
  /// What a thread works on: it outlives the encoder if need be.
  struct Work {
    std::unique_ptr<http::ContentEncoder> encoder;
    std::vector<uint8_t> in, out;
    Step step = Step::kMore;
    Status status;
    std::mutex mutex;
    BodyEncoder* owner = nullptr;  ///< guarded by mutex; null: nobody waits for it
  };
  BodyEncoder(Node& node, metrics::Cells& cells, Executor& loop, const Order& order, Taker taker);
  void EncodeHere(std::span<const uint8_t> bytes, Step step);
  void StartWork();
  void OnWorked();
  void Count(size_t in_bytes, size_t out_bytes);

  Node& node_;
  metrics::Cells& cells_;
  Executor& loop_;
  const http::Coding coding_;
  const bool on_loop_;
  const size_t threads_;
  const Taker taker_;
  const std::shared_ptr<Work> work_ = std::make_shared<Work>();
  bool working_ = false;  ///< a thread has work_, or its result is on its way
  std::vector<uint8_t> waiting_;
  Step waiting_step_ = Step::kMore;
};

}  // namespace nearside::edge
