#include "edge/multipart.h"

#include <array>
#include <utility>

#include "runtime/crypto.h"

namespace nearside::edge {

Multipart::Multipart(std::vector<http::ByteRange> ranges, uint64_t total_bytes,
                     std::string content_type, std::string boundary)
    : ranges_(std::move(ranges)),
      total_bytes_(total_bytes),
      content_type_(std::move(content_type)),
      boundary_(std::move(boundary)) {}

std::string Multipart::Opening(size_t part) const {
  std::string text = part == 0 ? "--" : "\r\n--";
  text += boundary_ + "\r\n";
  if (!content_type_.empty()) text += "Content-Type: " + content_type_ + "\r\n";
  text += "Content-Range: ";
  text += http::FormatContentRange({.range = ranges_[part], .length = total_bytes_});
  return text + "\r\n\r\n";
}

std::string Multipart::Closing() const { return "\r\n--" + boundary_ + "--\r\n"; }

uint64_t Multipart::body_bytes() const {
  uint64_t bytes = Closing().size();
  for (size_t part = 0; part < ranges_.size(); ++part) {
    bytes += Opening(part).size() + ranges_[part].size();
  }
  return bytes;
}

std::string Multipart::content_type() const {
  return "multipart/byteranges; boundary=" + boundary_;
}

std::string RandomBoundary() {
  std::array<uint8_t, 16> bytes{};
  RandomBytes(bytes);
  return HexEncode(bytes);
}

MultipartBody::MultipartBody(Multipart layout, MakePart make)
    : layout_(std::move(layout)), make_(std::move(make)), text_(layout_.Opening(0)) {}

http::BodySource::State MultipartBody::Peek(std::span<const uint8_t>* piece) {
  while (true) {
    if (sent_ < text_.size()) {
      *piece = {reinterpret_cast<const uint8_t*>(text_.data()) + sent_, text_.size() - sent_};
      return State::kReady;
    }
    if (part_ == layout_.parts()) return State::kEnd;
    if (!source_) source_ = make_(part_);
    const State state = source_->Peek(piece);
    if (state != State::kEnd) return state;
    source_.reset();
    ++part_;
    text_ = part_ < layout_.parts() ? layout_.Opening(part_) : layout_.Closing();
    sent_ = 0;
  }
}

void MultipartBody::Consume(size_t n) {
  if (sent_ < text_.size()) {
    sent_ += n;
  } else {
    source_->Consume(n);
  }
}

}  // namespace nearside::edge
