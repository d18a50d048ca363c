#include "edge/upload.h"

#include <gtest/gtest.h>

#include "tests/edge/fake_exchange.h"
#include "tests/edge/messages.h"
#include "tests/edge/patterns.h"

namespace nearside::edge {
namespace {

class UploadTest : public testing::Test {
 protected:
  void Push(std::string_view bytes) { upload_->Push(AsBytes(bytes)); }
  /// What the origin's session reads, at most `most` bytes; then the state.
  std::string Take(size_t most = SIZE_MAX) {
    std::string text;
    while (true) {
      std::span<const uint8_t> piece;
      switch (source_->Peek(&piece)) {
        case http::BodySource::State::kWait:
          return text + " wait";
        case http::BodySource::State::kEnd:
          return text + " end";
        case http::BodySource::State::kFailed:
          return text + " failed";
        case http::BodySource::State::kReady:
          break;
      }
      if (most == 0) return text + " more";
      const size_t size = std::min(most, piece.size());
      text += TextOf(piece.first(size));
      most -= size;
      source_->Consume(size);
    }
  }

  FakeExchange exchange_{RequestFor("POST", "https://www.demo.test/form")};
  std::shared_ptr<Upload> upload_ = std::make_shared<Upload>(exchange_);
  std::unique_ptr<http::BodySource> source_ = upload_->MakeSource(upload_);
};

TEST_F(UploadTest, GoesThroughInOrderAndEnds) {
  EXPECT_EQ(Take(), " wait");
  Push("abc");
  Push("def");
  EXPECT_EQ(Take(4), "abcd more");
  EXPECT_EQ(Take(), "ef wait");
  upload_->End();
  EXPECT_EQ(Take(), " end");
}

TEST_F(UploadTest, AnEndBehindBytesIsToldBehindThem) {
  Push("abc");
  upload_->End();
  EXPECT_EQ(Take(), "abc end");
}

TEST_F(UploadTest, TrailersComeBehindTheBody) {
  Push("abc");
  upload_->End({{"x-sum", "1"}});
  EXPECT_EQ(Take(), "abc end");
  EXPECT_EQ(source_->Trailers()->ToText(), "x-sum: 1\n");
}

TEST_F(UploadTest, WhatTheOriginTookOpensTheClientsWindow) {
  Push("abcdef");
  EXPECT_EQ(exchange_.consumed, 0u);
  Take(4);
  EXPECT_EQ(exchange_.consumed, 4u);
  Take();
  EXPECT_EQ(exchange_.consumed, 6u);
}

TEST_F(UploadTest, PiecesLongerThanAChunkGoThrough) {
  const std::string bytes = Pattern(2 * kChunkBytes + 5);
  Push(bytes);
  upload_->End();
  EXPECT_TRUE(Take() == bytes + " end");
  EXPECT_EQ(exchange_.consumed, bytes.size());
}

TEST_F(UploadTest, OfAClientThatLeftItFails) {
  Push("abc");
  upload_->Detach();
  EXPECT_EQ(Take(), "abc failed");
  EXPECT_EQ(exchange_.consumed, 0u);
}

TEST_F(UploadTest, WhatWasWholeWhenTheClientLeftIsWhole) {
  Push("abc");
  upload_->End();
  upload_->Detach();
  EXPECT_EQ(Take(), "abc end");
}

TEST_F(UploadTest, WhatTheOriginDoesNotWantIsDropped) {
  Push("abcdef");
  Take(2);
  source_.reset();  // answered before it had read all
  EXPECT_EQ(exchange_.consumed, 6u);
  Push("ghi");
  EXPECT_EQ(exchange_.consumed, 9u);
  upload_->Detach();
  Push("jkl");
  EXPECT_EQ(exchange_.consumed, 9u);
}

TEST_F(UploadTest, TheOriginMayStopAfterTheClientHasLeft) {
  Push("abc");
  upload_->Detach();
  source_.reset();
  EXPECT_EQ(exchange_.consumed, 0u);
}

}  // namespace
}  // namespace nearside::edge
