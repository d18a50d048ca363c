#include "geodns/handover.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdlib>

#include "tests/net/loop_thread.h"

namespace nearside::geodns {
namespace {

class HandoverTest : public testing::Test {
 protected:
  ~HandoverTest() override {
    thread_.Call([&] { handover_.reset(); });
  }
  void Start(const std::string& program, const std::vector<std::string>& arguments,
             milliseconds patience) {
    thread_.Call([&] {
      auto started = Handover::Start(thread_.loop(), program, arguments, {}, patience,
                                     {.on_ready = [&] { why_ = "ready"; },
                                      .on_failed =
                                          [&](const std::string& why) {
                                            why_ = why;
                                            handover_.reset();
                                          }});
      ASSERT_TRUE(started) << started.error().message;
      handover_ = std::move(*started);
      pid_ = handover_->pid();
    });
  }
  std::string Why() {
    EXPECT_TRUE(thread_.Await([&] { return !why_.empty(); }));
    return thread_.Call([&] { return why_; });
  }
  bool IsGone() const { return kill(pid_, 0) != 0 && errno == ESRCH; }

  net::LoopThread thread_;
  std::unique_ptr<Handover> handover_;
  std::string why_;
  pid_t pid_ = 0;
};

TEST_F(HandoverTest, OneThatHangsIsKilledAndSaidSo) {
  Start("/bin/sleep", {"1000"}, milliseconds(100));
  EXPECT_EQ(Why(), "it did not answer within 100ms and was killed");
  EXPECT_TRUE(IsGone());
}

TEST_F(HandoverTest, OneThatEndsIsSaidSo) {
  Start("/bin/false", {}, seconds(1000));
  EXPECT_EQ(Why(), "it ended with exit code 1");
}

TEST_F(HandoverTest, OneThatIsNotWantedAnyMoreIsEnded) {
  Start("/bin/sleep", {"1000"}, seconds(1000));
  thread_.Call([&] { handover_->Abandon(); });
  EXPECT_EQ(Why(), "it was killed by signal 15");
}

TEST_F(HandoverTest, OneThatNeverAnsweredEndsWithWhoStartedIt) {
  Start("/bin/sleep", {"1000"}, seconds(1000));
  thread_.Call([&] { handover_.reset(); });
  EXPECT_TRUE(IsGone());
}

TEST(InheritedSocketsTest, WhoAnswersLearnsWhetherAnybodyStillWaits) {
  std::signal(SIGPIPE, SIG_IGN);  // as the daemon
  for (bool waits : {true, false}) {
    std::array<int, 2> ends;
    ASSERT_EQ(pipe2(ends.data(), O_CLOEXEC), 0);
    setenv("NEARSIDE_SOCKETS", (std::to_string(ends[1]) + ":").c_str(), 1);
    InheritedSockets inherited = InheritedSockets::FromEnvironment();
    if (!waits) close(ends[0]);
    EXPECT_EQ(inherited.TellReady(), waits);
    EXPECT_TRUE(inherited.TellReady()) << "once";
    char byte = 0;
    if (waits) {
      EXPECT_EQ(read(ends[0], &byte, 1), 1);
      close(ends[0]);
    }
  }
  EXPECT_TRUE(InheritedSockets().TellReady()) << "nobody started us";
}

}  // namespace
}  // namespace nearside::geodns
