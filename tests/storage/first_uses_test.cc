// A store that writes what is asked for a second time (CacheOptions::disk_min_uses). That it keeps
// the contract of any other cache_store_test.cc tells.

#include "storage/first_uses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

#include "storage/object_writer.h"
#include "tests/storage/expected_states.h"
#include "tests/storage/lmdb_store_fixture.h"

namespace nearside::storage {
namespace {

class FirstUsesTest : public LmdbStoreFixture {
 protected:
  FirstUsesTest() {
    options_.disk_min_uses = 2;
    Reopen();
  }
  /// Until the walk at start has ended everything may be on disk, so that all goes there.
  void Reopen() {
    LmdbStoreFixture::Reopen();
    EXPECT_TRUE(FinishWalk());
  }
  uint64_t OnDisk() {
    store_->Flush();
    store_->Flush();  // a head goes in with the batch after its chunks
    return store_->Stats().disk_objects;
  }
};

TEST_F(FirstUsesTest, AnObjectGoesToDiskWhenItIsAskedForASecondTime) {
  for (const size_t size : {size_t{0}, size_t{1}, kInlineBody, kInlineBody + 1, kChunkBytes}) {
    const std::string name = std::to_string(size);
    const HeadRef head = PutOne(name, size);
    ASSERT_NE(head, nullptr);
    EXPECT_TRUE(head->unwritten);
    EXPECT_EQ(OnDisk(), 0u) << size;
    EXPECT_FALSE(store_->MayBeOnDisk(KeyOf(name)));
    EXPECT_TRUE(store_->MayHold(KeyOf(name)));
    EXPECT_EQ(store_->Stats().write_queue_bytes, 0u);
    EXPECT_EQ(store_->Find(KeyOf(name)), head);
    EXPECT_TRUE(store_->MayBeOnDisk(KeyOf(name)));
    EXPECT_EQ(OnDisk(), 1u) << size;
    EXPECT_EQ(Asked(name, size), "body");
    EXPECT_EQ(OnDisk(), 1u) << "once";
    Reopen();
    EXPECT_EQ(Asked(name, size), "body") << size;
    store_->Remove(KeyOf(name));
    EXPECT_EQ(OnDisk(), 0u);
  }
}

TEST_F(FirstUsesTest, WhatIsAskedForOnceIsGoneAfterAReopening) {
  PutOne("a", 10'000);
  EXPECT_EQ(store_->Stats().unwritten, 1u);
  EXPECT_EQ(store_->Stats().written_later, 0u);
  Reopen();
  EXPECT_EQ(Asked("a", 10'000), "miss");
}

TEST_F(FirstUsesTest, WhatIsFetchedAgainGoesToDiskAtOnce) {
  PutOne("a", 10'000);
  for (int i = 0; i < 500; ++i) PutOne(std::to_string(i), 20'000);
  EXPECT_EQ(Asked("a", 10'000), "miss") << "RAM has evicted it";
  EXPECT_EQ(OnDisk(), 0u);
  const HeadRef head = PutOne("a", 10'000);
  EXPECT_FALSE(head->unwritten);
  EXPECT_EQ(OnDisk(), 1u);
  EXPECT_LE(store_->Stats().memory_bytes, options_.memory.bytes);
}

TEST_F(FirstUsesTest, WhatTakesThePlaceOfAnObjectOnDiskGoesThereAtOnce) {
  PutOne("a", 10'000);
  ASSERT_NE(store_->Find(KeyOf("a")), nullptr);
  ASSERT_EQ(OnDisk(), 1u);
  const HeadRef second = Put(*store_, "a", BodyOf("other", 10'000));
  EXPECT_FALSE(second->unwritten);
  Reopen();
  EXPECT_EQ(Ask(*store_, "a", BodyOf("other", 10'000)), "body");
}

TEST_F(FirstUsesTest, LargeObjectsAndThoseThatSomethingReliesOnGoToDiskAtOnce) {
  PutOne("large", kChunkBytes + 1);
  auto writer = store_->Begin(10'000);
  writer->WriteAtOnce();
  for (ChunkRef& chunk : ChunksOf(BodyOf("small", 10'000))) writer->Append(std::move(chunk));
  ASSERT_NE(writer->Commit(HeadOf("small", *store_)), nullptr);
  EXPECT_EQ(OnDisk(), 2u);
  EXPECT_EQ(store_->Stats().unwritten, 0u);
  Reopen();
  EXPECT_EQ(Asked("large", kChunkBytes + 1), "body");
  EXPECT_EQ(Asked("small", 10'000), "body");
}

TEST_F(FirstUsesTest, AFreshenedObjectGoesToDiskWithItsBody) {
  for (const size_t size : {size_t{0}, size_t{100}, size_t{50'000}}) {
    const std::string name = std::to_string(size);
    const HeadRef old = PutOne(name, size);
    Head head = HeadOf(name, *store_);
    head.stored_at = FromUnixMillis(1234);
    const HeadRef fresh = store_->Refresh(old, std::move(head));
    ASSERT_NE(fresh, nullptr);
    EXPECT_FALSE(fresh->unwritten);
    EXPECT_EQ(store_->Refresh(old, HeadOf(name, *store_)), nullptr) << "it has been replaced";
  }
  EXPECT_EQ(OnDisk(), 3u);
  Reopen();
  for (const size_t size : {size_t{0}, size_t{100}, size_t{50'000}}) {
    EXPECT_EQ(Asked(std::to_string(size), size), "body") << size;
    EXPECT_EQ(store_->Find(KeyOf(std::to_string(size)))->head.stored_at, FromUnixMillis(1234));
  }
}

TEST_F(FirstUsesTest, APinWritesIt) {
  PutOne("a", 10'000);
  TestExecutor executor;
  PinOutcome outcome = PinOutcome::kAbsent;
  store_->Pin(KeyOf("a"), executor, [&](PinOutcome answer) { outcome = answer; });
  ASSERT_TRUE(executor.RunOne());
  EXPECT_EQ(outcome, PinOutcome::kPinned);
  Reopen();
  EXPECT_EQ(Asked("a", 10'000), "body");
}

TEST_F(FirstUsesTest, RemovedAndPurgedItIsGoneAndComesBackWhenItIsFetched) {
  PutOne("removed", 10'000);
  store_->Remove(KeyOf("removed"));
  EXPECT_EQ(Asked("removed", 10'000), "miss");
  Put(*store_, "purged", BodyOf("purged", 10'000), {5});
  store_->Purge({5}, /*soft=*/false, std::nullopt, nullptr, nullptr);
  EXPECT_EQ(Asked("purged", 10'000), "miss");
  Put(*store_, "stale", BodyOf("stale", 10'000), {6});
  store_->Purge({6}, /*soft=*/true, std::nullopt, nullptr, nullptr);
  EXPECT_EQ(Asked("stale", 10'000), "stale body");
  for (const char* name : {"removed", "purged"}) {
    PutOne(name, 10'000);
    EXPECT_EQ(Asked(name, 10'000), "body") << name;
  }
  EXPECT_EQ(OnDisk(), 3u);
  Reopen();
  EXPECT_EQ(Asked("removed", 10'000), "body");
  EXPECT_EQ(Asked("purged", 10'000), "body");
  EXPECT_EQ(Asked("stale", 10'000), "stale body");
}

TEST_F(FirstUsesTest, WhatHasExpiredIsNotFound) {
  auto writer = store_->Begin(10'000);
  for (ChunkRef& chunk : ChunksOf(BodyOf("a", 10'000))) writer->Append(std::move(chunk));
  Head head = HeadOf("a", *store_);
  head.drop_at = WallNow() - milliseconds(1);
  ASSERT_NE(writer->Commit(std::move(head)), nullptr);
  EXPECT_EQ(store_->Find(KeyOf("a")), nullptr);
  EXPECT_FALSE(store_->MayHold(KeyOf("a")));
  EXPECT_EQ(store_->Stats().written_later, 0u);
}

/// Of any history an older version never comes back, nor what was purged.
TEST_F(FirstUsesTest, AfterAnyHistoryWhatIsThereIsTheNewest) {
  constexpr uint64_t kOperations = 400;
  uint64_t kept = 0;
  States states = NothingStored(0);
  for (uint64_t seed = 1; seed <= 12; ++seed) {
    const KillScript script{.seed = seed, .lane = 0};
    std::mt19937_64 random(seed);
    for (uint64_t number = 1; number <= kOperations; ++number) {
      DoKillOperation(*store_, script, number);
      if (random() % 2 == 0) (void)store_->Find(KeyOf(KillName(0, random() % kKillNames)));
      if (random() % 40 == 0) store_->Flush();
    }
    if (seed % 2 == 0) Reopen();
    const AllowedStates allowed =
        StatesAfter(states, script, {.durable = kOperations, .begun = kOperations});
    ASSERT_EQ(TroubleWith(*store_, allowed, /*may_evict=*/true, states), "") << seed;
    for (const auto& [name, state] : states) kept += state != "miss" ? 1 : 0;
  }
  EXPECT_GT(kept, 12 * kKillNames / 4);
  EXPECT_GT(store_->Stats().disk_objects, 0u);
}

// ---- Without a writer thread: what would be pushed waits in the queue

class UnwrittenTest : public testing::Test {
 protected:
  UnwrittenTest() { parts_.presence.SetComplete(true); }
  static CacheOptions Options() {
    CacheOptions options;
    options.disk = 64_MiB;
    options.memory = 4_MiB;
    options.write_queue = 1_MiB;
    options.disk_min_uses = 2;
    return options;
  }
  HeadRef PutOne(std::string_view name, size_t bytes, bool at_once = false) {
    LmdbObjectWriter writer(parts_);
    if (at_once) writer.WriteAtOnce();
    for (ChunkRef& chunk : ChunksOf(BodyOf(name, bytes))) writer.Append(std::move(chunk));
    Head head;
    head.key = KeyOf(name);
    head.drop_at = WallNow() + std::chrono::hours(1);
    head.purge_sequence = parts_.purges.sequence();
    head.scopes = {7};
    return writer.Commit(std::move(head));
  }
  /// As StoreWalk does when a pass has found nothing under the marks.
  void DropMarks() {
    const uint64_t floor = parts_.purges.sequence();
    parts_.purges.RefuseBefore(floor);
    parts_.purges.Drop(floor);
  }

  StoreParts parts_{Options(), DecodeTestPayload,
                    WriteQueue::Limits{.chunk_bytes = 1000, .chunks = 4, .heads = 3}, 1000};
};

TEST_F(UnwrittenTest, AHeldHeadThatWasPurgedStaysGoneWhoeverWantsItWritten) {
  const HeadRef head = PutOne("a", 10'000);
  ASSERT_TRUE(head->unwritten);
  parts_.purges.Apply({7}, /*soft=*/false);
  DropMarks();
  EXPECT_EQ(parts_.purges.Check(*head), Validity::kGone);
  WriteUnwritten(parts_, head);  // a pin comes without a look at it
  EXPECT_EQ(parts_.purges.Check(*head), Validity::kGone);
  EXPECT_EQ(parts_.queue.length(), 0u);
  EXPECT_FALSE(parts_.presence.MayContain(KeyOf("a")));
}

TEST_F(UnwrittenTest, AValidHeadThatIsTooOldToBeWrittenStaysInMemory) {
  const HeadRef head = PutOne("a", 10'000);
  parts_.purges.Apply({8}, /*soft=*/false);  // of something else
  EXPECT_EQ(parts_.purges.Check(*head), Validity::kValid);
  DropMarks();
  WriteUnwritten(parts_, head);
  EXPECT_EQ(parts_.ram.PeekHead(KeyOf("a")), head);
  EXPECT_TRUE(head->unwritten);
  EXPECT_EQ(parts_.queue.length(), 0u);
  EXPECT_EQ(parts_.counters.written_later, 0u);
}

TEST_F(UnwrittenTest, WhereChunksAreHeldWhatNeedsOneIsRefusedAndNothingLost) {
  const HeadRef unwritten = PutOne("unwritten", 60'000);
  const HeadRef small = PutOne("small", 100);
  parts_.chunks_held = true;
  EXPECT_EQ(PutOne("a", 60'000, /*at_once=*/true), nullptr);
  EXPECT_EQ(parts_.counters.not_stored[static_cast<size_t>(NotStored::kDiskFull)], 1u);
  WriteUnwritten(parts_, unwritten);
  EXPECT_TRUE(unwritten->unwritten);
  EXPECT_EQ(parts_.ram.PeekHead(KeyOf("unwritten")), unwritten);
  WriteUnwritten(parts_, small);
  EXPECT_FALSE(small->unwritten) << "it lies in its head";
  parts_.chunks_held = false;
  WriteUnwritten(parts_, unwritten);
  EXPECT_FALSE(unwritten->unwritten);
  WriteUnwritten(parts_, unwritten);
  EXPECT_EQ(parts_.counters.written_later, 2u) << "each once";
}

TEST_F(UnwrittenTest, WhileTheQueueIsFullItStaysAndIsWrittenLater) {
  const HeadRef head = PutOne("a", 60'000);
  int taken = 0;
  while (PutOne("filling" + std::to_string(taken), 60'000, /*at_once=*/true)) ++taken;
  ASSERT_GT(taken, 10);
  WriteUnwritten(parts_, head);
  EXPECT_TRUE(head->unwritten);
  EXPECT_EQ(parts_.ram.PeekHead(KeyOf("a")), head);
  EXPECT_FALSE(parts_.presence.MayContain(KeyOf("a")));
  parts_.queue.FinishChunks(parts_.queue.Take(MonoNow()).chunks);
  WriteUnwritten(parts_, head);
  EXPECT_FALSE(head->unwritten);
}

TEST_F(UnwrittenTest, WhereTheDiskTakesNothingItStays) {
  const HeadRef head = PutOne("a", 10'000);
  for (std::atomic<bool>* state : {&parts_.pass_through, &parts_.heads_held}) {
    *state = true;
    WriteUnwritten(parts_, head);
    EXPECT_TRUE(head->unwritten);
    *state = false;
  }
  WriteUnwritten(parts_, head);
  EXPECT_FALSE(head->unwritten);
  EXPECT_EQ(parts_.ram.PeekHead(KeyOf("a")), head);
}

TEST(FirstUsesTableTest, RemembersKeysForAWhileAndTakesItsRoomFromMemory) {
  CacheOptions options;
  options.disk = 64_MiB;
  options.memory = 64_MiB;
  options.disk_min_uses = 2;
  RamTier ram(options.memory);
  FirstUses uses(options, ram);
  EXPECT_EQ(ram.bytes(), 4096 * 8u) << "64 MiB of objects of 16 KiB";
  EXPECT_FALSE(uses.WritesNow(KeyOf("a")));
  EXPECT_TRUE(uses.WritesNow(KeyOf("a")));
  EXPECT_FALSE(uses.WritesNow(KeyOf("a"))) << "as one that is new";
  for (int i = 0; i < 20'000; ++i) uses.WritesNow(KeyOf(std::to_string(i)));
  EXPECT_FALSE(uses.WritesNow(KeyOf("a"))) << "it was too long ago";

  options.memory = 1_MiB;
  RamTier small(options.memory);
  const FirstUses few(options, small);
  EXPECT_LE(small.bytes(), options.memory.bytes / 32);

  options.disk_min_uses = 1;
  RamTier none(options.memory);
  FirstUses all(options, none);
  EXPECT_EQ(none.bytes(), 0u);
  EXPECT_TRUE(all.WritesNow(KeyOf("a")));
}

}  // namespace
}  // namespace nearside::storage
