// Days of a small world under the real controller and the real division of clients: demand that
// follows the sun, resolvers that keep answers for their TTL, checks that are seconds old, traffic
// that does not follow the number of addresses, and points of presence that die and come back.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numbers>
#include <random>

#include "geodns/capacity.h"
#include "geodns/shedding.h"
#include "geodns/weighted_draw.h"

namespace nearside::geodns {
namespace {

constexpr int kTtl = 30;
constexpr int kCheckInterval = 5;
constexpr int kDay = 24 * 3600;
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint32_t kDays = 1;
#else
constexpr uint32_t kDays = 3;
#endif
constexpr double kMostLoad = 0.8;
constexpr double kTakeBackLoad = 0.64;

/// Resolvers of one crowd that ask together: what they were told they keep for the TTL.
struct SimulatedClients {
  size_t crowd = 0;
  double hash = 0;     ///< as FractionOf their network's
  double traffic = 0;  ///< at the peak of their day
  int asks_at = 0;     ///< modulo the TTL
  size_t told = 0;     ///< index of the point of presence
};

/// Points on a circle of 24 hours.
class SimulatedWorld {
 public:
  SimulatedWorld(std::vector<double> hours, std::vector<double> capacities, uint32_t seed)
      : hours_(std::move(hours)), capacities_(std::move(capacities)), up_(hours_.size(), true) {
    std::mt19937 dice(seed);
    for (int i = 0; i < 96; ++i) {
      double hour = i / 4.0;
      Crowd crowd;
      crowd.weight = 1.0 + dice() % 20;
      MakeWanted(hour, &crowd);
      crowds_.push_back(crowd);
      crowd_hours_.push_back(hour);
      for (int j = 0; j < 8; ++j) {
        SimulatedClients clients;
        clients.crowd = crowds_.size() - 1;
        clients.hash = (dice() % 10'000) / 10'000.0;
        clients.traffic = std::exp(std::normal_distribution<>(0, 1)(dice));  // unlike `weight`
        clients.asks_at = static_cast<int>(dice() % kTtl);
        clients_.push_back(clients);
      }
    }
    std::vector<CapacityLimit> limits(
        hours_.size(), {kMostLoad, kTakeBackLoad, seconds(kTtl + 2 * kCheckInterval)});
    control_.SetLimits(limits, {});
    portions_ = Shed(crowds_, control_.kept());
    kept_before_ = control_.kept();
    last_direction_.assign(hours_.size(), 0);
    turns_.assign(hours_.size(), 0);
  }

  void SetUp(size_t pop, bool up) {
    up_[pop] = up;
    for (size_t i = 0; i < crowds_.size(); ++i) MakeWanted(crowd_hours_[i], &crowds_[i]);
    portions_ = Shed(crowds_, control_.kept());
  }
  /// One second.
  void Tick(double demand) {
    std::vector<double> load(hours_.size());
    std::vector<double> sun(crowds_.size());
    for (size_t i = 0; i < sun.size(); ++i) {
      double phase = crowd_hours_[i] / 24 * 2 * std::numbers::pi;
      sun[i] = demand * (0.6 + 0.4 * std::cos(2 * std::numbers::pi * second_ / kDay - phase));
    }
    for (SimulatedClients& clients : clients_) {
      if (second_ % kTtl == clients.asks_at) clients.told = AnswerTo(clients);
      load[clients.told] += clients.traffic * sun[clients.crowd];
    }
    for (size_t i = 0; i < load.size(); ++i) load[i] /= capacities_[i];
    load_ = load;
    if (second_ % kCheckInterval == 0) checked_ = load;
    ++second_;
    std::vector<PopLoad> told;
    for (size_t i = 0; i < load.size(); ++i) told.push_back({bool(up_[i]), checked_[i]});
    const auto all_others = [&](size_t pop) {
      std::vector<size_t> others;
      for (size_t other = 0; other < hours_.size(); ++other) {
        if (other != pop) others.push_back(other);
      }
      return others;
    };
    if (!control_.Step(MonoTime(seconds(second_)), told, all_others)) return;
    CountTurns();
    portions_ = Shed(crowds_, control_.kept());
  }
  /// Whether everyone whom `pop` keeps is nearer than everyone whom it gives away.
  bool KeepsTheNearest(size_t pop) const {
    float farthest_kept = 2;
    float nearest_gone = -2;
    for (size_t i = 0; i < crowds_.size(); ++i) {
      if (crowds_[i].wanted.front() != pop) continue;
      bool whole = portions_[i].size() == 1;
      if (whole && portions_[i][0].refusals == 0) {
        farthest_kept = std::min(farthest_kept, crowds_[i].nearness[0]);
      } else if (whole) {
        nearest_gone = std::max(nearest_gone, crowds_[i].nearness[0]);
      }
    }
    return farthest_kept >= nearest_gone;
  }
  const std::vector<double>& load() const { return load_; }
  double share(size_t pop) const { return control_.kept()[pop]; }
  /// How often the share went the other way than before.
  int turns(size_t pop) const { return turns_[pop]; }

 private:
  void MakeWanted(double hour, Crowd* crowd) const {
    std::vector<std::pair<double, uint8_t>> by_distance;
    for (uint8_t i = 0; i < hours_.size(); ++i) {
      double distance = std::abs(hours_[i] - hour);
      if (up_[i]) by_distance.emplace_back(std::min(distance, 24 - distance), i);
    }
    std::sort(by_distance.begin(), by_distance.end());
    crowd->wanted.clear();
    crowd->nearness.clear();
    for (auto [distance, pop] : by_distance) {
      crowd->wanted.push_back(pop);
      crowd->nearness.push_back(static_cast<float>(std::cos(distance / 24 * 2 * std::numbers::pi)));
    }
  }
  size_t AnswerTo(const SimulatedClients& clients) const {
    for (const Portion& portion : portions_[clients.crowd]) {
      if (clients.hash < portion.until) return crowds_[clients.crowd].wanted[portion.refusals];
    }
    return crowds_[clients.crowd].wanted.front();
  }
  void CountTurns() {
    for (size_t i = 0; i < hours_.size(); ++i) {
      double step = control_.kept()[i] - kept_before_[i];
      int direction = step > 0 ? 1 : step < 0 ? -1 : 0;
      if (direction != 0 && direction == -last_direction_[i]) ++turns_[i];
      if (direction != 0) last_direction_[i] = direction;
    }
    kept_before_ = control_.kept();
  }

  std::vector<double> hours_;
  std::vector<double> capacities_;
  std::vector<bool> up_;
  std::vector<Crowd> crowds_;
  std::vector<double> crowd_hours_;
  std::vector<SimulatedClients> clients_;
  CapacityControl control_;
  std::vector<std::vector<Portion>> portions_;
  std::vector<double> load_;
  std::vector<double> checked_ = std::vector<double>(hours_.size());
  std::vector<double> kept_before_;
  std::vector<int> last_direction_;
  std::vector<int> turns_;
  int second_ = 0;
};

/// Three points; the first is far too small for what is near it, the others have room.
SimulatedWorld SmallFirst(uint32_t seed) { return {{0, 8, 16}, {220, 830, 830}, seed}; }

TEST(CapacitySimulationTest, AConstantDemandSettlesBelowTheLimitAndStaysThere) {
  for (uint32_t seed = 1; seed <= 5; ++seed) {
    SimulatedWorld world = SmallFirst(seed);
    double least_share = 1;
    for (int second = 0; second < 2 * 3600; ++second) {
      world.Tick(1);
      least_share = std::min(least_share, world.share(0));
    }
    int turns = world.turns(0);
    EXPECT_LE(turns, 2) << "seed " << seed;
    EXPECT_GT(least_share, 0.8 * world.share(0))
        << "no more is given away than must be; seed " << seed;
    for (int second = 0; second < 3600; ++second) {
      world.Tick(1);
      ASSERT_LE(world.load()[0], kMostLoad * 1.05) << "seed " << seed << " second " << second;
    }
    EXPECT_LT(world.share(0), 1);
    EXPECT_GT(world.load()[0], kTakeBackLoad * 0.9) << "nor is it left idle; seed " << seed;
    EXPECT_EQ(world.share(1), 1);
    EXPECT_EQ(world.share(2), 1);
    EXPECT_TRUE(world.KeepsTheNearest(0));
  }
}

TEST(CapacitySimulationTest, ADayIsFollowedWithoutFlapping) {
  for (uint32_t seed = 1; seed <= kDays; ++seed) {
    SimulatedWorld world = SmallFirst(seed);
    int over = 0;
    for (int second = 0; second < 2 * kDay; ++second) {
      world.Tick(1);
      if (second > 3600 && world.load()[0] > kMostLoad * 1.05) ++over;
      if (second % 600 != 0) continue;
      ASSERT_TRUE(world.KeepsTheNearest(0)) << "second " << second;
    }
    EXPECT_LE(world.turns(0), 2 * 2 * 3) << "a day has one way up and one down; seed " << seed;
    EXPECT_LT(over, 2 * kDay / 100) << "seed " << seed;
  }
}

TEST(CapacitySimulationTest, TheLoadOfADeadPointIsSharedOutAndTakenBack) {
  SimulatedWorld world({0, 8, 16}, {610, 610, 1280}, 7);
  for (int second = 0; second < 3600; ++second) world.Tick(1);
  EXPECT_EQ(world.share(0), 1) << "there is room for all";
  world.SetUp(1, false);
  for (int second = 0; second < 2 * 3600; ++second) world.Tick(1);
  EXPECT_LT(world.share(0), 1) << "its neighbour gives the farthest on";
  for (int second = 0; second < 1800; ++second) {
    world.Tick(1);
    EXPECT_LE(world.load()[0], kMostLoad * 1.05) << second;
    EXPECT_LE(world.load()[2], kMostLoad * 1.05) << second;
    EXPECT_EQ(world.load()[1], 0) << second;
  }
  EXPECT_TRUE(world.KeepsTheNearest(0));
  world.SetUp(1, true);
  for (int second = 0; second < 3 * 3600; ++second) world.Tick(1);
  EXPECT_EQ(world.share(0), 1) << "everybody is home";
  EXPECT_LE(world.turns(0), 4);
}

TEST(CapacitySimulationTest, WhenAllAreFullNobodyIsMovedInCircles) {
  SimulatedWorld world({0, 8, 16}, {60, 60, 60}, 9);
  for (int second = 0; second < 2 * 3600; ++second) world.Tick(1);
  for (size_t pop = 0; pop < 3; ++pop) {
    EXPECT_LE(world.turns(pop), 4) << pop;
    EXPECT_GT(world.load()[pop], kMostLoad) << "there is nowhere to go " << pop;
  }
}

}  // namespace
}  // namespace nearside::geodns
