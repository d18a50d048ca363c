#include "geodns/worker.h"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <unistd.h>

#include <cstring>
#include <future>
#include <thread>

#include "tests/dns/decoded.h"
#include "tests/dns/wire_query.h"
#include "tests/geodns/dns_client.h"
#include "tests/net/loop_thread.h"
#include "tests/support/allocation_counter.h"
#include "tests/support/system_calls.h"

namespace nearside::geodns {
namespace {

using dns::Decoded;
using dns::WireQuery;
using testing::HasSubstr;
using Kind = DnsClient::Kind;

/// A zone whose www is at `address`, and whose big has 60 kB of TXT.
std::shared_ptr<const Snapshot> MakeZone(std::string_view address) {
  std::string text = "$TTL 300\n@ SOA ns1 h 1 1 1 1 60\n@ NS ns1\nns1 A 127.0.0.1\nwww A " +
                     std::string(address) + "\n";
  for (int i = 0; i < 200; ++i)
    text += "big TXT \"" + std::to_string(i) + std::string(250, 'x') + "\"\n";
  auto origin = *dns::Name::FromText("demo.test.");
  auto zone = Zone::Build(origin, "z", *ParseZoneFile(text, "z", origin), {});
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->zones = ZoneIndex({std::make_shared<Zone>(std::move(*zone))});
  return snapshot;
}

class WorkerTest : public testing::Test {
 protected:
  ~WorkerTest() override {
    if (worker_) loop_.Call([this] { worker_.reset(); });
  }
  void Start(std::string_view address = "127.0.0.1:0", WorkerOptions options = {}) {
    loop_.Call([&] {
      worker_ = std::make_unique<Worker>(loop_.loop(), metrics_, *registry_.MakeCells(),
                                         MakeZone("192.0.2.1"), options);
      auto bound = worker_->Open(*net::SocketAddress::Parse(address));
      ASSERT_TRUE(bound) << bound.error().message;
      server_ = *bound;
    });
  }
  /// One series of the exposition, as text.
  double Metric(const std::string& series) {
    std::string text = registry_.Expose();
    size_t at = text.find("\n" + series + " ");
    return at == std::string::npos ? -1 : std::stod(text.substr(at + series.size() + 2));
  }
  /// Far more answers than sockets and we hold, asked for in one piece.
  static std::vector<uint8_t> BigQueries(int count) {
    std::vector<uint8_t> bytes;
    for (int i = 0; i < count; ++i) {
      const auto framed = Framed(WireQuery("big.demo.test.", 16).Bytes());
      bytes.insert(bytes.end(), framed.begin(), framed.end());
    }
    return bytes;
  }
  static std::vector<uint8_t> Www() { return WireQuery("www.demo.test.").Bytes(); }

  metrics::Registry registry_;
  DnsMetrics metrics_{registry_};
  net::LoopThread loop_;
  std::unique_ptr<Worker> worker_;
  net::SocketAddress server_;
};

TEST_F(WorkerTest, UdpAnswers) {
  Start();
  DnsClient client(Kind::kUdp, server_);
  client.Send(Www());
  EXPECT_EQ(Decoded(client.Receive()),
            "NOERROR qr aa\n? www.demo.test. A\nanswer: www.demo.test. 300 A 192.0.2.1\n");
  client.Send(WireQuery("no.demo.test.", 28).Edns().Bytes());
  EXPECT_THAT(Decoded(client.Receive()), HasSubstr("NXDOMAIN"));
  EXPECT_EQ(Metric("nearside_dns_queries_total{transport=\"udp\",type=\"A\"}"), 1);
  EXPECT_EQ(Metric("nearside_dns_answers_total{transport=\"udp\",rcode=\"NXDOMAIN\"}"), 1);
}

TEST_F(WorkerTest, ManyQueriesAtOnceAreAllAnswered) {
  Start();
  DnsClient client(Kind::kUdp, server_);
  constexpr uint16_t kQueries = 200;  // several batches; more would not fit the client's own buffer
  for (uint16_t id = 0; id < kQueries; ++id)
    client.Send(WireQuery("www.demo.test.").Id(id).Bytes());
  std::vector<bool> answered(kQueries);
  for (uint16_t i = 0; i < kQueries; ++i) {
    auto answer = client.Receive();
    ASSERT_GE(answer.size(), 12U);
    answered[static_cast<size_t>(answer[0] << 8 | answer[1])] = true;
  }
  EXPECT_EQ(std::count(answered.begin(), answered.end(), true), kQueries);
}

class GatheringTest : public WorkerTest {
 protected:
  double Batches(const std::string& mode) {
    return Metric("nearside_dns_udp_batches_total{mode=\"" + mode + "\"}");
  }
  /// Asks as fast as it can until the worker gathers; false when it does not after many queries.
  bool AskUntilGathering(DnsClient* client) {
    constexpr int kRounds = 20'000;
    constexpr int kAtOnce = 5;  // where batches are long anyway there is nothing to gather
    for (int i = 0; i < kRounds && Batches("gathered") == 0; ++i) {
      for (int j = 0; j < kAtOnce; ++j) client->Send(Www());
      for (int j = 0; j < kAtOnce; ++j) {
        EXPECT_THAT(Decoded(client->Receive()), HasSubstr("192.0.2.1"));
      }
    }
    return Batches("gathered") > 0;
  }
  WorkerOptions options_{.udp = {.gather = milliseconds(10)}};
};

TEST_F(GatheringTest, BeginsWithManyQueriesAndEndsWithFew) {
  Start("127.0.0.1:0", options_);
  DnsClient client(Kind::kUdp, server_);
  ASSERT_TRUE(AskUntilGathering(&client));
  const double told = Batches("told");
  for (int i = 0; i < 1000 && Batches("told") == told; ++i) {
    std::this_thread::sleep_for(milliseconds(30));  // so that they are few
    client.Send(Www());
    EXPECT_THAT(Decoded(client.Receive()), HasSubstr("192.0.2.1"));
  }
  EXPECT_GT(Batches("told"), told);
}

TEST_F(GatheringTest, LeavesEverythingElseOfTheLoopAlone) {
  Start("127.0.0.1:0", options_);
  DnsClient client(Kind::kUdp, server_);
  ASSERT_TRUE(AskUntilGathering(&client));
  DnsClient stream(Kind::kTcp, server_);
  stream.SendFramed(Www());
  EXPECT_THAT(Decoded(stream.Receive()), HasSubstr("192.0.2.1"));
  loop_.Call([this] { worker_->SetSnapshot(MakeZone("192.0.2.2")); });
  client.Send(Www());
  EXPECT_THAT(Decoded(client.Receive()), HasSubstr("192.0.2.2"));
}

TEST_F(GatheringTest, ADrainAnswersWhatWaits) {
  Start("127.0.0.1:0", options_);
  DnsClient client(Kind::kUdp, server_);
  ASSERT_TRUE(AskUntilGathering(&client));
  std::promise<void> drained;
  loop_.Call([&] {
    for (int i = 0; i < 20; ++i) client.Send(Www());
    worker_->Drain(seconds(5), [&] { drained.set_value(); });
  });
  for (int i = 0; i < 20; ++i) EXPECT_THAT(Decoded(client.Receive()), HasSubstr("192.0.2.1"));
  drained.get_future().get();
}

TEST_F(GatheringTest, IsNotDoneWhereNoTimeIsGivenForIt) {
  options_.udp.gather = std::chrono::nanoseconds(0);
  Start("127.0.0.1:0", options_);
  DnsClient client(Kind::kUdp, server_);
  for (int i = 0; i < 10'000; ++i) client.Send(Www());
  EXPECT_THAT(Decoded(client.Receive()), HasSubstr("192.0.2.1"));
  EXPECT_EQ(Batches("gathered"), 0);
  EXPECT_GT(Batches("told"), 0);
}

TEST_F(WorkerTest, UnanswerableDatagramsAreCountedAndLeaveOthersAlone) {
  Start();
  DnsClient client(Kind::kUdp, server_);
  client.Send(std::vector<uint8_t>(5));
  client.Send(WireQuery("www.demo.test.").Flags(0x8000).Bytes());
  client.Send(std::vector<uint8_t>(5000));  // more than a query may have; no question
  client.Send(Www());
  EXPECT_THAT(Decoded(client.Receive()), HasSubstr("FORMERR"));
  EXPECT_THAT(Decoded(client.Receive()), HasSubstr("192.0.2.1"));
  EXPECT_EQ(Metric("nearside_dns_malformed_total{reason=\"header_cut_off\"}"), 1);
  EXPECT_EQ(Metric("nearside_dns_malformed_total{reason=\"is_response\"}"), 1);
  EXPECT_EQ(Metric("nearside_dns_malformed_total{reason=\"no_question\"}"), 1);
}

TEST_F(WorkerTest, WildcardSocketsAnswerFromTheAddressThatWasAsked) {
  Start("0.0.0.0:0");
  auto asked = *net::SocketAddress::FromLiteral("127.0.0.77", server_.port());
  DnsClient client(Kind::kUdp, asked);
  client.Send(Www());
  EXPECT_THAT(Decoded(client.Receive()), HasSubstr("192.0.2.1"));
  EXPECT_EQ(client.last_peer(), "127.0.0.77");
}

TEST_F(WorkerTest, Ipv6IsServed) {
  Start("[::]:0");
  auto asked = *net::SocketAddress::FromLiteral("::1", server_.port());
  for (Kind kind : {Kind::kUdp, Kind::kTcp}) {
    DnsClient client(kind, asked);
    if (kind == Kind::kUdp) client.Send(Www());
    if (kind == Kind::kTcp) client.SendFramed(Www());
    EXPECT_THAT(Decoded(client.Receive()), HasSubstr("192.0.2.1"));
  }
}

/// A datagram with any source port, which only a raw socket can send.
bool SendRaw(const net::SocketAddress& server, uint16_t source_port,
             std::span<const uint8_t> payload) {
  int raw = socket(AF_INET, SOCK_RAW, IPPROTO_UDP);
  if (raw < 0) return false;
  udphdr header{};
  header.source = htons(source_port);
  header.dest = htons(server.port());
  header.len = htons(static_cast<uint16_t>(sizeof header + payload.size()));
  std::vector<uint8_t> packet(sizeof header + payload.size());
  std::memcpy(packet.data(), &header, sizeof header);
  std::copy(payload.begin(), payload.end(), packet.begin() + sizeof header);
  ssize_t sent = sendto(raw, packet.data(), packet.size(), 0, server.get(), server.length());
  close(raw);
  return sent == static_cast<ssize_t>(packet.size());
}

TEST_F(WorkerTest, DatagramsFromPortZeroOrFromOurselvesAreIgnored) {
  Start();
  if (!SendRaw(server_, 0, Www())) GTEST_SKIP() << "raw sockets need CAP_NET_RAW";
  ASSERT_TRUE(SendRaw(server_, server_.port(), Www()));
  DnsClient client(Kind::kUdp, server_);
  client.Send(Www());  // behind them in the same queue
  EXPECT_THAT(Decoded(client.Receive()), HasSubstr("192.0.2.1"));
  EXPECT_EQ(Metric("nearside_dns_udp_ignored_total"), 2);
  EXPECT_EQ(Metric("nearside_dns_queries_total{transport=\"udp\",type=\"A\"}"), 1);
}

TEST_F(WorkerTest, WildcardSocketsIgnoreDatagramsFromThemselves) {
  Start("0.0.0.0:0");
  const auto asked = *net::SocketAddress::FromLiteral("127.0.0.1", server_.port());
  if (!SendRaw(asked, asked.port(), Www())) GTEST_SKIP() << "raw sockets need CAP_NET_RAW";
  DnsClient client(Kind::kUdp, asked);
  client.Send(Www());
  EXPECT_THAT(Decoded(client.Receive()), HasSubstr("192.0.2.1"));
  EXPECT_EQ(Metric("nearside_dns_udp_ignored_total"), 1);
}

TEST_F(WorkerTest, TcpAnswersPipelinedQueriesHoweverTheyAreCut) {
  Start();
  std::vector<uint8_t> bytes;
  for (uint16_t id = 1; id <= 3; ++id) {
    auto framed = Framed(WireQuery("www.demo.test.").Id(id).Bytes());
    bytes.insert(bytes.end(), framed.begin(), framed.end());
  }
  for (size_t piece : {size_t{1}, size_t{7}, bytes.size()}) {
    DnsClient client(Kind::kTcp, server_);
    for (size_t at = 0; at < bytes.size(); at += piece) {
      client.Send(std::span(bytes).subspan(at, std::min(piece, bytes.size() - at)));
    }
    for (uint8_t id = 1; id <= 3; ++id) {
      auto answer = client.Receive();
      ASSERT_GE(answer.size(), 12U) << piece;
      EXPECT_EQ(answer[1], id);
    }
  }
  EXPECT_EQ(Metric("nearside_dns_tcp_connections_total"), 3);
  EXPECT_EQ(Metric("nearside_dns_queries_total{transport=\"tcp\",type=\"A\"}"), 9);
}

TEST_F(WorkerTest, TcpSendsWhatUdpCannot) {
  Start();
  DnsClient client(Kind::kTcp, server_);
  client.SendFramed(WireQuery("big.demo.test.", 16).Bytes());
  auto answer = client.Receive();
  EXPECT_GT(answer.size(), 50'000U);
  EXPECT_EQ(Decoded(answer).substr(0, 14), "NOERROR qr aa\n");
}

TEST_F(WorkerTest, ASlowReaderHoldsUpItsOwnQueriesOnly) {
  Start();
  DnsClient slow(Kind::kTcp, server_);
  constexpr int kQueries = 300;  // 300 times 52 kB: far more than sockets and we hold
  std::vector<uint8_t> bytes;
  for (uint16_t id = 0; id < kQueries; ++id) {
    auto framed = Framed(WireQuery("big.demo.test.", 16).Id(id).Bytes());
    bytes.insert(bytes.end(), framed.begin(), framed.end());
  }
  slow.Send(bytes);
  DnsClient other(Kind::kTcp, server_);
  other.SendFramed(Www());
  EXPECT_THAT(Decoded(other.Receive()), HasSubstr("192.0.2.1"));
  double answered = Metric("nearside_dns_queries_total{transport=\"tcp\",type=\"TXT\"}");
  EXPECT_LT(answered, kQueries) << "the rest waits for the reader";
  for (uint16_t id = 0; id < kQueries; ++id) {
    auto answer = slow.Receive();
    ASSERT_GT(answer.size(), 50'000U) << id;
    ASSERT_EQ(answer[0] << 8 | answer[1], id);
  }
}

/// Whatever is answered is answered at once, so that there is nothing that could overtake (RFC 7766
/// §7): short answers behind long ones come in their turn, and none is lost where the reader stops.
TEST_F(WorkerTest, PipelinedAnswersComeInTheOrderOfTheirQueries) {
  Start();
  DnsClient slow(Kind::kTcp, server_);
  constexpr uint16_t kQueries = 800;
  std::vector<uint8_t> bytes;
  for (uint16_t id = 0; id < kQueries; ++id) {
    const bool is_long = id % 2 == 0;
    auto framed = Framed(
        WireQuery(is_long ? "big.demo.test." : "www.demo.test.", is_long ? 16 : 1).Id(id).Bytes());
    bytes.insert(bytes.end(), framed.begin(), framed.end());
  }
  slow.Send(bytes);
  ASSERT_TRUE(loop_.Await(
      [&] { return Metric("nearside_dns_queries_total{transport=\"tcp\",type=\"A\"}") > 0; }));
  EXPECT_LT(Metric("nearside_dns_queries_total{transport=\"tcp\",type=\"A\"}"), kQueries / 2)
      << "further queries wait for the reader, and their answers take no memory";
  for (uint16_t id = 0; id < kQueries; ++id) {
    auto answer = slow.Receive();
    ASSERT_GE(answer.size(), 12U) << id;
    ASSERT_EQ(answer[0] << 8 | answer[1], id);
    ASSERT_EQ(answer.size() > 50'000, id % 2 == 0) << id;
  }
}

TEST_F(WorkerTest, TheTimeOfEveryAnswerIsTold) {
  Start();
  DnsClient udp(Kind::kUdp, server_);
  for (int i = 0; i < 5; ++i) udp.Send(Www());
  udp.Send(std::vector<uint8_t>(5));  // which gets none
  for (int i = 0; i < 5; ++i) EXPECT_FALSE(udp.Receive().empty());
  DnsClient tcp(Kind::kTcp, server_);
  for (int i = 0; i < 3; ++i) tcp.SendFramed(Www());
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(tcp.Receive().empty());
  EXPECT_TRUE(loop_.Await([&] {
    return Metric("nearside_dns_answer_seconds_count{transport=\"udp\"}") == 5 &&
           Metric("nearside_dns_answer_seconds_count{transport=\"tcp\"}") == 3;
  }));
  EXPECT_GT(Metric("nearside_dns_answer_seconds_sum{transport=\"udp\"}"), 0);
  EXPECT_GT(Metric("nearside_dns_answer_seconds_sum{transport=\"tcp\"}"), 0);
  // Those that a slow reader leaves are counted when they would go, not when it takes them.
  DnsClient slow(Kind::kTcp, server_);
  for (int i = 0; i < 300; ++i) slow.SendFramed(WireQuery("big.demo.test.", 16).Bytes());
  EXPECT_TRUE(loop_.Await(
      [&] { return Metric("nearside_dns_answer_seconds_count{transport=\"tcp\"}") > 3; }));
}

TEST_F(WorkerTest, TcpPeersThatSpeakNoDnsAreClosed) {
  Start();
  const std::vector<uint8_t> kRows[] = {
      {0, 0},                 // an empty message
      {0, 5, 1, 2, 3, 4, 5},  // less than a header
      {0xFF, 0xFF, 0},        // longer than any query
      {'G', 'E', 'T', ' ', '/', ' ', 'H', 'T', 'T', 'P'},
      Framed(WireQuery("www.demo.test.").Flags(0x8000).Bytes()),  // a response
  };
  for (const auto& row : kRows) {
    DnsClient client(Kind::kTcp, server_);
    client.Send(row);
    EXPECT_TRUE(client.IsEnded());
  }
  EXPECT_EQ(Metric("nearside_dns_tcp_broken_total"), 5);
}

TEST_F(WorkerTest, AnswersComeBeforeTheEndOfAClientThatHasFinished) {
  Start();
  DnsClient client(Kind::kTcp, server_);
  client.SendFramed(Www());
  client.SendFramed(Www());
  client.FinishSending();
  EXPECT_FALSE(client.Receive().empty());
  EXPECT_FALSE(client.Receive().empty());
  EXPECT_TRUE(client.IsEnded());
}

/// Holds up a loop until it is let go, so that what clients do meanwhile comes to it at once.
class HeldLoop {
 public:
  explicit HeldLoop(net::LoopThread& loop) {
    std::promise<void> held;
    loop.loop().Post([&held, let_go = let_go_.get_future().share()] {
      held.set_value();
      let_go.wait();
    });
    held.get_future().wait();
  }
  ~HeldLoop() { let_go_.set_value(); }

 private:
  std::promise<void> let_go_;
};

/// What gdnsd takes: accept4, recv, send, epoll_ctl, recv of the end, close. (So few do not tell
/// yet that all end at once: ListenerTest has those that do.)
TEST_F(WorkerTest, AConnectionOfOneQueryTakesNoMoreSystemCallsThanItMust) {
  Start();
  const auto before = loop_.Call([] { return test::CountedCalls(); });
  constexpr size_t kConnections = 15;
  for (size_t i = 0; i < kConnections; ++i) {
    auto held = std::make_unique<HeldLoop>(loop_);
    DnsClient client(Kind::kTcp, server_);
    client.SendFramed(Www());
    held.reset();
    ASSERT_THAT(Decoded(client.Receive()), HasSubstr("192.0.2.1"));
    client.FinishSending();
    ASSERT_TRUE(client.IsEnded());
  }
  const auto after = loop_.Call([] { return test::CountedCalls(); });
  EXPECT_EQ(after.accepts - before.accepts, kConnections);
  EXPECT_EQ(after.receives - before.receives, 2 * kConnections);
  EXPECT_EQ(after.sends - before.sends, kConnections);
  EXPECT_EQ(after.controls - before.controls, kConnections);
  EXPECT_EQ(after.shutdowns - before.shutdowns, 0U);
  EXPECT_EQ(after.set_options - before.set_options, 0U);
}

TEST_F(WorkerTest, AConnectionAfterAnotherTakesNoMemory) {
  Start();
  const auto connect = [this] {
    DnsClient client(Kind::kTcp, server_);
    client.SendFramed(Www());
    ASSERT_THAT(Decoded(client.Receive()), HasSubstr("192.0.2.1"));
    client.FinishSending();
    ASSERT_TRUE(client.IsEnded());
  };
  connect();
  const size_t before = loop_.Call([] { return test::Allocations(); });
  for (int i = 0; i < 20; ++i) connect();
  const size_t after = loop_.Call([] { return test::Allocations(); });
  EXPECT_LE(after - before, 2U) << "which is for the calls that ask";
}

TEST_F(WorkerTest, AConnectionThatEndsWithItsQueryIsNotEvenWatched) {
  Start();
  const auto before = loop_.Call([] { return test::CountedCalls(); });
  {
    HeldLoop held(loop_);
    DnsClient broken(Kind::kTcp, server_);
    broken.SendFramed(std::vector<uint8_t>(3));
  }
  ASSERT_TRUE(loop_.Await([&] { return Metric("nearside_dns_tcp_broken_total") == 1; }));
  const auto after = loop_.Call([] { return test::CountedCalls(); });
  EXPECT_EQ(after.controls - before.controls, 0U);
}

/// Few accept4 that find none, and few turns.
TEST_F(WorkerTest, ManyConnectionsAtOnceAreAcceptedInFewTurns) {
  Start();
  constexpr size_t kConnections = 200;
  std::vector<std::unique_ptr<DnsClient>> clients;
  auto held = std::make_unique<HeldLoop>(loop_);
  for (size_t i = 0; i < kConnections; ++i) {
    clients.push_back(std::make_unique<DnsClient>(Kind::kTcp, server_));
    clients.back()->SendFramed(Www());
  }
  held.reset();
  for (auto& client : clients) ASSERT_THAT(Decoded(client->Receive()), HasSubstr("192.0.2.1"));
  const auto [calls, turns] =
      loop_.Call([this] { return std::pair(test::CountedCalls(), loop_.loop().turns()); });
  EXPECT_LE(calls.accepts, kConnections + 5);
  EXPECT_LE(turns, 25U) << "1, 2, 4 … 64 in a turn";
}

TEST_F(WorkerTest, IdleConnectionsAreClosed) {
  Start("127.0.0.1:0", {.tcp_idle_timeout = milliseconds(50)});
  DnsClient silent(Kind::kTcp, server_);
  DnsClient half(Kind::kTcp, server_);
  half.Send(std::vector<uint8_t>{0, 30, 1});
  EXPECT_TRUE(silent.IsEnded());
  EXPECT_TRUE(half.IsEnded());
  EXPECT_EQ(Metric("nearside_dns_tcp_idle_closed_total"), 2);
}

TEST_F(WorkerTest, WhoAsksIsNotIdle) {
  Start("127.0.0.1:0", {.tcp_idle_timeout = seconds(3)});
  DnsClient silent(Kind::kTcp, server_);
  DnsClient asking(Kind::kTcp, server_);
  DnsClient later(Kind::kTcp, server_);
  const auto is_answered = [](DnsClient& client) {
    client.SendFramed(Www());
    return !client.Receive().empty();
  };
  ASSERT_TRUE(is_answered(silent));
  ASSERT_TRUE(is_answered(later));
  while (Metric("nearside_dns_tcp_idle_closed_total") < 2) ASSERT_TRUE(is_answered(asking));
  EXPECT_TRUE(silent.IsEnded());
  EXPECT_TRUE(later.IsEnded());
  EXPECT_TRUE(is_answered(asking)) << "the others' end is not its own";
  EXPECT_TRUE(asking.IsEnded()) << "but it has one as well";
  EXPECT_EQ(Metric("nearside_dns_tcp_idle_closed_total"), 3);
}

TEST_F(WorkerTest, AtTheLimitTheOneLongestWithoutAQueryGivesWay) {
  Start("127.0.0.1:0", {.tcp_connections = 2});
  DnsClient first(Kind::kTcp, server_), second(Kind::kTcp, server_);
  for (DnsClient* client : {&first, &second, &first}) {
    client->SendFramed(Www());
    EXPECT_FALSE(client->Receive().empty());
  }
  DnsClient third(Kind::kTcp, server_);
  third.SendFramed(Www());
  EXPECT_FALSE(third.Receive().empty()) << "the new one is not refused";
  EXPECT_TRUE(second.IsEnded());
  first.SendFramed(Www());
  EXPECT_FALSE(first.Receive().empty()) << "the others go on";
  EXPECT_EQ(Metric("nearside_dns_tcp_displaced_total"), 1);
  EXPECT_EQ(Metric("nearside_dns_tcp_connections_total"), 3);
}

TEST_F(WorkerTest, WhoWaitsForAnswersGivesWayLast) {
  Start("127.0.0.1:0", {.tcp_connections = 2});
  DnsClient slow(Kind::kTcp, server_);
  constexpr int kQueries = 300;
  slow.Send(BigQueries(kQueries));
  ASSERT_TRUE(loop_.Await(
      [&] { return Metric("nearside_dns_queries_total{transport=\"tcp\",type=\"TXT\"}") > 0; }));
  DnsClient idle(Kind::kTcp, server_);
  idle.SendFramed(Www());
  EXPECT_FALSE(idle.Receive().empty()) << "its query is later than those of the slow one";
  DnsClient third(Kind::kTcp, server_);
  third.SendFramed(Www());
  EXPECT_FALSE(third.Receive().empty());
  EXPECT_TRUE(idle.IsEnded());
  for (int i = 0; i < kQueries; ++i) ASSERT_GT(slow.Receive().size(), 50'000U) << i;
}

TEST_F(WorkerTest, WhenAllWaitForTheirAnswersANewOneStillComesIn) {
  Start("127.0.0.1:0", {.tcp_connections = 1});
  DnsClient slow(Kind::kTcp, server_);
  slow.Send(BigQueries(300));
  ASSERT_TRUE(loop_.Await(
      [&] { return Metric("nearside_dns_queries_total{transport=\"tcp\",type=\"TXT\"}") > 0; }));
  DnsClient second(Kind::kTcp, server_);
  second.SendFramed(Www());
  EXPECT_FALSE(second.Receive().empty()) << "or a slow reader would keep everybody out";
}

TEST_F(WorkerTest, AClientOfManyAddressesIsOneClient) {
  Start("127.0.0.1:0", {.tcp_connections_per_client = 2});
  auto snapshot = std::make_shared<Snapshot>(*MakeZone("192.0.2.1"));
  snapshot->protocol.spare_loopback = false;
  snapshot->protocol.rates.ipv4_prefix = 28;
  loop_.Call([&] { worker_->SetSnapshot(snapshot); });
  const auto is_answered = [](DnsClient& client) {
    client.SendFramed(Www());
    return !client.Receive().empty();
  };
  auto first = std::make_unique<DnsClient>(Kind::kTcp, server_, "127.0.0.17");
  DnsClient second(Kind::kTcp, server_, "127.0.0.18");
  EXPECT_TRUE(is_answered(*first));
  EXPECT_TRUE(is_answered(second));
  EXPECT_TRUE(DnsClient(Kind::kTcp, server_, "127.0.0.19").IsEnded()) << "of the same network";
  DnsClient other(Kind::kTcp, server_, "127.0.0.33");
  EXPECT_TRUE(is_answered(other));
  // What was counted is counted back, though the networks are cut elsewhere meanwhile.
  auto wider = std::make_shared<Snapshot>(*snapshot);
  wider->protocol.rates.ipv4_prefix = 24;
  loop_.Call([&] { worker_->SetSnapshot(wider); });
  first->FinishSending();
  EXPECT_TRUE(first->IsEnded());
  DnsClient third(Kind::kTcp, server_, "127.0.0.20");
  EXPECT_TRUE(is_answered(third)) << "of 127.0.0.0/24 this is the first";
}

TEST_F(WorkerTest, ANewSnapshotCountsFromTheNextQuery) {
  Start();
  DnsClient client(Kind::kUdp, server_);
  loop_.Call([&] { worker_->SetSnapshot(MakeZone("192.0.2.2")); });
  client.Send(Www());
  EXPECT_THAT(Decoded(client.Receive()), HasSubstr("192.0.2.2"));
}

TEST_F(WorkerTest, DrainAnswersWhatHasArrivedAndEnds) {
  Start();
  DnsClient udp(Kind::kUdp, server_);
  DnsClient idle(Kind::kTcp, server_), asking(Kind::kTcp, server_);
  idle.SendFramed(Www());
  EXPECT_FALSE(idle.Receive().empty());
  std::promise<void> drained;
  loop_.Call([&] {
    // Both are in our sockets before the drain, which runs on the loop's thread.
    udp.Send(Www());
    asking.SendFramed(Www());
    worker_->Drain(seconds(10), [&] { drained.set_value(); });
  });
  EXPECT_FALSE(udp.Receive().empty());
  EXPECT_TRUE(idle.IsEnded());
  drained.get_future().get();
}

TEST_F(WorkerTest, DrainEndsAtItsDeadline) {
  Start();
  DnsClient slow(Kind::kTcp, server_);
  for (int i = 0; i < 200; ++i) slow.SendFramed(WireQuery("big.demo.test.", 16).Bytes());
  ASSERT_TRUE(loop_.Await(
      [&] { return Metric("nearside_dns_queries_total{transport=\"tcp\",type=\"TXT\"}") > 0; }));
  std::promise<void> drained;
  loop_.Call([&] { worker_->Drain(milliseconds(20), [&] { drained.set_value(); }); });
  drained.get_future().get();
}

TEST_F(WorkerTest, APortThatIsTakenIsNamed) {
  Start();
  auto udp = UdpSocket::CheckFree(server_);
  ASSERT_FALSE(udp);
  EXPECT_EQ(udp.error().reason, "address_in_use");
  EXPECT_EQ(udp.error().fault, Fault::kOperator);
  EXPECT_THAT(udp.error().message, HasSubstr(server_.ToString()));
  EXPECT_TRUE(UdpSocket::CheckFree(*net::SocketAddress::Parse("127.0.0.1:0")));
  auto nowhere = UdpSocket::CheckFree(*net::SocketAddress::Parse("192.0.2.77:0"));
  ASSERT_FALSE(nowhere);
  EXPECT_EQ(nowhere.error().reason, "bad_address");
}

}  // namespace
}  // namespace nearside::geodns
