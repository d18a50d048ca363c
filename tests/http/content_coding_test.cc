#include "http/content_coding.h"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "runtime/text_bytes.h"
#include "tests/http/decoded.h"

namespace nearside::http {
namespace {

using Step = ContentEncoder::Step;

constexpr Coding kCodings[] = {Coding::kGzip, Coding::kZstd, Coding::kBr};

/// Text that shrinks to about a third.
std::string Text(size_t size) {
  std::string text;
  std::minstd_rand random(7);
  while (text.size() < size) text += "word" + std::to_string(random() % 300) + ' ';
  text.resize(size);
  return text;
}

/// An encoder and what has come out of it.
struct Encoded {
  explicit Encoded(Coding of, std::optional<uint64_t> body_bytes = std::nullopt)
      : coding(of), encoder(ContentEncoder::Make(of, body_bytes).value()) {}
  void Take(std::string_view text, Step step = Step::kMore) {
    const Status taken = encoder->Encode(AsBytes(text), step, [this](auto piece) {
      EXPECT_FALSE(piece.empty());
      bytes += AsText(piece);
      ++pieces;
    });
    EXPECT_TRUE(taken) << taken.error().message;
  }
  std::string Read() const { return Decoded(coding, bytes).value_or("(broken)"); }
  bool IsWhole() const {
    bool whole = false;
    return Decoded(coding, bytes, &whole) && whole;
  }

  Coding coding;
  std::unique_ptr<ContentEncoder> encoder;
  std::string bytes;
  int pieces = 0;
};

TEST(ContentCodingTest, WhatGoesInComesOut) {
  for (const Coding coding : kCodings) {
    for (const size_t size : {0, 1, 100, 65'519, 65'520, 3'000'000}) {
      const std::string text = Text(size);
      for (const bool told : {false, true}) {
        Encoded encoded(coding, told ? std::optional<uint64_t>(size) : std::nullopt);
        encoded.Take(text, Step::kFinish);
        EXPECT_TRUE(encoded.Read() == text) << CodingName(coding) << " " << size;
        EXPECT_TRUE(encoded.IsWhole()) << CodingName(coding) << " " << size;
        if (size > 10'000) {
          EXPECT_LT(encoded.bytes.size(), size / 2);
        }
      }
    }
  }
}

TEST(ContentCodingTest, NoiseGrowsByLittle) {
  for (const Coding coding : kCodings) {
    std::mt19937 random(3);
    std::string noise(500'000, '\0');
    for (char& c : noise) c = static_cast<char>(random());
    Encoded encoded(coding);
    encoded.Take(noise, Step::kFinish);
    EXPECT_TRUE(encoded.Read() == noise) << CodingName(coding);
    EXPECT_LT(encoded.bytes.size(), noise.size() + 1000) << CodingName(coding);
  }
}

TEST(ContentCodingTest, PiecesOfAnySizeAndFlushesAnywhereMakeOneBody) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (const Coding coding : kCodings) {
    for (int round = 0; round < 20; ++round) {
      const std::string text = Text(random() % 300'000);
      Encoded encoded(coding);
      std::string_view left = text;
      while (!left.empty()) {
        const size_t size = std::min<size_t>(left.size(), random() % 20'000);
        encoded.Take(left.substr(0, size), random() % 4 == 0 ? Step::kFlush : Step::kMore);
        left.remove_prefix(size);
      }
      encoded.Take("", Step::kFinish);
      EXPECT_TRUE(encoded.Read() == text) << CodingName(coding);
      EXPECT_TRUE(encoded.IsWhole()) << CodingName(coding);
    }
  }
}

TEST(ContentCodingTest, AFlushLetsAllBeRead) {
  for (const Coding coding : kCodings) {
    Encoded encoded(coding);
    encoded.Take("first ");
    encoded.Take("second", Step::kFlush);
    EXPECT_EQ(encoded.Read(), "first second") << CodingName(coding);
    EXPECT_FALSE(encoded.IsWhole());
    encoded.Take(" third");
    encoded.Take("", Step::kFlush);
    EXPECT_EQ(encoded.Read(), "first second third") << CodingName(coding);
    // With nothing new it costs nothing, or next to it.
    const size_t size = encoded.bytes.size();
    for (int i = 0; i < 10; ++i) encoded.Take("", Step::kFlush);
    EXPECT_LE(encoded.bytes.size(), size + 100) << CodingName(coding);
    encoded.Take("", Step::kFinish);
    EXPECT_EQ(encoded.Read(), "first second third") << CodingName(coding);
    EXPECT_TRUE(encoded.IsWhole());
  }
}

// A body of gigabytes must not gather inside.
TEST(ContentCodingTest, ResultsComeOutBeforeTheEnd) {
  for (const Coding coding : kCodings) {
    Encoded encoded(coding);
    const std::string text = Text(1 << 20);
    for (int i = 0; i < 8; ++i) encoded.Take(text);
    EXPECT_GT(encoded.bytes.size(), 0u) << CodingName(coding);
    const size_t read = encoded.Read().size();
    EXPECT_GT(read, 6u << 20) << CodingName(coding) << ": the rest is inside";
    encoded.Take("", Step::kFinish);
    EXPECT_EQ(encoded.Read().size(), 8u << 20);
  }
}

TEST(ContentCodingTest, ABodyOfAnotherLengthThanAnnouncedFailsOrIsRight) {
  for (const Coding coding : kCodings) {
    for (const std::string_view text : {"short", "longer than announced"}) {
      auto encoder = ContentEncoder::Make(coding, 10).value();
      std::string bytes;
      const Status taken = encoder->Encode(AsBytes(text), Step::kFinish,
                                           [&](auto piece) { bytes += AsText(piece); });
      if (taken) {
        EXPECT_EQ(Decoded(coding, bytes), text);
      } else {
        EXPECT_EQ(taken.error().fault, Fault::kSelf);
        EXPECT_EQ(taken.error().reason, "encoding_failed");
      }
    }
  }
}

TEST(ContentCodingTest, TheBestEffortIsSmallerAndTheSameText) {
  // Text with long-distance repeats, as bundles of scripts have them.
  const std::string part = Text(200'000);
  const std::string text = part + Text(150'000) + part;
  for (const Coding coding : kCodings) {
    Encoded quick(coding);
    quick.Take(text, Step::kFinish);
    Encoded best(coding, text.size());
    best.encoder = ContentEncoder::Make(coding, text.size(), Effort::kBest).value();
    best.Take(text, Step::kFinish);
    EXPECT_TRUE(best.Read() == text && best.IsWhole()) << CodingName(coding);
    EXPECT_LT(best.bytes.size(), quick.bytes.size()) << CodingName(coding);
  }
}

TEST(ContentCodingTest, TheIdentityIsNoCoding) {
  const auto encoder = ContentEncoder::Make(Coding::kIdentity, std::nullopt);
  ASSERT_FALSE(encoder);
  EXPECT_EQ(encoder.error().reason, "no_encoder");
}

TEST(ContentCodingTest, OneTextIsEncodedToTheSameBytes) {
  const std::string text = Text(100'000);
  for (const Coding coding : kCodings) {
    Encoded one(coding), other(coding);
    one.Take(text, Step::kFinish);
    other.Take(text, Step::kFinish);
    EXPECT_TRUE(one.bytes == other.bytes) << CodingName(coding);
  }
}

}  // namespace
}  // namespace nearside::http
