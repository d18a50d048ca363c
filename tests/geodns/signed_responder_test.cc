// The answers of signed zones, each as ldns verifies it.

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "dns/wire.h"
#include "geodns/aliases.h"
#include "geodns/responder.h"
#include "tests/dns/decoded.h"
#include "tests/dns/wire_query.h"
#include "tests/geodns/mmdb_writer.h"
#include "tests/geodns/verified.h"
#include "tests/support/temp_dir.h"

namespace nearside::geodns {
namespace {

using dns::WireQuery;
namespace type = dns::type;

constexpr std::string_view kSignedZone = R"($TTL 300
@        SOA   ns1 hostmaster 7 1h 1h 1w 60
@        NS    ns1
@        MX    10 Mail
ns1      A     192.0.2.53
mail     A     192.0.2.25
static   A     192.0.2.101
static   A     192.0.2.100
static   AAAA  2001:db8::100
alias    CNAME static
towww    CNAME www
broken   CNAME missing
outside  CNAME www.other.example.
toplain  CNAME www.plain
tochild  CNAME www.child
*.wild   A     192.0.2.101
*.cwild  CNAME static
a.b.ent  A     192.0.2.102
sub      NS    ns1.sub
ns1.sub  A     192.0.2.103
secure   NS    ns.other.example.
secure   DS    1 13 2 00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
plain    NS    ns.plain
ns.plain A     192.0.2.105
child    NS    ns.child
child    DS    2 13 2 00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
ns.child A     192.0.2.105
www      MX    10 mail
like     ALIAS static
onlya    ALIAS mail
likewww  ALIAS www
below    ALIAS www.child
away     ALIAS www.other.example.
gone     ALIAS missing
*.walias 90 ALIAS static
svc      HTTPS 1 www alpn=h2 ipv4hint=0.0.0.0
svc      HTTPS 2 www port=8443 ipv4hint=0.0.0.0 ipv6hint=::
tosvc    CNAME svc
)";
constexpr std::string_view kHostedBelow = R"($TTL 300
@        SOA   ns hostmaster 9 1h 1h 1w 50
@        NS    ns
ns       A     192.0.2.105
www      A     192.0.2.106
)";
const WallTime kAskedAt = FromUnixMillis(1'800'000'000'000);

/// demo.test and child.demo.test are signed by one key (whose copies have other ids),
/// plain.demo.test is not signed. frankfurt and tokyo steer www and the apex.
class SignedResponderTest : public testing::Test {
 protected:
  SignedResponderTest() { Make({PopState::kUp, PopState::kUp}); }

  void Make(std::vector<PopState> pops) {
    MmdbWriter writer(6);
    writer.AddFlat("10.0.0.0/8", "DE").AddFlat("133.0.0.0/8", "JP");
    const Coordinates at[] = {{50.11, 8.68}, {35.7, 139.7}};
    auto map = *GeoMap::Load({dir_.Write("geo.mmdb", writer.Bytes())}, at);
    auto snapshot = std::make_shared<Snapshot>();
    std::string big(kSignedZone);
    for (int i = 0; i < 8; ++i)
      big += "big TXT \"" + std::string(130, static_cast<char>('a' + i)) + "\"\n";
    snapshot->zones = ZoneIndex({MakeZone("demo.test.", big, true, {"www", "@", "*.cdn"}),
                                 MakeZone("child.demo.test.", kHostedBelow, true, {}),
                                 MakeZone("plain.demo.test.", kHostedBelow, false, {})});
    Health health{pops, true};
    SteerRule rule{.policy = policy_, .pops = {0, 1}, .unknown = {0}};
    rule.answers = answers_;
    Steer steer{.table = SteerTable::Make(rule, *map, health, {1, 1}), .ttl = 30};
    for (auto addresses : {std::vector{Ip("192.0.2.9"), Ip("2001:db8::1")}, {Ip("192.0.2.2")}}) {
      steer.pops.push_back({AddressRecords::Render(addresses, false, 30),
                            AddressRecords::Render(addresses, true, 30)});
    }
    snapshot->steers.push_back(std::move(steer));
    const auto plans = PlanAliases(snapshot->zones.zones());
    ASSERT_TRUE(plans) << plans.error().message;
    snapshot->aliases = AnswersOf(*plans, nullptr);
    for (size_t i = 0; away_is_known_ && i < plans->size(); ++i) {
      AliasAnswer& answer = snapshot->aliases[i];
      if (answer.zone != nullptr) continue;
      const std::vector resolved{Ip("198.51.100.7"), Ip("198.51.100.3")};
      answer.known = true;
      answer.ttl = 20;
      answer.resolved = {AddressRecords::Render(resolved, false, 20),
                         AddressRecords::Render(resolved, true, 20)};
    }
    snapshot_ = snapshot;
  }

  std::shared_ptr<const Zone> MakeZone(std::string_view origin_text, std::string_view text,
                                       bool is_signed,
                                       std::vector<std::string_view> steered_names) {
    auto origin = *dns::Name::FromText(origin_text);
    auto records = *ParseZoneFile(text, "z", origin);
    auto keys = std::make_shared<ZoneKeys>();
    keys->zone = origin;
    keys->keys.push_back(MakeZoneKey(origin, secret_.Copy()));
    if (is_signed) {
      EXPECT_TRUE(PrepareToSign(*keys, "z", &records));
    }
    std::vector<SteeredName> steered;
    for (std::string_view name_text : steered_names) {
      const dns::Name name = *dns::Name::FromText(name_text, origin);
      const auto wire = name.view().bytes();
      steered.push_back({{wire.begin(), wire.end()}, 0, "toml"});
    }
    auto zone = Zone::Build(origin, "z", std::move(records), steered);
    EXPECT_TRUE(zone) << zone.error().message;
    if (is_signed) zone->SignWith(keys);
    if (is_signed) keys_[std::string(origin_text)] = *keys;
    return std::make_shared<Zone>(std::move(*zone));
  }
  static IpAddress Ip(std::string_view text) { return *IpAddress::Parse(text); }

  /// The first line of what ldns decodes, then what it verifies.
  std::string Ask(const std::vector<uint8_t>& query, std::string_view client = "10.1.2.3",
                  Transport transport = Transport::kUdp) {
    std::vector<uint8_t> out(transport == Transport::kUdp ? kUdpAnswerBytes : kTcpAnswerBytes);
    signer_.Begin(kAskedAt, static_cast<size_t>(transport));
    const Asker asker{.address = Ip(client), .transport = transport, .signer = &signer_};
    out.resize(Respond(*snapshot_, query, asker, out, &tally_));
    answer_ = out;
    decoded_ = dns::Decoded(answer_);
    return decoded_.substr(0, decoded_.find('\n') + 1) +
           Verified(answer_, keys_[verify_by_], kAskedAt);
  }
  std::string Ask(std::string_view name, uint16_t qtype = type::kA) {
    return Ask(WireQuery(name, qtype).Edns(1232, 0, true).Bytes());
  }
  struct Row {
    std::string_view name;
    uint16_t qtype;
    std::string want;
  };
  /// Each twice: the second time all signatures are remembered.
  void ExpectAll(const std::vector<Row>& rows) {
    for (const Row& row : rows) {
      EXPECT_EQ(Ask(row.name, row.qtype), row.want) << row.name << ' ' << row.qtype;
      EXPECT_EQ(Ask(row.name, row.qtype), row.want) << "again: " << row.name << ' ' << row.qtype;
      EXPECT_EQ(tally_.signing.made, 0) << row.name << ' ' << row.qtype;
    }
  }
  static std::vector<uint8_t> WithCompactOk(std::string_view name) {
    auto query = WireQuery(name).Edns(1232, 0, true).Bytes();
    query[query.size() - 4] |= 0x40;  // the flags, before the length of the options
    return query;
  }

  test::TempDir dir_;
  size_t answers_ = 1;
  Policy policy_ = Policy::kNearest;
  bool away_is_known_ = false;  ///< what an ALIAS outside our zones leads to
  SigningKey secret_ = SigningKey::Generate(SigningAlgorithm::kEcdsaP256);
  std::map<std::string, ZoneKeys> keys_;
  std::string verify_by_ = "demo.test.";
  Signer signer_{{.cache_size = 1_MiB, .made_up_a_second = 1000}};
  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<uint8_t> answer_;
  std::string decoded_;
  Tally tally_;
};

constexpr std::string_view kSignedSoa = "authority: demo.test. SOA signed 1\n";

const std::string kOk = "NOERROR qr aa\n";
const std::string kSoaText(kSignedSoa);

TEST_F(SignedResponderTest, WhatIsThereIsSigned) {
  ExpectAll({
      {"static.demo.test.", type::kA, kOk + "answer: static.demo.test. A signed 1\n"},
      {"STATIC.demo.test.", type::kAaaa, kOk + "answer: STATIC.demo.test. AAAA signed 1\n"},
      {"demo.test.", type::kMx, kOk + "answer: demo.test. MX signed 1\n"},
      {"demo.test.", type::kNs, kOk + "answer: demo.test. NS signed 1\n"},
      {"demo.test.", type::kSoa, kOk + "answer: demo.test. SOA signed 1\n"},
      {"demo.test.", type::kDnskey, kOk + "answer: demo.test. DNSKEY signed 1\n"},
      {"demo.test.", type::kCds, kOk + "answer: demo.test. CDS signed 1\n"},
      {"demo.test.", type::kCdnskey, kOk + "answer: demo.test. CDNSKEY signed 1\n"},
      {"www.demo.test.", type::kA, kOk + "answer: www.demo.test. A signed 1\n"},
      {"demo.test.", type::kAaaa, kOk + "answer: demo.test. AAAA signed 1\n"},
      {"static.demo.test.", type::kAny, kOk + "answer: static.demo.test. HINFO signed 1\n"},
      {"alias.demo.test.", type::kA,
       kOk + "answer: alias.demo.test. CNAME signed 1\nanswer: static.demo.test. A signed 1\n"},
      {"towww.demo.test.", type::kA,
       kOk + "answer: towww.demo.test. CNAME signed 1\nanswer: www.demo.test. A signed 1\n"},
      {"outside.demo.test.", type::kA, kOk + "answer: outside.demo.test. CNAME signed 1\n"},
      // Wildcards: as if the name were there (RFC 9824 §3.3).
      {"x.wild.demo.test.", type::kA, kOk + "answer: x.wild.demo.test. A signed 1\n"},
      {"*.wild.demo.test.", type::kA, kOk + "answer: *.wild.demo.test. A signed 1\n"},
      {"x.cdn.demo.test.", type::kA, kOk + "answer: x.cdn.demo.test. A signed 1\n"},
      {"x.cwild.demo.test.", type::kA,
       kOk + "answer: x.cwild.demo.test. CNAME signed 1\nanswer: static.demo.test. A signed 1\n"},
      {"x.wild.demo.test.", type::kMx,
       kOk + kSoaText +
           "authority: x.wild.demo.test. NSEC \\000.x.wild.demo.test. A RRSIG NSEC signed 1\n"},
  });
}

TEST_F(SignedResponderTest, WhatIsNotThereIsDenied) {
  ExpectAll({
      // No data (RFC 9824 §3.2), at an empty non-terminal as well.
      {"static.demo.test.", type::kMx,
       kOk + kSoaText +
           "authority: static.demo.test. NSEC \\000.static.demo.test. A AAAA RRSIG NSEC signed "
           "1\n"},
      {"www.demo.test.", type::kTxt,
       kOk + kSoaText +
           "authority: www.demo.test. NSEC \\000.www.demo.test. A MX AAAA RRSIG NSEC signed 1\n"},
      {"demo.test.", type::kTxt,
       kOk + kSoaText +
           "authority: demo.test. NSEC \\000.demo.test. A NS SOA MX AAAA RRSIG NSEC DNSKEY CDS "
           "CDNSKEY signed 1\n"},
      {"b.ent.demo.test.", type::kA,
       kOk + kSoaText +
           "authority: b.ent.demo.test. NSEC \\000.b.ent.demo.test. RRSIG NSEC signed 1\n"},
      {"b.ent.demo.test.", type::kAny,
       kOk + kSoaText +
           "authority: b.ent.demo.test. NSEC \\000.b.ent.demo.test. RRSIG NSEC signed 1\n"},
      {"alias.demo.test.", type::kDs,
       kOk + "answer: alias.demo.test. CNAME signed 1\n" + kSoaText +
           "authority: static.demo.test. NSEC "
           "\\000.static.demo.test. A AAAA RRSIG NSEC signed 1\n"},
      // No such name (RFC 9824 §3.1), also at the end of a chain.
      {"missing.demo.test.", type::kA,
       kOk + kSoaText +
           "authority: missing.demo.test. NSEC \\000.missing.demo.test. RRSIG NSEC TYPE128 signed "
           "1\n"},
      {"a.B.missing.demo.test.", type::kTxt,
       kOk + kSoaText +
           "authority: a.B.missing.demo.test. NSEC \\000.a.b.missing.demo.test. RRSIG NSEC TYPE128 "
           "signed 1\n"},
      {"broken.demo.test.", type::kA,
       kOk + "answer: broken.demo.test. CNAME signed 1\n" + kSoaText +
           "authority: missing.demo.test. NSEC \\000.missing.demo.test. RRSIG NSEC TYPE128 signed "
           "1\n"},
  });
}

TEST_F(SignedResponderTest, CutsAndRecordsOfDnssecItself) {
  ExpectAll({
      // Referrals: what is the child's is not signed, whether it is signed is.
      {"x.sub.demo.test.", type::kA,
       "NOERROR qr\nauthority: sub.demo.test. NS unsigned\n"
       "authority: sub.demo.test. NSEC sub\\000.demo.test. NS RRSIG NSEC signed 1\n"
       "additional: ns1.sub.demo.test. A unsigned\n"},
      {"x.secure.demo.test.", type::kA,
       "NOERROR qr\nauthority: secure.demo.test. NS unsigned\n"
       "authority: secure.demo.test. DS signed 1\n"},
      {"secure.demo.test.", type::kDs, kOk + "answer: secure.demo.test. DS signed 1\n"},
      {"sub.demo.test.", type::kDs,
       kOk + kSoaText +
           "authority: sub.demo.test. NSEC sub\\000.demo.test. NS RRSIG NSEC signed 1\n"},
      // Of a zone below that is ours as well, the parent has the DS, or has it not.
      {"child.demo.test.", type::kDs, kOk + "answer: child.demo.test. DS signed 1\n"},
      {"plain.demo.test.", type::kDs,
       kOk + kSoaText +
           "authority: plain.demo.test. NSEC plain\\000.demo.test. NS RRSIG NSEC signed 1\n"},
      {"toplain.demo.test.", type::kA,
       kOk +
           "answer: toplain.demo.test. CNAME signed 1\nanswer: www.plain.demo.test. A unsigned\n"},
      {"www.plain.demo.test.", type::kA, kOk + "answer: www.plain.demo.test. A unsigned\n"},
      {"no.plain.demo.test.", type::kA,
       "NXDOMAIN qr aa\nauthority: plain.demo.test. SOA unsigned\n"},
      // Asked for themselves.
      {"static.demo.test.", type::kNsec,
       kOk + "answer: static.demo.test. NSEC \\000.static.demo.test. A AAAA RRSIG NSEC signed 1\n"},
      {"alias.demo.test.", type::kNsec,
       kOk + "answer: alias.demo.test. NSEC \\000.alias.demo.test. CNAME RRSIG NSEC signed 1\n"},
      {"static.demo.test.", type::kRrsig, kOk + "answer: static.demo.test. NSEC stray\n"},
      {"missing.demo.test.", type::kNsec,
       kOk + "answer: missing.demo.test. NSEC \\000.missing.demo.test. RRSIG NSEC TYPE128 signed "
             "1\n"},
      {"missing.demo.test.", type::kRrsig, kOk + "answer: missing.demo.test. NSEC stray\n"},
      {"demo.test.", type::kNxname, "FORMERR qr\n"},
  });
}

TEST_F(SignedResponderTest, AChildThatIsSignedSignsByItself) {
  verify_by_ = "child.demo.test.";
  EXPECT_EQ(Ask("www.child.demo.test."),
            "NOERROR qr aa\nanswer: www.child.demo.test. A signed 1\n");
  const std::string chain = Ask("tochild.demo.test.");
  EXPECT_NE(chain.find("answer: www.child.demo.test. A signed 1\n"), std::string::npos) << chain;
  EXPECT_NE(chain.find("tochild.demo.test. CNAME signed 1"), std::string::npos) << chain;
  EXPECT_EQ(Ask("no.child.demo.test."),
            "NOERROR qr aa\nauthority: child.demo.test. SOA signed 1\n"
            "authority: no.child.demo.test. NSEC \\000.no.child.demo.test. RRSIG NSEC TYPE128 "
            "signed 1\n");
}

TEST_F(SignedResponderTest, WithoutDoNothingIsSigned) {
  for (bool edns : {false, true}) {
    const auto ask = [&](std::string_view name, uint16_t qtype) {
      WireQuery query(name, qtype);
      if (edns) query.Edns();
      return Ask(query.Bytes());
    };
    EXPECT_EQ(ask("static.demo.test.", type::kA),
              "NOERROR qr aa\nanswer: static.demo.test. A unsigned\n");
    EXPECT_EQ(ask("missing.demo.test.", type::kA),
              "NXDOMAIN qr aa\nauthority: demo.test. SOA unsigned\n");
    EXPECT_EQ(ask("x.sub.demo.test.", type::kA),
              "NOERROR qr\nauthority: sub.demo.test. NS unsigned\n"
              "additional: ns1.sub.demo.test. A unsigned\n");
    EXPECT_EQ(ask("demo.test.", type::kDnskey),
              "NOERROR qr aa\nanswer: demo.test. DNSKEY unsigned\n");
    EXPECT_EQ(ask("static.demo.test.", type::kRrsig),
              "NOERROR qr aa\nanswer: static.demo.test. NSEC stray\n");
    EXPECT_FALSE(tally_.denied_compactly);
  }
}

TEST_F(SignedResponderTest, ClientsThatTakeCompactAnswersGetNxdomain) {
  EXPECT_EQ(Ask(WithCompactOk("missing.demo.test.")),
            "NXDOMAIN qr aa\n" + std::string(kSignedSoa) +
                "authority: missing.demo.test. NSEC \\000.missing.demo.test. RRSIG NSEC TYPE128 "
                "signed 1\n");
  EXPECT_FALSE(tally_.denied_compactly);
  const auto flags_of = [this] { return dns::Load16(answer_.data() + answer_.size() - 4); };
  EXPECT_EQ(flags_of(), 0xC000);
  Ask(WithCompactOk("static.demo.test."));
  EXPECT_EQ(flags_of(), 0xC000);
  Ask("missing.demo.test.");
  EXPECT_EQ(flags_of(), 0x8000);
  EXPECT_TRUE(tally_.denied_compactly);
  EXPECT_EQ(tally_.rcode, dns::Rcode::kNoError);
  Ask(WithCompactOk("no.plain.demo.test."));
  EXPECT_EQ(flags_of(), 0x8000) << "not of a zone that is not signed";
}

TEST_F(SignedResponderTest, SteeredAnswersAreSignedAsEachClientGetsThem) {
  const auto ask = [this](std::string_view subnet, uint16_t qtype) {
    return Ask(WireQuery("www.demo.test.", qtype).Edns(1232, 0, true).Subnet(subnet).Bytes());
  };
  for (int round = 0; round < 2; ++round) {
    for (const auto& [subnet, address] :
         {std::pair("10.1.2.0/24", "192.0.2.9"), std::pair("133.11.0.0/16", "192.0.2.2")}) {
      EXPECT_EQ(ask(subnet, type::kA), "NOERROR qr aa\nanswer: www.demo.test. A signed 1\n");
      EXPECT_NE(decoded_.find(std::string("www.demo.test. 30 A ") + address), std::string::npos)
          << decoded_;
    }
  }
  EXPECT_EQ(tally_.signing.remembered, 1);
  // Tokyo has no IPv6: denied for as long as an answer would be kept, for the asked family alone.
  EXPECT_EQ(ask("133.11.0.0/16", type::kAaaa),
            "NOERROR qr aa\n" + std::string(kSignedSoa) +
                "authority: www.demo.test. NSEC \\000.www.demo.test. A MX RRSIG NSEC signed 1\n");
  EXPECT_NE(decoded_.find("authority: www.demo.test. 30 NSEC"), std::string::npos) << decoded_;
  EXPECT_EQ(ask("10.1.2.0/24", type::kAaaa),
            "NOERROR qr aa\nanswer: www.demo.test. AAAA signed 1\n");
  answers_ = 2;
  Make({PopState::kUp, PopState::kUp});
  EXPECT_EQ(ask("10.1.2.0/24", type::kA), "NOERROR qr aa\nanswer: www.demo.test. A signed 1\n");
  EXPECT_EQ(Ask("towww.demo.test."),
            "NOERROR qr aa\nanswer: towww.demo.test. CNAME signed 1\n"
            "answer: www.demo.test. A signed 1\n");
}

/// An ALIAS's addresses are its own: signed under its name and TTL, denied from its own node.
TEST_F(SignedResponderTest, AliasesAreSignedUnderTheirOwnNames) {
  const auto deny = [](const std::string& name, const std::string& types) {
    return kOk + kSoaText + "authority: " + name + " NSEC \\000." + name + " " + types +
           " signed 1\n";
  };
  away_is_known_ = true;
  Make({PopState::kUp, PopState::kUp});
  ExpectAll({
      {"like.demo.test.", type::kA, kOk + "answer: like.demo.test. A signed 1\n"},
      {"LIKE.demo.test.", type::kAaaa, kOk + "answer: LIKE.demo.test. AAAA signed 1\n"},
      {"likewww.demo.test.", type::kA, kOk + "answer: likewww.demo.test. A signed 1\n"},
      {"likewww.demo.test.", type::kAaaa, kOk + "answer: likewww.demo.test. AAAA signed 1\n"},
      {"below.demo.test.", type::kA, kOk + "answer: below.demo.test. A signed 1\n"},
      {"away.demo.test.", type::kA, kOk + "answer: away.demo.test. A signed 1\n"},
      {"x.walias.demo.test.", type::kA, kOk + "answer: x.walias.demo.test. A signed 1\n"},
      {"like.demo.test.", type::kAny, kOk + "answer: like.demo.test. HINFO signed 1\n"},
      {"like.demo.test.", type::kMx, deny("like.demo.test.", "A AAAA RRSIG NSEC")},
      {"onlya.demo.test.", type::kAaaa, deny("onlya.demo.test.", "A RRSIG NSEC")},
      {"away.demo.test.", type::kAaaa, deny("away.demo.test.", "A RRSIG NSEC")},
      {"gone.demo.test.", type::kA, deny("gone.demo.test.", "AAAA RRSIG NSEC")},
      {"likewww.demo.test.", type::kMx, deny("likewww.demo.test.", "A AAAA RRSIG NSEC")},
      {"like.demo.test.", type::kNsec,
       kOk + "answer: like.demo.test. NSEC \\000.like.demo.test. A AAAA RRSIG NSEC signed 1\n"},
  });
  const auto ttl_of = [this](std::string_view name) {
    Ask(name);
    const size_t at = decoded_.find("answer: " + std::string(name) + " ");
    return at == std::string::npos ? -1 : std::atoi(decoded_.c_str() + at + 9 + name.size());
  };
  EXPECT_EQ(ttl_of("like.demo.test."), 300);
  EXPECT_EQ(ttl_of("x.walias.demo.test."), 90) << "no longer than the ALIAS says";
  EXPECT_EQ(ttl_of("away.demo.test."), 20);
  EXPECT_EQ(ttl_of("likewww.demo.test."), 30);
  // Tokyo has no IPv6.
  EXPECT_EQ(Ask(WireQuery("likewww.demo.test.", type::kAaaa)
                    .Edns(1232, 0, true)
                    .Subnet("133.11.0.0/16")
                    .Bytes()),
            deny("likewww.demo.test.", "A RRSIG NSEC"));
  EXPECT_NE(decoded_.find("authority: likewww.demo.test. 30 NSEC"), std::string::npos) << decoded_;
  away_is_known_ = false;
  Make({PopState::kUp, PopState::kUp});
  EXPECT_EQ(Ask("away.demo.test."), "SERVFAIL qr aa\n");
}

TEST_F(SignedResponderTest, HintsThatFollowSteeringAreSignedAsTheyAreWritten) {
  for (int round = 0; round < 2; ++round) {
    for (const auto& [subnet, address] :
         {std::pair("10.1.2.0/24", "192.0.2.9"), std::pair("133.11.0.0/16", "192.0.2.2")}) {
      for (std::string_view name : {"svc.demo.test.", "tosvc.demo.test."}) {
        const std::string got =
            Ask(WireQuery(name, type::kHttps).Edns(1232, 0, true).Subnet(subnet).Bytes());
        EXPECT_NE(got.find("answer: svc.demo.test. HTTPS signed 1\n"), std::string::npos) << got;
        const IpAddress hint = Ip(address);
        EXPECT_NE(std::search(answer_.begin(), answer_.end(), hint.raw().begin(), hint.raw().end()),
                  answer_.end())
            << decoded_;
        EXPECT_NE(decoded_.find("answer: svc.demo.test. 30 "), std::string::npos) << decoded_;
      }
    }
  }
  EXPECT_EQ(Ask("svc.demo.test."), "NOERROR qr aa\n" + std::string(kSignedSoa) +
                                       "authority: svc.demo.test. NSEC \\000.svc.demo.test. "
                                       "RRSIG NSEC HTTPS signed 1\n");
}

/// Which of many sets a client gets it may choose by ECS: they cost the zone's own names nothing.
TEST_F(SignedResponderTest, SetsThatAreDrawnHaveABudget) {
  signer_ = Signer({.cache_size = 1_MiB, .made_up_a_second = 2});
  policy_ = Policy::kWeighted;
  answers_ = 2;
  Make({PopState::kUp, PopState::kUp});
  EXPECT_EQ(Ask("likewww.demo.test."), "NOERROR qr aa\nanswer: likewww.demo.test. A signed 1\n");
  EXPECT_EQ(Ask("svc.demo.test.", type::kHttps),
            "NOERROR qr aa\nanswer: svc.demo.test. HTTPS signed 1\n");
  EXPECT_EQ(Ask("www.demo.test."), "NOERROR qr aa tc\n");
  EXPECT_TRUE(tally_.signing.refused);
  EXPECT_EQ(Ask("likewww.demo.test."), "NOERROR qr aa\nanswer: likewww.demo.test. A signed 1\n");
  EXPECT_EQ(Ask("static.demo.test."), "NOERROR qr aa\nanswer: static.demo.test. A signed 1\n");
  EXPECT_EQ(Ask("missing.demo.test.").substr(0, 14), "NOERROR qr aa\n");
}

TEST_F(SignedResponderTest, NegativeTtlsAreThoseOfRfc9077) {
  Ask("static.demo.test.", type::kMx);
  EXPECT_NE(decoded_.find("authority: static.demo.test. 60 NSEC"), std::string::npos) << decoded_;
  EXPECT_NE(decoded_.find("authority: demo.test. 60 SOA"), std::string::npos) << decoded_;
}

TEST_F(SignedResponderTest, WhatDoesNotFitWithItsSignaturesIsTruncated) {
  // 8 strings of 130 bytes fit in 1,232 bytes without a signature only.
  const auto plain = WireQuery("big.demo.test.", type::kTxt).Edns(1232).Bytes();
  const auto query = WireQuery("big.demo.test.", type::kTxt).Edns(1232, 0, true).Bytes();
  EXPECT_EQ(Ask(plain).substr(0, 14), "NOERROR qr aa\n");
  const std::string ask_512 = Ask(WireQuery("missing.demo.test.").Edns(512, 0, true).Bytes());
  EXPECT_EQ(ask_512.substr(0, 14), "NOERROR qr aa\n") << "a denial fits in the least that there is";
  const std::string whole = Ask(query, "10.1.2.3", Transport::kTcp);
  EXPECT_EQ(whole, "NOERROR qr aa\nanswer: big.demo.test. TXT signed 1\n");
  ASSERT_GT(answer_.size(), 1232U);
  EXPECT_EQ(Ask(query), "NOERROR qr aa tc\n");
  EXPECT_TRUE(tally_.truncated);
  EXPECT_LE(answer_.size(), 1232U);
}

TEST_F(SignedResponderTest, AnswersOfEverySizeAreWholeOrTruncated) {
  for (std::string_view name : {"static.demo.test.", "missing.demo.test.", "x.sub.demo.test.",
                                "alias.demo.test.", "x.wild.demo.test.", "demo.test."}) {
    const auto query = WireQuery(name).Edns(1232, 0, true).Bytes();
    const std::string whole = Ask(query);
    const size_t whole_bytes = answer_.size();
    ASSERT_FALSE(tally_.truncated) << name;
    for (size_t room = 64; room <= whole_bytes; ++room) {
      std::vector<uint8_t> out(room);
      signer_.Begin(kAskedAt, 0);
      const Asker asker{.address = Ip("10.1.2.3"), .signer = &signer_};
      out.resize(Respond(*snapshot_, query, asker, out, &tally_));
      const std::string got = Verified(out, keys_["demo.test."], kAskedAt);
      const std::string wanted = whole.substr(whole.find('\n') + 1);
      if (room == whole_bytes) {
        EXPECT_FALSE(tally_.truncated) << name;
        EXPECT_EQ(got, wanted) << name;
      }
      EXPECT_EQ(got, tally_.truncated ? "" : wanted) << name << ' ' << room;
      EXPECT_EQ(tally_.truncated, room < whole_bytes) << name << ' ' << room;
    }
  }
}

TEST_F(SignedResponderTest, OverItsBudgetMadeUpNamesAreSentToTcpAndThenFail) {
  signer_ = Signer({.cache_size = 1_MiB, .made_up_a_second = 2});
  const auto query = [](int i) {
    return WireQuery("m" + std::to_string(i) + ".demo.test.").Edns(1232, 0, true).Bytes();
  };
  for (int i = 0; i < 2; ++i) EXPECT_EQ(Ask(query(i)).substr(0, 14), "NOERROR qr aa\n");
  EXPECT_EQ(Ask(query(2)), "NOERROR qr aa tc\n");
  EXPECT_TRUE(tally_.signing.refused);
  EXPECT_EQ(Ask(query(1)).substr(0, 14), "NOERROR qr aa\n") << "remembered";
  EXPECT_EQ(Ask("static.demo.test."), "NOERROR qr aa\nanswer: static.demo.test. A signed 1\n");
  for (int i = 2; i < 4; ++i) {
    EXPECT_EQ(Ask(query(i), "10.1.2.3", Transport::kTcp).substr(0, 14), "NOERROR qr aa\n");
  }
  EXPECT_EQ(Ask(query(5), "10.1.2.3", Transport::kTcp), "SERVFAIL qr\n");
  EXPECT_FALSE(tally_.truncated);
  EXPECT_EQ(Ask(WireQuery("m9.demo.test.").Bytes()).substr(0, 8), "NXDOMAIN") << "without DO";
}

TEST_F(SignedResponderTest, TheLongestNamesAreDenied) {
  const std::string label(63, 'k');
  const std::string below = "." + label + "." + label + "." + std::string(52, 'k') + ".demo.test.";
  for (size_t bytes = 250; bytes <= 255; ++bytes) {
    // A length octet, the label, and `below` with its first dot as the next length octet.
    const std::string name = std::string(bytes - 1 - (below.size()), 'k') + below;
    ASSERT_EQ(dns::WireName(name).size(), bytes);
    const std::string got = Ask(WireQuery(name).Edns(1232, 0, true).Bytes());
    EXPECT_NE(got.find("RRSIG NSEC TYPE128 signed 1\n"), std::string::npos) << bytes << got;
  }
}

TEST_F(SignedResponderTest, RandomQueriesAreNeverBogus) {
  std::mt19937 random(3);
  const std::string_view kNames[] = {"static",   "missing", "x.sub",   "alias", "a.wild",
                                     "www",      "b.ent",   "toplain", "big",   "child",
                                     "broken",   "like",    "likewww", "below", "onlya",
                                     "x.walias", "svc",     "tosvc",   "gone"};
  for (int round = 0; round < 3000; ++round) {
    std::string name = std::string(kNames[random() % std::size(kNames)]) + ".demo.test.";
    for (char& c : name) {
      if (random() % 4 == 0) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    }
    const auto qtype =
        static_cast<uint16_t>(random() % 3 == 0 ? random() % 70 : random() % 3 * 14 + 1);
    WireQuery query(name, qtype);
    query.Edns(static_cast<uint16_t>(512 + random() % 800), 0, true);
    if (random() % 2 == 0) query.Subnet(random() % 2 == 0 ? "10.0.0.0/8" : "133.0.0.0/8");
    const std::string got = Ask(query.Bytes());
    ASSERT_EQ(got.find("bogus"), std::string::npos) << name << ' ' << qtype << '\n' << got;
    ASSERT_EQ(got.find("undecodable"), std::string::npos) << name << ' ' << qtype;
  }
}

}  // namespace
}  // namespace nearside::geodns
