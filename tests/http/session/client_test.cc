#include "http/session/client.h"

#include <gtest/gtest.h>

#include <atomic>
#include <future>
#include <string>
#include <thread>

#include "tests/http/session/client_fixture.h"
#include "tests/http/session/scripted_origin.h"

namespace nearside::http {
namespace {

TEST_F(ClientTest, AsksAndKeepsTheConnection) {
  std::string heads;
  ScriptedOrigin origin([&](OriginConnection& connection) {
    for (int i = 0; i < 2; ++i) {
      heads += connection.ReadHead();
      connection.Send(kHello);
    }
    connection.AwaitEnd();
  });
  for (int i = 0; i < 2; ++i) {
    const CallLog* log = Get(origin.url(), "/" + std::to_string(i));
    EXPECT_TRUE(log->ended) << log->message;
    EXPECT_EQ(log->status, 200);
    EXPECT_EQ(log->fields, "content-length: 5\nx: y\n");
    EXPECT_EQ(log->body, "hello");
    EXPECT_EQ(idle(), 1u);
    EXPECT_EQ(open(), 1u);
  }
  EXPECT_EQ(origin.connections(), 1);
  EXPECT_EQ(heads,
            "GET /0 HTTP/1.1\r\nhost: site.test\r\n\r\nGET /1 HTTP/1.1\r\nhost: site.test\r\n\r\n");
}

TEST_F(ClientTest, FramingsOfResponses) {
  const struct {
    const char* method;
    const char* response;
    const char* outcome;
    size_t kept;
  } rows[] = {
      {"GET",
       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx: y\r\n\r\n",
       "200 hello trailers x: y\n", 1},
      {"GET", "HTTP/1.1 200 OK\r\n\r\nuntil the end", "200 until the end trailers ", 0},
      {"GET", "HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nhi", "200 hi trailers ", 0},
      {"GET", "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi",
       "200 hi trailers ", 0},
      {"HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n", "200  trailers ", 1},
      {"GET", "HTTP/1.1 204 No Content\r\n\r\n", "204  trailers ", 1},
      {"GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n", "304  trailers ", 1},
      {"GET",
       "HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
       "103 link: x\n200  trailers ", 1},
      {"GET", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhiMORE", "200 hi trailers ", 0},
  };
  for (const auto& row : rows) {
    ScriptedOrigin origin([&](OriginConnection& connection) {
      connection.ReadHead();
      connection.Send(row.response);
      if (row.kept == 0) return connection.Close();
      connection.AwaitEnd();
    });
    const CallLog* log = AwaitOver(Start(origin.url(), Head(row.method)));
    EXPECT_EQ(log->failure, "") << row.response;
    EXPECT_EQ(log->interims + std::to_string(log->status) + " " + log->body + " trailers " +
                  log->trailers,
              row.outcome);
    EXPECT_EQ(idle(), row.kept) << row.response;
    thread_.Call([this] {
      logs_.clear();
      client_.reset();
    });
  }
}

TEST_F(ClientTest, NonsenseIsABadResponse) {
  const struct {
    const char* response;
    const char* failure;
  } rows[] = {
      {"SSH-2.0-x\r\n", "bad_response"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", "bad_response"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
       "bad_response"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "bad_response"},
      {"HTTP/1.1 101 Switching Protocols\r\n\r\n", "bad_response"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "bad_response"},
      {"", "closed_early"},
      {"HTTP/1.1 200", "closed_early"},
      {"HTTP/1.1 100 Continue\r\n\r\n", "closed_early"},
      {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell", "closed_early"},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", "closed_early"},
  };
  for (const auto& row : rows) {
    ScriptedOrigin origin([&](OriginConnection& connection) {
      connection.ReadHead();
      connection.Send(row.response);
      connection.Close();
    });
    const CallLog* log = Get(origin.url());
    EXPECT_EQ(log->failure, row.failure) << row.response << log->message;
    EXPECT_EQ(log->fault, Fault::kOrigin);
    EXPECT_FALSE(log->ended);
    EXPECT_EQ(origin.connections(), 1) << "a first request is not sent twice";
    EXPECT_EQ(open(), 0u);
  }
}

TEST_F(ClientTest, TooLargeAHeadIsABadResponse) {
  Make({.fields = {1000}});
  ScriptedOrigin origin([&](OriginConnection& connection) {
    connection.ReadHead();
    connection.Send("HTTP/1.1 200 OK\r\nX: " + std::string(2000, 'x') + "\r\n\r\n");
    connection.AwaitEnd();
  });
  EXPECT_EQ(Get(origin.url())->failure, "bad_response");
}

TEST_F(ClientTest, BodiesAreSentWithTheirFraming) {
  std::string received;
  ScriptedOrigin origin([&](OriginConnection& connection) {
    received = connection.ReadHead();
    received += connection.Read(5);
    connection.Send(kHello);
    received += connection.ReadHead();
    received += connection.Read(15);
    connection.Send(kHello);
    connection.AwaitEnd();
  });
  EXPECT_EQ(AwaitOver(Start(origin.url(), Head("PUT"), TextBody("12345"), 5))->body, "hello");
  EXPECT_EQ(AwaitOver(Start(origin.url(), Head("PUT"), TextBody("12345")))->body, "hello");
  EXPECT_EQ(origin.connections(), 1);
  EXPECT_EQ(received,
            "PUT / HTTP/1.1\r\nhost: site.test\r\ncontent-length: 5\r\n\r\n12345"
            "PUT / HTTP/1.1\r\nhost: site.test\r\ntransfer-encoding: "
            "chunked\r\n\r\n5\r\n12345\r\n0\r\n\r\n");
}

TEST_F(ClientTest, LargeBodiesBothWays) {
  constexpr uint64_t kSize = 3'000'000;
  std::string received;
  ScriptedOrigin origin([&](OriginConnection& connection) {
    connection.ReadHead();
    received = connection.Read(kSize);
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 3000000\r\n\r\n" + PatternText(0, kSize));
    connection.AwaitEnd();
  });
  BodyLog& body = body_logs_.emplace_back();
  const CallLog* log = AwaitOver(
      Start(origin.url(), Head("PUT"),
            std::make_unique<PatternBody>(PatternBody::Plan{.size = kSize, .piece = 9'999}, &body),
            kSize));
  EXPECT_TRUE(log->ended) << log->message;
  EXPECT_TRUE(log->body == PatternText(0, kSize));
  EXPECT_TRUE(received == log->body);
}

TEST_F(ClientTest, ARequestBodyThatWaitsGoesOnWhenResumed) {
  ScriptedOrigin origin([&](OriginConnection& connection) {
    connection.ReadHead();
    connection.Read(2000);
    connection.Send(kHello);
    connection.AwaitEnd();
  });
  BodyLog& body = body_logs_.emplace_back();
  PatternBody* source = nullptr;
  auto made =
      std::make_unique<PatternBody>(PatternBody::Plan{.size = 2000, .wait_at = 1000}, &body);
  source = made.get();
  CallLog* log = Start(origin.url(), Head("PUT"), std::move(made), 2000);
  ASSERT_TRUE(thread_.Await([&] { return body.consumed == 1000; }));
  thread_.Call([&] {
    source->plan().wait_at.reset();
    log->call->ResumeRequestBody();
  });
  EXPECT_EQ(AwaitOver(log)->body, "hello");
}

TEST_F(ClientTest, TheServersTimeBeginsWithTheLastByteOfTheRequest) {
  Make({.head_timeout = seconds(4)});
  ScriptedOrigin origin([&](OriginConnection& connection) {
    connection.ReadHead();
    connection.Read(2000);
    std::this_thread::sleep_for(milliseconds(700));
    connection.Send(kHello);
    connection.AwaitEnd();
  });
  BodyLog& body = body_logs_.emplace_back();
  auto made =
      std::make_unique<PatternBody>(PatternBody::Plan{.size = 2000, .wait_at = 1000}, &body);
  PatternBody* source = made.get();
  CallLog* log = Start(origin.url(), Head("PUT"), std::move(made), 2000);
  ASSERT_TRUE(thread_.Await([&] { return body.consumed == 1000; }));
  std::this_thread::sleep_for(milliseconds(3500));
  thread_.Call([&] {
    source->plan().wait_at.reset();
    log->call->ResumeRequestBody();
  });
  EXPECT_EQ(AwaitOver(log)->failure, "") << "its four seconds began with the last byte";
  EXPECT_EQ(log->body, "hello");
}

TEST_F(ClientTest, ARequestBodyThatFailsFailsTheCall) {
  bool cut_off = false;
  {
    ScriptedOrigin origin([&](OriginConnection& connection) {
      connection.ReadHead();
      cut_off = connection.Read(2000).size() < 2000;
    });
    BodyLog& body = body_logs_.emplace_back();
    auto made = std::make_unique<PatternBody>(
        PatternBody::Plan{.size = 2000, .wait_at = 500, .fail_at = 1000}, &body);
    PatternBody* source = made.get();
    CallLog* log = Start(origin.url(), Head("PUT"), std::move(made), 2000);
    ASSERT_TRUE(thread_.Await([&] { return body.consumed == 500 && origin.connections() == 1; }));
    thread_.Call([&] {
      source->plan().wait_at.reset();
      log->call->ResumeRequestBody();
    });
    AwaitOver(log);
    EXPECT_EQ(log->failure, "body_failed");
    EXPECT_EQ(log->fault, Fault::kClient);
    thread_.Call([this] { logs_.clear(); });
  }
  EXPECT_TRUE(cut_off);
}

TEST_F(ClientTest, AnEarlyAnswerIsHeardAndTheConnectionNotKept) {
  ScriptedOrigin origin([&](OriginConnection& connection) {
    connection.ReadHead();
    connection.Send("HTTP/1.1 413 Content Too Large\r\nContent-Length: 2\r\n\r\nno");
    connection.AwaitEnd();
  });
  BodyLog& body = body_logs_.emplace_back();
  const CallLog* log = AwaitOver(
      Start(origin.url(), Head("PUT"),
            std::make_unique<PatternBody>(PatternBody::Plan{.size = 2000, .wait_at = 1000}, &body),
            2000));
  EXPECT_EQ(log->status, 413);
  EXPECT_TRUE(log->ended);
  EXPECT_EQ(open(), 0u);
}

TEST_F(ClientTest, PausingStopsReading) {
  constexpr uint64_t kSize = 32 << 20;
  ScriptedOrigin origin([&](OriginConnection& connection) {
    connection.ReadHead();
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 33554432\r\n\r\n");
    connection.Send(std::string(kSize, 'x'));
    connection.AwaitEnd();
  });
  uint64_t most_at_once = 0;
  CallLog* log = Start(origin.url(), Head(), nullptr, std::nullopt, [&](CallLog* made) {
    made->on_body = [made, &most_at_once, before = size_t{0}]() mutable {
      most_at_once = std::max<uint64_t>(most_at_once, made->body.size() - before);
      before = made->body.size();
      made->call->PauseBody();
    };
  });
  size_t before = 0;
  ASSERT_TRUE(thread_.Await([&, turns = 0]() mutable {
    turns = log->body.size() == before ? turns + 1 : 0;
    before = log->body.size();
    return before > 0 && turns > 1000;
  }));
  EXPECT_LE(before, 64u << 10) << "one receive at most";
  ASSERT_TRUE(thread_.Await([&] {
    log->call->ResumeBody();
    return log->over();
  }));
  EXPECT_TRUE(log->ended);
  EXPECT_EQ(log->body.size(), kSize);
  EXPECT_LE(most_at_once, 64u << 10);
  EXPECT_EQ(idle(), 1u);
}

TEST_F(ClientTest, PausedAtTheVeryEndItStillEnds) {
  ScriptedOrigin origin([&](OriginConnection& connection) {
    connection.ReadHead();
    connection.Send(kHello);
    connection.AwaitEnd();
  });
  CallLog* log = Start(origin.url(), Head(), nullptr, std::nullopt,
                       [](CallLog* made) { made->on_body = [made] { made->call->PauseBody(); }; });
  ASSERT_TRUE(thread_.Await([&] { return log->body == "hello"; }));
  EXPECT_FALSE(thread_.Call([&] { return log->over(); }));
  thread_.Call([&] { log->call->ResumeBody(); });
  EXPECT_TRUE(AwaitOver(log)->ended);
}

TEST_F(ClientTest, AKeptConnectionThatDiedIsReplacedOnce) {
  const auto answer_once = [](OriginConnection& connection) {
    connection.ReadHead();
    connection.Send(kHello);
    connection.ReadHead();
    connection.Reset();  // just as the second request arrives
  };
  const auto answer = [](OriginConnection& connection) {
    while (!connection.ReadHead().empty()) connection.Send(kHello);
  };
  {
    ScriptedOrigin origin({answer_once, answer});
    EXPECT_EQ(Get(origin.url())->body, "hello");
    EXPECT_EQ(Get(origin.url())->body, "hello");
    EXPECT_EQ(origin.connections(), 2);
    thread_.Call([this] {
      logs_.clear();
      client_.reset();
    });
  }
  {
    ScriptedOrigin origin({answer_once, answer});
    EXPECT_EQ(Get(origin.url())->body, "hello");
    EXPECT_EQ(AwaitOver(Start(origin.url(), Head("POST")))->failure, "closed_early")
        << "not idempotent";
    EXPECT_EQ(origin.connections(), 1);
    thread_.Call([this] {
      logs_.clear();
      client_.reset();
    });
  }
  {
    ScriptedOrigin origin({answer_once, answer});
    EXPECT_EQ(Get(origin.url())->body, "hello");
    EXPECT_EQ(AwaitOver(Start(origin.url(), Head("PUT"), TextBody("x"), 1))->failure,
              "closed_early")
        << "its body is gone";
    EXPECT_EQ(origin.connections(), 1);
    thread_.Call([this] {
      logs_.clear();
      client_.reset();
    });
  }
  {
    ScriptedOrigin origin({answer_once, [](OriginConnection& connection) {
                             connection.ReadHead();
                             connection.Reset();
                           }});
    EXPECT_EQ(Get(origin.url())->body, "hello");
    EXPECT_EQ(Get(origin.url())->failure, "closed_early") << "only once";
    EXPECT_EQ(origin.connections(), 2);
    thread_.Call([this] {
      logs_.clear();
      client_.reset();
    });
  }
}

TEST_F(ClientTest, AnIdleConnectionThatTheServerClosesIsForgotten) {
  ScriptedOrigin origin([](OriginConnection& connection) {
    connection.ReadHead();
    connection.Send(kHello);
    connection.Close();
  });
  EXPECT_EQ(Get(origin.url())->body, "hello");
  EXPECT_TRUE(AwaitOpen(0));
  EXPECT_EQ(Get(origin.url())->body, "hello");
  EXPECT_EQ(origin.connections(), 2);
}

// Beyond the answer and unasked: perhaps smuggled, and of no request that may come. In one piece
// with the answer, so that no second request can be on its way before it is there.
TEST_F(ClientTest, AnAnswerBeforeTheQuestionIsNotBelieved) {
  static const std::string smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil";
  const ScriptedOrigin::Script honest = [](OriginConnection& connection) {
    connection.ReadHead();
    connection.Send(kHello);
    connection.AwaitEnd();
  };
  ScriptedOrigin origin({[](OriginConnection& connection) {
                           connection.ReadHead();
                           connection.Send(std::string(kHello) + smuggled);
                           connection.AwaitEnd();
                         },
                         honest});
  EXPECT_EQ(Get(origin.url())->body, "hello");
  EXPECT_EQ(Get(origin.url())->body, "hello");
  EXPECT_EQ(origin.connections(), 2);
}

TEST_F(ClientTest, AnIdleConnectionThatAnswersUnaskedIsClosed) {
  std::promise<void> answered;
  ScriptedOrigin origin([&answered](OriginConnection& connection) {
    connection.ReadHead();
    connection.Send(kHello);
    answered.get_future().wait();
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil");
    connection.AwaitEnd();
  });
  EXPECT_EQ(Get(origin.url())->body, "hello");
  EXPECT_EQ(open(), 1u);
  answered.set_value();
  EXPECT_TRUE(AwaitOpen(0));
}

TEST_F(ClientTest, IdleConnectionsAreClosedInTime) {
  Make({.idle_timeout = milliseconds(30)});
  ScriptedOrigin origin([](OriginConnection& connection) {
    connection.ReadHead();
    connection.Send(kHello);
    connection.AwaitEnd();
  });
  EXPECT_EQ(Get(origin.url())->body, "hello");
  EXPECT_TRUE(AwaitOpen(0));
}

TEST_F(ClientTest, ConnectionsAreNotKeptBeyondTheirAgeHoweverBusyTheyAre) {
  Make({.connection_age = milliseconds(0), .connections = 1});
  ScriptedOrigin origin([](OriginConnection& connection) {
    connection.ReadHead();
    connection.Send(kHello);
    connection.AwaitEnd();
  });
  std::vector<CallLog*> logs;
  for (int i = 0; i < 3; ++i) logs.push_back(Start(origin.url(), Head()));  // two of them wait
  for (CallLog* log : logs) EXPECT_EQ(AwaitOver(log)->body, "hello");
  EXPECT_EQ(origin.connections(), 3);
  EXPECT_TRUE(AwaitOpen(0));
}

TEST_F(ClientTest, AServerThatDoesNotAnswerTimesOut) {
  Make({.head_timeout = milliseconds(40)});
  ScriptedOrigin silent([](OriginConnection& connection) { connection.AwaitEnd(); });
  EXPECT_EQ(Get(silent.url())->failure, "head_timeout");
  EXPECT_EQ(open(), 0u);
}

TEST_F(ClientTest, AServerThatStopsInsideItsAnswerTimesOut) {
  Make({.read_timeout = milliseconds(40)});
  ScriptedOrigin half([](OriginConnection& connection) {
    connection.ReadHead();
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf");
    connection.AwaitEnd();
  });
  const CallLog* log = Get(half.url());
  EXPECT_EQ(log->failure, "read_timeout");
  EXPECT_EQ(log->body, "half");
  EXPECT_EQ(open(), 0u);
}

TEST_F(ClientTest, FailuresToConnect) {
  uint16_t free_port = 0;
  {
    ScriptedOrigin gone([](OriginConnection&) {});
    free_port = Endpoint::Parse(gone.url())->port;
  }
  EXPECT_EQ(Get("http://127.0.0.1:" + std::to_string(free_port))->failure, "connect_refused");
  EXPECT_EQ(Get("https://127.0.0.1:" + std::to_string(free_port))->failure, "tls_failed")
      << "no TLS set up";
  EXPECT_EQ(open(), 0u);
}

TEST_F(ClientTest, NamesAreLookedUpAndEveryAddressTried) {
  ScriptedOrigin origin([](OriginConnection& connection) {  // on 127.0.0.1 only
    connection.ReadHead();
    connection.Send(kHello);
    connection.AwaitEnd();
  });
  const uint16_t port = Endpoint::Parse(origin.url())->port;
  const CallLog* log = Get("http://localhost:" + std::to_string(port));
  EXPECT_EQ(log->body, "hello") << log->message;
}

TEST_F(ClientTest, CallsWaitInOrderForAConnection) {
  Make({.connections = 1});
  std::string order;
  std::atomic<bool> answering = false;
  ScriptedOrigin origin([&](OriginConnection& connection) {
    while (true) {
      const std::string head = connection.ReadHead();
      if (head.empty()) return;
      while (!answering) std::this_thread::yield();
      order += head.substr(4, 3);
      connection.Send(kHello);
    }
  });
  std::vector<CallLog*> logs;
  for (const char* target : {"/1", "/2", "/3", "/4"})
    logs.push_back(Start(origin.url(), Head("GET", target)));
  thread_.Call([&] { logs[1]->call.reset(); });  // leaves the queue
  answering = true;
  for (const int i : {0, 2, 3}) EXPECT_EQ(AwaitOver(logs[i])->body, "hello");
  EXPECT_FALSE(thread_.Call([&] { return logs[1]->over(); }));
  EXPECT_EQ(order, "/1 /3 /4 ");
  EXPECT_EQ(origin.connections(), 1);
}

TEST_F(ClientTest, ACallDoesNotWaitForAConnectionForEver) {
  Make({.connect_timeout = milliseconds(500), .connections = 1});
  ScriptedOrigin origin([](OriginConnection& connection) {
    connection.ReadHead();
    connection.AwaitEnd();
  });
  CallLog* first = Start(origin.url(), Head("GET", "/1"));
  ASSERT_TRUE(AwaitOpen(1));
  CallLog* second = Start(origin.url(), Head("GET", "/2"));
  EXPECT_EQ(AwaitOver(second)->failure, "connect_timeout");
  EXPECT_NE(second->message.find("all 1 connections are in use"), std::string::npos);
  EXPECT_FALSE(thread_.Call([&] { return first->over(); }));
}

TEST_F(ClientTest, AWaitingCallGetsTheRoomOfAConnectionThatFailed) {
  Make({.connections = 1});
  ScriptedOrigin origin({[](OriginConnection& connection) {
                           connection.ReadHead();
                           connection.Reset();
                         },
                         [](OriginConnection& connection) {
                           connection.ReadHead();
                           connection.Send(kHello);
                           connection.AwaitEnd();
                         }});
  CallLog* first = Start(origin.url(), Head("GET", "/1"));
  CallLog* second = Start(origin.url(), Head("GET", "/2"));
  EXPECT_EQ(AwaitOver(first)->failure, "closed_early");
  EXPECT_EQ(AwaitOver(second)->body, "hello");
}

TEST_F(ClientTest, NoMoreIdleConnectionsAreKeptThanAllowed) {
  Make({.idle_connections = 1});
  std::atomic<int> asked = 0;
  ScriptedOrigin origin([&](OriginConnection& connection) {
    connection.ReadHead();
    ++asked;
    while (asked < 3) std::this_thread::yield();  // all three are open at once
    connection.Send(kHello);
    connection.AwaitEnd();
  });
  std::vector<CallLog*> logs;
  for (int i = 0; i < 3; ++i) logs.push_back(Start(origin.url(), Head()));
  for (CallLog* log : logs) EXPECT_EQ(AwaitOver(log)->body, "hello");
  EXPECT_TRUE(AwaitOpen(1));
  EXPECT_EQ(idle(), 1u);
}

TEST_F(ClientTest, DestroyingACallCancelsItAtAnyPoint) {
  ScriptedOrigin origin([](OriginConnection& connection) {
    connection.ReadHead();
    connection.Send("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
    connection.AwaitEnd();
  });
  // At once, in its head, in its body.
  CallLog* at_once = Start(origin.url(), Head());
  thread_.Call([&] { at_once->call.reset(); });
  for (int where = 0; where < 2; ++where) {
    CallLog* log = Start(origin.url(), Head(), nullptr, std::nullopt, [&](CallLog* made) {
      (where == 0 ? made->on_head : made->on_body) = [made] { made->call.reset(); };
    });
    ASSERT_TRUE(thread_.Await([&] { return log->call == nullptr; }));
    EXPECT_FALSE(log->over());
  }
  EXPECT_TRUE(AwaitOpen(0));
}

TEST_F(ClientTest, ACallMayBeDestroyedInItsLastCallback) {
  ScriptedOrigin origin([](OriginConnection& connection) {
    while (!connection.ReadHead().empty()) connection.Send(kHello);
  });
  const auto prepare = [](CallLog* made) { made->on_over = [made] { made->call.reset(); }; };
  CallLog* log = Start(origin.url(), Head(), nullptr, std::nullopt, prepare);
  EXPECT_TRUE(AwaitOver(log)->ended);
  EXPECT_EQ(idle(), 1u);
  log = Start("http://127.0.0.1:1", Head(), nullptr, std::nullopt, prepare);
  EXPECT_EQ(AwaitOver(log)->failure, "connect_refused");
}

TEST_F(ClientTest, OverTls) {
  TestServer server({.tls = true});
  server.on_request = [](Exchange& exchange) {
    EXPECT_EQ(exchange.version(), Version::kHttp11);
    EXPECT_EQ(exchange.request().scheme, "https");
    exchange.Respond(200, {}, {}, TextBody(exchange.stream().server_name()));
  };
  const std::string url = "https://" + server.address().ToString();
  auto tls = *net::TlsClient::Create(server.authority_file(), {"http/1.1"});
  Make({}, tls);
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Get(url)->body, "www.demo.test");
  EXPECT_EQ(idle(), 1u);
  EXPECT_EQ(server.counters().connections, 1u);
}

TEST_F(ClientTest, AnUntrustedCertificateFailsTheCall) {
  TestServer server({.tls = true});
  net::TestAuthority other;
  auto tls = *net::TlsClient::Create(other.file(), {"http/1.1"});
  Make({}, tls);
  EXPECT_EQ(Get("https://" + server.address().ToString())->failure, "tls_untrusted");
}

}  // namespace
}  // namespace nearside::http
