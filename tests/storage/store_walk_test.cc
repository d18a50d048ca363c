#include "storage/store_walk.h"

#include <gtest/gtest.h>

#include "tests/storage/cache_fixture.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage {
namespace {

/// A walk without its writer thread: the test does what the writer would.
class StoreWalkTest : public testing::Test {
 protected:
  StoreWalkTest() {
    disk_ = StoreDisk::Open({.path = folder_.In("cache"), .disk = 16_MiB}).value();
    CacheOptions options;
    parts_ = std::make_unique<StoreParts>(options, DecodeTestPayload, WriteQueue::Limits{}, 1000);
    walk_ = std::make_unique<StoreWalk>(*parts_, *disk_, reaper_);
    meta_ = disk_->meta();
  }
  void PutHead(const std::string& name, uint64_t id, uint64_t purge_sequence) {
    Head head;
    head.key = KeyOf(name);
    head.object_id = id;
    head.body_bytes = 10;
    head.purge_sequence = purge_sequence;
    head.scopes = {1};
    HeadBatch batch = HeadBatch::Begin(disk_->heads(), disk_->head_tables(), meta_).value();
    ASSERT_TRUE(batch.Put(head, std::nullopt, {.position = id}));
    ASSERT_TRUE(batch.Commit());
    meta_ = batch.meta();
  }
  void PutChunkOf(uint64_t id) {
    auto batch = ChunkBatch::Begin(disk_->chunks(), disk_->chunk_tables(), {},
                                   [this] { return ++slab_id_; });
    // Even ids have a tail, odd ones a whole chunk.
    const std::string bytes = BodyOf("x", id % 2 == 0 ? 10 : kChunkBytes);
    ASSERT_TRUE(batch->Put({.object_id = id},
                           {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
    ASSERT_TRUE(batch->Commit(meta_));
  }
  std::string FinishWalk() {
    std::string removed;
    for (int steps = 0; walk_->active(); ++steps) {
      if (steps > 100) return "it does not end";
      EXPECT_TRUE(walk_->Step());
      for (const auto& removal : walk_->TakeRemovals(100)) {
        removed += std::to_string(removal.object_id) + " ";
      }
    }
    return removed;
  }

  test::TempDir folder_;
  std::unique_ptr<StoreDisk> disk_;
  std::unique_ptr<StoreParts> parts_;
  ChunkReaper reaper_;
  std::unique_ptr<StoreWalk> walk_;
  StoreMeta meta_;
  uint64_t slab_id_ = 100;
  const MonoTime start_ = MonoTime() + std::chrono::hours(100);
};

TEST_F(StoreWalkTest, TheFirstFillsThePresenceTableAndFindsOrphans) {
  PutHead("a", 1, 0);
  PutHead("b", 2, 0);
  for (const uint64_t id : {1, 2, 3, 4, 9}) PutChunkOf(id);
  reaper_.Add(4, 0);
  walk_->BeginFirst(/*first_new_id=*/9);
  EXPECT_TRUE(walk_->first());
  EXPECT_FALSE(walk_->Counted(KeyOf("a")));
  EXPECT_EQ(FinishWalk(), "");
  EXPECT_TRUE(walk_->Counted(KeyOf("a")));
  EXPECT_TRUE(parts_->presence.complete());
  EXPECT_TRUE(parts_->presence.MayContain(KeyOf("a")));
  EXPECT_TRUE(parts_->presence.MayContain(KeyOf("b")));
  EXPECT_FALSE(parts_->presence.MayContain(KeyOf("c")));
  EXPECT_EQ(parts_->counters.orphans_swept, 1u) << "3; 4 is known, 9 is of this run";
  EXPECT_TRUE(reaper_.Knows(3));
}

TEST_F(StoreWalkTest, HardPurgedHeadsAreRemovedAndFillsUnderWayAreNotRefusedForIt) {
  walk_->SetDone();
  PutHead("gone", 1, 0);
  PutHead("kept", 2, 1);
  parts_->purges.Apply({1}, /*soft=*/false);
  walk_->MaybeBeginReclaim(start_);
  EXPECT_TRUE(walk_->active());
  EXPECT_FALSE(walk_->first());
  EXPECT_EQ(FinishWalk(), "1 ");
  Head fill;
  fill.scopes = {2};
  EXPECT_TRUE(parts_->purges.MayStore(fill));
  EXPECT_EQ(parts_->purges.scopes(), 1u) << "the fill may be of scope 1";
  walk_->MaybeBeginReclaim(start_ + std::chrono::minutes(30));
  EXPECT_FALSE(walk_->active()) << "no purge is new, none is old";
}

TEST_F(StoreWalkTest, MarksThatConcernNothingAreDroppedWhenNoFillIsAsOld) {
  walk_->SetDone();
  parts_->purges.Apply({1}, /*soft=*/false);
  parts_->purges.Apply({2}, /*soft=*/true);
  walk_->MaybeBeginReclaim(start_);
  FinishWalk();
  EXPECT_EQ(parts_->purges.scopes(), 2u);
  walk_->MaybeBeginReclaim(start_ + std::chrono::minutes(61));
  EXPECT_TRUE(walk_->active());
  FinishWalk();
  EXPECT_EQ(parts_->purges.scopes(), 0u);
  Head fill;
  EXPECT_FALSE(parts_->purges.MayStore(fill)) << "it began over an hour ago";
}

TEST_F(StoreWalkTest, MarksThatStaleHeadsAreUnderStay) {
  walk_->SetDone();
  PutHead("stale", 1, 1);
  parts_->purges.Apply({7}, /*soft=*/true);
  parts_->purges.Apply({1}, /*soft=*/true);
  walk_->MaybeBeginReclaim(start_);
  FinishWalk();
  walk_->MaybeBeginReclaim(start_ + std::chrono::minutes(61));
  FinishWalk();
  EXPECT_EQ(parts_->purges.scopes(), 1u);
  Head head;
  head.scopes = {1};
  head.purge_sequence = 1;
  EXPECT_EQ(parts_->purges.Judge(head), Validity::kStale);
}

TEST_F(StoreWalkTest, MarksStayWhileRemovalsOrAcceptedHeadsAreNotDone) {
  PutHead("gone", 1, 0);
  parts_->purges.Apply({1}, /*soft=*/false);
  walk_->BeginFirst(100);
  const Ticket ticket = parts_->queue.PushRemoval({.key = KeyOf("x")});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(walk_->Step());
  EXPECT_EQ(parts_->purges.scopes(), 1u) << "the head is still there";
  const auto removals = walk_->TakeRemovals(100);
  ASSERT_EQ(removals.size(), 1u);
  ASSERT_TRUE(walk_->Step());
  EXPECT_EQ(parts_->purges.scopes(), 1u) << "an operation from before is not done";
  walk_->ReturnRemovals(removals);
  walk_->NoteFinished(ticket);
  ASSERT_TRUE(walk_->Step());
  EXPECT_EQ(parts_->purges.scopes(), 1u) << "the removal failed and was given back";
  walk_->TakeRemovals(100);
  ASSERT_TRUE(walk_->Step());
  EXPECT_EQ(parts_->purges.scopes(), 0u);
  EXPECT_FALSE(walk_->active());
}

}  // namespace
}  // namespace nearside::storage
