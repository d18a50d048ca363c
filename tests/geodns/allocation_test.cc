// The path of a query takes no memory from the heap.

#include <gtest/gtest.h>

#include <cstdlib>

#include "geodns/query_desk.h"
#include "geodns/responder.h"
#include "geodns/world.h"
#include "geodns/zone_file.h"
#include "geodns/zone_keys.h"
#include "tests/dns/wire_query.h"
#include "tests/geodns/mmdb_writer.h"
#include "tests/support/allocation_counter.h"
#include "tests/support/temp_dir.h"

namespace nearside::geodns {
namespace {

/// A world with one zone in it, whose keys are in `dir` when it is signed.
Result<World> LoadWorld(const test::TempDir& dir, bool is_signed) {
  std::string zone =
      "$TTL 300\n@ SOA ns1 h 1 1 1 1 60\n@ NS ns1\nns1 A 127.0.0.1\nalias CNAME www\n*.w TXT x\n"
      "sub NS ns.sub\nns.sub A 127.0.0.2\nmx MX 5 ns1\n"
      "www HTTPS 1 . mandatory=ipv6hint ipv4hint=0.0.0.0 ipv6hint=::\nlike ALIAS ns1\n"
      "likewww ALIAS www\naway ALIAS www.example.net.\n";
  const dns::Name name = *dns::Name::FromText("demo.test.");
  ZoneKey key = MakeZoneKey(name, SigningKey::Generate(SigningAlgorithm::kEd25519));
  if (!SaveZoneKey(KeyFolder(dir.path(), name), name, key)) std::abort();
  std::string settings =
      "[geodns]\nlisten = [\"127.0.0.1:0\"]\nresolvers = [\"127.0.0.1:9\"]\nstate = \"" +
      dir.path() + "\"\n[geo]\ndatabases = [\"" +
      dir.Write("g", MmdbWriter(6).AddFlat("10.0.0.0/8", "DE").Bytes()) +
      "\"]\n[[pop]]\nname = \"a\"\naddresses = [\"127.0.1.1\"]\nlocation = [1, 2]\n"
      "[[pop]]\nname = \"b\"\naddresses = [\"127.0.2.1\"]\nlocation = [1, 3]\n"
      "[[zone]]\nname = \"demo.test\"\nfile = \"" +
      dir.Write("z", zone) + "\"\ndnssec = " + (is_signed ? "true" : "false") +
      "\n[[zone.steer]]\nnames = [\"www\"]\npops = [\"a\", \"b\"]\nanswers = 2\n"
      "[[zone.steer]]\nnames = [\"ab\"]\npolicy = \"weighted\"\npops = [\"a\", \"b\"]\n";
  return World::Load(dir.Write("c", settings));
}

/// Asks for many kinds of answers; `expect_none`: and expects that none takes memory.
void AskForEverything(const Snapshot& snapshot, Signer* signer, bool expect_none) {
  std::vector<uint8_t> out(kUdpAnswerBytes);
  IpAddress client = *IpAddress::Parse("10.0.0.1");
  size_t answered = 0;
  for (std::string_view name :
       {"www.demo.test.", "ab.demo.test.", "alias.demo.test.", "x.w.demo.test.",
        "no.such.name.demo.test.", "x.sub.demo.test.", "mx.demo.test.", "demo.test.",
        "www.example.org.", "like.demo.test.", "likewww.demo.test.", "away.demo.test."}) {
    for (uint16_t qtype : {1, 28, 15, 16, 6, 2, 65, 255, 252, 43, 46, 47, 48}) {
      for (bool subnet : {false, true}) {
        dns::WireQuery query(name, qtype);
        if (signer != nullptr) query.Edns(1232, 0, true);
        if (subnet) query.Subnet("10.1.0.0/16");
        auto bytes = query.Bytes();
        Tally tally;
        size_t before = test::Allocations();
        if (signer != nullptr) signer->Begin(FromUnixMillis(1'800'000'000'000), 0);
        Asker asker{.address = client};
        asker.signer = signer;
        answered += Respond(snapshot, bytes, asker, out, &tally) > 0;
        if (expect_none) {
          EXPECT_EQ(test::Allocations(), before) << name << ' ' << qtype;
        }
      }
    }
  }
  EXPECT_EQ(answered, 12U * 13 * 2);
}

TEST(AllocationTest, AnsweringTakesNoMemory) {
  test::TempDir dir;
  auto world = LoadWorld(dir, false);
  ASSERT_TRUE(world) << world.error().message;
  AskForEverything(*MakeSnapshot(*world, {}), nullptr, true);
}

TEST(AllocationTest, AnsweringWithRememberedSignaturesTakesNoMemory) {
  test::TempDir dir;
  auto world = LoadWorld(dir, true);
  ASSERT_TRUE(world) << world.error().message;
  auto snapshot = MakeSnapshot(*world, {});
  Signer signer({});
  AskForEverything(*snapshot, &signer, false);
  AskForEverything(*snapshot, &signer, true);
}

/// What an ALIAS leads to for the client's network, and the wish for that.
TEST(AllocationTest, AliasesOfNetworksTakeNoMemory) {
  test::TempDir dir;
  auto world = LoadWorld(dir, false);
  ASSERT_TRUE(world) << world.error().message;
  auto snapshot = std::make_shared<Snapshot>(*MakeSnapshot(*world, {}));
  const AliasNetworks::Answer own{.network = *Network::Parse("198.51.0.0/16"),
                                  .addresses = {*IpAddress::Parse("192.0.2.9")},
                                  .ttl = 20,
                                  .asked = std::make_shared<std::atomic<bool>>(false)};
  for (AliasAnswer& alias : snapshot->aliases) {
    if (alias.zone != nullptr) continue;
    alias.known = true;
    alias.ttl = alias.most_ttl = 60;
    alias.resolved[0] = AddressRecords::Render(own.addresses, false, alias.ttl);
    alias.networks = std::make_shared<const AliasNetworks>(
        7, std::vector{own}, std::array<AliasNetworks::Family, 2>{}, 5);
  }
  auto loop = std::move(*net::EventLoop::Create());
  metrics::Registry registry;
  const DnsMetrics metrics(registry);
  QueryDesk desk(*loop, metrics, *registry.MakeCells(), snapshot, 1024);
  AliasAsks asks;
  desk.SetAliasAsks(&asks);
  std::vector<uint8_t> out(kUdpAnswerBytes);
  for (std::string_view subnet : {"198.51.100.0/24", "203.0.113.0/24", "203.0.114.0/24"}) {
    for (uint16_t qtype : {1, 28}) {
      const auto query = dns::WireQuery("away.demo.test.", qtype).Subnet(subnet).Bytes();
      const size_t before = test::Allocations();
      EXPECT_GT(desk.Answer(query, own.addresses.front(), Transport::kUdp, out), 0U);
      EXPECT_EQ(test::Allocations(), before) << subnet << ' ' << qtype;
    }
  }
  AliasAsk ask;
  for (std::string_view wanted : {"203.0.113.0/24", "203.0.114.0/24"}) {
    ASSERT_TRUE(asks.Take(&ask));
    EXPECT_EQ(ask.network.ToText(), wanted);
  }
  EXPECT_FALSE(asks.Take(&ask)) << "each waits once";
}

/// With all that stands before an answer: a cookie of each kind, the rate of a network above and
/// below its limit, and counting.
TEST(AllocationTest, CookiesAndLimitsTakeNoMemory) {
  auto origin = *dns::Name::FromText("demo.test.");
  auto records =
      ParseZoneFile("$TTL 9\n@ SOA ns h 1 1 1 1 1\n@ NS ns\nns A 192.0.2.1\n", "z", origin);
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->zones =
      ZoneIndex({std::make_shared<const Zone>(*Zone::Build(origin, "z", *records, {}))});
  ZoneQueries zone_queries(1);
  snapshot->zone_counters = zone_queries.For(snapshot->zones.zones());
  snapshot->protocol.cookies = dns::CookieSecrets{.current = {1}, .other = dns::CookieSecret{2}};
  snapshot->protocol.nsid.assign(40, 'x');
  snapshot->protocol.version = std::string(200, 'v');
  snapshot->protocol.most_amplification = 3;
  snapshot->protocol.rates = {.answers_per_second = 5, .slip = 2};
  auto loop = std::move(*net::EventLoop::Create());
  metrics::Registry registry;
  const DnsMetrics metrics(registry);
  QueryDesk desk(*loop, metrics, *registry.MakeCells(), snapshot, 1024);
  const IpAddress client = *IpAddress::Parse("198.51.100.1");
  const uint8_t client_cookie[] = {1, 2, 3, 4, 5, 6, 7, 8};
  const auto now = static_cast<uint32_t>(ToUnixMillis(loop->wall_now()) / 1000);
  const dns::Cookie good = dns::MakeCookie(client_cookie, client.raw(), {1}, now);
  std::vector<std::vector<uint8_t>> queries = {
      dns::WireQuery("ns.demo.test.").Bytes(),
      dns::WireQuery("ns.demo.test.").Option(10, client_cookie).Option(3, {}).Bytes(),
      dns::WireQuery("ns.demo.test.").Option(10, good).Bytes(),
      dns::WireQuery("ns.demo.test.").Option(10, std::vector<uint8_t>(24, 9)).Bytes(),
      dns::WireQuery("version.bind.", 16, dns::rr_class::kChaos).Bytes(),
      dns::WireQuery("ns.demo.test.").Option(10, std::vector<uint8_t>(9)).Bytes()};
  std::vector<uint8_t> out(kUdpAnswerBytes);
  size_t answered = 0;
  for (int round = 0; round < 50; ++round) {
    for (const auto& query : queries) {
      const size_t before = test::Allocations();
      answered += desk.Answer(query, client, Transport::kUdp, out) > 0;
      ASSERT_EQ(test::Allocations(), before);
    }
  }
  EXPECT_GT(answered, 50U) << "those with the good cookie at least";
  const auto all = [&registry](const auto& ids) {
    uint64_t sum = 0;
    for (const metrics::Id id : ids) sum += registry.Sum(id);
    return sum;
  };
  EXPECT_GT(all(metrics.rate_dropped), 0U);
  EXPECT_GT(all(metrics.rate_slipped), 0U);
}

}  // namespace
}  // namespace nearside::geodns
