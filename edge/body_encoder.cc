#include "edge/body_encoder.h"

#include <utility>

namespace nearside::edge {

std::unique_ptr<BodyEncoder> BodyEncoder::Begin(Node& node, metrics::Cells& cells,
                                                const Order& order) {
  // Its place is taken before it is looked at, so that two workers cannot both take the last.
  auto body = std::unique_ptr<BodyEncoder>(new BodyEncoder(node, cells, order.coding));
  if (node.encoders.load() > order.most) return nullptr;
  auto encoder = ContentEncoder::Make(order.coding, order.body_bytes);
  if (!encoder) return nullptr;
  body->encoder_ = std::move(*encoder);
  return body;
}

BodyEncoder::BodyEncoder(Node& node, metrics::Cells& cells, http::Coding coding)
    : node_(node), cells_(cells), coding_(coding) {
  ++node_.encoders;
}

BodyEncoder::~BodyEncoder() { --node_.encoders; }

Status BodyEncoder::Encode(std::span<const uint8_t> bytes, ContentEncoder::Step step,
                           const ContentEncoder::Sink& sink) {
  const auto index = static_cast<size_t>(coding_);
  cells_.Add(node_.metrics.encoder_in_bytes[index], bytes.size());
  return encoder_->Encode(bytes, step, [&](std::span<const uint8_t> piece) {
    cells_.Add(node_.metrics.encoder_out_bytes[index], piece.size());
    sink(piece);
  });
}

}  // namespace nearside::edge
