#include "runtime/line_log.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <sstream>
#include <thread>
#include <vector>

#include "tests/support/temp_dir.h"

namespace nearside {
namespace {

class LineLogTest : public testing::Test {
 protected:
  std::unique_ptr<LineLog> Open(const std::string& target) {
    return std::move(LineLog::Open(target).value());
  }
  test::TempDir dir_;
  const std::string path_ = dir_.In("access.log");
};

TEST_F(LineLogTest, OffIsOff) {
  EXPECT_FALSE(Open("off")->enabled());
  EXPECT_TRUE(Open("stdout")->enabled());
}

TEST_F(LineLogTest, AFileThatCannotBeOpenedIsNamed) {
  const auto log = LineLog::Open(dir_.In("none/access.log"));
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().ToString(),
            "expected \"off\", \"stdout\" or a file that can be written, got \"" +
                dir_.In("none/access.log") + "\": No such file or directory (bad_access_log)");
  EXPECT_EQ(log.error().fault, Fault::kOperator);
}

TEST_F(LineLogTest, LinesAreWrittenInOrderBeforeItsEnd) {
  dir_.Write("access.log", "old\n");
  auto log = Open(path_);
  EXPECT_TRUE(log->enabled());
  log->Write("a\nb\n");
  log->Write("c\n");
  log.reset();
  EXPECT_EQ(dir_.Read("access.log"), "old\na\nb\nc\n");
}

TEST_F(LineLogTest, AFileOfOursIsNotForEveryone) {
  Open(path_).reset();
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0007, 0u);
}

TEST_F(LineLogTest, ReopenLeavesTheRotatedFileBehind) {
  auto log = Open(path_);
  log->Write("before\n");
  std::filesystem::rename(path_, dir_.In("access.log.1"));
  log->Reopen();
  while (!std::filesystem::exists(path_)) std::this_thread::yield();
  log->Write("after\n");
  log.reset();
  EXPECT_EQ(dir_.Read("access.log.1"), "before\n");
  EXPECT_EQ(dir_.Read("access.log"), "after\n");
}

TEST_F(LineLogTest, WhenTheNewFileCannotBeOpenedTheOldOneGoesOn) {
  std::filesystem::create_directory(dir_.In("logs"));
  auto log = Open(dir_.In("logs/access.log"));
  std::filesystem::rename(dir_.In("logs"), dir_.In("moved"));
  log->Reopen();
  log->Write("still\n");
  log.reset();
  EXPECT_EQ(dir_.Read("moved/access.log"), "still\n");
}

TEST_F(LineLogTest, WhatCannotBeWrittenIsCounted) {
  auto log = Open("/dev/full");
  log->Write("a\n");
  while (log->dropped() == 0) std::this_thread::yield();
  EXPECT_EQ(log->dropped(), 1u);
}

TEST_F(LineLogTest, BeyondTheQueuesLimitLinesAreDroppedAndCountedAndNobodyWaits) {
  ASSERT_EQ(::mkfifo(path_.c_str(), 0600), 0);
  const int reader = ::open(path_.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  ASSERT_GE(reader, 0);
  auto log = Open(path_);
  constexpr size_t kBatch = 1 << 20, kBatches = 40;  // the pipe holds 64 KiB, the queue 16 MiB
  const std::string line = std::string(kBatch - 1, 'x') + "\n";
  for (size_t i = 0; i < kBatches; ++i) log->Write(line);
  const uint64_t dropped = log->dropped();
  // The writer has taken what was queued once at most.
  EXPECT_GE(dropped, kBatches - 32);
  EXPECT_LE(dropped, kBatches - 16);
  std::thread end([&] { log.reset(); });
  size_t read_bytes = 0, lines = 0;
  std::string buffer(1 << 20, '\0');
  while (true) {
    const ssize_t got = ::read(reader, buffer.data(), buffer.size());
    if (got == 0) break;
    if (got < 0) {
      ASSERT_EQ(errno, EAGAIN);
      std::this_thread::yield();
      continue;
    }
    read_bytes += static_cast<size_t>(got);
    lines += static_cast<size_t>(std::count(buffer.begin(), buffer.begin() + got, '\n'));
  }
  end.join();
  ::close(reader);
  EXPECT_EQ(lines, kBatches - dropped);
  EXPECT_EQ(read_bytes, (kBatches - dropped) * kBatch);
}

TEST_F(LineLogTest, WritersOnSeveralThreadsNeverShareALine) {
  constexpr int kThreads = 4, kLines = 2000;
  auto log = Open(path_);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kLines; ++i) {
        log->Write("t" + std::to_string(t) + " " + std::to_string(i) + "\n");
        if (i % 500 == 0) log->Reopen();
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  log.reset();
  std::vector<int> next(kThreads);
  std::istringstream lines(dir_.Read("access.log"));
  for (std::string line; std::getline(lines, line);) {
    ASSERT_GE(line.size(), 4u);
    const auto thread = static_cast<size_t>(line[1] - '0');
    ASSERT_LT(thread, next.size());
    EXPECT_EQ(line.substr(3), std::to_string(next[thread]++));
  }
  for (int count : next) EXPECT_EQ(count, kLines);
}

}  // namespace
}  // namespace nearside
