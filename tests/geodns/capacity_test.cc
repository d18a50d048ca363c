#include "geodns/capacity.h"

#include <gtest/gtest.h>

namespace nearside::geodns {
namespace {

constexpr milliseconds kSettle = seconds(40);

/// Two points: 0 with limits 1 and 0.8, 1 with others or none.
class CapacityTest : public testing::Test {
 protected:
  explicit CapacityTest() { Limit(1); }
  void Limit(double most_of_second, std::vector<double> kept = {}) {
    control_.SetLimits({{1, 0.8, kSettle}, {most_of_second, 0.8 * most_of_second, kSettle}}, kept);
  }
  /// Steps each second for so long; returns how many changed something.
  int Run(seconds time, std::optional<double> load, std::optional<double> other, bool up = true) {
    int changes = 0;
    for (seconds passed(0); passed < time; ++passed) {
      now_ += seconds(1);
      const PopLoad pops[] = {{up, load}, {true, other}};
      changes += control_.Step(now_, pops, TheOther) ? 1 : 0;
    }
    return changes;
  }
  /// Of two.
  static std::vector<size_t> TheOther(size_t pop) { return {1 - pop}; }
  double Share(size_t pop = 0) const { return control_.kept()[pop]; }

  CapacityControl control_;
  MonoTime now_{};
};

TEST_F(CapacityTest, NothingMovesInsideTheBand) {
  EXPECT_EQ(Run(seconds(1000), 0.99, 0.1), 0);
  Limit(1, {0.5, 1});
  EXPECT_EQ(Run(seconds(1000), 0.81, 0.1), 0);
  EXPECT_EQ(Share(), 0.5);
}

TEST_F(CapacityTest, AnOverloadMovesOneBoundedStepInASettlingTime) {
  EXPECT_EQ(Run(seconds(40), 3, 0.1), 0) << "one glance is not to move anybody";
  EXPECT_EQ(Run(seconds(40), 3, 0.1), 1);
  EXPECT_DOUBLE_EQ(Share(), CapacityControl::kLargestStepDown);
  EXPECT_EQ(Run(seconds(400), 3, 0.1), 10);
  Run(seconds(4000), 3, 0.1);
  EXPECT_EQ(Share(), CapacityControl::kLeastShare) << "never nobody";
}

TEST_F(CapacityTest, TwiceTheLimitIsGoneAfterFiveSettlingTimes) {
  for (int second = 0; second < 5 * 40; ++second) {
    now_ += seconds(1);
    const PopLoad pops[] = {{true, 2 * Share()}, {true, 0.1}};
    control_.Step(now_, pops, TheOther);
  }
  EXPECT_LT(2 * Share(), 1);
  EXPECT_GT(2 * Share(), 0.8) << "and no more than needed";
}

TEST_F(CapacityTest, ASmallOverloadMovesAFewOnly) {
  Run(seconds(80), 1.1, 0.1);
  EXPECT_NEAR(Share(), 1 + 0.5 * (0.9 / 1.1 - 1), 1e-6) << "half of the way to the middle";
}

TEST_F(CapacityTest, ClientsAreTakenBackInSmallStepsUntilAllAreBack) {
  Limit(1, {0.5, 1});
  Run(seconds(80), 0.1, 0.1);
  EXPECT_DOUBLE_EQ(Share(), 0.5 * CapacityControl::kLargestStepUp);
  Run(seconds(40 * 10), 0, 0.1);
  EXPECT_EQ(Share(), 1);
  EXPECT_EQ(Run(seconds(400), 0, 0.1), 0);
}

TEST_F(CapacityTest, AnUnknownLoadKeepsTheShare) {
  Limit(1, {0.5, 1});
  EXPECT_EQ(Run(seconds(400), {}, 0.1), 0);
  EXPECT_EQ(Run(seconds(400), 5, 0.1, false), 0) << "nor does one who is not up";
  EXPECT_EQ(Share(), 0.5);
}

TEST_F(CapacityTest, NobodyGivesAwayWhatNobodyCanTake) {
  EXPECT_EQ(Run(seconds(400), 3, 3), 0) << "both are full";
  EXPECT_EQ(Run(seconds(400), 3, {}), 0) << "whose load is not told may be full";
  Limit(0);
  EXPECT_GT(Run(seconds(400), 3, {}), 0) << "one without a limit takes all";
  Limit(1, {1, 0.7});
  EXPECT_EQ(Run(seconds(400), 3, 0.9), 0) << "one who gives away itself has no room";
}

TEST_F(CapacityTest, RoomCountsWhereClientsCanBeGivenTo) {
  // A rule with 0 and 1, and another with 2 alone.
  const std::vector<size_t> takers[] = {{1}, {0}, {}};
  control_.SetLimits({{1, 0.8, kSettle}, {1, 0.8, kSettle}, {1, 0.8, kSettle}}, {});
  const auto step = [&](bool second_is_up, double third) {
    int changes = 0;
    for (int i = 0; i < 400; ++i) {
      const PopLoad pops[] = {{true, 3}, {second_is_up, 0.1}, {true, third}};
      const auto takers_of = [&](size_t pop) { return takers[pop]; };
      changes += control_.Step(now_ += seconds(1), pops, takers_of) ? 1 : 0;
    }
    return changes;
  };
  EXPECT_EQ(step(false, 0.1), 0) << "2 has room, but not for clients of 0";
  EXPECT_EQ(step(false, 3), 0) << "nor has a point alone anybody to give its clients to";
  EXPECT_GT(step(true, 3), 0);
  EXPECT_LT(Share(0), 1);
  EXPECT_EQ(Share(2), 1);
}

TEST_F(CapacityTest, AShortSpikeMovesNobody) {
  int changes = 0;
  for (int minute = 0; minute < 60; ++minute) {
    changes += Run(seconds(57), 0.5, 0.1);
    changes += Run(seconds(3), 1.5, 0.1);
  }
  EXPECT_EQ(changes, 0);
}

TEST_F(CapacityTest, SharesOfAStartAreTakenWhereThereIsALimit) {
  control_.SetLimits({{1, 0.8, kSettle}, {0, 0, kSettle}, {1, 0.8, kSettle}},
                     std::vector<double>{0.25, 0.25});
  EXPECT_EQ(control_.kept(), (std::vector<double>{0.25, 1, 1}));
}

}  // namespace
}  // namespace nearside::geodns
