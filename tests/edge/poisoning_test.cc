// Known ways to make a cache hand one client what another one brought about (docs/security.md),
// each tried against a whole worker.

#include <set>

#include "tests/edge/request_fixture.h"

namespace nearside::edge {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class PoisoningTest : public RequestTest {
 protected:
  /// What the origin is sent for a miss, with `target` shown as "TARGET". It answers that it may be
  /// stored.
  std::string SentFor(std::string_view target, http::RequestHead head) {
    FakeExchange& client = Ask(std::move(head));
    const ScriptedOrigin::Asked asked = origin_.Next();
    std::string sent = asked.head();
    if (const size_t at = sent.find(target); at != std::string::npos) {
      sent.replace(at, target.size(), "TARGET");
    }
    asked.Answer("200 OK", kMinute, "whole");
    Answer(client);
    return sent;
  }
  std::string SentWith(std::string_view target, http::Fields fields) {
    return SentFor(target,
                   GetFor("https://www.demo.test" + std::string(target), std::move(fields)));
  }
};

// What is in no key reaches no origin that fills the cache.
TEST_F(PoisoningTest, UnkeyedFieldsShapeNothing) {
  Start();
  const std::string plain = SentWith("/plain", {});
  const http::Fields rows[] = {
      {{"x-forwarded-host", "evil.test"}},
      {{"x-forwarded-scheme", "http"}, {"x-forwarded-proto", "http"}},
      {{"x-forwarded-port", "1"}, {"x-forwarded-prefix", "/evil"}},
      {{"forwarded", "host=evil.test"}},
      {{"x-host", "evil.test"}, {"x-http-host-override", "evil.test"}},
      {{"x-original-url", "/admin"}, {"x-rewrite-url", "/admin"}},
      {{"x-http-method-override", "POST"}, {"x-method-override", "DELETE"}},
      {{"x_forwarded_host", "evil.test"}, {"x-forwarded_host", "evil.test"}},
      {{"x-scheme", "http"}, {"front-end-https", "off"}},
      {{"proxy", "http://evil.test"}},
      {{"range", "lines=0-1"}, {"if-range", "\"x\""}},
      {{"if-none-match", "\"x\""}, {"if-modified-since", "Fri, 15 Jan 2027 08:00:00 GMT"}},
      {{"if-match", "\"x\""}, {"if-unmodified-since", "Fri, 15 Jan 2027 08:00:00 GMT"}},
      {{"expect", "100-continue"}},
      {{"te", "trailers"}, {"trailer", "x"}, {"upgrade", "h2c"}},
      {{"content_length", "5"}, {"transfer_encoding", "chunked"}},
      {{"connection", "x-forwarded-for, forwarded, via, cdn-loop, host, cookie"}},
      {{"connection", "x-mine"}, {"x-mine", "1"}},
      {{"keep-alive", "1"}, {"proxy-connection", "close"}},
  };
  for (size_t i = 0; i < std::size(rows); ++i) {
    EXPECT_EQ(SentWith("/row-" + std::to_string(i), http::Fields(rows[i])), plain)
        << rows[i].ToText();
  }
}

// Spellings of the authority that have one key are one for the origin as well.
TEST_F(PoisoningTest, TheAuthorityIsSentAsTheKeyHasIt) {
  Start();
  const std::string plain = SentWith("/plain", {});
  int row = 0;
  for (const std::string_view port : {":443", ":", ":0443"}) {
    const std::string target = "/row-" + std::to_string(row++);
    http::RequestHead head = GetFor("https://www.demo.test" + target);
    head.authority += port;
    EXPECT_EQ(SentFor(target, std::move(head)), plain) << port;
    EXPECT_EQ(Answer(Get(target)), "200 hit|whole");
  }
  // Any other port is another key, and the origin is told.
  FakeExchange& other = Ask(GetFor("https://www.demo.test:8443/plain"));
  const ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("host"), "www.demo.test:8443");
  asked.Answer("200 OK", kMinute, "other");
  Answer(other);
  EXPECT_EQ(Answer(Get("/plain")), "200 hit|whole");
}

TEST_F(PoisoningTest, OtherHostsFindNoSite) {
  Start();
  for (const std::string_view authority :
       {"evil.test", "www.demo.test..", "www.demo.test.evil.test", "evil.www.demo.test"}) {
    http::RequestHead head = GetFor("https://www.demo.test/");
    head.authority = authority;
    EXPECT_THAT(Answer(Ask(std::move(head))), StartsWith("421 ")) << authority;
  }
  EXPECT_EQ(origin_.count(), 0u);
}

// Path confusion: what an origin may read as the same, or as another place, has a key of its own
// and is asked for in exactly these bytes.
TEST_F(PoisoningTest, EveryPathIsAskedForAsItStandsInItsKey) {
  Start();
  std::set<std::string> asked_for;
  const std::string_view targets[] = {"/account",
                                      "/account/x.css",
                                      "/account;x.css",
                                      "/account%3Bx.css",
                                      "/account%2Fx.css",
                                      "/account%3Fx.css",
                                      "/account%23x.css",
                                      "/account%0Ax.css",
                                      "/account%00x",
                                      "/static/..%2Faccount",
                                      "/static/..%5Caccount",
                                      "/static\\..\\account",
                                      "//account",
                                      "/Account",
                                      "/account/",
                                      "/account?x.css",
                                      "/account%20",
                                      "/account..",
                                      "/account/..;/x"};
  for (const std::string_view target : targets) {
    http::RequestHead head = GetFor("https://www.demo.test/");
    head.target = target;
    FakeExchange& client = Ask(std::move(head));
    if (target.find("%00") != std::string_view::npos) {
      EXPECT_THAT(Answer(client), StartsWith("400 "));
      continue;
    }
    const ScriptedOrigin::Asked asked = origin_.Next();
    EXPECT_EQ(asked.first_line(), "GET " + std::string(target) + " HTTP/1.1");
    EXPECT_TRUE(asked_for.insert(asked.first_line()).second);
    asked.Answer("200 OK", kMinute, target);
    EXPECT_THAT(Answer(client), HasSubstr("stored|" + std::string(target)));
  }
}

// Dots are resolved here, so that key and origin agree whatever the origin makes of them.
TEST_F(PoisoningTest, DotsAreResolvedBeforeTheKeyIsMade) {
  Start();
  for (const std::string_view target :
       {"/static/../account", "/static/%2e%2e/account", "/static/.%2E/account", "/./account"}) {
    http::RequestHead head = GetFor("https://www.demo.test/");
    head.target = target;
    FakeExchange& client = Ask(std::move(head));
    if (target == "/static/../account") {
      const ScriptedOrigin::Asked asked = origin_.Next();
      EXPECT_EQ(asked.first_line(), "GET /account HTTP/1.1");
      asked.Answer("200 OK", kMinute, "whole");
      Answer(client);
    } else {
      EXPECT_EQ(Answer(client), "200 hit|whole") << target;
    }
  }
}

// Denial of service by a cached error: an oversized field, or one the origin chokes on.
TEST_F(PoisoningTest, ErrorsThatARequestBringsAboutAreNotKept) {
  Start();
  const std::string large(20'000, 'x');
  for (const std::string_view status :
       {"400 Bad Request", "431 X", "403 Forbidden", "406 X", "500 X", "503 X"}) {
    EXPECT_THAT(Fill("/a", "", "refused", {{"x-large", large}}, status),
                HasSubstr("detail=uncacheable_status|refused"))
        << status;
  }
  EXPECT_EQ(Fill("/a", kMinute, "whole"), "200 fwd=uri-miss; fwd-status=200; stored|whole");
}

// Web cache deception: a visitor is made to open /account/x.css, and the account is not to be found
// there.
TEST_F(PoisoningTest, ThePageOfOneVisitorIsForNobodyElse) {
  Start();
  const std::string_view pages[] = {
      "",
      "Cache-Control: private, max-age=60\n",
      "Cache-Control: no-store\n",
      "Cache-Control: no-cache\nETag: \"v\"\n",
      "Cache-Control: max-age=0\nETag: \"v\"\n",
      "ETag: W/\"v\"\n",
      "Last-Modified: Fri, 15 Jan 2021 08:00:00 GMT\n",
      "Expires: 0\nLast-Modified: Fri, 15 Jan 2021 08:00:00 GMT\n",
      "Cache-Control: max-age=60\nSet-Cookie: id=7\n",
      "Vary: *\n",
  };
  int row = 0;
  for (const std::string_view lines : pages) {
    const std::string target = "/account/" + std::to_string(row++) + ".css";
    EXPECT_THAT(Fill(target, lines, "alice", {{"cookie", "id=alice"}}), HasSubstr("|alice"))
        << lines;
    EXPECT_THAT(Fill(target, lines, "mallory", {{"cookie", "id=mallory"}}), HasSubstr("|mallory"))
        << lines;
    // Nor when the origin fails.
    EXPECT_THAT(Fill(target, "", "error", {{"cookie", "id=mallory"}}, "503 X"),
                testing::Not(HasSubstr("|alice")))
        << lines;
    EXPECT_THAT(Fill(target, lines, "nobody"), HasSubstr("|nobody")) << lines;
  }
}

TEST_F(PoisoningTest, NorForThoseWhoAskAtTheSameTime) {
  Start();
  FakeExchange& alice = Get("/account", {{"cookie", "id=alice"}});
  const ScriptedOrigin::Asked first = origin_.Next();
  FakeExchange& mallory = Get("/account", {{"cookie", "id=mallory"}});
  Turn();
  EXPECT_EQ(origin_.count(), 1u) << "the second one waits";
  first.Answer("200 OK", "ETag: W/\"v\"\n", "alice");
  EXPECT_EQ(AnswerNow(alice), "200 fwd=uri-miss; fwd-status=200; detail=cookie|alice");
  origin_.Next().Answer("200 OK", "ETag: W/\"v\"\n", "mallory");
  EXPECT_EQ(Answer(mallory), "200 fwd=bypass; fwd-status=200; detail=not_shared|mallory");
}

TEST_F(PoisoningTest, WhatWasForEverybodyMayBeValidatedWithACookie) {
  Start();
  const std::string lines = "Last-Modified: Fri, 15 Jan 2021 08:00:00 GMT\n";
  EXPECT_EQ(Fill("/logo.png", lines, "logo"), "200 fwd=uri-miss; fwd-status=200; stored|logo");
  EXPECT_EQ(Answer(Get("/logo.png", {{"cookie", "id=7"}})), "200 hit|logo");
  node_->store->Purge({ScopeOf(storage::ScopeKind::kSite, "demo", "")}, /*soft=*/true, std::nullopt,
                      nullptr, nullptr);
  FakeExchange& validated = Get("/logo.png", {{"cookie", "id=7"}});
  origin_.Next().Answer("304 Not Modified", "", "");
  EXPECT_EQ(Answer(validated), "200 fwd=stale; fwd-status=304; detail=validated|logo");
  EXPECT_EQ(Answer(Get("/logo.png")), "200 hit|logo");
}

// Negotiated content stands under what it was negotiated by.
TEST_F(PoisoningTest, WhatVariesIsKeptApart) {
  Start();
  const std::string lines = std::string(kMinute) + "Vary: Accept, Cookie\n";
  Fill("/a", lines, "json", {{"accept", "application/json"}});
  EXPECT_THAT(Fill("/a", lines, "html", {{"accept", "text/html"}}), HasSubstr("stored"));
  EXPECT_THAT(Fill("/a", lines, "mine", {{"accept", "text/html"}, {"cookie", "a"}}),
              HasSubstr("stored"));
  EXPECT_EQ(Answer(Get("/a", {{"accept", "text/html"}})), "200 hit|html");
  EXPECT_EQ(Answer(Get("/a", {{"accept", "application/json"}})), "200 hit|json");
}

}  // namespace
}  // namespace nearside::edge
