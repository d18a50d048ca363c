// Several requests for one thing: one fetch, and nobody gets what was made for another.

#include <thread>

#include "edge/purge.h"
#include "tests/edge/patterns.h"
#include "tests/edge/request_fixture.h"

namespace nearside::edge {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

class RequestCollapseTest : public RequestTest {
 protected:
  /// As many requests that wait for what was asked first.
  std::vector<FakeExchange*> GetMany(int n, std::string_view target, http::Fields fields = {}) {
    std::vector<FakeExchange*> clients;
    for (int i = 0; i < n; ++i) clients.push_back(&Get(target, fields));
    return clients;
  }
};

TEST_F(RequestCollapseTest, OneFetchServesAllWhoWait) {
  Start();
  FakeExchange& leader = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  const auto others = GetMany(50, "/a");
  asked.Answer("200 OK", kMinute, "hello");
  EXPECT_EQ(AnswerNow(leader), "200 fwd=uri-miss; fwd-status=200; stored|hello");
  for (FakeExchange* other : others) {
    EXPECT_EQ(AnswerNow(*other), "200 fwd=uri-miss; fwd-status=200; stored; collapsed|hello");
  }
  EXPECT_EQ(origin_.count(), 1u);
  EXPECT_EQ(Sum(node_->metrics.collapsed), 50u);
}

TEST_F(RequestCollapseTest, OneFetchServesThoseOnOtherWorkersToo) {
  Start();
  net::LoopThread other_thread;
  std::unique_ptr<Worker> other;
  std::vector<std::unique_ptr<FakeExchange>> clients;
  const std::string body = Pattern(20 * kChunkBytes + 5);  // longer than the window
  const auto configuration = On([&] { return worker_->configuration(); });
  FakeExchange& leader = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  other_thread.Call([&] {
    other = std::make_unique<Worker>(*node_, other_thread.loop(), configuration);
    ASSERT_TRUE(other->Open({}, net::TicketKeys::Random()));
    for (int i = 0; i < 20; ++i) {
      clients.push_back(
          std::make_unique<FakeExchange>(GetFor("https://www.demo.test/a"), &other_thread.loop()));
      clients.back()->pull_at_once = true;
      other->OnRequest(*clients.back());
    }
  });
  const auto here = GetMany(20, "/a");
  std::thread sender([&] { asked.Answer("200 OK", kMinute, body); });
  EXPECT_TRUE(AnswerNow(leader) == "200 fwd=uri-miss; fwd-status=200; stored|" + body);
  for (FakeExchange* client : here) {
    EXPECT_TRUE(AnswerNow(*client) ==
                "200 fwd=uri-miss; fwd-status=200; stored; collapsed|" + body);
  }
  for (const auto& client : clients) {
    EXPECT_TRUE(other_thread.Await([&] { return client->state == "end" && client->status != 0; }));
    EXPECT_TRUE(client->body == body);
  }
  EXPECT_EQ(origin_.count(), 1u);
  sender.join();
  other_thread.Call([&] {
    clients.clear();
    other.reset();
  });
}

TEST_F(RequestCollapseTest, TheyStreamWhileItGrowsAndLateOnesGetItAll) {
  Start();
  FakeExchange& leader = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhello");
  EXPECT_TRUE(thread_.Await([&] { return leader.body == "hello"; }));
  FakeExchange& late = Get("/a");
  EXPECT_TRUE(thread_.Await([&] { return late.body == "hello"; }));
  asked.Send("world");
  EXPECT_THAT(AnswerNow(leader), StartsWith("200 fwd=uri-miss; fwd-status=200; stored|helloworld"));
  EXPECT_EQ(AnswerNow(late), "200 fwd=uri-miss; fwd-status=200; stored; collapsed|helloworld");
  EXPECT_EQ(origin_.count(), 1u);
}

// RFC 9111 §4, §5.1: who comes later is answered as from the cache.
TEST_F(RequestCollapseTest, WhoComesLateIsToldTheAgeAndDoesNotJoinWhatItMayNotHave) {
  Start();
  FakeExchange& leader = Get("/a");
  const ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send(
      "HTTP/1.1 200 OK\r\nCache-Control: max-age=20, must-revalidate\r\nContent-Length: 10\r\n"
      "\r\nhello");
  EXPECT_TRUE(thread_.Await([&] { return leader.body == "hello"; }));
  std::this_thread::sleep_for(milliseconds(1100));
  FakeExchange& late = Get("/a");
  EXPECT_TRUE(thread_.Await([&] { return late.body == "hello"; }));
  EXPECT_THAT(late.Field("age"), testing::MatchesRegex("[1-9][0-9]*"));
  EXPECT_EQ(origin_.count(), 1u);
  FakeExchange& reload = Get("/a", {{"cache-control", "no-cache"}});
  origin_.Next().Answer("200 OK", "Cache-Control: max-age=0\nETag: \"v\"\n", "reloaded");
  EXPECT_THAT(AnswerNow(reload), HasSubstr("|reloaded"));
  asked.Send("world");
  EXPECT_THAT(AnswerNow(leader), HasSubstr("|helloworld"));
  EXPECT_THAT(Answer(late), HasSubstr("collapsed|helloworld"));
}

TEST_F(RequestCollapseTest, WhatHasBecomeStaleOnItsWayIsNotJoinedAnyMore) {
  Start();
  FakeExchange& leader = Get("/a");
  const ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send("HTTP/1.1 200 OK\r\nCache-Control: s-maxage=1\r\nContent-Length: 10\r\n\r\nhello");
  EXPECT_TRUE(thread_.Await([&] { return leader.body == "hello"; }));
  std::this_thread::sleep_for(milliseconds(1100));
  const auto late = GetMany(3, "/a");
  origin_.Next().Answer("200 OK", kMinute, "new");
  for (FakeExchange* client : late) EXPECT_THAT(AnswerNow(*client), HasSubstr("|new"));
  asked.Send("world");
  EXPECT_THAT(Answer(leader), HasSubstr("|helloworld"));
  EXPECT_EQ(origin_.count(), 2u) << "those who come late share one fetch";
}

// One visitor's cookie must not keep a page from the cache for the others.
TEST_F(RequestCollapseTest, WhatACookieMadeOnesOwnIsRememberedForCookiesAlone) {
  Start();
  constexpr std::string_view kGuessed = "Last-Modified: Fri, 15 Jan 2010 08:00:00 GMT\n";
  FakeExchange& leader = Get("/a", {{"cookie", "id=1"}});
  const ScriptedOrigin::Asked asked = origin_.Next();
  const auto others = GetMany(5, "/a");
  FakeExchange& own = Get("/a", {{"cookie", "id=2"}});
  asked.Answer("200 OK", kGuessed, "one's own");
  for (int i = 0; i < 2; ++i) {
    const ScriptedOrigin::Asked again = origin_.Next();
    again.Answer("200 OK", kGuessed, again.Field("cookie").empty() ? "for all" : "mine");
  }
  EXPECT_THAT(AnswerNow(leader), HasSubstr("detail=cookie|one's own"));
  EXPECT_THAT(AnswerNow(own), HasSubstr("|mine"));
  for (FakeExchange* other : others) EXPECT_THAT(AnswerNow(*other), HasSubstr("|for all"));
  Settle();
  EXPECT_EQ(Answer(Get("/a")), "200 hit|for all");
  EXPECT_EQ(origin_.count(), 3u);
}

// A page that was not cacheable once is from the first time on that it is.
TEST_F(RequestCollapseTest, WhatIsNotSharedIsSharedAgainOnceItMayBe) {
  Start();
  for (const std::string_view once : {"Cache-Control: private\n", "Cache-Control: no-store\n", "",
                                      "Cache-Control: max-age=60\nVary: *\n"}) {
    const std::string target = "/" + std::to_string(origin_.count());
    EXPECT_THAT(Fill(target, once, "for one"), HasSubstr("200 fwd=uri-miss; fwd-status=200"));
    EXPECT_THAT(Fill(target, once, "for one"), HasSubstr("detail=not_shared|for one"));
    EXPECT_THAT(Fill(target, kMinute, "for all"), HasSubstr("detail=not_shared|for all"));
    EXPECT_EQ(Fill(target, kMinute, "for all"), "200 fwd=uri-miss; fwd-status=200; stored|for all");
    EXPECT_EQ(Answer(Get(target)), "200 hit|for all");
  }
}

TEST_F(RequestCollapseTest, WhatIsPrivateToOneWhoSaysWhoAsksKeepsNothingFromOthers) {
  Start();
  for (const http::Fields& own :
       {http::Fields{{"cookie", "id=1"}}, http::Fields{{"authorization", "Basic eDp5"}}}) {
    const std::string target = "/" + std::to_string(origin_.count());
    FakeExchange& leader = Get(target, own);
    const ScriptedOrigin::Asked asked = origin_.Next();
    const auto others = GetMany(5, target);
    asked.Answer("200 OK", "Cache-Control: private\n", "one's own");
    EXPECT_THAT(AnswerNow(leader), HasSubstr("|one's own"));
    origin_.Next().Answer("200 OK", kMinute, "for all");
    for (FakeExchange* other : others) EXPECT_THAT(AnswerNow(*other), HasSubstr("|for all"));
    Settle();
    EXPECT_EQ(Answer(Get(target)), "200 hit|for all");
  }
  EXPECT_EQ(origin_.count(), 4u);
}

TEST_F(RequestCollapseTest, WhatIsMadePrivateIsNotShownFromAnOlderCopy) {
  Start();
  Fill("/a", kStale, "public");
  EXPECT_THAT(Fill("/a", "Cache-Control: private\n", "mine", {{"cookie", "a"}}),
              HasSubstr("|mine"));
  FakeExchange& shown = Get("/a");
  origin_.Next().Answer("503 X", "", "error");
  EXPECT_THAT(Answer(shown), HasSubstr("|public")) << "it was private to a cookie";
  EXPECT_THAT(Fill("/a", "Cache-Control: private\n", "mine"), HasSubstr("|mine"));
  FakeExchange& gone = Get("/a");
  origin_.Next().Answer("503 X", "", "error");
  EXPECT_THAT(Answer(gone), HasSubstr("|error"));
}

TEST_F(RequestCollapseTest, EachGetsThePartItAskedFor) {
  Start();
  FakeExchange& leader = Get("/a", {{"range", "bytes=1-2"}});
  ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& whole = Get("/a");
  FakeExchange& known = Get("/a", {{"if-none-match", "\"v\""}});
  FakeExchange& head = Head("/a");
  asked.Answer("200 OK", "Cache-Control: max-age=60\nETag: \"v\"\n", "hello");
  EXPECT_EQ(AnswerNow(leader), "206 fwd=uri-miss; fwd-status=200; stored|el");
  EXPECT_EQ(AnswerNow(whole), "200 fwd=uri-miss; fwd-status=200; stored; collapsed|hello");
  EXPECT_EQ(AnswerNow(known), "304 fwd=uri-miss; fwd-status=200; stored; collapsed|");
  origin_.Next().Answer("200 OK", "", "");  // a HEAD of what is not stored goes by itself
  EXPECT_EQ(AnswerNow(head), "200 fwd=uri-miss; fwd-status=200|");
}

TEST_F(RequestCollapseTest, AValidationServesAllWhoWait) {
  Start();
  Fill("/a", "Cache-Control: max-age=60\nAge: 100\nETag: \"v\"\n", "hello");
  FakeExchange& leader = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& other = Get("/a");
  asked.Answer("304 Not Modified", kMinute, "");
  EXPECT_EQ(AnswerNow(leader), "200 fwd=stale; fwd-status=304; detail=validated|hello");
  EXPECT_EQ(AnswerNow(other), "200 fwd=stale; fwd-status=304; collapsed; detail=validated|hello");
  EXPECT_EQ(origin_.count(), 2u);
}

// RFC 9111 §4.2.4, §5.2.2.4: what must be validated for each use is no answer to who waited for it.
TEST_F(RequestCollapseTest, WhoeverWaitsForWhatIsValidatedEachTimeAsksByItself) {
  Start();
  for (const std::string fields :
       {"Cache-Control: no-cache\nETag: \"v\"\n", "Cache-Control: max-age=0\nETag: \"v\"\n",
        "Cache-Control: no-cache, max-age=60\nETag: \"v\"\n"}) {
    SCOPED_TRACE(fields);
    const std::string target = "/" + std::to_string(origin_.count());
    FakeExchange& leader = Get(target);
    ScriptedOrigin::Asked asked = origin_.Next();
    const auto others = GetMany(3, target);
    asked.Answer("200 OK", fields, "first");
    for (size_t i = 0; i < others.size(); ++i) origin_.Next().Answer("200 OK", fields, "own");
    EXPECT_EQ(AnswerNow(leader), "200 fwd=uri-miss; fwd-status=200; stored|first");
    for (FakeExchange* other : others) {
      EXPECT_EQ(AnswerNow(*other), "200 fwd=bypass; fwd-status=200; detail=not_shared|own");
    }
    // Each validates what is stored, and none waits for another.
    const auto validating = GetMany(3, target);
    std::vector<ScriptedOrigin::Asked> questions;
    for (size_t i = 0; i < validating.size(); ++i) questions.push_back(origin_.Next());
    for (ScriptedOrigin::Asked& question : questions) {
      EXPECT_EQ(question.Field("if-none-match"), "\"v\"");
      question.Answer("304 Not Modified", fields, "");
    }
    for (FakeExchange* other : validating) {
      EXPECT_EQ(AnswerNow(*other), "200 fwd=stale; fwd-status=304; detail=validated|first");
    }
  }
}

// A stale copy may be shown while it is validated, so it may be shared.
TEST_F(RequestCollapseTest, WhatMayBeShownStaleIsSharedFromTheStart) {
  Start();
  FakeExchange& leader = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& other = Get("/a");
  asked.Answer("200 OK", "Cache-Control: max-age=0, stale-while-revalidate=60\n", "hello");
  EXPECT_EQ(AnswerNow(leader), "200 fwd=uri-miss; fwd-status=200; stored|hello");
  EXPECT_EQ(AnswerNow(other), "200 fwd=uri-miss; fwd-status=200; stored; collapsed|hello");
  EXPECT_EQ(origin_.count(), 1u);
}

// Else an origin that gets slow under load would be asked by everybody at once. RFC 9111 §5.1: only
// those it was not made for are told an age.
TEST_F(RequestCollapseTest, WhatTakesLongerThanItsLifetimeIsShared) {
  Start();
  FakeExchange& leader = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& other = Get("/a");
  std::this_thread::sleep_for(milliseconds(1100));
  asked.Answer("200 OK", "Cache-Control: max-age=1\n", "hello");
  EXPECT_EQ(AnswerNow(leader), "200 fwd=uri-miss; fwd-status=200; stored|hello");
  EXPECT_EQ(AnswerNow(other), "200 fwd=uri-miss; fwd-status=200; stored; collapsed|hello");
  EXPECT_EQ(leader.Field("age"), "");
  EXPECT_THAT(other.Field("age"), testing::MatchesRegex("[1-9][0-9]*"));
  EXPECT_EQ(origin_.count(), 1u);
}

// They do not wait for one another, and their origins may answer in any order. Which of the two is
// of the later release nobody knows.
TEST_F(RequestCollapseTest, OfTwoThatFetchBesideEachOtherNoneStaysUnlessTheyBringTheSame) {
  Start();
  for (const bool same : {false, true}) {
    const std::string url = same ? "/same" : "/other";
    Fill(url, "Cache-Control: max-age=0\nETag: \"1\"\n", "one");
    Fill(url, "Cache-Control: max-age=0\nETag: \"1\"\n", "one");
    FakeExchange& first = Get(url);
    const auto slow = origin_.Next();
    FakeExchange& second = Get(url);
    const auto quick = origin_.Next();
    quick.Answer("200 OK", std::string(kMinute) + "ETag: \"3\"\n", "three");
    EXPECT_THAT(Answer(second), HasSubstr("|three"));
    EXPECT_THAT(Answer(Get(url)), HasSubstr("hit|three"));
    slow.Answer("200 OK", std::string(kMinute) + (same ? "ETag: \"3\"\n" : "ETag: \"2\"\n"), "two");
    EXPECT_THAT(Answer(first), HasSubstr("|two"));
    FakeExchange& next = Get(url);
    if (!same) origin_.Next().Answer("200 OK", kMinute, "four");
    EXPECT_THAT(Answer(next), HasSubstr(same ? "hit|two" : "|four"));
  }
}

// A body that the cache has no room for goes to each by its own fetch, so that nobody waits for
// somebody slow.
TEST_F(RequestCollapseTest, WhatTheStoreRefusesIsNotSharedUnlessItIsSmall) {
  Start();
  FakeExchange& leader = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  const auto others = GetMany(2, "/a");
  const std::string_view huge =
      "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 1000000000\r\n\r\nhello";
  asked.Send(huge);
  std::vector<ScriptedOrigin::Asked> own;
  for (size_t i = 0; i < others.size(); ++i) own.push_back(origin_.Next());
  for (ScriptedOrigin::Asked& each : own) each.Send(huge);
  // Remembered: the next one does not even wait for a head.
  FakeExchange& next = Get("/a");
  origin_.Next().Answer("200 OK", kMinute, "small");
  EXPECT_EQ(AnswerNow(next), "200 fwd=bypass; fwd-status=200; detail=not_shared|small");
  for (FakeExchange* client : {&leader, others[0], others[1]}) {
    EXPECT_TRUE(thread_.Await([&] { return client->body == "hello"; }));
    EXPECT_EQ(client->status, 200);
  }
  asked.Close();
  for (ScriptedOrigin::Asked& each : own) each.Close();
}

TEST_F(RequestCollapseTest, APrivateReplyLetsAllWhoWaitGoAtOnce) {
  Start();
  FakeExchange& leader = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  const auto others = GetMany(3, "/a");
  // Its head alone is enough.
  asked.Send("HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Length: 6\r\n\r\nfor");
  for (size_t i = 0; i < others.size(); ++i) {
    origin_.Next().Answer("200 OK", "Cache-Control: private\n", "other");
  }
  for (FakeExchange* other : others) {
    EXPECT_EQ(AnswerNow(*other), "200 fwd=bypass; fwd-status=200; detail=not_shared|other");
  }
  asked.Send("one");
  EXPECT_EQ(Answer(leader), "200 fwd=uri-miss; fwd-status=200; detail=private|forone");
  // Remembered: the next two do not wait for one another.
  FakeExchange& fifth = Get("/a");
  FakeExchange& sixth = Get("/a");
  ScriptedOrigin::Asked one = origin_.Next();
  ScriptedOrigin::Asked two = origin_.Next();
  one.Answer("200 OK", kMinute, "x");
  two.Answer("200 OK", kMinute, "x");
  EXPECT_EQ(AnswerNow(fifth), "200 fwd=bypass; fwd-status=200; detail=not_shared|x");
  EXPECT_EQ(AnswerNow(sixth), "200 fwd=bypass; fwd-status=200; detail=not_shared|x");
}

TEST_F(RequestCollapseTest, AReplyPrivateToItsRequestMakesAnotherWhoWaitsTheLeader) {
  Start();
  for (const auto& [name, value] :
       {std::pair{"authorization", "Bearer x"}, std::pair{"cache-control", "no-store"}}) {
    SCOPED_TRACE(name);
    const std::string target = std::string("/") + name;
    FakeExchange& leader = Get(target, {{name, value}});
    ScriptedOrigin::Asked asked = origin_.Next();
    const auto others = GetMany(5, target);
    asked.Answer("200 OK", kMinute, "for one");
    ScriptedOrigin::Asked again = origin_.Next();
    EXPECT_EQ(again.Field(name), "");
    again.Answer("200 OK", kMinute, "for all");
    EXPECT_THAT(AnswerNow(leader), StartsWith("200 fwd=uri-miss; fwd-status=200; detail="));
    for (FakeExchange* other : others) {
      const std::string answer = AnswerNow(*other);
      EXPECT_EQ(answer.substr(answer.find('|')), "|for all");
    }
    Settle();
    EXPECT_EQ(Answer(Get(target)), "200 hit|for all");
  }
  EXPECT_EQ(origin_.count(), 4u);
}

TEST_F(RequestCollapseTest, AValidationKeptOutByItsRequestMakesAnotherWhoWaitsTheLeader) {
  Start();
  constexpr std::string_view kTagged = "Cache-Control: max-age=60, must-revalidate\nETag: \"v\"\n";
  Fill("/a", std::string(kTagged) + "Age: 100\n", "old");
  FakeExchange& leader = Get("/a", {{"cache-control", "no-store"}});
  const ScriptedOrigin::Asked asked = origin_.Next();
  const auto others = GetMany(5, "/a");
  asked.Answer("304 Not Modified", kTagged, "");
  const ScriptedOrigin::Asked again = origin_.Next();
  EXPECT_EQ(again.Field("cache-control"), "");
  again.Answer("304 Not Modified", kTagged, "");
  EXPECT_THAT(AnswerNow(leader), HasSubstr("|old"));
  for (FakeExchange* other : others) EXPECT_THAT(AnswerNow(*other), HasSubstr("|old"));
  Settle();
  EXPECT_EQ(Answer(Get("/a")), "200 hit|old");
  EXPECT_EQ(origin_.count(), 3u) << "not one for each";
}

// RFC 9111 §4.3.4 is about the stored response, and one visitor's answer says nothing of that.
TEST_F(RequestCollapseTest, AValidationThatIsPrivateToAVisitorLeavesTheCopyForTheOthers) {
  Start();
  constexpr std::string_view kTagged = "Cache-Control: max-age=60, must-revalidate\nETag: \"v\"\n";
  Fill("/a", std::string(kTagged) + "Age: 100\n", "old");
  FakeExchange& visitor = Get("/a", {{"cookie", "session=1"}});
  origin_.Next().Answer("304 Not Modified", "Cache-Control: private\nETag: \"v\"\n", "");
  EXPECT_THAT(Answer(visitor), HasSubstr("|old"));
  FakeExchange& other = Get("/a");
  const ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "\"v\"") << "it is still there";
  asked.Answer("304 Not Modified", kTagged, "");
  EXPECT_THAT(Answer(other), HasSubstr("|old"));
  // Without a cookie it is the response that says so.
  Fill("/b", std::string(kTagged) + "Age: 100\n", "old");
  FakeExchange& plain = Get("/b");
  origin_.Next().Answer("304 Not Modified", "Cache-Control: private\nETag: \"v\"\n", "");
  EXPECT_THAT(Answer(plain), HasSubstr("|old"));
  FakeExchange& next = Get("/b");
  const ScriptedOrigin::Asked anew = origin_.Next();
  EXPECT_EQ(anew.Field("if-none-match"), "");
  anew.Answer("200 OK", kMinute, "new");
  EXPECT_THAT(Answer(next), HasSubstr("|new"));
}

TEST_F(RequestCollapseTest, APassingFailureIsNotRemembered) {
  Start();
  EXPECT_EQ(Fill("/a", "", "error", {}, "503 X"),
            "503 fwd=uri-miss; fwd-status=503; detail=uncacheable_status|error");
  EXPECT_EQ(Fill("/a", kMinute, "hello"), "200 fwd=uri-miss; fwd-status=200; stored|hello");
  EXPECT_EQ(Answer(Get("/a")), "200 hit|hello");
}

TEST_F(RequestCollapseTest, AnOverloadedOriginIsNotAskedByAllWhoWaited) {
  Start();
  FakeExchange& leader = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  const auto others = GetMany(20, "/a");
  asked.Answer("503 X", "", "error");
  EXPECT_EQ(AnswerNow(leader), "503 fwd=uri-miss; fwd-status=503; detail=uncacheable_status|error");
  for (FakeExchange* other : others) {
    EXPECT_THAT(AnswerNow(*other), StartsWith("503 fwd=uri-miss; detail=origin_failed|503 "));
  }
  EXPECT_EQ(origin_.count(), 1u);
}

TEST_F(RequestCollapseTest, WhoWaitedIsToldTheOriginsStatusAndWhenToTryAgain) {
  Start();
  FakeExchange& leader = Get("/a", {{"cookie", "session=1"}});
  ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& other = Get("/a");
  asked.Answer("500 X", "Retry-After: 120\nX-Account: 7\nContent-Language: de\n", "for one");
  EXPECT_THAT(AnswerNow(leader), HasSubstr("|for one"));
  EXPECT_THAT(AnswerNow(other), StartsWith("500 fwd=uri-miss; detail=origin_failed|500 "));
  EXPECT_EQ(other.Field("retry-after"), "120");
  EXPECT_EQ(other.Field("cache-control"), "no-store");
  for (const char* name : {"x-account", "content-language"}) EXPECT_EQ(other.Field(name), "");
  EXPECT_THAT(other.body, Not(HasSubstr("for one")));
  EXPECT_EQ(origin_.count(), 1u);
}

TEST_F(RequestCollapseTest, OfAnErrorForOneVisitorAnotherIsToldNothing) {
  Start();
  struct Row {
    http::Fields request;
    std::string_view lines;
    http::Fields other;
  };
  const Row rows[] = {
      {{}, "Cache-Control: private\n", {}},
      {{}, "Cache-Control: no-store\n", {}},
      {{}, "CDN-Cache-Control: private\n", {}},
      {{}, "Set-Cookie: a=b\n", {}},
      {{}, "Vary: *\n", {}},
      {{{"accept-language", "de"}}, "Vary: Accept-Language\n", {{"accept-language", "en"}}},
      {{{"authorization", "Bearer x"}}, "", {}},
      {{{"cache-control", "no-store"}}, "", {}},
  };
  for (size_t i = 0; i < std::size(rows); ++i) {
    SCOPED_TRACE(i);
    const std::string target = "/" + std::to_string(i);
    FakeExchange& leader = Get(target, rows[i].request);
    ScriptedOrigin::Asked asked = origin_.Next();
    FakeExchange& other = Get(target, rows[i].other);
    asked.Answer("500 X", "Retry-After: 120\n" + std::string(rows[i].lines), "for one");
    EXPECT_THAT(AnswerNow(leader), HasSubstr("|for one"));
    EXPECT_THAT(AnswerNow(other), StartsWith("503 fwd=uri-miss; detail=origin_failed|503 "));
    EXPECT_EQ(other.Field("retry-after"), "");
    // But for the request's id, which is random.
    const std::string text = other.body.substr(0, other.body.find("request: "));
    EXPECT_THAT(text, Not(HasSubstr("500")));
  }
  EXPECT_EQ(origin_.count(), std::size(rows));
}

TEST_F(RequestCollapseTest, AValidationThatForbidsSharingAnswersItsOwnRequestAlone) {
  Start();
  Fill("/a", "Cache-Control: max-age=60\nAge: 100\nETag: \"v\"\n", "old");
  FakeExchange& leader = Get("/a", {{"cookie", "session=1"}});
  ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& other = Get("/a");
  asked.Answer("304 Not Modified", "Cache-Control: private\nETag: \"v\"\nX-Account: 7\n", "");
  EXPECT_EQ(AnswerNow(leader), "200 fwd=stale; fwd-status=304; detail=validated|old");
  EXPECT_EQ(leader.Field("x-account"), "7");
  ScriptedOrigin::Asked again = origin_.Next();
  again.Answer("200 OK", "Cache-Control: private\n", "sign in");
  EXPECT_THAT(Answer(other), HasSubstr("|sign in"));
  EXPECT_EQ(other.Field("x-account"), "");
}

// Who has waited and wants nothing of the body, or not its beginning, is not waited for: a fill
// that waited for one of them would never end.
TEST_F(RequestCollapseTest, WhoTakesNothingOfTheBodyHoldsNobodyUp) {
  Start();
  const std::string body = Pattern(80 * kChunkBytes);  // the window is 1 MiB
  Fill("/big", kStale, "old");
  FakeExchange& leader = Get("/big");
  const ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& head = Head("/big");
  FakeExchange& known = Get("/big", {{"if-none-match", "\"w\""}});
  FakeExchange& refused = Get("/big", {{"if-match", "\"x\""}});
  FakeExchange& beyond = Get("/big", {{"range", "bytes=99999999-"}});
  FakeExchange& end = Get("/big", {{"range", "bytes=-7"}});
  FakeExchange& left = Get("/big");
  Leave(left);
  std::thread sender([&] { asked.Answer("200 OK", std::string(kMinute) + "ETag: \"w\"\n", body); });
  EXPECT_TRUE(AnswerNow(leader) == "200 fwd=stale; fwd-status=200; stored; detail=expired|" + body);
  EXPECT_THAT(AnswerNow(head), StartsWith("200 fwd=stale"));
  EXPECT_THAT(AnswerNow(known), StartsWith("304 fwd=stale"));
  EXPECT_THAT(AnswerNow(refused), StartsWith("412 fwd=stale"));
  EXPECT_THAT(AnswerNow(beyond), StartsWith("416 fwd=stale"));
  EXPECT_THAT(Answer(end), testing::EndsWith("|" + body.substr(body.size() - 7)));
  EXPECT_EQ(origin_.count(), 2u);
  sender.join();
}

TEST_F(RequestCollapseTest, ASlowReaderNeitherPacesTheOthersNorKeepsTheObjectFromTheCache) {
  Start();
  const std::string body = Pattern(160 * kChunkBytes);  // the window is 1 MiB
  FakeExchange& slow = Ask(GetFor("https://www.demo.test/big"),
                           [](FakeExchange& exchange) { exchange.pull_at_once = false; });
  ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& other = Get("/big");
  std::thread sender([&] { asked.Answer("200 OK", kMinute, body); });
  EXPECT_TRUE(AnswerNow(other) == "200 fwd=uri-miss; fwd-status=200; stored; collapsed|" + body);
  EXPECT_TRUE(Answer(Get("/big")) == "200 hit|" + body);
  On([&] {
    slow.pull_at_once = true;
    slow.Pull();
  });
  EXPECT_TRUE(Answer(slow) == "200 fwd=uri-miss; fwd-status=200; stored|" + body);
  EXPECT_EQ(origin_.count(), 1u);
  sender.join();
}

TEST_F(RequestCollapseTest, ARangeFarBeyondTheWindowIsReachedOnAMiss) {
  Start();
  const std::string body = Pattern(160 * kChunkBytes);
  const std::string range = "bytes=" + std::to_string(body.size() - 10) + "-";
  FakeExchange& client = Get("/big", {{"range", range}});
  ScriptedOrigin::Asked asked = origin_.Next();
  std::thread sender([&] { asked.Answer("200 OK", kMinute, body); });
  EXPECT_EQ(Answer(client),
            "206 fwd=uri-miss; fwd-status=200; stored|" + body.substr(body.size() - 10));
  sender.join();
  EXPECT_TRUE(Answer(Get("/big")) == "200 hit|" + body);
}

TEST_F(RequestCollapseTest, AFillWhoseReadersHaveLeftHoldsNoBody) {
  Start();
  const std::string body = Pattern(160 * kChunkBytes);
  FakeExchange& client = Get("/big");
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: " +
             std::to_string(body.size()) + "\r\n\r\n");
  EXPECT_TRUE(thread_.Await([&] { return client.status == 200; }));
  Leave(client);
  std::thread sender([&] { asked.Send(body.substr(0, body.size() - 1)); });
  const metrics::Id received = node_->metrics.origin_bytes;
  EXPECT_TRUE(thread_.Await([&] { return Sum(received) == body.size() - 1; }));
  EXPECT_LE(node_->fills.held_bytes(), 2 * kChunkBytes);
  sender.join();
  asked.Send(body.substr(body.size() - 1));
  Settle();
  EXPECT_TRUE(Answer(Get("/big")) == "200 hit|" + body);
}

TEST_F(RequestCollapseTest, WhatIsNeitherStoredNorReadIsNotFetchedToItsEnd) {
  Start();
  Fill("/a", "Cache-Control: max-age=1, stale-while-revalidate=60\nAge: 2\n", "old");
  EXPECT_EQ(AnswerNow(Get("/a")).substr(0, 7), "200 hit");  // and validates behind
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send("HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Length: 100000\r\n\r\nbegin");
  asked.AwaitClosed();
  Settle();
}

TEST_F(RequestCollapseTest, AllWhoWaitGetTheirStaleCopyWhenTheOriginFails) {
  Start();
  Fill("/a", "Cache-Control: max-age=60\nAge: 100\nETag: \"v\"\n", "old");
  FakeExchange& leader = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  const auto others = GetMany(5, "/a");
  asked.Answer("503 X", "", "error");
  EXPECT_EQ(AnswerNow(leader), "200 fwd=stale; fwd-status=503; detail=stale_if_error|old");
  for (FakeExchange* other : others) {
    EXPECT_THAT(AnswerNow(*other), StartsWith("200 fwd=stale; fwd-status=503; "));
  }
  EXPECT_EQ(origin_.count(), 2u);
}

TEST_F(RequestCollapseTest, AReplyThatVariesGoesToThoseItIsFor) {
  Start();
  FakeExchange& german = Get("/a", {{"accept-language", "de"}});
  ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& german_too = Get("/a", {{"accept-language", "de"}});
  FakeExchange& english = Get("/a", {{"accept-language", "en"}});
  FakeExchange& english_too = Get("/a", {{"accept-language", "en"}});
  const std::string lines = "Cache-Control: max-age=60\nVary: Accept-Language\n";
  asked.Answer("200 OK", lines, "hallo");
  ScriptedOrigin::Asked again = origin_.Next();
  EXPECT_EQ(again.Field("accept-language"), "en");
  again.Answer("200 OK", lines, "hello");
  EXPECT_EQ(AnswerNow(german), "200 fwd=uri-miss; fwd-status=200; stored|hallo");
  EXPECT_EQ(AnswerNow(german_too), "200 fwd=uri-miss; fwd-status=200; stored; collapsed|hallo");
  EXPECT_EQ(AnswerNow(english),
            "200 fwd=vary-miss; fwd-status=200; stored; detail=vary_miss|hello");
  EXPECT_EQ(AnswerNow(english_too),
            "200 fwd=vary-miss; fwd-status=200; stored; collapsed; detail=vary_miss|hello");
  EXPECT_EQ(origin_.count(), 2u);
}

TEST_F(RequestCollapseTest, WithheldFieldsAreForTheLeaderAlone) {
  Start();
  FakeExchange& leader = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& other = Get("/a");
  asked.Answer("200 OK", "Cache-Control: max-age=60, private=\"x-account\"\nX-Account: 7\n", "x");
  AnswerNow(leader);
  AnswerNow(other);
  EXPECT_EQ(leader.Field("x-account"), "7");
  EXPECT_EQ(other.Field("x-account"), "");
}

TEST_F(RequestCollapseTest, WhenTheLeadersClientLeavesTheFillGoesOn) {
  Start();
  FakeExchange& leader = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& other = Get("/a");
  Leave(leader);
  asked.Answer("200 OK", kMinute, "hello");
  EXPECT_EQ(Answer(other), "200 fwd=uri-miss; fwd-status=200; stored; collapsed|hello");
}

TEST_F(RequestCollapseTest, WhatMayBeStoredIsFetchedEvenWhenAllLeave) {
  Start();
  FakeExchange& client = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  Leave(client);
  asked.Send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhello");
  Turn();
  asked.Send("world");
  Settle();
  EXPECT_EQ(Answer(Get("/a")), "200 hit|helloworld");
}

TEST_F(RequestCollapseTest, WhatNobodyWantsAndNobodyStoresIsCancelled) {
  Start();
  FakeExchange& client = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send("HTTP/1.1 200 OK\r\nCache-Control: private\r\nContent-Length: 10\r\n\r\nhello");
  EXPECT_TRUE(thread_.Await([&] { return client.body == "hello"; }));
  Leave(client);
  asked.AwaitClosed();
  Settle();
}

TEST_F(RequestCollapseTest, AnOriginThatDiesHalfWayCutsEverybodyOff) {
  Start();
  FakeExchange& leader = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& other = Get("/a");
  asked.Send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhello");
  EXPECT_TRUE(thread_.Await([&] { return leader.body == "hello" && other.body == "hello"; }));
  asked.Close();
  EXPECT_EQ(AnswerNow(leader), "200 fwd=uri-miss; fwd-status=200; stored|hello [cut off]");
  EXPECT_EQ(AnswerNow(other),
            "200 fwd=uri-miss; fwd-status=200; stored; collapsed|hello [cut off]");
  EXPECT_EQ(Fill("/a", kMinute, "whole"), "200 fwd=uri-miss; fwd-status=200; stored|whole");
}

TEST_F(RequestCollapseTest, ASlowReaderHoldsTheFillAndALateRequestGoesByItself) {
  Start();
  const std::string body = Pattern(60 * kChunkBytes);  // the window is 1 MiB
  FakeExchange& slow = Ask(GetFor("https://www.demo.test/big"),
                           [](FakeExchange& exchange) { exchange.pull_at_once = false; });
  ScriptedOrigin::Asked asked = origin_.Next();
  std::thread sender([&] { asked.Answer("200 OK", kMinute, body); });
  // It takes more than a window: its beginning is gone.
  EXPECT_TRUE(thread_.Await([&] {
    if (slow.status != 0)
      slow.Pull((25 * kChunkBytes) - std::min<uint64_t>(slow.body.size(), 25 * kChunkBytes));
    return slow.body.size() == 25 * kChunkBytes;
  }));
  FakeExchange& late = Get("/big");
  ScriptedOrigin::Asked again = origin_.Next();
  std::thread second([&] { again.Answer("200 OK", kMinute, body); });
  EXPECT_TRUE(AnswerNow(late) == "200 fwd=uri-miss; fwd-status=200; stored|" + body);
  On([&] {
    slow.pull_at_once = true;
    slow.Pull();
  });
  EXPECT_TRUE(Answer(slow) == "200 fwd=uri-miss; fwd-status=200; stored|" + body);
  sender.join();
  second.join();
}

TEST_F(RequestCollapseTest, OnlyAPurgeThatMayCoverAFillKeepsLaterRequestsFromJoiningIt) {
  Start();
  struct Row {
    std::string_view order;
    bool joins;
  };
  constexpr Row kRows[] = {
      {R"({"site":"demo","urls":["/other"]})", true},
      {R"({"site":"demo","prefixes":["/other/"]})", true},
      {R"({"site":"another","all":true,"tags":["t"]})", true},
      {R"({"site":"demo","tags":["t"]})", false},  // what tags it will have is not known
      {R"({"site":"demo","urls":["/dir/a"]})", false},
      {R"({"site":"demo","urls":["/dir/a"],"soft":true})", false},
      {R"({"site":"demo","prefixes":["/dir/"]})", false},
      {R"({"site":"demo","all":true})", false},
  };
  for (const Row& row : kRows) {
    SCOPED_TRACE(row.order);
    FakeExchange& before = Get("/dir/a", {{"cache-control", "no-cache"}});
    ScriptedOrigin::Asked asked = origin_.Next();
    const PurgeOrder order = ParsePurgeOrder(row.order).value();
    node_->store->Purge(ScopesOf(order), order.soft, std::nullopt, nullptr, nullptr);
    const uint64_t collapsed = Sum(node_->metrics.collapsed);
    FakeExchange& after = Get("/dir/a", {{"cache-control", "no-cache"}});
    EXPECT_EQ(Sum(node_->metrics.collapsed) > collapsed, row.joins);
    if (!row.joins) origin_.Next().Answer("200 OK", kMinute, "new");
    asked.Answer("200 OK", kMinute, "old");
    EXPECT_THAT(AnswerNow(before), HasSubstr("|old"));
    EXPECT_THAT(Answer(after), HasSubstr(row.joins ? "|old" : "|new"));
  }
}

TEST_F(RequestCollapseTest, AChangeElsewhereLeavesAFillJoinable) {
  Start();
  Fill("/form", kMinute, "form");
  FakeExchange& leader = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  FakeExchange& change = Ask(RequestFor("POST", "https://www.demo.test/form"));
  origin_.Next().Answer("200 OK", "", "");
  AnswerNow(change);
  FakeExchange& other = Get("/a");
  asked.Answer("200 OK", kMinute, "hello");
  EXPECT_THAT(AnswerNow(leader), HasSubstr("|hello"));
  EXPECT_THAT(Answer(other), HasSubstr("collapsed|hello"));
  EXPECT_EQ(origin_.count(), 3u);
}

TEST_F(RequestCollapseTest, AFillThatEndsWhileTheEdgeStopsIsNoHarm) {
  Start();
  Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhello");
  // The fixture takes the worker down with the client and the fetch under way.
}

}  // namespace
}  // namespace nearside::edge
