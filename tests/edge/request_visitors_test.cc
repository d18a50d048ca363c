// The request state machine where a site's settings have a say: keys, redirects, what is added for
// visitors.

#include <algorithm>
#include <initializer_list>

#include "edge/purge.h"
#include "tests/edge/request_fixture.h"

namespace nearside::edge {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

class RequestVisitorsTest : public RequestTest {
 protected:
  /// The lines of an answer that stand in `names`, in their order.
  std::string Lines(const FakeExchange& exchange, std::initializer_list<std::string_view> names) {
    std::string text;
    for (const http::FieldLine& line : exchange.fields.lines()) {
      if (std::find(names.begin(), names.end(), line.name) == names.end()) continue;
      text.append(line.name).append(": ").append(line.value).append("\n");
    }
    return text;
  }
};

// What shapes a stored response is what stands in its key.
TEST_F(RequestVisitorsTest, TheOriginIsAskedForWhatStandsInTheKey) {
  Start("query = \"sort\"\nquery_ignore = [\"utm_*\"]\n");
  FakeExchange& miss = Get("/a?b=1&utm_source=x;b=evil&a=2");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.first_line(), "GET /a?a=2&b=1 HTTP/1.1");
  asked.Answer("200 OK", kMinute, "hello");
  Answer(miss);
  EXPECT_EQ(Answer(Get("/a?a=2&b=1&utm_medium=y")), "200 hit|hello");
  EXPECT_EQ(Fill("/a?a=2", kMinute, "other"), "200 fwd=uri-miss; fwd-status=200; stored|other");
}

TEST_F(RequestVisitorsTest, WhatIsNotForTheCacheIsAskedForAsItCame) {
  Start("query = \"ignore\"\n");
  for (const std::string_view method : {"POST", "HEAD"}) {
    FakeExchange& client = Ask(RequestFor(method, "https://www.demo.test/a?b=%7e"));
    ScriptedOrigin::Asked asked = origin_.Next();
    EXPECT_EQ(asked.first_line(), std::string(method) + " /a?b=%7e HTTP/1.1");
    asked.Answer("200 OK", "Cache-Control: no-store\n", "");
    Answer(client);
  }
}

TEST_F(RequestVisitorsTest, WhatTurnsOutNotToBeForTheCacheIsAskedForAsItCame) {
  Start("query = \"ignore\"\n");
  struct Row {
    std::string_view status, lines;
    bool again;
  };
  const Row rows[] = {{"200 OK", "Cache-Control: private\n", true},
                      {"302 Found", "Cache-Control: no-store\nLocation: /\n", true},
                      {"404 Not Found", "Cache-Control: no-store\n", true},
                      {"500 X", "", true},
                      // Of the server and not of the question.
                      {"503 X", "", false},
                      {"200 OK", kMinute, false}};
  for (const Row& row : rows) {
    const std::string path = "/" + std::to_string(origin_.count());
    FakeExchange& client = Get(path + "?q=1");
    ScriptedOrigin::Asked asked = origin_.Next();
    EXPECT_EQ(asked.first_line(), "GET " + path + " HTTP/1.1");
    asked.Answer(row.status, row.lines, "of nothing");
    if (row.again) {
      asked = origin_.Next();
      EXPECT_EQ(asked.first_line(), "GET " + path + "?q=1 HTTP/1.1");
      asked.Answer(row.status, row.lines, "of q=1");
    }
    EXPECT_THAT(Answer(client), HasSubstr(row.again ? "|of q=1" : "|of nothing")) << row.status;
  }
}

// As long as nothing was left out there is nothing to ask again.
TEST_F(RequestVisitorsTest, WhatWasAskedForWholeIsAskedForOnce) {
  Start("query_ignore = [\"utm_*\"]\n");
  EXPECT_THAT(Fill("/a?q=1", "Cache-Control: private\n", "mine"), HasSubstr("|mine"));
  EXPECT_EQ(origin_.count(), 1u);
}

TEST_F(RequestVisitorsTest, AChangeInvalidatesWhatStandsUnderItsKey) {
  Start("query_ignore = [\"utm_*\"]\n");
  Fill("/a?b=1", kMinute, "old");
  FakeExchange& change = Ask(RequestFor("DELETE", "https://www.demo.test/a?utm_x=1&b=1"));
  origin_.Next().Answer("204 No Content", "", "");
  Answer(change);
  EXPECT_EQ(Fill("/a?b=1", kMinute, "new"), "200 fwd=uri-miss; fwd-status=200; stored|new");
}

TEST_F(RequestVisitorsTest, SoDoesWhatItsAnswerNames) {
  Start("query_ignore = [\"utm_*\"]\n");
  Fill("/b?c=1", kMinute, "old");
  FakeExchange& change = Ask(RequestFor("POST", "https://www.demo.test/a"));
  origin_.Next().Answer("303 See Other", "Location: /b?utm_x=1&c=1\n", "");
  Answer(change);
  EXPECT_EQ(Fill("/b?c=1", kMinute, "new"), "200 fwd=uri-miss; fwd-status=200; stored|new");
}

TEST_F(RequestVisitorsTest, APurgeByAnyOfItsUrlsFindsTheObject) {
  Start("query = \"sort\"\nquery_ignore = [\"utm_*\"]\n");
  Fill("/a?b=1&a=2", kMinute, "old");
  PurgeOrder order = ParsePurgeOrder(R"({"site":"demo","urls":["/a?b=1&utm_x=1&a=2"]})").value();
  ApplyQueryRule(worker_->configuration()->sites.FindByName("demo")->query_rule, &order);
  node_->store->Purge(ScopesOf(order), false, std::nullopt, nullptr, nullptr);
  EXPECT_EQ(Fill("/a?a=2&b=1", kMinute, "new"), "200 fwd=uri-miss; fwd-status=200; stored|new");
}

TEST_F(RequestVisitorsTest, ASiteMayIgnoreWhatRequestsSayOfCaching) {
  Start("request_directives = \"ignore\"\n");
  FakeExchange& miss = Get("/a", {{"cache-control", "no-store"}, {"pragma", "no-cache"}});
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("cache-control") + asked.Field("pragma"), "");
  asked.Answer("200 OK", kMinute, "hello");
  EXPECT_EQ(Answer(miss), "200 fwd=uri-miss; fwd-status=200; stored|hello");
  EXPECT_EQ(Answer(Get("/a", {{"cache-control", "no-cache"}})), "200 hit|hello");
  EXPECT_THAT(Answer(Get("/b", {{"cache-control", "only-if-cached"}})), StartsWith("504 "));
}

TEST_F(RequestVisitorsTest, WhoATrustedProxySpeaksFor) {
  trusted_proxies_ = {"192.0.2.0/24"};
  Start();
  FakeExchange& client = Get("/a", {{"x-forwarded-for", "1.1.1.1, 203.0.113.9"}});
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("x-forwarded-for"), "1.1.1.1, 203.0.113.9, 192.0.2.7");
  EXPECT_EQ(asked.Field("forwarded"), "for=203.0.113.9;proto=https;host=\"www.demo.test\"");
  asked.Answer("200 OK", kMinute, "hello");
  Answer(client);
  EndEdge();
  EXPECT_THAT(dir_.Read("access.log"), HasSubstr(R"("client":"203.0.113.9",)"));
}

TEST_F(RequestVisitorsTest, BehindAProxyThatEndsTlsTheSchemeIsWhatItSays) {
  trusted_proxies_ = {"192.0.2.0/24"};
  Start("redirect_https = true\n");
  const http::Fields by_https = {{"x-forwarded-proto", "https"}};
  FakeExchange& client = Ask(RequestFor("GET", "http://www.demo.test/a", by_https));
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("x-forwarded-proto"), "https");
  asked.Answer("200 OK", kMinute, "hello");
  EXPECT_EQ(Answer(client), "200 fwd=uri-miss; fwd-status=200; stored|hello");
  EXPECT_EQ(Answer(Get("/a")), "200 hit|hello");  // stored under the https URL
  EXPECT_THAT(Answer(Ask(GetFor("http://www.demo.test/a"))), StartsWith("301 "));
}

TEST_F(RequestVisitorsTest, WhoIsNotTrustedCannotChooseItsScheme) {
  trusted_proxies_ = {"198.51.100.0/24"};
  Start("redirect_https = true\n");
  const http::Fields by_https = {{"x-forwarded-proto", "https"}, {"forwarded", "proto=https"}};
  EXPECT_THAT(Answer(Ask(RequestFor("GET", "http://www.demo.test/a", by_https))),
              StartsWith("301 "));
  EXPECT_EQ(origin_.count(), 0u);
}

TEST_F(RequestVisitorsTest, RedirectsNeedNoOrigin) {
  Start("redirect_https = true\ntrailing_slash = \"add\"\nhsts = { max_age = \"1y\" }\n");
  FakeExchange& clear = Ask(GetFor("http://www.demo.test/a?b"));
  EXPECT_EQ(Answer(clear), "301 detail=redirect_https|Moved to https://www.demo.test/a?b\n");
  EXPECT_EQ(Lines(clear, {"location", "strict-transport-security", "content-length"}),
            "location: https://www.demo.test/a?b\ncontent-length: 35\n");
  FakeExchange& file = Get("/a");
  EXPECT_EQ(Answer(file), "301 detail=trailing_slash|Moved to /a/\n");
  EXPECT_EQ(Lines(file, {"location", "strict-transport-security"}),
            "location: /a/\nstrict-transport-security: max-age=31536000\n");
  EXPECT_EQ(origin_.count(), 0u);
  EXPECT_EQ(Counted(Reason::kRedirectHttps), 1u);
  EXPECT_EQ(Counted(Reason::kTrailingSlash), 1u);
}

TEST_F(RequestVisitorsTest, ABodyThatIsRedirectedIsReadAndDropped) {
  Start("redirect_https = true\n");
  FakeExchange& client =
      Ask(RequestFor("POST", "http://www.demo.test/a", {{"content-length", "3"}}),
          [](FakeExchange& exchange) { exchange.has_request_body = true; });
  On([&] {
    client.Send("x=1");
    client.EndBody();
  });
  EXPECT_THAT(Answer(client), StartsWith("308 "));
  EXPECT_EQ(client.consumed, 3u);
}

TEST_F(RequestVisitorsTest, ABadTargetIsNotRedirected) {
  Start("redirect_https = true\n");
  http::RequestHead head = GetFor("http://www.demo.test/");
  head.target = "/../a";
  EXPECT_THAT(Answer(Ask(std::move(head))), StartsWith("400 detail=bad_request|"));
}

TEST_F(RequestVisitorsTest, HstsIsAddedToEveryAnswerOverTls) {
  Start("hsts = { max_age = \"1d\", include_subdomains = true }\n");
  const std::string hsts = "strict-transport-security: max-age=86400; includeSubDomains\n";
  const auto hsts_of = [&](FakeExchange& client) {
    Answer(client);
    return Lines(client, {"strict-transport-security"});
  };
  FakeExchange& miss = Get("/a");
  origin_.Next().Answer("200 OK", kMinute, "hello");
  EXPECT_EQ(hsts_of(miss), hsts);
  EXPECT_EQ(hsts_of(Get("/a")), hsts);
  EXPECT_EQ(hsts_of(Get("/a", {{"range", "bytes=0-1"}})), hsts);
  EXPECT_EQ(hsts_of(Get("/b", {{"cache-control", "only-if-cached"}})), hsts);
  FakeExchange& own = Get("/c");
  origin_.Next().Answer("200 OK", "Strict-Transport-Security: max-age=1\n", "");
  EXPECT_EQ(hsts_of(own), "strict-transport-security: max-age=1\n");
  FakeExchange& clear = Ask(GetFor("http://www.demo.test/a"));
  origin_.Next().Answer("200 OK", "", "");
  EXPECT_EQ(hsts_of(clear), "");
}

// What one client's Origin brings about is for that client alone.
TEST_F(RequestVisitorsTest, CorsFieldsAreAddedOnDeliveryAndNeverStored) {
  Start("cors = { origins = [\"https://app.test\", \"https://other.test\"] }\n");
  const auto names = {std::string_view("vary"), std::string_view("access-control-allow-origin")};
  FakeExchange& first = Get("/a", {{"origin", "https://evil.test"}});
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("origin"), "") << "it shapes nothing";
  asked.Answer(
      "200 OK",
      std::string(kMinute) + "ETag: \"v\"\nAccess-Control-Allow-Origin: https://evil.test\n",
      "hello");
  Answer(first);
  EXPECT_EQ(Lines(first, names), "vary: origin\n");
  for (const std::string origin : {"https://app.test", "https://other.test"}) {
    FakeExchange& hit = Get("/a", {{"origin", origin}});
    EXPECT_EQ(Answer(hit), "200 hit|hello");
    EXPECT_EQ(Lines(hit, names), "vary: origin\naccess-control-allow-origin: " + origin + "\n");
  }
  FakeExchange& none = Get("/a");
  EXPECT_EQ(Answer(none), "200 hit|hello");
  EXPECT_EQ(Lines(none, names), "vary: origin\n");
  FakeExchange& unchanged = Get("/a", {{"origin", "https://app.test"}, {"if-none-match", "\"v\""}});
  EXPECT_EQ(Answer(unchanged), "304 hit|");
  EXPECT_EQ(Lines(unchanged, names),
            "vary: origin\naccess-control-allow-origin: https://app.test\n");
}

TEST_F(RequestVisitorsTest, PreflightsAreAnsweredHere) {
  Start("cors = { origins = [\"https://app.test\"], methods = [\"PUT\"] }\n");
  const auto preflight = [&](std::string_view origin) -> FakeExchange& {
    return Ask(RequestFor("OPTIONS", "https://www.demo.test/a",
                          {{"origin", origin}, {"access-control-request-method", "PUT"}}));
  };
  FakeExchange& allowed = preflight("https://app.test");
  EXPECT_EQ(Answer(allowed), "204 detail=preflight|");
  EXPECT_EQ(Lines(allowed, {"access-control-allow-methods", "access-control-allow-origin",
                            "access-control-max-age", "content-length"}),
            "access-control-allow-methods: PUT\naccess-control-max-age: 600\n"
            "access-control-allow-origin: https://app.test\n");
  EXPECT_THAT(Answer(preflight("https://evil.test")), StartsWith("403 detail=cors_refused|"));
  EXPECT_EQ(origin_.count(), 0u);
}

TEST_F(RequestVisitorsTest, APassTellsTheOriginWhereItComesFrom) {
  Start("cors = { origins = [\"https://app.test\"] }\n");
  FakeExchange& client =
      Ask(RequestFor("DELETE", "https://www.demo.test/a", {{"origin", "https://app.test"}}));
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(asked.Field("origin"), "https://app.test");
  asked.Answer("204 No Content", "", "");
  Answer(client);
}

TEST_F(RequestVisitorsTest, ErrorsOfTheEdgeHaveTheSitesPages) {
  dir_.Write("pages/504.html", "<p>later</p>");
  Start("error_pages = \"" + dir_.In("pages") + "\"\n");
  FakeExchange& client = Get("/a", {{"cache-control", "only-if-cached"}});
  EXPECT_EQ(Answer(client), "504 detail=only_if_cached|<p>later</p>");
  EXPECT_EQ(Lines(client, {"content-type", "content-length", "cache-control"}),
            "content-type: text/html; charset=utf-8\ncontent-length: 12\n"
            "cache-control: no-store\n");
  // No page for this one, and the origin's own error is its own.
  FakeExchange& loop = Get("/a", {{"cdn-loop", "frankfurt"}});
  EXPECT_THAT(Answer(loop), HasSubstr("508 Loop Detected"));
  EXPECT_EQ(Fill("/b", "", "theirs", {}, "504 X"),
            "504 fwd=uri-miss; fwd-status=504; detail=uncacheable_status|theirs");
}

TEST_F(RequestVisitorsTest, TheyStandForTheOriginsErrorsWhereTheSiteWantsIt) {
  dir_.Write("pages/404.html", "<p>not here</p>");
  Start("error_pages = \"" + dir_.In("pages") + "\"\nerror_pages_replace_origin = true\n");
  const std::string lines = std::string(kMinute) +
                            "ETag: \"v\"\nContent-Type: text/plain\nContent-Encoding: br\n"
                            "Retry-After: 9\n";
  FakeExchange& miss = Get("/a");
  origin_.Next().Answer("404 Not Found", lines, "theirs");
  EXPECT_EQ(Answer(miss), "404 fwd=uri-miss; fwd-status=404; stored|<p>not here</p>");
  FakeExchange& hit = Get("/a");
  EXPECT_EQ(Answer(hit), "404 hit|<p>not here</p>");
  for (const FakeExchange* client : {&miss, &hit}) {
    EXPECT_EQ(Lines(*client, {"etag", "content-type", "content-length", "content-encoding",
                              "retry-after", "cache-control"}),
              "cache-control: max-age=60\nretry-after: 9\n"
              "content-type: text/html; charset=utf-8\ncontent-length: 15\n");
  }
  // Not what answers a condition, another status, or another method.
  EXPECT_EQ(Fill("/b", "", "gone", {}, "410 Gone"),
            "410 fwd=uri-miss; fwd-status=410; stored|gone");
  FakeExchange& post = Ask(RequestFor("DELETE", "https://www.demo.test/a"));
  origin_.Next().Answer("404 Not Found", "", "theirs");
  EXPECT_EQ(Answer(post), "404 fwd=method; fwd-status=404; detail=method|theirs");
}

}  // namespace
}  // namespace nearside::edge
