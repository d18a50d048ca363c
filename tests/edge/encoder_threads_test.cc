#include "edge/encoder_threads.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <memory>
#include <mutex>
#include <set>
#include <thread>
#include <vector>

namespace nearside::edge {
namespace {

TEST(EncoderThreadsTest, OneThreadRunsJobsInTheirOrder) {
  std::vector<int> ran;
  std::promise<void> done;
  EncoderThreads threads;
  for (int i = 0; i < 100; ++i) {
    threads.Run([&ran, i] { ran.push_back(i); }, 1);
  }
  threads.Run([&done] { done.set_value(); }, 1);
  done.get_future().wait();
  ASSERT_EQ(ran.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(ran[i], i);
  EXPECT_EQ(threads.waiting(), 0u);
}

TEST(EncoderThreadsTest, SoManyRunAtOnceAndNoMore) {
  std::mutex mutex;
  std::set<std::thread::id> seen;
  std::promise<void> go;
  const std::shared_future<void> gone = go.get_future().share();
  std::atomic<int> begun{0};
  std::atomic<int> ended{0};
  EncoderThreads threads;
  for (int i = 0; i < 9; ++i) {
    threads.Run(
        [&] {
          {
            const std::lock_guard lock(mutex);
            seen.insert(std::this_thread::get_id());
          }
          ++begun;
          gone.wait();
          ++ended;
        },
        3);
  }
  while (begun < 3) std::this_thread::yield();
  EXPECT_EQ(threads.waiting(), 6u);
  EXPECT_EQ(begun.load(), 3);
  go.set_value();
  while (ended < 9) std::this_thread::yield();
  EXPECT_EQ(seen.size(), 3u);
}

TEST(EncoderThreadsTest, AtTheEndWhatRunsIsWaitedForAndWhatWaitsIsDropped) {
  std::promise<void> begun;
  std::promise<void> go;
  std::atomic<int> ran{0};
  const auto held = std::make_shared<int>(7);
  auto threads = std::make_unique<EncoderThreads>();
  threads->Run(
      [&] {
        begun.set_value();
        go.get_future().wait();
        ++ran;
      },
      1);
  threads->Run([&ran, held] { ++ran; }, 1);
  begun.get_future().wait();
  std::thread ender([&] { threads.reset(); });
  go.set_value();
  ender.join();
  // The second may have been taken before the end was asked for.
  EXPECT_GE(ran.load(), 1);
  EXPECT_EQ(held.use_count(), 1) << "a job holds nothing any more";
}

}  // namespace
}  // namespace nearside::edge
