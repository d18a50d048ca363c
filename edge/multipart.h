#pragma once

// multipart/byteranges (RFC 9110 §14.6): several ranges of one representation in one body.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "edge/stored_response.h"
#include "http/range.h"
#include "http/session/body_source.h"

namespace nearside::edge {

/// How such a body is laid out. A value; pure.
class Multipart {
 public:
  /// `ranges`: two or more, of a representation of `total_bytes` whose Content-Type is
  /// `content_type` ("" for none). `boundary` must not occur in it: 24 random characters or more.
  Multipart(std::vector<http::ByteRange> ranges, uint64_t total_bytes, std::string content_type,
            std::string boundary);

  size_t parts() const { return ranges_.size(); }
  ByteSpan SpanOf(size_t part) const { return {ranges_[part].first, ranges_[part].last + 1}; }
  /// What stands before a part's bytes.
  std::string Opening(size_t part) const;
  /// What stands behind the last.
  std::string Closing() const;
  /// Of the whole body.
  uint64_t body_bytes() const;
  /// "multipart/byteranges; boundary=…"
  std::string content_type() const;

 private:
  std::vector<http::ByteRange> ranges_;
  uint64_t total_bytes_;
  std::string content_type_;
  std::string boundary_;
};

/// A boundary that nobody can have put into a representation beforehand.
std::string RandomBoundary();

/// The body: the parts' sources are made one after the other, when they are reached.
class MultipartBody final : public http::BodySource {
 public:
  using MakePart = std::function<std::unique_ptr<http::BodySource>(size_t part)>;
  MultipartBody(Multipart layout, MakePart make);
  State Peek(std::span<const uint8_t>* piece) override;
  void Consume(size_t n) override;

 private:
  const Multipart layout_;
  const MakePart make_;
  size_t part_ = 0;   ///< the one being sent, or whose opening is
  std::string text_;  ///< opening or closing, not all sent yet
  size_t sent_ = 0;   ///< of it
  std::unique_ptr<http::BodySource> source_;
};

}  // namespace nearside::edge
