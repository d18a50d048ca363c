// The edge as one of several on the way: what it says behind the others, and that it does not ask
// itself.

#include <thread>

#include "tests/edge/request_fixture.h"

namespace nearside::edge {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class RequestChainTest : public RequestTest {
 protected:
  /// Cache-Status whole, without the seconds to live.
  std::string StatusOf(FakeExchange& exchange) {
    std::string status = exchange.Field("cache-status");
    if (const size_t ttl = status.find("; ttl="); ttl != std::string::npos) {
      const size_t end = status.find_first_not_of("-0123456789", ttl + 6);
      status.erase(ttl, end == std::string::npos ? end : end - ttl);
    }
    return status;
  }
};

// RFC 9111 §4, §5.1.
TEST_F(RequestChainTest, TheAgeOfAHitTakesThePlaceOfTheOneThatCame) {
  Start();
  FakeExchange& miss = Get("/a");
  origin_.Next().Answer("200 OK", std::string(kMinute) + "Age: 20\nAge: 3\n", "hello");
  Answer(miss);
  EXPECT_THAT(miss.Field("age"), testing::MatchesRegex("[2-5][0-9]"));
  std::this_thread::sleep_for(milliseconds(1100));
  FakeExchange& hit = Get("/a");
  EXPECT_EQ(Answer(hit), "200 hit|hello");
  EXPECT_THAT(hit.Field("age"), testing::MatchesRegex("[2-5][0-9]"));
  EXPECT_GT(hit.Field("age"), miss.Field("age"));
}

// RFC 9211 §2.
TEST_F(RequestChainTest, OurCacheStatusComesBehindTheOnesBefore) {
  Start();
  FakeExchange& miss = Get("/a");
  origin_.Next().Answer("200 OK", std::string(kMinute) + "Cache-Status: shield; hit\n", "hello");
  Answer(miss);
  EXPECT_EQ(StatusOf(miss), "shield; hit, \"frankfurt\"; fwd=uri-miss; fwd-status=200; stored");
  FakeExchange& hit = Get("/a");
  Answer(hit);
  EXPECT_EQ(StatusOf(hit), "shield; hit, \"frankfurt\"; hit");
  FakeExchange& part = Get("/a", {{"range", "bytes=0-0"}});
  Answer(part);
  EXPECT_EQ(StatusOf(part), "shield; hit, \"frankfurt\"; hit");
}

TEST_F(RequestChainTest, ACacheStatusThatIsNoListIsLeftOut) {
  Start();
  for (int i = 0; i < 2; ++i) {
    FakeExchange& client = Get("/a");
    if (i == 0) {
      origin_.Next().Answer("200 OK", std::string(kMinute) + "Cache-Status: HIT from, (x\n", "");
    }
    Answer(client);
    EXPECT_THAT(client.Field("cache-status"), StartsWith("\"frankfurt\"; "));
  }
}

TEST_F(RequestChainTest, TheKeyIsToldWhereASiteWantsIt) {
  Start("cache_status_key = true\n");
  Fill("/a?b=%7e", kMinute, "hello");
  FakeExchange& hit = Get("/a?b=~");
  Answer(hit);
  EXPECT_EQ(StatusOf(hit), "\"frankfurt\"; hit; key=\"https://www.demo.test/a?b=~\"");
}

TEST_F(RequestChainTest, AnErrorTellsWhatTheRequestWasSentOnFor) {
  Start("origin_timeout = \"2s\"\nstale_if_error = \"0s\"\n");
  Fill("/a", "Cache-Control: max-age=60\nAge: 100\nETag: \"v\"\n", "old");
  FakeExchange& stale = Get("/a");
  origin_.Next();
  EXPECT_THAT(Answer(stale), StartsWith("504 fwd=stale; detail=origin_timeout|"));
  FakeExchange& other = Ask(RequestFor("DELETE", "https://www.demo.test/a"));
  origin_.Next();
  EXPECT_THAT(Answer(other), StartsWith("504 fwd=method; detail=origin_timeout|"));
}

// RFC 9110 §7.6.3.
TEST_F(RequestChainTest, ViaIsAppendedBothWays) {
  Start();
  FakeExchange& miss = Get("/a", {{"via", "1.1 proxy"}});
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_THAT(asked.head(), HasSubstr("via: 1.1 proxy\r\n"));
  EXPECT_THAT(asked.head(), HasSubstr("via: 2.0 frankfurt\r\n"));
  asked.Answer("200 OK", std::string(kMinute) + "Via: 1.1 shield\n", "hello");
  Answer(miss);
  EXPECT_EQ(miss.Field("via"), "1.1 shield, 1.1 frankfurt");
  FakeExchange& hit = Get("/a");
  Answer(hit);
  EXPECT_EQ(hit.Field("via"), "1.1 shield, 1.1 frankfurt");
}

TEST_F(RequestChainTest, ViaTellsThatTheOriginSpeaksHttp10) {
  Start();
  FakeExchange& miss = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send(
      "HTTP/1.0 200 OK\r\nCache-Control: max-age=60\r\nAge: 100\r\nETag: \"v\"\r\n"
      "Content-Length: 5\r\n\r\nhello");
  Answer(miss);
  EXPECT_EQ(miss.Field("via"), "1.0 frankfurt");
  FakeExchange& validated = Get("/a");
  origin_.Next().Answer("304 Not Modified", kMinute, "");
  EXPECT_EQ(Answer(validated), "200 fwd=stale; fwd-status=304; detail=validated|hello");
  EXPECT_EQ(validated.Field("via"), "1.1 frankfurt");
}

TEST_F(RequestChainTest, ServerAndDateAreTheOriginsAndADateIsAddedWhereItIsMissing) {
  Start();
  FakeExchange& client = Get("/a");
  const std::string date = http::FormatDate(WallNow() - seconds(5));
  origin_.Next().Answer("200 OK", "Server: theirs\nDate: " + date + "\n", "hello");
  Answer(client);
  EXPECT_EQ(client.Field("server"), "theirs");
  EXPECT_EQ(client.Field("date"), date);
  FakeExchange& undated = Get("/b");
  origin_.Next().Answer("200 OK", "", "hello");
  Answer(undated);
  EXPECT_TRUE(http::ParseDate(undated.Field("date"), WallNow()).has_value());
  EXPECT_EQ(undated.Field("server"), "");
}

TEST_F(RequestChainTest, WhatComesBackIsNotSentOnAgain) {
  Start();
  const http::Fields looped = {{"via", "2.0 frankfurt"}, {"cdn-loop", "frankfurt"}};
  for (const std::string_view method : {"GET", "HEAD", "POST", "OPTIONS"}) {
    FakeExchange& client = Ask(RequestFor(method, "https://www.demo.test/a", http::Fields(looped)));
    EXPECT_THAT(Answer(client), StartsWith("508 detail=loop_detected|")) << method;
  }
  EXPECT_THAT(Answer(Get("/a", {{"cdn-loop", "frankfurt"}})), StartsWith("508 "));
  EXPECT_EQ(origin_.count(), 0u);
  EXPECT_EQ(Counted(Reason::kLoop), 5u);
  // What is in the cache needs no way to the origin.
  Fill("/a", kMinute, "hello");
  EXPECT_EQ(Answer(Get("/a", http::Fields(looped))), "200 hit|hello");
}

TEST_F(RequestChainTest, AsManyPassagesAsAreAllowedAreNoLoop) {
  Start("[limits]\nmax_hops = 2\n");
  EXPECT_EQ(Fill("/a", kMinute, "hello", {{"via", "2.0 frankfurt"}}),
            "200 fwd=uri-miss; fwd-status=200; stored|hello");
  EXPECT_THAT(Answer(Get("/b", {{"via", "2.0 frankfurt, 1.1 x, 1.1 frankfurt"}})),
              StartsWith("508 "));
}

}  // namespace
}  // namespace nearside::edge
