#include "origin/content_digest.h"

#include <gtest/gtest.h>

#include "runtime/crypto.h"

namespace nearside::origin {
namespace {

const storage::BlobId kId{Sha256Of("hello")};

TEST(ContentDigestTest, EitherFieldIsReadAndOtherAlgorithmsAreNot) {
  const std::string digest = FormatReprDigest(kId);
  EXPECT_EQ(digest, "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:");
  EXPECT_EQ(ReadContentDigest(http::Fields{}).value(), std::nullopt);
  EXPECT_EQ(ReadContentDigest(http::Fields{{"repr-digest", digest}}).value(), kId);
  EXPECT_EQ(ReadContentDigest(http::Fields{{"content-digest", digest}}).value(), kId);
  EXPECT_EQ(ReadContentDigest(http::Fields{{"content-digest", "md5=:AAAA:, " + digest}}).value(),
            kId);
  EXPECT_EQ(ReadContentDigest(http::Fields{{"content-digest", "md5=:AAAA:"}}).value(),
            std::nullopt);
}

TEST(ContentDigestTest, WhatIsNoDigestIsRefusedAndNotIgnored) {
  for (const char* text : {"", "sha-256", "sha-256=abc",
                           "sha-256=:AAAA:", "sha-256=:!:", "sha-256=\"x\"", "sha-256=(:AAAA:)"}) {
    const auto digest = ReadContentDigest(http::Fields{{"repr-digest", text}});
    if (std::string_view(text).empty()) continue;  // an empty field is an empty dictionary
    ASSERT_FALSE(digest) << text;
    EXPECT_EQ(digest.error().reason, "bad_digest");
  }
  const std::string one = FormatReprDigest(kId);
  const std::string other = FormatReprDigest(storage::BlobId{Sha256Of("other")});
  EXPECT_FALSE(ReadContentDigest(http::Fields{{"repr-digest", one}, {"content-digest", other}}));
  EXPECT_TRUE(ReadContentDigest(http::Fields{{"repr-digest", one}, {"content-digest", one}}));
}

}  // namespace
}  // namespace nearside::origin
