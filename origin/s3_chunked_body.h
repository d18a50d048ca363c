#pragma once

// "Content-Encoding: aws-chunked": chunks with a signature each inside the content, and trailers
// behind them, taken off as the content arrives. Bytes are handed out before the chunk's signature
// is known, as always with RequestBody: they count only once Read has answered 0. Constant memory
// whatever the chunks' sizes.

#include <string>
#include <vector>

#include "http/fields.h"
#include "origin/request_body.h"
#include "origin/s3_signature.h"

namespace nearside::origin {

/// One thread, like what it reads from.
class S3ChunkedBody final : public RequestBody {
 public:
  /// `raw` must outlive it. `decoded_bytes` is x-amz-decoded-content-length. `signer` is that of
  /// the head's signature; unused when `payload` is kUnsignedTrailer.
  S3ChunkedBody(RequestBody& raw, S3Payload payload, uint64_t decoded_bytes, S3ChunkSigner signer);

  /// Errors: those of `raw`; kClient bad_body (form, or another length than announced),
  /// signature_mismatch (of a chunk, or of the trailers).
  Result<size_t> Read(std::span<uint8_t> out) override;
  std::optional<uint64_t> announced_bytes() const override { return decoded_bytes_; }
  bool present() const override { return true; }

  /// After the end.
  const http::Fields& trailers() const { return trailers_; }

 private:
  enum class Step { kHeader, kData, kDataEnd, kTrailers, kEnd };

  bool is_signed() const { return payload_ != S3Payload::kUnsignedTrailer; }
  Result<bool> Fill();
  Result<std::optional<std::string>> TakeLine();
  Status TakeHeader();
  Result<size_t> TakeData(std::span<uint8_t> out);
  Status EndChunk();
  Status TakeTrailers();
  Status TakeTrailer(std::string_view line);
  Status CheckTrailers();

  RequestBody& raw_;
  const S3Payload payload_;
  const uint64_t decoded_bytes_;
  S3ChunkSigner signer_;
  std::vector<uint8_t> buffer_;
  size_t first_ = 0;  ///< bytes of the buffer that are left: from first_ to last_
  size_t last_ = 0;
  Step step_ = Step::kHeader;
  uint64_t decoded_ = 0;
  uint64_t chunk_left_ = 0;
  std::string chunk_signature_;
  Sha256 chunk_digest_;
  std::string signed_trailers_;
  std::string trailer_signature_;
  http::Fields trailers_;
};

}  // namespace nearside::origin
