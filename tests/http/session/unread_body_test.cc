// Requests whose answers are whole before they are: the answer reaches the client, the rest of the
// request is dropped within limits.

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "tests/http/session/http2_peer.h"
#include "tests/http/session/test_server.h"

namespace nearside::http {
namespace {

constexpr milliseconds kShort{300};
constexpr milliseconds kLong = std::chrono::hours(1);

void Refuse(Exchange& exchange) { exchange.Respond(401, {}, {}, TextBody("no")); }

/// Until what was sent before has been read and answered, or the stream is closed.
void RoundTrip(Http2Peer& client, int32_t stream) {
  const int pongs = client.pongs();
  client.Ping();
  ASSERT_TRUE(client.Await([&] { return client.result(stream).closed || client.pongs() > pongs; }));
}

class Http2UnreadBodyTest : public ::testing::Test {
 protected:
  /// A request refused before its body is whole; answers its stream.
  int32_t AskAndBeRefused(Http2Peer& client, std::string_view body = "some") {
    const int32_t stream = client.Ask("PUT", "/", {}, body, true);
    EXPECT_TRUE(client.Await([&] { return client.result(stream).body == "no"; }));
    return stream;
  }
};

TEST_F(Http2UnreadBodyTest, WhoEndsItsBodyIsNotReset) {
  TestServer server;
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
    Refuse(exchange);
  };
  Http2Peer client(server.Connect());
  const int32_t stream = AskAndBeRefused(client);
  RoundTrip(client, stream);
  EXPECT_FALSE(client.result(stream).reset);
  EXPECT_TRUE(server.Await([&] { return log->destroyed; })) << "the application is not kept";
  EXPECT_TRUE(log->outcome->complete);
  EXPECT_EQ(server.Call([&] { return server.sessions().open_exchanges(); }), 0u);
  client.SendBody(stream, std::string(3'000'000, 'x'), true, {{"x-sum", "1"}});
  EXPECT_EQ(client.AwaitEnd(stream).status, 401);
  EXPECT_FALSE(client.result(stream).reset);
  server.on_request = nullptr;
  EXPECT_EQ(client.Get("/").status, 200);
}

TEST_F(Http2UnreadBodyTest, AWindowThatTheApplicationHeldIsOpenedAgain) {
  TestServer server({.limits = {.stream_window = 65'535, .connection_window = 65'535}});
  server.on_request = [&](Exchange& exchange) {
    auto handler = std::make_unique<LoggingHandler>(server.NewLog());
    handler->on_body = [&exchange, seen = size_t{0}](std::span<const uint8_t> bytes) mutable {
      seen += bytes.size();
      if (seen == 65'535) Refuse(exchange);
    };
    exchange.SetHandler(std::move(handler));
  };
  Http2Peer client(server.Connect());
  const int32_t stream = client.Ask("PUT", "/", {}, std::string(200'000, 'x'));
  EXPECT_EQ(client.AwaitEnd(stream).status, 401);
  EXPECT_FALSE(client.result(stream).reset);
}

TEST_F(Http2UnreadBodyTest, WhoSaysNothingMoreIsResetInTheEnd) {
  TestServer server(
      {.limits = {
           .body_timeout = milliseconds(50), .least_rate = 1_GiB, .unread_silence = kShort}});
  server.on_request = Refuse;
  Http2Peer client(server.Connect());
  const int32_t stream = AskAndBeRefused(client);
  EXPECT_EQ(client.AwaitEnd(stream).error_code, uint32_t{NGHTTP2_NO_ERROR});
  EXPECT_TRUE(client.result(stream).reset);
  const SessionCounters counters = server.counters();
  EXPECT_EQ(counters.timeouts + counters.slow_bodies, 0u) << "nobody waits for it";
  server.on_request = nullptr;
  EXPECT_EQ(client.Get("/").status, 200);
}

TEST_F(Http2UnreadBodyTest, WhoGoesOnForEverIsResetAsWell) {
  TestServer server({.limits = {.unread_silence = seconds(10), .unread_time = kShort}});
  server.on_request = Refuse;
  Http2Peer client(server.Connect());
  const int32_t stream = AskAndBeRefused(client);
  while (!client.result(stream).closed) {
    client.SendBody(stream, "x", false);
    RoundTrip(client, stream);
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_TRUE(client.result(stream).reset);
  EXPECT_EQ(client.result(stream).error_code, uint32_t{NGHTTP2_NO_ERROR});
}

TEST_F(Http2UnreadBodyTest, BeyondTheLimitThereIsNoWindow) {
  TestServer server(
      {.limits = {.stream_window = 65'535, .unread_bytes = {200'000}, .unread_silence = kShort}});
  server.on_request = Refuse;
  Http2Peer client(server.Connect());
  const int32_t stream = client.Ask("PUT", "/", {}, std::string(3'000'000, 'x'));
  EXPECT_EQ(client.AwaitEnd(stream).status, 401);
  EXPECT_TRUE(client.result(stream).reset);
  EXPECT_LT(server.counters().bytes_in, 400'000u);
}

TEST_F(Http2UnreadBodyTest, ItCountsAsAStream) {
  TestServer server({.limits = {.concurrent_streams = 1, .unread_silence = kShort}});
  server.on_request = Refuse;
  Http2Peer client(server.Connect());
  const int32_t stream = AskAndBeRefused(client);
  RoundTrip(client, stream);  // it knows our settings
  const int32_t next = client.Ask("GET", "/");
  EXPECT_EQ(client.AwaitEnd(next).status, 401);
  EXPECT_TRUE(client.result(stream).reset);
}

TEST_F(Http2UnreadBodyTest, AClientMayStopItsRequestForNothing) {
  TestServer server({.limits = {.abuse_budget = 10, .abuse_refill = 1}});
  server.on_request = Refuse;
  Http2Peer client(server.Connect());
  for (int i = 0; i < 50; ++i) client.Reset(AskAndBeRefused(client), NGHTTP2_NO_ERROR);
  EXPECT_EQ(client.Get("/").status, 401);
  EXPECT_EQ(server.counters().abuse_closed, 0u);
  EXPECT_EQ(server.counters().resets_by_client, 50u);
}

TEST_F(Http2UnreadBodyTest, DrainingDoesNotWaitForAllOfIt) {
  TestServer server({.limits = {.unread_silence = kShort, .unread_time = kLong}});
  server.on_request = Refuse;
  Http2Peer client(server.Connect());
  const int32_t stream = AskAndBeRefused(client);
  bool drained = false;
  server.Call([&] { server.sessions().Drain(kLong, [&] { drained = true; }); });
  while (!client.result(stream).closed) {
    client.SendBody(stream, "x", false);
    RoundTrip(client, stream);
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_TRUE(client.result(stream).reset);
  client.AwaitClose();
  client.peer().Close();
  EXPECT_TRUE(server.Await([&] { return drained; }));
}

/// "PUT" of so many bytes, and the first of them.
std::string PutHead(uint64_t size) {
  return "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n";
}

TEST(Http1UnreadBodyTest, AnAnswerIsNotLostToAClientThatSendsAllBeforeItReads) {
  TestServer server;
  server.on_request = Refuse;
  const auto peer = server.Connect();
  constexpr int kPieces = 30;
  peer->Send(PutHead(kPieces * 100'000));
  for (int i = 0; i < kPieces; ++i) {  // for longer than a connection lingers after its end
    ASSERT_TRUE(peer->Send(std::string(100'000, 'x'))) << i;
    std::this_thread::sleep_for(milliseconds(100));
  }
  EXPECT_EQ(ReadOne(*peer).body, "no");
  EXPECT_EQ(peer->ReceiveAll(), "");
  EXPECT_TRUE(peer->ended_cleanly());
  peer->Close();
  EXPECT_TRUE(server.AwaitNoConnections());
}

TEST(Http1UnreadBodyTest, ItsTimeSilenceAndBytesAreLimited) {
  const struct {
    const char* what;
    SessionLimits limits;
    size_t piece;
  } rows[] = {
      {"time", {.unread_silence = kLong, .unread_time = kShort}, 1},
      {"silence", {.unread_silence = kShort, .unread_time = kLong}, 0},
      {"bytes", {.unread_bytes = {100'000}, .unread_silence = kLong, .unread_time = kLong}, 50'000},
  };
  for (const auto& row : rows) {
    TestServer server({.limits = row.limits});
    server.on_request = Refuse;
    const auto peer = server.Connect();
    peer->Send(PutHead(1'000'000'000));
    EXPECT_EQ(ReadOne(*peer).status, 401) << row.what;
    bool taken = true;  // and then for as long as a socket lingers, which is 2 s
    for (int i = 0; i < 500 && taken; ++i) {
      taken = server.Call([&] { return server.sessions().open_connections() > 0; }) &&
              peer->Send(std::string(row.piece, 'x'));
      std::this_thread::sleep_for(milliseconds(20));
    }
    EXPECT_FALSE(taken) << row.what;
    EXPECT_TRUE(server.AwaitNoConnections()) << row.what;
    EXPECT_EQ(server.counters().timeouts + server.counters().slow_bodies, 0u) << row.what;
  }
}

TEST(Http1UnreadBodyTest, ALittleThatDoesNotComeIsNotCountedAsSlow) {
  TestServer server({.limits = {.body_timeout = milliseconds(50), .least_rate = 1_GiB}});
  server.on_request = Refuse;
  const auto peer = server.Connect();
  peer->Send(PutHead(1000) + "x");
  EXPECT_EQ(ReadOne(*peer).status, 401);
  EXPECT_EQ(peer->ReceiveAll(), "");
  EXPECT_TRUE(peer->ended_cleanly());
  EXPECT_EQ(server.counters().timeouts + server.counters().slow_bodies, 0u);
}

TEST(Http1UnreadBodyTest, ABodyFoundTooLargeIsReadOnBehindIts413) {
  TestServer server({.limits = {.body = {1000}}});
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
  };
  const auto peer = server.Connect();
  peer->Send("PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1312D00\r\n");
  for (int i = 0; i < 30; ++i) {
    ASSERT_TRUE(peer->Send(std::string(100'000, 'x'))) << i;
    std::this_thread::sleep_for(milliseconds(100));
  }
  EXPECT_EQ(ReadOne(*peer).status, 413);
  EXPECT_EQ(log->reason, "body_too_large");
}

}  // namespace
}  // namespace nearside::http
