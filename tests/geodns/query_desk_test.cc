#include "geodns/query_desk.h"

#include <gtest/gtest.h>

#include "geodns/zone_file.h"
#include "runtime/crypto.h"
#include "tests/dns/decoded.h"
#include "tests/dns/wire_query.h"

namespace nearside::geodns {
namespace {

using dns::FromHex;
using dns::WireQuery;

/// A desk with a limit of two answers a second.
class QueryDeskTest : public testing::Test {
 protected:
  QueryDeskTest() {
    auto origin = *dns::Name::FromText("demo.test.");
    auto records =
        ParseZoneFile("$TTL 9\n@ SOA ns1 h 1 1 1 1 60\n@ NS ns1\nns1 A 192.0.2.53\n", "z", origin);
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->zones =
        ZoneIndex({std::make_shared<Zone>(*Zone::Build(origin, "z", std::move(*records), {}))});
    snapshot->protocol.cookies = dns::CookieSecrets{};
    snapshot->protocol.rates = {.answers_per_second = 2, .slip = 2};
    snapshot_ = snapshot;
    desk_.SetSnapshot(snapshot_);
  }
  /// "a" answered, "t" truncated, "c" BADCOOKIE, "-" nothing; one letter a query.
  std::string Ask(int queries, std::string_view client, Transport transport = Transport::kUdp,
                  std::string_view cookie = "") {
    std::string letters;
    for (int i = 0; i < queries; ++i) {
      WireQuery query("ns1.demo.test.");
      if (!cookie.empty()) query.Option(dns::option::kCookie, FromHex(cookie));
      std::vector<uint8_t> out(kTcpAnswerBytes);
      const size_t size = desk_.Answer(query.Bytes(), *IpAddress::Parse(client), transport, out);
      const std::string text = size == 0 ? "" : dns::Decoded(std::span(out).first(size));
      letters += size == 0                           ? '-'
                 : text.starts_with("BADCOOKIE")     ? 'c'
                 : text.starts_with("NOERROR qr tc") ? 't'
                                                     : 'a';
    }
    return letters;
  }
  uint64_t Sum(metrics::Id id) { return registry_.Sum(id); }

  std::unique_ptr<net::EventLoop> loop_ = std::move(*net::EventLoop::Create());
  metrics::Registry registry_;
  DnsMetrics metrics_{registry_};
  std::shared_ptr<Snapshot> snapshot_;
  QueryDesk desk_{*loop_, metrics_, *registry_.MakeCells(), nullptr, 1024};
};

TEST_F(QueryDeskTest, ANetworkOverItsRateIsDroppedOrSlippedAndCounted) {
  EXPECT_EQ(Ask(6, "192.0.2.1"), "aa-t-t");
  EXPECT_EQ(Ask(2, "192.0.2.200"), "-t") << "the same network";
  EXPECT_EQ(Ask(2, "192.0.3.1"), "aa");
  EXPECT_EQ(Sum(metrics_.rate_dropped[static_cast<size_t>(RateBound::kNetwork)]), 3U);
  EXPECT_EQ(Sum(metrics_.rate_slipped[static_cast<size_t>(RateBound::kNetwork)]), 3U);
}

TEST_F(QueryDeskTest, WhoseRateItWasIsCounted) {
  auto wide = std::make_shared<Snapshot>(*snapshot_);
  wide->protocol.rates.wide_answers_per_second = 3;
  desk_.SetSnapshot(wide);
  EXPECT_EQ(Ask(2, "192.0.2.1"), "aa");
  EXPECT_EQ(Ask(2, "192.0.3.1"), "a-");
  EXPECT_EQ(Ask(1, "192.0.4.1"), "t");
  EXPECT_EQ(Sum(metrics_.rate_dropped[static_cast<size_t>(RateBound::kWide)]), 1U);
  EXPECT_EQ(Sum(metrics_.rate_slipped[static_cast<size_t>(RateBound::kWide)]), 1U);
  auto all = std::make_shared<Snapshot>(*snapshot_);
  all->protocol.rates.all_answers_per_second = 1;
  desk_.SetSnapshot(all);
  EXPECT_EQ(Ask(1, "198.51.100.1"), "a");
  EXPECT_EQ(Ask(1, "203.0.113.1"), "-");
  EXPECT_EQ(Ask(1, "2001:db8::1"), "t");
  EXPECT_EQ(Sum(metrics_.rate_dropped[static_cast<size_t>(RateBound::kAll)]), 1U);
  EXPECT_EQ(Ask(2, "203.0.113.2", Transport::kTcp), "aa");
}

TEST_F(QueryDeskTest, BadcookieIsTheReliefOfWhoKnowsCookies) {
  EXPECT_EQ(Ask(6, "192.0.2.1", Transport::kUdp, "0102030405060708"), "aa-c-c");
}

TEST_F(QueryDeskTest, TcpGoodCookiesAndLoopbackAreSpared) {
  EXPECT_EQ(Ask(4, "192.0.2.1"), "aa-t");
  EXPECT_EQ(Ask(4, "192.0.2.1", Transport::kTcp), "aaaa");
  const uint8_t client[] = {1, 2, 3, 4, 5, 6, 7, 8};
  const auto now = static_cast<uint32_t>(ToUnixMillis(loop_->wall_now()) / 1000);
  const dns::Cookie cookie = dns::MakeCookie(client, IpAddress::Parse("192.0.2.1")->raw(), {}, now);
  EXPECT_EQ(Ask(4, "192.0.2.1", Transport::kUdp, HexEncode(cookie)), "aaaa");
  EXPECT_EQ(Ask(4, "192.0.2.2", Transport::kUdp, HexEncode(cookie)), "-c-c") << "another's cookie";
  EXPECT_EQ(Ask(4, "127.3.2.1"), "aaaa");
  EXPECT_EQ(Ask(4, "::1"), "aaaa");
  auto strict = std::make_shared<Snapshot>(*snapshot_);
  strict->protocol.spare_loopback = false;
  desk_.SetSnapshot(strict);
  EXPECT_EQ(Ask(4, "127.3.2.1"), "aa-t");
  EXPECT_EQ(Ask(4, "::1"), "aa-t");
}

}  // namespace
}  // namespace nearside::geodns
