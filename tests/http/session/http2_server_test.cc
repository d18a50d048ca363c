#include <gtest/gtest.h>

#include <future>
#include <string>
#include <thread>
#include <vector>

#include "tests/http/session/http2_peer.h"
#include "tests/http/session/test_server.h"

namespace nearside::http {
namespace {

std::unique_ptr<BodySource> Pattern(uint64_t size, BodyLog* log) {
  return std::make_unique<PatternBody>(PatternBody::Plan{.size = size}, log);
}

TEST(Http2ServerTest, AnswersOverPriorKnowledge) {
  TestServer server;
  Http2Peer client(server.Connect());
  const StreamResult& result = client.Get("/x?y");
  EXPECT_EQ(result.status, 200);
  EXPECT_EQ(result.fields, "content-type: text/plain\ncontent-length: 16\n");
  EXPECT_EQ(result.body, "GET /x?y a.test\n");
  EXPECT_EQ(result.error_code, 0u);
  EXPECT_EQ(client.Get("/2").body, "GET /2 a.test\n");
  const SessionCounters counters = server.counters();
  EXPECT_EQ(counters.connections, 1u);
  EXPECT_EQ(counters.open, 1u);
  EXPECT_EQ(counters.requests_http2, 2u);
  EXPECT_EQ(counters.requests_http11, 0u);
}

TEST(Http2ServerTest, ThePrefaceMayComeByteByByte) {
  TestServer server;
  const auto peer = server.Connect();
  for (const char c : PrefaceText()) ASSERT_TRUE(peer->Send({&c, 1}));
  const std::string settings = peer->Receive(9);
  ASSERT_EQ(settings.size(), 9u);
  EXPECT_EQ(settings[3], NGHTTP2_SETTINGS);
  EXPECT_EQ(server.counters().open, 1u);
}

TEST(Http2ServerTest, AnAlmostPrefaceIsHttp11) {
  TestServer server;
  EXPECT_NE(server.Converse("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n").find("505"), std::string::npos);
  EXPECT_NE(server.Converse("PUT / HTTP/1.0\r\n\r\n").find("PUT / "), std::string::npos);
}

TEST(Http2ServerTest, SettingsSayTheLimits) {
  TestServer server(
      {.limits = {.fields = {10'000}, .concurrent_streams = 7, .stream_window = 100'000}});
  Http2Peer client(server.Connect());
  client.Get("/");
  EXPECT_EQ(client.server_setting(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS), 7u);
  EXPECT_EQ(client.server_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE), 100'000u);
  EXPECT_EQ(client.server_setting(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE), 10'000u);
  EXPECT_EQ(client.server_setting(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES), 1u);
}

TEST(Http2ServerTest, ByAlpnOverTls) {
  TestServer server({.tls = true});
  auto peer = server.Connect();
  ASSERT_TRUE(peer->StartTls({.server_name = "www.demo.test", .alpn = {"h2"}})) << peer->error();
  server.on_request = [](Exchange& exchange) {
    EXPECT_EQ(exchange.request().scheme, "https") << "whatever the client says";
    EXPECT_EQ(exchange.version(), Version::kHttp2);
    exchange.Respond(200, {}, {}, TextBody(VersionName(exchange.version())));
  };
  Http2Peer client(std::move(peer));
  EXPECT_EQ(client.Get("/").body, "HTTP/2");
  auto old = server.Connect();
  ASSERT_TRUE(old->StartTls({.server_name = "www.demo.test", .alpn = {"http/1.1"}}));
  server.on_request = nullptr;
  old->Send("GET /old HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
  EXPECT_NE(old->ReceiveAll().find("GET /old a\n"), std::string::npos);
}

TEST(Http2ServerTest, ManyRequestsAtOnce) {
  TestServer server;
  Http2Peer client(server.Connect());
  std::vector<int32_t> streams;
  for (int i = 0; i < 100; ++i) streams.push_back(client.Ask("GET", "/" + std::to_string(i)));
  for (int i = 0; i < 100; ++i) {
    EXPECT_EQ(client.AwaitEnd(streams[i]).body, "GET /" + std::to_string(i) + " a.test\n");
  }
  EXPECT_EQ(server.counters().requests_http2, 100u);
  EXPECT_EQ(server.Call([&] { return server.sessions().open_exchanges(); }), 0u);
}

TEST(Http2ServerTest, StatusesAndMethodsWithoutContent) {
  TestServer server;
  server.on_request = [&](Exchange& exchange) {
    const FieldLine length = {"content-length", "3"};
    const std::string_view target = exchange.request().target;
    if (target == "/length") exchange.Respond(200, {&length, 1}, {}, TextBody("abc"));
    if (target == "/unknown") exchange.Respond(200, {}, {}, TextBody("abc"));
    if (target == "/none") exchange.Respond(200, {}, {}, nullptr);
    if (target == "/204") exchange.Respond(204, {}, {}, TextBody("never"));
    if (target == "/304") exchange.Respond(304, {&length, 1}, {}, TextBody("never"));
    if (target == "/empty") exchange.Respond(200, {}, {}, TextBody(""));
  };
  Http2Peer client(server.Connect());
  const auto ask = [&](std::string_view method, std::string_view path) {
    const StreamResult& result = client.AwaitEnd(client.Ask(method, path));
    return std::to_string(result.status) + " " + result.fields + result.body;
  };
  EXPECT_EQ(ask("GET", "/length"), "200 content-length: 3\nabc");
  EXPECT_EQ(ask("HEAD", "/length"), "200 content-length: 3\n");
  EXPECT_EQ(ask("GET", "/unknown"), "200 abc");
  EXPECT_EQ(ask("HEAD", "/unknown"), "200 ");
  EXPECT_EQ(ask("GET", "/none"), "200 ");
  EXPECT_EQ(ask("GET", "/204"), "204 ");
  EXPECT_EQ(ask("GET", "/304"), "304 content-length: 3\n");
  EXPECT_EQ(ask("GET", "/empty"), "200 ");
}

TEST(Http2ServerTest, PreparedLinesAreKeptAliveByTheBody) {
  TestServer server;
  // Lines whose memory belongs to the body, and goes with it.
  struct Object final : BodySource {
    std::unique_ptr<Fields> lines =
        std::make_unique<Fields>(Fields{{"x-one", "1"}, {"content-length", "2"}});
    size_t sent = 0;
    State Peek(std::span<const uint8_t>* piece) override {
      static constexpr uint8_t kBytes[] = {'h', 'i'};
      *piece = std::span(kBytes).subspan(sent);
      return piece->empty() ? State::kEnd : State::kReady;
    }
    void Consume(size_t n) override { sent += n; }
  };
  server.on_request = [](Exchange& exchange) {
    auto object = std::make_unique<Object>();
    const std::span<const FieldLine> lines = object->lines->lines();
    exchange.Respond(200, lines, {}, std::move(object));
  };
  Http2Peer client(server.Connect());
  for (int i = 0; i < 5; ++i) {
    const StreamResult& result = client.Get("/");
    EXPECT_EQ(result.fields, "x-one: 1\ncontent-length: 2\n");
    EXPECT_EQ(result.body, "hi");
  }
}

TEST(Http2ServerTest, ResetBeforeTheHeadIsSentTouchesNoDeadLines) {
  TestServer server;
  HandlerLog* log = server.NewLog();
  BodyLog* body = server.NewBodyLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
    const auto lines = std::make_unique<Fields>(Fields{{"x-gone", std::string(100, 'x')}});
    exchange.Respond(200, {}, {}, Pattern(10, body));
    exchange.Abort();
  };
  Http2Peer client(server.Connect());
  const StreamResult& result = client.Get("/");
  EXPECT_EQ(result.error_code, uint32_t{NGHTTP2_INTERNAL_ERROR});
  EXPECT_EQ(result.status, 0);
  ASSERT_TRUE(server.Await([&] { return log->destroyed && body->destroyed; }));
  EXPECT_EQ(log->reason, "aborted");
  EXPECT_EQ(body->consumed, 0u);
}

TEST(Http2ServerTest, LargeBodiesArriveWholeAndShareTheConnection) {
  TestServer server;
  constexpr uint64_t kSize = 3'000'000;
  server.on_request = [&](Exchange& exchange) {
    const std::string length = std::to_string(kSize);
    const FieldLine line = {"content-length", length};
    const bool announce = exchange.request().target == "/length";
    exchange.Respond(200, {}, {&line, announce ? 1u : 0u}, Pattern(kSize, server.NewBodyLog()));
  };
  Http2Peer client(server.Connect());
  const int32_t first = client.Ask("GET", "/length");
  const int32_t second = client.Ask("GET", "/unknown");
  const std::string expected = PatternText(0, kSize);
  EXPECT_TRUE(client.AwaitEnd(first).body == expected);
  EXPECT_TRUE(client.AwaitEnd(second).body == expected);
}

TEST(Http2ServerTest, NoMoreIsPulledThanTheWindow) {
  TestServer server;
  BodyLog* body = server.NewBodyLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.Respond(200, {}, {}, Pattern(64 << 20, body));
  };
  Http2Peer client(server.Connect(), {.window = 50'000, .give_back = false});
  const int32_t stream = client.Ask("GET", "/");
  EXPECT_TRUE(client.Await([&] { return client.result(stream).body.size() == 50'000; }));
  EXPECT_EQ(server.Call([&] { return body->consumed; }), 50'000u);
  const uint64_t peeks = server.Call([&] { return body->peeks; });
  client.Ping();
  EXPECT_TRUE(client.Await([&] { return client.pongs() == 1; }));
  EXPECT_EQ(server.Call([&] { return body->peeks; }), peeks) << "a closed window costs nothing";
  client.GiveBack(stream, 10'000);
  EXPECT_TRUE(client.Await([&] { return client.result(stream).body.size() == 60'000; }));
  EXPECT_EQ(server.Call([&] { return body->consumed; }), 60'000u);
}

TEST(Http2ServerTest, ASlowReaderHoldsLittleMemory) {
  TestServer server;
  BodyLog* body = server.NewBodyLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.Respond(200, {}, {}, Pattern(64 << 20, body));
  };
  // Its windows are wide open; it just does not read its socket.
  Http2Peer client(server.Connect(16 << 10), {.window = 0x7fffffff, .give_back = false});
  client.Ask("GET", "/");
  client.GiveBackConnection(0x3fffffff);
  uint64_t before = 0;
  ASSERT_TRUE(server.Await([&, turns = 0]() mutable {
    turns = body->consumed == before ? turns + 1 : 0;
    before = body->consumed;
    return before > 0 && turns > 1000;
  }));
  EXPECT_LT(before, 8u << 20);
}

TEST(Http2ServerTest, ABodyThatWaitsGoesOnWhenResumed) {
  TestServer server;
  BodyLog* log = server.NewBodyLog();
  PatternBody* source = nullptr;
  Exchange* waiting = nullptr;
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(server.NewLog()));
    auto body = std::make_unique<PatternBody>(PatternBody::Plan{.size = 30'000, .wait_at = 0}, log);
    source = body.get();
    waiting = &exchange;
    exchange.Respond(200, {}, {}, std::move(body));
  };
  Http2Peer client(server.Connect());
  const int32_t stream = client.Ask("GET", "/");
  EXPECT_TRUE(client.Await([&] { return client.result(stream).status == 200; }));
  server.Call([&] {
    source->plan().wait_at = 10'000;
    waiting->Resume();
    waiting->Resume();
  });
  EXPECT_TRUE(client.Await([&] { return client.result(stream).body.size() == 10'000; }));
  server.Call([&] {
    source->plan().wait_at.reset();
    waiting->Resume();
  });
  EXPECT_TRUE(client.AwaitEnd(stream).body == PatternText(0, 30'000));
}

TEST(Http2ServerTest, ABodyThatFailsResetsTheStreamOnly) {
  TestServer server;
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    if (exchange.request().target == "/fine")
      return exchange.Respond(200, {}, {}, TextBody("fine"));
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
    exchange.Respond(200, {}, {},
                     std::make_unique<PatternBody>(PatternBody::Plan{.size = 1000, .fail_at = 500},
                                                   server.NewBodyLog()));
  };
  Http2Peer client(server.Connect());
  const StreamResult& result = client.Get("/broken");
  EXPECT_EQ(result.error_code, uint32_t{NGHTTP2_INTERNAL_ERROR});
  EXPECT_EQ(result.body, PatternText(0, 500));
  EXPECT_EQ(client.Get("/fine").body, "fine");
  ASSERT_TRUE(server.Await([&] { return log->destroyed; }));
  EXPECT_FALSE(log->outcome->complete);
  EXPECT_EQ(log->outcome->body_bytes, 500u);
  EXPECT_EQ(log->reason, "body_failed");
}

TEST(Http2ServerTest, AShorterBodyThanAnnouncedResetsTheStream) {
  TestServer server;
  server.on_request = [&](Exchange& exchange) {
    const FieldLine line = {"content-length", "1000"};
    exchange.Respond(200, {}, {&line, 1}, Pattern(999, server.NewBodyLog()));
  };
  Http2Peer client(server.Connect());
  EXPECT_EQ(client.Get("/").error_code, uint32_t{NGHTTP2_INTERNAL_ERROR});
}

TEST(Http2ServerTest, OutcomesOfExchanges) {
  TestServer server;
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
    if (exchange.request().target == "/wait") return;
    exchange.Respond(200, {}, {},
                     Pattern(exchange.request().target == "/endless" ? uint64_t{1} << 40 : 5000,
                             server.NewBodyLog()));
  };
  Http2Peer client(server.Connect());
  client.Get("/whole");
  ASSERT_TRUE(server.Await([&] { return log->destroyed; }));
  EXPECT_TRUE(log->outcome->complete);
  EXPECT_EQ(log->outcome->body_bytes, 5000u);
  *log = {};
  int32_t stream = client.Ask("GET", "/wait");
  ASSERT_TRUE(server.Await([&] { return server.sessions().open_exchanges() == 1; }));
  client.Reset(stream, NGHTTP2_CANCEL);
  ASSERT_TRUE(server.Await([&] { return log->destroyed; }));
  EXPECT_EQ(log->reason, "client_reset");
  *log = {};
  stream = client.Ask("GET", "/endless");
  EXPECT_TRUE(client.Await([&] { return client.result(stream).body.size() > 100'000; }));
  client.Reset(stream, NGHTTP2_CANCEL);
  ASSERT_TRUE(server.Await([&] { return log->destroyed; }));
  EXPECT_EQ(log->reason, "client_reset");
  EXPECT_FALSE(log->outcome->complete);
  EXPECT_GT(log->outcome->body_bytes, 100'000u);
  EXPECT_EQ(server.counters().resets_by_client, 2u);
  *log = {};
  client.Ask("GET", "/wait");
  ASSERT_TRUE(server.Await([&] { return server.sessions().open_exchanges() == 1; }));
  client.peer().Reset();
  ASSERT_TRUE(server.Await([&] { return log->destroyed; }));
  EXPECT_EQ(log->reason, "client_gone");
  EXPECT_TRUE(server.AwaitNoConnections());
}

TEST(Http2ServerTest, InterimResponsesAndTrailers) {
  TestServer server;
  server.on_request = [&](Exchange& exchange) {
    exchange.SendInterim(103, {{"link", "</a.css>"}});
    PatternBody::Plan plan{.size = 5, .trailers = {{"x-sum", "1"}}};
    exchange.Respond(200, {}, {}, std::make_unique<PatternBody>(plan, server.NewBodyLog()));
  };
  Http2Peer client(server.Connect());
  const StreamResult& result = client.Get("/");
  EXPECT_EQ(result.interims, "103 link: </a.css>\n");
  EXPECT_EQ(result.body, PatternText(0, 5));
  EXPECT_EQ(result.trailers, "x-sum: 1\n");
  EXPECT_EQ(result.error_code, 0u);
}

TEST(Http2ServerTest, CookieCrumbsAreJoined) {
  TestServer server;
  server.on_request = [](Exchange& exchange) {
    exchange.Respond(200, {}, {}, TextBody(exchange.request().fields.ToText()));
  };
  Http2Peer client(server.Connect());
  const StreamResult& result = client.AwaitEnd(client.Ask(
      "GET", "/",
      {{"cookie", "a=1"}, {"x", "y"}, {"cookie", "b=2"}, {"te", "trailers"}, {"cookie", ""}}));
  EXPECT_EQ(result.body, "x: y\ncookie: a=1; b=2; \n");
}

TEST(Http2ServerTest, AnApplicationThatDoesNothingGivesA500) {
  TestServer server;
  server.on_request = [](Exchange&) {};
  Http2Peer client(server.Connect());
  EXPECT_EQ(client.Get("/").status, 500);
}

TEST(Http2ServerTest, IdleConnectionsEndWithGoaway) {
  TestServer server({.limits = {.idle_timeout = milliseconds(500)}});
  // Held until the client has asked, or it may be found idle before.
  std::promise<void> asked;
  server.thread().loop().Post([held = asked.get_future().share()] { held.wait(); });
  Http2Peer client(server.Connect());
  const int32_t stream = client.Ask("GET", "/");
  asked.set_value();
  EXPECT_EQ(client.AwaitEnd(stream).status, 200);
  client.AwaitClose();
  ASSERT_EQ(client.goaways().size(), 1u);
  EXPECT_EQ(client.goaways()[0].second, uint32_t{NGHTTP2_NO_ERROR});
  EXPECT_EQ(server.counters().timeouts, 0u);
}

TEST(Http2ServerTest, AConnectionThatHasRestedGoesOn) {
  TestServer server;
  Http2Peer client(server.Connect());
  const std::string target = "/" + std::string(3000, 'x');
  for (int i = 0; i < 2; ++i) {
    std::vector<int32_t> streams;
    for (int n = 0; n < 20; ++n) streams.push_back(client.Ask("GET", target));
    for (const int32_t stream : streams) {
      EXPECT_EQ(client.AwaitEnd(stream).body, "GET " + target + " a.test\n");
    }
    std::this_thread::sleep_for(milliseconds(1200));  // longer than it waits before it rests
  }
  EXPECT_EQ(client.Get("/").status, 200);
}

}  // namespace
}  // namespace nearside::http
