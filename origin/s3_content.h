#pragma once

// The content of an S3 upload on its way to the blob store: received in constant memory, its MD5
// computed, and everything checked that the client has said about it.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "http/message.h"
#include "origin/node.h"
#include "origin/request_body.h"
#include "origin/s3_checksum.h"
#include "origin/s3_chunked_body.h"

namespace nearside::origin {

/// The content of a request after its signature was checked.
struct S3Upload {
  const http::RequestHead& head;
  RequestBody& body;                        ///< without the chunks of aws-chunked
  const S3ChunkedBody* chunked = nullptr;   ///< `body`, when it has such chunks: for its trailers
  std::optional<Sha256Digest> content_sha;  ///< signed, of the whole
};

struct S3Content {
  storage::StoredBlob blob;
  std::string md5;  ///< 32 digits
  /// Checksums that were sent and hold, as fields.
  std::vector<std::pair<std::string, std::string>> checksums;
};

/// What a client says of a content: Content-MD5 and x-amz-checksum-*, before it or behind it.
class S3Claims {
 public:
  /// Error: kClient invalid_digest, invalid_request.
  static Result<S3Claims> Read(const http::Fields& fields);
  /// The SHA-256 that was signed, where nobody else compares it.
  void Expect(const Sha256Digest& content_sha) { content_sha_ = content_sha; }
  void Update(std::span<const uint8_t> bytes);
  /// `trailers` may be null. Errors: kClient bad_md5, bad_checksum, digest_mismatch, bad_body (a
  /// trailer that was announced is not there).
  Status Check(const http::Fields* trailers);
  /// After Check: 32 digits.
  const std::string& md5() const { return md5_; }
  const std::vector<std::pair<std::string, std::string>>& checksums() const { return checksums_; }

 private:
  struct Claim {
    S3Checksum checksum;
    std::optional<std::string> value;  ///< nullopt: in a trailer
  };
  Digest digest_{DigestKind::kMd5};
  Sha256 sha_;
  std::optional<Sha256Digest> content_sha_;
  std::optional<std::string> content_md5_;  ///< 16 bytes
  std::vector<Claim> claims_;
  std::string md5_;
  std::vector<std::pair<std::string, std::string>> checksums_;
};

/// What stands in front of a part's content in its blob, so that the blob is no other's.
inline constexpr size_t kPartSaltBytes = 32;

/// Takes the content into the blob store; nothing of a failed one stays there. The metadata does
/// not know of it yet. Errors: those of the body, of S3Claims, and kClient body_too_large,
/// length_mismatch; kSelf of the disk.
Result<S3Content> ReceiveS3Content(Node& node, const S3Upload& upload);
/// The same for a part: behind kPartSaltBytes of random, which the answer's blob counts.
Result<S3Content> ReceiveS3Part(Node& node, const S3Upload& upload);

/// A small content: XML. Errors: those of ReceiveS3Content, by the same checks.
Result<std::string> ReceiveS3Text(const S3Upload& upload, size_t limit);

}  // namespace nearside::origin
