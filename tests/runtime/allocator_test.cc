#include "runtime/allocator.h"

#include <gtest/gtest.h>
#include <sys/resource.h>

#include <cstring>
#include <memory>
#include <thread>
#include <vector>

namespace nearside {
namespace {

// The sanitizers bring an allocator of their own.
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)

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
  KeepFreedMemory();
  std::thread([] {  // an arena of its own, as the cache's writer has
    EXPECT_GT(FaultsOfOneBatch(), 500) << "a thousand pages, taken for the first time";
    for (int batch = 0; batch < 10; ++batch) EXPECT_LT(FaultsOfOneBatch(), 50);
  })
      .join();
}

#endif

}  // namespace
}  // namespace nearside
