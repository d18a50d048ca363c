#include <gtest/gtest.h>

#include <string>

#include "tests/http/session/test_server.h"

namespace nearside::http {
namespace {

/// Answers with a body of the plan, its length announced or not.
void AnswerPattern(Exchange& exchange, PatternBody::Plan plan, BodyLog* log, bool announce = true) {
  const std::string length = std::to_string(plan.size);
  const FieldLine line = {"content-length", length};
  exchange.Respond(200, {}, std::span(&line, announce ? 1 : 0),
                   std::make_unique<PatternBody>(plan, log));
}

TEST(Http1ServerTest, AnswersAndKeepsTheConnection) {
  TestServer server;
  const auto peer = server.Connect();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(peer->Send(kGet));
    const ReadResponse response = ReadOne(*peer);
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.head, "content-type: text/plain\ncontent-length: 14\n");
    EXPECT_EQ(response.body, "GET /x a.test\n");
  }
  const SessionCounters counters = server.counters();
  EXPECT_EQ(counters.connections, 1u);
  EXPECT_EQ(counters.open, 1u);
  EXPECT_EQ(counters.requests_http11, 3u);
  EXPECT_EQ(counters.bad_requests, 0u);
  EXPECT_EQ(counters.bytes_in, 3 * kGet.size());
  EXPECT_GT(counters.bytes_out, 3 * 14u);
}

TEST(Http1ServerTest, ADateIsAddedOnlyWhereThereIsNone) {
  TestServer server;
  EXPECT_NE(server.Converse("GET / HTTP/1.0\r\n\r\n").find("\r\ndate: "), std::string::npos);
  server.on_request = [](Exchange& exchange) {
    const FieldLine line = {"date", "Sun, 06 Nov 1994 08:49:37 GMT"};
    exchange.Respond(200, {&line, 1}, {}, TextBody("x"));
  };
  const std::string response = server.Converse("GET / HTTP/1.0\r\n\r\n");
  EXPECT_EQ(response.find("date: "), response.rfind("date: "));
}

TEST(Http1ServerTest, PipelinedRequestsAreAnsweredInOrder) {
  TestServer server;
  std::string input;
  std::string expected;
  for (int i = 0; i < 200; ++i) {
    input += "GET /" + std::to_string(i) + " HTTP/1.1\r\nHost: a\r\n" +
             (i == 199 ? "Connection: close\r\n" : "") + "\r\n";
    expected += "GET /" + std::to_string(i) + " a\n";
  }
  const auto peer = server.Connect();
  ASSERT_TRUE(peer->Send(input));
  std::string bodies;
  for (int i = 0; i < 200; ++i) bodies += ReadOne(*peer).body;
  EXPECT_EQ(bodies, expected);
  EXPECT_EQ(peer->ReceiveAll(), "");
}

TEST(Http1ServerTest, PipelinedRequestsWaitForASlowAnswer) {
  TestServer server;
  Exchange* slow = nullptr;
  server.on_request = [&](Exchange& exchange) {
    if (exchange.request().target == "/slow") {
      exchange.SetHandler(std::make_unique<LoggingHandler>(server.NewLog()));
      slow = &exchange;
    } else {
      exchange.Respond(200, {}, {}, TextBody("fast"));
    }
  };
  const auto peer = server.Connect();
  peer->Send("GET /slow HTTP/1.1\r\nHost: a\r\n\r\nGET /fast HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(server.Await([&] { return slow != nullptr; }));
  EXPECT_EQ(server.Call([&] { return server.sessions().counters().requests_http11; }), 1u);
  server.Call([&] { slow->Respond(200, {}, {}, TextBody("slow")); });
  EXPECT_EQ(ReadOne(*peer).body, "slow");
  EXPECT_EQ(ReadOne(*peer).body, "fast");
}

TEST(Http1ServerTest, BytesMayComeOneByOne) {
  TestServer server;
  const auto peer = server.Connect();
  for (const char c :
       std::string_view("POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc")) {
    ASSERT_TRUE(peer->Send({&c, 1}));
  }
  EXPECT_EQ(ReadOne(*peer).body, "POST /p a\n");
}

TEST(Http1ServerTest, FramingOfResponses) {
  TestServer server;
  server.on_request = [&](Exchange& exchange) {
    const std::string_view target = exchange.request().target;
    const FieldLine length = {"content-length", "3"};
    if (target == "/length") exchange.Respond(200, {}, {&length, 1}, TextBody("abc"));
    if (target == "/chunked") exchange.Respond(200, {}, {}, TextBody("abc"));
    if (target == "/none") exchange.Respond(200, {}, {}, nullptr);
    if (target == "/204") exchange.Respond(204, {}, {}, TextBody("never"));
    if (target == "/304") exchange.Respond(304, {&length, 1}, {}, TextBody("never"));
    if (target == "/empty") exchange.Respond(200, {}, {}, TextBody(""));
  };
  const auto ask = [&](std::string_view target, std::string_view method = "GET",
                       std::string_view version = "1.1") {
    return WithoutDate(server.Converse(std::string(method) + " " + std::string(target) + " HTTP/" +
                                       std::string(version) +
                                       "\r\nHost: a\r\nConnection: close\r\n\r\n"));
  };
  EXPECT_EQ(ask("/length"), "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\nabc");
  EXPECT_EQ(ask("/chunked"),
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: "
            "close\r\n\r\n3\r\nabc\r\n0\r\n\r\n");
  EXPECT_EQ(ask("/chunked", "GET", "1.0"), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nabc");
  EXPECT_EQ(ask("/none"), "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
  EXPECT_EQ(ask("/204"), "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n");
  EXPECT_EQ(ask("/304"),
            "HTTP/1.1 304 Not Modified\r\ncontent-length: 3\r\nconnection: close\r\n\r\n");
  EXPECT_EQ(ask("/empty"),
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n0\r\n\r\n");
  EXPECT_EQ(ask("/length", "HEAD"),
            "HTTP/1.1 200 OK\r\ncontent-length: 3\r\nconnection: close\r\n\r\n");
  EXPECT_EQ(ask("/chunked", "HEAD"), "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n");
}

TEST(Http1ServerTest, Http10IsKeptOnlyWhenAsked) {
  TestServer server;
  const auto peer = server.Connect();
  peer->Send("GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
  const ReadResponse kept = ReadOne(*peer);
  EXPECT_EQ(kept.body, "GET /a \n");
  peer->Send("GET /b HTTP/1.0\r\nHost: b\r\n\r\n");
  EXPECT_NE(peer->ReceiveAll().find("connection: close\r\n"), std::string::npos);
  peer->Close();
  EXPECT_TRUE(server.AwaitNoConnections());
}

TEST(Http1ServerTest, TrailersAreSentBehindAChunkedBody) {
  TestServer server;
  server.on_request = [&](Exchange& exchange) {
    PatternBody::Plan plan{.size = 5, .trailers = {{"x-sum", "1"}}};
    AnswerPattern(exchange, plan, server.NewBodyLog(), false);
  };
  EXPECT_TRUE(server.Converse("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
                  .ends_with("\r\n\r\n5\r\n" + PatternText(0, 5) + "\r\n0\r\nx-sum: 1\r\n\r\n"));
}

TEST(Http1ServerTest, LargeBodiesArriveWhole) {
  TestServer server;
  constexpr uint64_t kSize = 5'000'000;
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
    AnswerPattern(exchange, {.size = kSize, .piece = 10'007}, server.NewBodyLog(),
                  exchange.request().target == "/length");
  };
  const std::string expected = PatternText(0, kSize);
  for (const char* target : {"/length", "/chunked"}) {
    *log = {};
    const auto peer = server.Connect();
    peer->Send("GET " + std::string(target) + " HTTP/1.1\r\nHost: a\r\n\r\n");
    const ReadResponse response = ReadOne(*peer);
    EXPECT_TRUE(response.whole);
    EXPECT_TRUE(response.body == expected);
    ASSERT_TRUE(server.Await([&] { return log->outcome.has_value(); }));
    EXPECT_TRUE(log->outcome->complete);
    EXPECT_EQ(log->outcome->body_bytes, kSize);
    EXPECT_TRUE(log->destroyed);
  }
}

TEST(Http1ServerTest, ASlowReaderHoldsLittleMemory) {
  TestServer server;
  constexpr uint64_t kSize = 64 << 20;
  BodyLog* body = server.NewBodyLog();
  server.on_request = [&](Exchange& exchange) { AnswerPattern(exchange, {.size = kSize}, body); };
  const auto peer = server.Connect(16 << 10);
  peer->Send(kGet);
  EXPECT_EQ(peer->Receive(9), "HTTP/1.1 ");
  // The socket's buffers fill; nothing more is pulled while nobody reads.
  uint64_t before = 0;
  ASSERT_TRUE(server.Await([&, turns = 0]() mutable {
    turns = body->consumed == before ? turns + 1 : 0;
    before = body->consumed;
    return before > 0 && turns > 1000;
  }));
  EXPECT_LT(before, 8u << 20);
  peer->Reset();
  EXPECT_TRUE(server.AwaitNoConnections());
  EXPECT_TRUE(body->destroyed);
}

TEST(Http1ServerTest, ABodyThatWaitsGoesOnWhenResumed) {
  TestServer server;
  BodyLog* body = server.NewBodyLog();
  Exchange* waiting = nullptr;
  PatternBody* source = nullptr;
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(server.NewLog()));
    auto made =
        std::make_unique<PatternBody>(PatternBody::Plan{.size = 300'000, .wait_at = 100'000}, body);
    source = made.get();
    waiting = &exchange;
    exchange.Respond(200, {}, {}, std::move(made));
  };
  const auto peer = server.Connect();
  peer->Send(kGet);
  ASSERT_TRUE(server.Await([&] { return body->consumed == 100'000; }));
  server.Call([&] {
    source->plan().wait_at = 200'000;
    waiting->Resume();
  });
  ASSERT_TRUE(server.Await([&] { return body->consumed == 200'000; }));
  server.Call([&] {
    source->plan().wait_at.reset();
    waiting->Resume();
  });
  EXPECT_TRUE(ReadOne(*peer).body == PatternText(0, 300'000));
}

TEST(Http1ServerTest, ABodyThatFailsNeverLooksWhole) {
  TestServer server;
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
    const bool announce = exchange.request().target != "/chunked";
    AnswerPattern(exchange, {.size = 1000, .fail_at = 500}, server.NewBodyLog(), announce);
  };
  for (const char* request :
       {"GET /length HTTP/1.1\r\nHost: a\r\n\r\n", "GET /chunked HTTP/1.1\r\nHost: a\r\n\r\n",
        "GET /chunked HTTP/1.0\r\nHost: a\r\n\r\n"}) {
    *log = {};
    const auto peer = server.Connect();
    peer->Send(request);
    const std::string all = peer->ReceiveAll();
    EXPECT_FALSE(peer->ended_cleanly()) << "reset, not closed";
    EXPECT_EQ(all.find("0\r\n\r\n"), std::string::npos);
    ASSERT_TRUE(server.Await([&] { return log->outcome.has_value(); }));
    EXPECT_FALSE(log->outcome->complete);
    EXPECT_EQ(log->reason, "body_failed");
  }
}

TEST(Http1ServerTest, ABodyOfAnotherLengthThanAnnouncedFails) {
  TestServer server;
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
    const FieldLine line = {"content-length", "1000"};
    exchange.Respond(
        200, {}, {&line, 1},
        std::make_unique<PatternBody>(PatternBody::Plan{.size = 999}, server.NewBodyLog()));
  };
  const auto peer = server.Connect();
  peer->Send(kGet);
  peer->ReceiveAll();
  EXPECT_FALSE(peer->ended_cleanly());
  ASSERT_TRUE(server.Await([&] { return log->outcome.has_value(); }));
  EXPECT_EQ(log->reason, "body_failed");
}

TEST(Http1ServerTest, AClientThatLeavesInsideABodyIsNoticed) {
  TestServer server;
  HandlerLog* log = server.NewLog();
  BodyLog* body = server.NewBodyLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
    AnswerPattern(exchange, {.size = uint64_t{1} << 40}, body);
  };
  const auto peer = server.Connect();
  peer->Send(kGet);
  peer->Receive(100'000);
  peer->Reset();
  ASSERT_TRUE(server.Await([&] { return log->destroyed; }));
  EXPECT_FALSE(log->outcome->complete);
  EXPECT_EQ(log->reason, "client_gone");
  EXPECT_TRUE(body->destroyed);
  EXPECT_TRUE(server.AwaitNoConnections());
  EXPECT_EQ(server.Call([&] { return server.sessions().open_exchanges(); }), 0u);
}

TEST(Http1ServerTest, AHalfClosedClientStillGetsItsAnswers) {
  TestServer server;
  const auto peer = server.Connect();
  peer->Send(std::string(kGet) + std::string(kGet));
  peer->EndSending();
  EXPECT_EQ(ReadOne(*peer).body, "GET /x a.test\n");
  EXPECT_EQ(ReadOne(*peer).body, "GET /x a.test\n");
  EXPECT_EQ(peer->ReceiveAll(), "");
  EXPECT_TRUE(peer->ended_cleanly());
  EXPECT_TRUE(server.AwaitNoConnections());
}

TEST(Http1ServerTest, AnExchangeCanBeAborted) {
  TestServer server;
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
    exchange.Abort();
    EXPECT_FALSE(log->outcome) << "not from inside";
  };
  EXPECT_EQ(server.Converse(kGet), "");
  EXPECT_TRUE(server.Await([&] { return log->destroyed; }));
  EXPECT_EQ(log->reason, "aborted");
}

TEST(Http1ServerTest, AnApplicationThatDoesNothingGivesA500) {
  TestServer server;
  server.on_request = [](Exchange&) {};
  const auto peer = server.Connect();
  peer->Send(kGet);
  EXPECT_EQ(ReadOne(*peer).status, 500);
}

TEST(Http1ServerTest, InterimResponsesGoBeforeTheFinalOne) {
  TestServer server;
  server.on_request = [](Exchange& exchange) {
    exchange.SendInterim(103, {{"link", "</a.css>"}});
    exchange.Respond(200, {}, {}, TextBody("x"));
  };
  EXPECT_TRUE(
      server.Converse("GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
          .starts_with("HTTP/1.1 103 Early Hints\r\nlink: </a.css>\r\n\r\nHTTP/1.1 200 OK\r\n"));
  EXPECT_TRUE(server.Converse("GET / HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
}

TEST(Http1ServerTest, ExchangesTellWhatTheyAre) {
  TestServer server;
  std::vector<uint64_t> ids;
  std::string versions;
  server.on_request = [&](Exchange& exchange) {
    ids.push_back(exchange.id());
    versions += std::string(VersionName(exchange.version())) + " ";
    EXPECT_FALSE(exchange.has_body());
    EXPECT_EQ(exchange.request().scheme, "http");
    EXPECT_TRUE(exchange.stream().peer().IsLoopback());
    exchange.Respond(204, {}, {}, nullptr);
  };
  const auto peer = server.Connect();
  peer->Send(std::string(kGet) + "GET https://a.test/ HTTP/1.1\r\nHost: a\r\n\r\n" +
             "GET / HTTP/1.0\r\n\r\n");
  for (int i = 0; i < 3; ++i) ReadOne(*peer);
  ASSERT_EQ(ids.size(), 3u);
  EXPECT_NE(ids[0], ids[1]);
  EXPECT_EQ(versions, "HTTP/1.1 HTTP/1.1 HTTP/1.0 ");
}

}  // namespace
}  // namespace nearside::http
