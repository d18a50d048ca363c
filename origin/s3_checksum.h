#pragma once

// The checksums that S3's clients send beside Content-MD5: "x-amz-checksum-crc32: BASE64", before
// the content or behind it. Pure.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "runtime/crypto.h"

namespace nearside::origin {

enum class S3ChecksumKind { kCrc32, kCrc32c, kCrc64Nvme, kSha1, kSha256 };
inline constexpr std::array kS3Checksums = {S3ChecksumKind::kCrc32, S3ChecksumKind::kCrc32c,
                                            S3ChecksumKind::kCrc64Nvme, S3ChecksumKind::kSha1,
                                            S3ChecksumKind::kSha256};

/// "x-amz-checksum-crc32c".
std::string_view S3ChecksumField(S3ChecksumKind kind);
/// nullopt for any other field. `name` in lower case.
std::optional<S3ChecksumKind> S3ChecksumOfField(std::string_view name);

/// One thread at a time.
class S3Checksum {
 public:
  explicit S3Checksum(S3ChecksumKind kind);
  S3ChecksumKind kind() const { return kind_; }
  void Update(std::span<const uint8_t> bytes);
  /// Of all so far, big-endian in base64, as the field has it. Once.
  std::string Finish();

 private:
  S3ChecksumKind kind_;
  uint64_t crc_;
  std::optional<Digest> digest_;
};

}  // namespace nearside::origin
