#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "http/fields.h"
#include "runtime/result.h"

namespace nearside::origin {

/// The content of a request, read as it arrives. Blocks; one thread.
class RequestBody {
 public:
  virtual ~RequestBody() = default;
  /// Fills the front of `out`; 0 bytes: the content is whole. Errors: kClient body_cut_off,
  /// body_timeout, too_slow, bad_body (chunk framing), never an end that is none.
  virtual Result<size_t> Read(std::span<uint8_t> out) = 0;
  /// Content-Length; nullopt when the content is chunked.
  virtual std::optional<uint64_t> announced_bytes() const = 0;
  /// Whether any content was announced, be it 0 bytes long.
  virtual bool present() const = 0;
  /// Tells the client something before the answer: an interim response, which clients of HTTP/1.0
  /// are not sent. Whether it arrives nobody knows.
  virtual void Inform(int /*status*/, const http::Fields& /*fields*/) {}
  /// Ends the content where it is: Read fails from then on, also one that waits. Any thread, while
  /// the content lives.
  virtual void CutOff() {}
};

/// A content that is at hand.
class TextContent final : public RequestBody {
 public:
  explicit TextContent(std::string text) : text_(std::move(text)) {}
  Result<size_t> Read(std::span<uint8_t> out) override;
  std::optional<uint64_t> announced_bytes() const override { return text_.size(); }
  bool present() const override { return true; }

 private:
  const std::string text_;
  size_t read_ = 0;
};

/// The whole content, for small ones. Errors: those of Read, and kClient body_too_large.
Result<std::string> ReadWhole(RequestBody& body, size_t limit);

}  // namespace nearside::origin
