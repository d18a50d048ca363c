#include "origin/access_log.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/temp_dir.h"

namespace nearside::origin {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

const WallTime kNow = FromUnixMillis(1'800'000'000'000);

class OriginAccessEntryTest : public testing::Test {
 protected:
  OriginAccessEntryTest() {
    request_.method = "GET";
    request_.authority = "www.demo.test";
    request_.target = "/a?b=c";
    request_.fields = {{"x-request-id", "2a-17"}};
  }
  AccessEntry Entry() const {
    return {.kind = "visitor",
            .client = "192.0.2.7",
            .request = request_,
            .status = 200,
            .reason = "",
            .received_bytes = 3,
            .sent_bytes = 12'345'678'901,
            .duration = milliseconds(12),
            .complete = true};
  }
  http::RequestHead request_;
};

TEST_F(OriginAccessEntryTest, IsOneLineOfJsonWithTheIdThatCame) {
  EXPECT_EQ(FormatEntry(Entry(), kNow, "own"),
            R"({"time":"2027-01-15T08:00:00.000Z","id":"2a-17","kind":"visitor",)"
            R"("client":"192.0.2.7","method":"GET","host":"www.demo.test","target":"/a?b=c",)"
            R"("status":200,"received_bytes":3,"bytes":12345678901,"duration_ms":12,)"
            R"("complete":true})"
            "\n");
}

TEST_F(OriginAccessEntryTest, SaysWhyAnErrorCame) {
  AccessEntry entry = Entry();
  entry.status = 503;
  entry.reason = "busy";
  EXPECT_THAT(FormatEntry(entry, kNow, "own"), HasSubstr(R"("complete":true,"reason":"busy"})"));
}

TEST_F(OriginAccessEntryTest, WhatIsNoIdGivesWayToOurOwn) {
  request_.fields = {{"x-request-id", "\"}"}};
  EXPECT_THAT(FormatEntry(Entry(), kNow, "own"), HasSubstr(R"("id":"own")"));
  request_.fields = {};
  EXPECT_THAT(FormatEntry(Entry(), kNow, "own"), HasSubstr(R"("id":"own")"));
}

TEST_F(OriginAccessEntryTest, WhatClientsSendStaysOneLineOfValidText) {
  request_.target = "/\"\\\n\x01\xff" + std::string(5000, 'x');
  request_.authority = "\xed\xa0\x80";
  const std::string line = FormatEntry(Entry(), kNow, "own");
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  EXPECT_THAT(line, HasSubstr(R"("target":"/\"\\\n\u0001)"));
  EXPECT_THAT(line, Not(HasSubstr("\xff")));
  EXPECT_LT(line.size(), 3000u);
}

TEST_F(OriginAccessEntryTest, ALogThatIsOffWritesNothingAndOneThatIsOnALineARequest) {
  nearside::test::TempDir dir;
  const std::string file = dir.In("access.log");
  request_.fields = {};
  {
    AccessLog off(std::move(*LineLog::Open("off")));
    EXPECT_FALSE(off.enabled());
    off.Add(Entry());
    AccessLog on(std::move(*LineLog::Open(file)));
    on.Add(Entry());
    on.Add(Entry());
  }
  std::istringstream lines(dir.Read("access.log"));
  std::string first, second, third;
  ASSERT_TRUE(std::getline(lines, first) && std::getline(lines, second));
  EXPECT_FALSE(std::getline(lines, third));
  EXPECT_NE(nlohmann::json::parse(first)["id"], nlohmann::json::parse(second)["id"]);
}

}  // namespace
}  // namespace nearside::origin
