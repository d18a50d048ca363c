#include "net/listener.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <future>

#include "tests/net/stream_pair.h"
#include "tests/support/system_calls.h"

namespace nearside::net {
namespace {

using testing::HasSubstr;

TEST(ListenerTest, ATakenPortIsNamedWithWhatToDo) {
  auto loop = std::move(*EventLoop::Create());
  ListenerOptions options{.address = *SocketAddress::Parse("127.0.0.1:0"), .reuse_port = false};
  auto first = Listener::Open(*loop, options, nullptr, [](auto) {});
  ASSERT_TRUE(first.has_value());
  EXPECT_NE((*first)->address().port(), 0);
  options.address = (*first)->address();
  auto second = Listener::Open(*loop, options, nullptr, [](auto) {});
  ASSERT_FALSE(second.has_value());
  EXPECT_EQ(second.error().reason, "address_in_use");
  EXPECT_EQ(second.error().fault, Fault::kOperator);
  EXPECT_THAT(second.error().message, HasSubstr(options.address.ToString()));
}

TEST(ListenerTest, WorkersShareAPortAndCheckFreeSeesIt) {
  auto loop = std::move(*EventLoop::Create());
  ListenerOptions options{.address = *SocketAddress::Parse("127.0.0.1:0")};
  auto first = Listener::Open(*loop, options, nullptr, [](auto) {});
  ASSERT_TRUE(first.has_value());
  options.address = (*first)->address();
  EXPECT_TRUE(Listener::Open(*loop, options, nullptr, [](auto) {}).has_value());
  auto check = Listener::CheckFree(options.address);
  ASSERT_FALSE(check.has_value());
  EXPECT_EQ(check.error().reason, "address_in_use");
  first->reset();
  EXPECT_TRUE(Listener::CheckFree(options.address).has_value());
}

TEST(ListenerTest, ForeignAndMissingAddressesAreNamed) {
  auto loop = std::move(*EventLoop::Create());
  ListenerOptions options{.address = *SocketAddress::Parse("203.0.113.1:0")};
  auto foreign = Listener::Open(*loop, options, nullptr, [](auto) {});
  ASSERT_FALSE(foreign.has_value());
  EXPECT_EQ(foreign.error().reason, "bad_address");
  auto missing = Listener::Open(*loop, {}, nullptr, [](auto) {});
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().reason, "bad_address");
}

TEST(ListenerTest, ListensOnIpv6) {
  auto loop = std::move(*EventLoop::Create());
  ListenerOptions options{.address = *SocketAddress::Parse("[::1]:0")};
  auto listener = Listener::Open(*loop, options, nullptr, [](auto) {});
  if (!listener.has_value()) GTEST_SKIP() << "no IPv6 here: " << listener.error().ToString();
  EXPECT_EQ((*listener)->address().Ip(), "::1");
}

TEST(ListenerTest, ConnectionsOverTheLimitAreClosedAndCounted) {
  StreamServer server({.listener = {.max_connections = 2}});
  auto first = server.Connect();
  auto second = server.Connect();
  server.Accepted(1);
  auto third = server.Connect();
  EXPECT_EQ(third->ReceiveAll(), "");
  EXPECT_EQ(server.Counters().refused_full, 1u);
  EXPECT_EQ(server.Counters().accepted, 2u);
}

TEST(ListenerTest, AFreedPlaceIsGivenAgain) {
  StreamServer server({.listener = {.max_connections = 1}});
  for (size_t i = 0; i < 5; ++i) {
    auto peer = server.Connect();
    Recorder* recorder = server.Accepted(i);
    ASSERT_NE(recorder, nullptr);
    server.thread().Call([&] { server.Destroy(recorder); });
    EXPECT_EQ(peer->ReceiveAll(), "");
  }
  EXPECT_EQ(server.Counters().accepted, 5u);
}

TEST(ListenerTest, GarbageInsteadOfAHandshakeIsCountedAndClosed) {
  StreamServer server({.tls = true});
  uint64_t failed = 0;
  for (const std::string& garbage :
       {std::string("GET / HTTP/1.1\r\nHost: www.demo.test\r\n\r\n"), Pattern(5), Pattern(100'000),
        std::string(3, '\0'), std::string("\x16\x03\x01\x40\x00", 5) + Pattern(0x4000)}) {
    RawPeer peer(server.address());
    peer.SendRaw(garbage);
    peer.EndSocket();
    peer.ReceiveAll();
    ++failed;
    EXPECT_TRUE(server.thread().Await(
        [&] { return server.listener().counters().handshakes_failed == failed; }));
  }
  EXPECT_EQ(server.recorders(), 0u);
  server.Connect()->Send("still serving");
}

TEST(ListenerTest, AHandshakeCutOffAtAnyByteIsCounted) {
  StreamServer server({.tls = true});
  // A real ClientHello, taken from a memory BIO.
  OpensslPtr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
  OpensslPtr<SSL> ssl(SSL_new(context.get()));
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), BIO_new(BIO_s_mem()), out);
  SSL_connect(ssl.get());
  char* data = nullptr;
  long size = BIO_get_mem_data(out, &data);
  std::string hello(data, static_cast<size_t>(size));
  for (size_t length = 0; length < hello.size(); length += 7) {
    RawPeer peer(server.address());
    peer.SendRaw(hello.substr(0, length));
    peer.EndSocket();
    EXPECT_THAT(peer.ReceiveAll().size(), testing::Lt(10u)) << length;  // an alert at most
  }
  EXPECT_TRUE(server.thread().Await([&] {
    return server.listener().counters().handshakes_failed == server.listener().counters().accepted;
  }));
}

TEST(ListenerTest, AHandshakeByteByByteSucceeds) {
  StreamServer server({.tls = true});
  OpensslPtr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
  OpensslPtr<SSL> ssl(SSL_new(context.get()));
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), in, out);
  SSL_set_connect_state(ssl.get());
  RawPeer peer(server.address());
  auto flush = [&] {
    char c;
    while (BIO_read(out, &c, 1) == 1) peer.SendRaw({&c, 1});
  };
  while (SSL_do_handshake(ssl.get()) != 1) {
    flush();
    std::string byte = peer.Receive(1);
    ASSERT_EQ(byte.size(), 1u);
    BIO_write(in, byte.data(), 1);
  }
  SSL_write(ssl.get(), "hello", 5);
  flush();
  Recorder* recorder = server.Accepted();
  EXPECT_TRUE(server.thread().Await([&] { return recorder->received == "hello"; }));
}

TEST(ListenerTest, ASlowHandshakeTimesOut) {
  StreamServer server({.tls = true, .listener = {.handshake_timeout = milliseconds(20)}});
  RawPeer peer(server.address());
  EXPECT_EQ(peer.ReceiveAll(), "");
  EXPECT_EQ(server.Counters().handshakes_timed_out, 1u);
  EXPECT_EQ(server.Counters().handshakes_failed, 0u);
}

TEST(ListenerTest, StopAcceptingRefusesNewConnectionsAndKeepsOldOnes) {
  StreamServer server({});
  server.on_recorder = [](Recorder* recorder) { recorder->echo = true; };
  auto peer = server.Connect();
  server.Accepted();
  server.thread().Call([&] { server.listener().StopAccepting(); });
  RawPeer late(server.address());
  EXPECT_NE(late.error(), "");
  peer->Send("still here");
  EXPECT_EQ(peer->Receive(10), "still here");
  server.thread().Call([&] { server.listener().StopAccepting(); });  // twice does no harm
}

TEST(ListenerTest, AHandshakeUnderWayOutlivesStopAccepting) {
  StreamServer server({.tls = true});
  auto peer = std::make_unique<RawPeer>(server.address());
  EXPECT_TRUE(server.thread().Await([&] { return server.listener().counters().accepted == 1; }));
  server.thread().Call([&] { server.listener().StopAccepting(); });
  EXPECT_TRUE(peer->StartTls({.server_name = "www.demo.test"}));
  EXPECT_NE(server.Accepted(), nullptr);
}

TEST(ListenerTest, TheListenerMayBeDestroyedByItsCallback) {
  for (bool tls : {false, true}) {
    LoopThread thread;
    TestAuthority authority;
    std::unique_ptr<Listener> listener;
    std::unique_ptr<Stream> stream;
    SocketAddress address = thread.Call([&] {
      std::shared_ptr<TlsServer> server;
      if (tls) {
        server =
            *TlsServer::Create({authority.Issue({.names = {"a.test"}})}, {}, TicketKeys::Random());
      }
      listener = std::move(
          *Listener::Open(thread.loop(), {.address = *SocketAddress::Parse("127.0.0.1:0")}, server,
                          [&, keep = std::string(100, 'x')](std::unique_ptr<Stream> made) {
                            listener.reset();
                            stream = std::move(made);
                            EXPECT_EQ(keep.size(), 100u);
                          }));
      return listener->address();
    });
    RawPeer peer(address);
    if (tls) peer.StartTls({.server_name = "a.test"});
    EXPECT_TRUE(thread.Await([&] { return stream != nullptr; }));
    thread.Call([&] { stream.reset(); });
  }
}

TEST(ListenerTest, AStreamOutlivesItsListener) {
  StreamServer server({.tls = true});
  std::unique_ptr<Recorder> recorder;
  server.on_stream = [&](std::unique_ptr<Stream> made) {
    recorder = std::make_unique<Recorder>(std::move(made));
    recorder->echo = true;
  };
  auto peer = server.Connect();
  EXPECT_TRUE(server.thread().Await([&] { return recorder != nullptr; }));
  server.thread().Call([&] {
    server.listener().SetTls(nullptr);  // nobody but the stream holds the context now
    server.listener().StopAccepting();
  });
  std::string body = Pattern(100'000);
  peer->Send(body);
  EXPECT_TRUE(peer->Receive(body.size()) == body);
  server.thread().Call([&] { recorder.reset(); });
}

/// The kernel keeps it for a second or two: it may have nothing to say for good, but our limits of
/// idle connections are to see it then.
TEST(ListenerTest, WhoIsSilentIsAcceptedLaterWhereClientsSpeakFirst) {
  StreamServer server({.listener = {.reads_first = true, .defers_accept = true}});
  const MonoTime began = MonoNow();
  RawPeer silent(server.address());
  RawPeer speaking(server.address());
  speaking.Send("a");
  Recorder* first = server.Accepted();
  // On a machine that slept for longer than the kernel keeps it nothing can be said.
  const bool in_time = MonoNow() - began < milliseconds(500);
  Recorder* second = server.Accepted(1);
  silent.Send("b");
  EXPECT_TRUE(server.thread().Await([&] {
    const std::string received = first->received + second->received;
    return received == "ab" || (!in_time && received == "ba");
  }));
}

/// A server that echoes, and whose clients end as soon as they have that.
class PromptClients {
 public:
  explicit PromptClients(milliseconds look_again)
      : server_({.listener = {.reads_first = true, .look_again = look_again}}) {
    server_.on_recorder = [this](Recorder* recorder) {
      recorder->echo = true;
      recorder->then_on_end = [this, recorder] { server_.Destroy(recorder); };
    };
    for (int i = 0; i < 1000; ++i) Ask();  // far more than it takes to learn it
  }
  /// A client that has its answer.
  std::unique_ptr<RawPeer> Ask() {
    // So that it is accepted with what it has sent.
    std::promise<void> held, sent;
    thread().loop().Post([&] {
      held.set_value();
      sent.get_future().wait();
    });
    held.get_future().wait();
    auto peer = std::make_unique<RawPeer>(server_.address());
    EXPECT_TRUE(peer->Send("a"));
    sent.set_value();
    EXPECT_EQ(peer->Receive(1), "a");
    return peer;
  }
  LoopThread& thread() { return server_.thread(); }
  test::SystemCalls Calls() {
    return thread().Call([] { return test::CountedCalls(); });
  }

 private:
  StreamServer server_;
};

/// Each is looked at in the turn of the next.
TEST(ListenerTest, ClientsThatEndPromptlyAreNotWatched) {
  PromptClients clients(seconds(600));
  const auto before = clients.Calls();
  constexpr size_t kClients = 100;
  for (size_t i = 0; i < kClients; ++i) clients.Ask();
  const auto after = clients.Calls();
  EXPECT_EQ(after.controls - before.controls, 0U);
  EXPECT_EQ(after.receives - before.receives, 2 * kClients);
  EXPECT_EQ(after.sends - before.sends, kClients);
}

TEST(ListenerTest, AmongClientsThatEndPromptlyOneMayStay) {
  PromptClients clients(seconds(600));
  auto before_the_look = clients.Ask();
  EXPECT_TRUE(before_the_look->Send("b"));
  clients.thread().Call([] {});
  EXPECT_EQ(before_the_look->Receive(1), "b");
  auto after_the_look = clients.Ask();
  clients.thread().Call([] {});
  for (auto* peer : {before_the_look.get(), after_the_look.get()}) {
    EXPECT_TRUE(peer->Send("c"));
    EXPECT_EQ(peer->Receive(1), "c");
  }
}

TEST(ListenerTest, TheSecondLookComesInItsTime) {
  PromptClients clients(milliseconds(50));
  auto peer = clients.Ask();
  EXPECT_TRUE(peer->Send("b"));
  EXPECT_EQ(peer->Receive(1), "b");
}

TEST(ListenerTest, RunningOutOfDescriptorsPausesAccepting) {
  StreamServer server({});
  RawPeer waiting(server.address());
  server.Accepted();
  // The next descriptor would be over the limit: accept4 fails until it is lifted.
  rlimit before{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  Descriptor client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  Descriptor next(dup(0));
  rlimit tight = before;
  tight.rlim_cur = static_cast<rlim_t>(next.get());
  next.Close();
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &tight), 0);
  ASSERT_EQ(connect(client.get(), server.address().get(), server.address().length()), 0);
  EXPECT_TRUE(
      server.thread().Await([&] { return server.listener().counters().accept_errors >= 1; }));
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &before), 0);
  EXPECT_NE(server.Accepted(1), nullptr);
  EXPECT_LT(server.Counters().accept_errors, 50u);  // it did not spin
}

}  // namespace
}  // namespace nearside::net
