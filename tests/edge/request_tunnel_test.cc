// WebSocket through a whole worker: asked for by Upgrade or CONNECT, agreed to or refused by the
// origin, and how it ends.

#include "http/websocket.h"
#include "tests/edge/patterns.h"
#include "tests/edge/request_fixture.h"

namespace nearside::edge {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";

class RequestTunnelTest : public RequestTest {
 protected:
  /// A client that asks by Upgrade over HTTP/1.1.
  FakeExchange& AskByUpgrade(std::string_view key = kKey, bool pull = true) {
    http::RequestHead head =
        GetFor("https://www.demo.test/chat", {{"sec-websocket-version", "13"}, {"cookie", "a=b"}});
    if (!key.empty()) head.fields.Add("sec-websocket-key", key);
    head.protocol = "websocket";
    return Ask(std::move(head), [pull](FakeExchange& exchange) {
      exchange.spoken = http::Version::kHttp11;
      exchange.pull_at_once = pull;
    });
  }
  /// ... or by CONNECT over HTTP/2.
  FakeExchange& AskByConnect() {
    http::RequestHead head =
        RequestFor("CONNECT", "https://www.demo.test/chat", {{"sec-websocket-protocol", "chat"}});
    head.protocol = "websocket";
    return Ask(std::move(head), [](FakeExchange& exchange) { exchange.has_request_body = true; });
  }
  static std::string Agreement(const ScriptedOrigin::Asked& asked) {
    return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
           "Upgrade\r\nSec-WebSocket-Accept: " +
           http::WebSocketAccept(asked.Field("sec-websocket-key")) +
           "\r\nSec-WebSocket-Protocol: chat\r\n\r\n";
  }
  /// The origin agrees, and says `more` at once.
  ScriptedOrigin::Asked Agree(std::string_view more = "") {
    ScriptedOrigin::Asked asked = origin_.Next();
    asked.Send(Agreement(asked) + std::string(more));
    return asked;
  }
  bool AwaitSwitched(FakeExchange& client) {
    return thread_.Await([&] { return client.switched; });
  }
  bool AwaitTunnels(int64_t n) {
    return thread_.Await([&] { return node_->tunnels.load() == n; });
  }
  void Say(FakeExchange& client, std::string_view text) {
    On([&] { client.Send(text); });
  }
};

// Nothing has been said before the agreement.
TEST_F(RequestTunnelTest, AnotherOriginIsAskedWhenOneFails) {
  ScriptedOrigin second;
  StartWith("", {origin_.url(), second.url()});
  FakeExchange& client = AskByUpgrade();
  EXPECT_TRUE(thread_.Await([&] { return origin_.count() + second.count() == 1; }));
  ScriptedOrigin& first = origin_.count() == 1 ? origin_ : second;
  ScriptedOrigin& other = origin_.count() == 1 ? second : origin_;
  first.Next().Answer("503 X", "", "overloaded");
  ScriptedOrigin::Asked asked = other.Next();
  asked.Send(Agreement(asked) + "hello");
  EXPECT_TRUE(AwaitSwitched(client));
  EXPECT_TRUE(thread_.Await([&] { return client.body == "hello"; }));
  asked.Close();
  EXPECT_TRUE(thread_.Await([&] { return client.state == "end"; }));
  On([&] { client.Finish(); });
  EXPECT_TRUE(AwaitTunnels(0));
}

TEST_F(RequestTunnelTest, AnUpgradeIsPassedOnWithItsKeyAndAnswered) {
  Start();
  FakeExchange& client = AskByUpgrade();
  ScriptedOrigin::Asked asked = Agree("hello");
  EXPECT_EQ(asked.first_line(), "GET /chat HTTP/1.1");
  EXPECT_EQ(asked.Field("upgrade"), "websocket");
  EXPECT_EQ(asked.Field("connection"), "upgrade");
  EXPECT_EQ(asked.Field("sec-websocket-key"), kKey);
  EXPECT_EQ(asked.Field("sec-websocket-version"), "13");
  EXPECT_EQ(asked.Field("cookie"), "a=b");
  EXPECT_EQ(asked.Field("x-forwarded-for"), "192.0.2.7");
  ASSERT_TRUE(AwaitSwitched(client));
  EXPECT_EQ(client.Field("sec-websocket-accept"), http::WebSocketAccept(kKey));
  EXPECT_EQ(client.Field("sec-websocket-protocol"), "chat");
  EXPECT_EQ(client.Field("upgrade"), "");
  EXPECT_EQ(client.Field("cache-status"),
            "\"frankfurt\"; fwd=bypass; fwd-status=101; detail=websocket");
  EXPECT_TRUE(thread_.Await([&] { return client.body == "hello"; }));
  Say(client, "ping\r\n\r\n");  // which the origin's reader takes for a head
  EXPECT_EQ(origin_.Next().head(), "ping\r\n");
  EXPECT_TRUE(thread_.Await([&] { return client.consumed == 8; }));
  asked.Send("pong");
  EXPECT_TRUE(thread_.Await([&] { return client.body == "hellopong"; }));
  EXPECT_EQ(node_->tunnels.load(), 1);
  asked.Close();
  EXPECT_TRUE(thread_.Await([&] { return client.state == "end"; }));
  On([&] { client.Finish(); });
  EXPECT_TRUE(AwaitTunnels(0));
  EXPECT_EQ(Counted(Reason::kWebSocket), 1u);
  EXPECT_EQ(Sum(node_->metrics.origin_failures), 0u);
}

TEST_F(RequestTunnelTest, AConnectBecomesAnUpgradeWithAKeyOfOurs) {
  Start();
  FakeExchange& client = AskByConnect();
  ScriptedOrigin::Asked asked = Agree();
  EXPECT_EQ(asked.first_line(), "GET /chat HTTP/1.1");
  EXPECT_EQ(asked.Field("upgrade"), "websocket");
  EXPECT_TRUE(http::IsWebSocketKey(asked.Field("sec-websocket-key")));
  EXPECT_EQ(asked.Field("sec-websocket-version"), "13");
  EXPECT_EQ(asked.Field("sec-websocket-protocol"), "chat");
  ASSERT_TRUE(AwaitSwitched(client));
  EXPECT_EQ(client.Field("sec-websocket-accept"), "");
  EXPECT_EQ(client.Field("sec-websocket-protocol"), "chat");
  On([&] { client.Finish(false); });
  EXPECT_TRUE(AwaitTunnels(0));
  asked.AwaitClosed();
}

TEST_F(RequestTunnelTest, KeysOfOursDiffer) {
  Start();
  std::string keys[2];
  for (std::string& key : keys) {
    AskByConnect();
    key = origin_.Next().Field("sec-websocket-key");
  }
  EXPECT_NE(keys[0], keys[1]);
}

TEST_F(RequestTunnelTest, WhatAClientSendsBeforeTheAgreementWaitsForIt) {
  Start();
  FakeExchange& client = AskByConnect();
  Say(client, "early\r\n\r\n");
  ScriptedOrigin::Asked asked = origin_.Next();
  EXPECT_EQ(On([&] { return client.consumed; }), 0u);
  asked.Send(Agreement(asked));
  EXPECT_EQ(origin_.Next().head(), "early\r\n");
}

TEST_F(RequestTunnelTest, TheClientsEndIsTheOriginsToAnswer) {
  Start();
  FakeExchange& client = AskByUpgrade();
  ScriptedOrigin::Asked asked = Agree();
  ASSERT_TRUE(AwaitSwitched(client));
  On([&] {
    client.Send("bye\r\n\r\n");
    client.EndBody();
  });
  EXPECT_EQ(origin_.Next().head(), "bye\r\n");
  asked.AwaitClosed();  // of its sending side
  asked.Send("bye too");
  asked.Close();
  EXPECT_TRUE(thread_.Await([&] { return client.state == "end"; }));
  EXPECT_EQ(client.body, "bye too");
}

TEST_F(RequestTunnelTest, AfterTheOriginsEndTheClientIsStillHeard) {
  Start();
  FakeExchange& client = AskByUpgrade();
  ScriptedOrigin::Asked asked = Agree("bye");
  asked.EndSending();
  EXPECT_TRUE(thread_.Await([&] { return client.state == "end"; }));
  EXPECT_EQ(client.body, "bye");
  Say(client, "bye too\r\n\r\n");
  EXPECT_EQ(origin_.Next().head(), "bye too\r\n");
  EXPECT_EQ(node_->tunnels.load(), 1);
  On([&] { client.EndBody(); });
  asked.AwaitClosed();
  On([&] { client.Finish(); });
  EXPECT_TRUE(AwaitTunnels(0));
  EXPECT_EQ(Sum(node_->metrics.aborted_responses), 0u);
}

TEST_F(RequestTunnelTest, WhatAClientSaidBeforeItLeftReachesTheOrigin) {
  Start();
  const std::string text(4 << 20, 'x');  // more than leaves at once
  for (const bool ends : {true, false}) {
    SCOPED_TRACE(ends);
    FakeExchange& client = AskByUpgrade();
    ScriptedOrigin::Asked asked = Agree();
    ASSERT_TRUE(AwaitSwitched(client));
    On([&] {
      client.Send(text + "\r\n\r\n");
      if (ends) client.EndBody();
      client.Finish(false);
    });
    EXPECT_TRUE(origin_.Next().head() == text + "\r\n");
    asked.AwaitClosed();
    asked.Close();
    EXPECT_TRUE(AwaitTunnels(0));
  }
}

TEST_F(RequestTunnelTest, AnOriginThatBreaksOffIsNoEnd) {
  Start();
  FakeExchange& client = AskByUpgrade();
  ScriptedOrigin::Asked asked = Agree("half");
  EXPECT_TRUE(thread_.Await([&] { return client.body == "half"; }));
  asked.Reset();
  EXPECT_TRUE(thread_.Await([&] { return client.state == "failed"; }));
  EXPECT_EQ(Sum(node_->metrics.origin_failures), 0u) << "it had answered";
}

TEST_F(RequestTunnelTest, OtherAnswersAreOrdinary) {
  Start();
  FakeExchange& client = AskByUpgrade();
  ScriptedOrigin::Asked asked = origin_.Next();
  asked.Answer("426 Upgrade Required", "Sec-WebSocket-Version: 8\nUpgrade: x\n", "no");
  EXPECT_EQ(Answer(client), "426 fwd=bypass; fwd-status=426; detail=websocket|no");
  EXPECT_FALSE(client.switched);
  EXPECT_EQ(client.Field("sec-websocket-version"), "8");
  EXPECT_EQ(client.Field("upgrade"), "");
  asked.AwaitClosed();  // never used again
  FakeExchange& page = AskByUpgrade();
  origin_.Next().Answer("200 OK", "Cache-Control: max-age=60\n", "page");
  EXPECT_EQ(Answer(page), "200 fwd=bypass; fwd-status=200; detail=websocket|page");
  FakeExchange& get = Get("/chat");
  origin_.Next().Answer("200 OK", "", "fetched");
  EXPECT_EQ(Answer(get), "200 fwd=uri-miss; fwd-status=200; detail=no_freshness|fetched");
}

// RFC 8441 §5: a 200 would read as an agreement.
TEST_F(RequestTunnelTest, ToAConnectASuccessThatIsNoAgreementIsAnError) {
  Start();
  FakeExchange& client = AskByConnect();
  origin_.Next().Answer("200 OK", "", "page");
  EXPECT_THAT(Answer(client), StartsWith("502 fwd=bypass; detail=not_switched|502 Bad Gateway"));
  FakeExchange& refused = AskByConnect();
  origin_.Next().Answer("403 Forbidden", "", "no");
  EXPECT_EQ(Answer(refused), "403 fwd=bypass; fwd-status=403; detail=websocket|no");
}

TEST_F(RequestTunnelTest, AnAgreementToAnotherKeyIsNone) {
  Start();
  for (const std::string_view accept : {"", "x", "s3pPLMBiTxaQ9kYGzzhZRbK+xOp="}) {
    FakeExchange& client = AskByUpgrade();
    origin_.Next().Send(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: "
        "Upgrade\r\nSec-WebSocket-Accept: " +
        std::string(accept) + "\r\n\r\nsecret");
    EXPECT_THAT(Answer(client), StartsWith("502 fwd=bypass; detail=origin_broken|502 Bad"));
    EXPECT_FALSE(client.switched);
  }
  EXPECT_EQ(Sum(node_->metrics.origin_failures), 3u);
  EXPECT_EQ(node_->tunnels.load(), 0);
}

TEST_F(RequestTunnelTest, AnUpgradeWithoutAKeyIsABadRequest) {
  Start();
  for (const std::string_view key : {"", "x", "dGhlIHNhbXBsZSBub25jZQ"}) {
    EXPECT_THAT(Answer(AskByUpgrade(key)), StartsWith("400 detail=bad_request|400 Bad Request"));
  }
  EXPECT_EQ(origin_.count(), 0u);
}

TEST_F(RequestTunnelTest, NoMoreAreOpenThanTheLimit) {
  Start("[limits]\ntunnels = 1\n");
  FakeExchange& first = AskByUpgrade();
  Agree();
  ASSERT_TRUE(AwaitSwitched(first));
  EXPECT_THAT(Answer(AskByUpgrade()),
              StartsWith("503 detail=too_many_tunnels|503 Service Unavailable"));
  On([&] { first.Finish(false); });
  EXPECT_TRUE(AwaitTunnels(0));
  FakeExchange& second = AskByUpgrade();
  Agree();
  EXPECT_TRUE(AwaitSwitched(second));
}

TEST_F(RequestTunnelTest, SilenceEndsIt) {
  Start("[limits]\ntunnel_idle_timeout = \"1s\"\n");
  FakeExchange& client = AskByUpgrade();
  ScriptedOrigin::Asked asked = Agree("hello");
  ASSERT_TRUE(AwaitSwitched(client));
  EXPECT_TRUE(thread_.Await([&] { return client.state == "end"; }));
  EXPECT_EQ(client.body, "hello");
  On([&] { client.Finish(); });
  asked.AwaitClosed();
  EXPECT_EQ(Sum(node_->metrics.idle_tunnels), 1u);
}

TEST_F(RequestTunnelTest, AnOriginIsNoFurtherAheadThanAWindow) {
  Start();
  FakeExchange& client = AskByUpgrade(kKey, /*pull=*/false);
  ScriptedOrigin::Asked asked = Agree();
  ASSERT_TRUE(AwaitSwitched(client));
  constexpr uint64_t kSize = 32 << 20;
  const std::string text = Pattern(kSize);
  std::thread sender([&] { asked.Send(text); });
  // What the edge has read stands still while the client takes nothing.
  uint64_t before = 0;
  EXPECT_TRUE(thread_.Await([&, turns = 0]() mutable {
    const uint64_t read = Sum(node_->metrics.origin_bytes);
    turns = read == before ? turns + 1 : 0;
    before = read;
    return before > 0 && turns > 1000;
  }));
  EXPECT_LE(before, 128u << 10);
  EXPECT_TRUE(thread_.Await([&] {
    client.Pull();
    return client.body.size() == kSize;
  }));
  sender.join();
  EXPECT_TRUE(client.body == text);
}

TEST_F(RequestTunnelTest, AfterTheAgreementNoOtherOriginIsAsked) {
  ScriptedOrigin other;
  StartWith("", {origin_.url(), other.url()});
  FakeExchange& client = AskByUpgrade();
  EXPECT_TRUE(thread_.Await([&] { return origin_.count() + other.count() > 0; }));
  ScriptedOrigin::Asked asked = (origin_.count() > 0 ? origin_ : other).Next();
  asked.Send(Agreement(asked));
  EXPECT_TRUE(AwaitSwitched(client));
  asked.Close();
  EXPECT_TRUE(thread_.Await([&] { return client.state == "end"; }));
  On([&] { client.Finish(); });
  EXPECT_TRUE(AwaitTunnels(0));
  EXPECT_EQ(origin_.count() + other.count(), 1u);
}

TEST_F(RequestTunnelTest, ItIsLoggedWithItsBytes) {
  Start("[limits]\ntunnel_idle_timeout = \"1s\"\n");
  FakeExchange& client = AskByUpgrade();
  ScriptedOrigin::Asked asked = Agree("hello");
  EXPECT_TRUE(thread_.Await([&] { return client.body == "hello"; }));
  asked.Close();
  EXPECT_TRUE(thread_.Await([&] { return client.state == "end"; }));
  On([&] { client.Finish(); });
  FakeExchange& silent = AskByUpgrade();
  ScriptedOrigin::Asked unheard = Agree();
  EXPECT_TRUE(thread_.Await([&] { return silent.state == "end"; }));
  unheard.AwaitClosed();  // of the edge's side
  unheard.Close();
  On([&] { silent.Finish(); });
  EXPECT_TRUE(AwaitTunnels(0));
  On([this] {
    exchanges_.clear();
    worker_.reset();
  });
  node_.reset();
  const std::string log = dir_.Read("access.log");
  EXPECT_THAT(log, HasSubstr(R"("status":101,"result":"pass","reason":"websocket","bytes":5,)"));
  EXPECT_THAT(log, HasSubstr(R"("ended":"tunnel_idle"})"));
}

}  // namespace
}  // namespace nearside::edge
