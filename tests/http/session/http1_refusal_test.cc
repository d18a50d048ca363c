// What a server does not take: malformed requests, floods of one byte a minute, silence.

#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "tests/http/session/test_server.h"

namespace nearside::http {
namespace {

/// The status line and the reason in the text of what the server answers before it closes.
std::string RefusalOf(TestServer& server, std::string_view input) {
  const std::string answer = server.Converse(input);
  const size_t open = answer.rfind('(');
  if (answer.empty() || open == std::string::npos) return answer;
  EXPECT_NE(answer.find("connection: close\r\n"), std::string::npos) << answer;
  return answer.substr(9, 3) + " " + answer.substr(open + 1, answer.rfind(')') - open - 1);
}

TEST(Http1RefusalTest, SmugglingIsAnsweredAndTheConnectionClosed) {
  TestServer server;
  bool smuggled = false;
  server.on_request = [&](Exchange& exchange) {
    smuggled = smuggled || exchange.request().target == "/smuggled";
    exchange.Respond(204, {}, {}, nullptr);
  };
  const std::string behind = "GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n";
  const struct {
    const char* head;
    const char* refusal;
  } rows[] = {
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nContent-Length: 0\r\n\r\n",
       "400 several_lengths"},
      {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: "
       "chunked\r\n\r\n0\r\n\r\n",
       "400 length_and_coding"},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n",
       "501 unknown_coding"},
      {"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "400 coding_in_http10"},
      {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n",
       "400 space_before_colon"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: y\n\r\n", "400 bare_lf"},
      {"GET / HTTP/1.1\r\nHost: a\r\nX: y\rz: a\r\n\r\n", "400 bare_cr"},
      {"GET / HTTP/1.1\r\nHost: a\r\n X: y\r\n\r\n", "400 obs_fold"},
      {"GET / HTTP/1.1\r\n\r\n", "400 missing_host"},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400 several_hosts"},
      {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "400 bad_host"},
      {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505 bad_version"},
      {"GET /\r\n", "400 bad_request_line"},
      {"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", "417 bad_expectation"},
      {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", "400 control_character"},
  };
  uint64_t bad = 0;
  for (const auto& row : rows) {
    EXPECT_EQ(RefusalOf(server, row.head + behind), row.refusal) << row.head;
    EXPECT_EQ(server.counters().bad_requests, ++bad);
  }
  EXPECT_FALSE(smuggled);
}

TEST(Http1RefusalTest, TooLargeHeadsHaveTheirStatus) {
  TestServer server({.limits = {.request_line = {100}, .fields = {1000}, .field_lines = 10}});
  EXPECT_EQ(RefusalOf(server, "GET /" + std::string(200, 'x') + " HTTP/1.1\r\nHost: a\r\n\r\n"),
            "414 target_too_long");
  EXPECT_EQ(
      RefusalOf(server, "GET / HTTP/1.1\r\nHost: a\r\nX: " + std::string(2000, 'x') + "\r\n\r\n"),
      "431 fields_too_large");
  std::string many = "GET / HTTP/1.1\r\nHost: a\r\n";
  for (int i = 0; i < 20; ++i) many += "a:b\r\n";
  EXPECT_EQ(RefusalOf(server, many + "\r\n"), "431 too_many_fields");
  EXPECT_EQ(server.counters().too_large, 3u);
}

TEST(Http1RefusalTest, ARefusalWaitsForTheAnswersBeforeIt) {
  TestServer server;
  const std::string all =
      server.Converse("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\n\r\n");
  const size_t first = all.find("GET /1 a\n");
  ASSERT_NE(first, std::string::npos);
  EXPECT_GT(all.find("HTTP/1.1 400 "), first);
}

TEST(Http1RefusalTest, TunnelsAreRefused) {
  TestServer server;
  const std::string answer =
      server.Converse("CONNECT a.test:443 HTTP/1.1\r\nHost: a.test:443\r\n\r\n");
  EXPECT_TRUE(answer.starts_with("HTTP/1.1 405 ")) << answer;
  EXPECT_NE(answer.find("allow: GET, HEAD"), std::string::npos);
}

TEST(Http1RefusalTest, SlowHeadsTimeOut) {
  TestServer server({.limits = {.head_timeout = milliseconds(30)}});
  EXPECT_EQ(RefusalOf(server, "GET / HTTP/1.1\r\nHo"), "408 head_timeout");
  EXPECT_EQ(server.counters().timeouts, 1u);
}

TEST(Http1RefusalTest, SilentConnectionsAreClosed) {
  TestServer server({.limits = {.idle_timeout = milliseconds(500)}});
  EXPECT_EQ(server.Converse(""), "");
  const auto peer = server.ConnectAndSend("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  EXPECT_EQ(ReadOne(*peer).status, 200);
  EXPECT_EQ(peer->ReceiveAll(), "");
  EXPECT_EQ(server.counters().timeouts, 0u) << "being idle is no fault";
}

TEST(Http1RefusalTest, SlowBodiesTimeOut) {
  TestServer server({.limits = {.body_timeout = milliseconds(30)}});
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
  };
  EXPECT_EQ(RefusalOf(server, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhel"),
            "408 timeout");
  EXPECT_EQ(log->reason, "timeout");
  EXPECT_EQ(server.counters().timeouts, 1u);
}

TEST(Http1RefusalTest, BodiesThatTrickleAreRefused) {
  TestServer server({.limits = {.body_timeout = seconds(1), .least_rate = {100'000}}});
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
  };
  const auto peer = server.Connect();
  peer->Send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999\r\n\r\n");
  while (!server.Call([&] { return log->outcome.has_value(); })) {
    ASSERT_TRUE(peer->Send("x"));
    std::this_thread::sleep_for(milliseconds(10));
  }
  EXPECT_EQ(log->reason, "slow_body");
  EXPECT_EQ(ReadOne(*peer).status, 408);
  EXPECT_EQ(server.counters().slow_bodies, 1u);
  EXPECT_EQ(server.counters().timeouts, 0u);
}

TEST(Http1RefusalTest, BodiesThatKeepTheRateAreTakenHoweverLongTheyTake) {
  TestServer server({.limits = {.body_timeout = seconds(2), .least_rate = {100}}});
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    auto handler = std::make_unique<LoggingHandler>(log);
    handler->on_body_end = [&exchange] { exchange.Respond(204, {}, {}, nullptr); };
    exchange.SetHandler(std::move(handler));
  };
  const auto peer = server.Connect();
  peer->Send("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 15000\r\n\r\n");
  for (int i = 0; i < 150; ++i) {  // for longer than the timeout
    ASSERT_TRUE(peer->Send(std::string(100, 'x')));
    std::this_thread::sleep_for(milliseconds(20));
  }
  EXPECT_EQ(ReadOne(*peer).status, 204);
  EXPECT_EQ(server.counters().slow_bodies, 0u);
}

TEST(Http1RefusalTest, AClientThatReadsTooSlowlyIsDropped) {
  TestServer server({.limits = {.send_timeout = seconds(1), .least_rate = 1_GiB}});
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
    exchange.Respond(200, {}, {},
                     std::make_unique<PatternBody>(PatternBody::Plan{.size = uint64_t{1} << 40},
                                                   server.NewBodyLog()));
  };
  const auto peer = server.Connect();
  peer->Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  while (peer->Receive(50'000).size() == 50'000) {
    std::this_thread::sleep_for(milliseconds(10));
  }
  ASSERT_TRUE(server.Await([&] { return log->outcome.has_value(); }));
  EXPECT_EQ(log->reason, "slow_read");
  EXPECT_TRUE(server.AwaitNoConnections());
  EXPECT_EQ(server.counters().slow_reads, 1u);
  EXPECT_EQ(server.counters().timeouts, 0u);
}

TEST(Http1RefusalTest, AClientThatDoesNotReadIsDropped) {
  TestServer server({.limits = {.send_timeout = milliseconds(50)}});
  HandlerLog* log = server.NewLog();
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(log));
    exchange.Respond(200, {}, {},
                     std::make_unique<PatternBody>(PatternBody::Plan{.size = uint64_t{1} << 40},
                                                   server.NewBodyLog()));
  };
  const auto peer = server.Connect(4096);
  peer->Send("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(server.Await([&] { return log->outcome.has_value(); }));
  EXPECT_EQ(log->reason, "timeout");
  EXPECT_TRUE(server.AwaitNoConnections());
  EXPECT_EQ(server.counters().timeouts, 1u);
}

TEST(Http1RefusalTest, AnAnswerThatWaitsForItsSourceDoesNotTimeOut) {
  TestServer server({.limits = {.head_timeout = milliseconds(20),
                                .idle_timeout = milliseconds(20),
                                .body_timeout = milliseconds(20),
                                .send_timeout = milliseconds(20),
                                .least_rate = 1_GiB}});
  Exchange* waiting = nullptr;
  server.on_request = [&](Exchange& exchange) {
    exchange.SetHandler(std::make_unique<LoggingHandler>(server.NewLog()));
    waiting = &exchange;
  };
  const auto peer = server.ConnectAndSend("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
  ASSERT_TRUE(server.Await([&] { return waiting != nullptr; }));
  // Every limit has passed several times over when this timer fires.
  bool fired = false;
  std::unique_ptr<net::Timer> timer;
  server.Call([&] {
    timer = std::make_unique<net::Timer>(server.thread().loop(), [&] { fired = true; });
    timer->Arm(milliseconds(200));
  });
  ASSERT_TRUE(server.Await([&] { return fired; }));
  server.Call([&] {
    timer.reset();
    waiting->Respond(200, {}, {}, TextBody("late"));
  });
  EXPECT_EQ(ReadOne(*peer).body, "late");
  EXPECT_EQ(server.counters().timeouts, 0u);
}

}  // namespace
}  // namespace nearside::http
