#pragma once

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "http/fields.h"

namespace nearside::http {

/// The lines of one head after another as nghttp2 takes them, of all connections of a loop: memory
/// that is warm. They point to the text, which is the caller's.
class Http2HeadLines {
 public:
  /// What the session itself looks at in the lines of a response.
  struct Framing {
    std::string_view length;  ///< Content-Length, the last one
    bool dated = false;
  };

  /// Of a new head, at most so many lines.
  void Begin(size_t most) {
    if (lines_.size() < most) lines_.resize(most);
    size_ = 0;
  }
  /// `flags`: nghttp2_nv_flag.
  void Add(std::string_view name, std::string_view value, uint8_t flags) {
    // nghttp2 takes pointers to non-const and does not write through them.
    lines_[size_++] = {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                       reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(),
                       value.size(), flags};
  }
  void Add(std::span<const FieldLine> lines, uint8_t flags, Framing* framing) {
    for (const FieldLine& line : lines) {
      Add(line.name, line.value, flags);
      if (line.name == "content-length") framing->length = line.value;
      if (line.name == "date") framing->dated = true;
    }
  }

  const nghttp2_nv* data() const { return lines_.data(); }
  size_t size() const { return size_; }

 private:
  std::vector<nghttp2_nv> lines_;  ///< as many as a head had; what is behind size_ is old
  size_t size_ = 0;
};

}  // namespace nearside::http
