#include "geodns/handover.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
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
      const auto on_failed = [&](const std::string& why) {
        why_ = why;
        handover_.reset();
      };
      auto started = Handover::Start(thread_.loop(),
                                     {.program = program,
                                      .arguments = arguments,
                                      .sockets = {},
                                      .cookie_secret = {'s', 'e', 'c', 'r', 'e', 't'},
                                      .patience = patience},
                                     {.on_ready = [&] { why_ = "ready"; }, .on_failed = on_failed});
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

TEST_F(HandoverTest, OneThatCannotBeStartedHarmsNobody) {
  thread_.Call([&] {
    auto started = Handover::Start(thread_.loop(),
                                   {.program = "/no/such/program", .patience = seconds(1000)}, {});
    ASSERT_FALSE(started);
    EXPECT_EQ(started.error().reason, "ENOENT");
  });
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

TEST_F(HandoverTest, OneIsToldTheSecretAndTellsWhenItAnswers) {
  // Answers when it has read what it should.
  Start("/bin/bash",
        {"-c",
         "pair=${NEARSIDE_SOCKETS%%:*}; secret=$(head -c 16 <&$pair | tr -d '\\0'); "
         "[ $secret = secret ] && printf R >&$pair; exec sleep 1000"},
        seconds(1000));
  EXPECT_EQ(Why(), "ready");
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

TEST(InheritedSocketsTest, TheSecretOfTheProcessBeforeIsTaken) {
  const dns::CookieSecret secret = {1, 2, 3};
  for (const size_t told : {secret.size(), size_t{0}, secret.size() - 1}) {
    std::array<int, 2> ends;
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends.data()), 0);
    ASSERT_EQ(write(ends[0], secret.data(), told), static_cast<ssize_t>(told));
    setenv("NEARSIDE_SOCKETS", (std::to_string(ends[1]) + ":").c_str(), 1);
    const InheritedSockets inherited = InheritedSockets::FromEnvironment();
    EXPECT_EQ(inherited.cookie_secret().has_value(), told == secret.size()) << told;
    if (told == secret.size()) {
      EXPECT_EQ(*inherited.cookie_secret(), secret);
    }
    close(ends[0]);
  }
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
