// Reader threads whose reads hang: jobs are answered all the same, once, and Stop comes back.
//
// A pool is declared after all that its jobs use: Stop may call a job that is just returning again.

#include "storage/read_pool.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <mutex>

#include "tests/storage/cache_fixture.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage {
namespace {

/// Where a read hangs until the test lets it go.
class Hang {
 public:
  void Wait() {
    std::unique_lock lock(mutex_);
    ++waiting_;
    changed_.notify_all();
    changed_.wait(lock, [this] { return released_; });
  }
  void AwaitWaiting() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return waiting_ > 0; });
  }
  void Release() {
    const std::lock_guard lock(mutex_);
    released_ = true;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int waiting_ = 0;
  bool released_ = false;
};

/// Until its thread runs: a job's patience begins when it is pushed.
void AwaitThread(ReadPool* pool) {
  TestExecutor executor;
  while (!pool->Push([&](ReadSession* session) {
    executor.Post([] {});
    return session != nullptr;
  })) {
  }
  ASSERT_TRUE(executor.RunOne());
}

TEST(ReadPoolTest, SuspendWaitsForRunningJobsAndHasSnapshotsDropped) {
  test::TempDir folder;
  auto disk = StoreDisk::Open({.path = folder.In("cache"), .disk = 16_MiB}).value();
  TestExecutor executor;
  ReadPool pool(*disk, {.threads = 2, .most_waiting = 4});
  const auto look = [&](ReadSession* session) {
    const bool read = session != nullptr &&
                      session->WithHeads([](const LmdbTxn&) -> Status { return {}; }).has_value();
    executor.Post([read] { EXPECT_TRUE(read); });
    return true;
  };
  ASSERT_TRUE(pool.Push(look));
  ASSERT_TRUE(executor.RunOne());
  ASSERT_TRUE(pool.Suspend(seconds(30)));
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(pool.Push(look));
  EXPECT_FALSE(pool.Push(look)) << "the queue's bound holds while it is suspended";
  EXPECT_EQ(pool.length(), 4u);
  ASSERT_TRUE(
      disk->StartOver("the test says so"));  // with a snapshot left this would be use after free
  pool.Resume();
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(executor.RunOne());
}

TEST(ReadPoolTest, AJobThatHangsIsCalledOnceMoreWithoutASession) {
  test::TempDir folder;
  const auto disk = std::move(*StoreDisk::Open({.path = folder.In("cache"), .disk = 16_MiB}));
  std::mutex mutex;
  std::condition_variable changed;
  bool released = false;
  std::string calls;
  ReadPool pool(*disk, {.threads = 1, .most_waiting = 4, .patience = seconds(2)});
  AwaitThread(&pool);
  ASSERT_TRUE(pool.Push([&](ReadSession* session) {
    std::unique_lock lock(mutex);
    calls += session != nullptr ? "session " : "given-up ";
    changed.notify_all();
    if (session != nullptr) changed.wait(lock, [&] { return released; });
    return session == nullptr;
  }));
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return calls == "session given-up "; });
  }
  EXPECT_FALSE(pool.Push([](ReadSession*) { return true; })) << "no thread moves";
  {
    const std::lock_guard lock(mutex);
    released = true;
    changed.notify_all();
  }
  pool.Stop();
  EXPECT_EQ(calls, "session given-up ");
  EXPECT_EQ(pool.timed_out(), 1u);
}

TEST(ReadPoolTest, SuspendGivesUpOnAJobThatHangs) {
  test::TempDir folder;
  auto disk = StoreDisk::Open({.path = folder.In("cache"), .disk = 16_MiB}).value();
  std::mutex mutex;
  mutex.lock();
  TestExecutor executor;
  ReadPool pool(*disk, {.threads = 1, .most_waiting = 4});
  ASSERT_TRUE(pool.Push([&](ReadSession*) {
    executor.Post([] {});
    const std::lock_guard lock(mutex);
    return true;
  }));
  ASSERT_TRUE(executor.RunOne());
  EXPECT_FALSE(pool.Suspend(milliseconds(1)));
  mutex.unlock();
  ASSERT_TRUE(pool.Push([&](ReadSession*) {
    executor.Post([] {});
    return true;
  }));
  EXPECT_TRUE(executor.RunOne()) << "it goes on";
}

TEST(ReadPoolTest, AJobThatAnswersInTheInstantItIsGivenUpHasNotTimedOut) {
  test::TempDir folder;
  const auto disk = std::move(*StoreDisk::Open({.path = folder.In("cache"), .disk = 16_MiB}));
  Hang hang;
  std::atomic<bool> answered{false};
  TestExecutor executor;
  ReadPool pool(*disk, {.threads = 1, .most_waiting = 4, .patience = seconds(2)});
  AwaitThread(&pool);
  ASSERT_TRUE(pool.Push([&](ReadSession* session) {
    if (session != nullptr) {
      answered = true;
      hang.Wait();  // between the answer and the pool's hearing of it
      return true;
    }
    const bool first = !answered.exchange(true);
    executor.Post([] {});
    return first;
  }));
  ASSERT_TRUE(executor.RunOne());
  hang.Release();
  pool.Stop();
  EXPECT_EQ(pool.timed_out(), 0u);
}

TEST(ReadPoolTest, StopAnswersWhatRunsAndWhatWaitsBeforeItWaits) {
  test::TempDir folder;
  const auto disk = std::move(*StoreDisk::Open({.path = folder.In("cache"), .disk = 16_MiB}));
  Hang hang;
  std::atomic<int> given_up{0};
  TestExecutor executor;
  ReadPool pool(*disk, {.threads = 1, .most_waiting = 4, .patience = std::chrono::hours(1)});
  const auto job = [&](ReadSession* session) {
    if (session != nullptr) {
      hang.Wait();
      return false;
    }
    ++given_up;
    executor.Post([] {});
    return true;
  };
  ASSERT_TRUE(pool.Push(job));
  hang.AwaitWaiting();
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pool.Push(job));
  std::thread stopping([&] { pool.Stop(); });
  bool all = true;
  for (int i = 0; i < 4; ++i) all = all && executor.RunOne();  // while the first one hangs
  EXPECT_TRUE(all);
  EXPECT_FALSE(pool.Push(job));
  hang.Release();
  stopping.join();
  EXPECT_EQ(given_up, 4) << "each once";
  EXPECT_EQ(pool.timed_out(), 0u) << "closing is no timeout";
}

TEST(ReadPoolTest, StopLeavesAReaderBehindThatHangsAndWhatItUsesWithIt) {
  test::TempDir folder;
  std::shared_ptr<StoreDisk> disk =
      StoreDisk::Open({.path = folder.In("cache"), .disk = 16_MiB}).value();
  const std::weak_ptr<StoreDisk> watched = disk;
  Hang hang;
  TestExecutor executor;
  std::atomic<bool> answered{false};
  {
    ReadPool pool(*disk, {.threads = 2, .most_waiting = 4, .stop_patience = milliseconds(50)},
                  disk);
    ASSERT_TRUE(pool.Push([&](ReadSession* session) {
      if (session == nullptr) return !answered.exchange(true);
      const Status read = session->WithChunks([&](const LmdbTxn&) -> Status {
        hang.Wait();
        return {};
      });
      const bool abandoned = session->abandoned() && !read && read.error().reason == "closed";
      const Status next = session->WithHeads([](const LmdbTxn&) -> Status { return {}; });
      executor.Post([abandoned, next] {
        EXPECT_TRUE(abandoned) << "the job is told that nobody waits";
        EXPECT_FALSE(next);
      });
      return false;
    }));
    hang.AwaitWaiting();
    pool.Stop();
    EXPECT_TRUE(answered);
    EXPECT_FALSE(pool.Suspend(milliseconds(1))) << "one still holds the environments";
  }
  disk.reset();
  EXPECT_FALSE(watched.expired());
  hang.Release();
  ASSERT_TRUE(executor.RunOne());
  const MonoTime deadline = MonoNow() + seconds(30);
  while (!watched.expired() && MonoNow() < deadline) std::this_thread::yield();
  EXPECT_TRUE(watched.expired()) << "with the read the rest ends";
}

TEST(ReadPoolTest, StopWaitsForAJobThatHangsOutsideOfARead) {
  test::TempDir folder;
  const auto disk = std::move(*StoreDisk::Open({.path = folder.In("cache"), .disk = 16_MiB}));
  Hang hang;
  std::atomic<bool> ended{false};
  ReadPool pool(*disk, {.threads = 1, .most_waiting = 4, .stop_patience = milliseconds(1)});
  ASSERT_TRUE(pool.Push([&](ReadSession* session) {
    if (session == nullptr) return true;
    hang.Wait();
    ended = true;
    return false;
  }));
  hang.AwaitWaiting();
  std::atomic<bool> stopped{false};
  std::thread stopping([&] {
    pool.Stop();
    EXPECT_TRUE(ended) << "it may use what the owner of the pool destroys next";
    stopped = true;
  });
  std::this_thread::sleep_for(milliseconds(100));  // longer than the patience, several looks
  EXPECT_FALSE(stopped);
  hang.Release();
  stopping.join();
}

}  // namespace
}  // namespace nearside::storage
