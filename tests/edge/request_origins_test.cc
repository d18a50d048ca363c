// A request and several origins: which one is asked, and what happens when it fails.

#include <algorithm>

#include "tests/edge/request_fixture.h"

namespace nearside::edge {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kHello = "200 fwd=uri-miss; fwd-status=200; stored|hello";

/// A URL on which nobody listens any more.
std::string GoneUrl() {
  ScriptedOrigin gone;
  return gone.url();
}

class RequestOriginsTest : public RequestTest {
 protected:
  ~RequestOriginsTest() override { busy_.clear(); }

  OriginSet& origins() { return *worker_->configuration()->sites.sites().front()->origin_set; }
  /// From here on the other one of two is less busy.
  void KeepBusy(size_t origin) {
    std::vector<OriginAttempt> others;
    while (true) {
      OriginAttempt attempt = origins().Begin(false, {0, 0}, MonoNow());
      const bool found = attempt.origin() == origin;
      (found ? busy_ : others).push_back(std::move(attempt));
      if (found) return;
    }
  }
  /// Two origins, of which the first one is asked first.
  void StartTwo(std::string_view site = "") {
    StartWith(site, {origin_.url(), second_.url()});
    KeepBusy(1);
  }
  void StartGoneAndWell(std::string_view site = "") {
    StartWith(site, {GoneUrl(), origin_.url()});
    KeepBusy(1);
  }
  FakeExchange& Upload(std::string_view method, std::string_view target, std::string_view body) {
    FakeExchange& client = Ask(RequestFor(method, "https://www.demo.test" + std::string(target),
                                          {{"content-length", std::to_string(body.size())}}),
                               [](FakeExchange& exchange) { exchange.has_request_body = true; });
    On([&] {
      client.Send(body);
      client.EndBody();
    });
    return client;
  }
  std::string States() {
    std::string text;
    for (const OriginReport& report : origins().Report(MonoNow())) {
      text += (text.empty() ? "" : " ") + std::string(report.state);
    }
    return text;
  }

  ScriptedOrigin second_;
  std::vector<OriginAttempt> busy_;
};

TEST_F(RequestOriginsTest, TheNextOneIsAskedWhenOneRefuses) {
  StartGoneAndWell();
  EXPECT_EQ(Fill("/a", kMinute, "hello"), kHello);
  EXPECT_EQ(Sum(node_->metrics.origin_failures), 1u);
  EXPECT_EQ(Sum(node_->metrics.origin_requests), 2u);
}

TEST_F(RequestOriginsTest, TheNextOneIsAskedWhenOneAnswersWithAnError) {
  StartTwo("eject_after = 100\n");
  for (const char* status : {"500 X", "502 X", "503 X", "504 X"}) {
    const std::string target = std::string("/") + status[2];
    FakeExchange& client = Get(target);
    origin_.Next().Answer(status, "Cache-Control: max-age=60\nX-Of: first\n", "error");
    second_.Next().Answer("200 OK", kMinute, "hello");
    EXPECT_EQ(Answer(client), kHello) << status;
    EXPECT_EQ(client.Field("x-of"), "");
    EXPECT_EQ(Answer(Get(target)), "200 hit|hello") << status;
  }
  EXPECT_EQ(origin_.count(), 4u);
  EXPECT_EQ(second_.count(), 4u);
}

TEST_F(RequestOriginsTest, TheRestOfAnErrorIsNotWaitedFor) {
  StartTwo();
  FakeExchange& client = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send("HTTP/1.1 503 X\r\nContent-Length: 1000000\r\n\r\nerr");
  second_.Next().Answer("200 OK", kMinute, "hello");
  EXPECT_EQ(Answer(client), kHello);
  asked.AwaitClosed();
}

TEST_F(RequestOriginsTest, OtherStatusesAreAnswersAndNotRetried) {
  StartTwo();
  for (const char* status : {"404 X", "429 X", "501 X", "505 X", "599 X"}) {
    FakeExchange& client = Get(std::string("/").append(status, 3));
    origin_.Next().Answer(status, "Cache-Control: no-store\n", "answer");
    EXPECT_THAT(Answer(client), HasSubstr("|answer")) << status;
  }
  EXPECT_EQ(second_.count(), 0u);
}

TEST_F(RequestOriginsTest, TheLastErrorIsTheAnswerWhenAllHaveOne) {
  StartTwo();
  FakeExchange& client = Get("/a");
  origin_.Next().Answer("503 X", "", "first");
  second_.Next().Answer("500 X", "", "second");
  EXPECT_EQ(Answer(client), "500 fwd=uri-miss; fwd-status=500; detail=uncacheable_status|second");
}

TEST_F(RequestOriginsTest, ThreeOriginsAreAskedAtMostOnceEach) {
  ScriptedOrigin third;
  StartWith("retries = 10\n", {origin_.url(), second_.url(), third.url()});
  FakeExchange& client = Get("/a");
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(thread_.Await([&] {
      return origin_.count() + second_.count() + third.count() == static_cast<size_t>(i) + 1;
    }));
    for (ScriptedOrigin* origin : {&origin_, &second_, &third}) {
      if (origin->waiting() == 0) continue;
      origin->Next().Answer("503 X", "", "error");
      break;  // the next of them may be asked at once
    }
  }
  EXPECT_THAT(Answer(client), StartsWith("503 fwd=uri-miss; fwd-status=503;"));
  for (ScriptedOrigin* origin : {&origin_, &second_, &third}) EXPECT_EQ(origin->count(), 1u);
}

TEST_F(RequestOriginsTest, RetriesCanBeTurnedOff) {
  StartTwo("retries = 0\n");
  EXPECT_THAT(Fill("/a", "", "error", {}, "503 X"), StartsWith("503 fwd=uri-miss;"));
  EXPECT_EQ(second_.count(), 0u);
}

TEST_F(RequestOriginsTest, ThoseWhoWaitForAFetchWaitForItsRetry) {
  StartTwo();
  FakeExchange& leader = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  std::vector<FakeExchange*> others;
  for (int i = 0; i < 20; ++i) others.push_back(&Get("/a"));
  asked.Answer("503 X", "", "error");
  second_.Next().Answer("200 OK", kMinute, "hello");
  EXPECT_EQ(AnswerNow(leader), kHello);
  for (FakeExchange* other : others) {
    EXPECT_EQ(AnswerNow(*other), "200 fwd=uri-miss; fwd-status=200; stored; collapsed|hello");
  }
  EXPECT_EQ(origin_.count() + second_.count(), 2u);
}

TEST_F(RequestOriginsTest, AStaleCopyIsServedWhenAllHaveFailedAndNotBefore) {
  StartTwo();
  Fill("/a", kStale, "old");
  FakeExchange& first = Get("/a");
  origin_.Next().Answer("503 X", "", "error");
  ScriptedOrigin::Asked asked = second_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "\"v\"");
  asked.Answer("503 X", "", "error");
  EXPECT_EQ(Answer(first), "200 fwd=stale; fwd-status=503; detail=stale_if_error|old");
  FakeExchange& second = Get("/a");
  origin_.Next().Answer("503 X", "", "error");
  second_.Next().Answer("304 Not Modified", kMinute, "");
  EXPECT_EQ(Answer(second), "200 fwd=stale; fwd-status=304; detail=validated|old");
}

TEST_F(RequestOriginsTest, OneThatSaysNothingOrNonsenseIsFollowedByTheNext) {
  StartTwo("origin_timeout = \"3s\"\n");
  FakeExchange& silent = Get("/a");
  origin_.Next();
  second_.Next().Answer("200 OK", kMinute, "hello");
  EXPECT_EQ(Answer(silent), kHello);
  FakeExchange& nonsense = Get("/b");
  origin_.Next().Send("SSH-2.0-OpenSSH_9.2\r\n\r\n");
  second_.Next().Answer("200 OK", kMinute, "hello");
  EXPECT_EQ(Answer(nonsense), kHello);
  FakeExchange& half_a_head = Get("/c");
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send("HTTP/1.1 200 OK\r\nContent-");
  asked.Close();
  second_.Next().Answer("200 OK", kMinute, "hello");
  EXPECT_EQ(Answer(half_a_head), kHello);
}

TEST_F(RequestOriginsTest, WhenTheAnswerHasBegunNobodyElseIsAsked) {
  StartTwo();
  FakeExchange& client = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhello");
  EXPECT_TRUE(thread_.Await([&] { return client.body == "hello"; }));
  asked.Close();
  EXPECT_EQ(Answer(client), "200 fwd=uri-miss; fwd-status=200; stored|hello [cut off]");
  EXPECT_EQ(second_.count(), 0u);
}

TEST_F(RequestOriginsTest, WhatIsNotIdempotentIsAskedOnce) {
  StartTwo();
  FakeExchange& client = Ask(RequestFor("POST", "https://www.demo.test/a"));
  origin_.Next().Answer("503 X", "", "error");
  EXPECT_THAT(Answer(client), StartsWith("503 fwd=method; fwd-status=503;"));
  EXPECT_EQ(second_.count(), 0u);
}

TEST_F(RequestOriginsTest, AnIdempotentUploadThatNobodyTouchedGoesToTheNext) {
  StartGoneAndWell();
  FakeExchange& client = Upload("PUT", "/a", "a body");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.first_line(), "PUT /a HTTP/1.1");
  EXPECT_EQ(asked.body(), "a body");
  asked.Answer("201 Created", "", "made");
  EXPECT_EQ(Answer(client), "201 fwd=method; fwd-status=201; detail=method|made");
}

TEST_F(RequestOriginsTest, OneThatIsNotIdempotentIsNotRepeatedEvenThen) {
  StartGoneAndWell();
  EXPECT_THAT(Answer(Upload("POST", "/a", "a body")), StartsWith("502 "));
  EXPECT_EQ(origin_.count(), 0u);
}

TEST_F(RequestOriginsTest, OneThatHasBeenReadFromIsNotRepeated) {
  StartTwo();
  FakeExchange& client = Upload("PUT", "/a", "a body");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.body(), "a body");
  asked.Answer("503 X", "", "error");
  EXPECT_THAT(Answer(client), StartsWith("503 fwd=method; fwd-status=503;"));
  EXPECT_EQ(second_.count(), 0u);
}

TEST_F(RequestOriginsTest, OneThatFailsInARowIsLeftAlone) {
  StartGoneAndWell("eject_after = 2\n");
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(Fill("/" + std::to_string(i), kMinute, "hello"), kHello);
  }
  EXPECT_EQ(Sum(node_->metrics.origin_failures), 2u);
  EXPECT_EQ(States(), "ejected up");
}

TEST_F(RequestOriginsTest, OneThatIsBackIsFoundByOneRequestAndUsedAgain) {
  StartTwo("eject_after = 1\neject_for = \"3s\"\n");
  FakeExchange& client = Get("/a");
  origin_.Next().Answer("503 X", "", "error");
  second_.Next().Answer("200 OK", kMinute, "hello");
  EXPECT_EQ(Answer(client), kHello);
  EXPECT_EQ(States(), "ejected up");
  EXPECT_TRUE(thread_.Await([&] { return States() == "trial up"; }));
  EXPECT_EQ(Fill("/b", kMinute, "hello"), kHello);  // by the first one
  EXPECT_EQ(States(), "up up");
  EXPECT_EQ(origin_.count(), 2u);
  EXPECT_EQ(second_.count(), 1u);
}

TEST_F(RequestOriginsTest, ClientsThatLeaveSayNothingAboutAnOrigin) {
  StartTwo("eject_after = 1\n");
  FakeExchange& client = Ask(RequestFor("OPTIONS", "https://www.demo.test/a"));
  ScriptedOrigin::Asked asked = origin_.Next();
  Leave(client);
  asked.AwaitClosed();
  Turn();
  EXPECT_EQ(States(), "up up");
  EXPECT_EQ(origins().Report(MonoNow())[0].in_flight, 0u);
}

TEST_F(RequestOriginsTest, OverTheBudgetTheFirstFailureStands) {
  StartGoneAndWell("retry_percent = 0\neject_after = 1000\n");
  for (uint64_t i = 0; i < RetryBudget::kLeast; ++i) {
    EXPECT_EQ(Fill("/" + std::to_string(i), kMinute, "hello"), kHello);
  }
  const std::string answer = Answer(Get("/refused"));
  EXPECT_THAT(answer, StartsWith("502 fwd=uri-miss; detail=retry_budget|502 Bad Gateway"));
  EXPECT_THAT(answer, HasSubstr("retry_percent"));
  EXPECT_EQ(Counted(Reason::kRetryBudget), 1u);
  EXPECT_EQ(origins().retries_refused(), 1u);
}

TEST_F(RequestOriginsTest, OverTheBudgetAnErrorGoesToTheClient) {
  StartTwo("retry_percent = 0\neject_after = 1000\n");
  for (uint64_t i = 0; i < RetryBudget::kLeast; ++i) {
    FakeExchange& client = Get("/" + std::to_string(i));
    origin_.Next().Answer("503 X", "", "error");
    second_.Next().Answer("200 OK", kMinute, "hello");
    EXPECT_EQ(Answer(client), kHello);
  }
  EXPECT_THAT(Fill("/refused", "", "error", {}, "503 X"), HasSubstr("fwd-status=503;"));
  EXPECT_EQ(origins().retries_refused(), 1u);
}

TEST_F(RequestOriginsTest, IdleOriginsShareTheLoadAndABusyOneIsSpared) {
  StartWith("", {origin_.url(), second_.url()});
  for (int i = 0; i < 20; ++i) {
    Get("/waits/" + std::to_string(i));
  }
  EXPECT_TRUE(thread_.Await([&] { return origin_.count() + second_.count() == 20; }));
  EXPECT_EQ(origin_.count(), 10u);  // nothing has ended: always the one with fewer
  EXPECT_EQ(second_.count(), 10u);
}

TEST_F(RequestOriginsTest, AnIpv6OriginIsAskedAndSoIsOneByItsName) {
  ScriptedOrigin sixth(ScriptedOrigin::Family::kIpv6);
  const std::pair<ScriptedOrigin&, std::string> origins[] = {
      {sixth, sixth.url()}, {second_, "http://localhost:" + std::to_string(second_.port())}};
  for (const auto& [origin, url] : origins) {
    StartWith("", {url});
    FakeExchange& client = Get("/a");
    origin.Next().Answer("200 OK", kMinute, "hello");
    EXPECT_EQ(Answer(client), kHello) << url;
    On([this] {
      exchanges_.clear();
      worker_.reset();
    });
  }
}

}  // namespace
}  // namespace nearside::edge
