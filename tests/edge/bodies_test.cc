#include "edge/bodies.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/edge/fake_exchange.h"
#include "tests/edge/fake_store.h"
#include "tests/edge/messages.h"
#include "tests/edge/patterns.h"
#include "tests/edge/queue_executor.h"

namespace nearside::edge {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class BodiesTest : public testing::Test {
 protected:
  BodiesTest() {
    bytes_ = registry_.Counter("bytes_total", "Bytes.");
    cells_ = registry_.MakeCells();
  }
  BodyCount Count() { return {.cells = cells_, .bytes = bytes_}; }
  uint64_t counted() const { return cells_->Read(bytes_); }

  metrics::Registry registry_;
  metrics::Id bytes_;
  metrics::Cells* cells_ = nullptr;
  std::unique_ptr<net::EventLoop> loop_ = std::move(*net::EventLoop::Create());
  FakeExchange exchange_{GetFor("https://www.demo.test/a")};
};

class StoredBodyTest : public BodiesTest {
 protected:
  /// A body of three chunks and a bit, answered by the bytes of `span`.
  void Answer(ByteSpan span, bool first_is_there = true) {
    head_ = store_.MakeHead(all_);
    const auto first = static_cast<uint32_t>(span.first / kChunkBytes);
    exchange_.Respond(200, {}, {},
                      std::make_unique<StoredBody>(
                          store_, head_, first_is_there ? store_.chunk(first) : ChunkRef(), span,
                          *loop_, exchange_, Count()));
  }
  void WarmAll() {
    for (uint32_t index = 0; index < 4; ++index) store_.Warm(index);
  }

  const std::string all_ = Pattern(3 * kChunkBytes + 100);
  FakeStore store_;
  storage::HeadRef head_;
};

TEST_F(StoredBodyTest, WhatIsInRamComesInOneGo) {
  WarmAll();
  Answer({0, all_.size()});
  EXPECT_EQ(exchange_.Pull(), "end");
  EXPECT_TRUE(exchange_.body == all_);
  EXPECT_EQ(counted(), all_.size());
  EXPECT_THAT(store_.loads(), IsEmpty());
  EXPECT_EQ(exchange_.resumes, 0);
}

TEST_F(StoredBodyTest, BytesAreHandedOutWhereTheyLie) {
  WarmAll();
  head_ = store_.MakeHead(all_);
  StoredBody body(store_, head_, store_.chunk(0), {10, kChunkBytes + 20}, *loop_, exchange_,
                  Count());
  std::span<const uint8_t> piece;
  ASSERT_EQ(body.Peek(&piece), http::BodySource::State::kReady);
  EXPECT_EQ(piece.data(), store_.chunk(0)->data() + 10);
  EXPECT_EQ(piece.size(), kChunkBytes - 10);
  body.Consume(piece.size());
  ASSERT_EQ(body.Peek(&piece), http::BodySource::State::kReady);
  EXPECT_EQ(piece.data(), store_.chunk(1)->data());
  EXPECT_EQ(piece.size(), 20u);
}

TEST_F(StoredBodyTest, AnySpanAndAnyPaceGiveItsBytes) {
  WarmAll();
  const uint64_t ends[] = {0,
                           1,
                           kChunkBytes - 1,
                           kChunkBytes,
                           kChunkBytes + 1,
                           2 * kChunkBytes,
                           all_.size() - 1,
                           all_.size()};
  for (const uint64_t first : ends) {
    for (const uint64_t end : ends) {
      if (first > end || first == all_.size()) continue;
      for (const uint64_t step : {uint64_t{16'384}, uint64_t{50'000}}) {
        exchange_.body.clear();
        Answer({first, end});
        while (exchange_.Pull(step) == "more") continue;
        EXPECT_EQ(exchange_.state, "end");
        EXPECT_TRUE(exchange_.body == all_.substr(first, end - first)) << first << " " << end;
      }
    }
  }
}

TEST_F(StoredBodyTest, ASmallBodyInsideTheHeadNeedsNoStore) {
  auto head = std::make_shared<storage::CachedHead>();
  head->head.body_bytes = 5;
  head->inline_body = Chunk::Copy(AsBytes("hello"));
  exchange_.Respond(200, {}, {},
                    std::make_unique<StoredBody>(store_, head, head->inline_body, ByteSpan{1, 4},
                                                 *loop_, exchange_, Count()));
  EXPECT_EQ(exchange_.Pull(), "end");
  EXPECT_EQ(exchange_.body, "ell");
}

TEST_F(StoredBodyTest, AnEmptyBodyEnds) {
  Answer({0, 0}, /*first_is_there=*/false);
  EXPECT_EQ(exchange_.Pull(), "end");
}

TEST_F(StoredBodyTest, AColdChunkIsWaitedForAndAskedForOnce) {
  Answer({0, all_.size()});
  EXPECT_EQ(exchange_.Pull(), "wait");
  EXPECT_EQ(exchange_.body.size(), kChunkBytes);
  EXPECT_THAT(store_.loads(), ElementsAre(1u));
  EXPECT_EQ(exchange_.Pull(), "wait");
  EXPECT_THAT(store_.loads(), ElementsAre(1u));
  store_.FinishLoad();
  EXPECT_EQ(exchange_.resumes, 1);
  EXPECT_EQ(exchange_.Pull(), "wait");
  EXPECT_TRUE(exchange_.body == all_.substr(0, 2 * kChunkBytes));
}

TEST_F(StoredBodyTest, OnceOneWasColdTheNextIsAskedForAhead) {
  Answer({0, all_.size()});
  exchange_.Pull();
  store_.FinishLoad();
  exchange_.Pull(1);  // one byte of chunk 1
  EXPECT_THAT(store_.loads(), ElementsAre(2u));
  store_.FinishLoad();
  EXPECT_EQ(exchange_.resumes, 1);                         // nobody waited for it
  EXPECT_EQ(exchange_.Pull(2 * kChunkBytes - 2), "more");  // to the last byte of chunk 2
  EXPECT_THAT(store_.loads(), ElementsAre(3u));
  store_.FinishLoad();
  EXPECT_EQ(exchange_.Pull(), "end");
  EXPECT_TRUE(exchange_.body == all_);
  EXPECT_EQ(exchange_.resumes, 1);
}

TEST_F(StoredBodyTest, WhatIsNeededBeforeItHasComeIsWaitedFor) {
  Answer({0, all_.size()});
  exchange_.Pull();
  store_.FinishLoad();
  EXPECT_EQ(exchange_.Pull(), "wait");  // chunk 2 was asked for ahead
  EXPECT_THAT(store_.loads(), ElementsAre(2u));
  store_.FinishLoad();
  EXPECT_EQ(exchange_.resumes, 2);
}

TEST_F(StoredBodyTest, NothingIsAskedForBehindTheSpan) {
  Answer({0, 2 * kChunkBytes});
  exchange_.Pull();
  store_.FinishLoad();
  EXPECT_EQ(exchange_.Pull(), "end");
  EXPECT_THAT(store_.loads(), IsEmpty());
}

TEST_F(StoredBodyTest, AChunkThatIsWarmAgainIsNotAskedForAhead) {
  Answer({0, all_.size()});
  exchange_.Pull();
  store_.Warm(2);
  store_.FinishLoad();
  EXPECT_EQ(exchange_.Pull(), "wait");
  EXPECT_THAT(store_.loads(), ElementsAre(3u));
  EXPECT_TRUE(exchange_.body == all_.substr(0, 3 * kChunkBytes));
}

TEST_F(StoredBodyTest, AChunkThatCannotBeReadFailsTheBody) {
  Answer({0, all_.size()});
  exchange_.Pull();
  store_.FailLoad();
  EXPECT_EQ(exchange_.resumes, 1);
  EXPECT_EQ(exchange_.Pull(), "failed");
  EXPECT_TRUE(exchange_.body == all_.substr(0, kChunkBytes));
}

TEST_F(StoredBodyTest, AChunkThatCouldNotBeReadAheadIsAskedForAgain) {
  Answer({0, all_.size()});
  exchange_.Pull();
  store_.FinishLoad();
  exchange_.Pull(1);
  store_.FailLoad();  // the queue was full, perhaps
  EXPECT_EQ(exchange_.resumes, 1);
  EXPECT_EQ(exchange_.Pull(), "wait");
  EXPECT_THAT(store_.loads(), ElementsAre(2u));
  store_.FinishLoad();
  EXPECT_EQ(exchange_.Pull(), "wait");
  store_.FinishLoad();
  EXPECT_EQ(exchange_.Pull(), "end");
  EXPECT_TRUE(exchange_.body == all_);
}

TEST_F(StoredBodyTest, ALoadMayEndAfterTheBody) {
  Answer({0, all_.size()});
  exchange_.Pull();
  exchange_.Finish(false);
  store_.FinishLoad();
  EXPECT_EQ(exchange_.resumes, 0);
  Answer({0, all_.size()});
  exchange_.Pull();
  exchange_.Finish(false);
  store_.FailLoad();
  EXPECT_EQ(exchange_.resumes, 0);
}

TEST_F(StoredBodyTest, KeepsItsHeadAlive) {
  WarmAll();
  Answer({0, 10});
  std::weak_ptr<const storage::CachedHead> head = std::exchange(head_, nullptr);
  EXPECT_FALSE(head.expired());
  exchange_.Finish();
  EXPECT_TRUE(head.expired());
}

class FillBodyTest : public BodiesTest {
 protected:
  static constexpr uint64_t kWindow = 2 * kChunkBytes;

  void Begin(ByteSpan span, std::optional<uint64_t> body_bytes = std::nullopt,
             bool storing = false) {
    fill_ = std::make_shared<Fill>(Key256(), kWindow, 0);
    fill_->SetResume([this] { ++resumes_; });
    FillHead head;
    head.response = response_;
    head.body_bytes = body_bytes;
    head.storing = storing;
    fill_->SetHead(std::move(head));
    exchange_.body.clear();
    exchange_.Respond(
        200, {}, {},
        std::make_unique<FillBody>(std::make_unique<FillReader>(fill_, executor_, [] {}), span,
                                   store_, *loop_, exchange_, Count()));
  }
  void Grow(uint64_t size) {
    const std::string bytes = Pattern(size, fill_->published());
    fill_->Append(AsBytes(bytes));
  }

  FakeStore store_;
  QueueExecutor executor_;
  std::shared_ptr<Fill> fill_;
  std::shared_ptr<StoredResponse> response_ = std::make_shared<StoredResponse>();
  int resumes_ = 0;
};

TEST_F(FillBodyTest, WhoFallsBehindGoesOnFromTheStore) {
  const uint64_t size = 6 * kChunkBytes + 7;
  const std::string all = Pattern(size);
  Begin({5, size - 3}, std::nullopt, /*storing=*/true);
  FillReader fast(fill_, executor_, [] {});
  Grow(10);
  EXPECT_EQ(exchange_.Pull(), "wait");
  Grow(size - 10);
  fast.Advance(size);
  EXPECT_EQ(exchange_.Pull(), "wait") << "the rest is not whole in the store yet";
  EXPECT_EQ(exchange_.body.size(), 5u);
  fill_->Finish(store_.MakeHead(all));
  EXPECT_EQ(exchange_.Pull(), "wait");
  while (exchange_.state == "wait" && !store_.loads().empty()) {
    store_.FinishLoad();
    exchange_.Pull();
  }
  EXPECT_EQ(exchange_.state, "end");
  EXPECT_TRUE(exchange_.body == all.substr(5, size - 8));
  EXPECT_EQ(counted(), size - 8);
}

TEST_F(FillBodyTest, StreamsWhatHasCome) {
  Begin({0, UINT64_MAX});
  EXPECT_EQ(exchange_.Pull(), "wait");
  Grow(10);
  EXPECT_EQ(exchange_.Pull(), "wait");
  EXPECT_EQ(exchange_.body, Pattern(10));
  Grow(kChunkBytes);
  EXPECT_EQ(exchange_.Pull(), "wait");
  fill_->Finish(nullptr);
  EXPECT_EQ(exchange_.Pull(), "end");
  EXPECT_TRUE(exchange_.body == Pattern(kChunkBytes + 10));
  EXPECT_EQ(counted(), kChunkBytes + 10);
}

TEST_F(FillBodyTest, APartOfIt) {
  Begin({kChunkBytes - 5, kChunkBytes + 5}, 3 * kChunkBytes);
  Grow(kChunkBytes);
  EXPECT_EQ(exchange_.Pull(), "wait");
  Grow(kChunkBytes);
  EXPECT_EQ(exchange_.Pull(), "end");  // without the rest
  EXPECT_EQ(exchange_.body, Pattern(10, kChunkBytes - 5));
}

TEST_F(FillBodyTest, AFailureIsToldBehindWhatHadCome) {
  Begin({0, UINT64_MAX});
  Grow(10);
  fill_->Fail(Reason::kOriginBroken, {});
  EXPECT_EQ(exchange_.Pull(), "failed");
  EXPECT_EQ(exchange_.body, Pattern(10));
}

TEST_F(FillBodyTest, WhatAllHasComeNeedsNoProperEnd) {
  Begin({0, 10}, 10);
  Grow(10);
  fill_->Fail(Reason::kOriginBroken, {});
  EXPECT_EQ(exchange_.Pull(), "end");
}

TEST_F(FillBodyTest, TakingBytesLetsTheFillGoOn) {
  Begin({0, UINT64_MAX});
  Grow(kWindow);
  EXPECT_TRUE(fill_->ShouldPause());
  exchange_.Pull(kWindow / 2 - 1);
  EXPECT_EQ(resumes_, 0);
  exchange_.Pull(1);
  EXPECT_EQ(resumes_, 1);
  Grow(kWindow);
  EXPECT_TRUE(fill_->ShouldPause());
  EXPECT_EQ(exchange_.Pull(), "wait");
  EXPECT_EQ(resumes_, 2);
  EXPECT_TRUE(exchange_.body == Pattern(2 * kWindow));
}

TEST_F(FillBodyTest, KeepsTheResponseAliveThatItsLinesLieIn) {
  Begin({0, UINT64_MAX});
  std::weak_ptr<StoredResponse> response = response_;
  response_.reset();
  fill_.reset();
  EXPECT_FALSE(response.expired());
  exchange_.Finish();
  EXPECT_TRUE(response.expired());
}

}  // namespace
}  // namespace nearside::edge
