#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include "net/worker_group.h"
#include "runtime/signals.h"

namespace nearside::net {
namespace {

/// Signals are the process's: blocked for the time of one test.
class SignalWatchTest : public testing::Test {
 protected:
  SignalWatchTest() {
    pthread_sigmask(SIG_SETMASK, nullptr, &before_);
    BlockDaemonSignals();
  }
  ~SignalWatchTest() override { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

  sigset_t before_{};
  std::unique_ptr<EventLoop> loop_ = std::move(*EventLoop::Create());
};

TEST_F(SignalWatchTest, TermAndIntTerminateAndHupReloads) {
  std::string order;
  auto watch = SignalWatch::Create(*loop_, {.on_terminate =
                                                [&] {
                                                  order += 'T';
                                                  if (order.size() == 3) loop_->Stop();
                                                },
                                            .on_reload =
                                                [&] {
                                                  order += 'R';
                                                  if (order.size() == 3) loop_->Stop();
                                                }});
  ASSERT_TRUE(watch.has_value());
  for (int number : {SIGTERM, SIGINT, SIGHUP}) kill(getpid(), number);
  loop_->Run();
  EXPECT_EQ(std::count(order.begin(), order.end(), 'T'), 2);
  EXPECT_EQ(std::count(order.begin(), order.end(), 'R'), 1);
}

TEST_F(SignalWatchTest, TheHandlerMayDestroyTheWatch) {
  std::unique_ptr<SignalWatch> watch;
  watch = std::move(*SignalWatch::Create(*loop_, {.on_terminate = [&] {
    watch.reset();
    loop_->Stop();
  }}));
  kill(getpid(), SIGTERM);
  loop_->Run();
  EXPECT_EQ(watch, nullptr);
}

TEST_F(SignalWatchTest, ASignalWithoutAHandlerIsIgnored) {
  auto watch = std::move(*SignalWatch::Create(*loop_, {.on_terminate = [&] { loop_->Stop(); }}));
  kill(getpid(), SIGHUP);
  kill(getpid(), SIGTERM);
  loop_->Run();
}

}  // namespace
}  // namespace nearside::net
