// Floods and their like: each ends in GOAWAY ENHANCE_YOUR_CALM, early, and is counted.

#include <gtest/gtest.h>

#include <random>
#include <string>

#include "http/session/http2_abuse.h"
#include "tests/http/session/http2_peer.h"
#include "tests/http/session/test_server.h"

namespace nearside::http {
namespace {

/// The smallest valid request: GET http://a/ by indexed fields and a literal authority.
const std::string kRequestBlock = std::string(
    "\x82\x86\x84\x41\x01"
    "a",
    6);
constexpr uint8_t kEndHead = NGHTTP2_FLAG_END_HEADERS;
constexpr uint8_t kEndBoth = NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM;

std::string Code(uint32_t code) { return std::string("\0\0\0", 3) + static_cast<char>(code); }

/// Sends it all and answers the code of the server's GOAWAY.
std::optional<uint32_t> GoawayTo(TestServer& server, std::string_view flood) {
  const auto peer = server.Connect();
  peer->Send(PrefaceText());
  peer->Send(flood);
  return GoawayIn(peer->ReceiveAll());
}

template <typename Make>
std::string Repeat(int count, Make make) {
  std::string all;
  for (int i = 0; i < count; ++i) all += make(static_cast<uint32_t>(2 * i + 1));
  return all;
}

void ExpectCalm(TestServer& server, std::string_view flood) {
  EXPECT_EQ(GoawayTo(server, flood), uint32_t{NGHTTP2_ENHANCE_YOUR_CALM});
  EXPECT_EQ(server.counters().abuse_closed, 1u);
}

TEST(Http2AbuseTest, RapidReset) {
  TestServer server;
  int requests = 0;
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    ++requests;
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
  };
  ExpectCalm(server, Repeat(5000, [](uint32_t stream) {
               return FrameText(NGHTTP2_HEADERS, kEndBoth, stream, kRequestBlock) +
                      FrameText(NGHTTP2_RST_STREAM, 0, stream, Code(NGHTTP2_CANCEL));
             }));
  EXPECT_LE(requests, 210);
  EXPECT_TRUE(server.AwaitNoConnections());
  EXPECT_EQ(server.Call([&] { return server.sessions().open_exchanges(); }), 0u);
}

TEST(Http2AbuseTest, ResetsThatWeAreProvokedToSend) {
  TestServer server;
  // A window that grows over 2^31 - 1 is a stream error (CVE-2025-8671).
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(server.NewLog()));
  };
  ExpectCalm(server, Repeat(5000, [](uint32_t stream) {
               return FrameText(NGHTTP2_HEADERS, kEndBoth, stream, kRequestBlock) +
                      FrameText(NGHTTP2_WINDOW_UPDATE, 0, stream, "\x7f\xff\xff\xff");
             }));
}

TEST(Http2AbuseTest, MalformedRequestsByTheThousand) {
  TestServer server;
  ExpectCalm(server, Repeat(5000, [](uint32_t stream) {
               return FrameText(NGHTTP2_HEADERS, kEndBoth, stream, "\x82\x86\x84");  // no authority
             }));
}

TEST(Http2AbuseTest, PingFlood) {
  TestServer server;
  ExpectCalm(server,
             Repeat(5000, [](uint32_t) { return FrameText(NGHTTP2_PING, 0, 0, "12345678"); }));
}

TEST(Http2AbuseTest, SettingsFlood) {
  TestServer server;
  ExpectCalm(server, Repeat(5000, [](uint32_t) { return FrameText(NGHTTP2_SETTINGS, 0, 0, ""); }));
}

TEST(Http2AbuseTest, EmptyDataFlood) {
  TestServer server;
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(server.NewLog()));
  };
  ExpectCalm(server, FrameText(NGHTTP2_HEADERS, kEndHead, 1, kRequestBlock) +
                         Repeat(5000, [](uint32_t) { return FrameText(NGHTTP2_DATA, 0, 1, ""); }));
}

TEST(Http2AbuseTest, PriorityFlood) {
  TestServer server;
  ExpectCalm(server, Repeat(5000, [](uint32_t stream) {
               return FrameText(NGHTTP2_PRIORITY, 0, stream, std::string("\0\0\0\0\x10", 5));
             }));
}

TEST(Http2AbuseTest, WindowUpdateFlood) {
  TestServer server;
  ExpectCalm(server, Repeat(5000, [](uint32_t) {
               return FrameText(NGHTTP2_WINDOW_UPDATE, 0, 0, Code(1));
             }));
}

TEST(Http2AbuseTest, PriorityUpdateFlood) {
  TestServer server;
  ExpectCalm(server, Repeat(5000, [](uint32_t) {
               return FrameText(NGHTTP2_PRIORITY_UPDATE, 0, 0, std::string("\0\0\0\x01u=1", 7));
             }));
}

TEST(Http2AbuseTest, ContinuationFlood) {
  TestServer server;
  ExpectCalm(server, FrameText(NGHTTP2_HEADERS, 0, 1, kRequestBlock) + Repeat(1000, [](uint32_t) {
                       return FrameText(NGHTTP2_CONTINUATION, 0, 1,
                                        std::string("\x00\x01x\x01y", 5));
                     }));
  EXPECT_EQ(server.counters().requests_http2, 0u);
}

TEST(Http2AbuseTest, HpackBomb) {
  TestServer server;
  // A field of 4000 bytes enters the table once; then one byte repeats it.
  std::string block =
      kRequestBlock + std::string("\x40\x01x\x7f\xa1\x1e", 6) + std::string(4000, 'v');
  block += std::string(12'000, '\xbe');
  const auto request = [&](uint32_t stream) {
    return FrameText(NGHTTP2_HEADERS, kEndBoth, stream, block);
  };
  const auto peer = server.Connect();
  peer->Send(PrefaceText() + request(1));
  std::string all;
  while (all.find(FrameText(NGHTTP2_RST_STREAM, 0, 1, Code(NGHTTP2_INTERNAL_ERROR))) ==
         std::string::npos) {
    const std::string more = peer->Receive(1);
    ASSERT_FALSE(more.empty());
    all += more;
  }
  EXPECT_EQ(server.counters().requests_http2, 0u);
  peer->Send(Repeat(20, [&](uint32_t stream) { return request(stream + 2); }));
  EXPECT_EQ(GoawayIn(all + peer->ReceiveAll()), uint32_t{NGHTTP2_ENHANCE_YOUR_CALM});
  EXPECT_EQ(server.counters().abuse_closed, 1u);
}

TEST(Http2AbuseTest, MoreStreamsThanAllowedAreRefused) {
  TestServer server({.limits = {.concurrent_streams = 10}});
  int requests = 0;
  server.on_request = [&](Exchange& exchange) {
    ++requests;
    exchange.SetHandler(std::make_unique<LoggingHandler>(server.NewLog()));
  };
  ExpectCalm(server, Repeat(5000, [](uint32_t stream) {
               return FrameText(NGHTTP2_HEADERS, kEndBoth, stream, kRequestBlock);
             }));
  EXPECT_EQ(requests, 10);
}

TEST(Http2AbuseTest, AZeroWindowTimesOut) {
  TestServer server({.limits = {.send_timeout = milliseconds(50)}});
  HandlerLog* log = server.NewLog();
  BodyLog* body = server.NewBodyLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
    exchange.Respond(200, {}, {},
                     std::make_unique<PatternBody>(PatternBody::Plan{.size = 1000}, body));
  };
  Http2Peer client(server.Connect(), {.window = 0});
  client.Ask("GET", "/");
  client.AwaitClose();
  ASSERT_TRUE(server.Await([&] { return log->outcome.has_value(); }));
  EXPECT_EQ(log->reason, "timeout");
  EXPECT_EQ(body->consumed, 0u);
  EXPECT_EQ(server.counters().timeouts, 1u);
}

TEST(Http2AbuseTest, AClosedWindowTimesOutWhateverElseIsAnswered) {
  TestServer server({.limits = {.send_timeout = seconds(2)}});
  std::vector<HandlerLog*> logs;
  server.on_request = [&](Exchange& exchange) {
    logs.push_back(server.NewLog());
    exchange.SetHandler(std::make_unique<LoggingHandler>(logs.back()));
    exchange.Respond(
        200, {}, {},
        std::make_unique<PatternBody>(PatternBody::Plan{.size = 1000}, server.NewBodyLog()));
  };
  Http2Peer client(server.Connect(), {.window = 10, .give_back = false});
  const int32_t stalled = client.Ask("GET", "/stalled");
  const int32_t slow = client.Ask("GET", "/slow");
  // Ten bytes a time of the one, none of the other, and PINGs all the while.
  for (int i = 0; i < 98 && !client.result(stalled).closed; ++i) {
    client.Ping();
    client.GiveBack(slow, 10);
    const int pongs = client.pongs();
    ASSERT_TRUE(client.Await([&] { return client.pongs() > pongs; }));
    std::this_thread::sleep_for(milliseconds(25));
  }
  EXPECT_EQ(client.AwaitEnd(stalled).error_code, uint32_t{NGHTTP2_CANCEL});
  client.GiveBack(slow, 1000);
  EXPECT_EQ(client.AwaitEnd(slow).body.size(), 1000u);
  ASSERT_TRUE(server.Await([&] { return logs.size() == 2 && logs[0]->outcome.has_value(); }));
  EXPECT_EQ(logs[0]->reason, "timeout");
  EXPECT_EQ(server.counters().timeouts, 1u);
}

/// Answers with as much as is wanted.
void AnswerWithAStream(TestServer& server, std::vector<HandlerLog*>* logs) {
  server.on_request = [&server, logs](Exchange& exchange) {
    logs->push_back(server.NewLog());
    exchange.SetHandler(std::make_unique<LoggingHandler>(logs->back()));
    exchange.Respond(
        200, {}, {},
        std::make_unique<PatternBody>(PatternBody::Plan{.size = 1 << 30}, server.NewBodyLog()));
  };
}

TEST(Http2AbuseTest, AStreamsWindowThatIsOpenedByDropsIsTooSlow) {
  TestServer server({.limits = {.send_timeout = seconds(1), .least_rate = {100'000}}});
  std::vector<HandlerLog*> logs;
  AnswerWithAStream(server, &logs);
  Http2Peer client(server.Connect(), {.window = 10, .give_back = false});
  const int32_t stream = client.Ask("GET", "/");
  while (!client.result(stream).closed) {
    client.GiveBack(stream, 10);
    const int pongs = client.pongs();
    client.Ping();
    ASSERT_TRUE(client.Await([&] { return client.pongs() > pongs; }));
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_EQ(client.result(stream).error_code, uint32_t{NGHTTP2_CANCEL});
  ASSERT_TRUE(server.Await([&] { return logs[0]->outcome.has_value(); }));
  EXPECT_EQ(logs[0]->reason, "slow_read");
  EXPECT_EQ(server.counters().slow_reads, 1u);
  EXPECT_EQ(server.counters().timeouts, 0u);
  server.on_request = [](Exchange& exchange) { exchange.Respond(204, {}, {}, nullptr); };
  EXPECT_EQ(client.Get("/").status, 204) << "the connection goes on";
}

TEST(Http2AbuseTest, AConnectionsWindowThatIsOpenedByDropsIsTooSlow) {
  TestServer server({.limits = {.send_timeout = seconds(1), .least_rate = {100'000}}});
  std::vector<HandlerLog*> logs;
  AnswerWithAStream(server, &logs);
  Http2Peer client(server.Connect(), {.window = 1 << 24, .give_back = false});
  client.Ask("GET", "/");
  bool answers = true;
  while (answers) {
    client.GiveBackConnection(10);
    const int pongs = client.pongs();
    client.Ping();
    answers = client.Await([&] { return client.pongs() > pongs; });
    std::this_thread::sleep_for(milliseconds(10));
  }
  ASSERT_TRUE(server.Await([&] { return logs[0]->outcome.has_value(); }));
  EXPECT_EQ(logs[0]->reason, "slow_read");
  EXPECT_TRUE(server.AwaitNoConnections());
  EXPECT_EQ(server.counters().slow_reads, 1u);
}

TEST(Http2AbuseTest, HalfAHeadTimesOut) {
  TestServer server({.limits = {.head_timeout = milliseconds(30)}});
  EXPECT_EQ(GoawayTo(server, FrameText(NGHTTP2_HEADERS, 0, 1, kRequestBlock)),
            uint32_t{NGHTTP2_NO_ERROR});
  EXPECT_EQ(server.counters().timeouts, 1u);
}

TEST(Http2AbuseTest, APrefaceWithoutSettingsTimesOut) {
  TestServer server({.limits = {.head_timeout = milliseconds(30)}});
  const auto peer = server.Connect();
  peer->Send(kHttp2ClientPreface);
  EXPECT_EQ(GoawayIn(peer->ReceiveAll()), uint32_t{NGHTTP2_NO_ERROR});
  EXPECT_EQ(server.counters().timeouts, 1u);
}

TEST(Http2AbuseTest, GarbageIsAProtocolError) {
  TestServer server;
  EXPECT_EQ(GoawayTo(server, std::string(1000, '\xff')), uint32_t{NGHTTP2_FRAME_SIZE_ERROR});
  EXPECT_EQ(GoawayTo(server, FrameText(NGHTTP2_DATA, 0, 1, "x")), uint32_t{NGHTTP2_PROTOCOL_ERROR});
  EXPECT_EQ(GoawayTo(server, FrameText(NGHTTP2_HEADERS, kEndBoth, 1, "\xff\xff\xff\xff\xff\xff")),
            uint32_t{NGHTTP2_COMPRESSION_ERROR});
  EXPECT_EQ(server.counters().protocol_errors, 3u);
  EXPECT_EQ(server.counters().abuse_closed, 0u);
}

TEST(Http2AbuseTest, AGarbagePrefaceOverTlsIsAProtocolError) {
  TestServer server({.tls = true});
  const auto peer = server.Connect();
  ASSERT_TRUE(peer->StartTls({.server_name = "www.demo.test", .alpn = {"h2"}}));
  peer->Send("GET / HTTP/1.1\r\nHost: a.test\r\n\r\n");
  EXPECT_EQ(GoawayIn(peer->ReceiveAll()), uint32_t{NGHTTP2_PROTOCOL_ERROR});
}

TEST(Http2AbuseTest, RandomFramesDoNoHarm) {
  TestServer server(
      {.limits = {.head_timeout = milliseconds(50), .idle_timeout = milliseconds(50)}});
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int i = 0; i < 100; ++i) {
    std::string frames;
    for (int n = 0; n < 20; ++n) {
      std::string payload;
      for (size_t size = random() % 12; size > 0; --size) payload += static_cast<char>(random());
      if (random() % 2 == 0) payload = kRequestBlock;
      frames += FrameText(static_cast<uint8_t>(random() % 11), static_cast<uint8_t>(random()),
                          random() % 8, payload);
    }
    const auto peer = server.Connect();
    peer->Send(PrefaceText() + frames);
    peer->EndSending();
    peer->ReceiveAll();
  }
  EXPECT_TRUE(server.AwaitNoConnections());
  EXPECT_EQ(server.Call([&] { return server.sessions().open_exchanges(); }), 0u);
}

TEST(AbuseBudgetTest, RefillsWithTime) {
  const MonoTime start{};
  AbuseBudget budget(10, 5, start);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(budget.Spend(10, start));
  EXPECT_FALSE(budget.Spend(10, start));
  EXPECT_FALSE(budget.Spend(10, start + milliseconds(100)));
  for (int i = 0; i < 2; ++i) EXPECT_TRUE(budget.Spend(10, start + milliseconds(400)));
  EXPECT_FALSE(budget.Spend(10, start + milliseconds(400)));
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(budget.Spend(10, start + seconds(100)));
  EXPECT_FALSE(budget.Spend(1, start + seconds(100)));
}

TEST(AbuseBudgetTest, WindowUpdatesAreFreeAsLongAsDataIsSent) {
  WindowUpdateCredit credit;
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(credit.OnWindowUpdate());
  EXPECT_FALSE(credit.OnWindowUpdate());
  credit.OnDataSent();
  for (int i = 0; i < 4; ++i) EXPECT_TRUE(credit.OnWindowUpdate());
  EXPECT_FALSE(credit.OnWindowUpdate());
}

}  // namespace
}  // namespace nearside::http
