// What comes around an answer: interim responses before it, trailers behind it.

#include "tests/edge/patterns.h"
#include "tests/edge/request_fixture.h"

namespace nearside::edge {
namespace {

using ::testing::StartsWith;

constexpr std::string_view kHints =
    "HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\nConnection: x-hop\r\nX-Hop: "
    "1\r\nKeep-Alive: 5\r\n\r\n";
constexpr std::string_view kHintsSeen = "103\nlink: </a.css>; rel=preload\n";

class RequestInterimTest : public RequestTest {
 protected:
  bool AwaitInterims(FakeExchange& client, std::string_view interims) {
    return thread_.Await([&] { return client.interims == interims; });
  }
};

TEST_F(RequestInterimTest, TheyArePassedOnBeforeTheHeadIsThere) {
  Start();
  FakeExchange& client = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send(kHints);
  EXPECT_TRUE(AwaitInterims(client, kHintsSeen));
  EXPECT_EQ(On([&] { return client.status; }), 0);
  asked.Send("HTTP/1.1 102 Processing\r\n\r\n");
  EXPECT_TRUE(AwaitInterims(client, std::string(kHintsSeen) + "102\n"));
  asked.Answer("200 OK", kMinute, "hello");
  EXPECT_EQ(Answer(client), "200 fwd=uri-miss; fwd-status=200; stored|hello");
  EXPECT_FALSE(client.interims_late);
  EXPECT_EQ(client.Field("link"), "");
  EXPECT_EQ(Sum(node_->metrics.interims), 2u);
}

TEST_F(RequestInterimTest, AllAtOnceTheyStillComeFirst) {
  Start();
  FakeExchange& client = Get("/a");
  origin_.Next().Send(std::string(kHints) +
                      "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: "
                      "5\r\n\r\nhello");
  EXPECT_EQ(Answer(client), "200 fwd=uri-miss; fwd-status=200; stored|hello");
  EXPECT_EQ(client.interims, kHintsSeen);
  EXPECT_FALSE(client.interims_late);
}

TEST_F(RequestInterimTest, NothingOfThemIsStored) {
  Start();
  FakeExchange& first = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send(kHints);
  asked.Answer("200 OK", kMinute, "hello");
  Answer(first);
  FakeExchange& hit = Get("/a");
  EXPECT_EQ(Answer(hit), "200 hit|hello");
  EXPECT_EQ(hit.interims, "");
  EXPECT_EQ(hit.Field("link"), "");
}

TEST_F(RequestInterimTest, AContinueOfTheOriginIsForNobody) {
  Start();
  FakeExchange& client = Ask(RequestFor("POST", "https://www.demo.test/form",
                                        {{"content-length", "1"}, {"expect", "100-continue"}}),
                             [](FakeExchange& exchange) { exchange.has_request_body = true; });
  On([&] {
    client.Send("x");
    client.EndBody();
  });
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("expect"), "");
  asked.Send("HTTP/1.1 100 Continue\r\n\r\n");
  asked.Answer("200 OK", "", "done");
  EXPECT_EQ(Answer(client), "200 fwd=method; fwd-status=200; detail=method|done");
  EXPECT_EQ(client.interims, "");
  EXPECT_EQ(Sum(node_->metrics.interims), 0u);
}

TEST_F(RequestInterimTest, WhatIsPassedOnGetsThemToo) {
  Start();
  FakeExchange& client = Ask(RequestFor("DELETE", "https://www.demo.test/a"));
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send("HTTP/1.1 102 Processing\r\n\r\n");
  asked.Answer("204 No Content", "", "");
  EXPECT_THAT(Answer(client), StartsWith("204 fwd=method"));
  EXPECT_EQ(client.interims, "102\n");
}

// What they say may be for one person, as the answer may turn out to be.
TEST_F(RequestInterimTest, ThoseWhoOnlyWaitWithARequestAreNotToldWhatItIsTold) {
  Start();
  FakeExchange& leader = Get("/me");
  ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& waiter = Get("/me");
  asked.Send("HTTP/1.1 103 Early Hints\r\nLink: </of-the-first.png>\r\nSet-Cookie: a=1\r\n\r\n");
  EXPECT_TRUE(AwaitInterims(leader, "103\nlink: </of-the-first.png>\nset-cookie: a=1\n"));
  asked.Answer("200 OK", "Cache-Control: private\n", "first");
  EXPECT_THAT(AnswerNow(leader), StartsWith("200 "));
  origin_.Next().Answer("200 OK", "Cache-Control: private\n", "second");
  EXPECT_THAT(Answer(waiter), StartsWith("200 "));
  EXPECT_EQ(waiter.interims, "");
}

TEST_F(RequestInterimTest, WithNobodyThereTheyAreDropped) {
  Start();
  FakeExchange& client = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  Leave(client);
  asked.Send("HTTP/1.1 102 Processing\r\n\r\n");
  EXPECT_TRUE(thread_.Await([&] { return Sum(node_->metrics.interims_dropped) == 1; }));
  asked.Answer("200 OK", kMinute, "hello");
  Settle();
  EXPECT_EQ(Answer(Get("/a")), "200 hit|hello");
}

TEST_F(RequestInterimTest, ThoseBeforeAFailureArePassedOn) {
  Start();
  FakeExchange& client = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send(kHints);
  asked.Close();
  EXPECT_THAT(Answer(client), StartsWith("502 fwd=uri-miss; detail=origin_broken|"));
  EXPECT_EQ(client.interims, kHintsSeen);
}

constexpr std::string_view kChunked =
    "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n";

TEST_F(RequestInterimTest, TrailersArePassedOnAndNotStored) {
  Start();
  FakeExchange& client = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& other = Get("/a");
  asked.Send(std::string(kChunked) +
             "5\r\nhello\r\n0\r\nX-Sum: 1\r\nContent-Type: text/html\r\nSet-Cookie: "
             "a=1\r\n\r\n");
  EXPECT_EQ(AnswerNow(client), "200 fwd=uri-miss; fwd-status=200; stored|hello");
  EXPECT_EQ(AnswerNow(other), "200 fwd=uri-miss; fwd-status=200; stored; collapsed|hello");
  EXPECT_EQ(client.trailers, "x-sum: 1\n");
  EXPECT_EQ(other.trailers, "x-sum: 1\n");
  EXPECT_EQ(client.Field("x-sum"), "");
  Settle();
  FakeExchange& hit = Get("/a");
  EXPECT_EQ(Answer(hit), "200 hit|hello");
  EXPECT_EQ(hit.trailers, "");
  EXPECT_EQ(hit.Field("x-sum"), "");
}

TEST_F(RequestInterimTest, TrailersForOneAreNotSharedByOthers) {
  Start();
  FakeExchange& client = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& other = Get("/a");
  asked.Send(
      "HTTP/1.1 200 OK\r\nCache-Control: max-age=60, private=\"x-mine\"\r\n"
      "Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Mine: 7\r\nX-Sum: 1\r\n\r\n");
  AnswerNow(client);
  AnswerNow(other);
  EXPECT_EQ(other.trailers, "x-sum: 1\n");
}

TEST_F(RequestInterimTest, WhoGoesOnFromTheStoreGetsTheTrailersToo) {
  Start();
  const std::string body = Pattern(20 * kChunkBytes);  // over the window
  FakeExchange& slow = Ask(GetFor("https://www.demo.test/a"),
                           [](FakeExchange& exchange) { exchange.pull_at_once = false; });
  ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& fast = Get("/a");
  asked.Send(kChunked);
  for (size_t at = 0; at < body.size(); at += kChunkBytes) {
    asked.Send("fff0\r\n" + body.substr(at, kChunkBytes) + "\r\n");
  }
  asked.Send("0\r\nX-Sum: 1\r\n\r\n");
  EXPECT_TRUE(thread_.Await([&] { return fast.state == "end"; }));
  EXPECT_TRUE(thread_.Await([&] { return slow.Pull() == "end"; }));
  EXPECT_TRUE(slow.body == body);
  EXPECT_EQ(slow.trailers, "x-sum: 1\n");
}

TEST_F(RequestInterimTest, TrailersOfAnUploadReachTheOriginWithoutClaims) {
  Start();
  FakeExchange& client = Ask(RequestFor("POST", "https://www.demo.test/form"),
                             [](FakeExchange& exchange) { exchange.has_request_body = true; });
  On([&] {
    client.Send("hello");
    client.EndBody({{"x-sum", "1"},
                    {"x-forwarded-for", "1.1.1.1"},
                    {"forwarded", "for=1.1.1.1"},
                    {"x-rewrite-url", "/admin"},
                    {"if-match", "*"}});
  });
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.body(), "hello");
  EXPECT_EQ(asked.trailers(), "x-sum: 1\r\n");
  asked.Answer("200 OK", "", "");
  EXPECT_THAT(Answer(client), StartsWith("200 "));
}

}  // namespace
}  // namespace nearside::edge
