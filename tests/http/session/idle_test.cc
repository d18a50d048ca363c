// A loop with nothing to do sleeps, whatever its connections wait for.

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <thread>
#include <vector>

#include "tests/http/session/http2_peer.h"
#include "tests/http/session/test_server.h"

namespace nearside::http {
namespace {

/// In a fifth of a second: a loop that is never asleep makes tens of thousands.
constexpr uint64_t kMostTurns = 200;

uint64_t TurnsAtRest(TestServer& server) {
  const auto turns = [&] { return server.Call([&] { return server.thread().loop().turns(); }); };
  const uint64_t before = turns();
  std::this_thread::sleep_for(milliseconds(200));
  return turns() - before;
}

class IdleTest : public testing::TestWithParam<bool> {
 protected:
  std::unique_ptr<net::RawPeer> Connect(std::string alpn, int receive_buffer = 0) {
    auto peer = server_.Connect(receive_buffer);
    if (GetParam()) {
      EXPECT_TRUE(peer->StartTls({.server_name = "www.demo.test", .alpn = {std::move(alpn)}}));
    }
    return peer;
  }
  /// Requests are answered with `bytes` of a body that waits at `wait_at`.
  void AnswerWith(uint64_t bytes, std::optional<uint64_t> wait_at) {
    server_.on_request = [=, this](Exchange& exchange) {
      exchange.SetHandler(std::make_unique<LoggingHandler>(server_.NewLog()));
      exchange.Respond(200, {}, {},
                       std::make_unique<PatternBody>(
                           PatternBody::Plan{.size = bytes, .wait_at = wait_at}, NextLog()));
    };
  }
  BodyLog* NextLog() { return bodies_.emplace_back(server_.NewBodyLog()); }
  /// Until this many bodies have given `bytes` each.
  bool AwaitConsumed(size_t count, uint64_t bytes) {
    return server_.Await([=, this] {
      return bodies_.size() == count &&
             std::all_of(bodies_.begin(), bodies_.end(),
                         [=](const BodyLog* log) { return log->consumed >= bytes; });
    });
  }

  TestServer server_{{.tls = GetParam()}};
  std::vector<BodyLog*> bodies_;
};

TEST_P(IdleTest, AfterAnAnswer) {
  Http2Peer second(Connect("h2"));
  EXPECT_EQ(second.Get("/").status, 200);
  const auto first = Connect("http/1.1");
  ASSERT_TRUE(first->Send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"));
  EXPECT_NE(first->Receive(12).find("200"), std::string::npos);
  EXPECT_LE(TurnsAtRest(server_), kMostTurns);
}

TEST_P(IdleTest, BeforeARequest) {
  const auto silent = server_.Connect();
  Http2Peer second(Connect("h2"));
  EXPECT_LE(TurnsAtRest(server_), kMostTurns);
}

TEST_P(IdleTest, WhileAnAnswerIsAwaited) {
  int asked = 0;
  server_.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(server_.NewLog()));
    ++asked;
  };
  Http2Peer second(Connect("h2"));
  second.Ask("GET", "/");
  const auto first = Connect("http/1.1");
  ASSERT_TRUE(first->Send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"));
  ASSERT_TRUE(server_.Await([&] { return asked == 2; }));
  EXPECT_LE(TurnsAtRest(server_), kMostTurns);
}

TEST_P(IdleTest, WhileABodyIsAwaited) {
  AnswerWith(1000, 500);
  Http2Peer second(Connect("h2"));
  second.Ask("GET", "/");
  ASSERT_TRUE(AwaitConsumed(1, 500));
  const auto first = Connect("http/1.1");
  ASSERT_TRUE(first->Send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"));
  ASSERT_TRUE(AwaitConsumed(2, 500));
  EXPECT_LE(TurnsAtRest(server_), kMostTurns);
}

TEST_P(IdleTest, WhileClientsTakeNothing) {
  AnswerWith(64 << 20, std::nullopt);
  Http2Peer second(Connect("h2", 4096));
  second.Ask("GET", "/");  // and opens no window
  const auto first = Connect("http/1.1", 4096);
  ASSERT_TRUE(first->Send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n"));
  ASSERT_TRUE(AwaitConsumed(2, 1));
  std::this_thread::sleep_for(milliseconds(100));  // until the sockets are full
  EXPECT_LE(TurnsAtRest(server_), kMostTurns);
}

INSTANTIATE_TEST_SUITE_P(, IdleTest, testing::Bool(),
                         [](const auto& info) { return info.param ? "Tls" : "Clear"; });

}  // namespace
}  // namespace nearside::http
