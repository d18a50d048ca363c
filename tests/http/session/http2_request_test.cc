// Requests over HTTP/2: what is valid, and bodies.

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <thread>

#include "tests/http/session/http2_peer.h"
#include "tests/http/session/test_server.h"

namespace nearside::http {
namespace {

using Lines = std::vector<FieldLine>;

/// GET http://a.test/ with more lines behind it.
Lines Get(Lines more) {
  Lines lines = {{":method", "GET"}, {":scheme", "http"}, {":authority", "a.test"}, {":path", "/"}};
  lines.insert(lines.end(), more.begin(), more.end());
  return lines;
}

/// METHOD SCHEME://AUTHORITY PATH and nothing else.
Lines Head(std::string_view method, std::string_view scheme, std::string_view authority,
           std::string_view path) {
  return {{":method", method}, {":scheme", scheme}, {":authority", authority}, {":path", path}};
}

TEST(Http2RequestTest, HeadsAndTheirStatus) {
  TestServer server;
  const struct {
    const char* what;
    Lines lines;
    int status;
  } rows[] = {
      {"plain", Get({}), 200},
      {"https in clear", Head("GET", "https", "a", "/"), 200},
      {"the same host", Get({{"host", "A.test"}}), 200},
      {"host alone",
       {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}, {"host", "a.test"}},
       200},
      {"asterisk", Head("OPTIONS", "http", "a", "*"), 200},
      {"te: trailers", Get({{"te", "trailers"}}), 200},
      {"upper case, which nghttp2's client lowers", Get({{"X-Upper", "y"}}), 200},
      {"another host", Get({{"host", "b.test"}}), 400},
      {"bad authority", Head("GET", "http", "u@a", "/"), 400},
      {"fragment", Head("GET", "http", "a", "/a#b"), 400},
      {"other scheme", Head("GET", "ftp", "a", "/"), 400},
      {"bad expectation", Get({{"expect", "x"}}), 417},
      {"CONNECT", {{":method", "CONNECT"}, {":authority", "a.test:443"}}, 405},
  };
  Http2Peer client(server.Connect());
  for (const auto& row : rows) {
    const StreamResult& result = client.AwaitEnd(client.AskRaw(row.lines));
    EXPECT_EQ(result.status, row.status) << row.what;
    EXPECT_EQ(result.error_code, 0u) << row.what;
  }
  EXPECT_EQ(server.counters().bad_requests, 4u);
}

TEST(Http2RequestTest, RequestsOfOneReadAreAskedInTheirOrder) {
  TestServer server;
  std::string asked;
  server.on_request = [&](Exchange& exchange) {
    asked += exchange.request().target + " ";
    exchange.Respond(200, {}, {}, nullptr);
  };
  // One write, more than are dispatched together; every seventh has a body that is not there yet.
  std::string requests = PrefaceText();
  std::string expected;
  for (uint32_t i = 0; i < 90; ++i) {
    const std::string target = "/" + std::to_string(i);
    expected += target + " ";
    const uint8_t ended = i % 7 == 6 ? 0 : NGHTTP2_FLAG_END_STREAM;
    requests += FrameText(NGHTTP2_HEADERS, NGHTTP2_FLAG_END_HEADERS | ended, 2 * i + 1,
                          "\x82\x86\x04" + std::string(1, static_cast<char>(target.size())) +
                              target + "\x01\x01" + "a");
  }
  const auto peer = server.Connect();
  peer->Send(requests);
  EXPECT_TRUE(server.Await([&] { return asked.size() == expected.size(); }));
  EXPECT_EQ(server.Call([&] { return asked; }), expected);
}

/// All of these are RFC 9113's malformed requests: stream errors, and nobody is asked.
TEST(Http2RequestTest, MalformedHeadsAreReset) {
  const struct {
    const char* what;
    Lines lines;
  } rows[] = {
      {"no authority", {{":method", "GET"}, {":scheme", "http"}, {":path", "/"}}},
      {"no path", {{":method", "GET"}, {":scheme", "http"}, {":authority", "a"}}},
      {"no method", {{":scheme", "http"}, {":authority", "a"}, {":path", "/"}}},
      {"no scheme", {{":method", "GET"}, {":authority", "a"}, {":path", "/"}}},
      {"relative path", Head("GET", "http", "a", "x")},
      {"empty path", Head("GET", "http", "a", "")},
      {"empty authority", Head("GET", "http", "", "/")},
      {"two paths", Get({{":path", "/b"}})},
      {"space in the path", Head("GET", "http", "a", "/a HTTP/1.1")},
      {"space in the authority", Head("GET", "http", "a b", "/")},
      {"two authorities", Get({{":authority", "b.test"}})},
      {"unknown pseudo-field", Get({{":x", "y"}})},
      {"pseudo-field behind",
       {{":method", "GET"}, {":scheme", "http"}, {"x", "y"}, {":path", "/"}}},
      {"status in a request", Get({{":status", "200"}})},
      {"connection", Get({{"connection", "close"}})},
      {"transfer-encoding", Get({{"transfer-encoding", "chunked"}})},
      {"upgrade", Get({{"upgrade", "h2c"}})},
      {"keep-alive", Get({{"keep-alive", "5"}})},
      {"proxy-connection", Get({{"proxy-connection", "close"}})},
      {"te: gzip", Get({{"te", "gzip"}})},
      {"CR in a value", Get({{"x", "a\rb"}})},
      {"LF in a value", Get({{"x", "a\nb"}})},
      {"space in a name", Get({{"x y", "z"}})},
      {"colon in a name", Get({{"x:y", "z"}})},
      {"two hosts", Get({{"host", "a.test"}, {"host", "a.test"}})},
      {"two lengths", Get({{"content-length", "0"}, {"content-length", "0"}})},
      {"bad length", Get({{"content-length", "x"}})},
      {"length without body", Get({{"content-length", "5"}})},
      {"websocket, not announced", Get({{":protocol", "websocket"}})},
  };
  TestServer server;
  Http2Peer client(server.Connect());
  for (const auto& row : rows) {
    const StreamResult& result = client.AwaitEnd(client.AskRaw(row.lines));
    EXPECT_EQ(result.status, 0) << row.what;
    EXPECT_EQ(result.error_code, uint32_t{NGHTTP2_PROTOCOL_ERROR}) << row.what;
  }
  EXPECT_EQ(client.Get("/").status, 200) << "the connection goes on";
  EXPECT_EQ(server.counters().requests_http2, 1u);
}

TEST(Http2RequestTest, TheRootsDotIsNoOtherHost) {
  TestServer server;
  Http2Peer client(server.Connect());
  for (const char* authority : {"a.test.", "a.test", "A.test.", "a.test."}) {
    EXPECT_EQ(client.AwaitEnd(client.AskRaw(Head("GET", "http", authority, "/"))).body,
              "GET / a.test\n")
        << authority;
  }
  EXPECT_EQ(client.AwaitEnd(client.AskRaw(Head("GET", "http", "a.test.:8080", "/"))).body,
            "GET / a.test:8080\n");
}

TEST(Http2RequestTest, UpperCaseNamesOnTheWireAreRefused) {
  TestServer server;
  const auto peer = server.Connect();
  // Literal fields without indexing: what nghttp2's client would not send.
  const std::string head =
      "\x82\x86\x84\x41\x01"
      "a"
      "\x00\x01"
      "X"
      "\x01"
      "y";
  const std::string block = std::string(
                                "\x82\x86\x84\x41\x01"
                                "a",
                                6) +
                            std::string("\x00\x01X\x01y", 5);
  peer->Send(PrefaceText() + FrameText(NGHTTP2_HEADERS,
                                       NGHTTP2_FLAG_END_HEADERS | NGHTTP2_FLAG_END_STREAM, 1,
                                       block));
  std::string all;
  while (all.find(FrameText(NGHTTP2_RST_STREAM, 0, 1, std::string("\0\0\0\x01", 4))) ==
         std::string::npos) {
    const std::string more = peer->Receive(1);
    ASSERT_FALSE(more.empty()) << head;
    all += more;
  }
}

TEST(Http2RequestTest, BodiesArriveWithTrailers) {
  TestServer server;
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    EXPECT_TRUE(exchange.has_body());
    auto handler = std::make_unique<LoggingHandler>(log);
    handler->on_body = [&exchange](std::span<const uint8_t> bytes) {
      exchange.ConsumedBody(bytes.size());
    };
    handler->on_body_end = [&exchange, log] {
      exchange.Respond(200, {}, {}, TextBody(std::to_string(log->body.size())));
    };
    exchange.SetHandler(std::move(handler));
  };
  const std::string text = PatternText(0, 2'000'000);
  Http2Peer client(server.Connect());
  EXPECT_EQ(client.AwaitEnd(client.Ask("PUT", "/", {{"content-length", "2000000"}}, text)).body,
            "2000000");
  EXPECT_TRUE(log->body == text);
  EXPECT_EQ(log->trailers, "");
  *log = {};
  const int32_t stream = client.Ask("PUT", "/", {}, "hello", true);
  client.SendBody(stream, " world", true, {{"x-sum", "1"}, {"content-type", "misplaced"}});
  EXPECT_EQ(client.AwaitEnd(stream).body, "11");
  EXPECT_EQ(log->body, "hello world");
  EXPECT_EQ(log->trailers, "x-sum: 1\n");
}

TEST(Http2RequestTest, NoMoreComesThanTheApplicationTakes) {
  TestServer server({.limits = {.stream_window = 100'000}});
  HandlerLog* log = server.NewLog();
  Exchange* receiving = nullptr;
  server.on_request = [&](Exchange& exchange) {
    receiving = &exchange;
    auto handler = std::make_unique<LoggingHandler>(log);
    handler->on_body_end = [&exchange] { exchange.Respond(204, {}, {}, nullptr); };
    exchange.SetHandler(std::move(handler));
  };
  Http2Peer client(server.Connect());
  EXPECT_TRUE(client.Await(
      [&] { return client.server_setting(NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE).has_value(); }));
  const std::string text = PatternText(0, 1'000'000);
  const int32_t stream = client.Ask("PUT", "/", {}, text);
  ASSERT_TRUE(server.Await([&] { return log->body.size() >= 100'000; }));
  EXPECT_EQ(server.Call([&] { return log->body.size(); }), 100'000u);
  std::thread reader([&] { client.AwaitEnd(stream); });
  ASSERT_TRUE(server.Await([&, consumed = size_t{0}]() mutable {
    if (log->body.size() == text.size()) return true;
    receiving->ConsumedBody(log->body.size() - consumed);
    consumed = log->body.size();
    return false;
  }));
  reader.join();
  EXPECT_EQ(client.result(stream).status, 204);
  EXPECT_TRUE(log->body == text);
}

TEST(Http2RequestTest, AbandonedBodiesGiveTheConnectionsWindowBack) {
  TestServer server({.limits = {.stream_window = 65'535,
                                .connection_window = 65'535,
                                .unread_silence = milliseconds(20)}});
  // Never consumed by the application; each exchange ends with its window full.
  server.on_request = [&](Exchange& exchange) {
    auto handler = std::make_unique<LoggingHandler>(server.NewLog());
    handler->on_body = [&exchange, seen = size_t{0}](std::span<const uint8_t> bytes) mutable {
      seen += bytes.size();
      if (seen == 60'000) exchange.Respond(413, {}, {}, nullptr);
    };
    exchange.SetHandler(std::move(handler));
  };
  Http2Peer client(server.Connect());
  for (int i = 0; i < 5; ++i) {
    const int32_t stream = client.Ask("PUT", "/", {}, std::string(60'000, 'x'), true);
    EXPECT_TRUE(client.Await([&] { return client.result(stream).closed; })) << i;
    EXPECT_EQ(client.result(stream).status, 413);
    EXPECT_EQ(client.result(stream).error_code, uint32_t{NGHTTP2_NO_ERROR});
  }
}

TEST(Http2RequestTest, AnUnwantedBodyIsDropped) {
  TestServer server;
  Http2Peer client(server.Connect());
  const int32_t stream = client.Ask("PUT", "/a", {}, std::string(3'000'000, 'x'));
  EXPECT_EQ(client.AwaitEnd(stream).body, "PUT /a a.test\n");
  EXPECT_EQ(client.Get("/b").body, "GET /b a.test\n");
}

TEST(Http2RequestTest, ContinueIsSentWhenTheBodyIsWanted) {
  TestServer server;
  server.on_request = [&](Exchange& exchange) {
    EXPECT_FALSE(exchange.request().fields.Has("expect"));
    auto handler = std::make_unique<LoggingHandler>(server.NewLog());
    handler->on_body_end = [&exchange] { exchange.Respond(204, {}, {}, nullptr); };
    exchange.SetHandler(std::move(handler));
    exchange.WantBody();
    exchange.WantBody();
  };
  Http2Peer client(server.Connect());
  const int32_t stream = client.Ask("PUT", "/", {{"expect", "100-continue"}}, "", true);
  EXPECT_TRUE(client.Await([&] { return client.result(stream).interims == "100 "; }));
  client.SendBody(stream, "x", true);
  EXPECT_EQ(client.AwaitEnd(stream).status, 204);
}

TEST(Http2RequestTest, TooLargeABodyIs413) {
  TestServer server({.limits = {.body = {1000}, .unread_silence = milliseconds(20)}});
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
  };
  Http2Peer client(server.Connect());
  const int32_t announced =
      client.Ask("PUT", "/", {{"content-length", "1001"}}, std::string(1001, 'x'));
  EXPECT_EQ(client.AwaitEnd(announced).status, 413);
  EXPECT_FALSE(log->outcome);
  const int32_t found_out = client.Ask("PUT", "/", {}, std::string(1001, 'x'), true);
  EXPECT_EQ(client.AwaitEnd(found_out).status, 413);
  EXPECT_EQ(log->reason, "body_too_large");
  EXPECT_EQ(server.counters().too_large, 2u);
}

TEST(Http2RequestTest, ABodyOfAnotherLengthThanAnnouncedIsReset) {
  TestServer server;
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
  };
  for (const char* length : {"4", "6"}) {
    *log = {};
    Http2Peer client(server.Connect());
    const int32_t stream = client.Ask("PUT", "/", {{"content-length", length}}, "hello");
    EXPECT_EQ(client.AwaitEnd(stream).error_code, uint32_t{NGHTTP2_PROTOCOL_ERROR}) << length;
    ASSERT_TRUE(server.Await([&] { return log->destroyed; }));
    EXPECT_FALSE(log->trailers) << "never told as whole";
    EXPECT_EQ(log->reason, "bad_request");
  }
}

TEST(Http2RequestTest, SlowBodiesTimeOut) {
  TestServer server(
      {.limits = {.body_timeout = milliseconds(30), .unread_silence = milliseconds(20)}});
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
  };
  Http2Peer client(server.Connect());
  EXPECT_EQ(client.AwaitEnd(client.Ask("PUT", "/", {}, "hel", true)).status, 408);
  EXPECT_EQ(log->reason, "timeout");
  EXPECT_EQ(server.counters().timeouts, 1u);
  server.on_request = nullptr;
  EXPECT_EQ(client.Get("/").status, 200) << "the connection goes on";
}

TEST(Http2RequestTest, BodiesThatTrickleAreRefused) {
  TestServer server({.limits = {.body_timeout = seconds(1),
                                .least_rate = {100'000},
                                .unread_silence = milliseconds(20)}});
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
  };
  Http2Peer client(server.Connect());
  const int32_t stream = client.Ask("PUT", "/", {}, "x", true);
  while (client.result(stream).status == 0) {
    client.SendBody(stream, "x", false);
    const int pongs = client.pongs();
    client.Ping();
    ASSERT_TRUE(client.Await([&] { return client.pongs() > pongs; }));
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_EQ(client.AwaitEnd(stream).status, 408);
  EXPECT_EQ(log->reason, "slow_body");
  EXPECT_EQ(server.counters().slow_bodies, 1u);
  EXPECT_EQ(server.counters().timeouts, 0u);
  server.on_request = nullptr;
  EXPECT_EQ(client.Get("/").status, 200) << "the connection goes on";
}

/// A client's first request takes all of the connection's window, and gets it back when told to.
struct ClosedWindow {
  ClosedWindow() : first(server.NewLog()) {
    server.on_request = [this](Exchange& exchange) {
      auto handler = std::make_unique<LoggingHandler>(exchanges.empty() ? first : server.NewLog());
      handler->on_body_end = [&exchange] { exchange.Respond(204, {}, {}, nullptr); };
      exchange.SetHandler(std::move(handler));
      exchanges.push_back(&exchange);
    };
    client.emplace(server.Connect());
    holder = client->Ask("PUT", "/a", {}, std::string(65'535, 'x'), true);
    EXPECT_TRUE(server.Await([this] { return first->body.size() == 65'535; }));
  }
  void Reopen() {
    server.Call([this] { exchanges[0]->ConsumedBody(65'535); });
  }

  TestServer server{{.limits = {.stream_window = 1 << 20,
                                .connection_window = 65'535,
                                .body_timeout = seconds(2),
                                .least_rate = {1000}}}};
  HandlerLog* first;
  std::vector<Exchange*> exchanges;
  std::optional<Http2Peer> client;
  int32_t holder;
};

TEST(Http2RequestTest, WhoHasNoWindowOnTheConnectionIsNotSlow) {
  ClosedWindow closed;
  const int32_t other = closed.client->Ask("PUT", "/b", {}, "y");
  ASSERT_TRUE(closed.server.Await([&] { return closed.exchanges.size() == 2; }));
  std::this_thread::sleep_for(milliseconds(4300));  // twice as long, and a little
  closed.Reopen();
  EXPECT_EQ(closed.client->AwaitEnd(other).status, 204);
  closed.client->SendBody(closed.holder, "", true);
  EXPECT_EQ(closed.client->AwaitEnd(closed.holder).status, 204);
  EXPECT_EQ(closed.server.counters().timeouts + closed.server.counters().slow_bodies, 0u);
}

TEST(Http2RequestTest, TimeWithoutAWindowDoesNotCount) {
  ClosedWindow closed;
  const int32_t other = closed.client->Ask("PUT", "/b", {}, "", true);
  ASSERT_TRUE(closed.server.Await([&] { return closed.exchanges.size() == 2; }));
  std::this_thread::sleep_for(seconds(3));
  closed.Reopen();
  std::this_thread::sleep_for(seconds(2));  // the look one second on finds a request of four
  closed.client->SendBody(other, "y", true);
  EXPECT_EQ(closed.client->AwaitEnd(other).status, 204);
  closed.client->SendBody(closed.holder, "", true);
  EXPECT_EQ(closed.client->AwaitEnd(closed.holder).status, 204);
  EXPECT_EQ(closed.server.counters().timeouts + closed.server.counters().slow_bodies, 0u);
}

TEST(Http2RequestTest, TooLargeHeadsHaveTheirStatus) {
  TestServer server({.limits = {.request_line = {100}, .fields = {2000}, .field_lines = 10}});
  Http2Peer client(server.Connect());
  EXPECT_EQ(client.AwaitEnd(client.Ask("GET", "/" + std::string(100, 'x'))).status, 414);
  EXPECT_EQ(client.AwaitEnd(client.Ask("GET", "/", {{"x", std::string(3000, 'x')}})).status, 431);
  EXPECT_EQ(client.AwaitEnd(client.Ask("GET", "/", Lines(10, FieldLine{"a", "b"}))).status, 431);
  EXPECT_EQ(server.counters().too_large, 3u);
  EXPECT_EQ(client.Get("/").status, 200) << "the connection goes on";
}

}  // namespace
}  // namespace nearside::http
