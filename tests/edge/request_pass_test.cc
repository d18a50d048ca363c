// The request state machine where the cache does not decide: passing on, invalidation, errors, the
// log.

#include <algorithm>

#include "tests/edge/patterns.h"
#include "tests/edge/request_fixture.h"

namespace nearside::edge {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class RequestPassTest : public RequestTest {
 protected:
  FakeExchange& Post(std::string_view target, std::string_view body, bool with_length = true) {
    http::Fields fields;
    if (with_length) fields.Add("content-length", std::to_string(body.size()));
    FakeExchange& client =
        Ask(RequestFor("POST", "https://www.demo.test" + std::string(target), std::move(fields)),
            [](FakeExchange& exchange) { exchange.has_request_body = true; });
    On([&] {
      client.Send(body.substr(0, body.size() / 2));
      client.Send(body.substr(body.size() / 2));
      client.EndBody();
    });
    return client;
  }
};

TEST_F(RequestPassTest, ABodyGoesThroughWithItsLengthOrInChunks) {
  Start();
  for (const bool with_length : {true, false}) {
    FakeExchange& client = Post("/form?a=%7e", "name=value", with_length);
    EXPECT_TRUE(On([&] { return client.wanted_body; }));
    ScriptedOrigin::Asked asked = origin_.Next();
    EXPECT_EQ(asked.first_line(), "POST /form?a=%7e HTTP/1.1");  // as it came
    EXPECT_EQ(asked.body(), "name=value");
    EXPECT_EQ(asked.Field("content-length"), with_length ? "10" : "");
    asked.Answer("201 Created", kMinute, "made");
    EXPECT_EQ(Answer(client), "201 fwd=method; fwd-status=201; detail=method|made");
    EXPECT_EQ(On([&] { return client.consumed; }), 10u);
  }
  EXPECT_EQ(Counted(Reason::kMethod), 2u);
}

TEST_F(RequestPassTest, AnswersToOtherMethodsAreNotStored) {
  Start();
  FakeExchange& client = Ask(RequestFor("OPTIONS", "https://www.demo.test/a"));
  origin_.Next().Answer("200 OK", kMinute, "options");
  Answer(client);
  EXPECT_EQ(Fill("/a", kMinute, "hello"), "200 fwd=uri-miss; fwd-status=200; stored|hello");
}

// RFC 9110 §7.6.2.
TEST_F(RequestPassTest, AtMaxForwardsZeroTheEdgeAnswers) {
  Start();
  const auto ask = [&](std::string_view method, std::string_view hops) -> FakeExchange& {
    return Ask(RequestFor(method, "https://www.demo.test/a", {{"max-forwards", hops}}));
  };
  FakeExchange& options = ask("OPTIONS", "0");
  Answer(options);
  EXPECT_EQ(options.status, 204);
  FakeExchange& trace = ask("TRACE", "0");
  Answer(trace);
  EXPECT_EQ(trace.status, 405);
  EXPECT_EQ(trace.Field("allow"), "GET, HEAD, OPTIONS");
  EXPECT_EQ(origin_.count(), 0u);
  FakeExchange& further = ask("OPTIONS", "1");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("max-forwards"), "0");
  asked.Answer("200 OK", "", "");
  Answer(further);
  EXPECT_EQ(Counted(Reason::kNodeRequest), 2u);
}

TEST_F(RequestPassTest, AGetWithABodyIsNeverCached) {
  Start();
  for (int i = 0; i < 2; ++i) {
    FakeExchange& client = Ask(GetFor("https://www.demo.test/a", {{"content-length", "1"}}),
                               [](FakeExchange& exchange) { exchange.has_request_body = true; });
    On([&] {
      client.Send("x");
      client.EndBody();
    });
    origin_.Next().Answer("200 OK", kMinute, "hello");
    EXPECT_EQ(Answer(client), "200 fwd=method; fwd-status=200; detail=method|hello");
  }
}

// RFC 9111 §4.4.
TEST_F(RequestPassTest, UnsafeRequestsThatSucceedInvalidate) {
  Start();
  struct Row {
    std::string_view method, status;
    bool invalidates;
  };
  constexpr Row kRows[] = {
      {"POST", "200 OK", true},          {"PUT", "204 No Content", true},
      {"DELETE", "303 See Other", true}, {"M-SEARCH", "200 OK", true},
      {"POST", "404 Not Found", false},  {"POST", "500 X", false},
      {"OPTIONS", "200 OK", false},
  };
  int n = 0;
  for (const Row& row : kRows) {
    SCOPED_TRACE(std::string(row.method) + " " + std::string(row.status));
    const std::string target = "/" + std::to_string(n++);
    Fill(target, kMinute, "old");
    FakeExchange& unsafe = Ask(RequestFor(row.method, "https://www.demo.test" + target));
    origin_.Next().Answer(row.status, "", "");
    Answer(unsafe);
    const size_t before = origin_.count();
    FakeExchange& next = Get(target);
    EXPECT_TRUE(thread_.Await([&] { return next.status != 0 || origin_.count() > before; }));
    EXPECT_EQ(origin_.count() > before, row.invalidates);
    if (origin_.count() > before) origin_.Next().Answer("200 OK", kMinute, "new");
    Answer(next);
  }
}

// Whether the origin did what was asked is not known: the copy may stand in for an origin that
// fails, and is not shown as it is.
TEST_F(RequestPassTest, AnUnsafeRequestWhoseClientLeavesWithoutAnAnswerIsNotForgotten) {
  Start();
  Fill("/a", std::string(kMinute) + "ETag: \"v\"\n", "old");
  FakeExchange& post = Ask(RequestFor("POST", "https://www.demo.test/a"));
  const ScriptedOrigin::Asked sent = origin_.Next();
  Leave(post);
  Turn();
  FakeExchange& next = Get("/a");
  const ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.first_line(), "GET /a HTTP/1.1");
  EXPECT_EQ(asked.Field("if-none-match"), "\"v\"");
  asked.Answer("200 OK", kMinute, "new");
  EXPECT_THAT(AnswerNow(next), HasSubstr("|new"));
  // What the origin has got a part of it will not do.
  Fill("/c", std::string(kMinute) + "ETag: \"v\"\n", "c");
  FakeExchange& half =
      Ask(RequestFor("POST", "https://www.demo.test/c", {{"content-length", "10"}}),
          [](FakeExchange& exchange) { exchange.has_request_body = true; });
  On([&] { half.Send("half"); });
  EXPECT_TRUE(thread_.Await([&] { return half.consumed == 4; }));
  Leave(half);
  Turn();
  EXPECT_EQ(AnswerNow(Get("/c")), "200 hit|c");
  // Of a safe one nothing is to be expected.
  Fill("/b", std::string(kMinute) + "ETag: \"v\"\n", "b");
  FakeExchange& options = Ask(RequestFor("OPTIONS", "https://www.demo.test/b"));
  (void)origin_.Next();
  Leave(options);
  Turn();
  EXPECT_EQ(AnswerNow(Get("/b")), "200 hit|b");
}

// To a site one path is one resource, by whichever of its names and schemes it is asked for.
TEST_F(RequestPassTest, AnUnsafeRequestInvalidatesThePathUnderAllNamesOfTheSite) {
  hosts_ = {"demo.test", "*.demo.test"};
  Start();
  constexpr std::string_view kStored[] = {"https://www.demo.test", "http://www.demo.test",
                                          "https://demo.test"};
  constexpr std::string_view kChanged[] = {"http://www.demo.test", "https://demo.test",
                                           "https://x.demo.test"};
  int n = 0;
  for (const std::string_view stored : kStored) {
    for (const std::string_view changed : kChanged) {
      SCOPED_TRACE(std::string(changed) + " changes " + std::string(stored));
      const std::string target = "/" + std::to_string(n++);
      const auto ask = [&](std::string_view text) {
        FakeExchange& client = Ask(GetFor(std::string(stored) + target));
        origin_.Next().Answer("200 OK", kMinute, text);
        return Answer(client);
      };
      ask("old");
      FakeExchange& change = Ask(RequestFor("POST", std::string(changed) + target));
      origin_.Next().Answer("200 OK", "", "");
      Answer(change);
      EXPECT_EQ(ask("new"), "200 fwd=uri-miss; fwd-status=200; stored|new");
    }
  }
}

// A body that outgrows its window leaves its place to the next fetch, and goes on into the cache.
TEST_F(RequestPassTest, AnUnsafeRequestInvalidatesWhatIsStillOnItsWay) {
  Start();
  const std::string body = Pattern(20 * kChunkBytes);
  FakeExchange& slow = Get("/a");
  const ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: " +
             std::to_string(body.size()) + "\r\n\r\n");
  asked.Send(std::string_view(body).substr(0, 19 * kChunkBytes));
  ASSERT_TRUE(thread_.Await([&] { return slow.body.size() == 19 * kChunkBytes; }));
  FakeExchange& other = Get("/a");
  origin_.Next().Answer("500 X", "", "");
  AnswerNow(other);
  FakeExchange& change = Ask(RequestFor("POST", "https://www.demo.test/a"));
  origin_.Next().Answer("200 OK", "", "");
  AnswerNow(change);
  asked.Send(std::string_view(body).substr(19 * kChunkBytes));
  Answer(slow);
  FakeExchange& next = Get("/a");
  origin_.Next().Answer("200 OK", kMinute, "new");
  EXPECT_EQ(Answer(next), "200 fwd=uri-miss; fwd-status=200; stored|new");
}

// A site is not to lose anything, nor the store to remember anything, for what nobody has stored.
TEST_F(RequestPassTest, ChangesOfWhatIsNotStoredLeaveNoTrace) {
  hosts_ = {"demo.test"};
  Start();
  Fill("/a", kMinute, "hello");
  for (int i = 0; i < 10; ++i) {
    FakeExchange& change =
        Ask(RequestFor("POST", "https://www.demo.test/form/" + std::to_string(i)));
    origin_.Next().Answer("200 OK", "", "");
    Answer(change);
  }
  EXPECT_EQ(node_->store->purge_sequence(), 0u);
  EXPECT_EQ(node_->store->Stats().purge_marks, 0u);
}

TEST_F(RequestPassTest, ASiteOfManyHostsHasItsPathsPurgedWithoutALook) {
  for (int i = 0; i < 16; ++i) hosts_.push_back("h" + std::to_string(i) + ".demo.test");
  Start();
  FakeExchange& change = Ask(RequestFor("POST", "https://h3.demo.test/a"));
  origin_.Next().Answer("200 OK", "", "");
  Answer(change);
  EXPECT_EQ(node_->store->Stats().purge_marks, 1u);
}

// RFC 9111 §4.4: what the answer names goes as well, within the same origin.
// RFC 9111 §4.4: all stored responses of the URI, whichever requests select them.
TEST_F(RequestPassTest, AnUnsafeRequestInvalidatesAllVariants) {
  Start();
  const std::string lines = std::string(kMinute) + "Vary: X-Kind\n";
  for (const std::string_view target : {"/a", "/named"}) {
    for (const std::string_view kind : {"1", "2"}) Fill(target, lines, "old", {{"x-kind", kind}});
  }
  FakeExchange& post = Post("/a", "x");
  origin_.Next().Answer("200 OK", "Content-Location: /named\n", "");
  Answer(post);
  for (const std::string_view target : {"/a", "/named"}) {
    for (const std::string_view kind : {"2", "1"}) {
      EXPECT_THAT(Fill(target, lines, "new", {{"x-kind", kind}}), HasSubstr("stored"));
      EXPECT_EQ(Answer(Get(target, {{"x-kind", kind}})), "200 hit|new");
    }
  }
}

TEST_F(RequestPassTest, AnUnsafeRequestInvalidatesWhatItsAnswerNames) {
  Start();
  Fill("/made", kMinute, "old");
  Fill("/list?page=1", kMinute, "old");
  FakeExchange& unsafe = Post("/form", "x");
  origin_.Next().Answer("201 Created", "Location: /made\nContent-Location: list?page=1\n", "");
  Answer(unsafe);
  for (const std::string_view target : {"/made", "/list?page=1"}) {
    EXPECT_EQ(Fill(target, kMinute, "new"), "200 fwd=uri-miss; fwd-status=200; stored|new");
  }
}

// RFC 9110 §9.3.3.
TEST_F(RequestPassTest, APostThatSaysWhatItShowsAnswersLaterGets) {
  Start();
  Fill("/a", kMinute, "old");
  FakeExchange& post = Post("/a", "x");
  origin_.Next().Answer("200 OK", std::string(kMinute) + "Content-Location: /a\n", "new");
  EXPECT_EQ(Answer(post), "200 fwd=method; fwd-status=200; stored; detail=method|new");
  EXPECT_EQ(Answer(Get("/a")), "200 hit|new");
  // A POST itself is never answered from there.
  FakeExchange& again = Post("/a", "x");
  origin_.Next().Answer("200 OK", "Content-Location: /a\n", "newer");
  EXPECT_EQ(Answer(again), "200 fwd=method; fwd-status=200; detail=method|newer");
  EXPECT_EQ(Fill("/a", kMinute, "newest"), "200 fwd=uri-miss; fwd-status=200; stored|newest");
}

TEST_F(RequestPassTest, APostThatMayNotBeStoredIsNotStored) {
  Start();
  FakeExchange& post = Post("/a", "x");
  origin_.Next().Answer("200 OK", "Cache-Control: private, max-age=60\nContent-Location: /a\n",
                        "mine");
  Answer(post);
  EXPECT_EQ(Fill("/a", kMinute, "ours"), "200 fwd=uri-miss; fwd-status=200; stored|ours");
}

// What the edge has not answered itself goes as it came: body, length and fields.
TEST_F(RequestPassTest, AnOriginsOwn412And304ArePassedOnAsTheyAre) {
  Start();
  for (const bool with_length : {true, false}) {
    FakeExchange& put =
        Ask(RequestFor("PUT", "https://www.demo.test/doc", {{"if-match", "\"old\""}}));
    const ScriptedOrigin::Asked asked = origin_.Next();
    EXPECT_EQ(asked.Field("if-match"), "\"old\"");
    if (with_length) {
      asked.Answer("412 X", "Content-Type: application/json\nX: y\n", "{\"why\":1}");
    } else {
      asked.Send(
          "HTTP/1.1 412 X\r\nContent-Type: application/json\r\nX: y\r\n"
          "Transfer-Encoding: chunked\r\n\r\n9\r\n{\"why\":1}\r\n0\r\n\r\n");
    }
    EXPECT_EQ(Answer(put), "412 fwd=method; fwd-status=412; detail=method|{\"why\":1}");
    EXPECT_EQ(put.Field("content-length"), with_length ? "9" : "");
    EXPECT_EQ(put.Field("content-type"), "application/json");
    EXPECT_EQ(put.Field("x"), "y");
  }
  Fill("/mine", "Cache-Control: private\nETag: \"v\"\n", "mine");
  FakeExchange& get = Get("/mine", {{"if-none-match", "\"v\""}});
  origin_.Next().Answer("304 Not Modified", "ETag: \"v\"\nSet-Cookie: a=b\nX: y\n", "");
  EXPECT_EQ(Answer(get), "304 fwd=bypass; fwd-status=304; detail=not_shared|");
  EXPECT_EQ(get.Field("set-cookie"), "a=b");
  EXPECT_EQ(get.Field("x"), "y");
}

TEST_F(RequestPassTest, AStored412IsAnsweredWhole) {
  Start();
  EXPECT_EQ(Fill("/a", kMinute, "no", {}, "412 X"), "412 fwd=uri-miss; fwd-status=412; stored|no");
  FakeExchange& hit = Get("/a");
  EXPECT_EQ(Answer(hit), "412 hit|no");
  EXPECT_EQ(hit.Field("content-length"), "2");
}

TEST_F(RequestPassTest, AReloadLeavesAFetchUnderWayItsConnection) {
  Start();
  FakeExchange& client = Get("/a");
  const ScriptedOrigin::Asked asked = origin_.Next();
  On([&] { worker_->Reload(worker_->configuration(), nullptr); });
  asked.Answer("200 OK", kMinute, "hello");
  EXPECT_EQ(Answer(client), "200 fwd=uri-miss; fwd-status=200; stored|hello");
  EXPECT_EQ(Fill("/b", kMinute, "next"), "200 fwd=uri-miss; fwd-status=200; stored|next");
}

// A POST is asked as it came; a fill is not.
TEST_F(RequestPassTest, APostThatWasNotAskedLikeAFillAnswersNoLaterGets) {
  Start("query = \"ignore\"\n");
  const std::string lines = std::string(kMinute) + "Content-Location: /a\n";
  FakeExchange& post = Post("/a?evil", "x");
  origin_.Next().Answer("200 OK", lines, "evil");
  EXPECT_EQ(Answer(post), "200 fwd=method; fwd-status=200; detail=method|evil");
  EXPECT_EQ(Fill("/a", kMinute, "ours"), "200 fwd=uri-miss; fwd-status=200; stored|ours");
}

TEST_F(RequestPassTest, APurgeOvertakesTheAnswerToAPost) {
  Start();
  Fill("/a", kMinute, "old");
  FakeExchange& post = Post("/a", "x");
  const ScriptedOrigin::Asked asked = origin_.Next();
  node_->store->Purge({storage::ScopeOf(storage::ScopeKind::kUrl, "demo", "/a")}, false,
                      std::nullopt, nullptr, nullptr);
  asked.Answer("200 OK", std::string(kMinute) + "Content-Location: /a\n", "made before");
  EXPECT_EQ(Answer(post), "200 fwd=method; fwd-status=200; detail=method|made before");
  EXPECT_EQ(Fill("/a", kMinute, "new"), "200 fwd=uri-miss; fwd-status=200; stored|new");
}

TEST_F(RequestPassTest, AChangeOvertakesWhatIsOnItsWay) {
  Start();
  FakeExchange& read = Get("/a");
  ScriptedOrigin::Asked reading = origin_.Next();  // has left the origin's mind before the change
  FakeExchange& change = Post("/a", "x");
  origin_.Next().Answer("200 OK", "", "");
  AnswerNow(change);
  reading.Answer("200 OK", kMinute, "old");
  AnswerNow(read);
  EXPECT_EQ(Fill("/a", kMinute, "new"), "200 fwd=uri-miss; fwd-status=200; stored|new");
}

TEST_F(RequestPassTest, AClientThatLeavesInTheMiddleOfItsBodyCutsItOffAtTheOrigin) {
  Start();
  FakeExchange& client =
      Ask(RequestFor("POST", "https://www.demo.test/form", {{"content-length", "10"}}),
          [](FakeExchange& exchange) { exchange.has_request_body = true; });
  On([&] { client.Send("half"); });
  EXPECT_TRUE(thread_.Await([&] { return client.consumed == 4; }));
  Leave(client);
  Turn();
  EXPECT_EQ(origin_.count(), 0u);  // never whole
  EXPECT_EQ(Sum(node_->metrics.aborted_responses), 1u);
}

TEST_F(RequestPassTest, UnknownHostsAreToldSo) {
  Start();
  FakeExchange& client = Ask(GetFor("https://other.test/a"));
  const std::string answer = Answer(client);
  EXPECT_THAT(answer, StartsWith("421 detail=unknown_host|421 Misdirected Request\n\n"));
  EXPECT_THAT(answer, HasSubstr("\"other.test\""));
  EXPECT_THAT(answer,
              HasSubstr("reason: unknown_host\nrequest: " + node_->request_ids.Of(17) + "\n"));
  EXPECT_EQ(client.Field("content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(Counted(Reason::kUnknownHost), 1u);
}

TEST_F(RequestPassTest, AHostThatTheCertificateDoesNotCoverIsMisdirected) {
  Start();
  const auto ask = [&](std::string asked, std::string covered) {
    FakeExchange& client =
        Ask(GetFor("https://www.demo.test/a", {{"cache-control", "only-if-cached"}}),
            [&](FakeExchange& exchange) {
              exchange.fake_stream().asked_name = asked;
              exchange.fake_stream().covered_name = covered;
            });
    return Answer(client).substr(0, 30);
  };
  EXPECT_EQ(ask("img.demo.test", "img.demo.test"), "421 detail=wrong_certificate|4");
  EXPECT_EQ(ask("img.demo.test", "www.demo.test"), "504 detail=only_if_cached|504 ");
  EXPECT_EQ(ask("www.demo.test", ""), "504 detail=only_if_cached|504 ");
  EXPECT_EQ(ask("", ""), "504 detail=only_if_cached|504 ");
}

TEST_F(RequestPassTest, ABadTargetIsABadRequest) {
  Start();
  for (const char* target : {"/../a", "/%zz", "/%00"}) {
    http::RequestHead head = GetFor("https://www.demo.test/");
    head.target = target;
    EXPECT_THAT(Answer(Ask(std::move(head))), StartsWith("400 detail=bad_request|400 Bad Request"));
  }
  EXPECT_EQ(origin_.count(), 0u);
}

TEST_F(RequestPassTest, TheNodeAnswersForItself) {
  Start();
  node_->load_permille = 250;
  node_->draining = true;
  for (const char* url :
       {"http://127.0.0.1/healthz", "http://[::1]:8080/healthz", "https://frankfurt/healthz?x"}) {
    FakeExchange& client = Ask(GetFor(url));
    EXPECT_EQ(AnswerNow(client), "200 |ok\n") << url;
    EXPECT_EQ(client.Field("nearside-load"), "0.250");
    EXPECT_EQ(client.Field("nearside-drain"), "1");
    EXPECT_EQ(client.Field("nearside-lag"), "0.0");
    EXPECT_EQ(client.Field("cache-control"), "no-store");
  }
  EXPECT_EQ(Counted(Reason::kNodeRequest), 3u);
  // Of a site it is the site's.
  FakeExchange& site = Get("/healthz");
  origin_.Next().Answer("200 OK", "", "site");
  EXPECT_THAT(Answer(site), HasSubstr("|site"));
}

TEST_F(RequestPassTest, AnOriginThatRefusesIsUnreachable) {
  std::string gone;
  {
    ScriptedOrigin other;
    gone = other.url();
  }
  StartWith("", {gone});
  const std::string answer = Answer(Get("/a"));
  EXPECT_THAT(answer, StartsWith("502 fwd=uri-miss; detail=origin_unreachable|502 Bad Gateway"));
  EXPECT_THAT(answer, HasSubstr("no copy that may be served"));
  EXPECT_EQ(Sum(node_->metrics.origin_failures), 1u);
  EXPECT_EQ(Counted(Reason::kOriginUnreachable), 1u);
}

TEST_F(RequestPassTest, AnOriginThatSaysNothingIsTimedOut) {
  Start("origin_timeout = \"20ms\"\n");
  FakeExchange& client = Get("/a");
  origin_.Next();
  EXPECT_THAT(Answer(client), StartsWith("504 fwd=uri-miss; detail=origin_timeout|504 Gateway"));
}

TEST_F(RequestPassTest, AnOriginThatSpeaksNonsenseIsBroken) {
  Start();
  FakeExchange& client = Get("/a");
  origin_.Next().Send("SSH-2.0-OpenSSH_9.2\r\n\r\n");
  EXPECT_THAT(Answer(client), StartsWith("502 fwd=uri-miss; detail=origin_broken|502 Bad"));
}

TEST_F(RequestPassTest, ABodyThatIsCutOffIsNeverWholeAndNeverStored) {
  Start();
  FakeExchange& client = Get("/a");
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Send("HTTP/1.1 200 OK\r\nCache-Control: max-age=60\r\nContent-Length: 10\r\n\r\nhello");
  EXPECT_TRUE(thread_.Await([&] { return client.body == "hello"; }));
  asked.Close();
  EXPECT_EQ(Answer(client), "200 fwd=uri-miss; fwd-status=200; stored|hello [cut off]");
  EXPECT_EQ(Fill("/a", kMinute, "whole"), "200 fwd=uri-miss; fwd-status=200; stored|whole");
}

TEST_F(RequestPassTest, RequestsAreLoggedAndWhatWasCutOffSaysSo) {
  Start();
  Fill("/a", kMinute, "hello");
  Fill("/a?\xff", kMinute, "hello");
  FakeExchange& leaves = Get("/b");
  origin_.Next();
  Leave(leaves);
  EndEdge();
  const std::string log = dir_.Read("access.log");
  EXPECT_THAT(log, HasSubstr(R"("client":"192.0.2.7","protocol":"HTTP/2","method":"GET",)"
                             R"("scheme":"https","host":"www.demo.test","target":"/a",)"
                             R"("site":"demo","status":200,"result":"miss","reason":"uri_miss",)"
                             R"("bytes":5,)"));
  EXPECT_THAT(log, HasSubstr(R"("complete":false,"ended":"client_gone"})"));
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 3);
}

}  // namespace
}  // namespace nearside::edge
