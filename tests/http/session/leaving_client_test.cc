// Clients that leave while nothing is to be sent: they are noticed, and the application is told.

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>

#include "tests/http/session/http2_peer.h"
#include "tests/http/session/test_server.h"

namespace nearside::http {
namespace {

constexpr milliseconds kLong = std::chrono::hours(1);

/// Holds every request until the test answers it.
class LeavingClientTest : public ::testing::TestWithParam<bool> {
 protected:
  void Start(SessionLimits limits) {
    server_ =
        std::make_unique<TestServer>(TestServer::Options{.limits = limits, .tls = GetParam()});
    log_ = server_->NewLog();
    server_->on_request = [this](Exchange& exchange) {
      exchange.SetHandler(std::make_unique<LoggingHandler>(log_));
      waiting_ = &exchange;
    };
  }
  std::unique_ptr<net::RawPeer> Connect(const char* protocol) {
    auto peer = server_->Connect();
    if (GetParam()) {
      EXPECT_TRUE(peer->StartTls({.server_name = "www.demo.test", .alpn = {protocol}}))
          << peer->error();
    }
    return peer;
  }
  /// A client over HTTP/1.1 whose request waits.
  std::unique_ptr<net::RawPeer> Ask() {
    auto peer = Connect("http/1.1");
    peer->Send(kGet);
    EXPECT_TRUE(AwaitAsked());
    return peer;
  }
  bool AwaitAsked() {
    return server_->Await([this] { return waiting_ != nullptr; });
  }
  /// The head and the first `size` bytes of a body that then waits, until it is told to go on.
  PatternBody* AnswerWithPart(uint64_t size) {
    PatternBody* body = nullptr;
    body_log_ = server_->NewBodyLog();
    server_->Call([&] {
      auto made = std::make_unique<PatternBody>(PatternBody::Plan{.size = 1000, .wait_at = size},
                                                body_log_);
      body = made.get();
      waiting_->Respond(200, {}, {}, std::move(made));
    });
    return body;
  }
  void GoOn(PatternBody* body, std::optional<uint64_t> until) {
    server_->Call([&] {
      ASSERT_FALSE(body_log_->destroyed) << "the client was left";
      body->plan().wait_at = until;
      waiting_->Resume();
    });
  }
  void ExpectGone() {
    ASSERT_TRUE(server_->Await([this] { return log_->destroyed; }));
    EXPECT_EQ(log_->reason, "client_gone");
    EXPECT_FALSE(log_->outcome->complete);
    EXPECT_TRUE(server_->AwaitNoConnections());
    EXPECT_EQ(server_->Call([this] { return server_->sessions().open_exchanges(); }), 0u);
    EXPECT_EQ(server_->counters().timeouts, 0u);
  }
  void Drain() {
    server_->Call([this] { server_->sessions().Drain(kLong, [this] { drained_ = true; }); });
  }

  std::unique_ptr<TestServer> server_;
  HandlerLog* log_ = nullptr;
  BodyLog* body_log_ = nullptr;
  Exchange* waiting_ = nullptr;
  bool drained_ = false;
};

INSTANTIATE_TEST_SUITE_P(, LeavingClientTest, testing::Bool(),
                         [](const auto& test) { return test.param ? "Tls" : "Clear"; });

TEST_P(LeavingClientTest, Http11BeforeItsAnswer) {
  Start({.half_closed_timeout = milliseconds(100)});
  const auto peer = Ask();
  peer->EndSending();
  ExpectGone();
}

TEST_P(LeavingClientTest, Http11WithAnotherRequestBehind) {
  Start({.half_closed_timeout = milliseconds(100)});
  const auto peer = Connect("http/1.1");
  // Its end is only seen when the second is being answered.
  peer->Send(std::string(kGet) + std::string(kGet));
  ASSERT_TRUE(AwaitAsked());
  peer->EndSending();
  server_->Call([this] { std::exchange(waiting_, nullptr)->Respond(204, {}, {}, nullptr); });
  ASSERT_TRUE(AwaitAsked());
  ASSERT_TRUE(server_->Await([this] { return log_->reason == "client_gone"; }));
  EXPECT_TRUE(server_->AwaitNoConnections());
}

TEST_P(LeavingClientTest, Http11InsideAnAnswerThatIsSilent) {
  Start({.half_closed_timeout = milliseconds(100)});
  const auto peer = Ask();
  AnswerWithPart(10);
  peer->EndSending();
  ExpectGone();
}

TEST_P(LeavingClientTest, Http11AtOnceWithoutPatience) {
  Start({.half_closed_timeout = milliseconds(0)});
  const auto peer = Ask();
  peer->EndSending();
  ExpectGone();
}

TEST_P(LeavingClientTest, Http11WhoWaitsForItsAnswerGetsIt) {
  Start({.half_closed_timeout = kLong});
  const auto peer = Ask();
  peer->EndSending();
  std::this_thread::sleep_for(milliseconds(100));
  server_->Call([this] { waiting_->Respond(200, {}, {}, TextBody("late")); });
  EXPECT_TRUE(peer->ReceiveAll().ends_with("late\r\n0\r\n\r\n"));
  EXPECT_TRUE(peer->ended_cleanly());
  ASSERT_TRUE(server_->Await([this] { return log_->destroyed; }));
  EXPECT_TRUE(log_->outcome->complete);
}

TEST_P(LeavingClientTest, Http11AnAnswerThatComesPieceByPieceIsSentToItsEnd) {
  Start({.half_closed_timeout = seconds(3)});
  const auto peer = Ask();
  PatternBody* body = AnswerWithPart(10);
  peer->EndSending();
  for (uint64_t at = 20; at <= 120; at += 10) {  // longer than the patience
    std::this_thread::sleep_for(milliseconds(300));
    GoOn(body, at);
  }
  GoOn(body, std::nullopt);
  EXPECT_TRUE(peer->ReceiveAll().ends_with("\r\n0\r\n\r\n"));
  ASSERT_TRUE(server_->Await([this] { return log_->destroyed; }));
  EXPECT_TRUE(log_->outcome->complete);
}

TEST_P(LeavingClientTest, Http11AResetIsNoticedAtOnceBehindTheEndToo) {
  Start({.half_closed_timeout = kLong});
  const auto peer = Ask();
  peer->EndSending();
  peer->Reset();
  ExpectGone();
}

TEST_P(LeavingClientTest, Http11DrainingHasNoPatience) {
  for (const bool drain_first : {false, true}) {
    waiting_ = nullptr;
    drained_ = false;
    Start({.half_closed_timeout = kLong});
    const auto peer = Ask();
    if (drain_first) Drain();
    peer->EndSending();
    if (!drain_first) Drain();
    ExpectGone();
    EXPECT_TRUE(server_->Await([this] { return drained_; })) << drain_first;
  }
}

TEST_P(LeavingClientTest, Http2BeforeItsAnswer) {
  Start({.half_closed_timeout = kLong});
  Http2Peer client(Connect("h2"));
  client.Ask("GET", "/");
  ASSERT_TRUE(AwaitAsked());
  client.peer().EndSending();
  ExpectGone();
}

TEST_P(LeavingClientTest, Http2InsideAnAnswerThatIsSilent) {
  Start({});
  Http2Peer client(Connect("h2"));
  const int32_t stream = client.Ask("GET", "/");
  ASSERT_TRUE(AwaitAsked());
  AnswerWithPart(10);
  EXPECT_TRUE(client.Await([&] { return client.result(stream).body.size() == 10; }));
  client.peer().EndSending();
  ExpectGone();
}

TEST_P(LeavingClientTest, Http2InsideItsBody) {
  Start({});
  Http2Peer client(Connect("h2"));
  client.Ask("PUT", "/", {}, "hello", true);
  ASSERT_TRUE(AwaitAsked());
  client.peer().EndSending();
  ExpectGone();
  EXPECT_FALSE(log_->trailers) << "never told as whole";
}

TEST_P(LeavingClientTest, Http2WhileItTakesNothing) {
  Start({});
  // Both the windows and the socket's buffers full: there is no room for a GOAWAY either.
  Http2Peer client(Connect("h2"), {.window = 1 << 30});
  client.GiveBackConnection(1 << 30);
  client.Ask("GET", "/");
  ASSERT_TRUE(AwaitAsked());
  server_->Call([this] {
    waiting_->Respond(200, {}, {},
                      std::make_unique<PatternBody>(PatternBody::Plan{.size = uint64_t{1} << 40},
                                                    server_->NewBodyLog()));
  });
  uint64_t before = 0;
  ASSERT_TRUE(server_->Await([&, turns = 0]() mutable {
    const uint64_t now = server_->sessions().counters().bytes_out;
    turns = now == before ? turns + 1 : 0;
    before = now;
    return now > 0 && turns > 1000;
  }));
  client.peer().EndSending();
  ExpectGone();
}

}  // namespace
}  // namespace nearside::http
