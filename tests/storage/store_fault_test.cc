// A disk that fails and works again, and files that break while the store runs: what is served
// stays right, what was stored stays stored, and nothing is lost that need not be.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "storage/head_table.h"
#include "storage/store_disk.h"
#include "tests/storage/disk_faults.h"
#include "tests/storage/store_fault_fixture.h"

namespace nearside::storage {
namespace {

using testing::AnyOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

size_t CountIn(const std::string& text, const std::string& needle) {
  size_t count = 0;
  for (size_t at = text.find(needle); at != std::string::npos; at = text.find(needle, at + 1)) {
    ++count;
  }
  return count;
}

// ---- A fill that is under way when the disk fails

/// By what the disk fails while chunks are written.
class FillDuringFaultTest : public StoreInTrouble,
                            public testing::WithParamInterface<DiskFault::What> {
 protected:
  static constexpr size_t kBytes = 10 * kChunkBytes + 100;
  void Append(ObjectWriter& writer, size_t first, size_t last) {
    const std::vector<ChunkRef> chunks = ChunksOf(BodyOf("slow", kBytes));
    for (size_t i = first; i < last; ++i) writer.Append(chunks[i]);
  }
  /// The disk fails for as long as it takes the store to meet that once.
  void FailOnce() {
    DiskFault fault(GetParam());
    Append(*fill_, 3, 6);
    ASSERT_TRUE(FlushUntil(*store_, [&] { return fault.failures() > 0; }));
    store_->Flush();
  }
  void ExpectNothingHalf() {
    EXPECT_EQ(Asked("slow", kBytes), "miss");
    EXPECT_EQ(CountOf("body", "before", 5, 200'000), 5);
    const CacheStats stats = store_->Stats();
    EXPECT_EQ(stats.checksum_failures, 0u);
    EXPECT_EQ(stats.removed_by[static_cast<size_t>(Removal::kBroken)], 0u);
  }
  std::unique_ptr<ObjectWriter> fill_;
};

TEST_P(FillDuringFaultTest, IsNeverStoredHalf) {
  Open();
  ASSERT_EQ(PutMany("before", 5, 200'000), 0);
  fill_ = store_->Begin(std::nullopt);
  Append(*fill_, 0, 3);
  store_->Flush();
  FailOnce();
  ASSERT_TRUE(WaitUntilItStores());
  Append(*fill_, 6, 11);
  fill_->Commit(HeadOf("slow", *store_));
  fill_.reset();
  store_->Flush();
  EXPECT_GE(NotStoredFor(NotStored::kDiskFull) + store_->Stats().write_errors, 1u);
  ExpectNothingHalf();
  Reopen();
  ExpectNothingHalf();
  ASSERT_NE(PutOne("slow", kBytes), nullptr) << "it is fetched anew";
  Reopen();
  EXPECT_EQ(Asked("slow", kBytes), "body");
}

INSTANTIATE_TEST_SUITE_P(Disk, FillDuringFaultTest,
                         testing::Values(DiskFault::What{StoreFile::kChunks, DiskCall::kWrite, EIO},
                                         DiskFault::What{StoreFile::kChunks, DiskCall::kWrite,
                                                         ENOSPC},
                                         DiskFault::What{StoreFile::kChunks, DiskCall::kSync, EIO}),
                         [](const testing::TestParamInfo<DiskFault::What>& each) -> std::string {
                           if (each.param.call == DiskCall::kSync) return "SyncFails";
                           return each.param.error == EIO ? "WriteFails" : "WriteFindsNoSpace";
                         });

// ---- A newer object that was served and could not be stored

class NewerObjectTest : public StoreInTrouble {
 protected:
  static constexpr size_t kBytes = 1000;
  std::string AskedForTheOld() { return Ask(*store_, "page", BodyOf("old", kBytes)); }
  /// The old object is on disk; `newer` puts another under its key and does more with it, all of
  /// which waits for the disk, which then fails.
  void FailAfter(const std::function<void()>& newer) {
    Open();
    ASSERT_NE(Put(*store_, "page", BodyOf("old", kBytes)), nullptr);
    store_->Flush();
    DiskPause pause(StoreFile::kHeads, DiskCall::kSync);
    ASSERT_NE(PutOne("another", kBytes), nullptr);
    ASSERT_TRUE(pause.WaitUntilReached());
    newer();
    fault_.emplace(DiskFault::What{.file = StoreFile::kHeads, .call = DiskCall::kWrite});
    pause.End();
    ASSERT_TRUE(WaitUntil([](const CacheStats& stats) { return stats.pass_through; }));
    EXPECT_EQ(AskedForTheOld(), "miss") << "a cache does not go back in time";
    fault_.reset();
    ASSERT_TRUE(WaitUntilItStores());
    store_->Flush();
    EXPECT_EQ(AskedForTheOld(), "miss");
    Reopen();
    EXPECT_EQ(AskedForTheOld(), "miss");
  }
  std::optional<DiskFault> fault_;
};

TEST_F(NewerObjectTest, HasNothingComeBackWhenItWasRefreshedMeanwhile) {
  FailAfter([this] {
    const HeadRef put = Put(*store_, "page", BodyOf("new", kBytes));
    ASSERT_NE(put, nullptr);
    ASSERT_NE(store_->Refresh(put, HeadOf("page", *store_)), nullptr);
  });
}

TEST_F(NewerObjectTest, HasNothingComeBackWhenItWasPurgedMeanwhile) {
  FailAfter([this] {
    ASSERT_NE(Put(*store_, "page", BodyOf("new", kBytes), {5}), nullptr);
    store_->Purge({5}, /*soft=*/false, std::nullopt, nullptr, nullptr);
    ASSERT_EQ(store_->Find(KeyOf("page")), nullptr);
  });
}

// ---- One bad write

class BadMetaWriteTest : public StoreInTrouble, public testing::WithParamInterface<StoreFile> {};

/// LMDB gives an environment up when its meta page cannot be written. The file is as sound as
/// before.
TEST_P(BadMetaWriteTest, LosesNothingThatWasStored) {
  constexpr int kObjects = 100;
  Open();
  ASSERT_EQ(PutMany("object", kObjects, 50'000), 0);
  DiskFault fault({.file = GetParam(), .call = DiskCall::kMetaWrite, .times = 1});
  PutOne("meanwhile", 50'000);
  ASSERT_TRUE(FlushUntil(*store_, [&] { return fault.failures() == 1; }));
  store_->Flush();
  ASSERT_TRUE(WaitUntilItStores());
  EXPECT_EQ(CountOf("body", "object", kObjects, 50'000), kObjects);
  EXPECT_THAT(Asked("meanwhile", 50'000), AnyOf("body", "miss"));
  ASSERT_NE(PutOne("after", 50'000), nullptr);
  Reopen();
  EXPECT_EQ(CountOf("body", "object", kObjects, 50'000), kObjects);
  EXPECT_THAT(Asked("meanwhile", 50'000), AnyOf("body", "miss"));
  EXPECT_EQ(Asked("after", 50'000), "body");
  EXPECT_THAT(FilesMovedAside(), ElementsAre());
}

INSTANTIATE_TEST_SUITE_P(Files, BadMetaWriteTest,
                         testing::Values(StoreFile::kHeads, StoreFile::kChunks),
                         [](const testing::TestParamInfo<StoreFile>& each) -> std::string {
                           return each.param == StoreFile::kHeads ? "Heads" : "Chunks";
                         });

// ---- Removals that wait for the disk

class WaitingRemovalsTest : public StoreInTrouble {
 protected:
  static constexpr int kExpired = 70'000;
  WaitingRemovalsTest() : StoreInTrouble(256_MiB) { options_.reserve_disk = false; }
  static std::string NameOf(int i) { return "expired" + std::to_string(i); }
  /// Before the store runs, which would remove what has expired.
  void StoreExpired() {
    const auto disk =
        StoreDisk::Open({.path = options_.path, .disk = options_.disk, .reserve = false}).value();
    StoreMeta meta = disk->meta();
    constexpr int kPerBatch = 5000;
    for (int first = 0; first < kExpired; first += kPerBatch) {
      HeadBatch batch = HeadBatch::Begin(disk->heads(), disk->head_tables(), meta).value();
      for (int i = first; i < first + kPerBatch; ++i) {
        const auto number = static_cast<uint64_t>(i + 1);
        Head head{.key = KeyOf(NameOf(i)), .object_id = number, .body_bytes = 1};
        head.stored_at = WallNow() - std::chrono::hours(2);
        head.drop_at = WallNow() - std::chrono::hours(1);
        const uint8_t body = 'x';
        ASSERT_TRUE(batch.Put(head, Bytes(&body, 1), {.position = number}));
        batch.meta().next_id = number + 1;
      }
      ASSERT_TRUE(batch.Commit());
      meta = batch.meta();
    }
    Head control{.key = KeyOf("control"), .object_id = kExpired + 1, .body_bytes = 0};
    control.drop_at = WallNow() + std::chrono::hours(5);
    control.meta = "meta of control";
    HeadBatch batch = HeadBatch::Begin(disk->heads(), disk->head_tables(), meta).value();
    ASSERT_TRUE(batch.Put(control, Bytes{}, {.position = kExpired + 1}));
    ASSERT_TRUE(batch.Commit());
  }
  /// How many were found.
  int AskForExpired() {
    constexpr int kAtOnce = 500;  // fewer than may wait for the disk
    TestExecutor executor;
    int found = 0;
    for (int first = 0; first < kExpired; first += kAtOnce) {
      for (int i = first; i < first + kAtOnce; ++i) {
        const auto count = [&](const HeadRef& head) { found += head != nullptr ? 1 : 0; };
        store_->Load(KeyOf(NameOf(i)), executor, count);
      }
      for (int i = 0; i < kAtOnce; ++i) EXPECT_TRUE(executor.RunOne());
    }
    EXPECT_EQ(store_->Stats().reads_refused, 0u);
    return found;
  }
};

TEST_F(WaitingRemovalsTest, OfWhatHasExpiredAnywayCostNothingElse) {
  ASSERT_NO_FATAL_FAILURE(StoreExpired());
  std::vector<std::unique_ptr<DiskFault>> faults;
  for (const StoreFile file : {StoreFile::kHeads, StoreFile::kChunks}) {
    faults.push_back(
        std::make_unique<DiskFault>(DiskFault::What{.file = file, .call = DiskCall::kWrite}));
  }
  testing::internal::CaptureStderr();
  Open();
  EXPECT_TRUE(WaitUntil([](const CacheStats& stats) { return stats.pass_through; }));
  EXPECT_EQ(Asked("control", 0), "body");
  const uint64_t before = AnonymousBytes();
  EXPECT_EQ(AskForExpired(), 0);
  store_->Flush();
  if (!kSanitized) {
    EXPECT_LT(AnonymousBytes(), before + (20 << 20));
  }
  EXPECT_TRUE(store_->Stats().pass_through);
  EXPECT_EQ(Asked("control", 0), "body");

  faults.clear();
  EXPECT_TRUE(WaitUntil([](const CacheStats& stats) {
    return !stats.pass_through && stats.walked && stats.disk_objects <= 1;
  })) << "the sweeper removes them once it can";
  EXPECT_THAT(testing::internal::GetCapturedStderr(), Not(HasSubstr("store_purged_whole")));
  EXPECT_EQ(Asked("control", 0), "body");
  Reopen();
  EXPECT_EQ(Asked("control", 0), "body");
  EXPECT_EQ(AskForExpired(), 0);
}

// ---- Files that break while the store runs

class BrokenFilesTest : public StoreInTrouble {
 protected:
  /// A lasting trouble with making new files.
  DiskFault::What CannotBeMade(int error) const {
    return {.file = StoreFile::kHeads, .call = DiskCall::kReserve, .error = error};
  }
};

TEST_F(BrokenFilesTest, AreMovedAsideOnceHoweverOftenNewOnesCannotBeMade) {
  Open();
  ASSERT_EQ(PutMany("before", 5, 100'000), 0);
  testing::internal::CaptureStderr();
  {
    DiskFault fault(CannotBeMade(EIO));
    Damage("heads.mdb");
    const MonoTime begun = MonoNow();
    PutOne("broken", 100'000);
    EXPECT_TRUE(FlushUntil(*store_, [&] { return fault.failures() >= 3; })) << "it tries again";
    // No wait is longer for a slow machine's sake: only a store that does not wait is too early.
    EXPECT_GE(MonoNow() - begun, milliseconds(1900)) << "it waits longer each time, a second first";
    EXPECT_TRUE(store_->Stats().pass_through);
    EXPECT_EQ(PutOne("refused", 100'000), nullptr);
    EXPECT_EQ(Asked("before0", 100'000), "miss");
  }
  ASSERT_TRUE(WaitUntilItStores());
  const std::string log = testing::internal::GetCapturedStderr();
  EXPECT_EQ(CountIn(log, "event=store_moved_aside"), 1u) << log;
  EXPECT_EQ(CountIn(log, "event=store_pass_through"), 1u) << log;

  ASSERT_THAT(FilesMovedAside(), ElementsAre("chunks.mdb.broken-1", "heads.mdb.broken-1"));
  const std::string kept = folder_.Read("cache/chunks.mdb.broken-1");
  EXPECT_NE(kept.find(BodyOf("before0", 100'000).substr(1000, 64)), std::string::npos)
      << "what was moved aside is what was damaged, not an empty pair made since";
  ASSERT_NE(PutOne("after", 100'000), nullptr);
  Reopen();
  EXPECT_EQ(Asked("after", 100'000), "body");
  EXPECT_EQ(Asked("before0", 100'000), "miss");
}

TEST_F(BrokenFilesTest, WhatIsPutWhileTheyAreReplacedCanBeRemovedForGood) {
  constexpr int kObjects = 10;
  Open();
  ASSERT_EQ(PutMany("before", kObjects, 100'000), 0);
  const auto begun_before = store_->Begin(std::nullopt);
  begun_before->Append(ChunksOf(BodyOf("begun before", 50'000)).front());
  store_->Flush();

  DiskPause replacing(StoreFile::kHeads, DiskCall::kReserve);
  Damage("chunks.mdb");
  PutOne("broken", 100'000);
  ASSERT_TRUE(replacing.WaitUntilReached());
  // The files are closed, and those that take their place are not open yet.
  for (int i = 0; i < kObjects; ++i) {
    PutOne("small" + std::to_string(i), 500);
    PutOne("large" + std::to_string(i), 100'000);
  }
  begun_before->Commit(HeadOf("begun before", *store_));
  const auto begun_during = store_->Begin(std::nullopt);
  if (begun_during) begun_during->Append(ChunksOf(BodyOf("begun during", 50'000)).front());
  replacing.End();
  store_->Flush();
  ASSERT_TRUE(WaitUntilItStores());
  if (begun_during) begun_during->Commit(HeadOf("begun during", *store_));
  ASSERT_NE(PutOne("after", 100'000), nullptr);
  store_->Flush();
  EXPECT_EQ(Asked("after", 100'000), "body");
  ASSERT_THAT(FilesMovedAside(), ElementsAre("chunks.mdb.broken-1", "heads.mdb.broken-1"));

  std::vector<std::pair<std::string, size_t>> objects = {
      {"begun before", 50'000}, {"begun during", 50'000}, {"broken", 100'000}, {"after", 100'000}};
  for (int i = 0; i < kObjects; ++i) {
    objects.emplace_back("before" + std::to_string(i), 100'000);
    objects.emplace_back("small" + std::to_string(i), 500);
    objects.emplace_back("large" + std::to_string(i), 100'000);
  }
  for (const auto& [name, bytes] : objects) {
    EXPECT_THAT(Asked(name, bytes), AnyOf("body", "miss")) << name;
    store_->Remove(KeyOf(name));
    EXPECT_EQ(Asked(name, bytes), "miss") << name;
  }
  Reopen();
  for (const auto& [name, bytes] : objects) EXPECT_EQ(Asked(name, bytes), "miss") << name;
  ASSERT_TRUE(WaitUntil([](const CacheStats& stats) { return stats.walked; }));
  EXPECT_EQ(store_->Stats().disk_objects, 0u);
}

TEST_F(BrokenFilesTest, AnotherThreadsPutsGoOnWhileTheyAreReplaced) {
  constexpr int kObjects = 2000;
  Open();
  ASSERT_EQ(PutMany("before", 5, 100'000), 0);
  std::atomic<bool> stop{false};
  std::atomic<int> put{0};
  std::thread busy([&] {
    for (int i = 0; i < kObjects && !stop; ++i) {
      PutOne("busy" + std::to_string(i), i % 2 == 0 ? 500 : 5000);
      ++put;
    }
  });
  Damage("chunks.mdb");
  PutOne("broken", 100'000);
  const bool replaced = FlushUntil(*store_, [&] { return !FilesMovedAside().empty(); });
  const bool stores = WaitUntilItStores();
  stop = true;
  busy.join();
  ASSERT_TRUE(replaced);
  ASSERT_TRUE(stores);
  store_->Flush();
  for (int i = 0; i < put; ++i) {
    const std::string name = "busy" + std::to_string(i);
    ASSERT_THAT(Asked(name, i % 2 == 0 ? 500 : 5000), AnyOf("body", "miss")) << name;
    store_->Remove(KeyOf(name));
  }
  Reopen();
  for (int i = 0; i < put; ++i) {
    const std::string name = "busy" + std::to_string(i);
    ASSERT_EQ(Asked(name, i % 2 == 0 ? 500 : 5000), "miss") << name;
  }
}

// ---- Purges

class LocalPurgeTest : public StoreInTrouble {
 protected:
  LocalPurgeTest() : StoreInTrouble(16_MiB) {}
};

/// Nobody waits for it, and nothing else is written: it must not wait for something that is.
TEST_F(LocalPurgeTest, BecomesDurableByItself) {
  Open();
  ASSERT_NE(Put(*store_, "purged", BodyOf("purged", 1000), {7}), nullptr);
  ASSERT_NE(Put(*store_, "kept", BodyOf("kept", 1000), {8}), nullptr);
  store_->Flush();
  // Each runs a turn of the writer: it has nothing left to do after so many.
  ASSERT_TRUE(WaitUntil([](const CacheStats& stats) { return stats.walked; }));
  for (int i = 0; i < 20; ++i) store_->Flush();
  const uint64_t commits = DiskCallsDone(StoreFile::kHeads, DiskCall::kMetaWrite);
  store_->Purge({7}, /*soft=*/false, std::nullopt, nullptr, nullptr);
  ASSERT_TRUE(WaitForDiskCallAfter(StoreFile::kHeads, DiskCall::kMetaWrite, commits));
  // As a power cut would leave it: nothing else is on its way to the files.
  const std::string copy = folder_.In("copy");
  std::filesystem::copy(options_.path, copy);
  store_.reset();
  options_.path = copy;
  Open();
  EXPECT_EQ(Asked("purged", 1000), "miss");
  EXPECT_EQ(Asked("kept", 1000), "body");
}

}  // namespace
}  // namespace nearside::storage
