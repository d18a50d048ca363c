#include "net/connector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <optional>

#include "tests/net/stream_pair.h"

namespace nearside::net {
namespace {

using testing::HasSubstr;

/// Connects and waits for the outcome, which is then on the server's loop.
class Attempt {
 public:
  Attempt(LoopThread& thread, const ConnectOptions& options) : thread_(thread) {
    thread_.Call([&] {
      connector_ = Connector::Start(thread_.loop(), options, [this](auto stream) {
        ++calls;
        if (stream.has_value()) {
          recorder = std::make_unique<Recorder>(std::move(*stream));
        } else {
          error = stream.error();
        }
        connector_.reset();  // in its own callback
      });
      EXPECT_EQ(calls, 0) << "called from inside Start";
    });
    EXPECT_TRUE(thread_.Await([this] { return calls > 0; }));
  }
  ~Attempt() {
    thread_.Call([this] {
      recorder.reset();
      connector_.reset();
    });
  }

  int calls = 0;
  std::unique_ptr<Recorder> recorder;
  std::optional<Error> error;

 private:
  LoopThread& thread_;
  std::unique_ptr<Connector> connector_;
};

ConnectOptions To(const StreamServer& server, std::shared_ptr<TlsClient> tls,
                  std::string name = "www.demo.test") {
  return {.address = server.address(), .tls = std::move(tls), .server_name = std::move(name)};
}

TEST(ConnectorTest, ConnectsInCleartext) {
  StreamServer server({});
  Attempt attempt(server.thread(), To(server, nullptr));
  ASSERT_NE(attempt.recorder, nullptr);
  EXPECT_EQ(attempt.recorder->stream->peer(), server.address());
  EXPECT_FALSE(attempt.recorder->stream->is_tls());
  EXPECT_TRUE(attempt.recorder->stream->Covers("any.test"));
  Recorder* accepted = server.Accepted();
  EXPECT_EQ(accepted->stream->peer(),
            server.thread().Call([&] { return attempt.recorder->stream->local(); }));
}

TEST(ConnectorTest, ConnectsWithTlsAndAlpn) {
  StreamServer server({.tls = true, .alpn = {"h2", "http/1.1"}});
  auto tls = *TlsClient::Create(server.authority().file(), {"http/1.1", "h2"});
  Attempt attempt(server.thread(), To(server, tls));
  ASSERT_NE(attempt.recorder, nullptr) << attempt.error->ToString();
  EXPECT_EQ(attempt.recorder->stream->alpn(), "h2");  // the server's order decides
  EXPECT_TRUE(attempt.recorder->stream->is_tls());
  EXPECT_TRUE(attempt.recorder->stream->Covers("www.demo.test"));
  EXPECT_FALSE(attempt.recorder->stream->Covers("other.test"));
  EXPECT_EQ(server.Accepted()->stream->server_name(), "www.demo.test");
}

TEST(ConnectorTest, ARefusedConnectionIsNamed) {
  LoopThread thread;
  // A port that was free a moment ago, since a bound socket that does not listen refuses.
  Descriptor bound(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto any = *SocketAddress::Parse("127.0.0.1:0");
  ASSERT_EQ(bind(bound.get(), any.get(), any.length()), 0);
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  getsockname(bound.get(), reinterpret_cast<sockaddr*>(&storage), &length);
  Attempt attempt(thread,
                  {.address = SocketAddress(reinterpret_cast<sockaddr*>(&storage), length)});
  ASSERT_TRUE(attempt.error.has_value());
  EXPECT_EQ(attempt.error->reason, "connect_refused");
  EXPECT_EQ(attempt.error->fault, Fault::kOrigin);
}

TEST(ConnectorTest, AnUnreachableAddressFailsLater) {
  LoopThread thread;
  Attempt attempt(thread, {.address = *SocketAddress::Parse("255.255.255.255:80")});
  ASSERT_TRUE(attempt.error.has_value());
  EXPECT_EQ(attempt.error->reason, "connect_failed");
  EXPECT_EQ(attempt.calls, 1);
}

TEST(ConnectorTest, AServerThatDoesNotAnswerTlsTimesOut) {
  StreamServer server({});  // takes the ClientHello and says nothing
  auto tls = *TlsClient::Create(server.authority().file(), {});
  ConnectOptions options = To(server, tls);
  options.timeout = milliseconds(300);
  Attempt attempt(server.thread(), options);
  ASSERT_TRUE(attempt.error.has_value());
  EXPECT_EQ(attempt.error->reason, "connect_timeout");
  EXPECT_THAT(attempt.error->message, HasSubstr("TLS"));
}

TEST(ConnectorTest, AConnectionThatIsNotAcceptedTimesOut) {
  // A listening socket with a backlog of 0 that is full: further SYNs are not answered.
  LoopThread thread;
  Descriptor listening(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  auto any = *SocketAddress::Parse("127.0.0.1:0");
  ASSERT_EQ(bind(listening.get(), any.get(), any.length()), 0);
  ASSERT_EQ(listen(listening.get(), 0), 0);
  sockaddr_storage storage{};
  socklen_t length = sizeof storage;
  getsockname(listening.get(), reinterpret_cast<sockaddr*>(&storage), &length);
  SocketAddress address(reinterpret_cast<sockaddr*>(&storage), length);
  RawPeer filler(address);
  Attempt attempt(thread, {.address = address, .timeout = milliseconds(30)});
  ASSERT_TRUE(attempt.error.has_value());
  EXPECT_EQ(attempt.error->reason, "connect_timeout");
}

TEST(ConnectorTest, AnUntrustedAuthorityIsNamed) {
  StreamServer server({.tls = true});
  TestAuthority stranger;
  Attempt attempt(server.thread(), To(server, *TlsClient::Create(stranger.file(), {})));
  ASSERT_TRUE(attempt.error.has_value());
  EXPECT_EQ(attempt.error->reason, "tls_untrusted");
  EXPECT_EQ(attempt.error->fault, Fault::kOrigin);
  EXPECT_THAT(attempt.error->message, HasSubstr("unable to get local issuer certificate"));
  EXPECT_THAT(attempt.error->message, HasSubstr("www.demo.test"));
  EXPECT_TRUE(
      server.thread().Await([&] { return server.listener().counters().handshakes_failed == 1; }));
}

TEST(ConnectorTest, AWrongNameIsNamed) {
  StreamServer server({.tls = true});
  auto tls = *TlsClient::Create(server.authority().file(), {});
  for (const char* name : {"other.test", "demo.test", "a.www.demo.test", "127.0.0.1"}) {
    Attempt attempt(server.thread(), To(server, tls, name));
    ASSERT_TRUE(attempt.error.has_value()) << name;
    EXPECT_EQ(attempt.error->reason, "tls_wrong_name");
    EXPECT_THAT(attempt.error->message, HasSubstr("mismatch")) << name;
  }
}

/// Server with one certificate of `leaf`, under the test's own authority.
struct Named {
  explicit Named(const TestAuthority::Leaf& leaf)
      : server({.tls = true, .certificates = {authority.Issue(leaf)}}) {}
  TestAuthority authority;
  StreamServer server;
};

TEST(ConnectorTest, AnExpiredCertificateIsNamed) {
  Named expired({.names = {"www.demo.test"}, .from_days = -30, .until_days = -1});
  Attempt attempt(expired.server.thread(),
                  To(expired.server, *TlsClient::Create(expired.authority.file(), {})));
  ASSERT_TRUE(attempt.error.has_value());
  EXPECT_EQ(attempt.error->reason, "tls_expired");
  EXPECT_THAT(attempt.error->message, HasSubstr("certificate has expired"));
}

TEST(ConnectorTest, ACertificateOfTheFutureIsNamedLikewise) {
  Named early({.names = {"www.demo.test"}, .from_days = 1, .until_days = 30});
  Attempt attempt(early.server.thread(),
                  To(early.server, *TlsClient::Create(early.authority.file(), {})));
  ASSERT_TRUE(attempt.error.has_value());
  EXPECT_EQ(attempt.error->reason, "tls_expired");
}

TEST(ConnectorTest, AnAddressIsVerifiedAsAnAddress) {
  Named addressed({.names = {"www.demo.test"}, .addresses = {"127.0.0.1"}});
  auto tls = *TlsClient::Create(addressed.authority.file(), {});
  Attempt attempt(addressed.server.thread(), To(addressed.server, tls, "127.0.0.1"));
  ASSERT_NE(attempt.recorder, nullptr) << attempt.error->ToString();
  EXPECT_EQ(addressed.server.Accepted()->stream->server_name(), "");  // RFC 6066 §3
  EXPECT_TRUE(attempt.recorder->stream->Covers("127.0.0.1"));
  EXPECT_FALSE(attempt.recorder->stream->Covers("127.0.0.2"));
}

TEST(ConnectorTest, AClearServerIsNoTlsServer) {
  StreamServer server({});
  server.on_recorder = [](Recorder* recorder) { recorder->Send("220 smtp.test ESMTP\r\n"); };
  Attempt attempt(server.thread(), To(server, *TlsClient::Create(server.authority().file(), {})));
  ASSERT_TRUE(attempt.error.has_value());
  EXPECT_EQ(attempt.error->reason, "tls_failed");
  EXPECT_THAT(attempt.error->message, HasSubstr("wrong version number"));
}

TEST(ConnectorTest, AServerThatClosesInTheHandshakeIsNamed) {
  StreamServer server({});
  server.on_stream = [](std::unique_ptr<Stream> stream) { stream.reset(); };
  Attempt attempt(server.thread(), To(server, *TlsClient::Create(server.authority().file(), {})));
  ASSERT_TRUE(attempt.error.has_value());
  EXPECT_EQ(attempt.error->reason, "tls_failed");
}

TEST(ConnectorTest, ADestroyedAttemptIsCancelled) {
  StreamServer server({.tls = true});
  auto tls = *TlsClient::Create(server.authority().file(), {});
  int calls = 0;
  server.thread().Call([&] {
    for (int i = 0; i < 10; ++i) {
      Connector::Start(server.thread().loop(), To(server, tls), [&](auto) { ++calls; });
    }
  });
  EXPECT_TRUE(server.thread().Await([&] {
    return server.listener().counters().handshakes_failed +
               server.listener().counters().handshakes_timed_out ==
           server.listener().counters().accepted;
  }));
  EXPECT_EQ(calls, 0);
}

TEST(ConnectorTest, WithoutANameNothingIsTrusted) {
  StreamServer server({.tls = true});
  auto tls = *TlsClient::Create(server.authority().file(), {});
  for (const std::string& name : {std::string(), std::string("www.demo.test\0.evil.test", 24)}) {
    Attempt attempt(server.thread(), To(server, tls, name));
    ASSERT_TRUE(attempt.error.has_value());
    EXPECT_EQ(attempt.error->reason, "tls_failed");
  }
}

TEST(ConnectorTest, AnUnusableCaFileIsRefused) {
  ScratchFolder folder;
  for (const std::string& file :
       {folder.path() + "/missing.pem", folder.Write("garbage.pem", "no certificate")}) {
    auto tls = TlsClient::Create(file, {});
    ASSERT_FALSE(tls.has_value());
    EXPECT_EQ(tls.error().reason, "bad_certificate");
    EXPECT_EQ(tls.error().fault, Fault::kOperator);
    EXPECT_THAT(tls.error().message, HasSubstr(file));
  }
}

TEST(ConnectorTest, TheSystemsStoreTrustsNoTestAuthority) {
  StreamServer server({.tls = true});
  auto tls = TlsClient::Create("", {});
  ASSERT_TRUE(tls.has_value());
  Attempt attempt(server.thread(), To(server, *tls));
  ASSERT_TRUE(attempt.error.has_value());
  EXPECT_EQ(attempt.error->reason, "tls_untrusted");
}

}  // namespace
}  // namespace nearside::net
