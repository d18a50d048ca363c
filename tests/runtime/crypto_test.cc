#include "runtime/crypto.h"
#include "runtime/text_bytes.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <thread>

namespace nearside {
namespace {

// FIPS 180-2, appendix B, and the digest of nothing.
constexpr std::string_view kOfNothing =
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
constexpr std::string_view kOfAbc =
    "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

TEST(Sha256Test, AgreesWithTheStandardsExamples) {
  EXPECT_EQ(HexEncode(Sha256Of("")), kOfNothing);
  EXPECT_EQ(HexEncode(Sha256Of("abc")), kOfAbc);
  EXPECT_EQ(HexEncode(Sha256Of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Sha1Test, AgreesWithTheStandardsExamples) {
  EXPECT_EQ(HexEncode(Sha1Of("")), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
  EXPECT_EQ(HexEncode(Sha1Of("abc")), "a9993e364706816aba3e25717850c26c9cd0d89d");
}

TEST(Sha256Test, PiecesGiveTheDigestOfTheWhole) {
  std::string million(1'000'000, 'a');
  Sha256 digest;
  for (size_t at = 0, step = 1; at < million.size(); at += step++) {
    digest.Update(std::string_view(million).substr(at, step));
  }
  EXPECT_EQ(HexEncode(digest.Finish()),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256Test, StartsAnewAfterFinish) {
  Sha256 digest;
  digest.Update(AsBytes("abc"));
  EXPECT_EQ(HexEncode(digest.Finish()), kOfAbc);
  EXPECT_EQ(HexEncode(digest.Finish()), kOfNothing);
  digest.Update("a");
  Sha256 moved = std::move(digest);
  moved.Update("bc");
  EXPECT_EQ(HexEncode(moved.Finish()), kOfAbc);
}

TEST(Sha256Test, ThreadsHashAtOnce) {
  std::string results[4];
  std::thread threads[4];
  for (int i = 0; i < 4; ++i) {
    threads[i] = std::thread([&result = results[i]] {
      for (int n = 0; n < 200; ++n) result = HexEncode(Sha256Of("abc"));
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const std::string& result : results) EXPECT_EQ(result, kOfAbc);
}

TEST(HmacSha256Test, AgreesWithRfc4231) {
  EXPECT_EQ(HexEncode(HmacSha256("Jefe", "what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
  EXPECT_EQ(HexEncode(HmacSha256(std::string(131, '\xaa'),
                                 "Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
  EXPECT_EQ(HexEncode(HmacSha256({}, {})),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(RandomBytesTest, TwoDrawsDiffer) {
  std::array<uint8_t, 32> a{};
  std::array<uint8_t, 32> b{};
  RandomBytes(a);
  RandomBytes(b);
  RandomBytes({});
  EXPECT_NE(a, b);
}

TEST(ConstantTimeTest, ComparesLengthAndEveryByte) {
  EXPECT_TRUE(EqualInConstantTime("", ""));
  EXPECT_TRUE(EqualInConstantTime("token", "token"));
  EXPECT_FALSE(EqualInConstantTime("token", "tokem"));
  EXPECT_FALSE(EqualInConstantTime("token", "Token"));
  EXPECT_FALSE(EqualInConstantTime("token", "toke"));
  EXPECT_FALSE(EqualInConstantTime("", "t"));
}

TEST(HexTest, EncodesLowerAndDecodesBothCases) {
  EXPECT_EQ(HexEncode(AsBytes(std::string_view("\x00\x7f\xff", 3))), "007fff");
  EXPECT_EQ(HexDecode("007fFF").value(), std::string("\x00\x7f\xff", 3));
  EXPECT_EQ(HexDecode("").value(), "");
}

TEST(HexTest, EveryOtherByteIsRefused) {
  for (int c = 0; c < 256; ++c) {
    const char letter = static_cast<char>(c);
    const bool digit = std::string_view("0123456789abcdefABCDEF").find(letter) != std::string::npos;
    EXPECT_EQ(HexDecode(std::string("0") + letter).has_value(), digit) << c;
    EXPECT_EQ(HexDecode(letter + std::string("0")).has_value(), digit) << c;
  }
  const Result<std::string> odd = HexDecode("abc");
  EXPECT_EQ(odd.error().ToString(), "expected an even number of hex digits (bad_hex)");
}

struct Base64Row {
  std::string_view plain;
  std::string_view encoded;
};

TEST(Base64Test, AgreesWithRfc4648) {
  const Base64Row rows[] = {{"", ""},
                            {"f", "Zg=="},
                            {"fo", "Zm8="},
                            {"foo", "Zm9v"},
                            {"foob", "Zm9vYg=="},
                            {"fooba", "Zm9vYmE="},
                            {"foobar", "Zm9vYmFy"},
                            {"\xff\xfe\xfb", "//77"},
                            {"\xfb\xef", "++8="}};
  for (const Base64Row& row : rows) {
    EXPECT_EQ(Base64Encode(AsBytes(row.plain)), row.encoded);
    EXPECT_EQ(Base64Decode(row.encoded).value(), row.plain);
  }
}

TEST(Base64Test, TheAlphabetForUrlsHasNoPadding) {
  const uint8_t bytes[] = {0xfb, 0xef, 0xff, 0xfe};
  EXPECT_EQ(Base64Encode(bytes), "++///g==");
  EXPECT_EQ(Base64UrlEncode(bytes), "--___g");
  EXPECT_EQ(Base64UrlEncode({}), "");
}

TEST(Base64Test, WhatNoEncoderWritesIsRefused) {
  for (const std::string_view text :
       {"Z", "Zg", "Zg=", "Zg===", "====", "===", "Z===", "Zm9v=", "Zh==", "Zm9=", "Zm 9", "Zm9\n",
        "Zm9-", "Zm_v", "Z=g=", "Zg==Zg=="}) {
    const Result<std::string> bytes = Base64Decode(text);
    ASSERT_FALSE(bytes) << text;
    EXPECT_EQ(bytes.error().reason, "bad_base64") << text;
    EXPECT_EQ(bytes.error().fault, Fault::kClient);
  }
}

TEST(Base64Test, RandomBytesComeBackAtEveryLength) {
  for (size_t length = 0; length < 70; ++length) {
    std::vector<uint8_t> bytes(length);
    RandomBytes(bytes);
    const std::string back = Base64Decode(Base64Encode(bytes)).value();
    EXPECT_TRUE(std::equal(bytes.begin(), bytes.end(), AsBytes(back).begin(), AsBytes(back).end()))
        << HexEncode(bytes);
    EXPECT_EQ(HexDecode(HexEncode(bytes)).value(), back);
  }
}

}  // namespace
}  // namespace nearside
