#include "runtime/signals.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <thread>

namespace nearside {
namespace {

bool Blocked(int signal) {
  sigset_t set;
  pthread_sigmask(SIG_BLOCK, nullptr, &set);
  return sigismember(&set, signal) == 1;
}

/// In a process of its own: the masks must not stay in the test program.
[[noreturn]] void ReportMasks() {
  BlockDaemonSignals();
  bool good = Blocked(SIGTERM) && Blocked(SIGINT) && Blocked(SIGHUP) && !Blocked(SIGSEGV);
  std::thread([&good] { good = good && Blocked(SIGTERM) && Blocked(SIGHUP); }).join();
  int ends[2];
  good = good && pipe(ends) == 0 && close(ends[0]) == 0;
  good = good && write(ends[1], "x", 1) == -1 && errno == EPIPE;  // and we are still here
  std::_Exit(good ? 0 : 1);
}

TEST(SignalsDeathTest, DaemonSignalsAreBlockedInEveryThreadAndAPipeCannotKill) {
  EXPECT_EXIT(ReportMasks(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace nearside
