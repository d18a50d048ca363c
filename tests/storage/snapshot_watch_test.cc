#include "storage/snapshot_watch.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "tests/support/temp_dir.h"

namespace nearside::storage {
namespace {

class SnapshotWatchTest : public testing::Test {
 protected:
  SnapshotWatchTest() { env_ = std::move(*LmdbEnv::Open(Options())); }
  LmdbOptions Options() const { return {.file = folder_.In("data.mdb"), .map_bytes = 1 << 20}; }
  void Commit() {
    auto txn = env_->BeginWrite();
    const LmdbTable table = txn->MakeTable("table").value();
    const std::array<uint8_t, 1> byte = {1};
    ASSERT_TRUE(txn->Put(table, byte, byte));
    ASSERT_TRUE(txn->Commit());
  }
  /// What the watch says at `at` after looking.
  milliseconds Look(seconds at) {
    watch_.Look(*env_, MonoTime(at));
    return watch_.age(MonoTime(at));
  }

  test::TempDir folder_;
  std::unique_ptr<LmdbEnv> env_;
  SnapshotWatch watch_;
};

TEST_F(SnapshotWatchTest, NobodyHoldsAnything) {
  EXPECT_EQ(Look(seconds(1)).count(), 0);
  Commit();
  EXPECT_EQ(Look(seconds(2)).count(), 0);
  EXPECT_EQ(watch_.pid(), 0);
}

TEST_F(SnapshotWatchTest, TheNewestSnapshotHoldsNothingBackAnOlderOneDoes) {
  Commit();
  auto reader = env_->BeginRead();
  EXPECT_EQ(Look(seconds(1)).count(), 0);
  EXPECT_EQ(Look(seconds(9)).count(), 0) << "nothing was committed since";
  Commit();
  EXPECT_EQ(Look(seconds(10)).count(), 0) << "first seen now";
  EXPECT_EQ(Look(seconds(13)).count(), 3000);
  EXPECT_EQ(watch_.pid(), getpid());
  reader->Reset();
  EXPECT_EQ(Look(seconds(14)).count(), 0);
}

TEST_F(SnapshotWatchTest, ReadersThatComeAndGoAreNoOldOne) {
  for (int turn = 1; turn < 10; ++turn) {
    Commit();
    const auto reader = env_->BeginRead();
    Commit();
    EXPECT_EQ(Look(seconds(turn)).count(), 0) << turn;
  }
}

/// As an operator's mdb_copy would, and then one that is killed.
TEST_F(SnapshotWatchTest, AnotherProcessIsSeenAndItsSlotFreedWhenItDies) {
  Commit();
  int begun[2];
  ASSERT_EQ(pipe(begun), 0);
  const pid_t child = fork();
  if (child == 0) {
    auto env = LmdbEnv::Open(Options());
    auto reader = (*env)->BeginRead();
    if (!reader || write(begun[1], "x", 1) != 1) _exit(1);
    pause();
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(begun[0], &byte, 1), 1);
  Commit();
  EXPECT_EQ(Look(seconds(1)).count(), 0);
  EXPECT_EQ(Look(seconds(21)).count(), 20'000);
  EXPECT_EQ(watch_.pid(), child);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  Look(seconds(22));
  EXPECT_EQ(Look(seconds(23)).count(), 0);
  EXPECT_FALSE(env_->OldestReader());
  close(begun[0]);
  close(begun[1]);
}

}  // namespace
}  // namespace nearside::storage
