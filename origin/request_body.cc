#include "origin/request_body.h"

#include <algorithm>
#include <vector>

namespace nearside::origin {
namespace {

constexpr size_t kPieceBytes = 64 << 10;

}  // namespace

Result<size_t> TextContent::Read(std::span<uint8_t> out) {
  const size_t n = std::min(out.size(), text_.size() - read_);
  std::copy_n(text_.begin() + static_cast<std::ptrdiff_t>(read_), n, out.begin());
  read_ += n;
  return n;
}

Result<std::string> ReadWhole(RequestBody& body, size_t limit) {
  const auto too_large = [&] {
    return Fail(
        Fault::kClient, "body_too_large",
        "the content is larger than the " + std::to_string(limit) + " bytes that are allowed here");
  };
  if (body.announced_bytes().value_or(0) > limit) return too_large();
  std::string text;
  std::vector<uint8_t> piece(std::min(kPieceBytes, limit + 1));
  while (true) {
    Result<size_t> n = body.Read(piece);
    if (!n) return unexpected(std::move(n.error()));
    if (*n == 0) return text;
    if (text.size() + *n > limit) return too_large();
    text.append(reinterpret_cast<const char*>(piece.data()), *n);
  }
}

}  // namespace nearside::origin
