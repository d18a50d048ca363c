#include "net/worker_group.h"

#include <gtest/gtest.h>

#include <atomic>
#include <set>

#include "runtime/signals.h"

namespace nearside::net {
namespace {

TEST(WorkerGroupTest, EachLoopRunsOnAThreadOfItsOwnAfterItsSetup) {
  auto group = std::move(*WorkerGroup::Create(4));
  ASSERT_EQ(group->size(), 4u);
  std::vector<std::thread::id> setup_on(4);
  std::vector<std::thread::id> task_on(4);
  for (size_t i = 0; i < 4; ++i) {
    group->loop(i).Post([&, i] { task_on[i] = std::this_thread::get_id(); });
  }
  group->Start([&](size_t i) { setup_on[i] = std::this_thread::get_id(); });
  group->Stop();
  EXPECT_EQ(setup_on, task_on);
  EXPECT_EQ(std::set<std::thread::id>(setup_on.begin(), setup_on.end()).size(), 4u);
}

TEST(WorkerGroupTest, TasksCrossBetweenWorkers) {
  auto group = std::move(*WorkerGroup::Create(3));
  std::atomic<int> hops = 0;
  std::function<void(size_t)> hop = [&](size_t at) {
    if (++hops < 3000) {
      size_t next = (at + 1) % group->size();
      group->loop(next).Post([&hop, next] { hop(next); });
    }
  };
  group->Start([&](size_t i) {
    if (i == 0) hop(0);
  });
  while (hops < 3000) std::this_thread::yield();
  group->Stop();
  EXPECT_EQ(hops, 3000);
}

TEST(WorkerGroupTest, StopsWithoutHavingStartedAndTwice) {
  auto group = std::move(*WorkerGroup::Create(2));
  group->Stop();
  group->Stop();
  auto started = std::move(*WorkerGroup::Create(0));
  EXPECT_EQ(started->size(), 1u);
  started->Start(nullptr);
  started.reset();  // the destructor joins
}

}  // namespace
}  // namespace nearside::net
