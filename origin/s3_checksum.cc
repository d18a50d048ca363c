#include "origin/s3_checksum.h"

#include <vector>

namespace nearside::origin {
namespace {

// Reflected polynomials: ISO-HDLC (zlib's), Castagnoli (RFC 3720 §12.1), and that of NVMe.
constexpr uint64_t kCrc32 = 0xEDB88320;
constexpr uint64_t kCrc32c = 0x82F63B78;
constexpr uint64_t kCrc64Nvme = 0x9A6C9329AC4BC9B5;

/// Eight bytes a step: [n][b] is the CRC of byte b with n zero bytes behind it.
using CrcTables = std::array<std::array<uint64_t, 256>, 8>;

constexpr CrcTables MakeTables(uint64_t polynomial) {
  CrcTables tables{};
  for (uint64_t byte = 0; byte < 256; ++byte) {
    uint64_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? polynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t n = 1; n < tables.size(); ++n) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint64_t before = tables[n - 1][byte];
      tables[n][byte] = (before >> 8) ^ tables[0][before & 0xFF];
    }
  }
  return tables;
}

const CrcTables& TablesOf(S3ChecksumKind kind) {
  static const CrcTables kTables32 = MakeTables(kCrc32);
  static const CrcTables kTables32c = MakeTables(kCrc32c);
  static const CrcTables kTables64 = MakeTables(kCrc64Nvme);
  if (kind == S3ChecksumKind::kCrc32) return kTables32;
  return kind == S3ChecksumKind::kCrc32c ? kTables32c : kTables64;
}

uint64_t UpdateCrc(const CrcTables& tables, uint64_t crc, std::span<const uint8_t> bytes) {
  while (bytes.size() >= 8) {
    uint64_t word = 0;
    for (size_t i = 0; i < 8; ++i) word |= uint64_t{bytes[i]} << (8 * i);
    word ^= crc;  // a CRC of 32 bits meets the first four bytes alone
    crc = 0;
    for (size_t i = 0; i < 8; ++i) crc ^= tables[7 - i][(word >> (8 * i)) & 0xFF];
    bytes = bytes.subspan(8);
  }
  for (const uint8_t byte : bytes) crc = (crc >> 8) ^ tables[0][(crc ^ byte) & 0xFF];
  return crc;
}

size_t CrcBytes(S3ChecksumKind kind) { return kind == S3ChecksumKind::kCrc64Nvme ? 8 : 4; }

bool IsCrc(S3ChecksumKind kind) {
  return kind != S3ChecksumKind::kSha1 && kind != S3ChecksumKind::kSha256;
}

}  // namespace

std::string_view S3ChecksumField(S3ChecksumKind kind) {
  switch (kind) {
    case S3ChecksumKind::kCrc32:
      return "x-amz-checksum-crc32";
    case S3ChecksumKind::kCrc32c:
      return "x-amz-checksum-crc32c";
    case S3ChecksumKind::kCrc64Nvme:
      return "x-amz-checksum-crc64nvme";
    case S3ChecksumKind::kSha1:
      return "x-amz-checksum-sha1";
    case S3ChecksumKind::kSha256:
      return "x-amz-checksum-sha256";
  }
  return "";
}

std::optional<S3ChecksumKind> S3ChecksumOfField(std::string_view name) {
  for (const S3ChecksumKind kind : kS3Checksums) {
    if (S3ChecksumField(kind) == name) return kind;
  }
  return std::nullopt;
}

S3Checksum::S3Checksum(S3ChecksumKind kind)
    : kind_(kind), crc_(CrcBytes(kind) == 8 ? ~uint64_t{0} : uint64_t{0xFFFFFFFF}) {
  if (kind == S3ChecksumKind::kSha1) digest_.emplace(DigestKind::kSha1);
  if (kind == S3ChecksumKind::kSha256) digest_.emplace(DigestKind::kSha256);
}

void S3Checksum::Update(std::span<const uint8_t> bytes) {
  if (IsCrc(kind_)) {
    crc_ = UpdateCrc(TablesOf(kind_), crc_, bytes);
  } else {
    digest_->Update(bytes);
  }
}

std::string S3Checksum::Finish() {
  if (!IsCrc(kind_)) {
    const std::string digest = digest_->Finish();
    return Base64Encode({reinterpret_cast<const uint8_t*>(digest.data()), digest.size()});
  }
  std::vector<uint8_t> bytes(CrcBytes(kind_));
  const uint64_t crc = ~crc_;
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = static_cast<uint8_t>(crc >> (8 * (bytes.size() - 1 - i)));
  }
  return Base64Encode(bytes);
}

}  // namespace nearside::origin
