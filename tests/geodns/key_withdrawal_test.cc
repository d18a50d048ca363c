#include "geodns/key_withdrawal.h"

#include <gtest/gtest.h>

#include "geodns/key_rollover.h"

namespace nearside::geodns {
namespace {

const WallTime kWithdrawalStart = FromUnixMillis(1'800'000'000'000);
constexpr seconds kParentTtl{86'400};

/// The keys of a zone as they go.
class KeyWithdrawalTest : public testing::Test {
 protected:
  KeyWithdrawalTest() { Add(KeyState::kActive); }

  void Add(KeyState state) {
    ZoneKey key = MakeZoneKey(keys_.zone, SigningKey::Generate(SigningAlgorithm::kEd25519));
    key.state = state;
    key.created = key.changed = kWithdrawalStart - seconds(1'000'000);
    keys_.keys.push_back(std::move(key));
  }
  static WithdrawalRequest At(seconds later) {
    return {.now = kWithdrawalStart + later, .ds_ttl = kParentTtl};
  }
  static WithdrawalRequest ParentHasNone(seconds later) {
    WithdrawalRequest request = At(later);
    request.parent_has_none = true;
    return request;
  }
  static WithdrawalRequest Cancel() {
    WithdrawalRequest request = At(seconds(0));
    request.cancel = true;
    return request;
  }
  /// Does a step as the command does, and tells it: "withdraw: withdrawn".
  std::string Do(const WithdrawalRequest& request) {
    auto step = NextWithdrawalStep(keys_, request);
    if (!step) return step.error().reason;
    for (const ZoneKey& changed : step->changed) {
      for (ZoneKey& key : keys_.keys) {
        if (key.tag == changed.tag) key = changed;
      }
    }
    next_ = step->next_not_before;
    std::string text = std::string(WithdrawalStepName(step->what)) + ":";
    for (const ZoneKey& key : keys_.keys) text += " " + std::string(KeyStateName(key.state));
    return text;
  }

  ZoneKeys keys_{.zone = *dns::Name::FromText("demo.test.")};
  WallTime next_;
};

TEST_F(KeyWithdrawalTest, TheDsGoesFirstAndSignaturesStayUntilNobodyHasIt) {
  EXPECT_EQ(Do(ParentHasNone(seconds(0))), "withdraw: withdrawn") << "that it has none now is luck";
  EXPECT_EQ(Do(At(kParentTtl * 100)), "parent_unknown") << "time alone proves nothing";
  EXPECT_EQ(Do(ParentHasNone(seconds(5000))), "note_parent: withdrawn");
  EXPECT_EQ(next_, kWithdrawalStart + seconds(5000) + kParentTtl);
  EXPECT_EQ(Do(ParentHasNone(seconds(5000) + kParentTtl - seconds(1))), "too_early");
  EXPECT_EQ(Do(At(seconds(5000) + kParentTtl)), "finish: withdrawn");
  EXPECT_EQ(Do(At(seconds(5001) + kParentTtl)), "finish: withdrawn") << "as often as it is asked";
}

TEST_F(KeyWithdrawalTest, ForceDoesNotWaitButForTheParent) {
  WithdrawalRequest force = At(seconds(0));
  force.force = true;
  EXPECT_EQ(Do(force), "withdraw: withdrawn");
  EXPECT_EQ(Do(force), "parent_unknown");
  force.parent_has_none = true;
  EXPECT_EQ(Do(force), "note_parent: withdrawn");
  EXPECT_EQ(Do(force), "finish: withdrawn");
}

TEST_F(KeyWithdrawalTest, ItIsTakenBackAtAnyTimeAndBeginsAnew) {
  EXPECT_EQ(Do(Cancel()), "not_withdrawn");
  EXPECT_EQ(Do(At(seconds(0))), "withdraw: withdrawn");
  EXPECT_EQ(Do(Cancel()), "cancel: active");
  EXPECT_EQ(Do(At(seconds(0))), "withdraw: withdrawn");
  EXPECT_EQ(Do(ParentHasNone(seconds(0))), "note_parent: withdrawn");
  EXPECT_EQ(Do(Cancel()), "cancel: active");
  EXPECT_EQ(Do(At(seconds(0))), "withdraw: withdrawn");
  EXPECT_EQ(Do(At(kParentTtl)), "parent_unknown") << "what was said before is of another time";
}

TEST_F(KeyWithdrawalTest, KeysOfARolloverWaitUntilItIsTakenBack) {
  Add(KeyState::kIncoming);
  Add(KeyState::kOutgoing);
  EXPECT_EQ(Do(At(seconds(0))), "withdraw: withdrawn incoming outgoing");
  EXPECT_EQ(NextRollStep(keys_, {.now = kWithdrawalStart}).error().reason, "withdrawn");
  EXPECT_EQ(Do(Cancel()), "cancel: active incoming outgoing");
}

TEST_F(KeyWithdrawalTest, AZoneThatIsNotSignedHasNothingToWithdraw) {
  keys_.keys.clear();
  EXPECT_EQ(Do(At(seconds(0))), "no_key");
}

}  // namespace
}  // namespace nearside::geodns
