#pragma once

// AWS Signature Version 4 as S3 uses it: who says to have signed a request, and whether a secret
// made that signature. ("Authenticating Requests (AWS Signature Version 4)", Amazon S3 API
// reference.) Pure; what is signed is taken from the target and the fields as they came.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "http/message.h"
#include "runtime/clock.h"
#include "runtime/crypto.h"
#include "runtime/result.h"

namespace nearside::origin {

/// How far a request's clock may be from ours.
inline constexpr milliseconds kS3Skew = seconds(15 * 60);
/// The longest that a presigned URL may hold.
inline constexpr seconds kS3LongestPresign{7 * 24 * 3600};

/// What x-amz-content-sha256 says of the content.
enum class S3Payload {
  kUnsigned,             ///< UNSIGNED-PAYLOAD: the content is not covered by the signature
  kDigest,               ///< the SHA-256 of the whole content
  kSignedChunks,         ///< STREAMING-AWS4-HMAC-SHA256-PAYLOAD
  kSignedChunksTrailer,  ///< STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER
  kUnsignedTrailer,      ///< STREAMING-UNSIGNED-PAYLOAD-TRAILER
};

/// What a request says about its signature; nothing of it has been proved.
struct S3Authorization {
  std::string access_key_id;
  std::string time;    ///< "20130524T000000Z"
  std::string region;  ///< of the scope; any is taken
  std::vector<std::string> signed_headers;
  std::string signature;  ///< 64 digits
  bool presigned = false;
  S3Payload payload = S3Payload::kUnsigned;
  std::string payload_text;                 ///< as signed
  std::optional<Sha256Digest> content_sha;  ///< of kDigest

  std::string_view date() const { return std::string_view(time).substr(0, 8); }
  /// "20130524/us-east-1/s3/aws4_request".
  std::string scope() const;
};

/// Whether a request has a signature, of whatever version: by Authorization or in its query.
bool IsS3Signed(const http::RequestHead& head);

/// Reads Authorization or the query, and checks all that needs no secret: form, clock, expiry, and
/// that host and every x-amz-* field are signed. Errors: kClient access_denied (no signature),
/// signature_version, bad_authorization, bad_query_authorization, time_skewed, request_expired,
/// headers_not_signed, invalid_argument.
Result<S3Authorization> ReadS3Authorization(const http::RequestHead& head, WallTime now);

/// What the client has hashed before it signed. Error: kClient invalid_uri.
Result<std::string> S3CanonicalRequest(const http::RequestHead& head,
                                       const S3Authorization& authorization);

/// HMACs of date, region and service under the secret.
Sha256Digest S3SigningKey(std::string_view secret, std::string_view date, std::string_view region);

/// What chunks are signed with: the proof of the head goes before that of the first chunk.
struct S3ChunkSigner {
  Sha256Digest key{};
  std::string time;
  std::string scope;
  std::string previous;  ///< signature, 64 digits

  /// Of a chunk with this digest, behind `previous`.
  std::string SignChunk(const Sha256Digest& digest) const;
  /// Of the trailers, each "name:value\n".
  std::string SignTrailers(std::string_view trailers) const;
};

/// Compares in constant time. Errors: kClient signature_mismatch, invalid_uri.
Result<S3ChunkSigner> CheckS3Signature(const http::RequestHead& head,
                                       const S3Authorization& authorization,
                                       std::string_view secret);

/// Percent-decoded pairs of a query, "+" as a space; nullopt when it is badly encoded.
std::optional<std::vector<std::pair<std::string, std::string>>> S3QueryPairs(
    std::string_view query);
/// "%XX" for all but unreserved characters and those of `keep`.
std::string S3Encode(std::string_view text, std::string_view keep = "");

}  // namespace nearside::origin
