#include "origin/pool.h"

#include <gtest/gtest.h>

#include <future>

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
