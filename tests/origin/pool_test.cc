#include "origin/pool.h"

#include <gtest/gtest.h>

#include <condition_variable>
#include <future>
#include <mutex>
#include <string>
#include <vector>

namespace nearside::origin {
namespace {

TEST(PoolTest, RunsAsManyAtOnceAsItHasThreadsAndQueuesTheRest) {
  Pool pool(2, 1);
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  std::promise<void> started[2];
  for (auto& start : started) {
    ASSERT_TRUE(pool.Submit([&start, released] {
      start.set_value();
      released.wait();
    }));
    start.get_future().wait();
  }
  EXPECT_EQ(pool.busy(), 2u);
  std::promise<void> third;
  EXPECT_TRUE(pool.Submit([&] { third.set_value(); }));
  EXPECT_EQ(pool.queued(), 1u);
  EXPECT_FALSE(pool.Submit([] { FAIL() << "the queue was full"; }));
  release.set_value();
  third.get_future().wait();
}

TEST(PoolTest, WhatIsDueHasRoomOfItsOwnBehindAFullQueue) {
  Pool pool(1, 1, 1);
  std::promise<void> release;
  std::promise<void> started;
  std::promise<void> due;
  ASSERT_TRUE(pool.Submit([&] {
    started.set_value();
    release.get_future().wait();
  }));
  started.get_future().wait();
  EXPECT_TRUE(pool.Submit([] {}));
  EXPECT_FALSE(pool.Submit([] { FAIL() << "the queue was full"; }));
  EXPECT_TRUE(pool.SubmitDue([&] { due.set_value(); }));
  EXPECT_FALSE(pool.SubmitDue([] { FAIL() << "that room is limited too"; }));
  release.set_value();
  due.get_future().wait();
}

/// Tasks that hold their threads until they are let go, and say who began.
class HeldTasks {
 public:
  std::function<void()> Task(const std::string& name) {
    return [this, name] {
      std::unique_lock lock(mutex_);
      begun_.push_back(name);
      changed_.notify_all();
      changed_.wait(lock, [&] { return released_ > 0; });
      --released_;
    };
  }
  std::vector<std::string> AwaitBegun(size_t count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return begun_.size() >= count; });
    return begun_;
  }
  void Release(size_t count) {
    std::lock_guard lock(mutex_);
    released_ += count;
    changed_.notify_all();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> begun_;
  size_t released_ = 0;
};

TEST(PoolTest, AClientHasHalfOfTheThreadsAndOfTheQueue) {
  HeldTasks held;
  Pool pool(4, 6);
  for (int i = 0; i < 2; ++i) ASSERT_TRUE(pool.Submit(held.Task("a"), "a"));
  (void)held.AwaitBegun(2);
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(pool.Submit(held.Task("a"), "a")) << i;
  EXPECT_EQ(pool.queued(), 3u);
  EXPECT_FALSE(pool.Submit(held.Task("a"), "a")) << "half of the queue is its";
  EXPECT_TRUE(pool.Submit(held.Task("b"), "b"));
  EXPECT_TRUE(pool.Submit(held.Task("nobody")));
  EXPECT_EQ(held.AwaitBegun(4).size(), 4u) << "the other threads are for others";
  EXPECT_EQ(pool.queued(), 3u);
  EXPECT_EQ(pool.busy(), 4u);
  held.Release(7);
  EXPECT_EQ(held.AwaitBegun(7).size(), 7u);
}

TEST(PoolTest, ClientsTakeTurns) {
  HeldTasks held;
  Pool pool(1, 100);
  EXPECT_TRUE(pool.Submit(held.Task("a"), "a"));
  (void)held.AwaitBegun(1);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(pool.Submit(held.Task("a"), "a"));
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(pool.Submit(held.Task("b"), "b"));
  held.Release(6);
  const std::vector<std::string> order = held.AwaitBegun(6);
  // The only thread is not kept from the only one who has work, and "a" has three of it first.
  EXPECT_EQ(std::vector<std::string>(order.begin(), order.begin() + 4),
            (std::vector<std::string>{"a", "b", "a", "b"}));
}

TEST(PoolTest, WhatHasNotBegunWhenItStopsIsDestroyedUnrun) {
  auto pool = std::make_unique<Pool>(1, 10);
  std::promise<void> release;
  std::promise<void> started;
  ASSERT_TRUE(pool->Submit([&] {
    started.set_value();
    release.get_future().wait();
  }));
  started.get_future().wait();
  auto token = std::make_shared<int>(1);
  bool ran = false;
  ASSERT_TRUE(pool->Submit([token, &ran] { ran = true; }));
  EXPECT_EQ(token.use_count(), 2);
  std::thread stopper([&] { pool->Stop(); });
  while (token.use_count() == 2) std::this_thread::yield();
  release.set_value();
  stopper.join();
  EXPECT_FALSE(ran);
  EXPECT_FALSE(pool->Submit([] {}));
}

}  // namespace
}  // namespace nearside::origin
