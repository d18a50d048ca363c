// A disk with no room to spare: popular objects without end, bodies that want the place of heads,
// and readers of other processes that keep what was freed. What is stored stays, what finds no room
// is refused and counted, and everything else goes on.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <random>
#include <thread>

#include "tests/storage/store_fault_fixture.h"

namespace nearside::storage {
namespace {

using testing::AnyOf;

// ---- Eviction

/// A thread that asks for every object again and again.
class Asker {
 public:
  Asker(CacheStore& store, std::vector<Key256> keys)
      : store_(store), keys_(std::move(keys)), thread_([this] { Run(); }) {}
  ~Asker() {
    stop_ = true;
    thread_.join();
  }
  Asker(const Asker&) = delete;
  Asker& operator=(const Asker&) = delete;
  /// So many of the keys have been put.
  void Know(size_t count) { known_ = count; }

 private:
  void Run() {
    while (!stop_) {
      const size_t known = known_;
      for (size_t i = 0; i < known && !stop_; ++i) store_.Find(keys_[i]);
      std::this_thread::yield();
    }
  }
  CacheStore& store_;
  const std::vector<Key256> keys_;
  std::atomic<size_t> known_{0};
  std::atomic<bool> stop_{false};
  std::thread thread_;
};

struct HotCase {
  ByteSize disk;
  size_t bytes;
  int objects;
};

class HotObjectsTest : public StoreInTrouble, public testing::WithParamInterface<HotCase> {
 protected:
  HotObjectsTest() : StoreInTrouble(GetParam().disk) { options_.memory = GetParam().disk; }
};

/// Everything has been asked for when it is its turn to go, so that eviction gives second chances
/// without end, each of them a write.
TEST_P(HotObjectsTest, AreEvictedWithoutEverRefusingAnother) {
  const HotCase& hot = GetParam();
  std::vector<Key256> keys;
  for (int i = 0; i < hot.objects; ++i) keys.push_back(KeyOf(std::to_string(i)));
  Open();
  {
    Asker asker(*store_, keys);
    for (int i = 0; i < hot.objects; ++i) {
      ASSERT_NE(PutOne(std::to_string(i), hot.bytes), nullptr) << i;
      asker.Know(static_cast<size_t>(i) + 1);
      if (i % kPutsPerFlush != 0) continue;
      store_->Flush();
      ASSERT_FALSE(store_->Stats().pass_through) << i;
    }
    store_->Flush();
  }
  const CacheStats stats = store_->Stats();
  EXPECT_EQ(stats.write_errors, 0u);
  EXPECT_EQ(stats.not_stored, 0u);
  EXPECT_GT(stats.evicted_disk, 0u);
  EXPECT_LE(stats.disk_bytes, options_.disk.bytes);
  EXPECT_GT(stats.disk_bytes, options_.disk.bytes / 4) << "and not more than has to go";
  EXPECT_EQ(Asked(std::to_string(hot.objects - 1), hot.bytes), "body");
}

INSTANTIATE_TEST_SUITE_P(Disks, HotObjectsTest,
                         testing::Values(HotCase{16_MiB, 600, 12'000},
                                         HotCase{16_MiB, 1500, 12'000},
                                         HotCase{64_MiB, 600, 40'000},
                                         HotCase{64_MiB, 1500, 40'000}),
                         [](const testing::TestParamInfo<HotCase>& each) {
                           return "Of" + std::to_string(each.param.bytes) + "BytesOn" +
                                  std::to_string(each.param.disk.bytes >> 20) + "MiB";
                         });

class RoomForBodiesTest : public StoreInTrouble {
 protected:
  static constexpr int kLarge = 900;  // some five hundred fit
  /// Each is stored and served.
  void PutLarge() {
    for (int i = 0; i < kLarge; ++i) {
      const std::string name = "large" + std::to_string(i);
      ASSERT_NE(PutOne(name, 100'000), nullptr) << i;
      if (i % 5 != 4) continue;
      store_->Flush();
      const CacheStats stats = store_->Stats();
      ASSERT_EQ(stats.write_errors, 0u) << i;
      ASSERT_EQ(stats.not_stored, 0u) << i;
      ASSERT_FALSE(stats.pass_through) << i;
      ASSERT_EQ(Asked(name, 100'000), "body") << i;
    }
  }
};

/// A small body inside its head gives nothing back to the map of chunks.
TEST_F(RoomForBodiesTest, IsMadeByEvictingBodiesThatLieThere) {
  constexpr int kSmall = 4000;  // heads that are less than half full take all of them
  Open();
  ASSERT_EQ(PutMany("small", kSmall, 600), 0);
  ASSERT_NO_FATAL_FAILURE(PutLarge());
  Reopen();
  EXPECT_GE(CountOf("body", "small", kSmall, 600), kSmall * 8 / 10);
  EXPECT_GE(CountOf("body", "large", kLarge, 100'000), 300);
}

/// Half of these lie in slabs: what each gives back is little, and comes back with its whole slab.
TEST_F(RoomForBodiesTest, IsMadeAlsoWhereSmallBodiesLieThere) {
  constexpr int kSmall = 10'000;
  Open();
  ASSERT_EQ(PutMany("small", kSmall, 600), 0);
  ASSERT_NO_FATAL_FAILURE(PutLarge());
  Reopen();
  EXPECT_GE(CountOf("body", "small", kSmall, 600), kSmall / 3) << "those that lie in heads";
  EXPECT_GE(CountOf("body", "large", kLarge, 100'000), 300);
}

/// Two of three bodies in every slab go. What that leaves is room for others: none has to be
/// evicted for them.
TEST_F(RoomForBodiesTest, IsMadeByEmptyingSlabsOfWhichLittleLives) {
  constexpr int kOld = 1200;  // of 51 MiB of chunks they take 34
  constexpr int kNew = 800;   // and these 23
  constexpr size_t kBytes = 30'000;
  Open();
  ASSERT_EQ(PutMany("old", kOld, kBytes), 0);
  for (int i = 0; i < kOld; ++i) {
    if (i % 3 != 0) store_->Remove(KeyOf("old" + std::to_string(i)));
  }
  ASSERT_TRUE(WaitUntil([](const CacheStats& stats) { return stats.disk_objects == kOld / 3; }));
  EXPECT_GT(store_->Stats().slab_dead_bytes, kOld / 2 * kBytes);
  ASSERT_EQ(PutMany("new", kNew, kBytes), 0);
  const CacheStats stats = store_->Stats();
  EXPECT_EQ(stats.write_errors, 0u);
  EXPECT_EQ(stats.evicted_disk, 0u);
  EXPECT_LT(stats.slab_dead_bytes, kOld / 3 * kBytes);
  Reopen();
  EXPECT_EQ(CountOf("body", "old", kOld, kBytes), kOld / 3);
  EXPECT_EQ(CountOf("body", "new", kNew, kBytes), kNew);
}

/// The map is full of slabs that are dead in part when large bodies come as fast as they are taken:
/// each has to push out thousands, and emptying slabs must not take the room it is to make.
TEST_F(RoomForBodiesTest, IsMadeForLargeBodiesByThousandsOfSmallOnes) {
  constexpr size_t kBytes = 2150;  // too long for heads
  constexpr int kLargeBodies = 30;
  options_.write_queue = 64_MiB;
  Open();
  int small = 0;
  while (store_->Stats().evicted_disk == 0) {
    for (int last = small + 200; small < last; ++small) {
      ASSERT_NE(PutOne(std::to_string(small), kBytes), nullptr) << small;
    }
    store_->Flush();
  }
  std::mt19937_64 random(3);
  for (int i = 0; i < small; ++i) {
    if (random() % 100 < 30) store_->Remove(KeyOf(std::to_string(i)));
  }
  store_->Flush();
  for (int i = 0; i < kLargeBodies; ++i) {
    ASSERT_NE(PutOne("large" + std::to_string(i), 4 << 20), nullptr) << i;
    while (store_->Stats().write_queue_bytes > (16 << 20)) std::this_thread::yield();
  }
  store_->Flush();
  const CacheStats stats = store_->Stats();
  EXPECT_EQ(stats.write_errors, 0u);
  EXPECT_EQ(stats.not_stored, 0u);
  EXPECT_FALSE(stats.pass_through);
  Reopen();
  EXPECT_GE(CountOf("body", "large", kLargeBodies, 4 << 20), 9);
}

// ---- Another process keeps a snapshot of the heads

class HeadsPinnedTest : public StoreInTrouble {
 protected:
  static constexpr int kBefore = 2000;
  static constexpr int kDue = 480;
  /// One of them becomes due every quarter of a second.
  void PutDue() {
    for (int i = 0; i < kDue; ++i) {
      PutUntil("due" + std::to_string(i), 500, WallNow() + seconds(1) + milliseconds(250) * i);
    }
    store_->Flush();
  }
  uint64_t Refused() const {
    const CacheStats stats = store_->Stats();
    return stats.not_stored + stats.write_errors;
  }
  /// Until new heads find no room, and for a while longer.
  void FillUp() {
    constexpr int kMost = 20'000;
    constexpr int kLonger = 200;
    int refused_at = kMost;
    for (int i = 0; i < std::min(kMost, refused_at + kLonger); ++i) {
      PutOne("meanwhile" + std::to_string(i), 1000);
      if (i % kPutsPerFlush == 0) store_->Flush();
      ASSERT_FALSE(store_->Stats().pass_through) << i << ": it is no failure of the disk";
      if (refused_at == kMost && Refused() > 0) refused_at = i;
    }
  }
};

TEST_F(HeadsPinnedTest, NewHeadsAreRefusedButExpiryAndPurgesGoOn) {
  Open();
  ASSERT_EQ(PutMany("before", kBefore, 1000), 0);
  PutDue();
  ForeignReader reader(In("heads.mdb"));
  ASSERT_NO_FATAL_FAILURE(FillUp());
  EXPECT_TRUE(store_->Stats().heads_held);
  EXPECT_EQ(PutOne("refused", 1000), nullptr);
  const uint64_t expired = store_->Stats().expired;
  EXPECT_TRUE(WaitUntil([&](const CacheStats& stats) { return stats.expired > expired; }));
  TestExecutor executor;
  bool durable = false;
  store_->Purge({77}, /*soft=*/false, LogPosition{1, 5}, &executor, [&] { durable = true; });
  EXPECT_TRUE(executor.RunOne());
  EXPECT_TRUE(durable);
  EXPECT_EQ(store_->log_position(), (LogPosition{1, 5}));
  store_->Remove(KeyOf("before0"));
  store_->Flush();
  EXPECT_EQ(Asked("before0", 1000), "miss");
  EXPECT_FALSE(store_->Stats().pass_through);

  reader.End();
  EXPECT_TRUE(FlushUntil(*store_, [&] {
    PutOne("after", 1000);
    store_->Flush();
    return store_->Find(KeyOf("after")) != nullptr;
  })) << "all is as before once it has gone";
  EXPECT_FALSE(store_->Stats().heads_held);
  Reopen();
  EXPECT_EQ(Asked("after", 1000), "body");
  EXPECT_EQ(Asked("before0", 1000), "miss");
  EXPECT_EQ(store_->log_position(), (LogPosition{1, 5}));
  EXPECT_GT(CountOf("body", "before", kBefore, 1000), kBefore / 2) << "what was stored stayed";
}

// ---- Another process keeps a snapshot of the chunks

class ChunksPinnedTest : public StoreInTrouble {
 protected:
  static constexpr int kBefore = 60;
  ChunksPinnedTest() : StoreInTrouble(16_MiB) {}
  void OpenAndPin() {
    Open();
    ASSERT_EQ(PutMany("before", kBefore, 100'000), 0);
    reader_ = std::make_unique<ForeignReader>(In("chunks.mdb"));
  }
  /// Thirty megabytes through a map of twelve: every page that is freed stays pinned.
  void Overfill() {
    PutMany("meanwhile", 300, 100'000);
    EXPECT_GT(store_->Stats().write_errors + NotStoredFor(NotStored::kDiskFull), 0u);
    EXPECT_FALSE(store_->Stats().pass_through) << "it is no failure of the disk";
  }
  /// False when object after object is accepted.
  bool PutUntilRefused() {
    constexpr int kMost = 2000;
    for (int i = 0; i < kMost; ++i) {
      if (PutOne("refused" + std::to_string(i), 3000) == nullptr) return true;
      if (i % kPutsPerFlush == 0) store_->Flush();
    }
    return false;
  }
  /// Whether the store's destructor comes to its end; lets the reader go when it does not.
  bool Closes() {
    constexpr seconds kPatience{20};
    std::future<void> closed = std::async(std::launch::async, [this] { store_.reset(); });
    const bool closes = closed.wait_for(kPatience) == std::future_status::ready;
    if (!closes) reader_->End();
    closed.get();
    return closes;
  }
  std::unique_ptr<ForeignReader> reader_;
};

TEST_F(ChunksPinnedTest, TheStoreClosesWhileThereIsNoRoom) {
  ASSERT_NO_FATAL_FAILURE(OpenAndPin());
  Overfill();
  PutMany("small", 1000, 3000);
  EXPECT_TRUE(Closes());
  reader_->End();
  Open();
  EXPECT_THAT(Asked("meanwhile0", 100'000), AnyOf("body", "miss"));
  EXPECT_EQ(CountOf("body", "meanwhile", 300, 100'000) + CountOf("miss", "meanwhile", 300, 100'000),
            300);
  ASSERT_NE(PutOne("after", 100'000), nullptr);
  Reopen();
  EXPECT_EQ(Asked("after", 100'000), "body");
}

TEST_F(ChunksPinnedTest, FillsAreRefusedAtOnceCountedAndCostNoMemory) {
  constexpr int kFills = 100'000;
  constexpr int kFillsPerFlush = 500;
  ASSERT_NO_FATAL_FAILURE(OpenAndPin());
  Overfill();
  const uint64_t refused = NotStoredFor(NotStored::kDiskFull);
  ASSERT_TRUE(PutUntilRefused()) << "what cannot be stored is said to be stored";
  EXPECT_GT(NotStoredFor(NotStored::kDiskFull), refused);
  const uint64_t stored = store_->Stats().stored;
  const uint64_t bytes = AnonymousBytes();
  for (int i = 0; i < kFills; ++i) {
    PutOne("fill" + std::to_string(i), 3000);
    if (i % kFillsPerFlush == 0) store_->Flush();
  }
  EXPECT_LT(store_->Stats().stored - stored, kFills / 10u) << "a few may try whether there is room";
  if (!kSanitized) {
    EXPECT_LT(AnonymousBytes(), bytes + (20 << 20));
  }
  EXPECT_FALSE(store_->Stats().pass_through);

  reader_->End();
  EXPECT_TRUE(FlushUntil(*store_, [&] {
    PutOne("after", 100'000);
    store_->Flush();
    return Asked("after", 100'000) == "body";
  })) << "all is as before once it has gone";
  EXPECT_FALSE(store_->Stats().heads_held);
  Reopen();
  EXPECT_EQ(Asked("after", 100'000), "body");
}

}  // namespace
}  // namespace nearside::storage
