// Calls that ask for WebSocket: what is sent and heard once both sides have left HTTP.

#include <atomic>
#include <string>
#include <thread>
#include <vector>

#include "tests/http/session/client_fixture.h"
#include "tests/http/session/scripted_origin.h"

namespace nearside::http {
namespace {

class ClientTunnelTest : public ClientTest {};

RequestHead AskingForWebSocket() {
  RequestHead head;
  head.method = "GET";
  head.authority = "site.test";
  head.target = "/chat";
  head.protocol = "websocket";
  return head;
}

constexpr std::string_view kSwitching =
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nX: "
    "y\r\n\r\n";

TEST_F(ClientTunnelTest, AfterAnUpgradeBothSidesSpeakAsTheyLike) {
  std::string head, heard, more;
  ScriptedOrigin origin([&](OriginConnection& connection) {
    head = connection.ReadHead();
    connection.Send(std::string(kSwitching) + "hello");
    heard = connection.Read(2000);
    more = connection.Read(1);  // "": its end
    connection.Send("still here");
    connection.Close();
  });
  BodyLog& body = body_logs_.emplace_back();
  CallLog* log =
      Start(origin.url(), AskingForWebSocket(),
            std::make_unique<PatternBody>(PatternBody::Plan{.size = 2000, .piece = 999}, &body));
  AwaitOver(log);
  EXPECT_TRUE(log->ended) << log->message;
  EXPECT_EQ(log->status, 101);
  EXPECT_EQ(log->fields, "x: y\n");
  EXPECT_EQ(log->body, "hellostill here");
  EXPECT_EQ(head,
            "GET /chat HTTP/1.1\r\nhost: site.test\r\nconnection: upgrade\r\nupgrade: "
            "websocket\r\n\r\n");
  EXPECT_EQ(heard, PatternText(0, 2000));
  EXPECT_EQ(more, "");
  EXPECT_EQ(idle(), 0u);
  EXPECT_TRUE(AwaitOpen(0));
  Forget();
}

TEST_F(ClientTunnelTest, AfterAnUpgradeTheServersEndIsNotOurs) {
  constexpr uint64_t kSize = 8 << 20;
  std::string heard;
  std::atomic<bool> listens = false, done = false;
  ScriptedOrigin origin([&](OriginConnection& connection) {
    connection.ReadHead();
    connection.Send(std::string(kSwitching) + "bye");
    connection.EndSending();
    while (!listens) std::this_thread::yield();
    heard = connection.Read(kSize + 1);  // to our end
    done = true;
  });
  BodyLog& body = body_logs_.emplace_back();
  auto source =
      std::make_unique<PatternBody>(PatternBody::Plan{.size = kSize, .wait_at = 0}, &body);
  PatternBody* said = source.get();
  CallLog* log = Start(origin.url(), AskingForWebSocket(), std::move(source));
  EXPECT_TRUE(thread_.Await([log] { return log->peer_ended; }));
  EXPECT_EQ(log->body, "bye");
  EXPECT_FALSE(log->over());
  thread_.Call([&] {
    said->plan().wait_at.reset();
    log->call->ResumeRequestBody();
  });
  // More than the sockets hold, so that some of it is still to be sent when our side ends.
  EXPECT_TRUE(thread_.Await([&] { return body.consumed > 100'000; }));
  listens = true;
  AwaitOver(log);
  EXPECT_TRUE(log->ended) << log->message;
  EXPECT_TRUE(AwaitOpen(0));
  Forget();
  while (!done) std::this_thread::yield();
  EXPECT_TRUE(heard == PatternText(0, kSize));
}

TEST_F(ClientTunnelTest, NothingIsSentBehindAnUpgradeThatIsRefused) {
  std::string behind;
  {
    ScriptedOrigin origin([&](OriginConnection& connection) {
      connection.ReadHead();
      connection.Send("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
      behind = connection.Read(100);
    });
    BodyLog& body = body_logs_.emplace_back();
    CallLog* log = Start(origin.url(), AskingForWebSocket(),
                         std::make_unique<PatternBody>(PatternBody::Plan{.size = 100}, &body));
    AwaitOver(log);
    EXPECT_TRUE(log->ended);
    EXPECT_EQ(log->status, 403);
    EXPECT_EQ(log->body, "no");
    EXPECT_EQ(body.peeks, 0u);
    EXPECT_EQ(open(), 0u) << "not to be used again";
    Forget();
  }
  EXPECT_EQ(behind, "");
}

TEST_F(ClientTunnelTest, AnUpgradeDoesNotUseAKeptConnectionNorTakeARequestsPlace) {
  Make({.connections = 2});
  const auto serve = [](OriginConnection& connection) {
    while (true) {
      const std::string head = connection.ReadHead();
      if (head.empty()) return;
      if (!head.starts_with("GET /chat")) {
        connection.Send(kHello);
        continue;
      }
      connection.Send(kSwitching);
      return connection.AwaitEnd();
    }
  };
  ScriptedOrigin origin(serve);
  EXPECT_EQ(Get(origin.url())->body, "hello");
  BodyLog& body = body_logs_.emplace_back();
  std::vector<CallLog*> tunnels;
  for (int i = 0; i < 3; ++i) {
    tunnels.push_back(
        Start(origin.url(), AskingForWebSocket(),
              std::make_unique<PatternBody>(PatternBody::Plan{.size = 1, .wait_at = 0}, &body)));
    ASSERT_TRUE(thread_.Await([&] { return tunnels.back()->status == 101; }));
  }
  EXPECT_EQ(origin.connections(), 4);
  EXPECT_EQ(open(), 4u);
  EXPECT_EQ(Get(origin.url())->body, "hello") << "the kept one is still there";
  EXPECT_EQ(origin.connections(), 4);
  Forget();
  EXPECT_TRUE(AwaitOpen(1));
}

TEST_F(ClientTunnelTest, OnlyTheHeadOfATunnelIsWaitedForInTime) {
  Make({.head_timeout = milliseconds(40), .read_timeout = milliseconds(40)});
  ScriptedOrigin silent([](OriginConnection& connection) { connection.AwaitEnd(); });
  BodyLog& body = body_logs_.emplace_back();
  const PatternBody::Plan waits{.size = 1, .wait_at = 0};
  CallLog* log =
      Start(silent.url(), AskingForWebSocket(), std::make_unique<PatternBody>(waits, &body));
  EXPECT_EQ(AwaitOver(log)->failure, "head_timeout");
  Forget();
}

TEST_F(ClientTunnelTest, ATunnelThatBreaksIsAFailure) {
  ScriptedOrigin origin([](OriginConnection& connection) {
    connection.ReadHead();
    connection.Send(kSwitching);
    connection.Reset();
  });
  BodyLog& body = body_logs_.emplace_back();
  const PatternBody::Plan waits{.size = 1, .wait_at = 0};
  CallLog* log =
      Start(origin.url(), AskingForWebSocket(), std::make_unique<PatternBody>(waits, &body));
  EXPECT_EQ(AwaitOver(log)->failure, "closed_early");
  Forget();
}

}  // namespace
}  // namespace nearside::http
