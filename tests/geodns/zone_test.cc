#include "geodns/zone.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

#include "dns/rdata.h"
#include "dns/record_type.h"
#include "geodns/zone_index.h"
#include "geodns/zone_serials.h"

namespace nearside::geodns {
namespace {

constexpr std::string_view kHead =
    "$TTL 300\n@ SOA ns1 hostmaster 7 1h 1h 1w 60\n@ NS ns1\nns1 A 192.0.2.53\n";

Result<Zone> Build(std::string_view text, std::vector<std::string> steered = {},
                   std::string_view origin = "demo.test.") {
  auto name = dns::Name::FromText(origin);
  auto records = ParseZoneFile(text, "z", *name);
  if (!records) return tl::unexpected(records.error());
  std::vector<SteeredName> names;
  for (const std::string& text_name : steered) {
    const dns::Name steered_name = *dns::Name::FromText(text_name, *name);
    const std::span<const uint8_t> wire = steered_name.view().bytes();
    names.push_back({{wire.begin(), wire.end()},
                     static_cast<uint32_t>(names.size()),
                     "geodns.toml:" + std::to_string(names.size() + 1)});
  }
  return Zone::Build(*name, "z", std::move(*records), std::move(names));
}

std::string ErrorOf(std::string_view text, std::vector<std::string> steered = {}) {
  auto zone = Build(std::string(kHead) + std::string(text), std::move(steered));
  return zone ? "built" : zone.error().message;
}

/// "exact www.demo.test." and so on.
std::string Find(const Zone& zone, std::string_view text) {
  dns::Name name = *dns::Name::FromText(text);
  name.Fold();
  auto found = zone.Find(name);
  static const char* const kMatches[] = {"exact ", "wildcard ", "delegated ", "none "};
  return kMatches[static_cast<int>(found.match)] + zone.name(*found.node).ToText() +
         (found.at_cut ? " at_cut" : "");
}

TEST(ZoneTest, NamesAreFoundAsRfc1034And4592Say) {
  auto zone = Build(std::string(kHead) +
                    "www A 192.0.2.1\n"
                    "a.b.ent A 192.0.2.2\n"
                    "*.wild A 192.0.2.3\n"
                    "host.wild A 192.0.2.4\n"
                    "*.x.host.wild A 192.0.2.5\n"
                    "sub NS ns.sub\nsub NS ns1\nns.sub A 192.0.2.6\ndeep.sub NS other.test.\n"
                    "*.sub A 192.0.2.7\n");
  ASSERT_TRUE(zone) << zone.error().message;
  const struct {
    std::string_view name, want;
  } kRows[] = {
      {"demo.test.", "exact demo.test."},
      {"WWW.Demo.TEST.", "exact www.demo.test."},
      {"nothing.demo.test.", "none demo.test."},
      {"x.www.demo.test.", "none www.demo.test."},
      {"ent.demo.test.", "exact ent.demo.test."},
      {"b.ent.demo.test.", "exact b.ent.demo.test."},
      {"c.ent.demo.test.", "none ent.demo.test."},
      {"wild.demo.test.", "exact wild.demo.test."},
      {"any.wild.demo.test.", "wildcard *.wild.demo.test."},
      {"a.b.c.wild.demo.test.", "wildcard *.wild.demo.test."},
      {"*.wild.demo.test.", "exact *.wild.demo.test."},
      // A name that exists, even as an empty non-terminal, shuts the wildcard out (RFC 4592
      // §2.2.1).
      {"host.wild.demo.test.", "exact host.wild.demo.test."},
      {"y.host.wild.demo.test.", "none host.wild.demo.test."},
      {"y.x.host.wild.demo.test.", "wildcard *.x.host.wild.demo.test."},
      {"x.host.wild.demo.test.", "exact x.host.wild.demo.test."},
      // Nothing at or below a cut is ours, whatever the file says there.
      {"sub.demo.test.", "delegated sub.demo.test. at_cut"},
      {"ns.sub.demo.test.", "delegated sub.demo.test."},
      {"any.sub.demo.test.", "delegated sub.demo.test."},
      {"a.deep.sub.demo.test.", "delegated sub.demo.test."},
      {"a.b.c.d.e.f.g.h.demo.test.", "none demo.test."},
  };
  for (const auto& row : kRows) EXPECT_EQ(Find(*zone, row.name), row.want) << row.name;
  EXPECT_EQ(zone->serial(), 7U);
}

TEST(ZoneTest, SetsHoldDistinctRecordsAndTheLeastTtl) {
  auto zone =
      Build(std::string(kHead) + "www 9 A 192.0.2.1\nwww 5 A 192.0.2.2\nwww 7 A 192.0.2.1\n");
  ASSERT_TRUE(zone);
  dns::Name name = *dns::Name::FromText("www.demo.test.");
  const Zone::RrSet* set = zone->Find(*zone->Find(name).node, dns::type::kA);
  ASSERT_NE(set, nullptr);
  EXPECT_EQ(set->count, 2);
  EXPECT_EQ(set->ttl, 5U);
  EXPECT_EQ(set->rendered_bytes, 2U * 16);
  EXPECT_EQ(zone->Find(*zone->Find(name).node, dns::type::kAaaa), nullptr);
  EXPECT_EQ(zone->NegativeSoa().ttl, 60U) << "the minimum, which is less than its TTL";
}

TEST(ZoneTest, GlueIsFoundForServersInTheZone) {
  auto zone = Build(std::string(kHead) +
                    "sub NS ns.sub\nsub NS ns1\nsub NS ns.other.test.\nns.sub A 192.0.2.6\n");
  ASSERT_TRUE(zone);
  dns::Name name = *dns::Name::FromText("sub.demo.test.");
  const Zone::Node& cut = *zone->Find(name).node;
  ASSERT_EQ(zone->glue_count(cut), 2U);
  EXPECT_EQ(zone->name(zone->Glue(cut, 0)).ToText(), "ns.sub.demo.test.");
  EXPECT_EQ(zone->name(zone->Glue(cut, 1)).ToText(), "ns1.demo.test.");
}

TEST(ZoneTest, WrongZonesAreRefusedWithTheirLines) {
  const struct {
    std::string text, want;
    std::vector<std::string> steered;
  } kRows[] = {
      {std::string(kHead) + "@ NS b\nw NS b.w\n*.w A 192.0.2.1\nx NS ns1\nx NS b.w\ny NS ns.x\n",
       "z:6: b.w.demo.test., a name server of w.demo.test., has no address here: add an A or AAAA "
       "record for it\n"
       "z:5: b.demo.test., a name server of demo.test., has no address here: add an A or AAAA "
       "record for it",
       {}},
      {std::string(kHead) + "@ DS 1 13 8 00\na DS 1 13 8 00\nb NS ns1\nb DS 1 13 1 00\nb DS 1 13 2 "
                            "00\nb DS 1 13 4 00\n"
                            "b DS 1 13 3 00\n",
       "z:6: a DS record where nothing is delegated: expected an NS record beside it\n"
       "z:8: expected a digest of 20 bytes for its type, got 1\n"
       "z:9: expected a digest of 32 bytes for its type, got 1\n"
       "z:10: expected a digest of 48 bytes for its type, got 1\n"
       "z:5: a DS record at the apex belongs into the zone above (RFC 4035 §2.4)",
       {}},
      {"",
       "z:1: expected an SOA record at demo.test., and the file has none\n"
       "z:1: expected an NS record at demo.test., and the file has none",
       {}},
      {std::string(kHead) + "@ SOA ns1 h 8 1 1 1 1\n", "z:5: a second SOA record", {}},
      {std::string(kHead) + "a SOA ns1 h 8 1 1 1 1\n", "z:5: a SOA record below the apex", {}},
      {std::string(kHead) + "a CNAME b\na A 192.0.2.1\n",
       "z:5: a.demo.test. has a CNAME beside other records (RFC 1034 §3.6.2)",
       {}},
      {std::string(kHead) + "a CNAME b\na CNAME c\n",
       "z:6: a.demo.test. has a CNAME beside other records (RFC 1034 §3.6.2)",
       {}},
      {std::string(kHead) + "* NS b\n", "z:5: a wildcard cannot be delegated (RFC 4592 §4.2)", {}},
      {std::string(kHead) + "www CNAME b\n",
       "geodns.toml:1: www.demo.test. is a CNAME in the zone file: remove it there",
       {"www"}},
      {std::string(kHead) + "sub NS ns1\n",
       "geodns.toml:1: www.sub.demo.test. is delegated away at sub.demo.test.",
       {"www.sub"}},
      {std::string(kHead),
       "geodns.toml:1: www.other. is not in the zone demo.test.",
       {"www.other."}},
      {std::string(kHead),
       "geodns.toml:2: WWW.demo.test. is already steered at geodns.toml:1",
       {"www", "WWW"}},
  };
  for (const auto& row : kRows) {
    auto zone = Build(row.text, row.steered);
    EXPECT_EQ(zone ? "built" : zone.error().message, row.want) << row.text;
  }
}

TEST(ZoneTest, SteeredNamesNeedNotBeInTheFile) {
  auto zone = Build(std::string(kHead) + "www A 192.0.2.1\n", {"@", "www", "a.new", "*.cdn"});
  ASSERT_TRUE(zone) << zone.error().message;
  auto steer_of = [&](std::string_view text) {
    dns::Name name = *dns::Name::FromText(text);
    return zone->Find(name).node->steer;
  };
  EXPECT_EQ(steer_of("demo.test."), 0U);
  EXPECT_EQ(steer_of("www.demo.test."), 1U);
  EXPECT_EQ(steer_of("a.new.demo.test."), 2U);
  EXPECT_EQ(steer_of("x.y.cdn.demo.test."), 3U);
  EXPECT_EQ(steer_of("new.demo.test."), Zone::kNone) << "only exists";
  EXPECT_EQ(steer_of("ns1.demo.test."), Zone::kNone);
}

TEST(ZoneTest, RandomZonesAnswerLikeASearchOfAllNames) {
  constexpr unsigned kSeed = 11;
  std::mt19937 random(kSeed);
  auto label = [&] { return std::string(1, "abc*"[random() % 4]); };
  for (int round = 0; round < 200; ++round) {
    std::string text(kHead);
    std::set<std::string> names = {"demo.test."};
    for (unsigned i = 0; i < random() % 12; ++i) {
      std::string name = "demo.test.";
      for (unsigned j = 0; j <= random() % 3; ++j) {
        name = label() + "." + name;
        names.insert(name);
      }
      text += name + " A 192.0.2.1\n";
    }
    names.insert("ns1.demo.test.");
    auto zone = Build(text);
    ASSERT_TRUE(zone);
    for (int query = 0; query < 50; ++query) {
      std::string name = "demo.test.";
      for (unsigned j = 0; j < random() % 5; ++j) name = label() + "." + name;
      std::string encloser = name;
      while (!names.count(encloser)) encloser = encloser.substr(encloser.find('.') + 1);
      std::string want = encloser == name               ? "exact " + name
                         : names.count("*." + encloser) ? "wildcard *." + encloser
                                                        : "none " + encloser;
      ASSERT_EQ(Find(*zone, name), want) << "seed " << kSeed << "\n" << text << name;
    }
  }
}

TEST(ZoneIndexTest, TheLongestOriginWins) {
  std::vector<std::shared_ptr<const Zone>> zones;
  for (auto origin : {"demo.test.", "sub.demo.test.", "a.b.c.other."}) {
    zones.push_back(std::make_shared<Zone>(*Build(kHead, {}, origin)));
  }
  ZoneIndex index(zones);
  auto find = [&](std::string_view text) -> std::string {
    dns::Name name = *dns::Name::FromText(text);
    const Zone* zone = index.Find(name);
    return zone == nullptr ? "none" : zone->origin().ToText();
  };
  EXPECT_EQ(find("demo.test."), "demo.test.");
  EXPECT_EQ(find("x.y.demo.test."), "demo.test.");
  EXPECT_EQ(find("sub.demo.test."), "sub.demo.test.");
  EXPECT_EQ(find("a.sub.demo.test."), "sub.demo.test.");
  EXPECT_EQ(find("xdemo.test."), "none");
  EXPECT_EQ(find("test."), "none");
  EXPECT_EQ(find("."), "none");
  EXPECT_EQ(find("c.other."), "none");
  EXPECT_EQ(find("q.a.b.c.other."), "a.b.c.other.");
  dns::Name name = *dns::Name::FromText("x.test.");
  EXPECT_EQ(ZoneIndex().Find(name), nullptr);
}

TEST(ZoneIndexTest, TheRootCanBeServed) {
  std::vector<std::shared_ptr<const Zone>> zones = {std::make_shared<Zone>(*Build(kHead, {}, "."))};
  ZoneIndex index(zones);
  dns::Name name = *dns::Name::FromText("x.test.");
  ASSERT_NE(index.Find(name), nullptr);
  EXPECT_EQ(index.Find(name)->origin().ToText(), ".");
}

TEST(ZoneTest, AliasesStandAloneAtTheirNameAsFarAsAddressesGo) {
  auto zone = Build(std::string(kHead) + "@ 60 ALIAS Target.Example.\n@ MX 10 ns1\nw ALIAS b\n");
  ASSERT_TRUE(zone) << zone.error().message;
  std::string text;
  for (const auto& [owner, alias] : zone->Aliases()) {
    text += owner.ToText() + " " + alias.target.ToText() + " " + std::to_string(alias.ttl) + "; ";
  }
  EXPECT_EQ(text, "demo.test. target.example. 60; w.demo.test. b.demo.test. 300; ");
  EXPECT_EQ(zone->apex().alias, 0U);
  EXPECT_EQ(zone->Find(zone->apex(), dns::type::kAlias), nullptr) << "never goes out as it is";
  EXPECT_EQ(ErrorOf("w ALIAS a.\nw A 192.0.2.1\n"),
            "z:5: w.demo.test. has an ALIAS beside A or AAAA: its addresses come from one of them");
  EXPECT_EQ(ErrorOf("w ALIAS a.\nw ALIAS b.\n"), "z:6: w.demo.test. has a second ALIAS");
  EXPECT_EQ(ErrorOf("w ALIAS a.\nw CNAME b.\n"), "z:5: w.demo.test. has an ALIAS beside a CNAME");
  EXPECT_EQ(ErrorOf("w ALIAS a.\nw NS b.\n"),
            "z:5: w.demo.test. has an ALIAS and is delegated away");
  EXPECT_EQ(ErrorOf("w ALIAS a.\n", {"w"}),
            "z:5: w.demo.test. has an ALIAS and is steered at geodns.toml:1");
}

TEST(ZoneTest, ASetThatNoAnswerCouldHoldIsRefused) {
  std::string text;
  const std::string filler(200, 'x');
  for (int i = 1000; i < 1300; ++i) text += "w TXT " + std::to_string(i) + filler + "\n";
  EXPECT_EQ(ErrorOf(text), "z:297: the TXT records of w.demo.test. do not fit into one answer");
}

TEST(ZoneTest, HintsFollowTheSteerOfTheirTarget) {
  auto zone =
      Build(std::string(kHead) +
                "@ HTTPS 1 . ipv4hint=192.0.2.1\n@ HTTPS 2 www alpn=h2\n"
                "b HTTPS 1 www ipv6hint=2001:db8::1\nb HTTPS 2 other ipv4hint=192.0.2.1\n"
                "c HTTPS 0 www\nd SVCB 1 demo.TEST. ipv4hint=192.0.2.1\nother A 192.0.2.9\n",
            {"@", "www"});
  ASSERT_TRUE(zone) << zone.error().message;
  auto steers = [&](std::string_view name) {
    dns::Name wire = *dns::Name::FromText(name);
    const Zone::Node* node = zone->Find(wire).node;
    std::string text;
    for (const Zone::RrSet& set : zone->RrSets(*node)) {
      if (set.type != dns::type::kHttps && set.type != dns::type::kSvcb) continue;
      text += set.has_steered_hints ? "steered" : "own";
      for (size_t i = 0; i < set.count; ++i) {
        uint32_t steer = zone->HintSteer(set, i);
        text += steer == Zone::kNone ? " -" : " " + std::to_string(steer);
      }
    }
    return text;
  };
  EXPECT_EQ(steers("demo.test."), "steered 0 -") << "no hints, nothing to follow";
  EXPECT_EQ(steers("b.demo.test."), "steered 1 -");
  EXPECT_EQ(steers("c.demo.test."), "own -") << "AliasMode";
  EXPECT_EQ(steers("d.demo.test."), "steered 0");
}

TEST(ZoneTest, HintsFollowAlsoWhereTheSteerIsReachedByAnotherName) {
  auto zone = Build(std::string(kHead) +
                        "@ ALIAS www\n@ HTTPS 1 . ipv4hint=0.0.0.0\n"
                        "tocname HTTPS 1 cname ipv4hint=0.0.0.0\ncname CNAME Www\n"
                        "towild HTTPS 1 x.y.cdn ipv4hint=0.0.0.0\n"
                        "viawild HTTPS 1 z.sub ipv4hint=0.0.0.0\n*.sub CNAME x.cdn\n"
                        "round HTTPS 1 a ipv4hint=192.0.2.1\na CNAME b\nb CNAME a\n"
                        "away HTTPS 1 www.other.example. ipv4hint=192.0.2.1\n"
                        "none HTTPS 1 nothing ipv4hint=192.0.2.1\n",
                    {"www", "*.cdn"});
  ASSERT_TRUE(zone) << zone.error().message;
  const std::pair<std::string_view, uint32_t> rows[] = {
      {"demo.test.", 0},
      {"tocname.demo.test.", 0},
      {"towild.demo.test.", 1},
      {"viawild.demo.test.", 1},
      {"round.demo.test.", Zone::kNone},
      {"away.demo.test.", Zone::kNone},
      {"none.demo.test.", Zone::kNone},
  };
  for (const auto& [name, steer] : rows) {
    dns::Name wire = *dns::Name::FromText(name);
    const Zone::RrSet* set = zone->Find(*zone->Find(wire).node, dns::type::kHttps);
    ASSERT_NE(set, nullptr) << name;
    EXPECT_EQ(zone->HintSteer(*set, 0), steer) << name;
  }
}

TEST(ZoneTest, TheDigestTellsContentAndNothingElse) {
  auto digest = [](std::string_view text) {
    auto zone = Build(std::string(kHead) + std::string(text));
    return zone ? zone->digest() : 0;
  };
  const uint64_t before = digest("a A 192.0.2.1\nb A 192.0.2.2\n");
  EXPECT_EQ(digest("; a comment\nb  300 IN A 192.0.2.2\na A 192.0.2.1\n"), before);
  for (std::string_view other :
       {"a A 192.0.2.1\nb A 192.0.2.3\n", "a A 192.0.2.1\nc A 192.0.2.2\n", "a A 192.0.2.1\n",
        "a A 192.0.2.1\nb 5 A 192.0.2.2\n", "a A 192.0.2.1\nb A 192.0.2.2\nb MX 1 a\n",
        "a A 192.0.2.1\nb A 192.0.2.2\nc ALIAS b\n"}) {
    EXPECT_NE(digest(other), before) << other;
  }
}

TEST(ZoneTest, ASerialThatDoesNotGrowWithTheContentIsTold) {
  auto zone = [](std::string_view serial, std::string_view more) {
    std::string text =
        "$TTL 300\n@ SOA ns1 h " + std::string(serial) + " 1 1 1 1\n@ NS ns1\nns1 A 192.0.2.53\n";
    return std::vector{std::make_shared<const Zone>(*Build(text + std::string(more)))};
  };
  auto told = [&](std::string_view before, std::string_view now) {
    auto found = SerialsNotRaised(zone(before, ""), zone(now, "a A 192.0.2.1\n"));
    return found.size() == 1 ? found[0].zone + " " + std::to_string(found[0].before) + " " +
                                   std::to_string(found[0].now)
                             : std::string("nothing");
  };
  EXPECT_EQ(told("7", "8"), "nothing");
  EXPECT_EQ(told("7", "7"), "demo.test. 7 7");
  EXPECT_EQ(told("7", "6"), "demo.test. 7 6");
  EXPECT_EQ(told("4294967295", "1"), "nothing") << "RFC 1982: it went round";
  EXPECT_EQ(told("1", "2147483649"), "demo.test. 1 2147483649") << "half the circle";
  EXPECT_TRUE(SerialsNotRaised(zone("7", ""), zone("7", "")).empty());
  EXPECT_TRUE(SerialsNotRaised({}, zone("7", "")).empty());
}

}  // namespace
}  // namespace nearside::geodns
