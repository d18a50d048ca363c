#include "geodns/file_watch.h"

#include <gtest/gtest.h>

#include "tests/net/loop_thread.h"
#include "tests/support/temp_dir.h"

namespace nearside::geodns {
namespace {

std::vector<FileSource> Stamped(long a, long b) { return {{"a", {1, a, 0}}, {"b", {2, b, 0}}}; }

TEST(FileChangesTest, AChangeCountsWhenItStandsStillAndOnce) {
  FileChanges changes(Stamped(1, 1));
  EXPECT_FALSE(changes.Look(Stamped(1, 1)));
  EXPECT_FALSE(changes.Look(Stamped(1, 2))) << "just written";
  EXPECT_FALSE(changes.Look(Stamped(1, 3))) << "and again";
  EXPECT_TRUE(changes.Look(Stamped(1, 3)));
  EXPECT_FALSE(changes.Look(Stamped(1, 3))) << "told once, whatever became of it";
  EXPECT_FALSE(changes.Look(Stamped(2, 3)));
  EXPECT_TRUE(changes.Look(Stamped(2, 3)));
}

TEST(FileChangesTest, WhatGoesBackIsNoChange) {
  FileChanges changes(Stamped(1, 1));
  EXPECT_FALSE(changes.Look(Stamped(2, 1)));
  EXPECT_FALSE(changes.Look(Stamped(1, 1)));
  EXPECT_FALSE(changes.Look(Stamped(1, 1)));
}

TEST(FileWatchTest, AFileThatIsReplacedIsTold) {
  test::TempDir dir;
  const std::string path = dir.Write("zone", "one");
  net::LoopThread thread;
  std::unique_ptr<FileWatch> watch;
  int told = 0;
  thread.Call([&] {
    watch = std::make_unique<FileWatch>(thread.loop(), [&] { ++told; });
    watch->Watch({{path, StampOf(path)}}, milliseconds(10));
  });
  ASSERT_TRUE(WriteFileAtomically(path, "two", 0644));
  EXPECT_TRUE(thread.Await([&] { return told == 1; }));
  thread.Call([&] { watch->Watch({{path, StampOf(path)}}, milliseconds(10)); });
  ASSERT_EQ(unlink(path.c_str()), 0);
  EXPECT_TRUE(thread.Await([&] { return told == 2; })) << "what is gone has changed";
  thread.Call([&] { watch.reset(); });
}

}  // namespace
}  // namespace nearside::geodns
