#include "origin/s3_checksum.h"

#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

std::span<const uint8_t> ChecksumInput(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

std::string ChecksumOf(S3ChecksumKind kind, std::string_view text) {
  S3Checksum checksum(kind);
  checksum.Update(ChecksumInput(text));
  return checksum.Finish();
}

// The check values of the catalogue of CRCs, and FIPS 180's digests of "abc", in base64.
TEST(S3ChecksumTest, KnownValues) {
  EXPECT_EQ(ChecksumOf(S3ChecksumKind::kCrc32, "123456789"),
            Base64Encode(std::vector<uint8_t>{0xCB, 0xF4, 0x39, 0x26}));
  EXPECT_EQ(ChecksumOf(S3ChecksumKind::kCrc32c, "123456789"),
            Base64Encode(std::vector<uint8_t>{0xE3, 0x06, 0x92, 0x83}));
  EXPECT_EQ(ChecksumOf(S3ChecksumKind::kCrc64Nvme, "123456789"),
            Base64Encode(std::vector<uint8_t>{0xAE, 0x8B, 0x14, 0x86, 0x0A, 0x79, 0x98, 0x88}));
  EXPECT_EQ(ChecksumOf(S3ChecksumKind::kSha1, "abc"), "qZk+NkcGgWq6PiVxeFDCbJzQ2J0=");
  EXPECT_EQ(ChecksumOf(S3ChecksumKind::kSha256, "abc"),
            "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
  EXPECT_EQ(ChecksumOf(S3ChecksumKind::kCrc32, ""), "AAAAAA==");
}

TEST(S3ChecksumTest, HowTheContentIsCutChangesNothing) {
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>(i * 7);
  for (const S3ChecksumKind kind : kS3Checksums) {
    for (const size_t step : {1u, 3u, 8u, 13u, 1000u}) {
      S3Checksum checksum(kind);
      for (size_t at = 0; at < text.size(); at += step) {
        checksum.Update(ChecksumInput(std::string_view(text).substr(at, step)));
      }
      EXPECT_EQ(checksum.Finish(), ChecksumOf(kind, text)) << S3ChecksumField(kind) << step;
    }
  }
}

TEST(S3ChecksumTest, EveryKindHasItsField) {
  for (const S3ChecksumKind kind : kS3Checksums) {
    EXPECT_EQ(S3ChecksumOfField(S3ChecksumField(kind)), kind);
  }
  EXPECT_EQ(S3ChecksumOfField("x-amz-checksum-md5"), std::nullopt);
}

}  // namespace
}  // namespace nearside::origin
