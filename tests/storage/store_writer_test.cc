// The writer thread against readers that hang and files that break while it runs.

#include "storage/store_writer.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>

#include "storage/object_writer.h"
#include "tests/storage/cache_fixture.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage {
namespace {

/// The store's parts without the store: so that a test has a reader thread of its own to hang.
class StoreWriterTest : public testing::Test {
 protected:
  StoreWriterTest() {
    CacheOptions options;
    options.path = folder_.In("cache");
    options.disk = 16_MiB;
    options.memory = 1_MiB;
    disk_ = StoreDisk::Open({.path = options.path, .disk = options.disk}).value();
    parts_ = std::make_unique<StoreParts>(options, DecodeTestPayload, BatchLimits(disk_->layout()),
                                          1000);
    readers_ =
        std::make_unique<ReadPool>(*disk_, ReadPool::Limits{.threads = 2, .most_waiting = 10});
    writer_ = std::make_unique<StoreWriter>(*parts_, *disk_, *readers_);
    writer_->Start();
  }
  ~StoreWriterTest() override {
    Release();
    readers_->Stop();
    writer_->Stop();
  }
  HeadRef PutOne(const std::string& name, size_t bytes, WallTime drop_at) {
    LmdbObjectWriter writer(*parts_);
    for (ChunkRef& chunk : ChunksOf(BodyOf(name, bytes))) writer.Append(std::move(chunk));
    Head head;
    head.key = KeyOf(name);
    head.drop_at = drop_at;
    head.meta = name;
    return writer.Commit(std::move(head));
  }
  void PutMany(const std::string& prefix, int count, size_t bytes) {
    for (int i = 0; i < count; ++i) {
      PutOne(prefix + std::to_string(i), bytes, WallNow() + std::chrono::hours(1));
      parts_->queue.Flush();
    }
  }
  std::string Stored(const std::string& name) {
    const auto txn = disk_->heads().BeginRead();
    const auto record = ReadHead(*txn, disk_->head_tables().heads, KeyOf(name));
    if (!record || !*record) return "none";
    const auto chunks = disk_->chunks().BeginRead();
    const ChunkName chunk{.object_id = (*record)->head.object_id, .index = 0};
    const auto copy = CopyChunk(*chunks, disk_->chunk_tables(), chunk,
                                ChunkLength((*record)->head.body_bytes, 0));
    return copy ? "whole" : "dangling";
  }
  /// A reader takes a snapshot of the chunks and keeps it.
  void HangReader() {
    ASSERT_TRUE(readers_->Push([this](ReadSession* session) {
      if (session == nullptr) return true;  // given up while it hangs, as on a slow machine
      const Status read = session->WithChunks([this](const LmdbTxn&) -> Status {
        std::unique_lock lock(mutex_);
        hanging_ = true;
        changed_.notify_all();
        changed_.wait(lock, [this] { return released_; });
        hanging_ = false;
        return {};
      });
      EXPECT_TRUE(read);
      const std::lock_guard lock(mutex_);
      changed_.notify_all();
      return true;
    }));
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return hanging_; });
  }
  void Release() {
    std::unique_lock lock(mutex_);
    released_ = true;
    changed_.notify_all();
    changed_.wait(lock, [this] { return !hanging_; });
  }

  test::TempDir folder_;
  std::unique_ptr<StoreDisk> disk_;
  std::unique_ptr<StoreParts> parts_;
  std::unique_ptr<ReadPool> readers_;
  std::unique_ptr<StoreWriter> writer_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool hanging_ = false;
  bool released_ = false;
};

TEST_F(StoreWriterTest, AReaderThatHangsStopsAdmissionsButNeitherServiceNorExpiry) {
  PutMany("before", 20, 100'000);
  HangReader();
  EXPECT_TRUE(disk_->chunks().OldestReader());
  // Thirty megabytes through a map of twelve: every page that is freed stays pinned.
  PutMany("meanwhile", 300, 100'000);
  EXPECT_GT(parts_->counters.write_errors, 0u) << "what finds no page is refused";
  EXPECT_FALSE(parts_->pass_through) << "it is no failure of the disk";
  // Heads alone need no page of the chunks' map: small objects are stored, and expire.
  ASSERT_NE(PutOne("small", 100, WallNow() + std::chrono::hours(1)), nullptr);
  ASSERT_NE(PutOne("due", 100, WallNow() - seconds(1)), nullptr);
  parts_->queue.Flush();
  parts_->queue.Flush();
  EXPECT_EQ(Stored("due"), "none");
  EXPECT_GE(parts_->counters.Removed(Removal::kExpired), 1u);
  EXPECT_GT(readers_->oldest_age().count(), 0);

  Release();
  EXPECT_EQ(readers_->oldest_age().count(), 0);
  PutMany("after", 20, 100'000);
  for (int i = 10; i < 20; ++i) EXPECT_EQ(Stored("after" + std::to_string(i)), "whole") << i;
}

TEST_F(StoreWriterTest, NoHeadOnDiskIsEverWithoutItsChunks) {
  PutMany("object", 200, 120'000);
  EXPECT_GT(parts_->counters.Evicted(), 50u);
  EXPECT_EQ(parts_->counters.write_errors, 0u);
  int whole = 0;
  for (int i = 0; i < 200; ++i) {
    const std::string stored = Stored("object" + std::to_string(i));
    EXPECT_NE(stored, "dangling") << i;
    whole += stored == "whole" ? 1 : 0;
  }
  EXPECT_GT(whole, 50);
}

TEST_F(StoreWriterTest, FilesThatBreakWhileItRunsAreReplacedAndPurgesKept) {
  PutMany("before", 5, 100'000);
  parts_->purges.Apply({77}, /*soft=*/false);
  parts_->queue.PushDurable({.position = LogPosition{3, 9}});
  parts_->queue.Flush();
  {
    // Zeroes over all but the two meta pages: LMDB finds pages that are none.
    std::fstream file(folder_.In("cache/heads.mdb"), std::ios::in | std::ios::out);
    file.seekp(2 * 4096);
    file << std::string(200 * 4096, '\0');
  }
  PutMany("broken", 1, 100'000);
  EXPECT_TRUE(std::filesystem::exists(folder_.In("cache/heads.mdb.broken-1")));
  EXPECT_FALSE(parts_->pass_through);
  EXPECT_EQ(parts_->ram.FindHead(KeyOf("before0")), nullptr) << "its chunks are gone";
  EXPECT_FALSE(parts_->presence.MayContain(KeyOf("before0")));
  PutMany("after", 5, 100'000);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(Stored("after" + std::to_string(i)), "whole") << i;
  const auto txn = disk_->heads().BeginRead();
  EXPECT_EQ(ReadMarks(*txn, disk_->head_tables().purges).value().size(), 1u);
  EXPECT_EQ(ReadMeta(*txn, disk_->head_tables().meta).value()->position, (LogPosition{3, 9}));
}

}  // namespace
}  // namespace nearside::storage
