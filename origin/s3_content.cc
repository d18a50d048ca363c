#include "origin/s3_content.h"

#include <algorithm>

#include "origin/s3_errors.h"

namespace nearside::origin {
namespace {

constexpr size_t kReceivedPiece = 256 << 10;
constexpr size_t kMd5Bytes = 16;

std::span<const uint8_t> BytesOf(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

/// Algorithms that the trailers will tell of.
Result<std::vector<S3ChecksumKind>> AnnouncedTrailers(const http::Fields& fields) {
  std::vector<S3ChecksumKind> kinds;
  std::string names = http::LowerName(fields.Joined("x-amz-trailer"));
  names.erase(std::remove(names.begin(), names.end(), ' '), names.end());
  for (std::string_view rest = names; !rest.empty();) {
    const std::string_view name = rest.substr(0, rest.find(','));
    rest.remove_prefix(std::min(name.size() + 1, rest.size()));
    if (name.empty()) continue;
    const std::optional<S3ChecksumKind> kind = S3ChecksumOfField(name);
    if (!kind) {
      return S3Fail("invalid_request", "x-amz-trailer: \"" + std::string(name.substr(0, 80)) +
                                           "\" cannot be checked: expected x-amz-checksum-crc32, "
                                           "-crc32c, -crc64nvme, -sha1 or -sha256");
    }
    kinds.push_back(*kind);
  }
  return kinds;
}

}  // namespace

Result<S3Claims> S3Claims::Read(const http::Fields& fields) {
  S3Claims claims;
  if (const auto md5 = fields.Get("content-md5")) {
    Result<std::string> bytes = Base64Decode(*md5);
    if (!bytes || bytes->size() != kMd5Bytes) {
      return S3Fail("invalid_digest", "Content-MD5: expected 16 bytes in base64");
    }
    claims.content_md5_ = std::move(*bytes);
  }
  for (const S3ChecksumKind kind : kS3Checksums) {
    const auto value = fields.Get(S3ChecksumField(kind));
    // One of an upload in parts ("…-3") says nothing about a content.
    if (value && value->find('-') == std::string_view::npos) {
      claims.claims_.push_back({S3Checksum(kind), std::string(*value)});
    }
  }
  Result<std::vector<S3ChecksumKind>> trailers = AnnouncedTrailers(fields);
  if (!trailers) return unexpected(std::move(trailers.error()));
  for (const S3ChecksumKind kind : *trailers) {
    claims.claims_.push_back({S3Checksum(kind), std::nullopt});
  }
  return claims;
}

void S3Claims::Update(std::span<const uint8_t> bytes) {
  digest_.Update(bytes);
  if (content_sha_) sha_.Update(bytes);
  for (Claim& claim : claims_) claim.checksum.Update(bytes);
}

Status S3Claims::Check(const http::Fields* trailers) {
  const std::string md5 = digest_.Finish();
  md5_ = HexEncode(BytesOf(md5));
  if (content_md5_ && *content_md5_ != md5) {
    return S3Fail("bad_md5", "the content's MD5 is " + Base64Encode(BytesOf(md5)) +
                                 ", Content-MD5 says another");
  }
  if (content_sha_ && sha_.Finish() != *content_sha_) {
    return S3Fail("digest_mismatch", "the content's SHA-256 is not x-amz-content-sha256");
  }
  for (Claim& claim : claims_) {
    const std::string field(S3ChecksumField(claim.checksum.kind()));
    if (!claim.value && trailers != nullptr && trailers->Has(field)) {
      claim.value = trailers->Joined(field);
    }
    if (!claim.value) return S3Fail("bad_body", "the trailer " + field + " did not come");
    const std::string found = claim.checksum.Finish();
    if (*claim.value != found) {
      return S3Fail("bad_checksum",
                    "the content's checksum is " + found + ", " + field + " says another");
    }
    checksums_.emplace_back(field, found);
  }
  return {};
}

namespace {

/// Into the writer, to the end; all claims hold afterwards.
Status TakeContent(Node& node, const S3Upload& upload, S3Claims* claims,
                   storage::BlobWriter* writer) {
  const uint64_t limit = node.settings.limits.asset.bytes;
  const auto too_large = [&]() -> Status {
    return S3Fail("body_too_large", "the content is larger than limits.asset allows: " +
                                        FormatSize(node.settings.limits.asset));
  };
  if (upload.body.announced_bytes().value_or(0) > limit) return too_large();
  std::vector<uint8_t> piece(kReceivedPiece);
  while (true) {
    Result<size_t> n = upload.body.Read(piece);
    if (!n) return unexpected(std::move(n.error()));
    if (*n == 0) break;
    if (writer->bytes() + *n > limit + kPartSaltBytes) return too_large();
    const std::span<const uint8_t> bytes = std::span<const uint8_t>(piece).first(*n);
    claims->Update(bytes);
    if (Status kept = writer->Append(bytes); !kept) return kept;
  }
  return claims->Check(upload.chunked != nullptr ? &upload.chunked->trailers() : nullptr);
}

Result<S3Content> Receive(Node& node, const S3Upload& upload, std::span<const uint8_t> salt) {
  Result<S3Claims> claims = S3Claims::Read(upload.head.fields);
  if (!claims) return unexpected(std::move(claims.error()));
  storage::BlobExpectation expected;
  expected.bytes = upload.body.announced_bytes();
  if (expected.bytes) *expected.bytes += salt.size();
  if (upload.content_sha && salt.empty()) expected.id = storage::BlobId{*upload.content_sha};
  if (upload.content_sha && !salt.empty()) claims->Expect(*upload.content_sha);
  auto writer = node.blobs->Begin();
  if (!writer) return unexpected(std::move(writer.error()));
  Status taken = salt.empty() ? Status() : (*writer)->Append(salt);
  if (taken) taken = TakeContent(node, upload, &*claims, writer->get());
  if (!taken) return unexpected(std::move(taken.error()));
  Result<storage::StoredBlob> blob = (*writer)->Commit(expected);
  if (!blob) return unexpected(std::move(blob.error()));
  ++node.counters.stored_blobs;
  node.counters.stored_bytes += blob->bytes;
  return S3Content{*blob, claims->md5(), claims->checksums()};
}

}  // namespace

Result<S3Content> ReceiveS3Content(Node& node, const S3Upload& upload) {
  return Receive(node, upload, {});
}

Result<S3Content> ReceiveS3Part(Node& node, const S3Upload& upload) {
  std::array<uint8_t, kPartSaltBytes> salt;
  RandomBytes(salt);
  return Receive(node, upload, salt);
}

Result<std::string> ReceiveS3Text(const S3Upload& upload, size_t limit) {
  Result<S3Claims> claims = S3Claims::Read(upload.head.fields);
  if (!claims) return unexpected(std::move(claims.error()));
  if (upload.content_sha) claims->Expect(*upload.content_sha);
  Result<std::string> text = ReadWhole(upload.body, limit);
  if (!text) return text;
  claims->Update(BytesOf(*text));
  Status checked = claims->Check(upload.chunked != nullptr ? &upload.chunked->trailers() : nullptr);
  if (!checked) return unexpected(std::move(checked.error()));
  return text;
}

}  // namespace nearside::origin
