#include "edge/body_encoder.h"

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <vector>

#include "tests/edge/fake_store.h"
#include "tests/edge/patterns.h"
#include "tests/http/decoded.h"
#include "tests/net/loop_thread.h"

namespace nearside::edge {
namespace {

using Step = BodyEncoder::Step;

class BodyEncoderTest : public testing::Test {
 protected:
  BodyEncoderTest()
      : node_(std::make_unique<Node>("frankfurt", std::make_unique<FakeStore>(),
                                     std::move(*LineLog::Open("off")))),
        cells_(node_->registry.MakeCells()) {
    for (int i = 0; text_.size() < 300'000; ++i)
      text_ += "word" + std::to_string(i * i % 997) + " ";
  }
  ~BodyEncoderTest() override {
    thread_.Call([this] { encoder_.reset(); });
    thread_.Stop();
  }

  void Begin(http::Coding coding, std::optional<uint64_t> body_bytes = std::nullopt) {
    thread_.Call([&] {
      encoder_ = BodyEncoder::Begin(
          *node_, *cells_, thread_.loop(),
          {.coding = coding, .body_bytes = body_bytes, .most = 2, .threads = 1},
          [this](const Status& status, std::span<const uint8_t> encoded, Step step) {
            EXPECT_TRUE(status);
            encoded_ += TextOf(encoded);
            steps_.push_back(step);
            if (step == Step::kFinish) encoder_.reset();  // as a fetch does
          });
    });
  }
  void Encode(std::string_view text, Step step) {
    thread_.Call([&] { encoder_->Encode(AsBytes(text), step); });
  }
  /// Keeps the one thread busy until the promise is kept.
  std::unique_ptr<std::promise<void>> Occupy() {
    auto go = std::make_unique<std::promise<void>>();
    auto begun = std::make_shared<std::promise<void>>();
    node_->encoder_threads.Run(
        [begun, gone = go->get_future().share()] {
          begun->set_value();
          gone.wait();
        },
        1);
    begun->get_future().wait();
    return go;
  }
  bool AwaitEnd() {
    return thread_.Await([this] { return !steps_.empty() && steps_.back() == Step::kFinish; });
  }

  net::LoopThread thread_;
  std::unique_ptr<Node> node_;
  metrics::Cells* cells_;
  std::string text_;
  std::unique_ptr<BodyEncoder> encoder_;
  std::string encoded_;
  std::vector<Step> steps_;
};

TEST_F(BodyEncoderTest, WhatGoesInByPiecesComesOutInOrder) {
  for (const auto coding : {http::Coding::kGzip, http::Coding::kZstd, http::Coding::kBr}) {
    encoded_.clear();
    steps_.clear();
    Begin(coding);
    for (size_t at = 0; at < text_.size(); at += 10'007) {
      Encode(std::string_view(text_).substr(at, 10'007), Step::kMore);
    }
    Encode("", Step::kFinish);
    ASSERT_TRUE(AwaitEnd());
    bool whole = false;
    EXPECT_TRUE(http::Decoded(coding, encoded_, &whole) == text_) << http::CodingName(coding);
    EXPECT_TRUE(whole);
    const auto index = static_cast<size_t>(coding);
    EXPECT_EQ(node_->registry.Sum(node_->metrics.encoder_in_bytes[index]), text_.size());
    EXPECT_EQ(node_->registry.Sum(node_->metrics.encoder_out_bytes[index]), encoded_.size());
  }
  EXPECT_EQ(node_->encoders.load(), 0);
}

TEST_F(BodyEncoderTest, WhatIsShortIsEncodedWhereItComes) {
  const auto busy = Occupy();
  const std::string text = text_.substr(0, BodyEncoder::kMostOnLoop);
  Begin(http::Coding::kBr, text.size());
  thread_.Call([&] {
    encoder_->Encode(AsBytes(text), Step::kMore);
    encoder_->Encode({}, Step::kFinish);
    EXPECT_EQ(http::Decoded(http::Coding::kBr, encoded_), text) << "at once";
  });
  Begin(http::Coding::kBr, text.size() + 1);
  encoded_.clear();
  thread_.Call([&] {
    encoder_->Encode(AsBytes(text + "x"), Step::kFinish);
    EXPECT_EQ(encoded_, "") << "longer ones are not";
  });
  EXPECT_EQ(node_->encoder_threads.waiting(), 1u);
  busy->set_value();
  ASSERT_TRUE(thread_.Await([&] { return encoded_ != ""; }));
  EXPECT_EQ(http::Decoded(http::Coding::kBr, encoded_), text + "x");
}

TEST_F(BodyEncoderTest, WhoBringsTooMuchIsToldToPause) {
  const auto busy = Occupy();
  Begin(http::Coding::kBr);
  Encode(text_.substr(0, 1000), Step::kMore);  // waits for the thread
  std::string brought = text_.substr(0, 1000);
  while (!thread_.Call([&] { return encoder_->is_behind(); })) {
    ASSERT_LT(brought.size(), 2 * BodyEncoder::kMostWaiting);
    Encode(text_.substr(0, 50'000), Step::kMore);
    brought += text_.substr(0, 50'000);
  }
  EXPECT_GT(brought.size(), BodyEncoder::kMostWaiting);
  EXPECT_TRUE(encoded_.empty());
  busy->set_value();
  ASSERT_TRUE(thread_.Await([&] { return !encoder_->is_behind(); }));
  Encode("", Step::kFinish);
  ASSERT_TRUE(AwaitEnd());
  EXPECT_TRUE(http::Decoded(http::Coding::kBr, encoded_) == brought);
  EXPECT_LE(steps_.size(), 4u) << "what waited went as one piece";
}

TEST_F(BodyEncoderTest, WhatIsFlushedCanBeReadBeforeTheEnd) {
  Begin(http::Coding::kGzip);
  thread_.Call([&] {
    encoder_->Encode(AsBytes(std::string_view("first ")), Step::kMore);
    encoder_->Encode({}, Step::kFlush);
  });
  EXPECT_TRUE(
      thread_.Await([&] { return http::Decoded(http::Coding::kGzip, encoded_) == "first "; }));
  Encode("second", Step::kFinish);
  ASSERT_TRUE(AwaitEnd());
  EXPECT_EQ(http::Decoded(http::Coding::kGzip, encoded_), "first second");
}

TEST_F(BodyEncoderTest, WhoLeavesIsToldNothingMore) {
  const auto busy = Occupy();
  Begin(http::Coding::kBr);
  Encode(text_, Step::kMore);
  EXPECT_EQ(node_->encoders.load(), 1);
  thread_.Call([&] { encoder_.reset(); });
  EXPECT_EQ(node_->encoders.load(), 0);
  busy->set_value();
  Begin(http::Coding::kBr);  // behind the one that nobody waits for
  Encode("x", Step::kFinish);
  ASSERT_TRUE(AwaitEnd());
  EXPECT_EQ(steps_.size(), 1u);
  EXPECT_EQ(http::Decoded(http::Coding::kBr, encoded_), "x");
}

// Many come and go in the middle of their work: nothing is called that is gone.
TEST_F(BodyEncoderTest, LeavingAtAnyMomentIsSafe) {
  for (int i = 0; i < 200; ++i) {
    Begin(http::Coding::kZstd);
    Encode(text_.substr(0, 30'000), Step::kMore);
    if (i % 3 == 0) Encode("", Step::kFlush);
    thread_.Call([&] { encoder_.reset(); });
  }
  EXPECT_EQ(node_->encoders.load(), 0);
}

TEST_F(BodyEncoderTest, NoMoreAreAtWorkThanMayBe) {
  node_->encoders = 2;
  Begin(http::Coding::kBr);
  EXPECT_EQ(encoder_, nullptr);
  EXPECT_EQ(node_->encoders.load(), 2);
}

}  // namespace
}  // namespace nearside::edge
