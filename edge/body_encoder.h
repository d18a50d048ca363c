#pragma once

#include <memory>
#include <optional>
#include <span>

#include "edge/content_coding.h"
#include "edge/node.h"
#include "runtime/metrics.h"

namespace nearside::edge {

/// One response's body in an encoder: one of as many as the node may run at once, with its bytes
/// counted. Owned by a fetch; its worker's thread.
class BodyEncoder {
 public:
  struct Order {
    http::Coding coding = http::Coding::kIdentity;
    std::optional<uint64_t> body_bytes;  ///< Content-Length
    int most = 0;                        ///< setting cache.encoders
  };
  /// Null when so many are at work, or there is no memory for another.
  static std::unique_ptr<BodyEncoder> Begin(Node& node, metrics::Cells& cells, const Order& order);
  ~BodyEncoder();
  BodyEncoder(const BodyEncoder&) = delete;
  BodyEncoder& operator=(const BodyEncoder&) = delete;

  /// As ContentEncoder::Encode.
  Status Encode(std::span<const uint8_t> bytes, ContentEncoder::Step step,
                const ContentEncoder::Sink& sink);

 private:
  BodyEncoder(Node& node, metrics::Cells& cells, http::Coding coding);

  Node& node_;
  metrics::Cells& cells_;
  const http::Coding coding_;
  std::unique_ptr<ContentEncoder> encoder_;
};

}  // namespace nearside::edge
