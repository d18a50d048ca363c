// A listener behind proxies: who made a connection is what its PROXY header says.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/listener.h"
#include "tests/net/stream_pair.h"

namespace nearside::net {
namespace {

using testing::HasSubstr;

std::string ShortHeader(uint8_t command, uint8_t family, const std::string& rest) {
  std::string text("\r\n\r\n\0\r\nQUIT\n", 12);
  text += static_cast<char>(command);
  text += static_cast<char>(family);
  text += '\0';
  text += static_cast<char>(rest.size());
  return text + rest;
}

/// From 192.0.2.7:4711.
std::string FromClient() {
  return ShortHeader(0x21, 0x11,
                     std::string("\xc0\x00\x02\x07\x7f\x00\x00\x01\x12\x67\x01\xbb", 12));
}

StreamServer::Options Behind(std::string range, bool tls = false) {
  StreamServer::Options options{.tls = tls};
  options.listener.proxy_protocol = true;
  options.listener.proxies =
      std::make_shared<const AddressRanges>(AddressRanges::Parse({std::move(range)}).value());
  return options;
}

uint64_t Refused(StreamServer& server, ProxyRefusal refusal) {
  return server.Counters().proxy_refused[static_cast<size_t>(refusal)];
}

std::string PeerOf(StreamServer& server, Recorder* recorder) {
  return server.thread().Call([&] { return recorder->stream->peer().ToString(); });
}

TEST(ProxyListenerTest, TheAnnouncedAddressIsThePeers) {
  StreamServer server(Behind("127.0.0.0/8"));
  RawPeer peer(server.address());
  peer.SendRaw(FromClient() + "hello");
  Recorder* recorder = server.Accepted();
  EXPECT_EQ(PeerOf(server, recorder), "192.0.2.7:4711");
  EXPECT_TRUE(server.thread().Await([&] { return recorder->received == "hello"; }));
}

TEST(ProxyListenerTest, TheHeaderComesBeforeTls) {
  StreamServer server(Behind("127.0.0.1", /*tls=*/true));
  RawPeer peer(server.address());
  peer.SendRaw(FromClient());
  ASSERT_TRUE(peer.StartTls({.server_name = "www.demo.test", .alpn = {"h2"}})) << peer.error();
  peer.Send("hello");
  Recorder* recorder = server.Accepted();
  EXPECT_EQ(PeerOf(server, recorder), "192.0.2.7:4711");
  EXPECT_TRUE(server.thread().Await([&] { return recorder->received == "hello"; }));
  EXPECT_EQ(server.thread().Call([&] { return std::string(recorder->stream->alpn()); }), "h2");
}

TEST(ProxyListenerTest, TlsThatEndedAtTheProxyMakesItHttps) {
  StreamServer server(Behind("127.0.0.0/8"));
  const std::string client("\xc0\x00\x02\x07\x7f\x00\x00\x01\x12\x67\x01\xbb", 12);
  RawPeer secure(server.address());
  secure.SendRaw(ShortHeader(0x21, 0x11, client + std::string("\x20\0\5\1\0\0\0\0", 8)));
  Recorder* recorder = server.Accepted();
  EXPECT_TRUE(server.thread().Call([&] { return recorder->stream->is_https(); }));
  EXPECT_FALSE(server.thread().Call([&] { return recorder->stream->is_tls(); }));
  RawPeer plain(server.address());
  plain.SendRaw(FromClient());
  Recorder* other = server.Accepted(1);
  EXPECT_FALSE(server.thread().Call([&] { return other->stream->is_https(); }));
}

TEST(ProxyListenerTest, ItMayComeByteByByte) {
  StreamServer server(Behind("127.0.0.0/8"));
  RawPeer peer(server.address());
  for (const char c : FromClient() + "hello") {
    peer.SendRaw(std::string(1, c));
    server.thread().Call([] {});
  }
  Recorder* recorder = server.Accepted();
  EXPECT_EQ(PeerOf(server, recorder), "192.0.2.7:4711");
  EXPECT_TRUE(server.thread().Await([&] { return recorder->received == "hello"; }));
}

TEST(ProxyListenerTest, OfItsOwnConnectionsAProxyIsThePeer) {
  StreamServer server(Behind("127.0.0.0/8"));
  RawPeer peer(server.address());
  peer.SendRaw(ShortHeader(0x20, 0, "") + "check");
  Recorder* recorder = server.Accepted();
  EXPECT_THAT(PeerOf(server, recorder), HasSubstr("127.0.0.1:"));
  EXPECT_TRUE(server.thread().Await([&] { return recorder->received == "check"; }));
}

TEST(ProxyListenerTest, WhoIsNotTrustedIsClosedUnheard) {
  StreamServer server(Behind("192.0.2.0/24"));
  RawPeer peer(server.address());
  peer.SendRaw(FromClient() + "hello");
  EXPECT_EQ(peer.ReceiveAll(), "");
  EXPECT_EQ(Refused(server, ProxyRefusal::kUntrusted), 1u);
  EXPECT_EQ(server.recorders(), 0u);
  // Until the settings say otherwise.
  server.thread().Call([&] {
    server.listener().SetProxies(
        std::make_shared<const AddressRanges>(AddressRanges::Parse({"127.0.0.1"}).value()));
  });
  RawPeer later(server.address());
  later.SendRaw(FromClient());
  EXPECT_EQ(PeerOf(server, server.Accepted()), "192.0.2.7:4711");
}

TEST(ProxyListenerTest, WhatIsNoHeaderIsClosedAndCountedByReason) {
  StreamServer server(Behind("127.0.0.0/8"));
  const struct {
    std::string bytes;
    ProxyRefusal refusal;
  } rows[] = {
      {"GET / HTTP/1.1\r\nHost: www.demo.test\r\n\r\n", ProxyRefusal::kNotProxy},
      {"PROXY TCP4 192.0.2.7 127.0.0.1 4711 443\r\n", ProxyRefusal::kVersion1},
      {ShortHeader(0x31, 0x11, "x"), ProxyRefusal::kBadVersion},
      {ShortHeader(0x2f, 0x11, "x"), ProxyRefusal::kBadCommand},
      {ShortHeader(0x21, 0x51, "x"), ProxyRefusal::kBadFamily},
      {ShortHeader(0x21, 0x11, "x"), ProxyRefusal::kTooShort},
      {std::string("\r\n\r\n\0\r\nQUIT\n\x21\x11\xff\xff", 16), ProxyRefusal::kTooLong},
  };
  for (const auto& row : rows) {
    RawPeer peer(server.address());
    peer.SendRaw(row.bytes);
    EXPECT_EQ(peer.ReceiveAll(), "") << ProxyRefusalName(row.refusal);
    EXPECT_EQ(Refused(server, row.refusal), 1u) << ProxyRefusalName(row.refusal);
  }
  EXPECT_EQ(server.recorders(), 0u);
}

TEST(ProxyListenerTest, AHeaderCutOffAtAnyByteIsCounted) {
  StreamServer server(Behind("127.0.0.0/8"));
  const std::string header = FromClient();
  for (size_t size = 0; size < header.size(); ++size) {
    RawPeer peer(server.address());
    peer.SendRaw(header.substr(0, size));
    peer.EndSocket();
    EXPECT_EQ(peer.ReceiveAll(), "");
    EXPECT_TRUE(server.thread().Await([&] {
      const auto& refused = server.listener().counters().proxy_refused;
      return refused[static_cast<size_t>(ProxyRefusal::kClosed)] == size + 1;
    }));
  }
}

TEST(ProxyListenerTest, AHeaderThatDoesNotComeIsNotWaitedForForEver) {
  StreamServer::Options options = Behind("127.0.0.0/8");
  options.listener.handshake_timeout = milliseconds(20);
  StreamServer server(std::move(options));
  RawPeer peer(server.address());
  peer.SendRaw(FromClient().substr(0, 20));
  EXPECT_EQ(peer.ReceiveAll(), "");
  EXPECT_EQ(Refused(server, ProxyRefusal::kTimeout), 1u);
}

TEST(ProxyListenerTest, ConnectionsThatWaitForTheirHeaderCount) {
  StreamServer::Options options = Behind("127.0.0.0/8");
  options.listener.max_connections = 1;
  StreamServer server(std::move(options));
  RawPeer waiting(server.address());
  EXPECT_TRUE(server.thread().Await([&] { return server.listener().counters().accepted == 1; }));
  RawPeer second(server.address());
  EXPECT_EQ(second.ReceiveAll(), "");
  EXPECT_EQ(server.Counters().refused_full, 1u);
  waiting.SendRaw(FromClient());
  EXPECT_EQ(PeerOf(server, server.Accepted()), "192.0.2.7:4711");
}

TEST(ProxyListenerTest, TheListenerMayEndWhileAHeaderIsAwaited) {
  auto server = std::make_unique<StreamServer>(Behind("127.0.0.0/8"));
  RawPeer peer(server->address());
  peer.SendRaw(FromClient().substr(0, 5));
  EXPECT_TRUE(server->thread().Await([&] { return server->listener().counters().accepted == 1; }));
  server.reset();
  EXPECT_EQ(peer.ReceiveAll(), "");
}

}  // namespace
}  // namespace nearside::net
