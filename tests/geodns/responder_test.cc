#include "geodns/responder.h"

#include <gtest/gtest.h>

#include <random>

#include "dns/edns.h"
#include "geodns/aliases.h"
#include "tests/dns/decoded.h"
#include "tests/dns/wire_query.h"
#include "tests/geodns/mmdb_writer.h"
#include "tests/support/temp_dir.h"

namespace nearside::geodns {
namespace {

using dns::Decoded;
using dns::FromHex;
using dns::WireQuery;
namespace type = dns::type;

/// Of the DS records in kZone.
const std::string kDigest = "00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff";
constexpr std::string_view kZone = R"($TTL 300
@        SOA   ns1 hostmaster 7 1h 1h 1w 60
@        NS    ns1
@        MX    10 mail
ns1      A     192.0.2.53
mail     A     192.0.2.25
static   A     192.0.2.100
static   AAAA  2001:db8::100
alias    CNAME static
chain    CNAME alias
towww    CNAME www
outside  CNAME www.other.example.
broken   CNAME missing
above    CNAME missing.above
high     CNAME higher
higher   CNAME missing.high
loop1    CNAME loop2
loop2    CNAME loop1
self     CNAME self
intosub  CNAME x.sub
*.wild   A     192.0.2.101
*.wild   TXT   "wild"
*.cwild  CNAME static
a.b.ent  A     192.0.2.102
sub      NS    ns1.sub
sub      NS    ns.other.example.
sub      DS    1 13 2 00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
ns1.sub  A     192.0.2.103
ns1.sub  AAAA  2001:db8::103
plain    NS    ns.other.example.
www      A     192.0.2.99
www      MX    10 mail
caps.Mixed A   192.0.2.104
child    NS    ns.child
child    DS    2 13 2 00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff00ff
ns.child A     192.0.2.105
tochild  CNAME www.child
nochild  CNAME missing.child
topchild CNAME child
toother  CNAME www.sibling.test.
@        HTTPS 1 . alpn=h2 ipv4hint=192.0.2.99 ipv6hint=2001:db8::99
svc      HTTPS 1 www mandatory=ipv6hint alpn=h2 ipv6hint=2001:db8::99
svc      HTTPS 2 static ipv4hint=192.0.2.98
tosvc    CNAME svc
*.cdn    SVCB 1 . ipv4hint=192.0.2.99
away     60 ALIAS www.other.example.
*.away   60 ALIAS www.other.example.
lost     ALIAS www.lost.example.
empty    ALIAS www.empty.example.
like     60 ALIAS static
likewww  ALIAS towww
soonwww  10 ALIAS towww
toaway   CNAME away
likenone ALIAS missing
)";
/// A zone of ours below the first.
constexpr std::string_view kChildZone = R"(
@        SOA   ns hostmaster 9 1h 1h 1w 50
@        NS    ns
ns       A     192.0.2.105
www      A     192.0.2.106
back     CNAME static.demo.test.
)";

/// Unix time of the queries.
constexpr uint32_t kNow = 1'559'731'985;

/// Answers queries for demo.test: frankfurt and tokyo steer www and the apex.
class ResponderTest : public testing::Test {
 protected:
  ResponderTest() { Make({PopState::kUp, PopState::kUp}); }

  void Make(std::vector<PopState> pops, bool fallback_is_up = true) {
    MmdbWriter writer(6);
    writer.AddFlat("10.0.0.0/8", "DE").AddFlat("133.0.0.0/8", "JP").AddFlat("2001:200::/23", "JP");
    const Coordinates at[] = {{50.11, 8.68}, {35.7, 139.7}};
    auto map = *GeoMap::Load({dir_.Write("geo.mmdb", writer.Bytes())}, at);
    auto origin = *dns::Name::FromText("demo.test.");
    std::vector<SteeredName> steered;
    for (std::string_view text : {"www", "@", "new", "*.cdn"}) {
      steered.push_back({WireOf(text, origin), 0, "toml"});
    }
    steered.push_back({WireOf("ab", origin), 1, "toml"});
    std::string text(kZone);
    for (int i = 0; i < 30; ++i) {
      text += "big TXT \"" + std::to_string(i) + std::string(200, 'x') + "\"\n";
    }
    auto zone = Zone::Build(origin, "z", *ParseZoneFile(text, "z", origin), steered);
    ASSERT_TRUE(zone) << zone.error().message;
    auto snapshot = std::make_shared<Snapshot>();
    const std::vector<std::shared_ptr<const Zone>> zones = {
        std::make_shared<Zone>(std::move(*zone)), Static("child.demo.test.", kChildZone),
        Static("sibling.test.", "@ SOA ns h 1 1 1 1 60\n@ NS ns\nns A 192.0.2.53\n")};
    snapshot->zones = ZoneIndex(zones);
    const auto plans = *PlanAliases(zones);
    snapshot->aliases = AnswersOf(plans, nullptr);
    for (size_t i = 0; i < plans.size(); ++i) {
      const std::string target = AliasResolver::NameOf(plans[i].target).ToText();
      AliasAnswer& answer = snapshot->aliases[i];
      if (target == "www.other.example.") {
        const IpAddress addresses[] = {Ip("198.51.100.1"), Ip("198.51.100.2"), Ip("2001:db8:1::1")};
        answer.resolved = {AddressRecords::Render(addresses, false, 45),
                           AddressRecords::Render(addresses, true, 45)};
      }
      if (target == "www.lost.example." || plans[i].zone != nullptr) continue;
      answer.known = true;
      answer.ttl = 45;
    }
    Health health{pops, fallback_is_up};
    for (Policy policy : {Policy::kNearest, Policy::kWeighted}) {
      SteerRule rule{.policy = policy, .pops = {0, 1}, .unknown = {0}, .has_fallback = true};
      Steer steer{.table = SteerTable::Make(rule, *map, health, {1, 1}), .ttl = 30};
      for (auto addresses : {std::vector{Ip("192.0.2.1"), Ip("2001:db8::1")}, {Ip("192.0.2.2")}}) {
        steer.pops.push_back({AddressRecords::Render(addresses, false, 30),
                              AddressRecords::Render(addresses, true, 30)});
      }
      IpAddress fallback[] = {Ip("192.0.2.200")};
      steer.fallback = {AddressRecords::Render(fallback, false, 30),
                        AddressRecords::Render(fallback, true, 30)};
      snapshot->steers.push_back(std::move(steer));
    }
    snapshot_ = snapshot;
  }

  static std::shared_ptr<const Zone> Static(std::string_view origin_text, std::string_view text) {
    auto origin = *dns::Name::FromText(origin_text);
    auto records = ParseZoneFile("$TTL 300\n" + std::string(text), "z", origin);
    return std::make_shared<Zone>(*Zone::Build(origin, "z", *records, {}));
  }
  static std::vector<uint8_t> WireOf(std::string_view text, const dns::Name& origin) {
    const dns::Name name = *dns::Name::FromText(text, origin);
    const std::span<const uint8_t> wire = name.view().bytes();
    return {wire.begin(), wire.end()};
  }
  static IpAddress Ip(std::string_view text) { return *IpAddress::Parse(text); }

  std::string Ask(const std::vector<uint8_t>& query, std::string_view client = "10.1.2.3",
                  Transport transport = Transport::kUdp) {
    std::vector<uint8_t> out(transport == Transport::kUdp ? kUdpAnswerBytes : kTcpAnswerBytes);
    size_t size = Respond(*snapshot_, query, {Ip(client), transport, kNow}, out, &tally_);
    answer_.assign(out.begin(), out.begin() + static_cast<long>(size));
    return size == 0 ? "no answer" : Decoded(answer_);
  }
  std::string Ask(std::string_view name, uint16_t qtype = type::kA) {
    return Ask(WireQuery(name, qtype).Bytes());
  }
  /// The answer to an A query for www with a client subnet: "192.0.2.1 10.1.2.0/24/8".
  std::string Steered(std::string_view subnet, std::string_view name = "www.demo.test.",
                      std::string_view client = "203.0.113.1") {
    std::string text = Ask(WireQuery(name).Subnet(subnet).Bytes(), client);
    std::string out;
    for (size_t at = text.find(" A 192"); at != std::string::npos;
         at = text.find(" A 192", at + 1)) {
      out += text.substr(at + 3, text.find('\n', at) - at - 3) + " ";
    }
    size_t at = text.find("subnet=");
    return out +
           (at == std::string::npos ? "none" : text.substr(at + 7, text.find('\n', at) - at - 7));
  }

  test::TempDir dir_;
  std::shared_ptr<const Snapshot> snapshot_;
  std::vector<uint8_t> answer_;
  Tally tally_;
};

constexpr std::string_view kSoa =
    "authority: demo.test. 60 SOA ns1.demo.test. hostmaster.demo.test. 7 3600 3600 604800 60\n";

TEST_F(ResponderTest, AnswersOfTheZone) {
  const struct {
    std::string_view name;
    uint16_t qtype;
    std::string want;  // after the question
  } kRows[] = {
      {"static.demo.test.", type::kA, "answer: static.demo.test. 300 A 192.0.2.100\n"},
      {"static.demo.test.", type::kAaaa, "answer: static.demo.test. 300 AAAA 2001:db8::100\n"},
      {"demo.test.", type::kMx, "answer: demo.test. 300 MX 10 mail.demo.test.\n"},
      {"demo.test.", type::kNs, "answer: demo.test. 300 NS ns1.demo.test.\n"},
      {"demo.test.", type::kSoa,
       "answer: demo.test. 300 SOA ns1.demo.test. hostmaster.demo.test. 7 3600 3600 604800 60\n"},
      // RFC 2308: no data, no name.
      {"static.demo.test.", type::kMx, std::string(kSoa)},
      {"static.demo.test.", type::kHttps, std::string(kSoa)},
      {"www.demo.test.", type::kSvcb, std::string(kSoa)},
      {"b.ent.demo.test.", type::kA, std::string(kSoa)},
      {"static.demo.test.", type::kDs, std::string(kSoa)},
      {"static.demo.test.", 65280, std::string(kSoa)},
      // CNAMEs.
      {"alias.demo.test.", type::kA,
       "answer: alias.demo.test. 300 CNAME static.demo.test.\n"
       "answer: static.demo.test. 300 A 192.0.2.100\n"},
      {"alias.demo.test.", type::kCname, "answer: alias.demo.test. 300 CNAME static.demo.test.\n"},
      {"chain.demo.test.", type::kAaaa,
       "answer: chain.demo.test. 300 CNAME alias.demo.test.\n"
       "answer: alias.demo.test. 300 CNAME static.demo.test.\n"
       "answer: static.demo.test. 300 AAAA 2001:db8::100\n"},
      {"chain.demo.test.", type::kMx,
       "answer: chain.demo.test. 300 CNAME alias.demo.test.\n"
       "answer: alias.demo.test. 300 CNAME static.demo.test.\n" +
           std::string(kSoa)},
      {"outside.demo.test.", type::kA, "answer: outside.demo.test. 300 CNAME www.other.example.\n"},
      {"towww.demo.test.", type::kA,
       "answer: towww.demo.test. 300 CNAME www.demo.test.\n"
       "answer: www.demo.test. 30 A 192.0.2.1\n"},
      {"loop1.demo.test.", type::kA,
       "answer: loop1.demo.test. 300 CNAME loop2.demo.test.\n"
       "answer: loop2.demo.test. 300 CNAME loop1.demo.test.\n"},
      {"self.demo.test.", type::kA, "answer: self.demo.test. 300 CNAME self.demo.test.\n"},
      // Wildcards.
      {"x.wild.demo.test.", type::kA, "answer: x.wild.demo.test. 300 A 192.0.2.101\n"},
      {"x.y.wild.demo.test.", type::kTxt, "answer: x.y.wild.demo.test. 300 TXT \"wild\"\n"},
      {"x.wild.demo.test.", type::kMx, std::string(kSoa)},
      {"x.cwild.demo.test.", type::kA,
       "answer: x.cwild.demo.test. 300 CNAME static.demo.test.\n"
       "answer: static.demo.test. 300 A 192.0.2.100\n"},
      {"x.cdn.demo.test.", type::kA, "answer: x.cdn.demo.test. 30 A 192.0.2.1\n"},
      // DS is the parent's side of a cut.
      {"sub.demo.test.", type::kDs, "answer: sub.demo.test. 300 DS 1 13 2 " + kDigest + "\n"},
      {"plain.demo.test.", type::kDs, std::string(kSoa)},
      // Minimal ANY.
      {"static.demo.test.", type::kAny, "answer: static.demo.test. 3600 HINFO \"RFC8482\" \"\"\n"},
      {"new.demo.test.", type::kAny, "answer: new.demo.test. 3600 HINFO \"RFC8482\" \"\"\n"},
      {"alias.demo.test.", type::kAny, "answer: alias.demo.test. 300 CNAME static.demo.test.\n"},
      {"b.ent.demo.test.", type::kAny, std::string(kSoa)},
      // Steered names beside other data.
      {"www.demo.test.", type::kA, "answer: www.demo.test. 30 A 192.0.2.1\n"},
      {"www.demo.test.", type::kAaaa, "answer: www.demo.test. 30 AAAA 2001:db8::1\n"},
      {"www.demo.test.", type::kMx, "answer: www.demo.test. 300 MX 10 mail.demo.test.\n"},
      {"demo.test.", type::kA, "answer: demo.test. 30 A 192.0.2.1\n"},
      {"new.demo.test.", type::kTxt, std::string(kSoa)},
  };
  for (const auto& row : kRows) {
    std::string question = "? " + std::string(row.name) + " " + dns::TypeToText(row.qtype) + "\n";
    EXPECT_EQ(Ask(row.name, row.qtype), "NOERROR qr aa\n" + question + row.want) << row.name;
    EXPECT_EQ(tally_.rcode, dns::Rcode::kNoError);
    EXPECT_EQ(tally_.type, row.qtype);
  }
}

TEST_F(ResponderTest, AliasesGoOnInAZoneBelow) {
  constexpr std::string_view kChildSoa =
      "authority: child.demo.test. 50 SOA ns.child.demo.test. hostmaster.child.demo.test. 9 3600 "
      "3600 604800 50\n";
  auto alias = [](std::string_view from, std::string_view to) {
    return "answer: " + std::string(from) + " 300 CNAME " + std::string(to) + "\n";
  };
  EXPECT_EQ(Ask("tochild.demo.test."), "NOERROR qr aa\n? tochild.demo.test. A\n" +
                                           alias("tochild.demo.test.", "www.child.demo.test.") +
                                           "answer: www.child.demo.test. 300 A 192.0.2.106\n");
  EXPECT_EQ(Ask("nochild.demo.test."), "NXDOMAIN qr aa\n? nochild.demo.test. A\n" +
                                           alias("nochild.demo.test.", "missing.child.demo.test.") +
                                           std::string(kChildSoa));
  EXPECT_EQ(Ask("topchild.demo.test.", type::kDs),
            "NOERROR qr aa\n? topchild.demo.test. DS\n" +
                alias("topchild.demo.test.", "child.demo.test.") +
                "answer: child.demo.test. 300 DS 2 13 2 " + kDigest + "\n")
      << "the parent's side";
  EXPECT_EQ(Ask("back.child.demo.test."), "NOERROR qr aa\n? back.child.demo.test. A\n" +
                                              alias("back.child.demo.test.", "static.demo.test."))
      << "not below the question's zone";
  EXPECT_EQ(Ask("toother.demo.test."), "NOERROR qr aa\n? toother.demo.test. A\n" +
                                           alias("toother.demo.test.", "www.sibling.test."))
      << "nobody would believe us that it does not exist";
}

TEST_F(ResponderTest, NamesThatDoNotExist) {
  for (std::string_view name :
       {"missing.demo.test.", "a.b.c.static.demo.test.", "x.ent.demo.test."}) {
    EXPECT_EQ(Ask(name), "NXDOMAIN qr aa\n? " + std::string(name) + " A\n" + std::string(kSoa));
    EXPECT_EQ(tally_.rcode, dns::Rcode::kNxDomain);
  }
  EXPECT_EQ(Ask("broken.demo.test."),
            "NXDOMAIN qr aa\n? broken.demo.test. A\n"
            "answer: broken.demo.test. 300 CNAME missing.demo.test.\n" +
                std::string(kSoa));
  EXPECT_EQ(Ask("above.demo.test."),
            "NXDOMAIN qr aa\n? above.demo.test. A\n"
            "answer: above.demo.test. 300 CNAME missing.above.demo.test.\n" +
                std::string(kSoa))
      << "below the alias itself, which is no loop";
  EXPECT_EQ(Ask("high.demo.test."),
            "NXDOMAIN qr aa\n? high.demo.test. A\n"
            "answer: high.demo.test. 300 CNAME higher.demo.test.\n"
            "answer: higher.demo.test. 300 CNAME missing.high.demo.test.\n" +
                std::string(kSoa));
  EXPECT_EQ(Ask("missing.demo.test.", type::kAny).substr(0, 8), "NXDOMAIN");
}

TEST_F(ResponderTest, DelegationsComeWithGlueAndWithoutAuthority) {
  constexpr std::string_view kReferral =
      "authority: sub.demo.test. 300 NS ns1.sub.demo.test.\n"
      "authority: sub.demo.test. 300 NS ns.other.example.\n"
      "additional: ns1.sub.demo.test. 300 A 192.0.2.103\n"
      "additional: ns1.sub.demo.test. 300 AAAA 2001:db8::103\n";
  for (std::string_view name : {"sub.demo.test.", "x.sub.demo.test.", "ns1.sub.demo.test."}) {
    EXPECT_EQ(Ask(name), "NOERROR qr\n? " + std::string(name) + " A\n" + std::string(kReferral));
  }
  EXPECT_EQ(
      Ask("x.plain.demo.test."),
      "NOERROR qr\n? x.plain.demo.test. A\nauthority: plain.demo.test. 300 NS ns.other.example.\n");
  // AA is said of the alias, which is ours.
  EXPECT_EQ(Ask("intosub.demo.test."),
            "NOERROR qr aa\n? intosub.demo.test. A\n"
            "answer: intosub.demo.test. 300 CNAME x.sub.demo.test.\n" +
                std::string(kReferral));
}

TEST_F(ResponderTest, CaseOfTheQuestionIsKept) {
  EXPECT_EQ(Ask("StAtIc.DEMO.test."),
            "NOERROR qr aa\n? StAtIc.DEMO.test. A\nanswer: StAtIc.DEMO.test. 300 A 192.0.2.100\n");
  EXPECT_EQ(Ask("CAPS.mixed.demo.test."),
            "NOERROR qr aa\n? CAPS.mixed.demo.test. A\nanswer: CAPS.mixed.demo.test. 300 A "
            "192.0.2.104\n");
}

TEST_F(ResponderTest, WhatIsNotOursIsRefusedByItsName) {
  const struct {
    std::string_view row;
    std::vector<uint8_t> query;
    std::string_view want;
  } kRows[] = {
      {"foreign zone", WireQuery("www.example.org.").Bytes(), "REFUSED qr\n? www.example.org. A\n"},
      {"parent", WireQuery("test.").Bytes(), "REFUSED qr\n? test. A\n"},
      {"root", WireQuery(".", type::kNs).Bytes(), "REFUSED qr\n? . NS\n"},
      {"AXFR", WireQuery("demo.test.", type::kAxfr).Bytes(), "REFUSED qr\n? demo.test. AXFR\n"},
      {"IXFR", WireQuery("demo.test.", type::kIxfr).Bytes(), "REFUSED qr\n? demo.test. IXFR\n"},
      {"TSIG as a type", WireQuery("demo.test.", 250).Bytes(), "NOTIMPL qr\n? demo.test. TSIG\n"},
      {"MAILB", WireQuery("demo.test.", 253).Bytes(), "NOTIMPL qr\n? demo.test. MAILB\n"},
      {"STATUS", WireQuery("demo.test.").Opcode(2).Bytes(), "NOTIMPL qr\n? demo.test. A\n"},
      {"NOTIFY", WireQuery("demo.test.", type::kSoa).Opcode(4).Bytes(),
       "NOTIMPL qr\n? demo.test. SOA\n"},
      {"UPDATE", WireQuery("demo.test.", type::kSoa).Opcode(5).Bytes(),
       "NOTIMPL qr\n? demo.test. SOA\n"},
      {"opcode without question", WireQuery("demo.test.").Opcode(6).Count(0, 0).Bytes(),
       "NOTIMPL qr\n"},
      {"EDNS version", WireQuery("www.demo.test.").Edns(1232, 1).Bytes(),
       "BADVERS qr\n? www.demo.test. A\nedns: 1232\n"},
      {"no question", WireQuery("demo.test.").Count(0, 0).Bytes(), "FORMERR qr\n"},
      {"bad subnet",
       WireQuery("www.demo.test.").Option(8, FromHex("0001 21 00 0102030405")).Bytes(),
       "FORMERR qr\n? www.demo.test. A\nedns: 1232\n"},
      {"trailing bytes", WireQuery("demo.test.").Raw(FromHex("00")).Bytes(),
       "FORMERR qr\n? demo.test. A\n"},
  };
  for (const auto& row : kRows) EXPECT_EQ(Ask(row.query), row.want) << row.row;
  for (uint16_t rr_class : {dns::rr_class::kChaos, dns::rr_class::kAny, uint16_t{4}}) {
    EXPECT_EQ(Ask(WireQuery("demo.test.", type::kTxt, rr_class).Bytes()).substr(0, 7), "REFUSED");
  }
}

TEST_F(ResponderTest, SilenceIsForResponsesAndScraps) {
  EXPECT_EQ(Ask(WireQuery("demo.test.").Flags(dns::flag::kResponse).Bytes()), "no answer");
  EXPECT_EQ(tally_.malformed, dns::Malformed::kIsResponse);
  EXPECT_FALSE(tally_.answered);
  auto whole = WireQuery("www.demo.test.").Subnet("10.1.0.0/16").Bytes();
  for (size_t size = 0; size < whole.size(); ++size) {
    std::string text = Ask({whole.begin(), whole.begin() + static_cast<long>(size)});
    EXPECT_EQ(text.substr(0, size < 12 ? 9 : 7), size < 12 ? "no answer" : "FORMERR") << size;
  }
}

TEST_F(ResponderTest, FlagsComeBackAsTheyShould) {
  EXPECT_EQ(Ask(WireQuery("static.demo.test.").Flags(0x0110).Bytes()).substr(0, 20),
            "NOERROR qr aa rd cd\n");
  // AD, TC, RA, Z and an rcode of the client's are not repeated.
  EXPECT_EQ(Ask(WireQuery("static.demo.test.").Flags(0x02E7).Bytes()).substr(0, 14),
            "NOERROR qr aa\n");
  Ask(WireQuery("static.demo.test.").Id(0xCAFE).Bytes());
  EXPECT_EQ(answer_[0], 0xCA);
  EXPECT_EQ(answer_[1], 0xFE);
}

TEST_F(ResponderTest, EdnsIsAnsweredWithOurs) {
  EXPECT_EQ(
      Ask(WireQuery("static.demo.test.").Edns(4096, 0, true).Option(65001, FromHex("00")).Bytes()),
      "NOERROR qr aa\n? static.demo.test. A\nanswer: static.demo.test. 300 A 192.0.2.100\n"
      "edns: 1232 do\n");
}

TEST_F(ResponderTest, WhatDoesNotFitIsTruncatedOverUdpOnly) {
  std::string question = "? big.demo.test. TXT\n";
  EXPECT_EQ(Ask("big.demo.test.", type::kTxt), "NOERROR qr aa tc\n" + question);
  EXPECT_TRUE(tally_.truncated);
  EXPECT_EQ(Ask(WireQuery("big.demo.test.", type::kTxt).Edns(4096).Bytes()),
            "NOERROR qr aa tc\n" + question + "edns: 1232\n");
  std::string whole =
      Ask(WireQuery("big.demo.test.", type::kTxt).Bytes(), "10.1.2.3", Transport::kTcp);
  EXPECT_EQ(whole.substr(0, 14), "NOERROR qr aa\n");
  EXPECT_EQ(std::count(whole.begin(), whole.end(), '\n'), 2 + 30);
  EXPECT_FALSE(tally_.truncated);
}

TEST_F(ResponderTest, SteeringGoesByClientSubnetElseByResolver) {
  EXPECT_EQ(Steered("10.1.2.0/24"), "192.0.2.1 10.1.2.0/24/1");
  EXPECT_EQ(Steered("133.11.0.0/16"), "192.0.2.2 133.11.0.0/16/8");
  EXPECT_EQ(Steered("133.0.0.0/5"), "none") << "malformed: bits beyond the prefix";
  EXPECT_EQ(Steered("128.0.0.0/5"), "192.0.2.1 128.0.0.0/5/5") << "no longer than the source";
  EXPECT_EQ(Steered("2001:200:1234::/48"), "192.0.2.2 2001:200:1234::/48/23");
  // Unknown place: the list; the true width is wide.
  EXPECT_EQ(Steered("64.0.0.0/8"), "192.0.2.1 64.0.0.0/8/1");
  EXPECT_EQ(tally_.steered, SteerReason::kUnknown);
  // By the resolver's address without ECS, and no ECS in the answer.
  EXPECT_EQ(Ask(WireQuery("www.demo.test.").Bytes(), "133.11.0.1"),
            "NOERROR qr aa\n? www.demo.test. A\nanswer: www.demo.test. 30 A 192.0.2.2\n");
  EXPECT_FALSE(tally_.has_subnet);
  EXPECT_EQ(tally_.steered, SteerReason::kNearest);
}

TEST_F(ResponderTest, SourceZeroIsAnsweredForEverybody) {
  EXPECT_EQ(Steered("0.0.0.0/0", "www.demo.test.", "133.11.0.1"), "192.0.2.2 0.0.0.0/0/0");
  EXPECT_EQ(Steered("::/0", "www.demo.test.", "10.1.1.1"), "192.0.2.1 ::/0/0");
  EXPECT_EQ(Ask(WireQuery("www.demo.test.").Option(8, FromHex("0000 00 00")).Bytes(), "133.11.0.1"),
            "NOERROR qr aa\n? www.demo.test. A\nanswer: www.demo.test. 30 A 192.0.2.2\n"
            "edns: 1232 subnet=none/0/0\n");
}

TEST_F(ResponderTest, NamesThatAreNotSteeredHaveScopeZero) {
  EXPECT_EQ(Steered("133.11.0.0/16", "static.demo.test."), "192.0.2.100 133.11.0.0/16/0");
  EXPECT_EQ(Steered("133.11.0.0/16", "missing.demo.test."), "133.11.0.0/16/0");
  EXPECT_EQ(Steered("133.11.0.0/16", "www.example.org."), "133.11.0.0/16/0");
  EXPECT_FALSE(tally_.steered);
}

TEST_F(ResponderTest, SteeredAddressesOfOneFamilyOnlyGiveNoData) {
  EXPECT_EQ(Ask(WireQuery("www.demo.test.", type::kAaaa).Subnet("133.11.0.0/16").Bytes()),
            "NOERROR qr aa\n? www.demo.test. AAAA\n"
            "authority: demo.test. 30 SOA ns1.demo.test. hostmaster.demo.test. 7 3600 3600 604800 "
            "60\nedns: 1232 subnet=133.11.0.0/16/0\n")
      << "tokyo has no IPv6: kept no longer than an answer, and for everybody";
  EXPECT_EQ(Ask("www.demo.test.", type::kTxt),
            "NOERROR qr aa\n? www.demo.test. TXT\n" + std::string(kSoa))
      << "what is not steered is kept as the zone says";
}

TEST_F(ResponderTest, HealthChangesTheAnswer) {
  Make({PopState::kUp, PopState::kDown});
  EXPECT_EQ(Steered("133.11.0.0/16"), "192.0.2.1 133.11.0.0/16/0");
  EXPECT_EQ(tally_.steered, SteerReason::kNearest);
  Make({PopState::kDown, PopState::kDown});
  EXPECT_EQ(Steered("133.11.0.0/16"), "192.0.2.200 133.11.0.0/16/0");
  EXPECT_EQ(tally_.steered, SteerReason::kFallback);
  Make({PopState::kDown, PopState::kDrained}, false);
  EXPECT_EQ(Steered("10.0.0.0/16"), "192.0.2.2 10.0.0.0/16/0");
  EXPECT_EQ(tally_.steered, SteerReason::kDrained);
  Make({PopState::kDown, PopState::kDown}, false);
  EXPECT_EQ(Steered("133.11.0.0/16"), "192.0.2.2 133.11.0.0/16/8");
  EXPECT_EQ(tally_.steered, SteerReason::kFailOpen);
}

TEST_F(ResponderTest, WeightedScopeIsTheHashedPrefix) {
  EXPECT_EQ(Steered("10.1.2.0/24", "ab.demo.test.").substr(10), "10.1.2.0/24/24");
  EXPECT_EQ(Steered("10.1.2.3/32", "ab.demo.test.").substr(10), "10.1.2.3/32/24");
  EXPECT_EQ(Steered("10.1.0.0/16", "ab.demo.test.").substr(10), "10.1.0.0/16/16");
  EXPECT_EQ(tally_.steered, SteerReason::kWeighted);
  // All of one /24 alike, and not all /24 alike.
  std::set<std::string> answers;
  for (int i = 0; i < 64; ++i) {
    std::string base = "10.9." + std::to_string(i) + ".";
    std::string first = Steered(base + "1/32", "ab.demo.test.").substr(0, 9);
    EXPECT_EQ(Steered(base + "77/32", "ab.demo.test.").substr(0, 9), first);
    answers.insert(first);
  }
  EXPECT_EQ(answers.size(), 2U);
}

TEST_F(ResponderTest, AnswersNeverExceedWhatTheClientTakes) {
  std::mt19937 random(1);
  const std::string_view kNames[] = {"big.demo.test.", "sub.demo.test.", "chain.demo.test.",
                                     "missing.demo.test.", "www.demo.test."};
  for (int round = 0; round < 5000; ++round) {
    WireQuery query(kNames[random() % 5],
                    static_cast<uint16_t>(random() % 2 ? type::kTxt : type::kA));
    uint16_t payload = static_cast<uint16_t>(random() % 3000);
    bool edns = random() % 2 == 0;
    if (edns) query.Edns(payload).Subnet("10.0.0.0/8");
    Ask(query.Bytes());
    size_t limit = edns ? std::min<size_t>(std::max<size_t>(payload, 512), 1232) : 512;
    ASSERT_LE(answer_.size(), limit);
  }
}

TEST_F(ResponderTest, RandomBytesAreAnsweredDecodablyOrNotAtAll) {
  std::mt19937 random(2);
  auto valid = WireQuery("www.demo.test.").Subnet("133.11.0.0/16").Bytes();
  for (int round = 0; round < 30'000; ++round) {
    auto bytes = valid;
    for (unsigned i = 0; i < 1 + random() % 4; ++i) {
      bytes[random() % bytes.size()] = static_cast<uint8_t>(random());
    }
    if (random() % 8 == 0) bytes.resize(random() % bytes.size());
    std::string text = Ask(bytes);
    ASSERT_EQ(text.find("undecodable"), std::string::npos) << round;
  }
}

TEST_F(ResponderTest, HintsAreTheAddressesThatSteeringAnswers) {
  auto ask = [&](std::string_view name, std::string_view subnet, uint16_t qtype = type::kHttps) {
    return Ask(WireQuery(name, qtype).Subnet(subnet).Bytes(), "203.0.113.1");
  };
  std::string text = ask("demo.test.", "10.1.2.0/24");
  EXPECT_NE(text.find("answer: demo.test. 30 HTTPS 1 . alpn=h2 ipv4hint=192.0.2.1 "
                      "ipv6hint=2001:db8::1\n"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("subnet=10.1.2.0/24/1"), std::string::npos) << text;
  EXPECT_EQ(tally_.steered, SteerReason::kNearest);
  text = ask("demo.test.", "133.1.2.0/24");
  EXPECT_NE(text.find("30 HTTPS 1 . alpn=h2 ipv4hint=192.0.2.2\n"), std::string::npos)
      << "tokyo has no IPv6\n"
      << text;
  EXPECT_NE(text.find("subnet=133.1.2.0/24/8"), std::string::npos) << text;
  text = ask("svc.demo.test.", "10.1.2.0/24");
  EXPECT_NE(text.find("answer: svc.demo.test. 30 HTTPS 1 www.demo.test. mandatory=ipv6hint alpn=h2 "
                      "ipv6hint=2001:db8::1\n"
                      "answer: svc.demo.test. 30 HTTPS 2 static.demo.test. ipv4hint=192.0.2.98\n"),
            std::string::npos)
      << text;
  text = ask("svc.demo.test.", "133.1.2.0/24");
  EXPECT_NE(text.find("30 HTTPS 1 www.demo.test. alpn=h2\n"), std::string::npos)
      << "a hint without addresses is not mandatory\n"
      << text;
  text = ask("tosvc.demo.test.", "10.1.2.0/24");
  EXPECT_NE(text.find("answer: svc.demo.test. 30 HTTPS 1 www.demo.test."), std::string::npos)
      << text;
  EXPECT_NE(ask("x.cdn.demo.test.", "133.1.2.0/24", type::kSvcb)
                .find("answer: x.cdn.demo.test. 30 SVCB 1 . ipv4hint=192.0.2.2\n"),
            std::string::npos);
}

TEST_F(ResponderTest, HintsAreTheFallbackWhenNothingIsUp) {
  Make({PopState::kDown, PopState::kDown});
  EXPECT_NE(Ask("demo.test.", type::kHttps).find("30 HTTPS 1 . alpn=h2 ipv4hint=192.0.2.200\n"),
            std::string::npos);
}

TEST_F(ResponderTest, AliasesAnswerWithWhatTheyLeadTo) {
  const struct {
    std::string_view name;
    uint16_t qtype;
    std::string want;
  } kRows[] = {
      {"away.demo.test.", type::kA,
       "answer: away.demo.test. 45 A 198.51.100.1\nanswer: away.demo.test. 45 A 198.51.100.2\n"},
      {"away.demo.test.", type::kAaaa, "answer: away.demo.test. 45 AAAA 2001:db8:1::1\n"},
      {"a.away.demo.test.", type::kAaaa, "answer: a.away.demo.test. 45 AAAA 2001:db8:1::1\n"},
      {"away.demo.test.", type::kMx, std::string(kSoa)},
      {"away.demo.test.", type::kAlias, std::string(kSoa)},
      {"toaway.demo.test.", type::kAaaa,
       "answer: toaway.demo.test. 300 CNAME away.demo.test.\n"
       "answer: away.demo.test. 45 AAAA 2001:db8:1::1\n"},
      {"like.demo.test.", type::kA, "answer: like.demo.test. 60 A 192.0.2.100\n"},
      {"like.demo.test.", type::kAaaa, "answer: like.demo.test. 60 AAAA 2001:db8::100\n"},
      {"likenone.demo.test.", type::kA, std::string(kSoa)},
      // The lesser of the ALIAS's TTL and the steer's.
      {"soonwww.demo.test.", type::kA, "answer: soonwww.demo.test. 10 A 192.0.2.1\n"},
      // No longer than the negative answer counts.
      {"empty.demo.test.", type::kA,
       "authority: demo.test. 45 SOA ns1.demo.test. hostmaster.demo.test. 7 3600 3600 604800 60\n"},
  };
  for (const auto& row : kRows) {
    std::string text = Ask(row.name, row.qtype);
    EXPECT_TRUE(text.starts_with("NOERROR qr aa")) << text;
    EXPECT_EQ(text.substr(text.find('\n', text.find('?')) + 1), row.want) << row.name;
  }
  EXPECT_EQ(Ask("lost.demo.test.").substr(0, 8), "SERVFAIL");
  EXPECT_EQ(Ask("lost.demo.test.", type::kMx).substr(0, 7), "NOERROR");
  EXPECT_NE(Ask("away.demo.test.", type::kAny).find("HINFO"), std::string::npos);
}

TEST_F(ResponderTest, NetworksGetWhatAnAliasLeadsToForThem) {
  const auto asked = std::make_shared<std::atomic<bool>>(false);
  const AliasNetworks::Answer own{.network = *Network::Parse("198.51.0.0/16"),
                                  .addresses = {Ip("192.0.2.9"), Ip("192.0.2.10")},
                                  .ttl = 20,
                                  .asked = asked};
  auto snapshot = std::make_shared<Snapshot>(*snapshot_);
  for (AliasAnswer& alias : snapshot->aliases) {
    if (!alias.known || alias.zone != nullptr) continue;
    alias.networks = std::make_shared<const AliasNetworks>(
        7, std::vector{own}, std::array<AliasNetworks::Family, 2>{}, 5);
    alias.most_ttl = 60;
  }
  snapshot_ = snapshot;
  const auto ask = [&](std::string_view subnet, uint16_t qtype = type::kA) {
    const std::string text = Ask(WireQuery("away.demo.test.", qtype).Subnet(subnet).Bytes());
    return text.substr(text.find('\n', text.find('?')) + 1);
  };
  // Its own, in the width of it.
  EXPECT_EQ(Steered("198.51.100.0/24", "away.demo.test."),
            "192.0.2.9 192.0.2.10 198.51.100.0/24/16");
  EXPECT_EQ(ask("198.51.100.0/24").find("answer: away.demo.test. 20 A 192.0.2.9\n"), 0U);
  EXPECT_TRUE(asked->load()) << "somebody wants it";
  EXPECT_FALSE(tally_.alias_ask);
  // A family that it has not is no one's answer but the zone's (RFC 7871 §7.4).
  EXPECT_NE(ask("198.51.100.0/24", type::kAaaa).find("demo.test. 20 SOA"), std::string::npos);
  EXPECT_NE(ask("198.51.100.0/24", type::kAaaa).find("subnet=198.51.100.0/24/0"),
            std::string::npos);
  // One without an answer of its own gets what all get, for a moment and for itself alone.
  const std::string all = ask("203.0.113.0/24");
  EXPECT_EQ(all.find("answer: away.demo.test. 5 A 198.51.100.1\n"
                     "answer: away.demo.test. 5 A 198.51.100.2\n"),
            0U)
      << all;
  EXPECT_NE(all.find("subnet=203.0.113.0/24/24"), std::string::npos) << all;
  ASSERT_TRUE(tally_.alias_ask);
  EXPECT_EQ(tally_.alias_ask->target, 7U);
  EXPECT_EQ(tally_.alias_ask->network.ToText(), "203.0.113.0/24");
  // No more is told of a client than that.
  ask("203.0.113.77/32");
  EXPECT_EQ(tally_.alias_ask->network.ToText(), "203.0.113.0/24");
  // Who says nothing of its client is not looked at, however it came here.
  EXPECT_EQ(ask("0.0.0.0/0").find("answer: away.demo.test. 45 A 198.51.100.1\n"), 0U);
  EXPECT_FALSE(tally_.alias_ask);
  // Without the option the client is who asks.
  Ask(WireQuery("away.demo.test.").Bytes(), "203.0.113.77");
  EXPECT_EQ(tally_.alias_ask->network.ToText(), "203.0.113.0/24");
  Ask(WireQuery("away.demo.test.").Bytes(), "10.1.2.3");
  EXPECT_FALSE(tally_.alias_ask) << "a network of nobody else's business";
}

TEST_F(ResponderTest, AnAliasOfASteeredNameIsSteered) {
  EXPECT_EQ(Steered("10.1.2.0/24", "likewww.demo.test."), "192.0.2.1 10.1.2.0/24/1");
  EXPECT_EQ(Steered("133.1.2.0/24", "likewww.demo.test."), "192.0.2.2 133.1.2.0/24/8");
  EXPECT_NE(Ask("likewww.demo.test.").find("answer: likewww.demo.test. 30 A 192.0.2.1\n"),
            std::string::npos);
}

/// What stands beside the steered addresses of the apex is the zone file's.
TEST_F(ResponderTest, TheApexIsSteeredBesideItsOtherRecords) {
  EXPECT_EQ(Steered("133.1.2.0/24", "demo.test."), "192.0.2.2 133.1.2.0/24/8");
  EXPECT_NE(Ask("demo.test.", type::kSoa).find("SOA ns1.demo.test."), std::string::npos);
  EXPECT_NE(Ask("demo.test.", type::kNs).find("NS ns1.demo.test."), std::string::npos);
  EXPECT_NE(Ask("demo.test.", type::kMx).find("MX 10 mail.demo.test."), std::string::npos);
}

}  // namespace
}  // namespace nearside::geodns
