// Bodies that clients send over HTTP/1.1: back-pressure, 100-continue, limits.

#include <gtest/gtest.h>

#include <string>

#include "tests/http/session/test_server.h"

namespace nearside::http {
namespace {

/// Takes the body and answers with its size at its end.
void Receive(Exchange& exchange, HandlerLog* log) {
  auto handler = std::make_unique<LoggingHandler>(log);
  handler->on_body = [&exchange](std::span<const uint8_t> bytes) {
    exchange.ConsumedBody(bytes.size());
  };
  handler->on_body_end = [&exchange, log] {
    exchange.Respond(200, {}, {}, TextBody(std::to_string(log->body.size())));
  };
  exchange.SetHandler(std::move(handler));
  exchange.WantBody();
}

TEST(Http1RequestBodyTest, BodiesByLengthAndChunkedArriveWhole) {
  TestServer server;
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    EXPECT_TRUE(exchange.has_body());
    Receive(exchange, log);
  };
  const std::string text = PatternText(0, 1'000'000);
  const auto peer = server.Connect();
  peer->Send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n" + text);
  EXPECT_EQ(ReadOne(*peer).body, "1000000");
  EXPECT_TRUE(log->body == text);
  EXPECT_EQ(log->trailers, "");
  *log = {};
  std::string chunked = "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n";
  for (size_t at = 0; at < text.size(); at += 62'500) {
    chunked += "f424\r\n" + text.substr(at, 62'500) + "\r\n";
  }
  peer->Send(chunked + "0\r\nX-Sum: 7\r\n\r\n");
  EXPECT_EQ(ReadOne(*peer).body, "1000000");
  EXPECT_TRUE(log->body == text);
  EXPECT_EQ(log->trailers, "x-sum: 7\n");
}

TEST(Http1RequestBodyTest, NoMoreIsReadThanTheApplicationTakes) {
  TestServer server;
  HandlerLog* log = server.NewLog();
  Exchange* receiving = nullptr;
  server.on_request = [&](Exchange& exchange) {
    receiving = &exchange;
    auto handler = std::make_unique<LoggingHandler>(log);
    handler->on_body_end = [&exchange] { exchange.Respond(204, {}, {}, nullptr); };
    exchange.SetHandler(std::move(handler));
  };
  constexpr size_t kSize = 8 << 20;
  const std::string text = PatternText(0, kSize);
  const auto peer = server.Connect();
  std::thread sender(
      [&] { peer->Send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 8388608\r\n\r\n" + text); });
  size_t before = 0;
  // The sender may rest for longer than these turns take, so only what has come counts.
  ASSERT_TRUE(server.Await([&, turns = 0]() mutable {
    turns = log->body.size() == before ? turns + 1 : 0;
    before = log->body.size();
    return before >= 256u << 10 && turns > 1000;
  }));
  EXPECT_LE(before, (256u << 10) + (128u << 10));
  // Taking it piece by piece brings the rest.
  ASSERT_TRUE(server.Await([&, consumed = size_t{0}]() mutable {
    if (log->body.size() == kSize) return true;
    receiving->ConsumedBody(log->body.size() - consumed);
    consumed = log->body.size();
    return false;
  }));
  sender.join();
  EXPECT_EQ(ReadOne(*peer).status, 204);
  EXPECT_TRUE(log->body == text);
}

TEST(Http1RequestBodyTest, ContinueIsSentWhenTheBodyIsWanted) {
  TestServer server;
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) { Receive(exchange, log); };
  const auto peer = server.Connect();
  peer->Send("PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_EQ(peer->Receive(25), "HTTP/1.1 100 Continue\r\n\r\n");
  peer->Send("hello");
  EXPECT_EQ(ReadOne(*peer).body, "5");
  *log = {};
  peer->Send("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_EQ(ReadOne(*peer).body, "2") << "the connection went on";
}

TEST(Http1RequestBodyTest, AnAnswerInsteadOfContinueClosesTheConnection) {
  TestServer server;
  server.on_request = [](Exchange& exchange) { exchange.Respond(401, {}, {}, TextBody("no")); };
  const std::string answer = server.Converse(
      "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 401 ")) << answer;
  EXPECT_NE(answer.find("connection: close\r\n"), std::string::npos);
}

TEST(Http1RequestBodyTest, AnUnwantedBodyIsDroppedAndTheConnectionGoesOn) {
  TestServer server;
  const auto peer = server.Connect();
  peer->Send("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n" +
             std::string(100'000, 'x') + "GET /b HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(ReadOne(*peer).body, "PUT /a a\n");
  EXPECT_EQ(ReadOne(*peer).body, "GET /b a\n");
}

TEST(Http1RequestBodyTest, ALargeUnwantedBodyEndsTheConnection) {
  TestServer server;
  const auto peer = server.Connect();
  peer->Send("PUT /a HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\nx");
  EXPECT_EQ(ReadOne(*peer).body, "PUT /a a\n");
  EXPECT_EQ(peer->ReceiveAll(), "");
}

TEST(Http1RequestBodyTest, TooLargeABodyIs413) {
  TestServer server({.limits = {.body = {1000}}});
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) { Receive(exchange, log); };
  const auto peer = server.Connect();
  // Announced: nobody is asked, and as it is small it is dropped.
  peer->Send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n" + std::string(1001, 'x'));
  EXPECT_EQ(ReadOne(*peer).status, 413);
  EXPECT_FALSE(log->outcome);
  peer->Send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000\r\n\r\n" + std::string(1000, 'x'));
  EXPECT_EQ(ReadOne(*peer).body, "1000");
  *log = {};
  // Found out on the way.
  peer->Send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" +
             std::string(1001, 'x') + "\r\n");
  EXPECT_EQ(ReadOne(*peer).status, 413);
  EXPECT_EQ(peer->ReceiveAll(), "");
  EXPECT_EQ(log->reason, "body_too_large");
  EXPECT_EQ(server.counters().too_large, 2u);
}

TEST(Http1RequestBodyTest, ABrokenBodyIsToldAndAnswered400) {
  TestServer server;
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) { Receive(exchange, log); };
  const std::string answer = server.Converse(
      "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhelloXX");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 400 ")) << answer;
  EXPECT_EQ(log->body, "hello");
  EXPECT_FALSE(log->trailers);
  EXPECT_EQ(log->reason, "bad_request");
  EXPECT_EQ(server.counters().bad_requests, 1u);
}

TEST(Http1RequestBodyTest, AClientThatLeavesInsideItsBodyIsTold) {
  TestServer server;
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) { Receive(exchange, log); };
  const auto peer = server.Connect();
  peer->Send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\nhello");
  peer->EndSending();
  ASSERT_TRUE(server.Await([&] { return log->outcome.has_value(); }));
  EXPECT_EQ(log->reason, "client_gone");
  EXPECT_FALSE(log->trailers);
}

}  // namespace
}  // namespace nearside::http
