#include "geodns/steering.h"

#include <gtest/gtest.h>

#include <cmath>
#include <map>
#include <set>

#include "geodns/steer_table.h"
#include "tests/geodns/mmdb_writer.h"
#include "tests/support/temp_dir.h"

namespace nearside::geodns {
namespace {

// Points of presence of all tests: 0 frankfurt, 1 virginia, 2 tokyo, 3 sydney.
constexpr uint8_t kFrankfurt = 0, kVirginia = 1, kTokyo = 2, kSydney = 3;

Place Germany() { return {CountryCode('D', 'E'), Continent::kEurope, {0, 1, 2, 3}}; }
Place Japan() { return {CountryCode('J', 'P'), Continent::kAsia, {2, 3, 0, 1}}; }
Place Nowhere() { return {}; }

/// "udx." for up, down, drained.
Health Now(std::string_view states, bool fallback_is_up = true) {
  Health health;
  for (char c : states) {
    health.pops.push_back(c == 'u'   ? PopState::kUp
                          : c == 'd' ? PopState::kDown
                                     : PopState::kDrained);
  }
  health.fallback_is_up = fallback_is_up;
  return health;
}

std::string Text(const Choice& choice) {
  std::string text(SteerReasonName(choice.reason));
  for (uint8_t pop : choice.pops) text += " " + std::to_string(pop);
  return text;
}

std::string Chosen(const SteerRule& rule, const Place& place, const Health& health,
                   uint64_t matched_networks = 0) {
  const uint32_t weights[] = {1, 1, 1, 1};
  return Text(Choose(rule, Prefer(rule, place, matched_networks), health, weights, 42));
}

struct Row {
  std::string_view name;
  SteerRule rule;
  Place place;
  Health health;
  std::string_view want;
  uint64_t networks = 0;
};

void CheckRows(const std::vector<Row>& rows) {
  for (const Row& row : rows) {
    EXPECT_EQ(Chosen(row.rule, row.place, row.health, row.networks), row.want) << row.name;
  }
}

TEST(SteeringTest, Nearest) {
  SteerRule rule{
      .pops = {kFrankfurt, kVirginia, kTokyo}, .unknown = {kVirginia}, .has_fallback = true};
  SteerRule two = rule;
  two.answers = 2;
  SteerRule no_unknown = rule;
  no_unknown.unknown = {};
  SteerRule no_fallback = rule;
  no_fallback.has_fallback = false;
  Health unchecked = Now("dddu");
  unchecked.anything_known = false;
  CheckRows({
      {"the nearest", rule, Germany(), Now("uuuu"), "nearest 0"},
      {"the nearest of the rule's", rule, Japan(), Now("uuuu"), "nearest 2"},
      {"the next when it is down", rule, Germany(), Now("duuu"), "nearest 1"},
      {"the next of the rule's, not of all", rule, Japan(), Now("uudu"), "nearest 0"},
      {"the next when it is drained", rule, Germany(), Now("xuuu"), "nearest 1"},
      {"several", two, Germany(), Now("uuuu"), "nearest 0 1"},
      {"several, as many as there are", two, Germany(), Now("udxu"), "nearest 0"},
      {"unknown place", rule, Nowhere(), Now("uuuu"), "unknown_place 1"},
      {"unknown place without a list", no_unknown, Nowhere(), Now("uuuu"), "unknown_place 0"},
      {"unknown place, its point down", rule, Nowhere(), Now("uduu"), "spare 0"},
      {"all down", rule, Germany(), Now("dddu"), "fallback"},
      {"all down or drained", rule, Germany(), Now("dxdu"), "fallback"},
      {"all and the fallback down", rule, Germany(), Now("dddu", false), "fail_open 0"},
      {"nothing known yet", rule, Germany(), unchecked, "fail_open 0"},
      {"drained before fail open", rule, Germany(), Now("ddxu", false), "drained 2"},
      {"no fallback, drained", no_fallback, Germany(), Now("dxxu"), "drained 1"},
      {"no fallback, all down", no_fallback, Japan(), Now("dddu"), "fail_open 2"},
      {"no fallback, unknown place, all down", no_fallback, Nowhere(), Now("dddu"), "fail_open 1"},
  });
}

// Frankfurt has virginia beside it, and tokyo sydney.
TEST(SteeringTest, OnlyWhatLiesNearEnoughIsAnsweredBesideTheFirst) {
  SteerRule rule{
      .pops = {kFrankfurt, kVirginia, kTokyo, kSydney},
      .answers = 2,
      .beside = {{kVirginia}, {kFrankfurt}, {kSydney}, {kTokyo}},
      .overrides = {{.networks = {*Network::Parse("10.0.0.0/8")}, .pops = {kTokyo, kVirginia}}},
      .unknown = {kFrankfurt, kTokyo, kVirginia},
      .has_fallback = true};
  SteerRule failover = rule;
  failover.policy = Policy::kFailover;
  SteerRule three = rule;
  three.answers = 3;
  CheckRows({
      {"both", rule, Germany(), Now("uuuu"), "nearest 0 1"},
      {"the twin is down", rule, Germany(), Now("uduu"), "nearest 0"},
      {"the first is down", rule, Germany(), Now("duuu"), "nearest 1"},
      {"both are down", rule, Germany(), Now("dduu"), "nearest 2 3"},
      {"the other pair", rule, Japan(), Now("uuuu"), "nearest 2 3"},
      {"no more than there are", three, Germany(), Now("uuuu"), "nearest 0 1"},
      {"one in between is passed over", rule, Nowhere(), Now("uuuu"), "unknown_place 0 1"},
      {"under an override", rule, Nowhere(), Now("uuuu"), "override 2", 1U},
      {"failover", failover, Japan(), Now("duuu"), "failover 1"},
      {"failover, both", failover, Japan(), Now("uduu"), "failover 0"},
      {"all and the fallback down", rule, Germany(), Now("dddd", false), "fail_open 0 1"},
      {"the fallback", rule, Germany(), Now("dddd"), "fallback"},
  });
}

TEST(SteeringTest, Failover) {
  SteerRule rule{.policy = Policy::kFailover, .pops = {kTokyo, kFrankfurt}, .has_fallback = true};
  SteerRule two = rule;
  two.answers = 2;
  CheckRows({
      {"in order", rule, Germany(), Now("uuuu"), "failover 2"},
      {"second", rule, Germany(), Now("uudu"), "failover 0"},
      {"place does not matter", rule, Nowhere(), Now("uuuu"), "failover 2"},
      {"drained", rule, Germany(), Now("uuxu"), "failover 0"},
      {"several", two, Germany(), Now("uuuu"), "failover 2 0"},
      {"all down", rule, Germany(), Now("dudu"), "fallback"},
      {"all and the fallback down", rule, Germany(), Now("dudu", false), "fail_open 2"},
  });
}

TEST(SteeringTest, OverridesMatchInOrderAndLeaveTheRestAsSpares) {
  SteerRule rule{
      .pops = {kFrankfurt, kVirginia, kTokyo},
      .overrides = {{.countries = {CountryCode('J', 'P')}, .pops = {kSydney}},
                    {.continents = {Continent::kAsia}, .pops = {kVirginia}},
                    {.networks = {*Network::Parse("10.0.0.0/8")}, .pops = {kTokyo, kFrankfurt}}},
      .has_fallback = true};
  Place korea{CountryCode('K', 'R'), Continent::kAsia, {2, 3, 0, 1}};
  SteerRule failover = rule;
  failover.policy = Policy::kFailover;
  CheckRows({
      {"country", rule, Japan(), Now("uuuu"), "override 3"},
      {"continent", rule, korea, Now("uuuu"), "override 1"},
      {"network", rule, Nowhere(), Now("uuuu"), "override 2", 1U << 2},
      {"network, nearest of its points", rule, Germany(), Now("uuuu"), "override 0", 1U << 2},
      {"network, in order", failover, Germany(), Now("uuuu"), "override 2", 1U << 2},
      {"the first match wins", rule, Japan(), Now("uuuu"), "override 3", 1U << 2},
      {"no match", rule, Germany(), Now("uuuu"), "nearest 0"},
      {"its point down: the rule's nearest", rule, Japan(), Now("uuud"), "spare 2"},
      {"its point drained: the rule's nearest", rule, Japan(), Now("uuux"), "spare 2"},
      {"everything down", rule, Japan(), Now("dddd"), "fallback"},
      {"everything and the fallback down", rule, Japan(), Now("dddd", false), "fail_open 3"},
      {"unset country and continent match nothing", rule, Nowhere(), Now("uuuu"),
       "unknown_place 0"},
  });
}

TEST(SteeringTest, WithFewerUpThanMinHealthyTheFallbackComesFirst) {
  SteerRule rule{.pops = {kFrankfurt, kVirginia, kTokyo}, .has_fallback = true, .min_healthy = 2};
  rule.overrides = {{.countries = {CountryCode('J', 'P')}, .pops = {kSydney}}};
  CheckRows({
      {"enough", rule, Germany(), Now("uduu"), "nearest 0"},
      {"too few", rule, Germany(), Now("uddu"), "fallback"},
      {"the drained do not count", rule, Germany(), Now("uxxu"), "fallback"},
      {"nor do others than the rule's", rule, Japan(), Now("uddu"), "fallback"},
      {"none", rule, Germany(), Now("dddu"), "fallback"},
      {"the fallback is down: who is up", rule, Germany(), Now("dudu", false), "nearest 1"},
      {"and for an override", rule, Japan(), Now("dudu", false), "override 3"},
      {"all down", rule, Germany(), Now("dddd", false), "fail_open 0"},
  });
}

TEST(SteeringTest, AnOverridesOwnPointThatIsUpComesBeforeTheFallback) {
  SteerRule rule{.pops = {kFrankfurt, kVirginia}, .has_fallback = true};
  rule.overrides = {{.countries = {CountryCode('J', 'P')}, .pops = {kSydney}}};
  rule.unknown = {kTokyo};
  CheckRows({
      {"the rule's are down", rule, Japan(), Now("dduu"), "override 3"},
      {"and it, too", rule, Japan(), Now("ddud"), "fallback"},
      {"no place: the point for those", rule, Nowhere(), Now("dduu"), "unknown_place 2"},
      {"for others there is the fallback", rule, Germany(), Now("dduu"), "fallback"},
  });
}

TEST(SteeringTest, AutonomousSystemsMatchOverrides) {
  SteerRule rule{.pops = {kFrankfurt, kVirginia, kTokyo},
                 .overrides = {{.asns = {64496, 64497}, .pops = {kTokyo}}}};
  Place at_home = Germany();
  at_home.asn = 64497;
  Place elsewhere = Germany();
  elsewhere.asn = 64498;
  CheckRows({
      {"its system", rule, at_home, Now("uuuu"), "override 2"},
      {"its point down", rule, at_home, Now("uudu"), "spare 0"},
      {"another system", rule, elsewhere, Now("uuuu"), "nearest 0"},
      {"an unknown one", rule, Germany(), Now("uuuu"), "nearest 0"},
  });
}

TEST(SteeringTest, TakersAreWhomAPointsOwnClientsCanBeGivenTo) {
  const SteerRule nearest{.pops = {kFrankfurt, kVirginia, kTokyo}, .unknown = {kVirginia}};
  SteerRule failover = nearest;
  failover.policy = Policy::kFailover;
  SteerRule weighted = nearest;
  weighted.policy = Policy::kWeighted;
  SteerRule lone{.pops = {kFrankfurt}};
  SteerRule away = lone;
  away.overrides = {{.pops = {kTokyo}}};
  SteerRule min_healthy = nearest;
  min_healthy.has_fallback = true;
  min_healthy.min_healthy = 3;
  const Health all = Now("uuuu");
  Health first_sheds = all;
  first_sheds.kept = {0.5, 1, 1, 1};
  Health override_sheds = all;
  override_sheds.kept = {1, 1, 0.5, 1};
  const struct {
    std::string_view name;
    SteerRule rule;
    size_t preference;  ///< of PreferencesOf: a known place, an unknown one, overrides
    Health health;
    uint8_t pop;
    std::string_view want;
  } kRows[] = {
      {"somebody has it before any other", nearest, 0, all, kTokyo, "0 1"},
      {"those that are up", nearest, 0, Now("uduu"), kTokyo, "0"},
      {"in the order of an unknown place", nearest, 1, all, kVirginia, "0 2"},
      {"nobody comes to the second", nearest, 1, all, kFrankfurt, ""},
      {"the second of failover", failover, 0, all, kVirginia, ""},
      {"whom the first gives away", failover, 0, first_sheds, kVirginia, "2"},
      {"whom the first leaves", failover, 0, Now("duuu"), kVirginia, "2"},
      {"nobody is behind the last", failover, 0, first_sheds, kTokyo, ""},
      {"draws come anywhere", weighted, 0, all, kTokyo, "0"},
      {"alone", lone, 0, all, kFrankfurt, ""},
      {"an override's others", away, 2, all, kTokyo, "0"},
      {"nobody comes past an override", away, 2, all, kFrankfurt, ""},
      {"and whom it gives away is at the end", away, 2, override_sheds, kFrankfurt, ""},
      {"the fallback answers", min_healthy, 0, Now("duuu"), kVirginia, ""},
      {"not of this rule", nearest, 0, all, kSydney, ""},
  };
  for (const auto& row : kRows) {
    const uint32_t weights[] = {1, 0, 1, 1};
    std::string text;
    for (uint8_t pop : FindTakers(row.rule, PreferencesOf(row.rule)[row.preference], row.health,
                                  weights, row.pop)) {
      text += (text.empty() ? "" : " ") + std::to_string(pop);
    }
    EXPECT_EQ(text, row.want) << row.name;
  }
}

TEST(SteeringTest, EveryReasonPolicyAndStateHasAName) {
  for (size_t i = 0; i < kSteerReasonCount; ++i) {
    EXPECT_NE(SteerReasonName(static_cast<SteerReason>(i)), "unknown") << i;
  }
  EXPECT_EQ(PolicyName(Policy::kWeighted), "weighted");
  EXPECT_EQ(PopStateName(PopState::kDrained), "drained");
}

/// How 100,000 client networks are shared out.
std::map<int, int> Shares(const SteerRule& rule, const Health& health,
                          const std::vector<uint32_t>& weights) {
  std::map<int, int> shares;
  Preference preference = Prefer(rule, Nowhere(), 0);
  for (uint32_t i = 0; i < 100'000; ++i) {
    uint8_t bytes[4] = {static_cast<uint8_t>(i >> 16), static_cast<uint8_t>(i >> 8),
                        static_cast<uint8_t>(i), 77};
    uint64_t hash = HashOfNetwork(IpAddress::V4(bytes), kStickyBits4);
    Choice choice = Choose(rule, preference, health, weights, hash);
    ++shares[choice.pops.empty() ? -1 : choice.pops[0]];
  }
  return shares;
}

TEST(WeightedTest, SharesAreWithinOnePercent) {
  SteerRule rule{.policy = Policy::kWeighted, .pops = {kFrankfurt, kVirginia}};
  auto shares = Shares(rule, Now("uuuu"), {70, 30, 1, 1});
  EXPECT_NEAR(shares[kFrankfurt], 70'000, 1000);
  EXPECT_NEAR(shares[kVirginia], 30'000, 1000);
  rule.pops = {kFrankfurt, kVirginia, kTokyo};
  shares = Shares(rule, Now("uuuu"), {5, 0, 3, 1});
  EXPECT_NEAR(shares[kFrankfurt], 62'500, 1000);
  EXPECT_EQ(shares[kVirginia], 0) << "weight 0 takes none";
  shares = Shares(rule, Now("dudu"), {5, 0, 3, 1});
  EXPECT_EQ(shares[kVirginia], 100'000) << "unless nobody else is there";
}

TEST(WeightedTest, OnlyClientsOfThePointThatFailsMove) {
  SteerRule rule{.policy = Policy::kWeighted, .pops = {kFrankfurt, kVirginia, kTokyo}};
  const uint32_t weights[] = {2, 1, 1, 1};
  Preference preference = Prefer(rule, Nowhere(), 0);
  std::map<int, int> moved_to;
  for (uint64_t hash = 0; hash < 100'000; ++hash) {
    uint8_t before = Choose(rule, preference, Now("uuuu"), weights, hash).pops[0];
    uint8_t after = Choose(rule, preference, Now("uduu"), weights, hash).pops[0];
    if (before != kVirginia) {
      ASSERT_EQ(before, after);
    } else {
      ++moved_to[after];
    }
  }
  // They spread by weight over what is left.
  EXPECT_NEAR(moved_to[kFrankfurt], 2.0 / 3 * 25'000, 500);
  EXPECT_NEAR(moved_to[kTokyo], 1.0 / 3 * 25'000, 500);
}

/// As the share of a point shrinks its clients leave, in proportion, to the others by weight; and
/// nobody else moves.
TEST(WeightedTest, SheddingMovesTheSameClientsMoreAndMore) {
  SteerRule rule{.policy = Policy::kWeighted, .pops = {kFrankfurt, kVirginia, kTokyo}};
  const uint32_t weights[] = {2, 1, 1, 1};
  Preference preference = Prefer(rule, Nowhere(), 0);
  std::map<double, std::map<int, int>> counts;
  for (uint64_t i = 0; i < 100'000; ++i) {
    uint64_t hash = i * 0x9E3779B97F4A7C15;
    uint8_t home = Choose(rule, preference, Now("uuuu"), weights, hash).pops[0];
    bool has_left = false;
    for (double share : {0.9, 0.5, 0.1}) {
      Health health = Now("uuuu");
      health.kept = {share, 1, 1, 1};
      Choice choice = Choose(rule, preference, health, weights, hash);
      ++counts[share][choice.pops[0]];
      if (home != kFrankfurt) {
        ASSERT_EQ(choice.pops[0], home);
      } else if (has_left) {
        ASSERT_NE(choice.pops[0], kFrankfurt);
      }
      has_left = choice.pops[0] != home;
      ASSERT_EQ(choice.reason, has_left ? SteerReason::kShed : SteerReason::kWeighted);
    }
  }
  for (double share : {0.9, 0.5, 0.1}) {
    EXPECT_NEAR(counts[share][kFrankfurt], 50'000 * share, 500) << share;
    EXPECT_NEAR(counts[share][kVirginia], 25'000 + 25'000 * (1 - share), 700) << share;
  }
}

TEST(WeightedTest, WhomAllRefuseStays) {
  SteerRule rule{.policy = Policy::kWeighted, .pops = {0, 1, 2}};
  const uint32_t weights[] = {1, 1, 0, 1};
  for (uint64_t hash = 0; hash < 1000; ++hash) {
    Health health = Now("uuuu");
    uint8_t home = Choose(rule, Prefer(rule, Nowhere(), 0), health, weights, hash).pops[0];
    health.kept = {1e-9, 1e-9, 1, 1};
    Choice choice = Choose(rule, Prefer(rule, Nowhere(), 0), health, weights, hash);
    ASSERT_EQ(choice.pops[0], home) << "nobody sheds into the reserve of weight 0";
    health.kept = {0.5, 1, 1, 1};
    health.pops[1] = PopState::kDown;
    choice = Choose(rule, Prefer(rule, Nowhere(), 0), health, weights, hash);
    ASSERT_EQ(choice.pops[0], 0);
  }
}

TEST(WeightedTest, OneNetworkAlwaysGetsTheSame) {
  auto hash = [](std::string_view address, uint8_t bits) {
    return HashOfNetwork(*IpAddress::Parse(address), bits);
  };
  EXPECT_EQ(hash("192.0.2.1", 24), hash("192.0.2.254", 24));
  EXPECT_NE(hash("192.0.2.1", 24), hash("192.0.3.1", 24));
  EXPECT_EQ(hash("2001:db8:0:1::1", 56), hash("2001:db8:0:ff::2", 56));
  EXPECT_NE(hash("2001:db8:0:1::1", 56), hash("2001:db8:0:101::1", 56));
}

TEST(WeightedTest, SeveralAnswersAreDistinct) {
  SteerRule rule{.policy = Policy::kWeighted, .pops = {0, 1, 2, 3}, .answers = 3};
  const uint32_t weights[] = {9, 1, 1, 0};
  for (uint64_t hash = 0; hash < 1000; ++hash) {
    Choice choice = Choose(rule, Prefer(rule, Nowhere(), 0), Now("uuuu"), weights, hash);
    ASSERT_EQ(choice.pops.size(), 3U);
    ASSERT_EQ(std::set<uint8_t>(choice.pops.begin(), choice.pops.end()).size(), 3U);
  }
}

TEST(WeightedTest, WeightZeroIsNoCompany) {
  SteerRule rule{.policy = Policy::kWeighted, .pops = {0, 1, 2, 3}, .answers = 3};
  const uint32_t weights[] = {9, 1, 0, 0};
  for (uint64_t hash = 0; hash < 1000; ++hash) {
    auto chosen = [&](std::string_view states) {
      auto pops = Choose(rule, Prefer(rule, Nowhere(), 0), Now(states), weights, hash).pops;
      return std::set<uint8_t>(pops.begin(), pops.end());
    };
    ASSERT_EQ(chosen("uuuu"), (std::set<uint8_t>{0, 1}));
    ASSERT_EQ(chosen("duuu"), (std::set<uint8_t>{1}));
    ASSERT_EQ(chosen("dduu").size(), 1U) << "nobody else is there";
  }
}

TEST(WeightedTest, OnlyWhatLiesNearEnoughIsDrawnBesideTheFirst) {
  SteerRule rule{.policy = Policy::kWeighted,
                 .pops = {0, 1, 2, 3},
                 .answers = 3,
                 .beside = {{1}, {0}, {3}, {2}}};
  const uint32_t weights[] = {9, 1, 5, 1};
  std::map<std::string, int> drawn;
  for (uint64_t hash = 0; hash < 1000; ++hash) {
    uint64_t mixed = hash * 0x9E3779B97F4A7C15;
    ++drawn[Text(Choose(rule, Prefer(rule, Nowhere(), 0), Now("uuuu"), weights, mixed))];
    const Choice alone = Choose(rule, Prefer(rule, Nowhere(), 0), Now("uduu"), weights, mixed);
    ASSERT_EQ(alone.pops.size(), alone.pops.front() == 0 ? 1U : 2U);
  }
  EXPECT_EQ(drawn.size(), 4U);
  EXPECT_GT(drawn["weighted 0 1"], drawn["weighted 1 0"]);
  EXPECT_GT(drawn["weighted 2 3"], drawn["weighted 3 2"]);
}

TEST(WeightedTest, FallbackAndFailOpenAsElsewhere) {
  SteerRule rule{.policy = Policy::kWeighted, .pops = {0, 1}, .has_fallback = true};
  EXPECT_EQ(Chosen(rule, Nowhere(), Now("dduu")), "fallback");
  EXPECT_EQ(Chosen(rule, Nowhere(), Now("dxuu", false)), "drained 1");
  EXPECT_EQ(Chosen(rule, Nowhere(), Now("dduu", false)).substr(0, 9), "fail_open");
  EXPECT_EQ(Chosen(rule, Nowhere(), Now("uduu")), "weighted 0");
}

/// A table worked out for all addresses of a small world.
class SteerTableTest : public testing::Test {
 protected:
  SteerTableTest() {
    MmdbWriter writer(6);
    writer.AddFlat("10.0.0.0/9", "DE")
        .AddFlat("10.128.0.0/10", "AT")
        .AddFlat("10.192.0.0/10", "US");
    writer.AddFlat("133.0.0.0/8", "JP").AddFlat("2001:db8::/32", "JP").AddFlat("2a00::/16", "DE");
    const Coordinates pops[] = {{50.11, 8.68}, {38.9, -77.4}, {35.7, 139.7}, {-33.9, 151.2}};
    auto map = GeoMap::Load({dir_.Write("geo.mmdb", writer.Bytes())}, pops);
    EXPECT_TRUE(map);
    map_ = *map;
  }
  /// "nearest 0 /8"
  std::string At(const SteerRule& rule, const Health& health, std::string_view address,
                 uint8_t known_bits = 128) {
    auto table = SteerTable::Make(rule, *map_, health, {1, 1, 1, 1});
    IpAddress client = *IpAddress::Parse(address);
    auto answer = table->Find(client, std::min(known_bits, client.bits()));
    std::string text(SteerReasonName(answer.reason));
    for (size_t i = 0; i < answer.pops.count; ++i)
      text += " " + std::to_string(answer.pops.pops[i]);
    return text + " /" + std::to_string(answer.scope);
  }
  test::TempDir dir_;
  std::shared_ptr<const GeoMap> map_;
};

TEST_F(SteerTableTest, ScopeIsTheTrueWidthOfTheAnswer) {
  SteerRule rule{.pops = {kFrankfurt, kVirginia, kTokyo}, .unknown = {kVirginia}};
  EXPECT_EQ(At(rule, Now("uuuu"), "10.1.2.3"), "nearest 0 /9");
  EXPECT_EQ(At(rule, Now("uuuu"), "10.129.2.3"), "nearest 0 /10") << "Austria is no neighbour leaf";
  EXPECT_EQ(At(rule, Now("uuuu"), "10.193.2.3"), "nearest 1 /10");
  EXPECT_EQ(At(rule, Now("uuuu"), "133.11.0.1"), "nearest 2 /8");
  // What is not known gets Virginia; 11.0.0.0/8 is the neighbour of 10.0.0.0/8.
  EXPECT_EQ(At(rule, Now("uuuu"), "11.0.0.1"), "unknown_place 1 /8");
  EXPECT_EQ(At(rule, Now("uuuu"), "2001:db8::1"), "nearest 2 /32");
  EXPECT_EQ(At(rule, Now("uuuu"), "133.11.0.1", 4), "nearest 2 /4")
      << "never longer than the source";
}

/// Not by the country, nor by the 5 by 5 degrees, in which a client is: those are for rules that
/// ask for them.
TEST_F(SteerTableTest, ScopeIsAsWideAsTheAnswer) {
  uint32_t dice = 4711;
  auto next = [&] { return dice = dice * 1664525 + 1013904223; };
  MmdbWriter writer(4);
  constexpr std::string_view kCountries[] = {"DE", "AT", "FR", "PL", "US", "CA", "JP", "KR"};
  for (int i = 0; i < 3000; ++i) {
    const std::string first = std::to_string(1 + (next() >> 16) % 200);
    const std::string second = std::to_string((next() >> 16) % 256);
    writer.AddFlat(first + "." + second + ".0.0/16", kCountries[(next() >> 16) % 8]);
  }
  const Coordinates pops[] = {{50.11, 8.68}, {38.9, -77.4}, {35.7, 139.7}, {-33.9, 151.2}};
  auto map = GeoMap::Load({dir_.Write("mixed.mmdb", writer.Bytes())}, pops);
  ASSERT_TRUE(map);
  SteerRule nearest{.pops = {kFrankfurt, kVirginia, kTokyo}, .unknown = {kFrankfurt}};
  SteerRule two = nearest;
  two.answers = 2;
  SteerRule with_override = nearest;
  with_override.overrides = {{.countries = {CountryCode('P', 'L')}, .pops = {kVirginia}}};
  for (const SteerRule& rule : {nearest, two, with_override}) {
    auto table = SteerTable::Make(rule, **map, Now("uuuu"), {1, 1, 1, 1});
    auto find = [&](uint32_t value) {
      const uint8_t bytes[] = {static_cast<uint8_t>(value >> 24), static_cast<uint8_t>(value >> 16),
                               static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
      return table->Find(IpAddress::V4(bytes), 32);
    };
    auto text = [](const SteerTable::Answer& answer) {
      return std::string(answer.pops.pops.begin(), answer.pops.pops.begin() + answer.pops.count);
    };
    for (int i = 0; i < 2000; ++i) {
      const uint32_t address = next();
      const SteerTable::Answer told = find(address);
      ASSERT_GT(told.scope, 0) << "there are several answers";
      // The other half of the next wider network: were it all alike, the two would be one.
      const SteerTable::Answer beside = find(address ^ 1U << (32 - told.scope));
      ASSERT_FALSE(beside.scope <= told.scope && text(beside) == text(told))
          << std::hex << address << " /" << std::dec << int{told.scope};
    }
  }
}

TEST_F(SteerTableTest, ScopeWidensWhereDifferentReasonsAnswerTheSame) {
  // Germans and Austrians by nearness, Americans by override, the rest unknown: Frankfurt for all
  // but Japan.
  SteerRule rule{.pops = {kFrankfurt, kTokyo},
                 .overrides = {{.countries = {CountryCode('U', 'S')}, .pops = {kFrankfurt}}},
                 .unknown = {kFrankfurt}};
  EXPECT_EQ(At(rule, Now("uuuu"), "10.1.2.3"), "nearest 0 /1");
  EXPECT_EQ(At(rule, Now("uuuu"), "10.193.2.3"), "override 0 /1");
  EXPECT_EQ(At(rule, Now("uuuu"), "11.0.0.1"), "unknown_place 0 /1");
  EXPECT_EQ(At(rule, Now("uuuu"), "133.11.0.1"), "nearest 2 /8");
  EXPECT_EQ(At(rule, Now("uudu"), "133.11.0.1"), "nearest 0 /0") << "the same for everybody";
  EXPECT_EQ(At(rule, Now("dddd"), "133.11.0.1"), "fail_open 2 /8");
}

TEST_F(SteerTableTest, NetworksOfOverridesCutThroughPlaces) {
  SteerRule rule{
      .pops = {kFrankfurt, kVirginia, kTokyo},
      .overrides = {{.networks = {*Network::Parse("10.64.0.0/16")}, .pops = {kTokyo}},
                    {.networks = {*Network::Parse("2001:db8:1::/48")}, .pops = {kVirginia}}}};
  EXPECT_EQ(At(rule, Now("uuuu"), "10.64.1.1"), "override 2 /16");
  EXPECT_EQ(At(rule, Now("uuuu"), "10.65.1.1"), "nearest 0 /16");
  EXPECT_EQ(At(rule, Now("uuuu"), "10.1.1.1"), "nearest 0 /10");
  EXPECT_EQ(At(rule, Now("uuuu"), "2001:db8:1::1"), "override 1 /48");
}

/// A client known to fewer bits than a network has may be in it or not; its zero bits say nothing.
TEST_F(SteerTableTest, NetworksLongerThanWhatIsKnownDoNotMatch) {
  SteerRule rule{.pops = {kFrankfurt, kVirginia, kTokyo},
                 .overrides = {{.networks = {*Network::Parse("10.64.0.0/28")}, .pops = {kTokyo}},
                               {.networks = {*Network::Parse("10.64.0.0/18")}, .pops = {kVirginia}},
                               {.networks = {*Network::Parse("2001:db8:1::/64"),
                                             *Network::Parse("10.64.0.0/32")},
                                .pops = {kFrankfurt}}}};
  EXPECT_EQ(At(rule, Now("uuuu"), "10.64.0.0", 28), "override 2 /28");
  EXPECT_EQ(At(rule, Now("uuuu"), "10.64.0.0", 32), "override 2 /28") << "the first that matches";
  EXPECT_EQ(At(rule, Now("uuuu"), "10.64.0.0", 27), "override 1 /27");
  EXPECT_EQ(At(rule, Now("uuuu"), "10.64.0.0", 18), "override 1 /18");
  EXPECT_EQ(At(rule, Now("uuuu"), "10.64.0.0", 17), "nearest 0 /17");
  EXPECT_EQ(At(rule, Now("uuuu"), "10.64.0.0", 10), "nearest 0 /10");
  EXPECT_EQ(At(rule, Now("uuuu"), "10.64.1.0", 24), "override 1 /24");
  EXPECT_EQ(At(rule, Now("uuuu"), "2001:db8:1::", 56), "nearest 2 /56");
  EXPECT_EQ(At(rule, Now("uuuu"), "2001:db8:1::", 64), "override 0 /64");
}

TEST_F(SteerTableTest, TheIpv4AddressInsideAnIpv6OneCounts) {
  SteerRule rule{.pops = {kFrankfurt, kVirginia, kTokyo}, .unknown = {kVirginia}};
  // 6to4 of 133.11.0.0/16; its place is that of 133.0.0.0/8.
  EXPECT_EQ(At(rule, Now("uuuu"), "2002:850b::", 32), "nearest 2 /24");
  EXPECT_EQ(At(rule, Now("uuuu"), "2002:850b:1:2::", 56), "nearest 2 /24");
  EXPECT_EQ(At(rule, Now("uuuu"), "2002:8000::", 18), "unknown_place 1 /18");
  EXPECT_EQ(At(rule, Now("uuuu"), "2002::", 16), "unknown_place 1 /16") << "nothing is inside";
  // Neither does the answer for a network beside them reach over them (RFC 7871 §7.2.1).
  EXPECT_EQ(At(rule, Now("uuuu"), "2003:b01:8000::", 33), "unknown_place 1 /16");
  EXPECT_EQ(At(rule, Now("uuuu"), "fd00::", 8), "unknown_place 1 /1");
  EXPECT_EQ(At(rule, Now("uuuu"), "::1", 128), "unknown_place 1 /81");
  EXPECT_EQ(At(rule, Now("uuuu"), "2000::", 14), "unknown_place 1 /14") << "all that is known";
  EXPECT_EQ(At({.policy = Policy::kFailover, .pops = {kTokyo}}, Now("uuuu"), "2003::", 32),
            "failover 2 /0")
      << "all get the same";
  IpAddress mapped{.is_ipv6 = true};
  mapped.bytes[10] = mapped.bytes[11] = 0xFF;
  mapped.bytes[12] = 133;
  auto answer = SteerTable::Make(rule, *map_, Now("uuuu"), {1, 1, 1, 1})->Find(mapped, 120);
  EXPECT_EQ(answer.pops.pops[0], kTokyo);
  EXPECT_EQ(answer.scope, 104);
  EXPECT_FALSE(IpAddress::Parse("2003::1")->EmbeddedIpv4());
  EXPECT_FALSE(IpAddress::Parse("192.0.2.1")->EmbeddedIpv4());
}

TEST_F(SteerTableTest, PoliciesWithoutPlacesHaveNoWidth) {
  SteerRule failover{.policy = Policy::kFailover, .pops = {kTokyo, kFrankfurt}};
  EXPECT_EQ(At(failover, Now("uuuu"), "10.1.2.3"), "failover 2 /0");
  SteerRule weighted{.policy = Policy::kWeighted, .pops = {kTokyo}};
  EXPECT_EQ(At(weighted, Now("uuuu"), "10.1.2.3"), "weighted 2 /24")
      << "the prefix that was hashed";
  EXPECT_EQ(At(weighted, Now("uuuu"), "10.1.2.3", 16), "weighted 2 /16");
  EXPECT_EQ(At(weighted, Now("uuuu"), "2001:db8::1"), "weighted 2 /56");
  weighted.has_fallback = true;
  EXPECT_EQ(At(weighted, Now("dddd"), "10.1.2.3"), "fallback /0");
}

/// Tokyo has Japan's clients, Frankfurt the rest: Germany and Austria are near, America is far.
TEST_F(SteerTableTest, AnOverloadedPointGivesItsFarthestAway) {
  SteerRule rule{.pops = {kFrankfurt, kTokyo, kSydney}};
  Health health = Now("uuuu");
  health.kept = {0.9, 1, 1, 1};
  // 10.0.0.0/9 and 10.128.0.0/10 and 10.192.0.0/10: America is a quarter of 2^24 addresses.
  EXPECT_EQ(At(rule, health, "10.1.2.3"), "nearest 0 /9");
  EXPECT_EQ(At(rule, health, "10.129.2.3"), "nearest 0 /10");
  EXPECT_EQ(At(rule, health, "133.11.0.1"), "nearest 2 /8");
  int moved = 0;
  for (int i = 0; i < 64; ++i) {
    for (int j = 0; j < 64; ++j) {
      std::string network = "10." + std::to_string(192 + i) + "." + std::to_string(4 * j);
      std::string got = At(rule, health, network + ".1");
      ASSERT_EQ(got.substr(got.find('/')), "/24") << "the prefix that was hashed";
      ASSERT_EQ(got, At(rule, health, network + ".200"));
      moved += got == "shed 2 /24" ? 1 : 0;
    }
  }
  EXPECT_NEAR(moved, 0.4 * 64 * 64, 3 * 32) << "a tenth of all is four tenths of America";
  health.kept[0] = 0.7;
  EXPECT_EQ(At(rule, health, "10.193.2.3").substr(0, 6), "shed 2") << "all of America";
  EXPECT_EQ(At(rule, health, "10.193.2.3").find("/24"), std::string::npos);
  health.pops[kTokyo] = health.pops[kSydney] = PopState::kDown;
  EXPECT_EQ(At(rule, health, "10.193.2.3").substr(0, 9), "nearest 0") << "there is nowhere to go";
}

TEST_F(SteerTableTest, SheddingGoesToSparesWhereAnOverrideHasNoOther) {
  SteerRule rule{.pops = {kFrankfurt, kVirginia, kTokyo},
                 .overrides = {{.countries = {CountryCode('J', 'P')}, .pops = {kSydney}},
                               {.networks = {*Network::Parse("10.64.0.0/28")}, .pops = {kSydney}}}};
  Health health = Now("uuuu");
  health.kept = {1, 1, 1, 0.0001};
  EXPECT_EQ(At(rule, health, "133.11.0.1").substr(0, 6), "shed 2") << "Japan's nearest";
  EXPECT_EQ(At(rule, health, "10.64.0.1").substr(0, 6), "shed 0");
  EXPECT_EQ(At(rule, health, "10.64.0.0", 27), "nearest 0 /27") << "the network may not match";
  EXPECT_EQ(At(rule, health, "10.1.2.3"), "nearest 0 /9") << "the same answer as the network's";
  SteerRule two = rule;
  two.answers = 2;
  EXPECT_EQ(At(two, health, "133.11.0.1").substr(0, 8), "shed 2 0");
  health.kept = {};
  EXPECT_EQ(At(two, health, "133.11.0.1").substr(0, 10), "override 3");
}

TEST_F(SteerTableTest, WhoIsShedIsAnsweredWhatLiesNearEnoughToItsNewPoint) {
  SteerRule rule{.pops = {kFrankfurt, kVirginia, kTokyo},
                 .answers = 2,
                 .beside = {{kVirginia}, {kFrankfurt}, {}, {}}};
  Health health = Now("uuuu");
  health.kept = {1, 1, 0.0001, 1};
  EXPECT_EQ(At(rule, health, "133.11.0.1").substr(0, 8), "shed 0 1");
  health.pops[kVirginia] = PopState::kDown;
  EXPECT_EQ(At(rule, health, "133.11.0.1").substr(0, 7), "shed 0 ");
  health.kept = {};
  EXPECT_EQ(At(rule, health, "133.11.0.1").substr(0, 11), "nearest 2 /");
}

TEST_F(SteerTableTest, FailoverShedsByHash) {
  SteerRule rule{.policy = Policy::kFailover, .pops = {kTokyo, kFrankfurt}};
  Health health = Now("uuuu");
  health.kept = {1, 1, 0.5, 1};
  std::map<std::string, int> got;
  for (int i = 0; i < 1000; ++i) {
    ++got[At(rule, health, "198.18." + std::to_string(i % 250) + "." + std::to_string(i / 250))];
  }
  EXPECT_EQ(got.size(), 2U);
  EXPECT_NEAR(got["failover 2 /24"], 500, 120);
  EXPECT_EQ(got["failover 2 /24"] + got["shed 0 /24"], 1000);
}

/// Everything inside the scope that was told gets the same answer.
TEST_F(SteerTableTest, ScopesOfShedClientsAreTrue) {
  SteerRule rule{.pops = {kFrankfurt, kVirginia, kTokyo, kSydney},
                 .overrides = {{.networks = {*Network::Parse("10.64.0.0/26")}, .pops = {kTokyo}}}};
  Health health = Now("uuuu");
  health.kept = {0.55, 0.8, 0.33, 1};
  auto table = SteerTable::Make(rule, *map_, health, {1, 1, 1, 1});
  uint32_t dice = 12345;
  auto next = [&] { return dice = dice * 1664525 + 1013904223; };
  for (int i = 0; i < 20'000; ++i) {
    uint32_t base = i % 2 == 0 ? 0x0A000000 | next() >> 8 : next();
    auto address = [](uint32_t value) {
      const uint8_t bytes[] = {static_cast<uint8_t>(value >> 24), static_cast<uint8_t>(value >> 16),
                               static_cast<uint8_t>(value >> 8), static_cast<uint8_t>(value)};
      return IpAddress::V4(bytes);
    };
    auto told = table->Find(address(base), 32);
    uint32_t inside = told.scope == 0 ? next() : base ^ (next() >> told.scope & ~0U >> told.scope);
    if (told.scope == 32) inside = base;
    auto again = table->Find(address(inside), 32);
    ASSERT_EQ(told.pops.pops[0], again.pops.pops[0])
        << address(base).ToText() << " /" << int{told.scope} << " " << address(inside).ToText();
  }
}

/// The table must say what the pure choice says, for every place and state of health.
TEST_F(SteerTableTest, AgreesWithTheChoiceForEveryHealth) {
  std::vector<SteerRule> rules;
  const std::vector<Pops> beside = {{kVirginia}, {kFrankfurt}, {}, {}};
  for (Policy policy : {Policy::kNearest, Policy::kWeighted, Policy::kFailover}) {
    for (size_t answers : {1, 2, 3}) {
      rules.push_back({.policy = policy,
                       .pops = {kFrankfurt, kVirginia, kTokyo},
                       .answers = answers == 3 ? 2 : answers,
                       .beside = answers == 3 ? beside : std::vector<Pops>(),
                       .overrides = {{.countries = {CountryCode('J', 'P')}, .pops = {kTokyo}}},
                       .unknown = {kVirginia, kFrankfurt},
                       .has_fallback = policy != Policy::kFailover});
    }
  }
  const std::vector<uint32_t> weights = {1, 2, 3, 4};
  for (int states = 0; states < 2 * 81; ++states) {
    Health health;
    int rest = states / 2;
    for (int i = 0; i < 4; ++i, rest /= 3) health.pops.push_back(static_cast<PopState>(rest % 3));
    health.fallback_is_up = states % 2 == 0;
    for (const SteerRule& rule : rules) {
      auto table = SteerTable::Make(rule, *map_, health, weights);
      for (auto address : {"10.1.2.3", "10.129.0.1", "10.193.0.1", "133.1.1.1", "9.9.9.9",
                           "2001:db8::1", "2a00::1", "fe80::1"}) {
        IpAddress client = *IpAddress::Parse(address);
        const Place& place =
            map_->place(map_->trie(client.is_ipv6).Find(client.bytes.data()).value);
        uint64_t hash = HashOfNetwork(client, StickyBits(client));
        Choice want = Choose(rule, Prefer(rule, place, 0), health, weights, hash);
        auto got = table->Find(client, client.bits());
        Choice answer{{got.pops.pops.begin(), got.pops.pops.begin() + got.pops.count}, got.reason};
        ASSERT_EQ(Text(answer), Text(want)) << address << " states " << states;
      }
    }
  }
}

}  // namespace
}  // namespace nearside::geodns
