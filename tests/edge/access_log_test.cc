#include "edge/access_log.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <sstream>
#include <thread>

#include "tests/edge/messages.h"
#include "tests/net/loop_thread.h"
#include "tests/support/temp_dir.h"

namespace nearside::edge {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

AccessEntry Entry() {
  return {.time = kNow,
          .id = 17,
          .client = "2001:db8::1",
          .version = http::Version::kHttp2,
          .method = "GET",
          .scheme = "https",
          .authority = "www.demo.test:8443",
          .target = "/a?b=c",
          .site = "demo",
          .status = 200,
          .reason = Reason::kStaleIfError,
          .body_bytes = 12'345'678'901,
          .duration = milliseconds(12),
          .complete = true,
          .ended = ""};
}

TEST(AccessEntryTest, IsOneLineOfJson) {
  EXPECT_EQ(FormatEntry(Entry()),
            R"({"time":"2027-01-15T08:00:00.000Z","id":17,"client":"2001:db8::1",)"
            R"("protocol":"HTTP/2","method":"GET","scheme":"https","host":"www.demo.test:8443",)"
            R"("target":"/a?b=c","site":"demo","status":200,"result":"stale",)"
            R"("reason":"stale_if_error","bytes":12345678901,"duration_ms":12,"complete":true})"
            "\n");
}

TEST(AccessEntryTest, SaysWhyAnAnswerWasNotWhole) {
  AccessEntry entry = Entry();
  entry.complete = false;
  entry.ended = "client_reset";
  EXPECT_THAT(FormatEntry(entry), HasSubstr(R"("complete":false,"ended":"client_reset"})"));
}

TEST(AccessEntryTest, WhatClientsSendStaysOneLineOfValidText) {
  AccessEntry entry = Entry();
  entry.target = "/\"\\\n\r\t\x01\x7f\xff\xc3(\xe2\x82";
  entry.method = std::string("G\0T", 3);
  entry.authority = "\xed\xa0\x80";  // a lone surrogate
  const std::string line = FormatEntry(entry);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_THAT(line, HasSubstr(R"("target":"/\"\\\n\r\t\u0001)"));
  EXPECT_THAT(line, HasSubstr(R"("method":"G\u0000T")"));
  EXPECT_THAT(line, HasSubstr("\xEF\xBF\xBD"));
  EXPECT_THAT(line, Not(HasSubstr("\xff")));
}

class AccessLogTest : public testing::Test {
 protected:
  std::unique_ptr<AccessLog> Open(const std::string& target) {
    return std::move(AccessLog::Open(target).value());
  }
  test::TempDir dir_;
  const std::string path_ = dir_.In("access.log");
};

TEST_F(AccessLogTest, OffIsOff) {
  EXPECT_FALSE(Open("off")->enabled());
  EXPECT_TRUE(Open("stdout")->enabled());
}

TEST_F(AccessLogTest, AFileThatCannotBeOpenedIsNamed) {
  const auto log = AccessLog::Open(dir_.In("none/access.log"));
  ASSERT_FALSE(log);
  EXPECT_EQ(log.error().ToString(),
            "edge.access_log: expected \"off\", \"stdout\" or a file that can be written, got \"" +
                dir_.In("none/access.log") + "\": No such file or directory (bad_access_log)");
  EXPECT_EQ(log.error().fault, Fault::kOperator);
}

TEST_F(AccessLogTest, LinesAreWrittenInOrderBeforeItsEnd) {
  dir_.Write("access.log", "old\n");
  auto log = Open(path_);
  EXPECT_TRUE(log->enabled());
  log->Write("a\nb\n");
  log->Write("c\n");
  log.reset();
  EXPECT_EQ(dir_.Read("access.log"), "old\na\nb\nc\n");
}

TEST_F(AccessLogTest, AFileOfOursIsNotForEveryone) {
  Open(path_).reset();
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0007, 0u);
}

TEST_F(AccessLogTest, ReopenLeavesTheRotatedFileBehind) {
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

TEST_F(AccessLogTest, WhenTheNewFileCannotBeOpenedTheOldOneGoesOn) {
  std::filesystem::create_directory(dir_.In("logs"));
  auto log = Open(dir_.In("logs/access.log"));
  std::filesystem::rename(dir_.In("logs"), dir_.In("moved"));
  log->Reopen();
  log->Write("still\n");
  log.reset();
  EXPECT_EQ(dir_.Read("moved/access.log"), "still\n");
}

TEST_F(AccessLogTest, WhatCannotBeWrittenIsCounted) {
  auto log = Open("/dev/full");
  log->Write("a\n");
  while (log->dropped() == 0) std::this_thread::yield();
  EXPECT_EQ(log->dropped(), 1u);
}

TEST_F(AccessLogTest, BeyondTheQueuesLimitLinesAreDroppedAndCountedAndNobodyWaits) {
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

TEST_F(AccessLogTest, WritersOnSeveralThreadsNeverShareALine) {
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

class AccessBufferTest : public AccessLogTest {
 protected:
  std::string Logged(int status) {
    AccessEntry entry = Entry();
    entry.status = status;
    return FormatEntry(entry);
  }
  void Add(int status) {
    AccessEntry entry = Entry();
    entry.status = status;
    buffer_->Add(entry);
  }
  std::unique_ptr<AccessLog> log_ = Open(path_);
  net::LoopThread thread_;
  std::unique_ptr<AccessBuffer> buffer_;
};

TEST_F(AccessBufferTest, HandsTheLinesOfATurnOverAtItsEnd) {
  thread_.Call([&] {
    buffer_ = std::make_unique<AccessBuffer>(thread_.loop(), *log_);
    EXPECT_TRUE(buffer_->enabled());
    Add(200);
    Add(404);
  });
  thread_.Call([] {});  // in a later turn
  log_.reset();
  EXPECT_EQ(dir_.Read("access.log"), Logged(200) + Logged(404));
  log_ = Open(path_);
  thread_.Call([&] { buffer_ = nullptr; });
}

TEST_F(AccessBufferTest, HandsOverWhatIsLeftAtItsEnd) {
  thread_.Call([&] {
    buffer_ = std::make_unique<AccessBuffer>(thread_.loop(), *log_);
    Add(200);
    buffer_.reset();
  });
  log_.reset();
  EXPECT_EQ(dir_.Read("access.log"), Logged(200));
}

}  // namespace
}  // namespace nearside::edge
