#include "geodns/tcp_session.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/dns/wire_query.h"
#include "tests/geodns/dns_client.h"

namespace nearside::geodns {
namespace {

/// A stream whose peer takes what a test lets it take.
class NarrowStream final : public net::Stream {
 public:
  explicit NarrowStream(net::EventLoop& loop) : loop_(loop) {}
  void SetHandler(net::StreamHandler*) override {}
  void WantWrite() override {}
  void PauseReading() override { paused = true; }
  void ResumeReading() override { paused = false; }
  void Close(milliseconds) override {}
  void EndSending() override {}
  void Abort() override {}
  size_t unsent_bytes() const override { return 0; }
  const net::StreamCounters& counters() const override { return counters_; }
  net::EventLoop& loop() override { return loop_; }
  const net::SocketAddress& peer() const override { return address_; }
  const net::SocketAddress& local() const override { return address_; }
  std::string_view alpn() const override { return ""; }
  std::string_view server_name() const override { return ""; }
  bool is_tls() const override { return false; }
  bool is_https() const override { return false; }
  bool Covers(std::string_view) const override { return true; }

  bool paused = false;

 private:
  net::EventLoop& loop_;
  net::StreamCounters counters_;
  net::SocketAddress address_ = *net::SocketAddress::Parse("127.0.0.1:53");
};

class Window final : public net::Output {
 public:
  explicit Window(size_t room) : room_(room) {}
  size_t room() const override { return room_ - taken.size(); }
  void Append(std::span<const uint8_t> bytes) override {
    taken.insert(taken.end(), bytes.begin(), bytes.end());
  }
  std::vector<uint8_t> taken;

 private:
  size_t room_;
};

class TcpSessionTest : public testing::Test, public TcpSessionOwner {
 protected:
  TcpSessionTest() {
    std::string text = "$TTL 300\n@ SOA ns1 h 1 1 1 1 60\n@ NS ns1\nns1 A 192.0.2.53\n";
    for (int i = 0; i < 40; ++i) {
      text += "big TXT \"" + std::to_string(i) + std::string(250, 'x') + "\"\n";
    }
    auto origin = *dns::Name::FromText("demo.test.");
    auto zone = Zone::Build(origin, "z", *ParseZoneFile(text, "z", origin), {});
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->zones = ZoneIndex({std::make_shared<Zone>(std::move(*zone))});
    desk_.SetSnapshot(std::move(snapshot));
    auto stream = std::make_unique<NarrowStream>(*loop_);
    stream_ = stream.get();
    session_ = std::make_unique<TcpSession>(context_, *this, std::move(stream));
  }
  void OnQuery(TcpSession*) override {}
  void OnSessionEnd(TcpSession*) override { ended_ = true; }
  void Ask() { session_->OnBytes(Framed(dns::WireQuery("big.demo.test.", 16).Bytes())); }

  std::unique_ptr<net::EventLoop> loop_ = std::move(*net::EventLoop::Create());
  metrics::Registry registry_;
  DnsMetrics metrics_{registry_};
  QueryDesk desk_{*loop_, metrics_, *registry_.MakeCells(), nullptr, 1024};
  TcpContext context_{.loop = *loop_, .desk = desk_};
  NarrowStream* stream_ = nullptr;
  std::unique_ptr<TcpSession> session_;
  bool ended_ = false;
};

/// A client that always has a query under way, so that what waits never becomes nothing.
TEST_F(TcpSessionTest, WhatHasBeenSentIsNotKept) {
  Ask();
  Window length(2);
  ASSERT_TRUE(session_->Produce(length));
  std::vector<uint8_t> received = length.taken;
  const size_t message = 2 + static_cast<size_t>(received[0] << 8 | received[1]);
  constexpr size_t kRounds = 2000;
  for (size_t round = 0; round < kRounds; ++round) {
    Ask();
    Window window(round % 2 == 0 ? message - 100 : message + 100);
    ASSERT_TRUE(session_->Produce(window)) << "never all of it";
    received.insert(received.end(), window.taken.begin(), window.taken.end());
    ASSERT_LT(session_->buffer_bytes(), 10 * message) << "after " << received.size() << " bytes";
  }
  EXPECT_FALSE(stream_->paused);
  EXPECT_FALSE(ended_);
  ASSERT_EQ(received.size(), 2 + kRounds * message);
  for (size_t at = message; at + message <= received.size(); at += message) {
    ASSERT_TRUE(std::equal(received.begin(), received.begin() + static_cast<long>(message),
                           received.begin() + static_cast<long>(at)))
        << "message after message, all alike";
  }
}

TEST_F(TcpSessionTest, WhoHasItsAnswersHoldsNoBuffer) {
  Ask();
  Window window(1 << 20);
  ASSERT_FALSE(session_->Produce(window));
  EXPECT_EQ(session_->buffer_bytes(), 0U);
  EXPECT_TRUE(session_->is_idle());
}

TEST(SpareBuffersTest, AreEmptyAndAreTheSameAgain) {
  SpareBuffers spare;
  EXPECT_EQ(spare.Take().capacity(), 0U);
  std::vector<uint8_t> buffer(100, 'x');
  const uint8_t* memory = buffer.data();
  spare.Give(buffer);
  EXPECT_EQ(buffer.capacity(), 0U);
  spare.Give(buffer);  // which is none
  buffer = spare.Take();
  EXPECT_EQ(buffer.data(), memory);
  EXPECT_EQ(buffer.size(), 0U);
  EXPECT_EQ(spare.Take().capacity(), 0U);
}

TEST(SpareBuffersTest, AreFewAndSmall) {
  SpareBuffers spare;
  std::vector<uint8_t> large(SpareBuffers::kMostBytes + 1);
  spare.Give(large);
  EXPECT_EQ(spare.Take().capacity(), 0U);
  for (size_t i = 0; i < SpareBuffers::kMost + 10; ++i) {
    std::vector<uint8_t> buffer(SpareBuffers::kMostBytes);
    spare.Give(buffer);
  }
  size_t kept = 0;
  while (spare.Take().capacity() > 0) ++kept;
  EXPECT_EQ(kept, SpareBuffers::kMost);
}

}  // namespace
}  // namespace nearside::geodns
