// TLS as a peer sees it: certificate choice, ALPN, ciphers, tickets, renegotiation, alerts.

#include "net/tls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <openssl/x509v3.h>

#include "tests/net/stream_pair.h"

namespace nearside::net {
namespace {

std::string PeerName(RawPeer& peer) {
  X509* certificate = SSL_get0_peer_certificate(peer.ssl());
  char name[256] = {};
  X509_NAME_get_text_by_NID(X509_get_subject_name(certificate), NID_commonName, name, sizeof name);
  return name;
}

class SniTest : public testing::Test {
 protected:
  StreamServer::Options Options() {
    return {.tls = true,
            .certificates = {
                authority_.Issue({.names = {"first.test"}, .common_name = "first"}),
                authority_.Issue({.names = {"www.demo.test"}, .common_name = "exact"}),
                authority_.Issue({.names = {"*.demo.test"}, .common_name = "wildcard"}),
                authority_.Issue({.names = {"www.demo.test"}, .common_name = "too late"})}};
  }
  TestAuthority authority_;
  StreamServer server_{Options()};
};

TEST_F(SniTest, ExactThenWildcardThenFirst) {
  struct Row {
    const char* asked;
    const char* given;
  };
  for (Row row : std::initializer_list<Row>{{"www.demo.test", "exact"},
                                            {"WWW.DEMO.test", "exact"},
                                            {"img.demo.test", "wildcard"},
                                            {"a.b.demo.test", "first"},
                                            {"demo.test", "first"},
                                            {"first.test", "first"},
                                            {"unknown.test", "first"},
                                            {"localhost", "first"}}) {
    auto peer = server_.Connect({.server_name = row.asked});
    EXPECT_EQ(PeerName(*peer), row.given) << row.asked;
  }
}

TEST_F(SniTest, TheStreamKnowsNameAndCoverage) {
  auto peer = server_.Connect({.server_name = "IMG.demo.test"});
  Recorder* recorder = server_.Accepted();
  EXPECT_EQ(recorder->stream->server_name(), "img.demo.test");
  server_.thread().Call([&] {
    EXPECT_TRUE(recorder->stream->Covers("img.demo.test"));
    EXPECT_TRUE(recorder->stream->Covers("other.demo.test"));
    EXPECT_FALSE(recorder->stream->Covers("first.test"));
  });
}

TEST_F(SniTest, WithoutSniTheFirstCertificate) {
  RawPeer peer(server_.address());
  ASSERT_TRUE(peer.StartTls({}));
  EXPECT_EQ(PeerName(peer), "first");
  Recorder* recorder = server_.Accepted();
  EXPECT_EQ(recorder->stream->server_name(), "");
}

TEST(AlpnTest, TheServersOrderDecides) {
  StreamServer server({.tls = true, .alpn = {"h2", "http/1.1"}});
  struct Row {
    std::vector<std::string> offered;
    const char* agreed;
  };
  size_t n = 0;
  for (const Row& row : std::initializer_list<Row>{{{"http/1.1", "h2"}, "h2"},
                                                   {{"h2"}, "h2"},
                                                   {{"spdy/3", "http/1.1"}, "http/1.1"},
                                                   {{}, ""}}) {
    auto peer = server.Connect({.alpn = row.offered});
    EXPECT_EQ(server.Accepted(n++)->stream->alpn(), row.agreed);
  }
}

TEST(AlpnTest, NothingInCommonEndsTheHandshake) {
  StreamServer server({.tls = true, .alpn = {"h2"}});
  RawPeer peer(server.address());
  EXPECT_FALSE(peer.StartTls({.server_name = "www.demo.test", .alpn = {"smtp", "h", "h2c"}}));
  EXPECT_THAT(peer.error(), testing::HasSubstr("no application protocol"));
  EXPECT_EQ(server.Counters().handshakes_failed, 1u);
}

TEST(AlpnTest, AServerWithoutProtocolsIgnoresTheOffer) {
  StreamServer server({.tls = true, .alpn = {}});
  auto peer = server.Connect({.alpn = {"h2"}});
  EXPECT_EQ(server.Accepted()->stream->alpn(), "");
}

TEST(TlsTest, Version13WithX25519AndAes128First) {
  StreamServer server({.tls = true});
  auto peer = server.Connect();
  EXPECT_STREQ(SSL_get_version(peer->ssl()), "TLSv1.3");
  // The client lists AES-256 first.
  bool hardware_aes = __builtin_cpu_supports("aes") != 0;
  EXPECT_STREQ(SSL_get_cipher_name(peer->ssl()),
               hardware_aes ? "TLS_AES_128_GCM_SHA256" : "TLS_CHACHA20_POLY1305_SHA256");
  EXPECT_EQ(SSL_get_negotiated_group(peer->ssl()), NID_X25519);
}

TEST(TlsTest, Version12IsSpokenAndVersion11IsNot) {
  StreamServer server({.tls = true});
  server.on_recorder = [](Recorder* recorder) { recorder->echo = true; };
  auto peer = server.Connect({.max_version = TLS1_2_VERSION});
  EXPECT_STREQ(SSL_get_version(peer->ssl()), "TLSv1.2");
  std::string body = Pattern(100'000);
  peer->Send(body);
  EXPECT_TRUE(peer->Receive(body.size()) == body);
  RawPeer old(server.address());
  EXPECT_FALSE(old.StartTls({.server_name = "www.demo.test", .max_version = TLS1_1_VERSION}));
}

TEST(TlsTest, RenegotiationIsRefused) {
  StreamServer server({.tls = true});
  server.on_recorder = [](Recorder* recorder) { recorder->echo = true; };
  auto peer = server.Connect({.max_version = TLS1_2_VERSION});
  ASSERT_EQ(SSL_renegotiate(peer->ssl()), 1);
  EXPECT_NE(SSL_do_handshake(peer->ssl()), 1);
}

TEST(TlsTest, AKeyUpdateOfThePeerIsAnswered) {
  StreamServer server({.tls = true});
  server.on_recorder = [](Recorder* recorder) { recorder->echo = true; };
  auto peer = server.Connect();
  for (int i = 0; i < 20; ++i) {
    ASSERT_EQ(SSL_key_update(peer->ssl(), SSL_KEY_UPDATE_REQUESTED), 1);
    std::string body = Pattern(20'000 + static_cast<size_t>(i));
    peer->Send(body);
    EXPECT_TRUE(peer->Receive(body.size()) == body);
  }
}

TEST(TlsTest, AHelloRetryIsServed) {
  StreamServer server({.tls = true});
  server.on_recorder = [](Recorder* recorder) { recorder->echo = true; };
  auto peer = server.Connect({.groups = "P-521:P-256"});
  peer->Send("hello");
  EXPECT_EQ(peer->Receive(5), "hello");
}

TEST(TlsTest, BytesThatAreNoRecordBreakTheConnection) {
  StreamServer server({.tls = true});
  auto peer = server.Connect();
  Recorder* recorder = server.Accepted();
  peer->Send("good");
  EXPECT_TRUE(server.thread().Await([&] { return recorder->received == "good"; }));
  peer->SendRaw(std::string("\x17\x03\x03\x00\x20", 5) + Pattern(0x20));
  EXPECT_TRUE(server.thread().Await([&] { return recorder->closed.has_value(); }));
  EXPECT_EQ(recorder->closed->reason, "tls_failed");
  EXPECT_EQ(recorder->received, "good");
  // The alert has reached the peer.
  peer->ReceiveAll();
  EXPECT_THAT(peer->error(), testing::HasSubstr("bad record mac"));
}

TEST(TlsTest, TheRequestInTheSegmentOfTheFinishedIsDelivered) {
  StreamServer server({.tls = true});
  OpensslPtr<SSL_CTX> context(SSL_CTX_new(TLS_client_method()));
  OpensslPtr<SSL> ssl(SSL_new(context.get()));
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  SSL_set_bio(ssl.get(), in, out);
  SSL_set_connect_state(ssl.get());
  RawPeer peer(server.address());
  auto take = [&] {
    std::string bytes(BIO_ctrl_pending(out), '\0');
    BIO_read(out, bytes.data(), static_cast<int>(bytes.size()));
    return bytes;
  };
  while (SSL_do_handshake(ssl.get()) != 1) {
    peer.SendRaw(take());
    std::string byte = peer.Receive(1);
    ASSERT_EQ(byte.size(), 1u);
    BIO_write(in, byte.data(), 1);
  }
  // Finished, a request of two records and close_notify in one send.
  SSL_write(ssl.get(), "first ", 6);
  SSL_write(ssl.get(), "second", 6);
  SSL_shutdown(ssl.get());
  peer.SendRaw(take());
  Recorder* recorder = server.Accepted();
  EXPECT_TRUE(server.thread().Await([&] { return recorder->ends == 1; }));
  EXPECT_EQ(recorder->received, "first second");
}

TEST(TicketTest, AnotherServerWithTheSameKeysResumes) {
  TestAuthority authority;
  Certificate certificate = authority.Issue({.names = {"www.demo.test"}});
  TicketKeys keys = TicketKeys::Random();
  for (int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    StreamServer::Options options{.tls = true, .certificates = {certificate}, .ticket_keys = keys};
    StreamServer first(options);
    StreamServer second(options);
    StreamServer stranger({.tls = true, .certificates = {certificate}});
    auto greet = [](Recorder* recorder) { recorder->Send("hello"); };
    first.on_recorder = second.on_recorder = stranger.on_recorder = greet;
    auto peer = first.Connect({.max_version = version});
    EXPECT_EQ(peer->Receive(5), "hello");  // TLS 1.3 tickets come after the handshake
    EXPECT_EQ(SSL_session_reused(peer->ssl()), 0);
    SSL_SESSION* session = peer->Session();
    ASSERT_NE(session, nullptr);
    auto resumed = second.Connect({.resume = session, .max_version = version});
    EXPECT_EQ(resumed->Receive(5), "hello");
    EXPECT_EQ(SSL_session_reused(resumed->ssl()), 1);
    auto refused = stranger.Connect({.resume = session, .max_version = version});
    EXPECT_EQ(refused->Receive(5), "hello");
    EXPECT_EQ(SSL_session_reused(refused->ssl()), 0);
    SSL_SESSION_free(session);
  }
}

TEST(TicketTest, AResumedConnectionHasItsCertificateBySni) {
  TestAuthority authority;
  StreamServer server({.tls = true,
                       .certificates = {authority.Issue({.names = {"first.test"}}),
                                        authority.Issue({.names = {"second.test"}})}});
  server.on_recorder = [](Recorder* recorder) { recorder->Send("hello"); };
  auto peer = server.Connect({.server_name = "second.test"});
  EXPECT_EQ(peer->Receive(5), "hello");
  SSL_SESSION* session = peer->Session();
  ASSERT_NE(session, nullptr);
  auto resumed = server.Connect({.server_name = "second.test", .resume = session});
  EXPECT_EQ(resumed->Receive(5), "hello");
  EXPECT_EQ(SSL_session_reused(resumed->ssl()), 1);
  Recorder* recorder = server.Accepted(1);
  server.thread().Call([&] {
    EXPECT_TRUE(recorder->stream->Covers("second.test"));
    EXPECT_FALSE(recorder->stream->Covers("first.test"));
  });
  SSL_SESSION_free(session);
}

TEST(TicketTest, OneTicketAHandshake) {
  StreamServer server({.tls = true});
  server.on_recorder = [](Recorder* recorder) { recorder->Send("hello"); };
  auto peer = server.Connect();
  EXPECT_EQ(peer->Receive(5), "hello");
  EXPECT_EQ(SSL_SESSION_get_max_early_data(SSL_get0_session(peer->ssl())), 0u);
  int tickets = 0;
  SSL_SESSION* session = peer->Session();
  if (session != nullptr) ++tickets;
  SSL_SESSION_free(session);
  EXPECT_EQ(tickets, 1);
}

TEST(ReloadTest, NewConnectionsUseTheNewCertificateAndOldOnesGoOn) {
  TestAuthority authority;
  StreamServer server(
      {.tls = true,
       .certificates = {authority.Issue({.names = {"www.demo.test"}, .common_name = "old"})}});
  server.on_recorder = [](Recorder* recorder) { recorder->echo = true; };
  auto before = server.Connect();
  EXPECT_EQ(PeerName(*before), "old");
  server.thread().Call([&] {
    server.listener().SetTls(
        *TlsServer::Create({authority.Issue({.names = {"www.demo.test"}, .common_name = "new"})},
                           {"h2"}, TicketKeys::Random()));
  });
  EXPECT_EQ(PeerName(*server.Connect()), "new");
  before->Send("still here");
  EXPECT_EQ(before->Receive(10), "still here");
  Recorder* old = server.Accepted(0);
  EXPECT_TRUE(server.thread().Call([&] { return old->stream->Covers("www.demo.test"); }));
}

}  // namespace
}  // namespace nearside::net
