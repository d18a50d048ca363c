#include <gtest/gtest.h>

#include <string>

#include "tests/http/session/http2_peer.h"
#include "tests/http/session/test_server.h"

namespace nearside::http {
namespace {

/// Requests for "/wait" are held until the test answers them.
class ServerDrainTest : public ::testing::Test {
 protected:
  ServerDrainTest() {
    server_.on_request = [this](Exchange& exchange) {
      if (exchange.request().target != "/wait")
        return exchange.Respond(200, {}, {}, TextBody("at once"));
      exchange.SetHandler(std::make_unique<LoggingHandler>(log_));
      waiting_ = &exchange;
    };
  }
  bool AwaitWaiting() {
    return server_.Await([this] { return waiting_ != nullptr; });
  }
  void Answer() {
    server_.Call([this] { waiting_->Respond(200, {}, {}, TextBody("done")); });
  }
  void Drain(milliseconds deadline = seconds(60)) {
    server_.Call([&] { server_.sessions().Drain(deadline, [this] { ++drained_; }); });
  }
  bool AwaitDrained() {
    return server_.Await([this] { return drained_ == 1; });
  }

  TestServer server_;
  HandlerLog* log_ = server_.NewLog();
  Exchange* waiting_ = nullptr;
  int drained_ = 0;
};

TEST_F(ServerDrainTest, WithoutConnectionsItIsDoneAtOnce) {
  Drain();
  EXPECT_TRUE(AwaitDrained());
}

TEST_F(ServerDrainTest, IdleConnectionsCloseAtOnce) {
  const auto old = server_.Connect();
  old->Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(ReadOne(*old).status, 200);
  Http2Peer client(server_.Connect());
  EXPECT_EQ(client.Get("/").status, 200);
  Drain();
  EXPECT_EQ(old->ReceiveAll(), "");
  client.AwaitClose();
  ASSERT_EQ(client.goaways().size(), 1u);
  EXPECT_EQ(client.goaways()[0].second, uint32_t{NGHTTP2_NO_ERROR});
  old->Close();
  client.peer().Close();
  EXPECT_TRUE(AwaitDrained());
}

TEST_F(ServerDrainTest, Http11AnswersWhatIsUnderWayAndCloses) {
  const auto peer = server_.Connect();
  peer->Send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(AwaitWaiting());
  Drain();
  EXPECT_EQ(server_.Call([&] { return server_.sessions().open_connections(); }), 1u);
  Answer();
  const ReadResponse response = ReadOne(*peer);
  EXPECT_EQ(response.body, "done");
  EXPECT_NE(response.head, "connection: keep-alive\n");
  EXPECT_EQ(peer->ReceiveAll(), "");
  peer->Close();
  EXPECT_TRUE(AwaitDrained());
  EXPECT_TRUE(log_->outcome->complete);
}

TEST_F(ServerDrainTest, Http2SaysGoawayTwiceAndFinishes) {
  Http2Peer client(server_.Connect());
  const int32_t stream = client.Ask("GET", "/wait");
  ASSERT_TRUE(AwaitWaiting());
  Drain();
  EXPECT_TRUE(client.Await([&] { return client.goaways().size() == 2; }));
  EXPECT_EQ(client.goaways()[0], (std::pair<int32_t, uint32_t>{0x7fffffff, NGHTTP2_NO_ERROR}));
  EXPECT_EQ(client.goaways()[1], (std::pair<int32_t, uint32_t>{stream, NGHTTP2_NO_ERROR}));
  Answer();
  EXPECT_EQ(client.AwaitEnd(stream).body, "done");
  client.AwaitClose();
  client.peer().Close();
  EXPECT_TRUE(AwaitDrained());
}

TEST_F(ServerDrainTest, TheSecondGoawayDoesNotWaitForEverForTheClient) {
  const auto peer = server_.Connect();
  peer->Send(PrefaceText() + FrameText(NGHTTP2_HEADERS,
                                       NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
                                       std::string("\x82\x86\x41\x01"
                                                   "a\x44\x05/wait",
                                                   12)));
  ASSERT_TRUE(AwaitWaiting());
  Drain();
  std::string all;
  const auto goaways = [&] {
    size_t count = 0;
    for (size_t at = all.find(std::string("\x00\x00\x08\x07", 4)); at != std::string::npos;
         at = all.find(std::string("\x00\x00\x08\x07", 4), at + 1)) {
      ++count;
    }
    return count;
  };
  while (goaways() < 2) {  // its PING is never answered
    const std::string more = peer->Receive(1);
    ASSERT_FALSE(more.empty());
    all += more;
  }
}

TEST_F(ServerDrainTest, WhatIsLeftAtTheDeadlineIsAborted) {
  const auto old = server_.Connect();
  old->Send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(AwaitWaiting());
  Drain(milliseconds(30));
  EXPECT_TRUE(AwaitDrained());
  EXPECT_EQ(log_->reason, "drain_deadline");
  EXPECT_EQ(old->ReceiveAll(), "");
}

TEST_F(ServerDrainTest, ConnectionsThatComeLateAreTurnedAway) {
  const auto held = server_.Connect();
  held->Send("GET /wait HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(AwaitWaiting());
  Drain();
  const auto late = server_.Connect();
  EXPECT_EQ(late->ReceiveAll(), "");
  Answer();
  EXPECT_EQ(ReadOne(*held).body, "done");
}

TEST(ServerEndTest, EndingTheSessionsTellsEveryHandler) {
  HandlerLog* log = nullptr;
  HandlerLog kept;
  {
    TestServer server;
    log = server.NewLog();
    int waiting = 0;
    server.on_request = [&](Exchange& exchange) {
      auto handler = std::make_unique<LoggingHandler>(log);
      handler->on_finished = [&kept, log] { kept = *log; };
      exchange.SetHandler(std::move(handler));
      ++waiting;
    };
    const auto peer = server.Connect();
    peer->Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    Http2Peer client(server.Connect());
    client.Ask("GET", "/");
    ASSERT_TRUE(server.Await([&] { return waiting == 2; }));
  }
  EXPECT_EQ(kept.reason, "shutdown");
  ASSERT_TRUE(kept.outcome);
  EXPECT_FALSE(kept.outcome->complete);
}

TEST(ServerLimitsTest, NewLimitsHoldForNewConnections) {
  TestServer server;
  const auto before = server.Connect();
  before->Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(ReadOne(*before).status, 200);
  server.Call([&] { server.sessions().SetLimits({.request_line = {50}}); });
  const std::string request = "GET /" + std::string(100, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n";
  before->Send(request);
  EXPECT_EQ(ReadOne(*before).status, 200);
  const auto after = server.Connect();
  after->Send(request);
  EXPECT_EQ(ReadOne(*after).status, 414);
}

}  // namespace
}  // namespace nearside::http
