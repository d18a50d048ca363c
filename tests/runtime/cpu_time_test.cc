#include "runtime/cpu_time.h"

#include <gtest/gtest.h>

#include <thread>

#include "runtime/clock.h"

namespace nearside {
namespace {

TEST(CpuTimeTest, CountsWorkAndNotSleep) {
  const auto start = ThreadCpuTime();
  std::this_thread::sleep_for(milliseconds(50));
  EXPECT_LT(ThreadCpuTime() - start, milliseconds(25));
  volatile uint64_t sum = 0;
  while (ThreadCpuTime() - start < milliseconds(60)) sum = sum + 1;
  EXPECT_GE(ThreadCpuTime() - start, milliseconds(60)) << "it goes on while there is work";
}

TEST(CpuTimeTest, IsTheThreadsOwn) {
  const auto start = ThreadCpuTime();
  std::thread([] {
    const auto begun = ThreadCpuTime();
    while (ThreadCpuTime() - begun < milliseconds(50)) {
    }
  }).join();
  EXPECT_LT(ThreadCpuTime() - start, milliseconds(25));
}

}  // namespace
}  // namespace nearside
