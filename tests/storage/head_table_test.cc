#include "storage/head_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>
#include <string>

#include "storage/chunk_reaper.h"
#include "storage/chunk_table.h"
#include "tests/storage/cache_fixture.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage {
namespace {

Bytes B(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

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
  ASSERT_TRUE(batch.Put(head, B(body), {.segment = Segment::kMain, .position = 3}));
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
    ASSERT_TRUE(txn->Put(tables_.heads, KeyOf("a").bytes, B("garbage")));
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

class ChunkTableTest : public testing::Test {
 protected:
  ChunkTableTest() {
    env_ = LmdbEnv::Open({.file = folder_.In("chunks.mdb"), .map_bytes = 16 << 20}).value();
    auto txn = env_->BeginWrite();
    table_ = MakeChunkTables(*txn).value().chunks;
    EXPECT_TRUE(txn->Commit());
  }
  void PutObject(uint64_t id, const std::string& body) {
    auto txn = env_->BeginWrite();
    uint32_t index = 0;
    for (const ChunkRef& chunk : ChunksOf(body)) {
      ASSERT_TRUE(PutChunk(*txn, table_, {.object_id = id, .index = index++}, chunk->bytes()));
    }
    ASSERT_TRUE(txn->Commit());
  }
  std::string ReadOne(ChunkName name, uint32_t length) {
    const auto txn = env_->BeginRead();
    auto copy = CopyChunk(*txn, table_, name, length);
    if (!copy) return copy.error().reason;
    const Result<ChunkRef> chunk = VerifyChunk(name, std::move(*copy));
    return chunk ? std::string((*chunk)->text()) : chunk.error().reason;
  }
  test::TempDir folder_;
  std::unique_ptr<LmdbEnv> env_;
  LmdbTable table_;
};

TEST_F(ChunkTableTest, ReadsBackWhatWasPutAndNothingElse) {
  const std::string body = BodyOf("a", kChunkBytes + 10);
  PutObject(7, body);
  EXPECT_EQ(ReadOne({7, 0}, kChunkBytes), body.substr(0, kChunkBytes));
  EXPECT_EQ(ReadOne({7, 1}, 10), body.substr(kChunkBytes));
  EXPECT_EQ(ReadOne({7, 1}, 11), "bad_checksum");
  EXPECT_EQ(ReadOne({7, 2}, 10), "gone");
  EXPECT_EQ(ReadOne({6, 0}, 10), "gone");
}

TEST_F(ChunkTableTest, AFullChunkFillsSixteenPages) {
  const uint64_t before = env_->BeginRead()->UsedPages();
  PutObject(1, BodyOf("a", 20 * kChunkBytes));
  // The chunks' own pages, and what the tree and the free list need.
  EXPECT_LE(env_->BeginRead()->UsedPages() - before, 20u * 16 + 3);
}

TEST_F(ChunkTableTest, BytesUnderAWrongChecksumAreRefused) {
  const ChunkName name{.object_id = 1, .index = 0};
  auto txn = env_->BeginWrite();
  ASSERT_TRUE(txn->Put(table_, EncodeChunkKey(name, ChunkChecksum(name, B("right"))), B("wrong")));
  ASSERT_TRUE(txn->Commit());
  EXPECT_EQ(ReadOne(name, 5), "bad_checksum");
}

TEST_F(ChunkTableTest, AChunkThatTheDiskCannotReadIsAnErrorAndPassedOverByErasing) {
  const std::string first = BodyOf("a", kChunkBytes);
  const std::string second = BodyOf("b", kChunkBytes);
  PutObject(2, first);
  PutObject(1, first + second);
  ASSERT_EQ(ReadOne({1, 1}, kChunkBytes), second);
  // The pages of the map behind a file's end raise SIGBUS, as those above a bad sector do.
  const std::string file = folder_.In("chunks.mdb");
  std::ifstream stream(file, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(stream)), {});
  const size_t place = bytes.find(second);
  ASSERT_NE(place, std::string::npos);
  auto txn = env_->BeginWrite();
  ASSERT_EQ(EraseChunks(*txn, table_, 2, 10).value(), 1u);  // reads the free list, at the end
  std::filesystem::resize_file(file, place / 4096 * 4096);
  EXPECT_EQ(ReadOne({1, 0}, kChunkBytes), first);
  EXPECT_EQ(ReadOne({1, 1}, kChunkBytes), "EIO");
  EXPECT_EQ(EraseChunks(*txn, table_, 1, 10).value(), 1u);
  EXPECT_EQ(EraseChunks(*txn, table_, 1, 10).value(), 0u) << "none is left that could be erased";
  EXPECT_EQ(txn->Entries(table_), 1u);
}

TEST_F(ChunkTableTest, ErasesOneObjectInSteps) {
  for (uint64_t id = 1; id <= 3; ++id) PutObject(id, BodyOf("x", 5 * kChunkBytes));
  auto txn = env_->BeginWrite();
  EXPECT_EQ(EraseChunks(*txn, table_, 2, 3).value(), 3u);
  EXPECT_EQ(EraseChunks(*txn, table_, 2, 3).value(), 2u);
  EXPECT_EQ(EraseChunks(*txn, table_, 2, 3).value(), 0u);
  EXPECT_EQ(txn->Entries(table_), 10u);
  EXPECT_EQ(NextObjectId(*txn, table_, 0).value(), 1u);
  EXPECT_EQ(NextObjectId(*txn, table_, 1).value(), 3u);
  EXPECT_EQ(NextObjectId(*txn, table_, 3).value(), std::nullopt);
  EXPECT_EQ(LastObjectId(*txn, table_).value(), 3u);
}

TEST_F(ChunkTableTest, TheReaperWorksInStepsAndTakesNothingBackThatWasNotCommitted) {
  for (uint64_t id = 1; id <= 3; ++id) PutObject(id, BodyOf("x", 5 * kChunkBytes));
  ChunkReaper reaper;
  for (uint64_t id = 1; id <= 3; ++id) reaper.Add(id, 5 * kChunkBytes);
  EXPECT_EQ(reaper.doomed_bytes(), 15u * kChunkBytes);
  {
    auto txn = env_->BeginWrite();
    EXPECT_EQ(reaper.Step(*txn, table_, 7).value(), 7u);
    reaper.Undo();
  }
  EXPECT_EQ(reaper.doomed_bytes(), 15u * kChunkBytes);
  for (int steps = 0; !reaper.idle(); ++steps) {
    ASSERT_LT(steps, 4);
    auto txn = env_->BeginWrite();
    ASSERT_TRUE(reaper.Step(*txn, table_, 7));
    ASSERT_TRUE(txn->Commit());
    reaper.Confirm();
  }
  EXPECT_EQ(env_->BeginRead()->Entries(table_), 0u);
  EXPECT_EQ(reaper.doomed_bytes(), 0u);
  EXPECT_FALSE(reaper.Knows(1));
}

TEST(ChunkReaperTest, WaitsForClientsButNotForEverNorForTooMuch) {
  LiveObjects live;
  for (uint64_t id = 1; id <= 3; ++id) live.Hold(id);
  ChunkReaper reaper;
  const MonoTime start{};
  reaper.AddWhenReleased(1, 100, start);
  reaper.AddWhenReleased(2, 100, start + std::chrono::hours(1));
  reaper.AddWhenReleased(3, 100, start + std::chrono::hours(1));
  reaper.CollectReleased(live, start, 1000);
  EXPECT_TRUE(reaper.idle());
  EXPECT_EQ(reaper.retired_bytes(), 300u);
  reaper.CollectReleased(live, start + std::chrono::hours(1), 1000);
  EXPECT_EQ(reaper.retired_bytes(), 200u) << "1 has waited for too long";
  live.Release(2);
  reaper.CollectReleased(live, start + std::chrono::hours(1), 1000);
  EXPECT_EQ(reaper.retired_bytes(), 100u) << "2 has been released";
  reaper.CollectReleased(live, start + std::chrono::hours(1), 99);
  EXPECT_EQ(reaper.retired_bytes(), 0u) << "3 is over what may be kept";
  EXPECT_EQ(reaper.doomed_bytes(), 300u);
  EXPECT_TRUE(reaper.Knows(3));
}

}  // namespace
}  // namespace nearside::storage
