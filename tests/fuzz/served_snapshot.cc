#include "tests/fuzz/served_snapshot.h"

#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "geodns/geo_map.h"
#include "geodns/zone_keys.h"
#include "tests/geodns/mmdb_writer.h"
#include "tests/support/temp_dir.h"

namespace nearside::test {
namespace {

using namespace geodns;

constexpr std::string_view kZone = R"($TTL 300
@ SOA ns1 h 7 1h 1h 1w 60
@ NS ns1
@ MX 10 mail
@ HTTPS 1 . alpn=h2 ipv4hint=192.0.2.99 ipv6hint=2001:db8::99
ns1 A 192.0.2.53
a A 192.0.2.1
a AAAA 2001:db8::1
bb CNAME a
b NS ns.s
c CNAME c
*.w TXT "wild"
*.v CNAME a.w
s NS ns.s
ns.s A 192.0.2.2

x.y.z SRV 1 2 3 a
n HTTPS 1 o mandatory=ipv6hint alpn=h2 ipv6hint=2001:db8::99
n HTTPS 2 a ipv4hint=192.0.2.98
t CNAME n
u CNAME r
*.o SVCB 1 . ipv4hint=192.0.2.99
i 60 ALIAS away.other.
j 60 ALIAS gone.other.
k ALIAS t
l 9 ALIAS a
*.m 60 ALIAS away.other.
)";

/// Names by the steer that they have, as the array below has them.
constexpr std::string_view kSteered[][3] = {{"n", "*.o", "@"}, {"r", "*.r", "q"}, {"f"}, {"p"}};

IpAddress Ip(std::string_view text) { return *IpAddress::Parse(text); }

Steer::Families Families(std::initializer_list<std::string_view> texts, uint32_t ttl) {
  std::vector<IpAddress> addresses;
  for (std::string_view text : texts) addresses.push_back(Ip(text));
  return {AddressRecords::Render(addresses, false, ttl),
          AddressRecords::Render(addresses, true, ttl)};
}

std::shared_ptr<const GeoMap> MakeMap() {
  MmdbWriter writer(6);
  writer.AddFlat("10.0.0.0/8", "DE").AddFlat("133.0.0.0/9", "JP").AddFlat("133.128.0.0/9", "US");
  writer.AddFlat("133.3.7.0/27", "ZA").AddFlat("2001:200::/23", "JP");
  writer.AddFlat("2a02:8100::/27", "DE").AddFlat("2a02:8100:0:1200::/56", "ZA");
  const Coordinates at[] = {{50.11, 8.68}, {35.7, 139.7}, {38.9, -77.4}};
  const TempDir dir;
  auto map = GeoMap::Load({dir.Write("geo.mmdb", writer.Bytes())}, at);
  if (!map) std::abort();
  return *map;
}

/// The nearest of three of which one gives clients away; two drawn; an order with overrides, of
/// which A passes over the first, that has none; and one of which only the fallback is left.
std::vector<Steer> MakeSteers() {
  const auto map = MakeMap();
  const std::vector<uint32_t> weights = {7, 3, 1};
  const SteerRule nearest{.pops = {0, 1, 2}, .unknown = {2}, .has_fallback = true};
  const SteerRule drawn{.policy = Policy::kWeighted, .pops = {0, 1, 2}, .answers = 2};
  SteerRule ordered{.policy = Policy::kFailover, .pops = {2, 1, 0}, .has_fallback = true};
  ordered.overrides = {
      {.networks = {*Network::Parse("192.0.2.0/25"), *Network::Parse("2001:db8:7::/49")},
       .pops = {0}},
      {.countries = {CountryCode('J', 'P')}, .pops = {1, 0}}};
  SteerRule with_a = ordered;
  with_a.only = {0, 1};
  const SteerRule few{.pops = {0}, .has_fallback = true, .min_healthy = 2};
  const Health shedding{.pops = std::vector(3, PopState::kUp), .kept = {1, 0.4, 1}};
  const Health well{.pops = std::vector(3, PopState::kUp)};
  std::vector<Steer> steers(4);
  steers[0].table = SteerTable::Make(nearest, *map, shedding, weights);
  steers[1].table = SteerTable::Make(drawn, *map, well, weights);
  steers[2].table = SteerTable::Make(ordered, *map, well, weights);
  steers[2].of_family[0] = SteerTable::Make(with_a, *map, well, weights);
  steers[3].table = SteerTable::Make(few, *map, well, weights);
  for (uint32_t i = 0; i < steers.size(); ++i) {
    steers[i].ttl = 20 + i;
    steers[i].pops = {Families({"192.0.2.1", "192.0.2.11", "2001:db8::1"}, 20 + i),
                      Families({"192.0.2.2"}, 20 + i), Families({"2001:db8::3"}, 20 + i)};
    steers[i].fallback = Families({"192.0.2.200"}, 20 + i);
  }
  return steers;
}

std::shared_ptr<Zone> MakeZone(std::string_view name, bool is_signed) {
  const dns::Name origin = *dns::Name::FromText(name);
  auto records = *ParseZoneFile(kZone, "z", origin);
  auto keys = std::make_shared<ZoneKeys>();
  keys->zone = origin;
  keys->keys.push_back(MakeZoneKey(origin, SigningKey::Generate(SigningAlgorithm::kEd25519)));
  if (is_signed && !PrepareToSign(*keys, "z", &records)) std::abort();
  std::vector<SteeredName> steered;
  for (uint32_t steer = 0; steer < std::size(kSteered); ++steer) {
    for (std::string_view text : kSteered[steer]) {
      if (text.empty()) continue;
      const dns::Name owner = *dns::Name::FromText(text, origin);
      const auto wire = owner.view().bytes();
      steered.push_back({{wire.begin(), wire.end()}, steer, "toml"});
    }
  }
  auto zone = Zone::Build(origin, "z", std::move(records), std::move(steered));
  if (!zone) std::abort();
  if (is_signed) zone->SignWith(keys);
  return std::make_shared<Zone>(std::move(*zone));
}

/// What is known of away.other., for networks too, one of which is known to fewer bits than asked.
AliasAnswer Away() {
  std::vector<AliasNetworks::Answer> answers;
  for (const auto& [network, address] :
       {std::pair("10.1.2.0/24", "198.51.100.9"), std::pair("133.0.0.0/12", "2001:db8:5::9"),
        std::pair("2001:200:1::/48", "198.51.100.8")}) {
    answers.push_back({.network = *Network::Parse(network),
                       .addresses = {Ip(address)},
                       .ttl = 33,
                       .asked = std::make_shared<std::atomic<bool>>(false)});
  }
  answers[2].most_known = 52;
  AliasAnswer away{.resolved = Families({"198.51.100.1", "2001:db8:1::1"}, 45)};
  away.known = true;
  away.ttl = away.most_ttl = 45;
  away.networks = std::make_shared<AliasNetworks>(0, std::move(answers),
                                                  std::array<AliasNetworks::Family, 2>(), 5);
  return away;
}

/// In the order of the zone's ALIAS records; one that leads to `target` in the zone has its node.
void AddAliases(const Zone& zone, std::vector<AliasAnswer>* aliases) {
  for (const auto& [owner, alias] : zone.Aliases()) {
    const dns::Name target(alias.target);
    AliasAnswer answer;
    if (target.ToText() == "away.other.") {
      answer = Away();
    } else if (target.view().IsAtOrBelow(zone.origin())) {
      answer.zone = &zone;
      const Zone::Found found = zone.Find(target);
      const Zone::RrSet* cname = zone.Find(*found.node, dns::type::kCname);
      if (cname == nullptr) {
        answer.node = found.node;
      } else {
        const auto rdata = zone.Record(*cname, 0).rdata;
        answer.node = zone.Find({rdata.data(), rdata.size()}).node;
      }
      answer.known = true;
      answer.ttl = alias.ttl;
    }
    aliases->push_back(std::move(answer));
  }
}

}  // namespace

const Snapshot& ServedSnapshot() {
  static const Snapshot kSnapshot = [] {
    Snapshot snapshot;
    std::vector<std::shared_ptr<const Zone>> zones;
    for (const auto& [name, is_signed] :
         {std::pair("d.", false), std::pair("e.", true), std::pair("b.d.", false)}) {
      auto zone = MakeZone(name, is_signed);
      zone->NumberAliasesFrom(static_cast<uint32_t>(snapshot.aliases.size()));
      AddAliases(*zone, &snapshot.aliases);
      zones.push_back(std::move(zone));
    }
    snapshot.zones = ZoneIndex(std::move(zones));
    snapshot.steers = MakeSteers();
    snapshot.protocol.nsid = {'n', 's', '1'};
    snapshot.protocol.version = "9.9";
    snapshot.protocol.cookies.emplace();
    snapshot.protocol.keepalive = 300;
    snapshot.protocol.most_amplification = 20;
    return snapshot;
  }();
  return kSnapshot;
}

}  // namespace nearside::test
