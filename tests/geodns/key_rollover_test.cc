#include "geodns/key_rollover.h"

#include <gtest/gtest.h>

namespace nearside::geodns {
namespace {

const WallTime kStart = FromUnixMillis(1'800'000'000'000);
constexpr seconds kLongestTtl{7200};
constexpr seconds kDsTtl{86'400};

/// The keys of a zone as they go through a rollover.
class KeyRolloverTest : public testing::Test {
 protected:
  KeyRolloverTest() { Add(KeyState::kActive, kStart - seconds(1'000'000)); }

  void Add(KeyState state, WallTime when) {
    ZoneKey key = MakeZoneKey(keys_.zone, SigningKey::Generate(SigningAlgorithm::kEd25519));
    key.state = state;
    key.created = key.changed = when;
    keys_.keys.push_back(std::move(key));
  }
  RollRequest At(seconds later) {
    return {.now = kStart + later, .longest_ttl = kLongestTtl, .ds_ttl = kDsTtl};
  }
  /// The same, when all servers have the newest key.
  RollRequest ServersHave(seconds later) {
    RollRequest request = At(later);
    request.servers_have = keys_.keys.back().tag;
    return request;
  }
  /// Does a step as the command does, and tells it: "switch: outgoing active".
  std::string Do(const RollRequest& request) {
    auto step = NextRollStep(keys_, request);
    if (!step) return step.error().reason;
    if (step->what == RollStep::What::kAdd) Add(KeyState::kIncoming, request.now);
    for (const ZoneKey& changed : step->changed) {
      for (ZoneKey& key : keys_.keys) {
        if (key.tag == changed.tag) key = changed;
      }
    }
    for (const ZoneKey& removed : step->removed) {
      std::erase_if(keys_.keys, [&](const ZoneKey& key) { return key.tag == removed.tag; });
    }
    next_ = step->next_not_before;
    std::string text = std::string(RollStepName(step->what)) + ":";
    for (const ZoneKey& key : keys_.keys) text += " " + std::string(KeyStateName(key.state));
    return text;
  }

  ZoneKeys keys_{.zone = *dns::Name::FromText("demo.test.")};
  WallTime next_;
};

TEST_F(KeyRolloverTest, FiveStepsEachInItsTime) {
  EXPECT_EQ(Do(At(-seconds(90'000))), "add: active incoming");
  EXPECT_EQ(Do(At(-seconds(1))), "servers_unknown") << "time alone proves nothing";
  RollRequest early = At(seconds(0));
  early.servers_have = keys_.keys[0].tag;
  EXPECT_EQ(Do(early), "wrong_key") << "they have had the old one all the time";
  early.servers_have = keys_.keys[1].tag;
  EXPECT_EQ(Do(early), "note_servers: active incoming");
  EXPECT_EQ(next_, kStart + kLongestTtl) << "from when all have it, not from when it was made";
  EXPECT_EQ(Do(At(kLongestTtl - seconds(1))), "too_early");
  EXPECT_EQ(Do(At(kLongestTtl)), "switch: outgoing active");
  EXPECT_EQ(Do(At(kLongestTtl * 100)), "parent_unknown") << "time alone proves nothing";
  RollRequest wrong = At(seconds(8000));
  wrong.parent_has = keys_.keys[0].tag;
  EXPECT_EQ(Do(wrong), "wrong_key") << "the parent still has the old one";
  RollRequest told = At(seconds(8000));
  told.parent_has = keys_.keys[1].tag;
  EXPECT_EQ(Do(told), "note_parent: outgoing active");
  EXPECT_EQ(next_, kStart + seconds(8000) + kDsTtl);
  EXPECT_EQ(Do(At(seconds(8000) + kDsTtl - seconds(1))), "too_early");
  EXPECT_EQ(Do(At(seconds(8000) + kDsTtl)), "remove: active");
  EXPECT_EQ(Do(At(seconds(200'000))), "add: active incoming") << "and so on with the next";
}

TEST_F(KeyRolloverTest, TheNextRolloverAsksForTheParentAgain) {
  keys_.keys[0].parent_told = kStart - seconds(900'000);  // of its own coming
  EXPECT_EQ(Do(At(seconds(0))), "add: active incoming");
  EXPECT_EQ(Do(ServersHave(seconds(0))), "note_servers: active incoming");
  EXPECT_EQ(Do(At(kLongestTtl)), "switch: outgoing active");
  EXPECT_EQ(Do(At(kLongestTtl + kDsTtl * 2)), "parent_unknown");
}

TEST_F(KeyRolloverTest, ForceWaitsForNothingButServersAndParent) {
  RollRequest force = At(seconds(0));
  force.force = true;
  EXPECT_EQ(Do(force), "add: active incoming");
  EXPECT_EQ(Do(force), "servers_unknown");
  force.servers_have = keys_.keys[1].tag;
  EXPECT_EQ(Do(force), "note_servers: active incoming");
  EXPECT_EQ(Do(force), "switch: outgoing active");
  EXPECT_EQ(Do(force), "parent_unknown");
  force.parent_has = keys_.keys[1].tag;
  EXPECT_EQ(Do(force), "note_parent: outgoing active");
  EXPECT_EQ(Do(force), "remove: active");
}

TEST_F(KeyRolloverTest, TheNewActiveKeyIsWrittenBeforeTheOldOneStops) {
  Do(At(seconds(0)));
  Do(ServersHave(seconds(0)));
  const auto step = NextRollStep(keys_, At(kLongestTtl));
  ASSERT_TRUE(step);
  ASSERT_EQ(step->changed.size(), 2U);
  EXPECT_EQ(step->changed[0].state, KeyState::kActive);
  EXPECT_EQ(step->changed[0].tag, keys_.keys[1].tag);
  EXPECT_EQ(step->changed[1].state, KeyState::kOutgoing);
}

TEST_F(KeyRolloverTest, AZoneWithoutAnActiveKeyIsToldSo) {
  keys_.keys.clear();
  EXPECT_EQ(Do(At(seconds(0))), "no_key");
  Add(KeyState::kOutgoing, kStart);
  EXPECT_EQ(Do(At(seconds(0))), "no_key");
}

}  // namespace
}  // namespace nearside::geodns
