#include "storage/head_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>

#include "runtime/text_bytes.h"
#include "tests/storage/cache_fixture.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage {
namespace {

class HeadTableTest : public testing::Test {
 protected:
  HeadTableTest() {
    env_ = LmdbEnv::Open({.file = folder_.In("heads.mdb"), .map_bytes = 16 << 20}).value();
    auto txn = env_->BeginWrite();
    tables_ = MakeHeadTables(*txn).value();
    EXPECT_TRUE(txn->Commit());
  }

  static Head MakeHead(const std::string& name, uint64_t id, int64_t drop_ms = 1'000'000) {
    Head head;
    head.key = KeyOf(name);
    head.object_id = id;
    head.body_bytes = 100'000;
    head.drop_at = FromUnixMillis(drop_ms);
    head.meta = name;
    return head;
  }
  HeadBatch Begin() { return HeadBatch::Begin(*env_, tables_, meta_).value(); }
  void Commit(HeadBatch& batch) {
    const Status committed = batch.Commit();
    ASSERT_TRUE(committed) << committed.error().ToString();
    meta_ = batch.meta();
  }
  void PutOne(const std::string& name, uint64_t id, int64_t drop_ms = 1'000'000) {
    HeadBatch batch = Begin();
    ASSERT_TRUE(batch.Put(MakeHead(name, id, drop_ms), std::nullopt, {.position = id}));
    Commit(batch);
  }
  std::string Stored(const std::string& name) {
    const auto txn = env_->BeginRead();
    const auto record = ReadHead(*txn, tables_.heads, KeyOf(name));
    if (!record) return record.error().reason;
    if (!*record) return "none";
    return std::to_string((*record)->head.object_id) + "@" +
           std::to_string(static_cast<int>((*record)->place.segment));
  }
  /// Rows of heads, expiry and queue: in a sound store they are as many.
  std::string Rows() {
    const auto txn = env_->BeginRead();
    return std::to_string(txn->Entries(tables_.heads)) + " " +
           std::to_string(txn->Entries(tables_.expiry)) + " " +
           std::to_string(txn->Entries(tables_.queue));
  }
  static std::string Names(const std::vector<RemovedObject>& removed) {
    std::string text;
    for (const RemovedObject& object : removed) {
      text += std::to_string(object.object_id) + (object.in_chunks ? "c" : "i") +
              std::to_string(static_cast<int>(object.why)) + " ";
    }
    return text;
  }
  /// Evicts one after the other until nothing is left; ids in order.
  std::string EvictAll(const std::set<std::string>& hot = {}) {
    std::set<Key256> accessed;
    for (const std::string& name : hot) accessed.insert(KeyOf(name));
    uint64_t next = 1000;
    std::string order;
    HeadBatch batch = Begin();
    batch.AllowSecondChances(hot.size());
    while (*batch.EvictOne(
        Removal::kEvictedForBodies, [&](const Key256& key) { return accessed.erase(key) > 0; },
        [&] { return next++; })) {
      order += std::to_string(batch.removed().back().object_id) + " ";
    }
    Commit(batch);
    return order;
  }

  test::TempDir folder_;
  std::unique_ptr<LmdbEnv> env_;
  HeadTables tables_;
  StoreMeta meta_;
};

TEST_F(HeadTableTest, PutReplacesAndTellsOfTheOldObject) {
  PutOne("a", 1);
  HeadBatch batch = Begin();
  ASSERT_TRUE(batch.Put(MakeHead("a", 2), std::nullopt, {.position = 2}));
  EXPECT_EQ(Names(batch.removed()), "1c0 ");
  Commit(batch);
  EXPECT_EQ(Stored("a"), "2@0");
  EXPECT_EQ(Rows(), "1 1 1");
}

TEST_F(HeadTableTest, WhatReplacesAPopularObjectIsPopular) {
  PutOne("a", 1);
  HeadBatch batch = Begin();
  ASSERT_TRUE(batch.Promote(KeyOf("a"), 10).value());
  EXPECT_FALSE(batch.Promote(KeyOf("a"), 11).value()) << "it is there already";
  ASSERT_TRUE(batch.Put(MakeHead("a", 2), std::nullopt, {.position = 12}));
  Commit(batch);
  EXPECT_EQ(Stored("a"), "2@1");
  EXPECT_EQ(Rows(), "1 1 1");
}

TEST_F(HeadTableTest, AnUncommittedBatchLeavesNothing) {
  {
    HeadBatch batch = Begin();
    ASSERT_TRUE(batch.Put(MakeHead("a", 1), std::nullopt, {.position = 1}));
  }
  EXPECT_EQ(Stored("a"), "none");
  EXPECT_EQ(meta_.totals, StoreMeta{}.totals);
}

TEST_F(HeadTableTest, RemoveIsExactAboutTheObject) {
  PutOne("a", 1);
  HeadBatch batch = Begin();
  EXPECT_FALSE(batch.Remove(KeyOf("a"), 7, Removal::kRemoved).value());
  EXPECT_FALSE(batch.Remove(KeyOf("b"), std::nullopt, Removal::kRemoved).value());
  EXPECT_TRUE(batch.Remove(KeyOf("a"), 1, Removal::kRemoved).value());
  Commit(batch);
  EXPECT_EQ(Rows(), "0 0 0");
  EXPECT_EQ(meta_.totals, StoreMeta{}.totals);
}

TEST_F(HeadTableTest, RefreshKeepsPlaceAndBodyAndMovesTheExpiry) {
  const std::string body = "small body";
  HeadBatch batch = Begin();
  Head head = MakeHead("a", 1, 500);
  head.body_bytes = body.size();
  ASSERT_TRUE(batch.Put(head, AsBytes(body), {.segment = Segment::kMain, .position = 3}));
  Commit(batch);
  const auto before = meta_.totals;

  HeadBatch refresh = Begin();
  head.drop_at = FromUnixMillis(9000);
  EXPECT_TRUE(refresh.Refresh(head).value());
  head.object_id = 2;
  EXPECT_FALSE(refresh.Refresh(head).value());
  EXPECT_TRUE(refresh.removed().empty());
  Commit(refresh);
  EXPECT_EQ(meta_.totals, before);
  const auto txn = env_->BeginRead();
  const HeadRecord record = **ReadHead(*txn, tables_.heads, KeyOf("a"));
  EXPECT_EQ(record.place, (QueuePlace{.segment = Segment::kMain, .position = 3}));
  EXPECT_EQ(std::string(record.inline_body->begin(), record.inline_body->end()), body);
  EXPECT_EQ(ToUnixMillis(*FirstExpiry(*txn, tables_.expiry).value()), 9000);
  EXPECT_EQ(Rows(), "1 1 1");
}

TEST_F(HeadTableTest, ExpiresWhatIsDueOldestFirstAndNoMoreThanAsked) {
  PutOne("c", 3, 300);
  PutOne("a", 1, -100);
  PutOne("b", 2, 200);
  PutOne("d", 4, 400);
  HeadBatch batch = Begin();
  EXPECT_EQ(batch.Expire(FromUnixMillis(300), 2).value(), 2u);
  EXPECT_EQ(batch.Expire(FromUnixMillis(300), 2).value(), 1u);
  EXPECT_EQ(Names(batch.removed()), "1c3 2c3 3c3 ");
  EXPECT_EQ(ToUnixMillis(*batch.FirstExpiry().value()), 400);
  Commit(batch);
  EXPECT_EQ(Rows(), "1 1 1");
}

TEST_F(HeadTableTest, EvictsOldestFirstAndGivesTheAccessedASecondChance) {
  for (uint64_t i = 1; i <= 5; ++i) PutOne(std::to_string(i), i);
  EXPECT_EQ(EvictAll({"1", "3"}), "2 4 5 1 3 ");
  EXPECT_EQ(Rows(), "0 0 0");
  EXPECT_EQ(meta_.totals, StoreMeta{}.totals);
}

TEST_F(HeadTableTest, ProbationGoesBeforeMainAsLongAsItIsMoreThanATenth) {
  for (uint64_t i = 1; i <= 20; ++i) PutOne(std::to_string(i), i);
  HeadBatch batch = Begin();
  for (int i = 1; i <= 10; ++i) {
    ASSERT_TRUE(batch.Promote(KeyOf(std::to_string(i)), 100 + static_cast<uint64_t>(i)).value());
  }
  Commit(batch);
  EXPECT_THAT(EvictAll(), testing::StartsWith("11 12 13 14 15 16 17 18 "));
}

TEST_F(HeadTableTest, EvictionEndsEvenWhenEverythingIsPopular) {
  for (uint64_t i = 1; i <= 300; ++i) PutOne(std::to_string(i), i);
  uint64_t next = 1000;
  HeadBatch batch = Begin();
  batch.AllowSecondChances(20);
  EXPECT_TRUE(*batch.EvictOne(
      Removal::kEvictedForBodies, [](const Key256&) { return true; }, [&] { return next++; }));
  EXPECT_EQ(batch.removed().size(), 1u);
}

TEST_F(HeadTableTest, ABrokenRecordIsErasedAndItsRowsArePassedOver) {
  PutOne("a", 1, 100);
  PutOne("b", 2, 200);
  {
    auto txn = env_->BeginWrite();
    ASSERT_TRUE(txn->Put(tables_.heads, KeyOf("a").bytes, AsBytes("garbage")));
    ASSERT_TRUE(txn->Commit());
  }
  EXPECT_EQ(Stored("a"), "bad_length");
  HeadBatch batch = Begin();
  EXPECT_EQ(batch.Expire(FromUnixMillis(1000), 10).value(), 2u);
  EXPECT_EQ(Names(batch.removed()), "0i6 2c3 ");
  EXPECT_FALSE(*batch.EvictOne(
      Removal::kEvictedForBodies, [](const Key256&) { return false; }, [] { return 1; }));
  Commit(batch);
  EXPECT_EQ(Rows(), "0 0 0");
}

TEST_F(HeadTableTest, WalksAllHeadsInSlices) {
  std::set<Key256> expected;
  for (uint64_t i = 1; i <= 10; ++i) {
    PutOne(std::to_string(i), i);
    expected.insert(KeyOf(std::to_string(i)));
  }
  std::set<Key256> seen;
  std::optional<Key256> after;
  int slices = 0;
  do {
    const auto txn = env_->BeginRead();
    const HeadWalkSlice slice{
        .visit = [&](const HeadRecord& r) { EXPECT_TRUE(seen.insert(r.head.key).second); },
        .broken = [](const Key256&) { FAIL(); }};
    after = WalkHeads(*txn, tables_.heads, after, 3, slice).value();
    ++slices;
  } while (after);
  EXPECT_EQ(seen, expected);
  EXPECT_EQ(slices, 4);
}

TEST_F(HeadTableTest, LastPositionLooksAtBothSegments) {
  EXPECT_EQ(LastPosition(*env_->BeginRead(), tables_.queue).value(), 0u);
  PutOne("a", 5);
  EXPECT_EQ(LastPosition(*env_->BeginRead(), tables_.queue).value(), 5u);
  HeadBatch batch = Begin();
  ASSERT_TRUE(batch.Promote(KeyOf("a"), 6).value());
  Commit(batch);
  EXPECT_EQ(LastPosition(*env_->BeginRead(), tables_.queue).value(), 6u);
  PutOne("b", 9);
  EXPECT_EQ(LastPosition(*env_->BeginRead(), tables_.queue).value(), 9u);
}

TEST_F(HeadTableTest, APinnedObjectIsNeitherEvictedNorExpired) {
  for (uint64_t i = 1; i <= 3; ++i) PutOne(std::to_string(i), i, 100);
  HeadBatch batch = Begin();
  EXPECT_EQ(batch.Pin(KeyOf("2"), 10).value(), PinOutcome::kPinned);
  EXPECT_EQ(batch.Pin(KeyOf("2"), 11).value(), PinOutcome::kPinned) << "it is so already";
  EXPECT_EQ(batch.Pin(KeyOf("none"), 12).value(), PinOutcome::kAbsent);
  EXPECT_FALSE(batch.Promote(KeyOf("2"), 13).value());
  EXPECT_THAT(batch.PinnedKeys().value(), testing::ElementsAre(KeyOf("2")));
  Commit(batch);
  EXPECT_EQ(Stored("2"), "2@2");
  EXPECT_EQ(Rows(), "3 2 3");
  EXPECT_EQ(meta_.pinned.objects, 1u);
  EXPECT_GT(meta_.pinned.chunk_bytes, 100'000u);
  EXPECT_EQ(LastPosition(*env_->BeginRead(), tables_.queue).value(), 10u);

  EXPECT_EQ(EvictAll(), "1 3 ");
  HeadBatch expire = Begin();
  EXPECT_EQ(expire.Expire(FromUnixMillis(1000), 10).value(), 0u);
  EXPECT_EQ(meta_.totals, StoreMeta{}.totals);
  Commit(expire);

  HeadBatch unpin = Begin();
  EXPECT_TRUE(unpin.Unpin(KeyOf("2"), 20).value());
  EXPECT_FALSE(unpin.Unpin(KeyOf("2"), 21).value());
  EXPECT_EQ(unpin.Expire(FromUnixMillis(1000), 10).value(), 1u);
  Commit(unpin);
  EXPECT_EQ(Rows(), "0 0 0");
  EXPECT_EQ(meta_.pinned, PinnedTotals{});
  EXPECT_EQ(meta_.totals, StoreMeta{}.totals);
}

TEST_F(HeadTableTest, APinnedObjectThatIsRemovedIsCountedNoMore) {
  PutOne("a", 1);
  HeadBatch batch = Begin();
  ASSERT_EQ(batch.Pin(KeyOf("a"), 2).value(), PinOutcome::kPinned);
  ASSERT_TRUE(batch.Remove(KeyOf("a"), 1, Removal::kPurged).value());
  Commit(batch);
  EXPECT_EQ(Rows(), "0 0 0");
  EXPECT_EQ(meta_.pinned, PinnedTotals{});
}

TEST_F(HeadTableTest, WhatTakesThePlaceOfAPinnedObjectIsPinned) {
  PutOne("a", 1);
  HeadBatch batch = Begin();
  ASSERT_EQ(batch.Pin(KeyOf("a"), 2).value(), PinOutcome::kPinned);
  Head fresh = MakeHead("a", 1, 5);
  ASSERT_TRUE(batch.Refresh(fresh).value());
  EXPECT_EQ(batch.Expire(FromUnixMillis(10), 10).value(), 0u);
  ASSERT_TRUE(batch.Put(MakeHead("a", 3, 5), std::nullopt, {.position = 3}));
  EXPECT_EQ(batch.Expire(FromUnixMillis(10), 10).value(), 0u);
  Commit(batch);
  EXPECT_EQ(Stored("a"), "3@2");
  EXPECT_EQ(Rows(), "1 0 1");
  EXPECT_EQ(meta_.pinned.objects, 1u);
}

TEST_F(HeadTableTest, PinnedObjectsStayBelowTheirLimits) {
  for (uint64_t i = 1; i <= 3; ++i) PutOne(std::to_string(i), i);
  HeadBatch batch = Begin();
  batch.LimitPins({.chunk_bytes = 250'000});
  EXPECT_EQ(batch.Pin(KeyOf("1"), 10).value(), PinOutcome::kPinned);
  EXPECT_EQ(batch.Pin(KeyOf("2"), 11).value(), PinOutcome::kPinned);
  EXPECT_EQ(batch.Pin(KeyOf("3"), 12).value(), PinOutcome::kNoRoom);
  // What takes a pinned one's place has to fit as well, or is stored as any other.
  Head larger = MakeHead("1", 4);
  larger.body_bytes = 200'000;
  ASSERT_TRUE(batch.Put(larger, std::nullopt, {.position = 13}));
  EXPECT_EQ(batch.Pin(KeyOf("3"), 14).value(), PinOutcome::kPinned);
  Commit(batch);
  EXPECT_EQ(Stored("1"), "4@1");
  EXPECT_EQ(Stored("3"), "3@2");
  EXPECT_EQ(Rows(), "3 1 3");

  HeadBatch heads = Begin();
  heads.LimitPins({.head_bytes = meta_.pinned.head_bytes + 10});
  EXPECT_EQ(heads.Pin(KeyOf("1"), 20).value(), PinOutcome::kNoRoom);
}

TEST_F(HeadTableTest, PurgesAndFactsComeBack) {
  PurgeTable purges;
  purges.Apply({11, 12}, false);
  HeadBatch batch = Begin();
  ASSERT_TRUE(batch.SavePurges(purges.TakeUnsaved()));
  batch.meta().position = {.epoch = 3, .sequence = 4};
  Commit(batch);
  purges.RefuseBefore(1);
  purges.Drop(1);
  HeadBatch drop = Begin();
  ASSERT_TRUE(drop.SavePurges(purges.TakeUnsaved()));
  const auto before = ReadMarks(*env_->BeginRead(), tables_.purges).value();
  EXPECT_EQ(before.size(), 2u);
  Commit(drop);
  EXPECT_TRUE(ReadMarks(*env_->BeginRead(), tables_.purges).value().empty());
  const StoreMeta meta = *ReadMeta(*env_->BeginRead(), tables_.meta).value();
  EXPECT_EQ(meta.position, (LogPosition{.epoch = 3, .sequence = 4}));
  EXPECT_EQ(meta.purges.refused, 1u);
}

}  // namespace
}  // namespace nearside::storage
