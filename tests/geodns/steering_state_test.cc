#include "geodns/steering_state.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "runtime/file.h"
#include "tests/support/temp_dir.h"

namespace nearside::geodns {
namespace {

using testing::HasSubstr;

std::shared_ptr<const Configuration> PopsNamed(const std::vector<std::string>& names,
                                               double most_load = 0) {
  auto configuration = std::make_shared<Configuration>();
  for (const std::string& name : names) {
    Pop pop;
    pop.name = name;
    pop.check = configuration->pops.size();
    pop.capacity = {most_load, 0.8 * most_load, seconds(10)};
    configuration->pops.push_back(pop);
  }
  // One rule over them all.
  Steering steering;
  for (size_t i = 0; i < names.size(); ++i) steering.rule.pops.push_back(static_cast<uint8_t>(i));
  configuration->zones.emplace_back().steers.push_back(std::move(steering));
  return configuration;
}

class SteeringStateTest : public testing::Test {
 protected:
  SteeringState Started(const std::vector<std::string>& names, double most_load = 0) {
    SteeringState state(dir_.path());
    state.Load();
    state.Use(PopsNamed(names, most_load));
    return state;
  }
  /// "frankfurt since 5": in the order of the settings.
  static std::string Drained(const SteeringState& state, const std::vector<std::string>& names) {
    std::string text;
    const Moment moment = state.MomentOf(std::vector<TargetHealth>(names.size()));
    for (size_t i = 0; i < names.size(); ++i) {
      if (!moment.is_drained(i)) continue;
      text += names[i] + " since " + std::to_string(ToUnixMillis(moment.drained[i])) + " ";
    }
    return text;
  }
  test::TempDir dir_;
  const std::vector<std::string> names_ = {"frankfurt", "virginia", "tokyo"};
};

TEST_F(SteeringStateTest, DrainsOutliveTheProcess) {
  {
    SteeringState state = Started(names_);
    EXPECT_EQ(Drained(state, names_), "");
    EXPECT_TRUE(*state.SetDrained("tokyo", true, FromUnixMillis(5)));
    EXPECT_TRUE(*state.SetDrained("virginia", true, FromUnixMillis(6)));
    EXPECT_FALSE(*state.SetDrained("tokyo", true, FromUnixMillis(7))) << "it is already";
    EXPECT_FALSE(*state.SetDrained("frankfurt", false, FromUnixMillis(7)));
  }
  SteeringState state = Started(names_);
  EXPECT_EQ(Drained(state, names_), "virginia since 6 tokyo since 5 ");
  EXPECT_TRUE(*state.SetDrained("tokyo", false, FromUnixMillis(8)));
  EXPECT_EQ(Drained(Started(names_), names_), "virginia since 6 ");
}

TEST_F(SteeringStateTest, DrainsOutliveAReloadThatDoesNotNameThePoint) {
  SteeringState state = Started(names_);
  ASSERT_TRUE(*state.SetDrained("tokyo", true, FromUnixMillis(5)));
  state.Use(PopsNamed({"frankfurt"}));
  EXPECT_EQ(Drained(state, {"frankfurt"}), "");
  state.Use(PopsNamed({"tokyo", "frankfurt"}));
  EXPECT_EQ(Drained(state, {"tokyo", "frankfurt"}), "tokyo since 5 ");
  state.Use(PopsNamed({"frankfurt"}));
  EXPECT_TRUE(*state.SetDrained("tokyo", false, FromUnixMillis(6))) << "it can still be let go";
  EXPECT_EQ(state.SetDrained("tokyo", false, FromUnixMillis(6)).error().reason, "no_such_pop");
}

TEST_F(SteeringStateTest, AnUnknownPointIsRefusedWithThoseThatExist) {
  SteeringState state = Started(names_);
  auto drained = state.SetDrained("tokio", true, FromUnixMillis(5));
  ASSERT_FALSE(drained);
  EXPECT_EQ(drained.error().fault, Fault::kClient);
  EXPECT_EQ(drained.error().message,
            "there is no [[pop]] called \"tokio\"; there are frankfurt, virginia, tokyo");
}

TEST_F(SteeringStateTest, ADamagedFileIsSetAside) {
  for (std::string_view file : {"drains.json", "shares.json"}) {
    for (std::string_view text :
         {"", "{", "[]", "{\"tokyo\": 1}", "{\"tokyo\": {}}", "{\"tokyo\": {\"since_ms\": \"x\"}}",
          "{\"tokyo\": {\"share\": 0}}", "{\"tokyo\": {\"share\": 1.5}}", "\xff"}) {
      const std::string name(file);
      dir_.Write(name, text);
      SteeringState state = Started(names_, 1);
      EXPECT_EQ(Drained(state, names_), "") << text;
      EXPECT_EQ(state.MomentOf({}).kept, (std::vector<double>{1, 1, 1})) << text;
      EXPECT_FALSE(std::filesystem::exists(dir_.In(name))) << text;
      EXPECT_EQ(*ReadFile(dir_.In(name + ".damaged"), 1_KiB), text);
      EXPECT_TRUE(*state.SetDrained("tokyo", true, FromUnixMillis(5)));
      EXPECT_EQ(Drained(Started(names_), names_), "tokyo since 5 ");
      std::filesystem::remove(dir_.In("drains.json"));
    }
  }
}

TEST_F(SteeringStateTest, WhatCannotBeKeptIsNotDone) {
  SteeringState state = Started(names_);
  std::filesystem::remove_all(dir_.path());
  auto drained = state.SetDrained("tokyo", true, FromUnixMillis(5));
  ASSERT_FALSE(drained);
  EXPECT_EQ(drained.error().reason, "state_not_saved");
  EXPECT_THAT(drained.error().message, HasSubstr("nothing was changed"));
  EXPECT_EQ(Drained(state, names_), "");
  std::filesystem::create_directories(dir_.path());
}

TEST_F(SteeringStateTest, WithoutAFolderDrainsLastAsLongAsTheProcess) {
  SteeringState state("");
  state.Load();
  state.Use(PopsNamed(names_));
  EXPECT_TRUE(*state.SetDrained("tokyo", true, FromUnixMillis(5)));
  EXPECT_EQ(Drained(state, names_), "tokyo since 5 ");
  EXPECT_FALSE(state.outlives_process());
}

TEST_F(SteeringStateTest, SharesFollowTheLoadAndOutliveTheProcess) {
  std::vector<TargetHealth> targets(3, TargetHealth{.known = true});
  for (TargetHealth& target : targets) target.load = 0.1;
  targets[0].load = 5;
  double share = 1;
  {
    SteeringState state = Started(names_, 1);
    MonoTime now{};
    int changes = 0;
    for (int i = 0; i < 15; ++i) {
      now += seconds(1);
      changes += state.StepShares(now, targets) ? 1 : 0;
      // Reloads that change nothing do not put it off.
      state.Use(PopsNamed(names_, 1));
    }
    EXPECT_EQ(changes, 1);
    share = state.MomentOf(targets).share(0);
    EXPECT_EQ(share, CapacityControl::kLargestStepDown);
    EXPECT_EQ(state.MomentOf(targets).share(1), 1);
  }
  EXPECT_EQ(Started(names_, 1).MomentOf(targets).share(0), share)
      << "a start does not flood whom the last process saved";
  EXPECT_EQ(Started(names_, 0).MomentOf(targets).share(0), 1) << "without a limit any more";
  EXPECT_EQ(Started(names_, 1).MomentOf(targets).share(0), 1)
      << "nor does a new limit begin with a share of long ago";
}

TEST_F(SteeringStateTest, APointOfAnotherRuleHasNoRoom) {
  std::vector<TargetHealth> targets(3, TargetHealth{.known = true});
  for (TargetHealth& target : targets) target.load = 0.1;
  targets[0].load = 5;
  auto apart = std::make_shared<Configuration>(*PopsNamed(names_, 1));
  apart->zones[0].steers[0].rule.pops = {0};
  Steering other;
  other.rule.pops = {1, 2};
  apart->zones[0].steers.push_back(other);
  SteeringState state(dir_.path());
  state.Use(apart);
  MonoTime now{};
  for (int i = 0; i < 60; ++i) EXPECT_FALSE(state.StepShares(now += seconds(1), targets));
  const auto changes_with_override = [&](size_t rule, uint8_t pop) {
    apart = std::make_shared<Configuration>(*apart);
    apart->zones[0].steers[rule].rule.overrides.push_back({.pops = {pop}});
    state.Use(apart);
    bool changed = false;
    for (int i = 0; i < 60; ++i) changed |= state.StepShares(now += seconds(1), targets);
    return changed;
  };
  EXPECT_FALSE(changes_with_override(0, 2)) << "whom it leads to 2 is not at 0 to be given away";
  EXPECT_TRUE(changes_with_override(1, 0)) << "whom it leads to 0 has the rule's others to go to";
}

TEST_F(SteeringStateTest, ASecondChoiceThatNobodyComesToGivesNobodyAway) {
  std::vector<TargetHealth> targets(3, TargetHealth{.known = true});
  for (TargetHealth& target : targets) target.load = 0.1;
  targets[1].load = 5;
  // 1 has all its load from a rule of its own.
  auto configuration = std::make_shared<Configuration>(*PopsNamed(names_, 1));
  configuration->zones[0].steers[0].rule.policy = Policy::kFailover;
  configuration->zones[0].steers.emplace_back().rule.pops = {1};
  SteeringState state(dir_.path());
  state.Use(configuration);
  MonoTime now{};
  for (int i = 0; i < 60; ++i) EXPECT_FALSE(state.StepShares(now += seconds(1), targets));
  ASSERT_TRUE(*state.SetDrained("frankfurt", true, FromUnixMillis(5)));
  bool changed = false;
  for (int i = 0; i < 60; ++i) changed |= state.StepShares(now += seconds(1), targets);
  EXPECT_TRUE(changed) << "now the first has failed over to it, and the third has room";
}

TEST_F(SteeringStateTest, ADrainedPointHasNoRoom) {
  std::vector<TargetHealth> targets(3, TargetHealth{.known = true});
  targets[0].load = 5;
  targets[1].load = 0.1;
  SteeringState state = Started(names_, 1);
  ASSERT_TRUE(*state.SetDrained("virginia", true, FromUnixMillis(5)));
  MonoTime now{};
  for (int i = 0; i < 60; ++i) EXPECT_FALSE(state.StepShares(now += seconds(1), targets));
  ASSERT_TRUE(*state.SetDrained("virginia", false, FromUnixMillis(5)));
  bool changed = false;
  for (int i = 0; i < 60; ++i) changed |= state.StepShares(now += seconds(1), targets);
  EXPECT_TRUE(changed);
}

}  // namespace
}  // namespace nearside::geodns
