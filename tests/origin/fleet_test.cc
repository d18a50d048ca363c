#include "origin/fleet.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "storage/metadata.h"
#include "tests/support/temp_dir.h"

namespace nearside::origin {
namespace {

using ::testing::ElementsAre;

WallTime At(int64_t ms) { return FromUnixMillis(1'000'000 + ms); }

class FleetTest : public testing::Test {
 protected:
  void Report(const std::string& edge, uint64_t sequence, int64_t ms, uint64_t epoch = 7) {
    ASSERT_TRUE(fleet_.Report(edge, {epoch, sequence}, "{}", At(ms)));
  }
  /// "edge sequence done/not/lost ms" for each line.
  std::vector<std::string> Lines(const Receipt& receipt) {
    std::vector<std::string> lines;
    for (const ReceiptLine& line : receipt.edges) {
      lines.push_back(line.edge + " " + std::to_string(line.applied.sequence) + " " +
                      (line.done        ? "done " + std::to_string(line.took.count())
                       : line.reachable ? "not"
                                        : "lost"));
    }
    return lines;
  }
  nearside::test::TempDir dir_;
  std::unique_ptr<storage::Metadata> metadata_ =
      storage::Metadata::Open("sqlite:" + dir_.In("meta.db"), {}).value();
  Fleet fleet_{*metadata_};
};

TEST_F(FleetTest, AReceiptSaysWhoHasWhatAndSinceWhen) {
  Report("a", 5, 10);
  Report("b", 4, 10);
  Report("c", 9, -20'000);
  Report("d", 5, 10, /*epoch=*/8);
  Report("a", 5, 500);  // again: the time of the first report of a position counts
  const Receipt receipt = fleet_.ReceiptOf({7, 5}, At(0), At(600));
  EXPECT_THAT(Lines(receipt), ElementsAre("a 5 done 10", "b 4 not", "c 9 done 0", "d 5 not"));
  EXPECT_FALSE(receipt.complete);
  EXPECT_THAT(Lines(fleet_.ReceiptOf({7, 99}, At(0), At(600))),
              ElementsAre("a 5 not", "b 4 not", "c 9 lost", "d 5 not"));
}

TEST_F(FleetTest, AReportBeyondTheLogConfirmsNothing) {
  const auto append = [&] {
    const storage::NewEvent event{"purge", "demo", "{}"};
    return metadata_->Append({&event, 1}).value();
  };
  const storage::LogPosition first = append();
  Report("a", first.sequence + 1, 0, first.epoch);  // of the log before a backup was restored
  EXPECT_THAT(Lines(fleet_.ReceiptOf(first, At(0), At(1))), ElementsAre("a 0 not"));
  const storage::LogPosition second = append();
  EXPECT_THAT(Lines(fleet_.ReceiptOf(first, At(0), At(1))), ElementsAre("a 0 not"));
  Report("a", second.sequence, 2, second.epoch);
  EXPECT_THAT(Lines(fleet_.ReceiptOf(second, At(0), At(3))), ElementsAre("a 2 done 2"));
}

TEST_F(FleetTest, NoEdgesAreACompleteReceipt) {
  EXPECT_TRUE(fleet_.ReceiptOf({7, 5}, At(0), At(0)).complete);
}

TEST_F(FleetTest, AWaitEndsWithTheLastReport) {
  const WallTime now = WallNow();
  ASSERT_TRUE(fleet_.Report("a", {7, 1}, "{}", now));
  ASSERT_TRUE(fleet_.Report("b", {7, 1}, "{}", now));
  std::vector<Receipt> receipts;
  ASSERT_TRUE(fleet_.WhenApplied({{7, 2}, now, MonoNow() + seconds(60)}, now,
                                 [&](Receipt receipt) { receipts.push_back(std::move(receipt)); }));
  EXPECT_TRUE(receipts.empty());
  ASSERT_TRUE(fleet_.Report("a", {7, 2}, "{}", now));
  EXPECT_TRUE(receipts.empty());
  ASSERT_TRUE(fleet_.Report("b", {7, 3}, "{}", now));
  ASSERT_EQ(receipts.size(), 1u);
  EXPECT_TRUE(receipts[0].complete);
  EXPECT_FALSE(fleet_.waiting());
}

// This origin was started long ago, or again, and its edges follow another.
TEST_F(FleetTest, AWaitIsForThoseWhoReportToAnotherOriginToo) {
  const WallTime now = WallNow();
  Fleet other(*metadata_);
  ASSERT_TRUE(other.Report("a", {7, 1}, "{}", now - seconds(60)));
  ASSERT_TRUE(fleet_.Load());
  ASSERT_TRUE(other.Report("a", {7, 1}, "{}", now));
  std::vector<std::string> lines;
  ASSERT_TRUE(fleet_.WhenApplied({{7, 2}, now, MonoNow() + seconds(60)}, now,
                                 [&](Receipt receipt) { lines = Lines(receipt); }));
  EXPECT_THAT(lines, ElementsAre()) << "it is waited for";
  ASSERT_TRUE(other.Report("a", {7, 2}, "{}", now + milliseconds(40)));
  fleet_.Tick(MonoNow(), now + milliseconds(50));
  EXPECT_THAT(lines, ElementsAre("a 2 done 40"));
}

// Of what changes all the time a row is written now and then; of what somebody waits for, at once.
TEST_F(FleetTest, WhatIsAwaitedIsToldToOtherOriginsAtOnce) {
  const WallTime now = WallNow();
  Fleet other(*metadata_);
  const auto known_here = [&] {
    EXPECT_TRUE(fleet_.Load());
    return fleet_.Edges().at(0).report;
  };
  ASSERT_TRUE(other.Report("a", {7, 1}, "idle", now));
  ASSERT_TRUE(other.Report("a", {7, 1}, "busier", now + milliseconds(10)));
  EXPECT_EQ(known_here(), "idle");
  ASSERT_TRUE(other.Report("a", {7, 1}, "half", now + milliseconds(20), "1 of 2"));
  EXPECT_EQ(known_here(), "half");
  ASSERT_TRUE(other.Report("a", {7, 1}, "half, busy", now + milliseconds(30), "1 of 2"));
  EXPECT_EQ(known_here(), "half");
  ASSERT_TRUE(other.Report("a", {7, 1}, "done", now + milliseconds(40), "2 of 2"));
  EXPECT_EQ(known_here(), "done");
}

TEST_F(FleetTest, AWaitEndsAtItsDeadline) {
  const WallTime now = WallNow();
  const MonoTime start = MonoNow();
  ASSERT_TRUE(fleet_.Report("a", {7, 1}, "{}", now));
  int ended = 0;
  ASSERT_TRUE(fleet_.WhenApplied({{7, 2}, now, start + seconds(2)}, now, [&](Receipt receipt) {
    EXPECT_FALSE(receipt.complete);
    ++ended;
  }));
  fleet_.Tick(start + seconds(1), now);
  EXPECT_EQ(ended, 0);
  fleet_.Tick(start + seconds(2), now);
  EXPECT_EQ(ended, 1);
}

TEST_F(FleetTest, WaitsAreLimited) {
  const WallTime now = WallNow();
  ASSERT_TRUE(fleet_.Report("a", {7, 1}, "{}", now));
  const auto wait = [&] {
    return fleet_.WhenApplied({{7, 2}, now, MonoNow() + seconds(60)}, now, [](Receipt) {});
  };
  for (size_t i = 0; i < kWaitingReceipts; ++i) ASSERT_TRUE(wait());
  EXPECT_FALSE(wait());
  fleet_.EndWaits(now);
  EXPECT_TRUE(wait());
}

TEST_F(FleetTest, APositionIsStoredAtOnceAndARepetitionSeldom) {
  const auto stored_seen = [&] {
    return ToUnixMillis(metadata_->Edges()->at(0).seen_at) - 1'000'000;
  };
  Report("a", 1, 0);
  EXPECT_EQ(stored_seen(), 0);
  Report("a", 1, 1000);
  EXPECT_EQ(stored_seen(), 0);
  Report("a", 2, 2000);
  EXPECT_EQ(stored_seen(), 2000);
  Report("a", 2, 7000);
  EXPECT_EQ(stored_seen(), 7000);
}

TEST_F(FleetTest, WhatAnotherOriginWasToldCountsWhenItIsNewer) {
  Report("a", 5, 1000);
  ASSERT_TRUE(metadata_->ReportEdge({"a", {7, 6}, At(2000), At(2000), "{}"}));
  ASSERT_TRUE(metadata_->ReportEdge({"b", {7, 1}, At(1), At(1), "{}"}));
  ASSERT_TRUE(fleet_.Load());
  EXPECT_THAT(Lines(fleet_.ReceiptOf({7, 6}, At(1900), At(2000))),
              ElementsAre("a 6 done 100", "b 1 not"));
  Report("a", 7, 3000);
  ASSERT_TRUE(metadata_->ReportEdge({"a", {7, 6}, At(2000), At(2000), "{}"}));
  ASSERT_TRUE(fleet_.Load());
  EXPECT_EQ(fleet_.Edges().at(0).applied.sequence, 7u);
}

// Edges are told of by the clocks of origins, of which one may have been ahead.
TEST_F(FleetTest, AClockThatWasSetBackHidesNoReportToAnotherOrigin) {
  Fleet other(*metadata_);
  const int64_t day = 86'400'000;
  Report("a", 5, day);
  ASSERT_TRUE(other.Report("a", {7, 6}, "{}", At(1000)));
  ASSERT_TRUE(fleet_.Load());
  EXPECT_THAT(Lines(fleet_.ReceiptOf({7, 6}, At(0), At(2000))), ElementsAre("a 6 done 1000"));
  // Nor does it keep a report from others, who would take the edge to be lost.
  Report("b", 5, day);
  Report("b", 5, 1000);
  ASSERT_TRUE(other.Load());
  EXPECT_EQ(other.Edges().back().seen_at, At(1000));
  ASSERT_TRUE(other.Report("b", {7, 5}, "{}", At(7000)));
  ASSERT_TRUE(fleet_.Load());
  EXPECT_EQ(fleet_.Edges().back().seen_at, At(7000));
}

TEST_F(FleetTest, ARowThatIsOlderThanAReportToUsIsNotTaken) {
  Report("a", 5, 0);
  Fleet other(*metadata_);
  ASSERT_TRUE(other.Report("a", {7, 5}, "{}", At(1000)));
  Report("a", 5, 2000);  // not stored: nothing in it is new
  ASSERT_TRUE(fleet_.Load());
  ASSERT_TRUE(fleet_.Load());
  EXPECT_EQ(fleet_.Edges().front().seen_at, At(2000));
}

}  // namespace
}  // namespace nearside::origin
