#include "origin/s3_chunked_body.h"

#include <algorithm>
#include <charconv>

#include "origin/s3_errors.h"

namespace nearside::origin {
namespace {

constexpr size_t kBufferBytes = 64 << 10;
/// Of a chunk's head, and of a trailer.
constexpr size_t kLineBytes = 1024;
constexpr size_t kTrailers = 16;

tl::unexpected<Error> BadChunks(std::string_view why) {
  return S3Fail("bad_body", "the content's chunks (aws-chunked): " + std::string(why));
}

}  // namespace

S3ChunkedBody::S3ChunkedBody(RequestBody& raw, S3Payload payload, uint64_t decoded_bytes,
                             S3ChunkSigner signer)
    : raw_(raw), payload_(payload), decoded_bytes_(decoded_bytes), signer_(std::move(signer)) {
  buffer_.resize(kBufferBytes);
}

/// More bytes behind those that are left; false when the content has ended.
Result<bool> S3ChunkedBody::Fill() {
  if (first_ > 0) {
    std::copy(buffer_.begin() + static_cast<ptrdiff_t>(first_),
              buffer_.begin() + static_cast<ptrdiff_t>(last_), buffer_.begin());
    last_ -= first_;
    first_ = 0;
  }
  Result<size_t> n = raw_.Read(std::span(buffer_).subspan(last_));
  if (!n) return unexpected(std::move(n.error()));
  last_ += *n;
  return *n > 0;
}

/// A line without its end (LF, or CR LF); nullopt at the end of the content.
Result<std::optional<std::string>> S3ChunkedBody::TakeLine() {
  while (true) {
    const auto begin = buffer_.begin() + static_cast<ptrdiff_t>(first_);
    const auto end = buffer_.begin() + static_cast<ptrdiff_t>(last_);
    const auto newline = std::find(begin, end, uint8_t{'\n'});
    if (newline - begin > static_cast<ptrdiff_t>(kLineBytes))
      return BadChunks("a line is too long");
    if (newline != end) {
      std::string line(begin, newline);
      first_ += line.size() + 1;
      if (line.ends_with('\r')) line.pop_back();
      return line;
    }
    Result<bool> more = Fill();
    if (!more) return unexpected(std::move(more.error()));
    if (*more) continue;
    if (first_ != last_) return BadChunks("the content ends inside a line");
    return std::nullopt;
  }
}

/// "10000;chunk-signature=…" or "10000".
Status S3ChunkedBody::TakeHeader() {
  Result<std::optional<std::string>> line = TakeLine();
  if (!line) return unexpected(std::move(line.error()));
  if (!*line) return BadChunks("the content ends before its last chunk");
  const std::string_view text = **line;
  const std::string_view digits = text.substr(0, text.find(';'));
  const std::string_view extension = text.substr(digits.size());
  const auto [end, error] =
      std::from_chars(digits.data(), digits.data() + digits.size(), chunk_left_, 16);
  if (digits.empty() || error != std::errc() || end != digits.data() + digits.size()) {
    return BadChunks("a chunk begins with no length");
  }
  constexpr std::string_view kSignature = ";chunk-signature=";
  if (is_signed() != extension.starts_with(kSignature) || (!is_signed() && !extension.empty())) {
    return BadChunks(is_signed() ? "a chunk has no chunk-signature" : "a chunk has an extension");
  }
  if (is_signed()) chunk_signature_ = extension.substr(kSignature.size());
  if (chunk_left_ > decoded_bytes_ - decoded_) {
    return BadChunks("there is more than x-amz-decoded-content-length has announced");
  }
  step_ = Step::kData;
  if (chunk_left_ > 0) return {};
  if (decoded_ != decoded_bytes_) {
    return BadChunks("there is less than x-amz-decoded-content-length has announced");
  }
  step_ = Step::kTrailers;
  return EndChunk();
}

/// Its signature, when it has one.
Status S3ChunkedBody::EndChunk() {
  if (!is_signed()) return {};
  const std::string expected = signer_.SignChunk(chunk_digest_.Finish());
  if (!EqualInConstantTime(expected, chunk_signature_)) {
    return S3Fail("signature_mismatch", "the signature of a chunk is not that of its content");
  }
  signer_.previous = expected;
  return {};
}

Result<size_t> S3ChunkedBody::TakeData(std::span<uint8_t> out) {
  if (first_ == last_) {
    Result<bool> more = Fill();
    if (!more) return unexpected(std::move(more.error()));
    if (!*more) return BadChunks("the content ends inside a chunk");
  }
  const size_t n =
      static_cast<size_t>(std::min<uint64_t>({out.size(), last_ - first_, chunk_left_}));
  const std::span<const uint8_t> piece = std::span<const uint8_t>(buffer_).subspan(first_, n);
  std::copy(piece.begin(), piece.end(), out.begin());
  if (is_signed()) chunk_digest_.Update(piece);
  first_ += n;
  decoded_ += n;
  chunk_left_ -= n;
  if (chunk_left_ == 0) step_ = Step::kDataEnd;
  return n;
}

Status S3ChunkedBody::TakeTrailer(std::string_view line) {
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos || !http::IsToken(line.substr(0, colon))) {
    return BadChunks("a trailer is none");
  }
  const std::string name = http::LowerName(line.substr(0, colon));
  std::string_view value = line.substr(colon + 1);
  value.remove_prefix(std::min(value.find_first_not_of(' '), value.size()));
  value = value.substr(0, value.find_last_not_of(' ') + 1);
  if (!http::IsFieldValue(value)) return BadChunks("a trailer is none");
  if (name == "x-amz-trailer-signature") {
    trailer_signature_ = value;
    return {};
  }
  if (payload_ == S3Payload::kSignedChunks) return BadChunks("trailers were not announced");
  if (trailers_.size() == kTrailers) return BadChunks("there are too many trailers");
  signed_trailers_ += name + ":" + std::string(value) + "\n";
  trailers_.Add(name, value);
  return {};
}

/// To the end of the content. Some clients put an empty line between trailers and their signature.
Status S3ChunkedBody::TakeTrailers() {
  while (true) {
    Result<std::optional<std::string>> line = TakeLine();
    if (!line) return unexpected(std::move(line.error()));
    if (!*line) break;
    if ((*line)->empty()) continue;
    if (Status taken = TakeTrailer(**line); !taken) return taken;
  }
  step_ = Step::kEnd;
  return CheckTrailers();
}

Status S3ChunkedBody::CheckTrailers() {
  if (payload_ != S3Payload::kSignedChunksTrailer) return {};
  if (EqualInConstantTime(signer_.SignTrailers(signed_trailers_), trailer_signature_)) return {};
  return S3Fail("signature_mismatch", "the signature of the trailers is not that of what they say");
}

Result<size_t> S3ChunkedBody::Read(std::span<uint8_t> out) {
  Status taken;
  while (taken && step_ != Step::kEnd) {
    switch (step_) {
      case Step::kHeader:
        taken = TakeHeader();
        break;
      case Step::kData:
        return TakeData(out);
      case Step::kDataEnd: {
        Result<std::optional<std::string>> line = TakeLine();
        if (!line) return unexpected(std::move(line.error()));
        if (!*line || !(*line)->empty()) return BadChunks("a chunk is longer than it says");
        taken = EndChunk();
        step_ = Step::kHeader;
        break;
      }
      case Step::kTrailers:
        taken = TakeTrailers();
        break;
      case Step::kEnd:
        break;
    }
  }
  if (!taken) return unexpected(std::move(taken.error()));
  return size_t{0};
}

}  // namespace nearside::origin
