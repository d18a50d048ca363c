// Whole chunks, tails in slabs, what erasing leaves of these and how they are emptied.

#include "storage/chunk_batch.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <random>
#include <string>

#include "runtime/text_bytes.h"
#include "storage/chunk_reaper.h"
#include "tests/storage/cache_fixture.h"
#include "tests/storage/slab_check.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage {
namespace {

class ChunkBatchTest : public testing::Test {
 protected:
  ChunkBatchTest() {
    env_ = LmdbEnv::Open({.file = folder_.In("chunks.mdb"), .map_bytes = 32 << 20}).value();
    auto txn = env_->BeginWrite();
    tables_ = MakeChunkTables(*txn).value();
    EXPECT_TRUE(txn->Commit());
  }
  ChunkBatch Begin() {
    return ChunkBatch::Begin(*env_, tables_, open_, [this] { return ++slab_id_; }).value();
  }
  void Commit(ChunkBatch& batch) {
    ASSERT_TRUE(batch.Commit(StoreMeta{}));
    totals_ = batch.slab_totals();
    open_ = batch.TakeOpen();
    EXPECT_EQ(SlabTrouble(*env_->BeginRead(), tables_), "");
  }
  static void Put(ChunkBatch& batch, uint64_t id, const std::string& body) {
    uint32_t index = 0;
    for (const ChunkRef& chunk : ChunksOf(body)) {
      ASSERT_TRUE(batch.Put({.object_id = id, .index = index++}, chunk->bytes()));
    }
  }
  void PutObject(uint64_t id, const std::string& body) {
    ChunkBatch batch = Begin();
    Put(batch, id, body);
    Commit(batch);
  }
  size_t EraseObject(uint64_t id, size_t most = 1000) {
    ChunkBatch batch = Begin();
    const size_t erased = batch.Erase(id, most).value();
    Commit(batch);
    return erased;
  }
  std::string ReadOne(ChunkName name, uint32_t length) {
    const auto txn = env_->BeginRead();
    auto copy = CopyChunk(*txn, tables_, name, length);
    if (!copy) return copy.error().reason;
    const Result<ChunkRef> chunk = VerifyChunk(name, std::move(*copy));
    return chunk ? std::string((*chunk)->text()) : chunk.error().reason;
  }
  std::string ReadObject(uint64_t id, size_t bytes) {
    std::string body;
    for (uint32_t index = 0; index < ChunkCount(bytes); ++index) {
      body += ReadOne({id, index}, ChunkLength(bytes, index));
    }
    return body;
  }
  uint64_t Slabs() { return env_->BeginRead()->Entries(tables_.slabs); }
  /// The file's place of bytes that are in it once.
  size_t PlaceOf(const std::string& bytes) const {
    std::ifstream stream(folder_.In("chunks.mdb"), std::ios::binary);
    const std::string file((std::istreambuf_iterator<char>(stream)), {});
    return file.rfind(bytes);
  }

  test::TempDir folder_;
  std::unique_ptr<LmdbEnv> env_;
  ChunkTables tables_;
  OpenSlab open_;
  SlabTotals totals_;
  uint64_t slab_id_ = 1'000'000;
};

TEST_F(ChunkBatchTest, ReadsBackWhatWasPutAndNothingElse) {
  const std::string body = BodyOf("a", kChunkBytes + 10);
  PutObject(7, body);
  EXPECT_EQ(ReadOne({7, 0}, kChunkBytes), body.substr(0, kChunkBytes));
  EXPECT_EQ(ReadOne({7, 1}, 10), body.substr(kChunkBytes));
  EXPECT_EQ(ReadOne({7, 1}, 11), "bad_checksum") << "of another length";
  EXPECT_EQ(ReadOne({7, 1}, kChunkBytes), "gone");
  EXPECT_EQ(ReadOne({7, 0}, 10), "gone");
  EXPECT_EQ(ReadOne({7, 2}, 10), "gone");
  EXPECT_EQ(ReadOne({6, 0}, 10), "gone");
  EXPECT_EQ(ReadOne({7, 1}, kChunkBytes + 1), "bad_checksum");
}

TEST_F(ChunkBatchTest, AFullChunkFillsSixteenPages) {
  const uint64_t before = env_->BeginRead()->UsedPages();
  PutObject(1, BodyOf("a", 20 * kChunkBytes));
  // The chunks' own pages, and what the trees and the free list need.
  EXPECT_LE(env_->BeginRead()->UsedPages() - before, 20u * 16 + 4);
}

TEST_F(ChunkBatchTest, TailsOfAllLengthsShareSlabsWithoutGaps) {
  std::map<uint64_t, std::string> bodies;
  ChunkBatch batch = Begin();
  uint64_t id = 0;
  uint64_t bytes = 0;
  for (const size_t length :
       {size_t{1}, size_t{2}, size_t{100}, size_t{4080}, size_t{16'384}, size_t{40'000},
        size_t{60'000}, kMostPartBytes - 1, kMostPartBytes, kMostPartBytes + 1, kChunkBytes - 1}) {
    for (int copies = 0; copies < 3; ++copies) {
      const std::string body = BodyOf(std::to_string(++id), length);
      Put(batch, id, body);
      bodies[id] = body;
      bytes += length;
    }
  }
  Commit(batch);
  for (const auto& [object, body] : bodies) {
    EXPECT_TRUE(ReadOne({object, 0}, static_cast<uint32_t>(body.size())) == body) << object;
  }
  EXPECT_LE(Slabs(), bytes / kMostPartBytes + 2);
}

TEST_F(ChunkBatchTest, SmallBatchesGoOnWithTheSlabOfTheOneBefore) {
  constexpr uint64_t kObjects = 40;
  for (uint64_t id = 1; id <= kObjects; ++id) PutObject(id, BodyOf(std::to_string(id), 3000));
  // Each is filled to three quarters at least.
  EXPECT_LE(Slabs(), kObjects * 3024 / (kSlabBytes * 3 / 4) + 1);
  for (uint64_t id = 1; id <= kObjects; ++id) {
    ASSERT_EQ(ReadObject(id, 3000), BodyOf(std::to_string(id), 3000)) << id;
  }
}

TEST_F(ChunkBatchTest, ABatchThatIsNotCommittedLeavesTheOpenSlabAsItWas) {
  PutObject(1, BodyOf("1", 3000));
  {
    ChunkBatch batch = Begin();
    Put(batch, 2, BodyOf("2", 3000));
    ASSERT_EQ(batch.Erase(1, 10).value(), 1u);
  }
  EXPECT_EQ(SlabTrouble(*env_->BeginRead(), tables_), "");
  EXPECT_EQ(ReadObject(1, 3000), BodyOf("1", 3000));
  PutObject(3, BodyOf("3", 3000));
  EXPECT_EQ(Slabs(), 1u);
  EXPECT_EQ(ReadObject(1, 3000), BodyOf("1", 3000));
  EXPECT_EQ(ReadObject(2, 3000), "gone");
  EXPECT_EQ(ReadObject(3, 3000), BodyOf("3", 3000));
}

TEST_F(ChunkBatchTest, AnOpenSlabWhoseLastTailWentIsNotOpenedAgain) {
  PutObject(1, BodyOf("1", 3000));
  EXPECT_EQ(EraseObject(1), 1u);
  EXPECT_EQ(Slabs(), 0u);
  PutObject(2, BodyOf("2", 3000));
  EXPECT_EQ(ReadObject(2, 3000), BodyOf("2", 3000));
  ChunkBatch batch = Begin();
  Put(batch, 3, BodyOf("3", 3000));
  ASSERT_EQ(batch.Erase(2, 10).value(), 1u) << "while its slab is being filled";
  ASSERT_EQ(batch.Erase(3, 10).value(), 1u);
  Commit(batch);
  EXPECT_EQ(Slabs(), 0u);
}

TEST_F(ChunkBatchTest, ASlabGoesWithTheLastThatIsInIt) {
  ChunkBatch batch = Begin();
  for (uint64_t id = 1; id <= 3; ++id) Put(batch, id, BodyOf(std::to_string(id), 20'000));
  Put(batch, 4, BodyOf("4", 20'000));  // in part in a second one
  Commit(batch);
  ASSERT_EQ(Slabs(), 2u);
  for (const uint64_t id : {2, 1, 3}) {
    EXPECT_EQ(EraseObject(id), 1u);
    EXPECT_EQ(Slabs(), 2u);
    EXPECT_EQ(ReadObject(4, 20'000), BodyOf("4", 20'000));
  }
  EXPECT_EQ(EraseObject(4), 1u);
  EXPECT_EQ(Slabs(), 0u);
  EXPECT_EQ(totals_.live_bytes, 0u);
}

TEST_F(ChunkBatchTest, SlabsOfWhichLittleLivesAreEmptiedUntilLittleIsDead) {
  ChunkBatch batch = Begin();
  for (uint64_t id = 1; id <= 320; ++id) Put(batch, id, BodyOf(std::to_string(id), 10'000));
  Commit(batch);
  const uint64_t slabs = Slabs();
  ChunkBatch none = Begin();
  EXPECT_EQ(none.Compact(100, totals_.slabs * kSlabBytes / 4, 0).value(), 0u)
      << "next to nothing is dead";
  Commit(none);
  ChunkBatch erase = Begin();
  for (uint64_t id = 1; id <= 320; ++id) {
    if (id % 3 == 0) continue;
    ASSERT_EQ(erase.Erase(id, 10).value(), 1u);
  }
  Commit(erase);
  ASSERT_GT(Slabs(), slabs * 9 / 10) << "two of three are gone, in all of the slabs";
  ChunkBatch few = Begin();
  EXPECT_EQ(few.Compact(3, 0, 0).value(), 3u);
  Commit(few);
  ChunkBatch rest = Begin();
  const uint64_t kept_dead = totals_.slabs * kSlabBytes / 8;
  EXPECT_GT(rest.Compact(100, kept_dead, 0).value(), 3u);
  Commit(rest);
  // And the end of the last one, which the next batch goes on with.
  EXPECT_LE(totals_.dead_bytes(), kept_dead + kSlabBytes);
  EXPECT_LE(Slabs(), slabs / 2);
  for (uint64_t id = 3; id <= 320; id += 3) {
    ASSERT_TRUE(ReadObject(id, 10'000) == BodyOf(std::to_string(id), 10'000)) << id;
  }
}

TEST_F(ChunkBatchTest, WhatIsMovedIsCutRatherThanLieAloneInASlab) {
  constexpr uint64_t kPairs = 40;
  ChunkBatch batch = Begin();
  for (uint64_t id = 1; id <= kPairs; ++id) {
    Put(batch, id, BodyOf(std::to_string(id), 40'000));
    Put(batch, kPairs + id, BodyOf("b", 25'400));
  }
  Commit(batch);
  open_ = {};
  ChunkBatch compact = Begin();
  for (uint64_t id = 1; id <= kPairs; ++id) {
    ASSERT_EQ(compact.Erase(kPairs + id, 10).value(), 1u);
  }
  EXPECT_GT(compact.Compact(100, 0, 0).value(), kPairs / 2);
  Commit(compact);
  EXPECT_LE(Slabs(), kPairs * 40'000 / kMostPartBytes + 3);
  for (uint64_t id = 1; id <= kPairs; ++id) {
    ASSERT_TRUE(ReadObject(id, 40'000) == BodyOf(std::to_string(id), 40'000)) << id;
  }
}

TEST_F(ChunkBatchTest, ADamagedSlabIsPassedOverAndGoesWithItsLastTail) {
  ChunkBatch batch = Begin();
  for (uint64_t id = 1; id <= 4; ++id) Put(batch, id, BodyOf(std::to_string(id), 60'000));
  Commit(batch);
  open_ = {};
  // Of the first slab: what lies before this in it stays sound.
  const size_t place = PlaceOf(BodyOf("1", 60'000).substr(50'000, 100));
  ASSERT_NE(place, std::string::npos);
  env_.reset();
  std::fstream file(folder_.In("chunks.mdb"), std::ios::binary | std::ios::in | std::ios::out);
  file.seekp(static_cast<std::streamoff>(place));
  file << "damage";
  file.close();
  env_ = LmdbEnv::Open({.file = folder_.In("chunks.mdb"), .map_bytes = 32 << 20}).value();
  {
    auto txn = env_->BeginWrite();
    tables_ = MakeChunkTables(*txn).value();
    ASSERT_TRUE(txn->Commit());
  }
  EXPECT_EQ(ReadObject(1, 60'000), "bad_checksum");
  ChunkBatch compact = Begin();
  ASSERT_EQ(compact.Erase(3, 10).value() + compact.Erase(4, 10).value(), 2u);
  ASSERT_EQ(compact.Erase(1, 10).value(), 1u) << "only the begin of 2 is left in the first";
  EXPECT_GE(compact.Compact(100, 0, 0).value(), 0u);
  ASSERT_TRUE(compact.Commit(StoreMeta{}));
  EXPECT_EQ(ReadObject(2, 60'000), BodyOf("2", 60'000));
  ChunkBatch last = Begin();
  ASSERT_EQ(last.Erase(2, 10).value(), 1u);
  Commit(last);
  EXPECT_EQ(Slabs(), 0u);
}

TEST_F(ChunkBatchTest, WhateverIsPutErasedAndMovedIsReadBack) {
  std::mt19937_64 random(5);
  std::map<uint64_t, size_t> objects, committed;
  uint64_t id = 0;
  uint64_t emptied = 0;
  for (int round = 0; round < 300; ++round) {
    ChunkBatch batch = Begin();
    for (int erased = 0; erased < 12 && objects.size() > 40; ++erased) {
      auto victim = objects.lower_bound(random() % id);
      if (victim == objects.end()) victim = objects.begin();
      ASSERT_EQ(batch.Erase(victim->first, 100).value(), ChunkCount(victim->second));
      objects.erase(victim);
    }
    emptied += batch.Compact(random() % 6, totals_.slabs * kSlabBytes / 4, 0).value();
    for (uint64_t puts = random() % 20; puts > 0; --puts) {
      const size_t bytes = 1 + random() % (random() % 3 == 0 ? 2 * kChunkBytes : 12'000);
      ++id;
      Put(batch, id, BodyOf(std::to_string(id), bytes));
      objects[id] = bytes;
    }
    if (round % 7 == 3) {  // the map was full, say: nothing of it is so
      objects = committed;
      continue;
    }
    Commit(batch);
    committed = objects;
  }
  EXPECT_GT(emptied, 10u);
  for (const auto& [object, bytes] : objects) {
    ASSERT_TRUE(ReadObject(object, bytes) == BodyOf(std::to_string(object), bytes)) << object;
  }
  for (const auto& [object, bytes] : objects) EraseObject(object);
  EXPECT_EQ(Slabs(), 0u);
  EXPECT_EQ(LastChunkId(*env_->BeginRead(), tables_).value(), 0u);
}

/// Rows that no run of ours wrote: batches go on, sound bodies stay, nothing loops.
TEST_F(ChunkBatchTest, RowsThatContradictEachOtherDoNoHarm) {
  for (uint64_t id = 1; id <= 20; ++id) PutObject(id, BodyOf(std::to_string(id), 10'000));
  open_ = {};
  {
    const std::string huge(4, '\xff');
    const std::string garbage(17, '\xff');
    const uint64_t first = slab_id_ - Slabs() + 1;
    auto txn = env_->BeginWrite();
    ASSERT_TRUE(txn->Put(tables_.slab_live, EncodeSlabPrefix(first), AsBytes(huge)));
    ASSERT_TRUE(txn->Put(tables_.slab_live, EncodeSlabPrefix(first + 1), AsBytes("")));
    ASSERT_TRUE(txn->Put(tables_.slab_order, EncodeSlabOrder(0, 77), {}));         // no such slab
    ASSERT_TRUE(txn->Put(tables_.slab_order, EncodeSlabOrder(1, first + 2), {}));  // not its place
    ASSERT_TRUE(txn->Put(tables_.slab_order, AsBytes("short"), {}));
    ASSERT_TRUE(txn->Put(tables_.tails, EncodeChunkKey({30, 0}, {}), AsBytes(garbage)));
    ASSERT_TRUE(txn->Put(tables_.meta, AsBytes("slabs"), AsBytes(garbage)));
    ASSERT_TRUE(txn->Commit());
  }
  EXPECT_EQ(ReadOne({30, 0}, 10), "bad_checksum");
  for (int round = 0; round < 3; ++round) {
    ChunkBatch batch = Begin();
    ASSERT_TRUE(batch.Compact(100, 0, 0));
    ASSERT_TRUE(batch.Commit(StoreMeta{}));
  }
  for (uint64_t id = 1; id <= 20; ++id) {
    ASSERT_TRUE(ReadObject(id, 10'000) == BodyOf(std::to_string(id), 10'000)) << id;
  }
  ChunkBatch batch = Begin();
  for (const uint64_t id : {1, 10, 20, 30}) EXPECT_EQ(batch.Erase(id, 10).value(), 1u) << id;
  Put(batch, 40, BodyOf("40", 10'000));
  ASSERT_TRUE(batch.Commit(StoreMeta{}));
  EXPECT_EQ(ReadObject(40, 10'000), BodyOf("40", 10'000));
  EXPECT_EQ(ReadObject(2, 10'000), BodyOf("2", 10'000));
}

TEST_F(ChunkBatchTest, BytesUnderAWrongChecksumAreRefused) {
  const ChunkName name{.object_id = 1, .index = 0};
  const std::string right = BodyOf("right", kChunkBytes);
  const std::string wrong = BodyOf("wrong", kChunkBytes);
  auto txn = env_->BeginWrite();
  ASSERT_TRUE(txn->Put(tables_.chunks, EncodeChunkKey(name, ChunkChecksum(name, AsBytes(right))),
                       AsBytes(wrong)));
  ASSERT_TRUE(txn->Commit());
  EXPECT_EQ(ReadOne(name, kChunkBytes), "bad_checksum");
}

TEST_F(ChunkBatchTest, ATailWhoseSlabIsMissingIsRefused) {
  PutObject(1, BodyOf("1", 3000));
  auto txn = env_->BeginWrite();
  ASSERT_TRUE(txn->Clear(tables_.slabs));
  ASSERT_TRUE(txn->Commit());
  EXPECT_EQ(ReadObject(1, 3000), "bad_checksum");
}

TEST_F(ChunkBatchTest, AChunkThatTheDiskCannotReadIsAnErrorAndPassedOverByErasing) {
  const std::string first = BodyOf("a", kChunkBytes);
  const std::string second = BodyOf("b", kChunkBytes);
  PutObject(2, first);
  PutObject(1, first + second);
  ASSERT_EQ(ReadOne({1, 1}, kChunkBytes), second);
  // The pages of the map behind a file's end raise SIGBUS, as those above a bad sector do.
  const size_t place = PlaceOf(second);
  ASSERT_NE(place, std::string::npos);
  ChunkBatch batch = Begin();
  ASSERT_EQ(batch.Erase(2, 10).value(), 1u);  // reads the free list, at the end
  std::filesystem::resize_file(folder_.In("chunks.mdb"), place / 4096 * 4096);
  EXPECT_EQ(ReadOne({1, 0}, kChunkBytes), first);
  EXPECT_EQ(ReadOne({1, 1}, kChunkBytes), "EIO");
  EXPECT_EQ(batch.Erase(1, 10).value(), 1u);
  EXPECT_EQ(batch.Erase(1, 10).value(), 0u) << "none is left that could be erased";
}

TEST_F(ChunkBatchTest, ErasesOneObjectInSteps) {
  for (uint64_t id = 1; id <= 3; ++id) PutObject(id, BodyOf("x", 4 * kChunkBytes + 1));
  EXPECT_EQ(EraseObject(2, 3), 3u);
  EXPECT_EQ(NextObjectId(*env_->BeginRead(), tables_, 1).value(), 2u);
  EXPECT_EQ(EraseObject(2, 1), 1u);
  EXPECT_EQ(NextObjectId(*env_->BeginRead(), tables_, 1).value(), 2u) << "by its tail alone";
  EXPECT_EQ(EraseObject(2, 3), 1u);
  EXPECT_EQ(EraseObject(2, 3), 0u);
  const auto txn = env_->BeginRead();
  EXPECT_EQ(txn->Entries(tables_.chunks), 8u);
  EXPECT_EQ(txn->Entries(tables_.tails), 2u);
  EXPECT_EQ(NextObjectId(*txn, tables_, 0).value(), 1u);
  EXPECT_EQ(NextObjectId(*txn, tables_, 1).value(), 3u);
  EXPECT_EQ(NextObjectId(*txn, tables_, 3).value(), std::nullopt);
  EXPECT_EQ(LastChunkId(*txn, tables_).value(), slab_id_) << "slabs count as well";
}

TEST_F(ChunkBatchTest, TheReaperWorksInStepsAndTakesNothingBackThatWasNotCommitted) {
  for (uint64_t id = 1; id <= 3; ++id) PutObject(id, BodyOf("x", 5 * kChunkBytes));
  ChunkReaper reaper;
  for (uint64_t id = 1; id <= 3; ++id) reaper.Add(id, 5 * kChunkBytes);
  EXPECT_EQ(reaper.doomed_bytes(), 15u * kChunkBytes);
  {
    ChunkBatch batch = Begin();
    EXPECT_EQ(reaper.Step(batch, 7).value(), 7u);
    reaper.Undo();
  }
  EXPECT_EQ(reaper.doomed_bytes(), 15u * kChunkBytes);
  for (int steps = 0; !reaper.idle(); ++steps) {
    ASSERT_LT(steps, 4);
    ChunkBatch batch = Begin();
    ASSERT_TRUE(reaper.Step(batch, 7));
    Commit(batch);
    reaper.Confirm();
  }
  EXPECT_EQ(env_->BeginRead()->Entries(tables_.chunks), 0u);
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
