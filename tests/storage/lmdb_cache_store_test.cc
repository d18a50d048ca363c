// What only the store with a disk does: eviction, damage, cold reads, a full disk, being opened
// twice.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "storage/lmdb_env.h"
#include "storage/store_disk.h"
#include "tests/storage/lmdb_store_fixture.h"

namespace nearside::storage {
namespace {

class LmdbCacheStoreTest : public LmdbStoreFixture {};

// ---- Opening

TEST_F(LmdbCacheStoreTest, ASecondOpenOfTheSameFolderIsRefused) {
  Open();
  EXPECT_EQ(OpenError(), "operator in_use");
  store_.reset();
  EXPECT_EQ(OpenError(), "opened");
}

TEST_F(LmdbCacheStoreTest, AFolderThatCannotBeMadeIsTheOperatorsFault) {
  options_.path = folder_.Write("file", "x") + "/cache";
  EXPECT_EQ(OpenError(), "operator folder_unwritable");
}

TEST_F(LmdbCacheStoreTest, ADiskLimitBelowTheLeastIsRefused) {
  options_.disk = 15_MiB;
  EXPECT_EQ(OpenError(), "operator disk_too_small");
}

TEST_F(LmdbCacheStoreTest, TheDiskIsReservedAtStart) {
  Open();
  const auto bytes =
      std::filesystem::file_size(In("heads.mdb")) + std::filesystem::file_size(In("chunks.mdb"));
  EXPECT_GT(bytes, options_.disk.bytes - (256 << 10));
  EXPECT_LE(bytes, options_.disk.bytes);
}

TEST_F(LmdbCacheStoreTest, GarbageFilesAreMovedAsideAndTheStoreStartsEmpty) {
  for (const char* file : {"heads.mdb", "chunks.mdb"}) {
    Open();
    PutOne("a", 100'000);
    store_.reset();
    std::ofstream(In(file), std::ios::trunc) << std::string(200'000, 'g');
    Open();
    ASSERT_NE(store_, nullptr) << file;
    EXPECT_EQ(Asked("a", 100'000), "miss");
    ASSERT_NE(PutOne("b", 100'000), nullptr);
    store_->Flush();
    EXPECT_EQ(Asked("b", 100'000), "body");
    store_.reset();
  }
  EXPECT_FALSE(std::filesystem::exists(In("heads.mdb.broken-1"))) << "the newest alone is kept";
  EXPECT_TRUE(std::filesystem::exists(In("heads.mdb.broken-2")));
  EXPECT_TRUE(std::filesystem::exists(In("chunks.mdb.broken-2")));
}

TEST_F(LmdbCacheStoreTest, WhatWasMovedAsideStaysWhenBeginningAnewFails) {
  auto disk = StoreDisk::Open({.path = options_.path, .disk = options_.disk}).value();
  const auto size = std::filesystem::file_size(In("chunks.mdb"));
  // A folder in the place of the lock file that LMDB makes: nothing can be opened.
  const auto block = [&] { std::filesystem::create_directories(In("chunks.mdb-lock/x")); };
  std::filesystem::remove(In("chunks.mdb-lock"));
  block();
  for (int i = 0; i < 3; ++i) {
    EXPECT_FALSE(disk->StartOver("the test says so")) << i;
    EXPECT_FALSE(disk->is_open());
  }
  EXPECT_EQ(std::filesystem::file_size(In("chunks.mdb.broken-1")), size);
  EXPECT_TRUE(std::filesystem::exists(In("heads.mdb.broken-1")));
  EXPECT_FALSE(std::filesystem::exists(In("heads.mdb.broken-2")));
  std::filesystem::remove_all(In("chunks.mdb-lock"));
  EXPECT_TRUE(disk->StartOver("the test says so"));
  EXPECT_TRUE(disk->StartOver("the test says so"));
  EXPECT_TRUE(std::filesystem::exists(In("heads.mdb.broken-2"))) << "this one was in use";
}

TEST_F(LmdbCacheStoreTest, ReopeningTheDiskKeepsItsContent) {
  Open();
  for (int i = 0; i < 10; ++i) PutOne(std::to_string(i), 100'000);
  store_.reset();
  {
    auto disk = StoreDisk::Open({.path = options_.path, .disk = options_.disk}).value();
    ASSERT_EQ(disk->stored_heads(), 10u);
    const StoreMeta before = disk->meta();
    ASSERT_TRUE(disk->Reopen());
    EXPECT_EQ(disk->stored_heads(), 10u);
    EXPECT_EQ(disk->meta().store_id, before.store_id);
    EXPECT_EQ(disk->meta().next_id, before.next_id);
    // While it cannot be opened it is closed, and comes back.
    std::filesystem::remove(In("heads.mdb-lock"));
    std::filesystem::create_directories(In("heads.mdb-lock/x"));
    EXPECT_FALSE(disk->Reopen());
    EXPECT_FALSE(disk->is_open());
    std::filesystem::remove_all(In("heads.mdb-lock"));
    ASSERT_TRUE(disk->Reopen());
    EXPECT_EQ(disk->stored_heads(), 10u);
    EXPECT_FALSE(std::filesystem::exists(In("heads.mdb.broken-1")));
  }
  Open();
  for (int i = 0; i < 10; ++i) EXPECT_EQ(Asked(std::to_string(i), 100'000), "body") << i;
}

TEST_F(LmdbCacheStoreTest, ATruncatedFileIsMovedAside) {
  Open();
  for (int i = 0; i < 10; ++i) PutOne(std::to_string(i), 500'000);
  store_.reset();
  std::filesystem::resize_file(In("chunks.mdb"), 1 << 20);
  Open();
  EXPECT_EQ(Asked("0", 500'000), "miss");
  EXPECT_TRUE(std::filesystem::exists(In("chunks.mdb.broken-1")));
}

TEST_F(LmdbCacheStoreTest, FilesOfTwoStoresDoNotGoTogether) {
  Open();
  PutOne("a", 100'000);
  store_.reset();
  std::filesystem::rename(In("chunks.mdb"), folder_.In("chunks.mdb"));
  std::filesystem::remove(In("heads.mdb"));
  Open();
  store_.reset();
  std::filesystem::rename(folder_.In("chunks.mdb"), In("chunks.mdb"));
  Open();
  EXPECT_EQ(Asked("a", 100'000), "miss");
  EXPECT_TRUE(std::filesystem::exists(In("heads.mdb.broken-1")));
}

TEST_F(LmdbCacheStoreTest, AnotherSchemaVersionIsMovedAside) {
  Open();
  PutOne("a", 1000);
  store_.reset();
  {
    auto env = LmdbEnv::Open({.file = In("heads.mdb"), .map_bytes = 16 << 20});
    ASSERT_TRUE(env);
    auto txn = (*env)->BeginWrite();
    const LmdbTable meta = txn->MakeTable("meta").value();
    const uint8_t future[4] = {99, 0, 0, 0};
    const std::string key = "store";
    ASSERT_TRUE(txn->Put(meta, {reinterpret_cast<const uint8_t*>(key.data()), key.size()}, future));
    ASSERT_TRUE(txn->Commit());
  }
  Open();
  EXPECT_EQ(Asked("a", 1000), "miss");
  EXPECT_TRUE(std::filesystem::exists(In("heads.mdb.broken-1")));
}

TEST_F(LmdbCacheStoreTest, ALargerLimitKeepsTheContentASmallerOneDoesWhenItFits) {
  Open();
  PutOne("a", 100'000);
  store_.reset();
  options_.disk = 64_MiB;
  Open();
  EXPECT_EQ(Asked("a", 100'000), "body");
  store_.reset();
  options_.disk = 24_MiB;
  Open();
  EXPECT_EQ(Asked("a", 100'000), "body");
  for (int i = 0; i < 30; ++i) PutOne(std::to_string(i), 500'000);
  store_.reset();
  options_.disk = 16_MiB;
  Open();
  EXPECT_EQ(Asked("a", 100'000), "miss");
  ASSERT_NE(PutOne("b", 100'000), nullptr);
  EXPECT_EQ(Asked("b", 100'000), "body");
}

TEST_F(LmdbCacheStoreTest, AStoreThatKillsWhoeverReadsItIsMovedAside) {
  Open();
  PutOne("a", 1000);
  store_.reset();
  std::ofstream(In("unsound-opens")) << "5";
  Open();
  EXPECT_EQ(Asked("a", 1000), "miss");
  ASSERT_TRUE(FinishWalk());
  EXPECT_FALSE(std::filesystem::exists(In("unsound-opens"))) << "the walk has seen all of it";
  EXPECT_TRUE(std::filesystem::exists(In("heads.mdb.broken-1")));
}

// ---- Wrong bytes

/// Flips a byte in the middle of the place where `needle` stands in the file.
void FlipByte(const std::string& file, const std::string& needle) {
  const size_t middle = needle.size() / 2;
  std::fstream stream(file, std::ios::in | std::ios::out | std::ios::binary);
  stream.seekp(PlaceOf(file, needle) + static_cast<off_t>(middle));
  stream.put(static_cast<char>(needle[middle] ^ 1));
}

TEST_F(LmdbCacheStoreTest, AFlippedByteInAChunkIsAMissCountedAndRemoved) {
  Open();
  const std::string body = BodyOf("a", 300'000);
  PutOne("a", 300'000);
  PutOne("b", 300'000);
  store_.reset();
  FlipByte(In("chunks.mdb"), body.substr(150'000, 64));
  Open();
  EXPECT_EQ(Asked("a", 300'000), "error bad_checksum");
  EXPECT_EQ(store_->Stats().checksum_failures, 1u);
  EXPECT_EQ(Asked("a", 300'000), "miss");
  EXPECT_EQ(Asked("b", 300'000), "body");
  store_->Flush();
  EXPECT_EQ(store_->Stats().disk_objects, 1u);
  ASSERT_NE(PutOne("a", 300'000), nullptr) << "it is fetched anew";
  Reopen();
  EXPECT_EQ(Asked("a", 300'000), "body");
}

TEST_F(LmdbCacheStoreTest, AFlippedByteInAHeadIsAMissCountedAndRemoved) {
  Open();
  PutOne("a", 100);
  PutOne("b", 100);
  store_.reset();
  FlipByte(In("heads.mdb"), "meta of a");
  Open();
  EXPECT_EQ(Asked("a", 100), "miss");
  EXPECT_EQ(Asked("b", 100), "body");
  ASSERT_TRUE(FlushUntil(*store_, [&] { return store_->Stats().checksum_failures > 0; }));
  EXPECT_EQ(store_->Stats().checksum_failures, 1u);
  EXPECT_EQ(store_->Stats().disk_objects, 1u);
}

TEST_F(LmdbCacheStoreTest, AMetaFormatThatTheEdgeDoesNotKnowIsAMissAndRemoved) {
  Open();
  PutOne("a", 100);
  store_.reset();
  store_ = OpenStore(options_, [](const Head&) { return nullptr; });
  EXPECT_EQ(Asked("a", 100), "miss");
  store_->Flush();
  EXPECT_EQ(store_->Stats().disk_objects, 0u);
}

// ---- Eviction

TEST_F(LmdbCacheStoreTest, TheLimitHoldsAndNothingIsRefusedWhileObjectsPourThrough) {
  Open();
  constexpr int kObjects = 1500;
  const auto size_of = [](int i) { return static_cast<size_t>(i * 7919 % 150'000); };
  int refused = 0;
  for (int i = 0; i < kObjects; ++i) {
    if (PutOne(std::to_string(i), size_of(i)) == nullptr) ++refused;
    if (i % 20 == 19) store_->Flush();
    const CacheStats stats = store_->Stats();
    ASSERT_LE(stats.disk_bytes, options_.disk.bytes);
    ASSERT_FALSE(stats.pass_through);
  }
  store_->Flush();
  const CacheStats stats = store_->Stats();
  EXPECT_EQ(refused, 0);
  EXPECT_EQ(stats.write_errors, 0u);
  EXPECT_GT(stats.evicted_disk, 500u);
  EXPECT_GT(stats.disk_bytes, options_.disk.bytes / 2) << "the limit is used, not only kept";
  int kept = 0;
  for (int i = 0; i < kObjects; ++i) {
    const std::string answer = Asked(std::to_string(i), size_of(i));
    ASSERT_TRUE(answer == "body" || answer == "miss") << i << ": " << answer;
    kept += answer == "body" ? 1 : 0;
  }
  EXPECT_GT(kept, 100);
  EXPECT_EQ(Asked(std::to_string(kObjects - 1), size_of(kObjects - 1)), "body");
}

TEST_F(LmdbCacheStoreTest, ManySmallObjectsFillBothEnvironments) {
  options_.disk = 16_MiB;
  Open();
  // Heads have 4 MiB; with their bodies inside they would be full after about 1,500 of these.
  constexpr int kObjects = 6000;
  for (int i = 0; i < kObjects; ++i) {
    ASSERT_NE(PutOne(std::to_string(i), 1800), nullptr);
    if (i % 100 == 99) store_->Flush();
  }
  const CacheStats stats = store_->Stats();
  EXPECT_EQ(stats.write_errors, 0u);
  EXPECT_GT(stats.disk_objects, 3000u);
  Reopen();
  int kept = 0;
  for (int i = 0; i < kObjects; ++i) {
    const std::string answer = Asked(std::to_string(i), 1800);
    ASSERT_TRUE(answer == "body" || answer == "miss") << i << ": " << answer;
    kept += answer == "body" ? 1 : 0;
  }
  EXPECT_GT(kept, 3000);
  EXPECT_EQ(store_->Stats().checksum_failures, 0u);
}

TEST_F(LmdbCacheStoreTest, HotObjectsSurviveAScanAndPopularityARestart) {
  Open();
  const auto use = [&](const std::string& name) { return Asked(name, 100'000) == "body"; };
  for (int i = 0; i < 20; ++i) PutOne("hot" + std::to_string(i), 100'000);
  store_->Flush();
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(use("hot" + std::to_string(i)));
  store_->Flush();
  store_->Flush();
  Reopen();
  ASSERT_TRUE(FinishWalk());
  for (int i = 0; i < 600; ++i) {
    PutOne("scan" + std::to_string(i), 100'000);
    if (i % 10 == 9) store_->Flush();
  }
  int kept = 0;
  for (int i = 0; i < 20; ++i) kept += use("hot" + std::to_string(i)) ? 1 : 0;
  EXPECT_EQ(kept, 20);
  EXPECT_GT(store_->Stats().evicted_disk, 300u);
}

TEST_F(LmdbCacheStoreTest, AnObjectLargerThanMemoryIsKeptOnDisk) {
  options_.memory = 1_MiB;
  Open();
  ASSERT_NE(PutOne("large", 10 << 20), nullptr);
  store_->Flush();
  EXPECT_EQ(Asked("large", 10 << 20), "body");
  EXPECT_GT(store_->Stats().chunk_loads, 100u);
  EXPECT_LE(store_->Stats().memory_bytes, options_.memory.bytes);
}

TEST_F(LmdbCacheStoreTest, AnObjectThatOvertakesTheWriterIsGivenUp) {
  options_.write_queue = ByteSize{100'000};
  Open();
  auto writer = store_->Begin(std::nullopt);
  for (ChunkRef& chunk : ChunksOf(BodyOf("a", 2 << 20))) writer->Append(std::move(chunk));
  EXPECT_EQ(writer->Commit(HeadOf("a", *store_)), nullptr);
  EXPECT_EQ(store_->Stats().not_stored_by[static_cast<size_t>(NotStored::kQueueFull)], 1u);
  store_->Flush();
  EXPECT_EQ(Asked("a", 2 << 20), "miss");
  EXPECT_NE(PutOne("b", 50'000), nullptr);
}

// ---- Purges

TEST_F(LmdbCacheStoreTest, TheSpaceOfHardPurgedObjectsIsReclaimedUnasked) {
  Open();
  for (int i = 0; i < 50; ++i) {
    const std::string name = std::to_string(i);
    Put(*store_, name, BodyOf(name, 100'000), {i % 2 == 0 ? 5ull : 6ull});
  }
  store_->Flush();
  ASSERT_TRUE(FinishWalk());
  const uint64_t before = store_->Stats().disk_bytes;
  store_->Purge({5}, /*soft=*/false, std::nullopt, nullptr, nullptr);
  ASSERT_TRUE(FlushUntil(*store_, [&] { return store_->Stats().disk_objects == 25; }));
  ASSERT_TRUE(FlushUntil(*store_, [&] { return store_->Stats().disk_bytes < before * 6 / 10; }));
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(Asked(std::to_string(i), 100'000), i % 2 == 0 ? "miss" : "body") << i;
  }
}

// ---- Pinned objects

/// "pinned", "absent", "no room".
std::string PinOne(CacheStore& store, const std::string& name) {
  TestExecutor executor;
  PinOutcome outcome = PinOutcome::kAbsent;
  store.Pin(KeyOf(name), executor, [&](PinOutcome answer) { outcome = answer; });
  EXPECT_TRUE(executor.RunOne()) << "Pin never answered";
  constexpr const char* kNames[] = {"pinned", "absent", "no room"};
  return kNames[static_cast<size_t>(outcome)];
}

std::set<Key256> PinnedKeys(CacheStore& store) {
  TestExecutor executor;
  std::set<Key256> pinned;
  store.ListPinned(executor,
                   [&](std::vector<Key256> keys) { pinned.insert(keys.begin(), keys.end()); });
  EXPECT_TRUE(executor.RunOne());
  return pinned;
}

TEST_F(LmdbCacheStoreTest, APinWaitsForTheObjectThatIsOnItsWay) {
  Open();
  for (const size_t size : {size_t{100}, size_t{100'000}, size_t{1'000'000}}) {
    const std::string name = std::to_string(size);
    PutOne(name, size);
    EXPECT_EQ(PinOne(*store_, name), "pinned");
  }
  EXPECT_EQ(PinOne(*store_, "nothing"), "absent");
  EXPECT_EQ(PinnedKeys(*store_),
            (std::set<Key256>{KeyOf("100"), KeyOf("100000"), KeyOf("1000000")}));
  store_->Flush();
  EXPECT_EQ(store_->Stats().pinned_objects, 3u);
  EXPECT_GT(store_->Stats().pinned_bytes, 1'100'000u);
  store_->Unpin(KeyOf("100000"));
  EXPECT_EQ(PinnedKeys(*store_), (std::set<Key256>{KeyOf("100"), KeyOf("1000000")}));
}

TEST_F(LmdbCacheStoreTest, PinnedObjectsOutliveRestartsAndTheirOwnExpiry) {
  Open();
  for (const std::string& name : {std::string("kept"), std::string("dropped")}) {
    auto writer = store_->Begin(100'000);
    const std::string body = BodyOf(name, 100'000);
    for (ChunkRef& chunk : ChunksOf(body)) writer->Append(std::move(chunk));
    Head head = HeadOf(name, *store_);
    head.drop_at = WallNow() + milliseconds(1);
    ASSERT_NE(writer->Commit(std::move(head)), nullptr);
    if (name == "kept") {
      ASSERT_EQ(PinOne(*store_, name), "pinned");
    }
  }
  ASSERT_TRUE(FlushUntil(*store_, [&] { return store_->Stats().expired == 1; }));
  Reopen();
  EXPECT_EQ(Asked("kept", 100'000), "body") << "it is past its drop_at";
  EXPECT_EQ(Asked("dropped", 100'000), "miss");
  EXPECT_EQ(PinnedKeys(*store_), std::set<Key256>{KeyOf("kept")});
}

TEST_F(LmdbCacheStoreTest, AHardPurgeTakesPinnedObjectsAsWell) {
  Open();
  Put(*store_, "a", BodyOf("a", 100'000), {5});
  ASSERT_EQ(PinOne(*store_, "a"), "pinned");
  store_->Purge({5}, /*soft=*/false, std::nullopt, nullptr, nullptr);
  EXPECT_EQ(Asked("a", 100'000), "miss");
  EXPECT_TRUE(PinnedKeys(*store_).empty());
}

TEST_F(LmdbCacheStoreTest, PinnedObjectsStayWhateverComesAndLeaveRoomForIt) {
  Open();
  std::vector<std::string> pinned;
  std::string answer = "pinned";
  for (int i = 0; i < 1000 && answer == "pinned"; ++i) {
    const std::string name = "kept " + std::to_string(i);
    ASSERT_NE(PutOne(name, 90'000), nullptr);
    answer = PinOne(*store_, name);
    if (answer == "pinned") pinned.push_back(name);
  }
  EXPECT_EQ(answer, "no room");
  const uint64_t bytes = store_->Stats().pinned_bytes;
  EXPECT_GT(bytes, options_.disk.bytes / 2);
  EXPECT_LT(bytes, options_.disk.bytes * kMostPinnedPercent / 100);
  for (int i = 0; i < 400; ++i) {
    const std::string name = "passing " + std::to_string(i);
    ASSERT_NE(PutOne(name, 90'000), nullptr);
    store_->Flush();
    ASSERT_EQ(Asked(name, 90'000), "body") << i << ": nothing new is stored any more";
  }
  EXPECT_GT(store_->Stats().evicted_disk, 300u);
  EXPECT_FALSE(store_->Stats().pass_through);
  Reopen();
  for (const std::string& name : pinned) ASSERT_EQ(Asked(name, 90'000), "body") << name;
}

// ---- A full disk

class FullDiskTest : public LmdbCacheStoreTest {
 protected:
  void SetUp() override {
    if (geteuid() != 0) GTEST_SKIP() << "mounting a tmpfs needs root";
    options_.path = folder_.In("mount") + "/cache";
    std::filesystem::create_directory(folder_.In("mount"));
    if (mount("tmpfs", folder_.In("mount").c_str(), "tmpfs", 0, "size=24m") != 0) {
      GTEST_SKIP() << "no tmpfs can be mounted: " << std::strerror(errno);
    }
    mounted_ = true;
  }
  void TearDown() override {
    store_.reset();
    if (mounted_) {
      EXPECT_EQ(umount(folder_.In("mount").c_str()), 0);
    }
  }
  void WriteBallast(size_t bytes) {
    std::ofstream(folder_.In("mount") + "/ballast") << std::string(bytes, 'b');
  }
  void DropBallast() { std::filesystem::remove(folder_.In("mount") + "/ballast"); }
  bool mounted_ = false;
};

TEST_F(FullDiskTest, IsAnErrorAtStart) {
  EXPECT_EQ(OpenError(), "operator disk_too_small");
  options_.disk = 16_MiB;
  EXPECT_EQ(OpenError(), "opened") << "what the failed start had reserved was given back";
}

TEST_F(FullDiskTest, OldBrokenFilesMakeRoomFirst) {
  options_.disk = 16_MiB;
  Open();
  PutOne("a", 100'000);
  store_.reset();
  std::ofstream(In("heads.mdb"), std::ios::in | std::ios::out) << std::string(100'000, 'g');
  Open();
  ASSERT_NE(store_, nullptr);
  EXPECT_EQ(Asked("a", 100'000), "miss");
  EXPECT_FALSE(std::filesystem::exists(In("chunks.mdb.broken-1")));
}

TEST_F(FullDiskTest, MeansPassThroughWithACounterAndBackByItself) {
  options_.disk = 64_MiB;
  options_.reserve_disk = false;
  options_.memory = 1_MiB;
  Open();
  ASSERT_NE(PutOne("before", 200'000), nullptr);
  ASSERT_NE(PutOne("replaced", 200'000), nullptr);
  store_->Flush();
  WriteBallast(20 << 20);
  bool stopped = false;
  for (int i = 0; i < 100 && !stopped; ++i) {
    PutOne(std::to_string(i), 500'000);
    if (Put(*store_, "replaced", BodyOf(std::to_string(i), 300'000)) != nullptr) {
      EXPECT_NE(Asked("replaced", 200'000), "body");
    }
    store_->Flush();
    stopped = store_->Stats().pass_through;
    EXPECT_NE(Asked("replaced", 200'000), "body") << "an older body comes back";
  }
  ASSERT_TRUE(stopped);
  EXPECT_GT(store_->Stats().write_errors, 0u);
  EXPECT_EQ(store_->Begin(1000), nullptr);
  EXPECT_GE(store_->Stats().not_stored_by[static_cast<size_t>(NotStored::kDiskFull)], 1u);
  EXPECT_EQ(Asked("before", 200'000), "body") << "serving goes on";
  store_->Purge({1}, false, LogPosition{1, 1}, nullptr, nullptr);
  store_->Remove(KeyOf("before"));
  EXPECT_EQ(Asked("before", 200'000), "miss");
  DropBallast();
  ASSERT_TRUE(FlushUntil(*store_, [&] { return !store_->Stats().pass_through; }));
  ASSERT_NE(PutOne("after", 200'000), nullptr);
  store_->Flush();
  EXPECT_EQ(Asked("after", 200'000), "body");
  EXPECT_EQ(store_->log_position(), (LogPosition{1, 1})) << "the purge was kept and made durable";
  Reopen();
  EXPECT_EQ(Asked("after", 200'000), "body");
  EXPECT_EQ(Asked("before", 200'000), "miss");
  EXPECT_NE(Asked("replaced", 200'000), "body");
  for (int i = 0; i < 100; ++i) {
    const std::string answer = Asked(std::to_string(i), 500'000);
    ASSERT_TRUE(answer == "body" || answer == "miss") << i << ": " << answer;
  }
}

TEST(StoreLayoutTest, DividesTheDiskAndFitsTheBatches) {
  EXPECT_FALSE(PlanStore(ByteSize{kLeastDisk.bytes - 1}));
  for (const ByteSize disk : {kLeastDisk, 64_MiB, 1_GiB, 10_GiB, 16384_GiB}) {
    const StoreLayout layout = PlanStore(disk).value();
    EXPECT_LE(layout.heads_map_bytes + layout.chunks_map_bytes, disk.bytes);
    EXPECT_GT(layout.heads_map_bytes + layout.chunks_map_bytes, disk.bytes - (128 << 10));
    EXPECT_EQ(layout.heads_map_bytes % 65536, 0u);
    EXPECT_EQ(layout.chunks_map_bytes % 65536, 0u);
    EXPECT_GE(layout.heads_map_bytes, disk.bytes / 6);
    EXPECT_LE(layout.batch_bytes * 3, layout.chunks_map_bytes / 10) << "three batches of headroom";
    EXPECT_GE(layout.batch_bytes, kChunkBytes);
  }
}

}  // namespace
}  // namespace nearside::storage
