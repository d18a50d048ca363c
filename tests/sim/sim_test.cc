// The protocol between origins, event log and edges under faults, one seed a run:
// NEARSIDE_SIM_SEEDS of them (or --seeds=N), from --first=N on. `sim_test --seed=N --trace` runs
// one alone and tells what happens; with --bug=NAME a fault is put in.

#include <gtest/gtest.h>

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "runtime/log.h"
#include "tests/sim/world.h"

namespace nearside::sim {
namespace {

#ifdef NDEBUG
constexpr bool kOptimised = true;
#else
constexpr bool kOptimised = false;
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr uint64_t kSeeds = 200;
#else
constexpr uint64_t kSeeds = kOptimised ? 2000 : 500;
#endif
/// A planted bug has to be found within so many.
constexpr uint64_t kSeedsToFindBug = 400;

uint64_t first_seed = 1;
uint64_t seeds = 0;  // 0: kSeeds

TEST(SimTest, EveryInvariantHoldsWhateverTheSeed) {
  const uint64_t count = seeds != 0 ? seeds : kSeeds;
  Outcome sum;
  for (uint64_t seed = first_seed; seed < first_seed + count; ++seed) {
    const Outcome outcome = RunWorld({.seed = seed});
    ASSERT_EQ(outcome.failure, "")
        << "seed " << seed << "; alone: sim_test --seed=" << seed << " --trace";
    sum += outcome;
  }
  std::printf("%llu seeds: %s\n", static_cast<unsigned long long>(count), sum.ToText().c_str());
  // What is not reached is not tested.
  EXPECT_GT(sum.hits, count * 10);
  EXPECT_GT(sum.hits_of_variants, count * 2);
  EXPECT_GT(sum.confirmations, count * 5);
  EXPECT_GT(sum.receipts, count);
  EXPECT_GT(sum.proofs, count);
  EXPECT_GT(sum.stale_on_error, count / 10);
  EXPECT_GT(sum.edge_crashes, count / 2);
  EXPECT_GT(sum.origin_crashes, count / 2);
  EXPECT_GT(sum.log_cuts, count / 10);
  EXPECT_GT(sum.restores, count / 20);
  EXPECT_GT(sum.clock_jumps, count / 2);
}

TEST(SimTest, OneSeedIsOneRun) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    EXPECT_EQ(RunWorld({.seed = seed}), RunWorld({.seed = seed})) << "seed " << seed;
  }
}

class PlantedBugTest : public testing::TestWithParam<Bug> {};

TEST_P(PlantedBugTest, IsFound) {
  for (uint64_t seed = 1; seed <= kSeedsToFindBug; ++seed) {
    const Outcome outcome = RunWorld({.seed = seed, .bug = GetParam()});
    if (outcome.failure.empty()) continue;
    std::printf("found by seed %llu: %s\n", static_cast<unsigned long long>(seed),
                outcome.failure.c_str());
    return;
  }
  FAIL() << "no seed up to " << kSeedsToFindBug << " finds it";
}

std::vector<Bug> Planted() {
  std::vector<Bug> bugs;
  for (int i = 1; i < kBugs; ++i) bugs.push_back(static_cast<Bug>(i));
  return bugs;
}

INSTANTIATE_TEST_SUITE_P(All, PlantedBugTest, testing::ValuesIn(Planted()),
                         [](const auto& row) { return std::string(NameOf(row.param)); });

std::optional<uint64_t> NumberAfter(std::string_view name, std::string_view argument) {
  if (!argument.starts_with(name)) return std::nullopt;
  argument.remove_prefix(name.size());
  uint64_t number = 0;
  std::from_chars(argument.data(), argument.data() + argument.size(), number);
  return number;
}

int RunAlone(const WorldOptions& options) {
  const Outcome outcome = RunWorld(options);
  std::printf("%s\n%s\n", outcome.ToText().c_str(),
              outcome.failure.empty() ? "every invariant held" : outcome.failure.c_str());
  return outcome.failure.empty() ? 0 : 1;
}

int Main(int count, char** arguments) {
  testing::InitGoogleTest(&count, arguments);
  StartLog("sim", Level::kError);
  if (const char* wanted = std::getenv("NEARSIDE_SIM_SEEDS"))
    seeds = std::strtoull(wanted, nullptr, 10);
  std::optional<WorldOptions> alone;
  WorldOptions options;
  for (int i = 1; i < count; ++i) {
    const std::string_view argument = arguments[i];
    if (const auto seed = NumberAfter("--seed=", argument)) {
      options.seed = *seed;
      alone = options;
    }
    if (const auto number = NumberAfter("--seeds=", argument)) seeds = *number;
    if (const auto number = NumberAfter("--first=", argument)) first_seed = *number;
    if (argument == "--trace") options.trace = true;
    for (int bug = 1; bug < kBugs; ++bug) {
      const bool named = argument == std::string("--bug=") + NameOf(static_cast<Bug>(bug));
      if (named) options.bug = static_cast<Bug>(bug);
    }
  }
  if (!alone) return RUN_ALL_TESTS();
  return RunAlone(options);
}

}  // namespace
}  // namespace nearside::sim

int main(int count, char** arguments) { return nearside::sim::Main(count, arguments); }
