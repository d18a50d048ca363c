// The request state machine from its first line to its last, where the cache decides: hits, misses,
// validation, stale answers, variants, invalidation.

#include "edge/request.h"

#include <thread>

#include "edge/cache_key.h"
#include "tests/edge/damaged_store.h"
#include "tests/edge/patterns.h"
#include "tests/edge/request_fixture.h"

namespace nearside::edge {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

/// Arrives stale, may be validated, and served if the origin fails.

TEST_F(RequestTest, AMissIsStoredAndThenAHit) {
  Start();
  EXPECT_EQ(Fill("/a", kMinute, "hello"), "200 fwd=uri-miss; fwd-status=200; stored|hello");
  FakeExchange& hit = Get("/a");
  EXPECT_EQ(Answer(hit), "200 hit|hello");
  EXPECT_THAT(hit.Field("age"), testing::MatchesRegex("[0-9]"));
  EXPECT_EQ(hit.Field("content-length"), "5");
  EXPECT_EQ(hit.Field("via"), "1.1 frankfurt");
  EXPECT_FALSE(hit.Field("date").empty());
  EXPECT_EQ(origin_.count(), 1u);
  EXPECT_EQ(Counted(Reason::kUriMiss), 1u);
  EXPECT_EQ(Counted(Reason::kStored), 1u);
  EXPECT_EQ(Counted(Reason::kFresh), 1u);
}

TEST_F(RequestTest, OneSpellingOfAUrlIsAskedForAndAllAreHits) {
  Start();
  FakeExchange& first = Get("/x/../%61?b=%7e");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.first_line(), "GET /a?b=~ HTTP/1.1");
  asked.Answer("200 OK", kMinute, "hello");
  Answer(first);
  EXPECT_EQ(Answer(Get("/a?b=~")), "200 hit|hello");
}

TEST_F(RequestTest, TheOriginIsAskedAsTheEdge) {
  Start();
  FakeExchange& client = Get("/a", {{"x-forwarded-for", "1.1.1.1"},
                                    {"cookie", "a=b"},
                                    {"if-none-match", "\"x\""},
                                    {"range", "bytes=0-1"}});
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("host"), "www.demo.test");
  EXPECT_EQ(asked.Field("x-forwarded-for"), "192.0.2.7");
  EXPECT_EQ(asked.Field("cookie"), "a=b");
  EXPECT_EQ(asked.Field("via"), "2.0 frankfurt");
  EXPECT_EQ(asked.Field("if-none-match"), "");
  EXPECT_EQ(asked.Field("range"), "bytes=0-4193279");  // the slice that holds the client's
  asked.Answer("200 OK", kMinute, "hello");
  EXPECT_EQ(Answer(client), "206 fwd=uri-miss; fwd-status=200; stored|he");
}

TEST_F(RequestTest, ConditionsAndRangesAreAnsweredFromTheCache) {
  Start();
  Fill("/a", "Cache-Control: max-age=60\nETag: \"v\"\n", "hello");
  EXPECT_EQ(Answer(Get("/a", {{"if-none-match", "\"v\""}})), "304 hit|");
  FakeExchange& part = Get("/a", {{"range", "bytes=1-3"}});
  EXPECT_EQ(Answer(part), "206 hit|ell");
  EXPECT_EQ(part.Field("content-range"), "bytes 1-3/5");
  EXPECT_EQ(part.Field("content-length"), "3");
  FakeExchange& beyond = Get("/a", {{"range", "bytes=9-"}});
  EXPECT_EQ(Answer(beyond), "416 hit|");
  EXPECT_EQ(beyond.Field("content-range"), "bytes */5");
  EXPECT_EQ(Answer(Get("/a", {{"if-match", "\"w\""}})), "412 hit|");
  EXPECT_EQ(origin_.count(), 1u);
}

TEST_F(RequestTest, AConditionIsAnsweredFromWhatIsFetchedForTheCache) {
  Start();
  FakeExchange& client = Get("/a", {{"if-none-match", "\"v\""}});
  const ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "");
  asked.Answer("200 OK", "Cache-Control: max-age=60\nETag: \"v\"\n", "hello");
  EXPECT_EQ(Answer(client), "304 fwd=uri-miss; fwd-status=200; stored|");
  EXPECT_EQ(Answer(Get("/a")), "200 hit|hello");
}

// RFC 9110 §14.1.2.
TEST_F(RequestTest, AnEmptyResponseHasNoRangesButItsLastBytes) {
  Start();
  Fill("/a", kMinute, "");
  FakeExchange& last = Get("/a", {{"range", "bytes=-5"}});
  EXPECT_EQ(Answer(last), "200 hit|");
  EXPECT_EQ(last.Field("content-length"), "0");
  EXPECT_EQ(last.Field("content-range"), "");
  FakeExchange& all = Get("/a", {{"range", "bytes=0-"}});
  EXPECT_EQ(Answer(all), "416 hit|");
  EXPECT_EQ(all.Field("content-range"), "bytes */0");
  EXPECT_EQ(origin_.count(), 1u);
}

TEST_F(RequestTest, HeadIsAnsweredFromAGetAndPassedOtherwise) {
  Start();
  FakeExchange& miss = Head("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.first_line(), "HEAD /a HTTP/1.1");
  asked.Send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(Answer(miss), "200 fwd=uri-miss; fwd-status=200|");
  EXPECT_EQ(miss.Field("content-length"), "5");
  Fill("/a", kMinute, "hello");
  FakeExchange& hit = Head("/a");
  EXPECT_EQ(Answer(hit), "200 hit|");
  EXPECT_EQ(hit.Field("content-length"), "5");
}

// RFC 9111 §4.3.5: the copy learns of it.
TEST_F(RequestTest, HeadIsAskedForByGetWhereACopyCouldAnswerThoughNothingIsShared) {
  Start();
  const http::Fields anew = {{"cache-control", "no-cache"}};
  Fill("/a", kMinute, "hello");
  EXPECT_THAT(Fill("/a", "Set-Cookie: a=b\n", "yours", anew), EndsWith("|yours"));
  FakeExchange& head = Head("/a", anew);
  const ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.first_line(), "GET /a HTTP/1.1");
  asked.Answer("200 OK", kMinute, "longer than that");
  EXPECT_THAT(Answer(head), StartsWith("200 fwd="));
  EXPECT_EQ(head.Field("content-length"), "16");
  EXPECT_EQ(Answer(Get("/a")), "200 hit|longer than that");
}

TEST_F(RequestTest, BodiesOfManyChunksComeOutAsTheyWentIn) {
  Start();
  const std::string body = Pattern(5 * kChunkBytes + 321);
  FakeExchange& miss = Get("/big");
  ScriptedOrigin::Asked asked = origin_.Next();
  std::thread sender([&] { asked.Answer("200 OK", kMinute, body); });
  EXPECT_TRUE(Answer(miss) == "200 fwd=uri-miss; fwd-status=200; stored|" + body);
  sender.join();
  EXPECT_TRUE(Answer(Get("/big")) == "200 hit|" + body);
  EXPECT_TRUE(Answer(Get("/big", {{"range", "bytes=65000-200000"}})) ==
              "206 hit|" + body.substr(65'000, 135'001));
}

TEST_F(RequestTest, ABodyOfUnknownLengthIsStoredWithItsLength) {
  Start();
  FakeExchange& miss = Get("/a");
  origin_.Next().Send(
      "HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n0\r\n\r\n");
  EXPECT_EQ(Answer(miss), "200 fwd=uri-miss; fwd-status=200; stored|hello");
  EXPECT_EQ(miss.Field("content-length"), "");
  FakeExchange& hit = Get("/a");
  EXPECT_EQ(Answer(hit), "200 hit|hello");
  EXPECT_EQ(hit.Field("content-length"), "5");
}

// RFC 9110 §8.6.
TEST_F(RequestTest, A204IsStoredWithoutALength) {
  Start();
  EXPECT_EQ(Fill("/a", kMinute, "", {}, "204 No Content"),
            "204 fwd=uri-miss; fwd-status=204; stored|");
  FakeExchange& hit = Get("/a");
  EXPECT_EQ(Answer(hit), "204 hit|");
  EXPECT_EQ(hit.Field("content-length"), "");
}

TEST_F(RequestTest, WhatIsNotStoredSaysWhy) {
  Start();
  EXPECT_EQ(Fill("/private", "Cache-Control: private\n", "x"),
            "200 fwd=uri-miss; fwd-status=200; detail=private|x");
  EXPECT_EQ(Fill("/no-store", "Cache-Control: no-store\n", "x"),
            "200 fwd=uri-miss; fwd-status=200; detail=no_store|x");
  EXPECT_EQ(Fill("/cookie", "Cache-Control: max-age=60\nSet-Cookie: a=b\n", "x"),
            "200 fwd=uri-miss; fwd-status=200; detail=set_cookie|x");
  EXPECT_EQ(Fill("/302", "Location: /b\n", "", {}, "302 Found"),
            "302 fwd=uri-miss; fwd-status=302; detail=uncacheable_status|");
  EXPECT_EQ(Counted(Reason::kPrivate), 1u);
  EXPECT_EQ(Counted(Reason::kSetCookie), 1u);
}

TEST_F(RequestTest, FieldsWithheldFromTheCacheReachTheOneWhoAsked) {
  Start();
  FakeExchange& first = Get("/a");
  origin_.Next().Answer(
      "200 OK", "Cache-Control: max-age=60, private=\"x-account\"\nX-Account: 7\n", "hello");
  Answer(first);
  EXPECT_EQ(first.Field("x-account"), "7");
  FakeExchange& second = Get("/a");
  EXPECT_EQ(Answer(second), "200 hit|hello");
  EXPECT_EQ(second.Field("x-account"), "");
}

TEST_F(RequestTest, SurrogateFieldsStayHere) {
  Start();
  for (int i = 0; i < 2; ++i) {
    FakeExchange& client = Get("/a");
    if (i == 0) {
      origin_.Next().Answer("200 OK", "Nearside-Cache-Control: max-age=60\nSurrogate-Key: a b\n",
                            "hello");
    }
    Answer(client);
    EXPECT_EQ(client.Field("surrogate-key") + client.Field("nearside-cache-control"), "");
  }
  node_->store->Purge({ScopeOf(storage::ScopeKind::kTag, "demo", "b")}, false, std::nullopt,
                      nullptr, nullptr);
  EXPECT_EQ(Fill("/a", kMinute, "new"), "200 fwd=uri-miss; fwd-status=200; stored|new");
}

// RFC 9111 §4.3.
TEST_F(RequestTest, AStaleResponseIsValidatedAndFreshAgain) {
  Start();
  Fill("/a", kStale, "hello");
  FakeExchange& validated = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "\"v\"");
  asked.Answer("304 Not Modified", "Cache-Control: max-age=60\nETag: \"v\"\nX-New: 1\n", "");
  EXPECT_EQ(Answer(validated), "200 fwd=stale; fwd-status=304; detail=validated|hello");
  FakeExchange& hit = Get("/a");
  EXPECT_EQ(Answer(hit), "200 hit|hello");
  EXPECT_EQ(hit.Field("x-new"), "1");
  EXPECT_EQ(Sum(node_->metrics.validations), 1u);
}

TEST_F(RequestTest, AStaleResponseIsReplacedByANewOne) {
  Start();
  Fill("/a", kStale, "old");
  EXPECT_EQ(Fill("/a", kMinute, "new"),
            "200 fwd=stale; fwd-status=200; stored; detail=expired|new");
  EXPECT_EQ(Answer(Get("/a")), "200 hit|new");
}

TEST_F(RequestTest, AClientsOwnConditionIsAnsweredAfterValidation) {
  Start();
  Fill("/a", kStale, "hello");
  FakeExchange& client = Get("/a", {{"if-none-match", "\"v\""}});
  origin_.Next().Answer("304 Not Modified", kMinute, "");
  EXPECT_EQ(Answer(client), "304 fwd=stale; fwd-status=304; detail=validated|");
  // RFC 9111 §4.3.2: the 304 is about our copy, and not about the client's.
  Fill("/b", kStale, "hello");
  FakeExchange& other = Get("/b", {{"if-none-match", "\"w\""}, {"if-modified-since", DateAt(0)}});
  const ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "\"v\"");
  asked.Answer("304 Not Modified", "Cache-Control: max-age=60\nETag: \"v\"\n", "");
  EXPECT_EQ(Answer(other), "200 fwd=stale; fwd-status=304; detail=validated|hello");
  EXPECT_EQ(other.Field("etag"), "\"v\"");
}

// RFC 9211 §2.2: it was the request that did not want what is fresh.
TEST_F(RequestTest, WhatARequestHasHadValidatedSaysSo) {
  Start();
  const std::string_view fields = "Cache-Control: max-age=60\nAge: 10\nETag: \"v\"\n";
  Fill("/a", fields, "hello");
  for (const std::string_view control : {"no-cache", "max-age=5", "min-fresh=100"}) {
    SCOPED_TRACE(control);
    FakeExchange& client = Get("/a", {{"cache-control", control}});
    origin_.Next().Answer("304 Not Modified", fields, "");
    EXPECT_EQ(Answer(client), "200 fwd=request; fwd-status=304; detail=validated|hello");
  }
}

TEST_F(RequestTest, A304ThatForbidsStoringEndsTheStoredResponse) {
  Start();
  Fill("/a", kStale, "hello");
  EXPECT_EQ(Fill("/a", "Cache-Control: no-store\n", "", {}, "304 Not Modified"),
            "200 fwd=stale; fwd-status=304; detail=validated|hello");
  EXPECT_EQ(Fill("/a", kMinute, "new"), "200 fwd=uri-miss; fwd-status=200; stored|new");
}

// RFC 9111 §4.3.4: the client whose request was validated gets what the 304 says, kept or not.
TEST_F(RequestTest, WhatA304SaysReachesTheClientEvenIfItIsNotKept) {
  struct Row {
    std::string_view lines;
    http::Fields request;
    std::string answer;
  };
  const std::string whole = "200 fwd=stale; fwd-status=304; detail=validated|hello";
  const std::string part = "206 fwd=stale; fwd-status=304; detail=validated|el";
  const std::string parts = "206 fwd=stale; fwd-status=304; detail=validated|";
  const std::string unchanged = "304 fwd=stale; fwd-status=304; detail=validated|";
  const http::Fields range = {{"range", "bytes=1-2"}};
  const http::Fields condition = {{"if-none-match", "\"v\""}};
  const Row rows[] = {
      {"Cache-Control: max-age=60\n", {}, whole},  // its cookies forbid it
      {"Cache-Control: no-store\n", {}, whole},
      {"Cache-Control: private\n", {}, whole},
      {"Cache-Control: private\n", range, part},
      {"Cache-Control: private\n", {{"range", "bytes=0-0,2-2"}}, parts},
      {"Cache-Control: private\n", condition, unchanged},
      {"Cache-Control: max-age=60, private=\"set-cookie, x-account\"\n", {}, whole},
  };
  Start();
  for (size_t i = 0; i < std::size(rows); ++i) {
    SCOPED_TRACE(i);
    const Row& row = rows[i];
    const std::string target = "/" + std::to_string(i);
    Fill(target, std::string(kStale) + "X-Account: none\nX-Stays: 1\n", "hello");
    FakeExchange& client = Get(target, row.request);
    origin_.Next().Answer("304 Not Modified",
                          std::string(row.lines) +
                              "Set-Cookie: a=1\nSet-Cookie: b=2\n"
                              "X-Account: 7\nSurrogate-Key: s\n"
                              "Content-Type: text/x-default\n",
                          "");
    EXPECT_THAT(Answer(client), StartsWith(row.answer));
    EXPECT_EQ(client.Field("set-cookie"), "a=1, b=2");
    EXPECT_EQ(client.Field("x-account"), "7");
    EXPECT_EQ(client.Field("surrogate-key"), "");
    EXPECT_EQ(client.Field("age"), "");
    if (client.status == 200) {
      EXPECT_EQ(client.Field("x-stays"), "1");
      EXPECT_EQ(client.Field("content-length"), "5");
      EXPECT_EQ(client.Field("content-type"), "");
      EXPECT_EQ(client.Field("cache-control") + "\n", std::string(row.lines).substr(15));
    }
    // Nobody else gets it.
    FakeExchange& next = Get(target);
    const ScriptedOrigin::Asked asked = origin_.Next();
    EXPECT_EQ(asked.Field("if-none-match"), "");
    asked.Answer("200 OK", kMinute, "new");
    EXPECT_THAT(Answer(next), HasSubstr("|new"));
    EXPECT_EQ(next.Field("set-cookie"), "");
    EXPECT_EQ(next.Field("x-account"), "");
  }
}

// What the 304 says of fields that are for one is kept of the others.
TEST_F(RequestTest, OfA304ThatIsKeptFieldsForOneReachThatOneAlone) {
  Start("set_cookie = \"store\"\n");
  Fill("/a", kStale, "hello");
  FakeExchange& client = Get("/a");
  origin_.Next().Answer("304 Not Modified",
                        "Cache-Control: max-age=60, private=\"set-cookie\"\nSet-Cookie: a=1\n"
                        "X-New: 1\n",
                        "");
  EXPECT_EQ(Answer(client), "200 fwd=stale; fwd-status=304; detail=validated|hello");
  EXPECT_EQ(client.Field("set-cookie"), "a=1");
  EXPECT_EQ(client.Field("x-new"), "1");
  FakeExchange& hit = Get("/a");
  EXPECT_EQ(Answer(hit), "200 hit|hello");
  EXPECT_EQ(hit.Field("set-cookie"), "");
  EXPECT_EQ(hit.Field("x-new"), "1");
}

// RFC 9111 §4.3.4.
TEST_F(RequestTest, A304AboutAnotherResponseValidatesNothing) {
  Start();
  Fill("/a", kStale, "hello");
  FakeExchange& client = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "\"v\"");
  asked.Answer("304 Not Modified", "ETag: \"w\"\n", "");
  ScriptedOrigin::Asked again = origin_.Next();
  EXPECT_EQ(again.Field("if-none-match"), "");
  EXPECT_EQ(again.Field("if-modified-since"), "");
  again.Answer("200 OK", kMinute, "new");
  EXPECT_EQ(Answer(client), "200 fwd=stale; fwd-status=200; stored; detail=expired|new");
  EXPECT_EQ(Answer(Get("/a")), "200 hit|new");
}

TEST_F(RequestTest, A304ToAnAuthorizedRequestEndsNothing) {
  Start();
  Fill("/a", kStale, "hello");
  FakeExchange& known = Get("/a", {{"authorization", "x"}});
  origin_.Next().Answer("304 Not Modified", std::string(kMinute) + "X-Account: 7\n", "");
  EXPECT_EQ(Answer(known), "200 fwd=stale; fwd-status=304; detail=validated|hello");
  EXPECT_EQ(known.Field("x-account"), "7");
  FakeExchange& next = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "\"v\"");  // still there
  asked.Answer("304 Not Modified", kMinute, "");
  Answer(next);
  EXPECT_EQ(next.Field("x-account"), "");
}

// RFC 5861 §3.
TEST_F(RequestTest, StaleWhileRevalidateServesAndValidatesBehind) {
  Start();
  Fill("/a", "Cache-Control: max-age=60, stale-while-revalidate=600\nAge: 100\nETag: \"v\"\n",
       "old");
  FakeExchange& stale = Get("/a");
  EXPECT_EQ(AnswerNow(stale), "200 hit; detail=stale_while_revalidate|old");
  EXPECT_THAT(stale.Field("age"), testing::MatchesRegex("10[0-9]"));
  EXPECT_EQ(stale.Field("warning"), "");
  EXPECT_EQ(AnswerNow(Get("/a")), "200 hit; detail=stale_while_revalidate|old");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "\"v\"");
  EXPECT_EQ(origin_.count(), 2u);
  asked.Answer("200 OK", kMinute, "new");
  Settle();
  EXPECT_EQ(Answer(Get("/a")), "200 hit|new");
}

// RFC 5861 §4.
TEST_F(RequestTest, StaleIfErrorWhenTheOriginSends5xx) {
  Start();
  Fill("/a", kStale, "old");
  for (const char* status : {"500 X", "502 X", "503 X", "504 X"}) {
    EXPECT_EQ(Fill("/a", "", "error", {}, status),
              "200 fwd=stale; fwd-status=" + std::string(status).substr(0, 3) +
                  "; detail=stale_if_error|old");
  }
  EXPECT_EQ(Fill("/a", "", "not here", {}, "404 Not Found"),
            "404 fwd=stale; fwd-status=404; stored; detail=expired|not here");
}

TEST_F(RequestTest, A5xxThatMayBeStoredDoesNotDisplaceWhatIsStored) {
  Start();
  // With a validator and without one.
  for (const std::string tag : {"ETag: \"v\"\n", ""}) {
    const std::string target = "/" + std::to_string(origin_.count());
    Fill(target, "Cache-Control: max-age=1, stale-if-error=600\n" + tag, "old");
    std::this_thread::sleep_for(milliseconds(1100));
    for (int i = 0; i < 2; ++i) {
      EXPECT_EQ(Fill(target, kMinute, "error", {}, "503 X"),
                "200 fwd=stale; fwd-status=503; detail=stale_if_error|old")
          << tag << i;
    }
    EXPECT_EQ(Fill(target, kMinute, "new"),
              "200 fwd=stale; fwd-status=200; stored; detail=expired|new");
  }
}

// What may not be shown any more is in no one's way.
TEST_F(RequestTest, A5xxThatMayBeStoredDisplacesWhatMayNotBeShown) {
  Start();
  Fill("/a", "Cache-Control: max-age=60, must-revalidate\nAge: 100\nETag: \"v\"\n", "old");
  EXPECT_EQ(Fill("/a", kMinute, "error", {}, "503 X"),
            "503 fwd=stale; fwd-status=503; stored; detail=expired|error");
  EXPECT_EQ(Answer(Get("/a")), "503 hit|error");
}

TEST_F(RequestTest, StaleIfErrorWhenTheOriginIsCutOffBeforeItsHead) {
  Start();
  Fill("/a", kStale, "old");
  FakeExchange& client = Get("/a");
  origin_.Next().Close();
  // The client session asks once more on a new connection.
  EXPECT_TRUE(thread_.Await([&] { return client.status != 0 || origin_.count() > 2; }));
  if (origin_.count() > 2) origin_.Next().Close();
  EXPECT_EQ(Answer(client), "200 fwd=stale; detail=stale_if_error|old");
  EXPECT_EQ(Counted(Reason::kStaleIfError), 1u);
}

// Each visitor would wait as long as the first one.
TEST_F(RequestTest, NobodyWaitsForAnOriginThatIsKnownToSayNothing) {
  Start("origin_timeout = \"3s\"\n");
  Fill("/a", kStale, "old a");
  Fill("/b", kStale, "old b");
  FakeExchange& first = Get("/a");
  const ScriptedOrigin::Asked silent = origin_.Next();
  EXPECT_EQ(Answer(first), "200 fwd=stale; detail=stale_if_error|old a");
  // Whether it answers again one request a second finds out, which nobody waits for.
  std::vector<std::string> answers;
  for (FakeExchange* client : GetAtOnce({"/b", "/a", "/b"})) answers.push_back(AnswerNow(*client));
  const std::string detail = "200 hit; detail=stale_if_error|";
  EXPECT_THAT(answers, testing::ElementsAre(detail + "old b", detail + "old a", detail + "old b"));
  const ScriptedOrigin::Asked probe = origin_.Next();
  EXPECT_THAT(probe.first_line(), StartsWith("GET /b "));
  EXPECT_EQ(origin_.count(), 4u);
  // Who wants it anew, and what may not be shown stale, waits all the same.
  FakeExchange& reload = Get("/a", {{"cache-control", "no-cache"}});
  const ScriptedOrigin::Asked asked = origin_.Next();
  asked.Answer("200 OK", kMinute, "new a");
  EXPECT_EQ(AnswerNow(reload),
            "200 fwd=request; fwd-status=200; stored; detail=request_no_cache|new a");
  Settle();
}

TEST_F(RequestTest, MustRevalidateWinsOverAnOutage) {
  Start();
  Fill("/a", "Cache-Control: max-age=60, must-revalidate\nAge: 100\nETag: \"v\"\n", "old");
  EXPECT_EQ(Fill("/a", "", "error", {}, "503 X"),
            "503 fwd=stale; fwd-status=503; detail=uncacheable_status|error");
}

TEST_F(RequestTest, AReloadDuringAnOutageGetsTheFreshCopy) {
  Start();
  Fill("/a", "Cache-Control: s-maxage=60\n", "hello");
  EXPECT_EQ(Fill("/a", "", "error", {{"cache-control", "no-cache"}}, "503 X"),
            "200 fwd=request; fwd-status=503; detail=stale_if_error|hello");
}

TEST_F(RequestTest, AReloadFetchesAnew) {
  Start();
  Fill("/a", kMinute, "old");
  EXPECT_EQ(Fill("/a", kMinute, "new", {{"cache-control", "no-cache"}}),
            "200 fwd=request; fwd-status=200; stored; detail=request_no_cache|new");
  EXPECT_EQ(Answer(Get("/a")), "200 hit|new");
}

TEST_F(RequestTest, AfterAReloadWhatATargetNamesIsFoundOutAnew) {
  Start();
  Fill("/a?x=1", kMinute, "one");
  EXPECT_EQ(Answer(Get("/a?x=1")), "200 hit|one");
  On([&] {
    EdgeSettings settings = SettingsWith("query = \"ignore\"\n");
    settings.listen.clear();
    settings.sites[0].origins = {origin_.url()};
    worker_->Reload(
        std::make_shared<const Configuration>(std::move(settings), worker_->configuration().get()),
        nullptr);
  });
  EXPECT_EQ(Fill("/a", kMinute, "all"), "200 fwd=uri-miss; fwd-status=200; stored|all");
  EXPECT_EQ(Answer(Get("/a?x=1")), "200 hit|all");
}

TEST_F(RequestTest, OnlyIfCachedNeverAsksTheOrigin) {
  Start();
  FakeExchange& client = Get("/a", {{"cache-control", "only-if-cached"}});
  EXPECT_THAT(Answer(client), HasSubstr("504 detail=only_if_cached|504 Gateway Timeout"));
  EXPECT_EQ(client.Field("cache-control"), "no-store");
  EXPECT_EQ(origin_.count(), 0u);
  Fill("/a", kMinute, "hello");
  EXPECT_EQ(Answer(Get("/a", {{"cache-control", "only-if-cached"}})), "200 hit|hello");
}

// RFC 9111 §5.1.
TEST_F(RequestTest, WhatWasValidatedForARequestHasNoAgeForIt) {
  Start();
  Fill("/a", kStale, "one");
  FakeExchange& first = Get("/a");
  origin_.Next().Answer("304 Not Modified", "Cache-Control: max-age=60\nETag: \"v\"\n", "");
  EXPECT_THAT(Answer(first), EndsWith("|one"));
  EXPECT_EQ(first.Field("age"), "");
  FakeExchange& hit = Get("/a");
  EXPECT_EQ(Answer(hit), "200 hit|one");
  EXPECT_THAT(hit.Field("age"), testing::MatchesRegex("[0-9]"));
  // A cache on the way says how old its word is.
  Fill("/b", kStale, "two");
  FakeExchange& chained = Get("/b");
  origin_.Next().Answer("304 Not Modified", "Cache-Control: max-age=60\nETag: \"v\"\nAge: 7\n", "");
  EXPECT_THAT(Answer(chained), EndsWith("|two"));
  EXPECT_THAT(chained.Field("age"), testing::MatchesRegex("[7-9]|1[0-9]"));
}

TEST_F(RequestTest, HardPurgedIsNeverServedAndSoftPurgedIsValidated) {
  Start();
  const auto purge = [&](bool soft) {
    node_->store->Purge({ScopeOf(storage::ScopeKind::kUrl, "demo", "/a")}, soft, std::nullopt,
                        nullptr, nullptr);
  };
  Fill("/a", "Cache-Control: max-age=60\nETag: \"v\"\n", "old");
  purge(/*soft=*/true);
  FakeExchange& client = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "\"v\"");
  asked.Answer("304 Not Modified", "", "");
  EXPECT_EQ(Answer(client), "200 fwd=stale; fwd-status=304; detail=validated|old");
  EXPECT_EQ(Answer(Get("/a")), "200 hit|old");
  purge(/*soft=*/true);
  EXPECT_EQ(Fill("/a", "", "error", {}, "503 X"),
            "200 fwd=stale; fwd-status=503; detail=stale_if_error|old");
  purge(/*soft=*/false);
  EXPECT_EQ(Fill("/a", "", "error", {}, "503 X"),
            "503 fwd=uri-miss; fwd-status=503; detail=uncacheable_status|error");
}

TEST_F(RequestTest, WhatMayHaveBeenPurgedHardIsUsedOnlyOnTheOriginsWord) {
  Start();
  Fill("/a", "Cache-Control: max-age=60\nETag: \"v\"\n", "old");
  node_->store->PurgeAll(storage::Validity::kUnsure);
  EXPECT_EQ(Fill("/a", "", "error", {}, "503 X"),
            "503 fwd=stale; fwd-status=503; detail=uncacheable_status|error");
  FakeExchange& client = Get("/a");
  origin_.Next().Answer("304 Not Modified", "", "");
  EXPECT_EQ(Answer(client), "200 fwd=stale; fwd-status=304; detail=validated|old");
  EXPECT_EQ(Answer(Get("/a")), "200 hit|old");
}

TEST_F(RequestTest, CutOffFromTheLogForTooLongItValidatesEverything) {
  Start("max_event_lag = \"10s\"\n");
  Fill("/a", "Cache-Control: max-age=60\nETag: \"v\"\n", "old");
  node_->lag_ms.store(10'000);
  EXPECT_EQ(Answer(Get("/a")), "200 hit|old");
  node_->lag_ms.store(10'001);
  FakeExchange& client = Get("/a");
  origin_.Next().Answer("304 Not Modified", "", "");
  EXPECT_EQ(Answer(client), "200 fwd=stale; fwd-status=304; detail=validated|old");
  EXPECT_EQ(Fill("/a", "", "error", {}, "503 X"),
            "200 fwd=stale; fwd-status=503; detail=stale_if_error|old");
  node_->lag_ms.store(0);
  EXPECT_EQ(Answer(Get("/a")), "200 hit|old");
}

TEST_F(RequestTest, AFetchThatFailsAfterALaterOneHasStoredShowsWhatThatStored) {
  Start();
  Fill("/a", kStale, "old");
  FakeExchange& before = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  node_->store->Purge({ScopeOf(storage::ScopeKind::kUrl, "demo", "/a")}, /*soft=*/true,
                      std::nullopt, nullptr, nullptr);
  FakeExchange& after = Get("/a");
  origin_.Next().Answer("200 OK", kMinute, "new");
  EXPECT_THAT(AnswerNow(after), HasSubstr("|new"));
  asked.Answer("503 X", "", "error");
  EXPECT_EQ(Answer(before), "200 hit|new");
}

TEST_F(RequestTest, AFetchThatALaterOneOvertookDoesNotTakeItsPlace) {
  Start();
  FakeExchange& before = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  node_->store->Purge({ScopeOf(storage::ScopeKind::kUrl, "demo", "/a")}, /*soft=*/true,
                      std::nullopt, nullptr, nullptr);
  FakeExchange& after = Get("/a");
  origin_.Next().Answer("200 OK", kMinute, "new");
  EXPECT_EQ(AnswerNow(after), "200 fwd=uri-miss; fwd-status=200; stored|new");
  EXPECT_EQ(Answer(Get("/a")), "200 hit|new");
  asked.Answer("200 OK", kMinute, "old");
  EXPECT_THAT(Answer(before), HasSubstr("|old"));
  // Which of the two is of the later release the origin knows.
  EXPECT_EQ(Fill("/a", kMinute, "new"), "200 fwd=uri-miss; fwd-status=200; stored|new");
}

TEST_F(RequestTest, AFillThatAPurgeOvertookIsNotStored) {
  Start();
  FakeExchange& before = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 3\r\n\r\n");
  EXPECT_TRUE(thread_.Await([&] { return before.status != 0; }));
  node_->store->Purge({ScopeOf(storage::ScopeKind::kUrl, "demo", "/a")}, false, std::nullopt,
                      nullptr, nullptr);
  FakeExchange& after = Get("/a");  // does not join what began before
  ScriptedOrigin::Asked again = origin_.Next();
  asked.Send("old");
  EXPECT_EQ(AnswerNow(before), "200 fwd=uri-miss; fwd-status=200; stored|old");
  again.Answer("200 OK", kMinute, "new");
  EXPECT_EQ(Answer(after), "200 fwd=uri-miss; fwd-status=200; stored|new");
  EXPECT_EQ(Answer(Get("/a")), "200 hit|new");
}

// They were asked at one time: which of the two is of the later release the origin knows. The first
// has been shown, though the purge keeps it from being stored.
TEST_F(RequestTest, WhatIsAskedAsAFillIsThatAPurgeOvertookIsNotStoredBehindIt) {
  Start();
  FakeExchange& before = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  node_->store->Purge({ScopeOf(storage::ScopeKind::kUrl, "demo", "/a")}, false, std::nullopt,
                      nullptr, nullptr);
  FakeExchange& after = Get("/a");
  ScriptedOrigin::Asked again = origin_.Next();
  asked.Answer("200 OK", kMinute, "newer");
  EXPECT_EQ(AnswerNow(before), "200 fwd=uri-miss; fwd-status=200; stored|newer");
  again.Answer("200 OK", kMinute, "older");
  EXPECT_EQ(Answer(after), "200 fwd=uri-miss; fwd-status=200; stored|older");
  EXPECT_EQ(Fill("/a", kMinute, "newer"), "200 fwd=uri-miss; fwd-status=200; stored|newer");
  EXPECT_EQ(Answer(Get("/a")), "200 hit|newer");
}

// What stood there first came back: the one that fetched it first ends after the one that has
// fetched it again, and does not make room for what was there in between.
TEST_F(RequestTest, WhatBringsTheSameAsALaterOneMakesNoRoomForWhatCameBetweenThem) {
  Start();
  const auto lines = [](const std::string& tag) {
    return "Cache-Control: max-age=0\nETag: \"" + tag + "\"\n";
  };
  for (int i = 0; i < 2; ++i) Fill("/a", lines("0"), "zero");  // nobody waits for it from here on
  const auto begin = [&](const std::string& tag, FakeExchange& client) {
    ScriptedOrigin::Asked asked = origin_.Next();
    asked.Send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nCache-Control: max-age=0\r\nETag: \"" +
               tag + "\"\r\n\r\n" + tag);
    EXPECT_TRUE(thread_.Await([&] { return client.status != 0; }));
    return asked;
  };
  FakeExchange& first = Get("/a");
  const auto came_first = begin("A", first);
  FakeExchange& second = Get("/a");
  const auto between = begin("B", second);
  FakeExchange& third = Get("/a");
  origin_.Next().Answer("200 OK", lines("A"), "A..");
  EXPECT_THAT(AnswerNow(third), EndsWith("|A.."));
  came_first.Send("..");
  EXPECT_THAT(AnswerNow(first), EndsWith("|A.."));
  between.Send("..");
  EXPECT_THAT(Answer(second), EndsWith("|B.."));
  FakeExchange& next = Get("/a");
  const auto validation = origin_.Next();
  EXPECT_EQ(validation.Field("if-none-match"), "\"A\"");
  validation.Answer("304 Not Modified", lines("A"), "");
  EXPECT_THAT(Answer(next), EndsWith("|A.."));
}

TEST_F(RequestTest, ABodyThatCannotBeReadIsFetchedAnew) {
  auto damaged = std::make_unique<DamagedStore>(MemoryStore());
  DamagedStore& store = *damaged;
  StartWith("", {origin_.url()}, std::move(damaged));
  const std::string body = Pattern(3000);  // too long to lie in the head
  Fill("/a", "Cache-Control: max-age=60\nETag: \"v\"\n", body);
  store.damaged = true;
  FakeExchange& client = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("if-none-match"), "");  // a 304 would be of no use
  store.damaged = false;
  asked.Answer("200 OK", kMinute, "new");
  EXPECT_EQ(Answer(client), "200 fwd=uri-miss; fwd-status=200; stored|new");
  EXPECT_EQ(Answer(Get("/a")), "200 hit|new");
  EXPECT_EQ(origin_.count(), 2u);
}

TEST_F(RequestTest, AnOriginFasterThanTheDiskWaitsForIt) {
  auto damaged = std::make_unique<DamagedStore>(MemoryStore());
  DamagedStore& store = *damaged;
  StartWith("", {origin_.url()}, std::move(damaged));
  const std::string body = Pattern(16 << 20);  // more than sockets hold
  store.behind = true;
  FakeExchange& client = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  std::thread sender([&] { asked.Answer("200 OK", kMinute, body); });
  EXPECT_TRUE(thread_.Await([&] { return !store.waiting.empty(); }));
  for (int i = 0; i < 20; ++i) Turn();
  EXPECT_LT(On([&] { return client.body.size(); }), 1u << 20);
  store.behind = false;
  On([&] {
    for (const auto& room : store.waiting) room();
  });
  EXPECT_TRUE(Answer(client) == "200 fwd=uri-miss; fwd-status=200; stored|" + body);
  EXPECT_EQ(store.waiting.size(), 1u);
  sender.join();
  EXPECT_TRUE(Answer(Get("/a")) == "200 hit|" + body);
}

TEST_F(RequestTest, AClientDoesNotWaitForADiskThatHangs) {
  auto damaged = std::make_unique<DamagedStore>(MemoryStore());
  DamagedStore& store = *damaged;
  StartWith("", {origin_.url()}, std::move(damaged));
  const std::string body = Pattern(16 << 20);
  store.behind = true;
  FakeExchange& client = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  std::thread sender([&] { asked.Answer("200 OK", kMinute, body); });
  EXPECT_TRUE(Answer(client) == "200 fwd=uri-miss; fwd-status=200; stored|" + body);
  EXPECT_EQ(store.waiting.size(), 1u) << "its patience is for one fill, not for each chunk";
  sender.join();
}

TEST_F(RequestTest, AStaleCopyThatCannotBeReadIsAnError) {
  auto damaged = std::make_unique<DamagedStore>(MemoryStore());
  DamagedStore& store = *damaged;
  StartWith("", {origin_.url()}, std::move(damaged));
  Fill("/a", kStale, Pattern(3000));
  store.damaged = true;
  EXPECT_THAT(Fill("/a", "", "error", {}, "503 X"),
              HasSubstr("502 fwd=stale; detail=origin_unreachable|502 Bad Gateway"));
}

}  // namespace
}  // namespace nearside::edge
