// What runtime/allocator.cc links and how it is set.

#include <gtest/gtest.h>
#include <jemalloc/jemalloc.h>
#include <sys/resource.h>

#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace nearside {
namespace {

/// Pages that the calling thread had to be given while it took, used and freed 4 MiB in blocks.
long FaultsOfOneBatch() {
  rusage before{};
  rusage after{};
  getrusage(RUSAGE_THREAD, &before);
  std::vector<std::unique_ptr<char[]>> blocks;
  for (int i = 0; i < 64; ++i) {
    blocks.emplace_back(new char[64 << 10]);
    std::memset(blocks.back().get(), i, 64 << 10);
  }
  blocks.clear();
  getrusage(RUSAGE_THREAD, &after);
  return after.ru_minflt - before.ru_minflt;
}

TEST(AllocatorTest, WhatABatchFreesTheNextTakesWithoutAskingTheSystem) {
  std::thread([] {  // as the cache's writer is one
    EXPECT_GT(FaultsOfOneBatch(), 500) << "a thousand pages, taken for the first time";
    int without = 0;
    for (int batch = 0; batch < 10; ++batch) without += FaultsOfOneBatch() < 50 ? 1 : 0;
    EXPECT_GE(without, 8) << "all, but on a machine that slept: after seconds they are given back";
  })
      .join();
}

TEST(AllocatorTest, AThreadGivesBackWhatIsFreeAlsoWhileNothingIsAllocated) {
  bool background = false;
  size_t size = sizeof(background);
  ASSERT_EQ(mallctl("background_thread", &background, &size, nullptr, 0), 0);
  EXPECT_TRUE(background);
}

}  // namespace
}  // namespace nearside
