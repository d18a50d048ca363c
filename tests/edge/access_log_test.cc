#include "edge/access_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>

#include "tests/edge/messages.h"
#include "tests/net/loop_thread.h"
#include "tests/support/temp_dir.h"

namespace nearside::edge {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

AccessEntry Entry() {
  return {.time = kNow,
          .id = "2a-17",
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
            R"({"time":"2027-01-15T08:00:00.000Z","id":"2a-17","client":"2001:db8::1",)"
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

class AccessBufferTest : public testing::Test {
 protected:
  std::unique_ptr<LineLog> Open() {
    return std::move(LineLog::Open(dir_.In("access.log")).value());
  }
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
  test::TempDir dir_;
  std::unique_ptr<LineLog> log_ = Open();
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
  log_ = Open();
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
