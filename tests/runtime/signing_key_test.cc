#include "runtime/signing_key.h"

#include <gtest/gtest.h>

namespace nearside {
namespace {

// Of P-384, which is none of ours.
constexpr std::string_view kOtherCurve = R"(-----BEGIN PRIVATE KEY-----
MIG2AgEAMBAGByqGSM49AgEGBSuBBAAiBIGeMIGbAgEBBDANl7P+mFRGJNPawEKm
K4/iWTcRz4+ru0HW5sq+qkYNHYSP0YaKM20Q1Sd/ntrXBJ6hZANiAATSCry2aa1Q
KpIn/zLv4n8oNiagKC5Qlw65SiJ4qT9qArfX9jj45eu0/s8I8i0ihh3+pu5tuC2f
tqRhGWdnaHtTdcwzTVyJZ7FuvSpdU4Rws2f4OGU2CdJGp3iismPuas8=
-----END PRIVATE KEY-----
)";
constexpr std::string_view kEncrypted = R"(-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAh1jm3z6OiniwICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEAQIEECoHLM8MppkH5Az7IASFOSEEQFRn
hJAne5SsNkEJvmNlJT/T2Lb7/8SnqnFRvDnOAxSvwjhl7xrH6NIOPf4PVzIt1RoM
LILP0p4kmE2vUek7UjA=
-----END ENCRYPTED PRIVATE KEY-----
)";

constexpr SigningAlgorithm kBoth[] = {SigningAlgorithm::kEcdsaP256, SigningAlgorithm::kEd25519};

TEST(SigningKeyTest, IsTheSameAfterPemAndAsACopy) {
  for (const SigningAlgorithm algorithm : kBoth) {
    const SigningKey key = SigningKey::Generate(algorithm);
    EXPECT_EQ(key.algorithm(), algorithm);
    EXPECT_EQ(key.PublicBytes().size(), algorithm == SigningAlgorithm::kEcdsaP256 ? 64U : 32U);
    const auto read = SigningKey::FromPem("# a line before it\n" + key.ToPem());
    ASSERT_TRUE(read) << read.error().message;
    EXPECT_EQ(read->algorithm(), algorithm);
    EXPECT_EQ(read->PublicBytes(), key.PublicBytes());
    EXPECT_EQ(read->ToPem(), key.ToPem());
    EXPECT_EQ(key.Copy().ToPem(), key.ToPem());
    EXPECT_NE(SigningKey::Generate(algorithm).PublicBytes(), key.PublicBytes());
  }
}

TEST(SigningKeyTest, SignaturesDependOnWhatIsSigned) {
  const uint8_t one[] = {1, 2, 3};
  const uint8_t other[] = {1, 2, 4};
  for (const SigningAlgorithm algorithm : kBoth) {
    const SigningKey key = SigningKey::Generate(algorithm);
    EXPECT_NE(key.Sign(one), key.Sign(other));
    const bool draws = algorithm == SigningAlgorithm::kEcdsaP256;
    EXPECT_EQ(key.Sign(one) == key.Sign(one), !draws);
  }
}

TEST(SigningKeyTest, OtherKeysAreRefused) {
  for (const std::string_view text :
       {std::string_view(""), std::string_view("-----BEGIN"), kOtherCurve, kEncrypted}) {
    const auto key = SigningKey::FromPem(text);
    ASSERT_FALSE(key) << text;
    EXPECT_EQ(key.error().reason, "bad_key");
    EXPECT_EQ(key.error().fault, Fault::kOperator);
  }
  EXPECT_NE(SigningKey::FromPem(kOtherCurve).error().message.find("P-256 or Ed25519"),
            std::string::npos);
  EXPECT_NE(SigningKey::FromPem(kEncrypted).error().message.find("without a pass phrase"),
            std::string::npos);
}

}  // namespace
}  // namespace nearside
