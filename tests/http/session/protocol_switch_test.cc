// Requests that ask for WebSocket, on the side of the client: by Upgrade over HTTP/1.1, by CONNECT
// over HTTP/2.

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "runtime/text_bytes.h"
#include "tests/http/session/http2_peer.h"
#include "tests/http/session/test_server.h"

namespace nearside::http {
namespace {

constexpr std::string_view kUpgrade =
    "GET /chat HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n";
constexpr std::string_view kSwitched =
    "HTTP/1.1 101 Switching Protocols\r\nx: y\r\nconnection: upgrade\r\nupgrade: "
    "websocket\r\n\r\n";

/// What a test says, when it says so. Written on the loop.
class SpokenBody final : public BodySource {
 public:
  State Peek(std::span<const uint8_t>* piece) override {
    *piece = AsBytes(text);
    return text.empty() ? behind : State::kReady;
  }
  void Consume(size_t n) override { text.erase(0, n); }

  std::string text;
  State behind = State::kWait;
};

/// A server that agrees to every request for WebSocket, and answers others.
class ProtocolSwitchTest : public ::testing::Test {
 protected:
  explicit ProtocolSwitchTest(milliseconds body_timeout = std::chrono::minutes(1))
      : server_({.limits = {.stream_window = 100'000, .body_timeout = body_timeout},
                 .websocket = true}) {
    server_.on_request = [this](Exchange& exchange) {
      protocol_ = exchange.request().protocol;
      auto handler = std::make_unique<LoggingHandler>(log_);
      handler->on_body = [this, &exchange](std::span<const uint8_t> bytes) {
        if (consume_) exchange.ConsumedBody(bytes.size());
      };
      exchange.SetHandler(std::move(handler));
      exchange_ = &exchange;
      if (protocol_.empty() || refuse_) return exchange.Respond(403, {}, {}, TextBody("no"));
      auto body = std::make_unique<SpokenBody>();
      body_ = body.get();
      const FieldLine line = {"x", "y"};
      exchange.SwitchProtocol({&line, 1}, std::move(body));
    };
  }
  void Say(std::string_view text, BodySource::State behind = BodySource::State::kWait) {
    server_.Call([&] {
      body_->text += text;
      body_->behind = behind;
      exchange_->Resume();
    });
  }
  bool AwaitHeard(std::string_view text) {
    return server_.Await([&] { return log_->body == text; });
  }
  bool AwaitOver() {
    return server_.Await([this] { return log_->outcome.has_value(); });
  }
  int32_t Connect(Http2Peer& client, std::string_view protocol = kWebSocketName) {
    return client.Ask("CONNECT", "/chat", {{":protocol", protocol}}, "", true);
  }

  static constexpr std::string_view kWebSocketName = "websocket";
  bool consume_ = true;
  bool refuse_ = false;
  TestServer server_;
  HandlerLog* log_ = server_.NewLog();
  std::string protocol_;
  Exchange* exchange_ = nullptr;
  SpokenBody* body_ = nullptr;
};

class SilentSwitchTest : public ProtocolSwitchTest {
 protected:
  SilentSwitchTest() : ProtocolSwitchTest(seconds(1)) {}
};

TEST_F(ProtocolSwitchTest, Http11BytesGoBothWaysAsTheyAre) {
  const auto peer = server_.Connect();
  peer->Send(std::string(kUpgrade) + "GET / early ");
  EXPECT_EQ(peer->Receive(kSwitched.size()), kSwitched);
  EXPECT_TRUE(AwaitHeard("GET / early "));
  EXPECT_EQ(protocol_, "websocket");
  Say("hello");
  EXPECT_EQ(peer->Receive(5), "hello");
  peer->Send("\r\n\r\n");
  EXPECT_TRUE(AwaitHeard("GET / early \r\n\r\n"));
  EXPECT_FALSE(log_->trailers);
  Say("bye", BodySource::State::kEnd);
  EXPECT_EQ(peer->ReceiveAll(), "bye");
  EXPECT_TRUE(peer->ended_cleanly());
  EXPECT_FALSE(server_.Call([&] { return log_->outcome.has_value(); }));
  peer->Send("late");
  EXPECT_TRUE(AwaitHeard("GET / early \r\n\r\nlate"));
  peer->EndSending();
  ASSERT_TRUE(AwaitOver());
  EXPECT_TRUE(log_->trailers);
  EXPECT_TRUE(log_->outcome->complete);
  EXPECT_EQ(log_->outcome->body_bytes, 8u);
  EXPECT_TRUE(server_.AwaitNoConnections());
}

TEST_F(SilentSwitchTest, Http11AClientThatSaysNothingBehindOurEndIsLeft) {
  const auto peer = server_.Connect();
  peer->Send(kUpgrade);
  peer->Receive(kSwitched.size());
  Say("bye", BodySource::State::kEnd);
  EXPECT_EQ(peer->ReceiveAll(), "bye");
  ASSERT_TRUE(AwaitOver());
  EXPECT_TRUE(log_->outcome->complete);
  peer->Close();
  EXPECT_TRUE(server_.AwaitNoConnections());
  EXPECT_EQ(server_.counters().timeouts, 0u);
}

TEST_F(ProtocolSwitchTest, Http11TheClientsEndIsToldAndItStillHears) {
  const auto peer = server_.Connect();
  peer->Send(std::string(kUpgrade) + "last");
  peer->EndSending();
  EXPECT_EQ(peer->Receive(kSwitched.size()), kSwitched);
  ASSERT_TRUE(server_.Await([&] { return log_->trailers.has_value(); }));
  EXPECT_EQ(log_->body, "last");
  EXPECT_FALSE(log_->outcome);
  Say("answer", BodySource::State::kEnd);
  EXPECT_EQ(peer->ReceiveAll(), "answer");
  ASSERT_TRUE(AwaitOver());
  EXPECT_TRUE(log_->outcome->complete);
}

TEST_F(ProtocolSwitchTest, Http11ABreakIsSeenOnTheOtherSide) {
  const auto peer = server_.Connect();
  peer->Send(kUpgrade);
  peer->Receive(kSwitched.size());
  Say("", BodySource::State::kFailed);
  EXPECT_EQ(peer->ReceiveAll(), "");
  EXPECT_FALSE(peer->ended_cleanly()) << "reset, not closed";
  ASSERT_TRUE(AwaitOver());
  EXPECT_FALSE(log_->outcome->complete);
  *log_ = {};
  const auto other = server_.Connect();
  other->Send(kUpgrade);
  other->Receive(kSwitched.size());
  other->Reset();
  ASSERT_TRUE(AwaitOver());
  EXPECT_EQ(log_->reason, "client_gone");
  EXPECT_TRUE(server_.AwaitNoConnections());
}

// What follows a request whose upgrade is refused is the next request, and never anything else.
TEST_F(ProtocolSwitchTest, Http11ARefusalLeavesTheConnectionToHttp) {
  refuse_ = true;
  const auto peer = server_.Connect();
  peer->Send(std::string(kUpgrade) + "GET /next HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(ReadOne(*peer).status, 403);
  EXPECT_EQ(ReadOne(*peer).status, 403);
  EXPECT_EQ(server_.counters().requests_http11, 2u);
  EXPECT_EQ(protocol_, "");
  EXPECT_EQ(log_->body, "");
}

TEST_F(ProtocolSwitchTest, Http11NoMoreIsReadThanIsTaken) {
  consume_ = false;
  constexpr size_t kSize = 8 << 20;
  const std::string text = PatternText(0, kSize);
  const auto peer = server_.Connect();
  peer->Send(kUpgrade);
  peer->Receive(kSwitched.size());
  std::thread sender([&] { peer->Send(text); });
  size_t before = 0;
  ASSERT_TRUE(server_.Await([&, turns = 0]() mutable {
    turns = log_->body.size() == before ? turns + 1 : 0;
    before = log_->body.size();
    return before > 0 && turns > 1000;
  }));
  EXPECT_LE(before, 100'000u + (64u << 10)) << "one receive more than the window";
  ASSERT_TRUE(server_.Await([&, consumed = size_t{0}]() mutable {
    if (log_->body.size() == kSize) return true;
    exchange_->ConsumedBody(log_->body.size() - consumed);
    consumed = log_->body.size();
    return false;
  }));
  sender.join();
  EXPECT_TRUE(log_->body == text);
}

TEST_F(ProtocolSwitchTest, DrainingEndsIt) {
  const auto peer = server_.Connect();
  peer->Send(kUpgrade);
  peer->Receive(kSwitched.size());
  HandlerLog* first = std::exchange(log_, server_.NewLog());
  Http2Peer client(server_.Connect());
  const int32_t stream = Connect(client);
  EXPECT_TRUE(client.Await([&] { return client.result(stream).status == 200; }));
  int drained = 0;
  server_.Call([&] { server_.sessions().Drain(seconds(60), [&] { ++drained; }); });
  EXPECT_EQ(peer->ReceiveAll(), "");
  peer->Close();
  EXPECT_EQ(client.AwaitEnd(stream).error_code, uint32_t{NGHTTP2_CANCEL});
  client.AwaitClose();
  client.peer().Close();
  EXPECT_TRUE(server_.Await([&] { return drained == 1; }));
  EXPECT_EQ(first->reason, "shutdown");
  EXPECT_EQ(log_->reason, "shutdown");
}

TEST_F(ProtocolSwitchTest, WhileDrainingNoneBegins) {
  std::vector<Exchange*> waiting;
  server_.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(server_.NewLog()));
    waiting.push_back(&exchange);
  };
  const auto peer = server_.Connect();
  peer->Send(kUpgrade);
  Http2Peer client(server_.Connect());
  const int32_t stream = Connect(client);
  ASSERT_TRUE(server_.Await([&] { return waiting.size() == 2; }));
  int drained = 0;
  server_.Call([&] {
    server_.sessions().Drain(seconds(60), [&] { ++drained; });
    for (Exchange* exchange : waiting) {
      exchange->SwitchProtocol({}, std::make_unique<SpokenBody>());
    }
  });
  EXPECT_EQ(peer->ReceiveAll(), "");
  peer->Close();
  EXPECT_NE(client.AwaitEnd(stream).error_code, 0u);
  client.AwaitClose();
  client.peer().Close();
  EXPECT_TRUE(server_.Await([&] { return drained == 1; }));
}

TEST_F(ProtocolSwitchTest, Http2BytesGoBothWaysAsTheyAre) {
  Http2Peer client(server_.Connect());
  const int32_t stream = Connect(client);
  EXPECT_TRUE(client.Await([&] { return client.result(stream).status == 200; }));
  EXPECT_EQ(client.result(stream).fields, "x: y\n");
  EXPECT_EQ(client.server_setting(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL), 1u);
  EXPECT_EQ(protocol_, "websocket");
  EXPECT_EQ(server_.Call([this] { return exchange_->request().method; }), "CONNECT");
  EXPECT_EQ(server_.Call([this] { return exchange_->request().target; }), "/chat");
  client.SendBody(stream, "ping", false);
  EXPECT_TRUE(AwaitHeard("ping"));
  Say("pong");
  EXPECT_TRUE(client.Await([&] { return client.result(stream).body == "pong"; }));
  client.SendBody(stream, "", true);
  ASSERT_TRUE(server_.Await([&] { return log_->trailers.has_value(); }));
  EXPECT_FALSE(log_->outcome);
  Say("bye", BodySource::State::kEnd);
  EXPECT_EQ(client.AwaitEnd(stream).body, "pongbye");
  EXPECT_EQ(client.result(stream).error_code, 0u);
  ASSERT_TRUE(AwaitOver());
  EXPECT_TRUE(log_->outcome->complete);
}

TEST_F(ProtocolSwitchTest, Http2OurEndIsSentAndTheClientIsStillHeard) {
  Http2Peer client(server_.Connect());
  const int32_t stream = Connect(client);
  EXPECT_TRUE(client.Await([&] { return client.result(stream).status == 200; }));
  Say("bye", BodySource::State::kEnd);
  EXPECT_TRUE(client.Await([&] { return client.result(stream).body == "bye"; }));
  client.SendBody(stream, "late", false);
  EXPECT_TRUE(AwaitHeard("late"));
  EXPECT_FALSE(server_.Call([&] { return log_->outcome.has_value(); }));
  client.SendBody(stream, "", true);
  EXPECT_EQ(client.AwaitEnd(stream).error_code, 0u);
  ASSERT_TRUE(AwaitOver());
  EXPECT_TRUE(log_->trailers);
  EXPECT_TRUE(log_->outcome->complete);
}

TEST_F(SilentSwitchTest, Http2AClientThatSaysNothingBehindOurEndIsLeft) {
  Http2Peer client(server_.Connect());
  const int32_t stream = Connect(client);
  EXPECT_TRUE(client.Await([&] { return client.result(stream).status == 200; }));
  Say("bye", BodySource::State::kEnd);
  EXPECT_EQ(client.AwaitEnd(stream).body, "bye");
  EXPECT_EQ(client.result(stream).error_code, uint32_t{NGHTTP2_NO_ERROR});
  ASSERT_TRUE(AwaitOver());
  EXPECT_TRUE(log_->outcome->complete);
  EXPECT_EQ(client.AwaitEnd(Connect(client, "connect-udp")).status, 501)
      << "the connection goes on";
}

TEST_F(ProtocolSwitchTest, Http2ABreakIsSeenOnTheOtherSide) {
  Http2Peer client(server_.Connect());
  const int32_t stream = Connect(client);
  EXPECT_TRUE(client.Await([&] { return client.result(stream).status == 200; }));
  Say("", BodySource::State::kFailed);
  EXPECT_NE(client.AwaitEnd(stream).error_code, 0u);
  ASSERT_TRUE(AwaitOver());
  *log_ = {};
  const int32_t other = Connect(client);
  EXPECT_TRUE(client.Await([&] { return client.result(other).status == 200; }));
  client.Reset(other, NGHTTP2_CANCEL);
  ASSERT_TRUE(AwaitOver());
  EXPECT_EQ(log_->reason, "client_reset");
}

TEST_F(ProtocolSwitchTest, Http2OtherConnectsAreRefused) {
  Http2Peer client(server_.Connect());
  client.Get("/");  // so that the settings have come
  EXPECT_EQ(client.AwaitEnd(Connect(client, "connect-udp")).status, 501);
  EXPECT_EQ(
      client.AwaitEnd(client.AskRaw({{":method", "CONNECT"}, {":authority", "a.test:443"}})).status,
      405);
}

TEST(ProtocolSwitchRateTest, AClientThatTakesSlowlyIsNoAttack) {
  TestServer server(
      {.limits = {.send_timeout = seconds(2), .least_rate = 1_GiB}, .websocket = true});
  constexpr uint64_t kSize = 24 << 20;
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(server.NewLog()));
    exchange.SwitchProtocol(
        {}, std::make_unique<PatternBody>(PatternBody::Plan{.size = kSize}, server.NewBodyLog()));
  };
  // A small window, so that the server sees each step: with a large one the kernel tells it of a
  // third of its buffer at a time, and a busy machine takes longer for that than send_timeout.
  const auto peer = server.Connect(64 << 10);
  peer->Send(kUpgrade);
  uint64_t received = 0;
  for (size_t got = 100'000; got == 100'000; received += got) {
    got = peer->Receive(100'000).size();
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_GT(received, kSize);
  EXPECT_EQ(server.counters().slow_reads, 0u);
}

TEST(ProtocolSwitchOffTest, WhereNobodyTakesItUpThereIsNone) {
  TestServer server;
  const auto peer = server.Connect();
  peer->Send(std::string(kUpgrade) + std::string(kUpgrade));
  for (int i = 0; i < 2; ++i) EXPECT_EQ(ReadOne(*peer).body, "GET /chat a\n");
  Http2Peer client(server.Connect());
  client.Get("/");
  EXPECT_FALSE(client.server_setting(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL));
  const StreamResult& result =
      client.AwaitEnd(client.Ask("CONNECT", "/chat", {{":protocol", "websocket"}}, "", true));
  EXPECT_EQ(result.error_code, uint32_t{NGHTTP2_PROTOCOL_ERROR});
}

}  // namespace
}  // namespace nearside::http
