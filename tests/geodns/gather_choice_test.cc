#include "geodns/gather_choice.h"

#include <gtest/gtest.h>

#include <functional>

namespace nearside::geodns {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

/// A thread whose windows cost what the tests say.
class GatherChoiceTest : public ::testing::Test {
 protected:
  /// Runs so many windows of 5 ms and returns how many of them were gathering.
  int Run(int windows, uint64_t queries, const std::function<double(bool, int)>& cost) {
    int gathered = 0;
    for (int i = 0; i < windows; ++i) {
      gathered += gathers_ ? 1 : 0;
      const double spent = cost(gathers_, i) * static_cast<double>(queries);
      gathers_ = choice_.Next({.passed = milliseconds(5),
                               .cpu = nanoseconds(static_cast<int64_t>(spent)),
                               .queries = queries});
    }
    return gathered;
  }
  static double Told(bool gathers, int) { return gathers ? 5500 : 5000; }
  static double Gathered(bool gathers, int) { return gathers ? 5000 : 5500; }

  GatherChoice choice_{microseconds(50)};
  bool gathers_ = false;
};

constexpr uint64_t kMany = 500;  // in 5 ms: 100,000 a second

TEST_F(GatherChoiceTest, FewQueriesAreToldOf) {
  EXPECT_EQ(Run(1000, 199, Gathered), 0) << "two for each 50 µs are many";
  EXPECT_EQ(Run(1000, 0, Gathered), 0);
  EXPECT_EQ(choice_.cost(true), 0);
}

TEST_F(GatherChoiceTest, TheCheaperWayIsKeptAndTheOtherTriedNowAndThen) {
  Run(200, kMany, Gathered);
  EXPECT_TRUE(gathers_);
  const int gathered = Run(1000, kMany, Gathered);
  EXPECT_GT(gathered, 930);
  EXPECT_LT(gathered, 1000) << "what the other way costs is found anew";
  EXPECT_NEAR(choice_.cost(true), 5000, 1);
  EXPECT_NEAR(choice_.cost(false), 5500, 1);
}

TEST_F(GatherChoiceTest, WhereItCostsMoreItIsOnlyTried) {
  Run(200, kMany, Told);
  const int gathered = Run(1000, kMany, Told);
  EXPECT_GT(gathered, 0);
  EXPECT_LT(gathered, 70);
}

TEST_F(GatherChoiceTest, FollowsWhatChanges) {
  Run(1000, kMany, Gathered);
  // Others come to the core.
  EXPECT_LT(Run(1000, kMany, [](bool gathers, int) { return gathers ? 6000 : 5600; }), 500);
  EXPECT_LT(Run(1000, kMany, [](bool gathers, int) { return gathers ? 6000 : 5600; }), 70);
  // They go.
  Run(1000, kMany, Gathered);
  EXPECT_GT(Run(1000, kMany, Gathered), 930);
}

TEST_F(GatherChoiceTest, NoiseDecidesNothing) {
  // Windows differ by a tenth up and down, the ways by nothing: it must not go to and fro.
  uint32_t draw = 1;
  const auto noisy = [&draw](bool, int) {
    draw = draw * 1664525 + 1013904223;
    return 4500 + static_cast<double>(draw >> 22);  // 4,500 to 5,523
  };
  Run(500, kMany, noisy);
  int changes = 0;
  bool before = gathers_;
  for (int i = 0; i < 100; ++i) {  // longer than any trial, so that each sees the favoured way
    const bool mostly = Run(100, kMany, noisy) > 50;
    changes += mostly != before ? 1 : 0;
    before = mostly;
  }
  EXPECT_LE(changes, 10);
}

TEST_F(GatherChoiceTest, FewQueriesEndItAtOnceAndWhatWasLearntStays) {
  Run(500, kMany, Gathered);
  EXPECT_LE(Run(10, 99, Gathered), 1) << "one for each 50 µs are few where it gathers";
  Run(10, 150, Gathered);
  EXPECT_FALSE(gathers_) << "between the two it stays as it is";
  Run(200, kMany, Gathered);
  EXPECT_TRUE(gathers_);
}

TEST_F(GatherChoiceTest, TheFirstWindowOfAWayCountsForNothing) {
  bool last = false;
  const auto dear_change = [&last](bool gathers, int) {
    const double cost = gathers != last ? 1e6 : Gathered(gathers, 0);
    last = gathers;
    return cost;
  };
  Run(1000, kMany, dear_change);
  EXPECT_NEAR(choice_.cost(true), 5000, 1);
}

TEST(GatherChoiceOffTest, NoTimeIsNever) {
  GatherChoice choice{nanoseconds(0)};
  for (int i = 0; i < 1000; ++i) {
    EXPECT_FALSE(choice.Next({.passed = milliseconds(5), .cpu = milliseconds(5), .queries = 500}));
  }
}

}  // namespace
}  // namespace nearside::geodns
