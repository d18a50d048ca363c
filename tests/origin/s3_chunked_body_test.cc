#include "origin/s3_chunked_body.h"

#include <gtest/gtest.h>

namespace nearside::origin {
namespace {

/// Content that comes in pieces of a size.
class TextBody final : public RequestBody {
 public:
  TextBody(std::string text, size_t piece) : text_(std::move(text)), piece_(piece) {}
  Result<size_t> Read(std::span<uint8_t> out) override {
    const size_t n = std::min({piece_, out.size(), text_.size() - done_});
    std::copy_n(text_.begin() + static_cast<ptrdiff_t>(done_), n, out.begin());
    done_ += n;
    return n;
  }
  std::optional<uint64_t> announced_bytes() const override { return text_.size(); }
  bool present() const override { return true; }

 private:
  const std::string text_;
  const size_t piece_;
  size_t done_ = 0;
};

struct Unchunked {
  std::string text;    ///< what was handed out
  std::string reason;  ///< of the failure, or ""
  http::Fields trailers;
};

Unchunked Decode(const std::string& text, S3Payload payload, uint64_t bytes,
                 const S3ChunkSigner& signer, size_t piece = 1 << 20) {
  TextBody raw(text, piece);
  S3ChunkedBody body(raw, payload, bytes, signer);
  Unchunked decoded;
  std::vector<uint8_t> out(piece == 1 ? 1 : 10'000);
  while (true) {
    const Result<size_t> n = body.Read(out);
    if (!n) decoded.reason = n.error().reason;
    if (!n || *n == 0) break;
    decoded.text.append(out.begin(), out.begin() + static_cast<ptrdiff_t>(*n));
  }
  decoded.trailers = body.trailers();
  return decoded;
}

/// Of AWS's example: "Signature Calculations for the Authorization Header: Transferring Payload in
/// Multiple Chunks", Amazon S3 API reference. 65 KiB of "a" in chunks of 64 KiB and 1 KiB.
S3ChunkSigner ExampleSigner(const std::string& seed) {
  S3ChunkSigner signer;
  signer.key = S3SigningKey("wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "20130524", "us-east-1");
  signer.time = "20130524T000000Z";
  signer.scope = "20130524/us-east-1/s3/aws4_request";
  signer.previous = seed;
  return signer;
}
const std::string kExampleSeed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9";
const std::string kTrailerSeed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e";
constexpr size_t kExampleBytes = 66560;

std::string Chunk(size_t bytes, const std::string& signature) {
  char size[20];
  std::snprintf(size, sizeof size, "%zx", bytes);
  return size + (";chunk-signature=" + signature) + "\r\n" + std::string(bytes, 'a') +
         (bytes > 0 ? "\r\n" : "");
}

std::string ExampleChunks() {
  return Chunk(65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648") +
         Chunk(1024, "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497") +
         Chunk(0, "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9") + "\r\n";
}

std::string ExampleTrailerChunks(const std::string& end) {
  return Chunk(65536, "b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2") +
         Chunk(1024, "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7") +
         Chunk(0, "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992") + end;
}
const std::string kTrailers =
    "x-amz-checksum-crc32c:sOO8/Q==\r\n"
    "x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n"
    "\r\n";

TEST(S3ChunkedBodyTest, ThePublishedExampleHoldsHoweverItComes) {
  for (const size_t piece : {1u, 7u, 65536u, 1u << 20}) {
    const Unchunked decoded = Decode(ExampleChunks(), S3Payload::kSignedChunks, kExampleBytes,
                                     ExampleSigner(kExampleSeed), piece);
    EXPECT_EQ(decoded.reason, "") << piece;
    EXPECT_TRUE(decoded.text == std::string(kExampleBytes, 'a')) << piece;
  }
}

TEST(S3ChunkedBodyTest, ThePublishedExampleWithTrailersHolds) {
  for (const std::string& end :
       {kTrailers,
        // As some clients write it: the value with a line end of its own, then an empty line.
        "x-amz-checksum-crc32c:sOO8/Q==\n\r\n" + kTrailers.substr(kTrailers.find("x-amz-t"))}) {
    const Unchunked decoded = Decode(ExampleTrailerChunks(end), S3Payload::kSignedChunksTrailer,
                                     kExampleBytes, ExampleSigner(kTrailerSeed));
    EXPECT_EQ(decoded.reason, "");
    EXPECT_EQ(decoded.text.size(), kExampleBytes);
    EXPECT_EQ(decoded.trailers.ToText(), "x-amz-checksum-crc32c: sOO8/Q==\n");
  }
}

TEST(S3ChunkedBodyTest, AnyByteThatIsAnotherFails) {
  const std::string whole = ExampleTrailerChunks(kTrailers);
  for (const size_t at : {size_t{3}, size_t{30}, size_t{200}, whole.size() - 120, whole.size() - 60,
                          whole.size() - 10}) {
    std::string text = whole;
    text[at] = text[at] == 'b' ? 'c' : 'b';
    const Unchunked decoded =
        Decode(text, S3Payload::kSignedChunksTrailer, kExampleBytes, ExampleSigner(kTrailerSeed));
    EXPECT_NE(decoded.reason, "") << at;
  }
  std::string text = ExampleChunks();
  text[300] = 'b';
  EXPECT_EQ(
      Decode(text, S3Payload::kSignedChunks, kExampleBytes, ExampleSigner(kExampleSeed)).reason,
      "signature_mismatch");
}

TEST(S3ChunkedBodyTest, ChunksCannotBeSwappedOrLeftOut) {
  const std::string first =
      Chunk(65536, "ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648");
  const std::string rest = ExampleChunks().substr(first.size());
  const S3ChunkSigner signer = ExampleSigner(kExampleSeed);
  EXPECT_EQ(Decode(rest, S3Payload::kSignedChunks, 1024, signer).reason, "signature_mismatch");
  EXPECT_EQ(Decode(first + first, S3Payload::kSignedChunks, 131072, signer).reason,
            "signature_mismatch");
}

TEST(S3ChunkedBodyTest, EveryCutIsAnError) {
  const std::string whole =
      "5\r\nhello\r\n6\r\n world\r\n0\r\nx-amz-checksum-crc32:AAAAAA==\r\n\r\n";
  const size_t last = whole.find("0\r\nx-amz") + 3;
  for (size_t size = 0; size < last; ++size) {
    EXPECT_EQ(Decode(whole.substr(0, size), S3Payload::kUnsignedTrailer, 11, {}).reason, "bad_body")
        << size;
  }
  const Unchunked decoded = Decode(whole, S3Payload::kUnsignedTrailer, 11, {});
  EXPECT_EQ(decoded.reason, "");
  EXPECT_EQ(decoded.text, "hello world");
  EXPECT_EQ(decoded.trailers.Get("x-amz-checksum-crc32"), "AAAAAA==");
}

TEST(S3ChunkedBodyTest, EveryFormThatIsNoneIsRefused) {
  const std::pair<std::string, uint64_t> rows[] = {
      {"5\r\nhello\r\n0\r\n\r\n", 4},   // more than announced
      {"5\r\nhello\r\n0\r\n\r\n", 6},   // less
      {"5\r\nhelloo\r\n0\r\n\r\n", 5},  // longer than the chunk says
      {"\r\nhello\r\n0\r\n\r\n", 5},    // no length
      {"-5\r\nhello\r\n0\r\n\r\n", 5},  // no number
      {"0x5\r\nhello\r\n0\r\n\r\n", 5},
      {"5;a=b\r\nhello\r\n0\r\n\r\n", 5},  // an extension
      {"11111111111111111\r\n", 5},        // above 64 bits
      {"5\r\nhello\r\n0\r\nno trailer\r\n\r\n", 5},
      {std::string(5000, '1'), 5},
  };
  for (const auto& [text, bytes] : rows) {
    EXPECT_EQ(Decode(text, S3Payload::kUnsignedTrailer, bytes, {}).reason, "bad_body") << text;
  }
  EXPECT_EQ(Decode("5\r\nhello\r\n0\r\n\r\n", S3Payload::kSignedChunks, 5, {}).reason, "bad_body");
}

}  // namespace
}  // namespace nearside::origin
