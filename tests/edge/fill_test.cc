#include "edge/fill.h"

#include <gtest/gtest.h>

#include <array>
#include <optional>

#include "tests/edge/fake_store.h"
#include "tests/edge/messages.h"
#include "tests/edge/patterns.h"
#include "tests/edge/queue_executor.h"

namespace nearside::edge {
namespace {

using PieceState = Fill::Piece::State;

constexpr uint64_t kWindow = 4 * kChunkBytes;

Key256 FilledKey(uint8_t n) {
  Key256 key;
  key.bytes.fill(n);
  return key;
}

std::string NameOf(PieceState state) {
  constexpr std::string_view kNames[] = {"ready", "not yet", "behind", "end", "failed"};
  return std::string(kNames[static_cast<size_t>(state)]);
}

class FillTest : public testing::Test {
 protected:
  struct Reader {
    int wakes = 0;
    std::unique_ptr<FillReader> reader;
  };

  FillTest() {
    fill_->SetResume([this] { ++resumes_; });
    fill_->SetAbandoned([this] { ++abandoned_; });
  }
  std::unique_ptr<Reader> Join() {
    auto joined = std::make_unique<Reader>();
    joined->reader =
        std::make_unique<FillReader>(fill_, executor_, [raw = joined.get()] { ++raw->wakes; });
    return joined;
  }
  void Begin(std::optional<uint64_t> body_bytes = std::nullopt, bool shared = true,
             bool storing = false) {
    FillHead head;
    head.storing = storing;
    head.response = std::make_shared<StoredResponse>();
    head.body_bytes = body_bytes;
    head.shared = shared;
    fill_->SetHead(std::move(head));
  }
  /// Appends `size` bytes of the pattern.
  std::vector<ChunkRef> Grow(uint64_t size) {
    const std::string bytes = Pattern(size, fill_->published());
    return fill_->Append(AsBytes(bytes));
  }

  Fill::Budget budget_{.limit = 8 * kChunkBytes};  // outlives what refers to it
  std::shared_ptr<Fill> fill_ = std::make_shared<Fill>(FilledKey(1), kWindow, 7);
  QueueExecutor executor_;
  int resumes_ = 0;
  int abandoned_ = 0;
};

TEST_F(FillTest, BeginsWithNothing) {
  EXPECT_EQ(fill_->phase(), Fill::Phase::kPending);
  EXPECT_EQ(fill_->key(), FilledKey(1));
  EXPECT_EQ(fill_->purge_sequence(), 7u);
  EXPECT_EQ(fill_->published(), 0u);
  EXPECT_EQ(fill_->readers(), 0u);
  EXPECT_EQ(NameOf(fill_->Look(0).state), "not yet");
  EXPECT_TRUE(fill_->joinable());
}

TEST_F(FillTest, HeadThenBodyThenTheEnd) {
  Begin();
  EXPECT_EQ(fill_->phase(), Fill::Phase::kStreaming);
  EXPECT_EQ(NameOf(fill_->Look(0).state), "not yet");
  Grow(10);
  const Fill::Piece piece = fill_->Look(4);
  EXPECT_EQ(NameOf(piece.state), "ready");
  EXPECT_EQ(piece.valid, 10u);
  EXPECT_EQ(NameOf(fill_->Look(10).state), "not yet");
  fill_->Finish(nullptr);
  EXPECT_EQ(fill_->phase(), Fill::Phase::kWhole);
  EXPECT_EQ(NameOf(fill_->Look(9).state), "ready");
  EXPECT_EQ(NameOf(fill_->Look(10).state), "end");
}

TEST_F(FillTest, InterimsAreTakenOnceAndInOrder) {
  auto reader = Join();
  EXPECT_TRUE(fill_->AddInterim({.status = 103, .fields = {{"link", "</a>"}}}));
  executor_.Run();
  EXPECT_EQ(reader->wakes, 1);
  EXPECT_TRUE(fill_->AddInterim({.status = 102, .fields = {}}));
  const std::vector<Interim> taken = fill_->TakeInterims();
  ASSERT_EQ(taken.size(), 2u);
  EXPECT_EQ(taken[0].status, 103);
  EXPECT_EQ(taken[0].fields.ToText(), "link: </a>\n");
  EXPECT_EQ(taken[1].status, 102);
  EXPECT_TRUE(fill_->TakeInterims().empty());
  EXPECT_EQ(fill_->phase(), Fill::Phase::kPending);
}

TEST_F(FillTest, NoMoreInterimsWaitThanTheLimit) {
  EXPECT_FALSE(fill_->AddInterim({.status = 102, .fields = {}})) << "nobody waits";
  auto reader = Join();
  for (size_t i = 0; i < Fill::kMostInterims; ++i) {
    EXPECT_TRUE(fill_->AddInterim({.status = 102, .fields = {}}));
  }
  EXPECT_FALSE(fill_->AddInterim({.status = 102, .fields = {}}));
  EXPECT_EQ(fill_->TakeInterims().size(), Fill::kMostInterims);
  EXPECT_TRUE(fill_->AddInterim({.status = 102, .fields = {}}));
}

TEST_F(FillTest, AFailureKeepsWhatHadCome) {
  Begin();
  Grow(10);
  fill_->Fail(Reason::kOriginTimeout, Error{Fault::kOrigin, "read_timeout", "slow"});
  EXPECT_EQ(fill_->phase(), Fill::Phase::kFailed);
  EXPECT_EQ(fill_->reason(), Reason::kOriginTimeout);
  EXPECT_EQ(fill_->error().reason, "read_timeout");
  EXPECT_EQ(NameOf(fill_->Look(9).state), "ready");
  EXPECT_EQ(NameOf(fill_->Look(10).state), "failed");
  EXPECT_FALSE(fill_->joinable());
}

TEST_F(FillTest, AStoredResponseStandsForABody) {
  auto head = std::make_shared<storage::CachedHead>();
  auto reader = Join();
  fill_->FinishStored(head, Reason::kValidated, true);
  EXPECT_EQ(fill_->phase(), Fill::Phase::kStored);
  EXPECT_EQ(fill_->stored(), head);
  EXPECT_EQ(fill_->reason(), Reason::kValidated);
  executor_.Run();
  EXPECT_EQ(reader->wakes, 1);
}

TEST_F(FillTest, ReadersAreWokenOnceForAllProgressSinceTheyLooked) {
  auto first = Join();
  auto second = Join();
  Begin();
  Grow(1);
  Grow(1);
  EXPECT_EQ(executor_.Run(), 2u);
  EXPECT_EQ(first->wakes, 1);
  EXPECT_EQ(second->wakes, 1);
  EXPECT_EQ(executor_.Run(), 0u);
  Grow(1);
  fill_->Finish(nullptr);
  EXPECT_EQ(executor_.Run(), 2u);
  EXPECT_EQ(first->wakes, 2);
  auto late = Join();
  EXPECT_EQ(executor_.Run(), 0u);
}

TEST_F(FillTest, AReaderThatLeftIsNotWoken) {
  auto reader = Join();
  Begin();
  reader->reader.reset();
  EXPECT_EQ(executor_.Run(), 1u);
  EXPECT_EQ(reader->wakes, 0);
  Grow(1);
  EXPECT_EQ(executor_.Run(), 0u);
}

TEST_F(FillTest, AReaderMayLeaveInItsOwnWake) {
  std::unique_ptr<FillReader> reader;
  auto alive = std::make_shared<int>(0);
  reader = std::make_unique<FillReader>(fill_, executor_, [&reader, alive] {
    reader.reset();
    ++*alive;  // what it captured is still there
  });
  Begin();
  Grow(1);
  executor_.Run();
  EXPECT_EQ(*alive, 1);
  EXPECT_EQ(fill_->readers(), 0u);
}

TEST_F(FillTest, BodiesOfEverySizeComeOutAsTheyWentInWholeChunkByWholeChunk) {
  const uint64_t bodies[] = {
      0, 1, kChunkBytes - 1, kChunkBytes, kChunkBytes + 1, 2 * kChunkBytes, 3 * kChunkBytes + 7};
  for (const uint64_t body : bodies) {
    for (const uint64_t piece :
         {uint64_t{1000}, uint64_t{16384}, kChunkBytes, uint64_t{65536}, uint64_t{1} << 20}) {
      for (const bool known : {true, false}) {
        SCOPED_TRACE(std::to_string(body) + " by " + std::to_string(piece));
        fill_ = std::make_shared<Fill>(FilledKey(1), uint64_t{1} << 30, 0);
        Begin(known ? std::optional(body) : std::nullopt);
        std::vector<ChunkRef> chunks;
        while (fill_->published() < body) {
          for (ChunkRef& chunk : Grow(std::min(piece, body - fill_->published()))) {
            EXPECT_EQ(chunk->size(), kChunkBytes);
            chunks.push_back(std::move(chunk));
          }
        }
        EXPECT_EQ(chunks.size(), body / kChunkBytes);
        if (ChunkRef tail = fill_->TakeTail()) {
          EXPECT_EQ(tail->size(), body % kChunkBytes);
          // Hardly more memory than bytes, whether the length was known or not.
          EXPECT_LE(tail->capacity() - tail->size(), tail->capacity() / 8);
          chunks.push_back(std::move(tail));
        } else {
          EXPECT_EQ(body % kChunkBytes, 0u);
        }
        fill_->Finish(nullptr);
        std::string stored;
        for (const ChunkRef& chunk : chunks) stored += chunk->text();
        const std::string expected = Pattern(body);
        EXPECT_TRUE(stored == expected);
        EXPECT_TRUE(ReadAll(*fill_) == expected);
        EXPECT_EQ(NameOf(fill_->Look(body).state), "end");
      }
    }
  }
}

TEST_F(FillTest, LooksAtAnyPosition) {
  Begin();
  const uint64_t body = 2 * kChunkBytes + 100;
  Grow(body);
  const std::string all = Pattern(body);
  for (const uint64_t position :
       {uint64_t{0}, uint64_t{1}, kChunkBytes - 1, kChunkBytes, kChunkBytes + 1,
        2 * kChunkBytes - 1, 2 * kChunkBytes, body - 1}) {
    EXPECT_TRUE(ReadAll(*fill_, position) == all.substr(position)) << position;
  }
  EXPECT_EQ(fill_->Look(0).valid, kChunkBytes);
  EXPECT_EQ(fill_->Look(2 * kChunkBytes + 5).valid, 100u);
}

TEST_F(FillTest, MoreThanAnnouncedIsLeft) {
  Begin(10);
  Grow(8);
  const std::string rest = Pattern(100, 8);
  fill_->Append(AsBytes(rest));
  EXPECT_EQ(fill_->published(), 10u);
  EXPECT_EQ(ReadAll(*fill_), Pattern(10));
}

TEST_F(FillTest, PausesAWindowAheadAndGoesOnAtHalf) {
  auto reader = Join();
  Begin();
  Grow(kWindow - 1);
  EXPECT_FALSE(fill_->ShouldPause());
  Grow(1);
  EXPECT_TRUE(fill_->ShouldPause());
  reader->reader->Advance(kWindow / 2 - 1);
  EXPECT_EQ(resumes_, 0);
  reader->reader->Advance(kWindow / 2);
  EXPECT_EQ(resumes_, 1);
  reader->reader->Advance(kWindow);
  EXPECT_EQ(resumes_, 1);
  Grow(kWindow);
  EXPECT_TRUE(fill_->ShouldPause());
  reader->reader->Advance(kWindow + kWindow / 2);
  EXPECT_EQ(resumes_, 2);
  EXPECT_TRUE(ReadAll(*fill_, kWindow + kWindow / 2) ==
              Pattern(kWindow / 2, kWindow + kWindow / 2));
}

TEST_F(FillTest, WaitsForItsSlowestReader) {
  auto fast = Join();
  auto slow = Join();
  Begin();
  Grow(kWindow);
  EXPECT_TRUE(fill_->ShouldPause());
  fast->reader->Advance(kWindow);
  EXPECT_EQ(resumes_, 0);
  slow->reader->Advance(kWindow);
  EXPECT_EQ(resumes_, 1);
}

TEST_F(FillTest, TheSlowestReaderLeavesAndTheFillGoesOn) {
  auto fast = Join();
  auto slow = Join();
  Begin();
  Grow(kWindow);
  fast->reader->Advance(kWindow);
  EXPECT_TRUE(fill_->ShouldPause());
  slow->reader.reset();
  EXPECT_EQ(resumes_, 1);
  EXPECT_EQ(abandoned_, 0);
}

TEST_F(FillTest, WithoutReadersItRunsFree) {
  Begin();
  Grow(3 * kWindow);
  EXPECT_FALSE(fill_->ShouldPause());
}

TEST_F(FillTest, WithoutReadersItKeepsNoMoreThanAWindow) {
  Fill::Budget budget;
  fill_ = std::make_shared<Fill>(FilledKey(1), kWindow, 0, &budget);
  Begin();
  Grow(kWindow);
  fill_->ShouldPause();
  EXPECT_EQ(budget.held, kWindow);
  for (int i = 0; i < 10; ++i) {
    Grow(kWindow);
    fill_->ShouldPause();
    EXPECT_EQ(budget.held, kChunkBytes);
  }
  fill_.reset();
  EXPECT_EQ(budget.held, 0u);
}

TEST_F(FillTest, WhatIsStoredIsPacedByItsFastestReader) {
  auto fast = Join();
  auto slow = Join();
  slow->reader->Advance(0);
  Begin(std::nullopt, true, /*storing=*/true);
  Grow(kWindow);
  EXPECT_TRUE(fill_->ShouldPause());
  fast->reader->Advance(kWindow);
  EXPECT_EQ(resumes_, 1);
  Grow(kWindow);
  fast->reader->Advance(2 * kWindow);
  Grow(kChunkBytes);
  EXPECT_FALSE(fill_->ShouldPause());
  EXPECT_EQ(NameOf(fill_->Look(0).state), "behind");
  EXPECT_EQ(NameOf(fill_->Look(kWindow).state), "ready") << "a window behind the fastest is kept";
  EXPECT_FALSE(fill_->joinable());
  fill_->Finish(std::make_shared<storage::CachedHead>());
  EXPECT_EQ(NameOf(fill_->Look(0).state), "behind");
  EXPECT_NE(fill_->stored(), nullptr);
}

// On a worker that is busy: it waited from the start, and is not sent to the origin for that.
TEST_F(FillTest, TheBeginningIsKeptForWhoHasNotBegun) {
  auto fast = Join();
  auto busy = Join();
  Begin(std::nullopt, true, /*storing=*/true);
  for (int i = 1; i <= 2; ++i) {
    Grow(kWindow);
    fast->reader->Advance(i * kWindow);
    EXPECT_TRUE(fill_->ShouldPause()) << i;
    EXPECT_EQ(NameOf(fill_->Look(0).state), "ready") << i;
    EXPECT_TRUE(fill_->joinable()) << i;
  }
  EXPECT_EQ(resumes_, 0);
  busy->reader->Advance(0);
  EXPECT_EQ(resumes_, 1) << "the fastest paces it from here on";
  EXPECT_EQ(NameOf(fill_->Look(0).state), "behind");
}

TEST_F(FillTest, WhoLeavesBeforeItHasBegunIsNotWaitedFor) {
  auto fast = Join();
  auto busy = Join();
  Begin(std::nullopt, true, /*storing=*/true);
  Grow(2 * kWindow);
  fast->reader->Advance(2 * kWindow);
  EXPECT_TRUE(fill_->ShouldPause());
  busy.reset();
  EXPECT_EQ(resumes_, 1);
  EXPECT_FALSE(fill_->ShouldPause());
}

// A range that begins beyond what has come.
TEST_F(FillTest, WhoBeginsFarBehindTheBeginningHoldsNobodyUp) {
  auto fast = Join();
  auto far = Join();
  Begin(std::nullopt, true, /*storing=*/true);
  Grow(2 * kWindow);
  fast->reader->Advance(2 * kWindow);
  EXPECT_TRUE(fill_->ShouldPause());
  far->reader->Advance(100 * kWindow);
  EXPECT_EQ(resumes_, 1);
  EXPECT_FALSE(fill_->ShouldPause());
}

// It waits for the body to be whole, which must not wait for it.
TEST_F(FillTest, WhoIsBehindPacesNobodyWhenTheFastOneLeaves) {
  auto fast = Join();
  auto slow = Join();
  slow->reader->Advance(0);
  Begin(std::nullopt, true, /*storing=*/true);
  Grow(3 * kWindow);
  fast->reader->Advance(2 * kWindow);
  EXPECT_EQ(NameOf(fill_->Look(0).state), "behind");
  EXPECT_TRUE(fill_->ShouldPause());
  resumes_ = 0;
  fast.reset();
  EXPECT_EQ(resumes_, 1);
  EXPECT_EQ(abandoned_, 0);
  Grow(kWindow);
  EXPECT_FALSE(fill_->ShouldPause());
  fill_->Finish(std::make_shared<storage::CachedHead>());
  EXPECT_EQ(NameOf(fill_->Look(0).state), "behind");
}

TEST_F(FillTest, WhoIsBehindIsCutOffWhenTheStoreGivesUp) {
  auto fast = Join();
  auto slow = Join();
  slow->reader->Advance(0);
  Begin(std::nullopt, true, /*storing=*/true);
  Grow(3 * kWindow);
  fast->reader->Advance(3 * kWindow);
  EXPECT_EQ(NameOf(fill_->Look(0).state), "behind");
  executor_.Run();
  const int wakes = slow->wakes;
  fill_->StopStoring();
  executor_.Run();
  EXPECT_EQ(slow->wakes, wakes + 1);
  EXPECT_EQ(NameOf(fill_->Look(0).state), "failed");
  EXPECT_TRUE(fill_->ShouldPause()) << "the slowest paces it now";
}

TEST_F(FillTest, ALargeBodyThatIsStoredIsGivenBackAndASmallOneIsNot) {
  for (const uint64_t size : {4 * kChunkBytes, 4 * kChunkBytes + 1}) {
    fill_ = std::make_shared<Fill>(FilledKey(1), 16 * kChunkBytes, 0);
    Begin(std::nullopt, true, /*storing=*/true);
    Grow(size);
    fill_->Finish(std::make_shared<storage::CachedHead>());
    const bool large = size > 4 * kChunkBytes;
    EXPECT_EQ(NameOf(fill_->Look(0).state), large ? "behind" : "ready");
    EXPECT_EQ(NameOf(fill_->Look(size).state), "end");
    EXPECT_TRUE(fill_->joinable()) << "from the store";
  }
}

TEST_F(FillTest, OverTheBudgetTheWindowIsSmall) {
  constexpr uint64_t kLarge = 16 * kChunkBytes;
  Fill first(FilledKey(1), kLarge, 0, &budget_);
  fill_ = std::make_shared<Fill>(FilledKey(2), kLarge, 0, &budget_);
  fill_->SetResume([this] { ++resumes_; });
  auto reader = Join();
  Begin();
  Grow(8 * kChunkBytes);
  EXPECT_FALSE(fill_->ShouldPause());
  Grow(1);
  EXPECT_TRUE(fill_->ShouldPause());
  reader->reader->Advance(7 * kChunkBytes);
  EXPECT_EQ(resumes_, 1);
}

TEST_F(FillTest, MemoryIsGivenBackBehindTheSlowestReader) {
  auto reader = Join();
  Begin();
  Grow(kWindow);
  reader->reader->Advance(kWindow);
  EXPECT_EQ(NameOf(fill_->Look(0).state), "ready");  // the first window is for late requests
  Grow(kChunkBytes);
  EXPECT_FALSE(fill_->ShouldPause());
  EXPECT_EQ(NameOf(fill_->Look(0).state), "failed");
  EXPECT_EQ(NameOf(fill_->Look(kWindow).state), "ready");
}

TEST_F(FillTest, LateRequestsJoinUntilTheBeginningIsGone) {
  auto reader = Join();
  Begin();
  Grow(kWindow);
  reader->reader->Advance(kWindow);
  EXPECT_TRUE(fill_->joinable());
  auto late = Join();
  EXPECT_TRUE(ReadAll(*fill_) == Pattern(kWindow));
  // It holds the beginning from now on.
  Grow(kChunkBytes);
  EXPECT_TRUE(fill_->ShouldPause());
  EXPECT_TRUE(fill_->joinable());
  late->reader.reset();
  EXPECT_FALSE(fill_->joinable());
}

TEST_F(FillTest, AReaderOfARangeNeedsNothingBeforeIt) {
  for (const bool storing : {false, true}) {
    fill_ = std::make_shared<Fill>(FilledKey(1), kWindow, 0);
    auto reader = Join();
    reader->reader->Advance(2 * kWindow);
    Begin(std::nullopt, true, storing);
    for (int i = 0; i < 8; ++i) {
      Grow(kWindow / 4);
      EXPECT_FALSE(fill_->ShouldPause()) << i;
    }
    Grow(kWindow);
    EXPECT_TRUE(fill_->ShouldPause());
    EXPECT_TRUE(ReadAll(*fill_, 2 * kWindow) == Pattern(kWindow, 2 * kWindow));
  }
}

TEST_F(FillTest, TellsWhenTheLastReaderHasLeft) {
  auto first = Join();
  auto second = Join();
  first->reader.reset();
  EXPECT_EQ(abandoned_, 0);
  second->reader.reset();
  EXPECT_EQ(abandoned_, 1);
  auto third = Join();
  third->reader.reset();
  EXPECT_EQ(abandoned_, 2);
  fill_->SetAbandoned(nullptr);
  Join()->reader.reset();
  EXPECT_EQ(abandoned_, 2);
}

TEST_F(FillTest, APausedFillThatIsAbandonedIsNotAskedToPauseAgain) {
  auto reader = Join();
  Begin();
  Grow(kWindow);
  EXPECT_TRUE(fill_->ShouldPause());
  reader->reader.reset();
  EXPECT_EQ(abandoned_, 1);
  EXPECT_EQ(resumes_, 0);  // who is told that it is abandoned decides
  Grow(kWindow);
  EXPECT_FALSE(fill_->ShouldPause());
}

TEST_F(FillTest, MayBeJoinedInTheseStates) {
  EXPECT_TRUE(fill_->joinable());
  Begin(std::nullopt, /*shared=*/true);
  EXPECT_TRUE(fill_->joinable());
  fill_->Finish(nullptr);
  EXPECT_TRUE(fill_->joinable());
  fill_ = std::make_shared<Fill>(FilledKey(1), kWindow, 0);
  Begin(std::nullopt, /*shared=*/false);
  EXPECT_FALSE(fill_->joinable());
  fill_->Finish(nullptr);
  EXPECT_FALSE(fill_->joinable());
  fill_ = std::make_shared<Fill>(FilledKey(1), kWindow, 0);
  fill_->FinishStored(std::make_shared<storage::CachedHead>(), Reason::kFresh, true);
  EXPECT_TRUE(fill_->joinable());
}

class FillTableTest : public testing::Test {
 protected:
  FillTable::Claim Claim(const Key256& key, std::vector<storage::ScopeHash> scopes = {}) {
    return table_->ClaimFill(
        key, kWindow, store_,
        {.purge_sequence = store_.purge_sequence(), .scopes = std::move(scopes)});
  }
  FakeStore store_;  // its purges concern the scopes 1 and 2
  std::unique_ptr<FillTable> table_ = std::make_unique<FillTable>();  // too large for a stack
};

TEST_F(FillTableTest, TheFirstLeadsAndOthersJoin) {
  const FillTable::Claim first = Claim(FilledKey(1));
  EXPECT_TRUE(first.lead);
  const FillTable::Claim second = Claim(FilledKey(1));
  EXPECT_FALSE(second.lead);
  EXPECT_EQ(second.fill, first.fill);
  EXPECT_TRUE(Claim(FilledKey(2)).lead);
  EXPECT_EQ(table_->size(), 2u);
  EXPECT_TRUE(table_->IsFilling(FilledKey(1)));
  EXPECT_FALSE(table_->IsFilling(FilledKey(3)));
}

TEST_F(FillTableTest, CountsFetchesThatMayStore) {
  EXPECT_FALSE(table_->IsStoring(FilledKey(1)));
  table_->BeginStoring(FilledKey(1));
  table_->BeginStoring(FilledKey(1));
  table_->EndStoring(FilledKey(1));
  EXPECT_TRUE(table_->IsStoring(FilledKey(1)));
  EXPECT_FALSE(table_->IsStoring(FilledKey(65))) << "of the same shard";
  table_->EndStoring(FilledKey(1));
  EXPECT_FALSE(table_->IsStoring(FilledKey(1)));
}

TEST_F(FillTableTest, KnowsWhichOfTwoFetchesBroughtTheNewer) {
  const Key256 primary = FilledKey(1), variant = FilledKey(2), other = FilledKey(3);
  const auto begin = [&] { return FetchEra{.asked = table_->BeginStoring(primary)}; };
  const auto comes = [&](FetchEra* era) { era->came = table_->TellTime(primary); };
  const auto order = [&](const Key256& key, const FetchEra& era) {
    return table_->OrderOf(primary, key, era);
  };
  FetchEra first = begin();
  table_->NoteBrought(primary, variant, first);  // by itself alone: there is nobody to tell
  EXPECT_EQ(order(variant, first), StoringOrder::kNewer);
  FetchEra second = begin();
  comes(&first);
  FetchEra third = begin();
  for (FetchEra* era : {&second, &third}) comes(era);
  table_->NoteBrought(primary, variant, first);
  EXPECT_EQ(order(variant, second), StoringOrder::kUnknown) << "asked while the first was asked";
  EXPECT_EQ(order(variant, third), StoringOrder::kNewer) << "asked when the first had come";
  EXPECT_EQ(order(other, second), StoringOrder::kNewer) << "something else";
  EXPECT_EQ(order(primary, second), StoringOrder::kUnknown) << "it would replace all variants";
  table_->NoteBrought(primary, variant, third);
  EXPECT_EQ(order(variant, first), StoringOrder::kOlder) << "had come when the third was asked";
  EXPECT_EQ(order(variant, second), StoringOrder::kUnknown);
  FetchEra late = begin();
  EXPECT_EQ(order(variant, late), StoringOrder::kNewer);
  table_->NoteBrought(primary, primary, late);
  EXPECT_EQ(order(other, first), StoringOrder::kOlder) << "and it has replaced them";
  for (int i = 0; i < 4; ++i) table_->EndStoring(primary);
  EXPECT_EQ(order(variant, first), StoringOrder::kNewer) << "nothing is left of it";
  EXPECT_EQ(table_->TellTime(primary), 0u);
}

// The first and the third have brought the same, the second something else in between.
TEST_F(FillTableTest, OfTwoThatBroughtTheSameTheLaterCounts) {
  const Key256 primary = FilledKey(1);
  std::array<FetchEra, 3> eras;
  for (FetchEra& era : eras) {
    era.asked = table_->BeginStoring(primary);
    era.came = table_->TellTime(primary);
  }
  EXPECT_FALSE(table_->HasBrought(primary, primary));
  table_->NoteBrought(primary, primary, eras[2]);
  table_->NoteBrought(primary, primary, eras[0]);
  EXPECT_TRUE(table_->HasBrought(primary, primary));
  EXPECT_FALSE(table_->HasBrought(primary, FilledKey(2)));
  EXPECT_EQ(table_->OrderOf(primary, primary, eras[1]), StoringOrder::kOlder);
  table_->NoteBrought(primary, primary, {.asked = eras[1].asked});  // when it came was not noted
  EXPECT_EQ(table_->OrderOf(primary, primary, eras[1]), StoringOrder::kOlder);
  const FetchEra late{.asked = table_->BeginStoring(primary), .came = table_->TellTime(primary)};
  EXPECT_EQ(table_->OrderOf(primary, primary, late), StoringOrder::kUnknown);
  for (int i = 0; i < 4; ++i) table_->EndStoring(primary);
}

TEST_F(FillTableTest, AfterRemoveTheNextLeads) {
  const FillTable::Claim first = Claim(FilledKey(1));
  table_->Remove(first.fill);
  EXPECT_EQ(table_->size(), 0u);
  EXPECT_FALSE(table_->IsFilling(FilledKey(1)));
  const FillTable::Claim second = Claim(FilledKey(1));
  EXPECT_TRUE(second.lead);
  EXPECT_NE(second.fill, first.fill);
  table_->Remove(first.fill);  // not its place any more
  EXPECT_EQ(Claim(FilledKey(1)).fill, second.fill);
}

TEST_F(FillTableTest, WhatCannotBeJoinedIsReplaced) {
  const FillTable::Claim first = Claim(FilledKey(1));
  first.fill->Fail(Reason::kOriginBroken, {});
  const FillTable::Claim second = Claim(FilledKey(1));
  EXPECT_TRUE(second.lead);
  EXPECT_EQ(table_->size(), 1u);
}

TEST_F(FillTableTest, WhatBeganBeforeAPurgeIsNotJoinedAfterIt) {
  store_.sequence = 5;
  const FillTable::Claim before = Claim(FilledKey(1), {7, 2});
  EXPECT_FALSE(Claim(FilledKey(1), {7, 2}).lead);
  store_.sequence = 6;
  const FillTable::Claim after = Claim(FilledKey(1), {7, 2});
  EXPECT_TRUE(after.lead);
  EXPECT_EQ(after.fill->purge_sequence(), 6u);
  EXPECT_EQ(Claim(FilledKey(1), {7, 2}).fill, after.fill);
  table_->Remove(before.fill);
  EXPECT_EQ(table_->size(), 1u);
}

TEST_F(FillTableTest, APurgeOfSomethingElseLeavesItJoinable) {
  const FillTable::Claim before = Claim(FilledKey(1), {7, 8});
  store_.sequence = 1;
  const FillTable::Claim after = Claim(FilledKey(1), {7, 8});
  EXPECT_FALSE(after.lead);
  EXPECT_EQ(after.fill, before.fill);
}

TEST_F(FillTableTest, RemembersForAWhileWhatIsNotShared) {
  const MonoTime now{};
  EXPECT_FALSE(table_->IsNotShared(FilledKey(1), now));
  table_->MarkNotShared(FilledKey(1), now + seconds(10));
  EXPECT_TRUE(table_->IsNotShared(FilledKey(1), now + seconds(10) - milliseconds(1)));
  EXPECT_FALSE(table_->IsNotShared(FilledKey(1), now + seconds(10)));
  EXPECT_FALSE(table_->IsNotShared(FilledKey(2), now));
}

TEST_F(FillTableTest, AResponseThatMayBeSharedEndsItUnlessItIsTooLarge) {
  const MonoTime now{};
  table_->MarkNotShared(FilledKey(1), now + seconds(10));
  table_->MarkShared(FilledKey(2));
  EXPECT_TRUE(table_->IsNotShared(FilledKey(1), now));
  table_->MarkShared(FilledKey(1));
  EXPECT_FALSE(table_->IsNotShared(FilledKey(1), now));
  table_->MarkNotShared(FilledKey(1), now + seconds(10), /*by_size=*/true);
  table_->MarkShared(FilledKey(1));
  EXPECT_TRUE(table_->IsNotShared(FilledKey(1), now));
}

TEST_F(FillTableTest, ANewerKeyMayDisplaceAnOlderOneAndNothingElse) {
  Key256 older = FilledKey(1), newer = FilledKey(1);
  newer.bytes[8] = 9;  // another key in the same slot
  table_->MarkNotShared(older, MonoTime::max());
  table_->MarkNotShared(newer, MonoTime::max());
  EXPECT_TRUE(table_->IsNotShared(newer, MonoTime{}));
  EXPECT_FALSE(table_->IsNotShared(older, MonoTime{}));
}

}  // namespace
}  // namespace nearside::edge
