#include "storage/purge_table.h"

#include <gtest/gtest.h>

#include "tests/storage/cache_fixture.h"

namespace nearside::storage {
namespace {

struct TestHead {
  explicit TestHead(uint64_t purge_sequence, std::vector<ScopeHash> scopes = {1}) {
    cached.head.purge_sequence = purge_sequence;
    cached.head.scopes = std::move(scopes);
  }
  CachedHead cached;
};

std::string Text(Validity validity) {
  switch (validity) {
    case Validity::kValid:
      return "valid";
    case Validity::kStale:
      return "stale";
    case Validity::kUnsure:
      return "unsure";
    case Validity::kGone:
      return "gone";
  }
  return "?";
}

TEST(PurgeTableTest, JudgesByTheNewestMarkAgainstTheSequenceAtTheFetchsStart) {
  struct Row {
    const char* what;
    std::vector<std::pair<ScopeHash, bool>> purges;  // scope, soft
    uint64_t head_sequence;
    std::string expected;
  };
  const Row rows[] = {
      {"no purge", {}, 0, "valid"},
      {"another scope", {{2, false}}, 0, "valid"},
      {"hard", {{1, false}}, 0, "gone"},
      {"soft", {{1, true}}, 0, "stale"},
      {"fetched after it", {{1, false}}, 1, "valid"},
      {"hard, then soft", {{1, false}, {1, true}}, 0, "gone"},
      {"hard before the fetch, soft after", {{1, false}, {1, true}}, 1, "stale"},
      {"soft, then hard", {{1, true}, {1, false}}, 1, "gone"},
      {"the second scope counts as well", {{3, true}}, 0, "stale"},
  };
  for (const Row& row : rows) {
    PurgeTable table;
    for (const auto& [scope, soft] : row.purges) table.Apply({scope}, soft);
    const TestHead head(row.head_sequence, {1, 3});
    EXPECT_EQ(Text(table.Check(head.cached)), row.expected) << row.what;
    EXPECT_EQ(Text(table.Judge(head.cached.head)), row.expected) << row.what;
    EXPECT_EQ(table.MayStore(head.cached.head), row.expected != "gone") << row.what;
    EXPECT_EQ(Text(table.JudgeFetch(row.head_sequence, {1, 3})), row.expected) << row.what;
  }
}

TEST(PurgeTableTest, PurgesOfEverythingCoverHeadsWithoutScopes) {
  PurgeTable table;
  const TestHead before(0, {});
  table.ApplyToAll(Validity::kStale);
  EXPECT_EQ(Text(table.Check(before.cached)), "stale");
  table.ApplyToAll(Validity::kUnsure);
  EXPECT_EQ(Text(table.Check(before.cached)), "unsure");
  table.ApplyToAll(Validity::kStale);
  EXPECT_EQ(Text(table.Check(before.cached)), "unsure");
  table.ApplyToAll(Validity::kGone);
  EXPECT_EQ(Text(table.Check(before.cached)), "gone");
  const TestHead after(4, {});
  EXPECT_EQ(Text(table.Check(after.cached)), "valid");
}

TEST(PurgeTableTest, AValidHeadIsNotLookedAtAgainUntilTheNextPurge) {
  PurgeTable table;
  table.Apply({9}, false);
  TestHead head(0);
  EXPECT_EQ(Text(table.Check(head.cached)), "valid");
  EXPECT_EQ(head.cached.checked_sequence.load(), 1u);
  // Not even when what it says has changed: that is what the note is for.
  head.cached.head.scopes = {9};
  EXPECT_EQ(Text(table.Check(head.cached)), "valid");
  table.Apply({8}, false);
  EXPECT_EQ(Text(table.Check(head.cached)), "gone");
}

TEST(PurgeTableTest, SequencesOnlyGrow) {
  PurgeTable table;
  EXPECT_EQ(table.Apply({1}, false), 1u);
  EXPECT_EQ(table.ApplyToAll(Validity::kStale), 2u);
  EXPECT_EQ(table.Apply({1, 2, 3}, true), 3u);
  EXPECT_EQ(table.sequence(), 3u);
}

TEST(PurgeTableTest, WhatIsSavedAndLoadedJudgesTheSame) {
  PurgeTable table;
  table.Apply({1, 2}, false);
  table.Apply({2}, true);
  table.ApplyToAll(Validity::kStale);
  ASSERT_TRUE(table.HasUnsaved());
  const PurgeTable::Changes changes = table.TakeUnsaved();
  EXPECT_FALSE(table.HasUnsaved());
  EXPECT_EQ(changes.marks.size(), 2u);

  PurgeTable loaded;
  loaded.Load(changes.horizon, changes.marks);
  EXPECT_FALSE(loaded.HasUnsaved());
  for (uint64_t sequence = 0; sequence < 4; ++sequence) {
    for (const ScopeHash scope : {1, 2, 3}) {
      const TestHead head(sequence, {scope});
      EXPECT_EQ(Text(loaded.Check(head.cached)), Text(table.Judge(head.cached.head)))
          << sequence << " " << scope;
    }
  }
  EXPECT_EQ(loaded.Apply({5}, false), 4u);
}

TEST(PurgeTableTest, WhatCouldNotBeSavedIsGivenOutAgainWithWhatCameMeanwhile) {
  PurgeTable table;
  table.Apply({1}, false);
  const PurgeTable::Changes failed = table.TakeUnsaved();
  table.Apply({2}, false);
  table.Unsave(failed);
  const PurgeTable::Changes again = table.TakeUnsaved();
  EXPECT_EQ(again.marks.size(), 2u);
  EXPECT_EQ(again.horizon.sequence, 2u);
}

TEST(PurgeTableTest, NothingIsNotedForAWriterThatThereIsNot) {
  PurgeTable table(100, PurgeTable::Saving::kNever);
  for (ScopeHash scope = 1; scope <= 50; ++scope) table.Apply({scope}, false);
  table.Drop(10);
  EXPECT_EQ(table.scopes(), 40u);
  EXPECT_TRUE(table.TakeUnsaved().marks.empty());
}

TEST(PurgeTableTest, DroppedMarksAreErasedAndOlderFillsRefused) {
  PurgeTable table;
  table.Apply({1}, false);
  table.Apply({2}, false);
  table.TakeUnsaved();
  table.RefuseBefore(1);
  EXPECT_EQ(table.scopes(), 2u);
  EXPECT_EQ(table.TakeUnsaved().horizon.refused, 1u);
  table.Drop(1);
  EXPECT_EQ(table.scopes(), 1u);
  const PurgeTable::Changes changes = table.TakeUnsaved();
  ASSERT_EQ(changes.marks.size(), 1u);
  EXPECT_EQ(changes.marks[0].first, 1u);
  EXPECT_EQ(changes.marks[0].second, PurgeMark{});

  const TestHead old_fill(0, {7});
  EXPECT_FALSE(table.MayStore(old_fill.cached.head)) << "it might have been under the mark";
  EXPECT_EQ(Text(table.Check(old_fill.cached)), "valid") << "what is stored was looked at";
  EXPECT_EQ(Text(table.JudgeFetch(0, {7})), "gone");
  const TestHead new_fill(1, {7});
  EXPECT_TRUE(table.MayStore(new_fill.cached.head));
  EXPECT_EQ(Text(table.JudgeFetch(1, {7})), "valid");
}

// It is on no disk, so no pass has looked at it before its mark was dropped.
TEST(PurgeTableTest, AnUnwrittenHeadIsGoneWhereMarksMayHaveBeenDroppedSinceItWasLookedAt) {
  PurgeTable table;
  const TestHead purged(0, {1});
  const TestHead soft(0, {2});
  const TestHead other(0, {7});
  const TestHead asked_for(0, {7});
  const TestHead later(3, {7});
  for (const TestHead* head : {&purged, &soft, &other, &asked_for, &later}) {
    head->cached.unwritten = true;
  }
  table.Apply({1}, false);
  table.Apply({2}, true);
  table.Apply({9}, false);
  EXPECT_EQ(Text(table.Check(soft.cached)), "stale");
  EXPECT_EQ(Text(table.Check(asked_for.cached)), "valid");
  table.RefuseBefore(3);
  table.Drop(3);
  ASSERT_EQ(table.scopes(), 0u);
  table.Apply({10}, false);  // so that all are looked at again
  EXPECT_EQ(Text(table.Check(purged.cached)), "gone");
  EXPECT_EQ(Text(table.Check(soft.cached)), "gone") << "that it is stale is not known any more";
  EXPECT_EQ(Text(table.Check(other.cached)), "gone") << "nor is what it was under";
  EXPECT_EQ(Text(table.Check(asked_for.cached)), "valid");
  EXPECT_EQ(Text(table.Check(later.cached)), "valid");
  table.Apply({7}, false);
  EXPECT_EQ(Text(table.Check(asked_for.cached)), "gone");
}

TEST(PurgeTableTest, TooManyScopesAreFoldedWithoutForgettingAnyPurge) {
  PurgeTable table(/*most_scopes=*/100);
  for (ScopeHash scope = 1; scope <= 101; ++scope) table.Apply({scope}, scope % 2 == 0);
  EXPECT_LE(table.scopes(), 51u);
  for (ScopeHash scope = 1; scope <= 101; ++scope) {
    const TestHead head(scope - 1, {scope});
    EXPECT_NE(Text(table.Judge(head.cached.head)), "valid") << scope;
    if (scope % 2 == 1) {
      EXPECT_EQ(Text(table.Judge(head.cached.head)), "gone") << scope;
    }
  }
  const TestHead newest(101, {1});
  EXPECT_EQ(Text(table.Check(newest.cached)), "valid");
  EXPECT_TRUE(table.TakeUnsaved().all_marks);
}

}  // namespace
}  // namespace nearside::storage
