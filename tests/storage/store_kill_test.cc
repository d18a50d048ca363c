// SIGKILL at random instants: what was flushed is there, and so is what was put a second before
// without a flush; nothing wrong is ever served.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <random>
#include <thread>

#include "tests/storage/cache_fixture.h"
#include "tests/storage/child_process.h"
#include "tests/storage/expected_states.h"
#include "tests/storage/kill_progress.h"
#include "tests/storage/kill_script.h"
#include "tests/storage/slab_check.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage {
namespace {

/// What is older than this is on disk, flushed or not, if the writer had its turns.
constexpr std::chrono::nanoseconds kDurableAge = seconds(1);
/// Those turns, in the child's pulses. A batch is four syncs and waits for 20 ms: eight pulses,
/// with each sync as slow as a pulse. A head is durable with the batch after its own, so at worst
/// the third that ends, if nothing was queued before it; a few pulses more for good measure.
/// Commonly a second has a hundred.
constexpr uint64_t kPulsesPerBatch = 8;
constexpr uint64_t kDurablePulses = 3 * kPulsesPerBatch + 6;
constexpr uint64_t kLeastBatch = 128 << 10;  // bytes, in the smallest store
constexpr uint64_t kLeastOperations = 20;
constexpr seconds kChildPatience{120};

bool Long() {
  const char* wanted = std::getenv("NEARSIDE_LONG");
  return wanted != nullptr && std::string_view(wanted) == "1";
}

/// What is killed. Ends with this.
class Child : public ChildProcess {
 public:
  explicit Child(std::vector<std::string> arguments)
      : ChildProcess(WithProgram(std::move(arguments))) {}
  /// False when the child has ended, or takes minutes.
  bool WaitUntil(const std::function<bool()>& done) {
    const MonoTime deadline = MonoNow() + kChildPatience;
    while (!done()) {
      if (!runs() || MonoNow() > deadline) return false;
      std::this_thread::sleep_for(milliseconds(1));
    }
    return true;
  }

 private:
  static std::vector<std::string> WithProgram(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), NEARSIDE_KILL_CHILD);
    return arguments;
  }
};

struct Rounds {
  uint64_t count = 0;
  uint64_t disk_mib = 0;
  uint64_t first_seed = 0;
  bool flush = false;
  unsigned disk_min_uses = 1;
};

class StoreKillTest : public testing::Test {
 protected:
  StoreKillTest() {
    for (uint64_t lane = 0; lane < kKillLanes; ++lane) states_.merge(NothingStored(lane));
    std::cout << "seed of the instants: " << instants_ << "\n";
  }
  void RunRounds(const Rounds& rounds);

  // The child runs on the folder and is killed at a random instant: how far each lane had come.
  std::vector<Stop> KillBetweenFlushes(const Rounds& rounds, uint64_t seed);
  std::vector<Stop> KillWithoutFlush(const Rounds& rounds, uint64_t seed);
  std::vector<std::string> Arguments(const Rounds& rounds, uint64_t seed, std::string mode);
  void ExpectSound(const Rounds& rounds, uint64_t seed, const std::vector<Stop>& stops);
  void NoteReads(const KillProgress& progress);
  static uint64_t DurableByAge(const KillProgress& progress, uint64_t lane, int64_t now);

  const unsigned instants_ = std::random_device()();
  std::mt19937 random_{instants_};
  test::TempDir folder_;
  States states_;
  uint64_t durable_ = 0, reads_ = 0, evicted_ = 0, orphans_ = 0;
};

std::vector<std::string> StoreKillTest::Arguments(const Rounds& rounds, uint64_t seed,
                                                  std::string mode) {
  const std::string progress = folder_.In("progress" + std::to_string(seed));
  return {folder_.In("cache"),  progress,        std::to_string(rounds.disk_mib),
          std::to_string(seed), std::move(mode), std::to_string(rounds.disk_min_uses)};
}

std::vector<Stop> StoreKillTest::KillBetweenFlushes(const Rounds& rounds, uint64_t seed) {
  const std::vector<std::string> arguments = Arguments(rounds, seed, "flush");
  const SharedKillProgress progress(arguments[1]);
  Child child(arguments);
  // A small store has to be full first.
  const uint64_t least = seed >= kLargeBodies ? 4 : 0;
  const uint64_t wanted = (least + random_() % 10) * kOperationsPerFlush;
  EXPECT_TRUE(child.WaitUntil([&] {
    uint64_t flushed = 0;
    for (const KillProgress::Lane& lane : progress->lanes) flushed += lane.flushed;
    return progress->opened > 0 && flushed >= wanted;
  })) << "seed "
      << seed;
  // The instant is the point here: nothing is waited for.
  std::this_thread::sleep_for(milliseconds(random_() % 100));
  child.Kill();
  NoteReads(*progress);
  std::vector<Stop> stops;
  for (const KillProgress::Lane& lane : progress->lanes) {
    stops.push_back({.durable = lane.flushed, .begun = lane.begun});
  }
  return stops;
}

/// The last operation of the lane that had a second, and the writer its turns, before `now`.
uint64_t StoreKillTest::DurableByAge(const KillProgress& progress, uint64_t lane, int64_t now) {
  const KillProgress::Lane& done = progress.lanes[lane];
  const uint64_t pulses = progress.pulses;
  for (uint64_t number = done.done; number > 0; --number) {
    const KillProgress::Done& operation = done.operations[number];
    const uint64_t turns = operation.queued_bytes / kLeastBatch;
    if (now - operation.at >= kDurableAge.count() &&
        pulses - operation.pulse > kDurablePulses + turns * kPulsesPerBatch) {
      return number;
    }
  }
  return 0;
}

std::vector<Stop> StoreKillTest::KillWithoutFlush(const Rounds& rounds, uint64_t seed) {
  // In every other round the lanes come to an end, and the writer has nothing to do for the last
  // second.
  const bool ends = seed % 2 != 0;
  const uint64_t operations = ends ? 2 * kLeastOperations : kMostKillOperations;
  const std::vector<std::string> arguments = Arguments(rounds, seed, std::to_string(operations));
  const SharedKillProgress progress(arguments[1]);
  Child child(arguments);
  const bool large = seed >= kLargeBodies;
  const uint64_t wanted = kLeastOperations + (large ? 20 + random_() % 20 : random_() % 200);
  const auto had_its_turns = [&](uint64_t lane) {
    const uint64_t durable = DurableByAge(*progress, lane, KillClock());
    const KillProgress::Lane& done = progress->lanes[lane];
    return ends ? done.ended > 0 && durable == done.done : durable >= wanted;
  };
  EXPECT_TRUE(child.WaitUntil([&] { return had_its_turns(0) && had_its_turns(1); }))
      << "seed " << seed;
  const int64_t now = KillClock();
  // As they are before the kill: what is noted after `now` was not a second old then.
  std::vector<Stop> stops;
  for (uint64_t lane = 0; lane < kKillLanes; ++lane) {
    stops.push_back({.durable = DurableByAge(*progress, lane, now)});
  }
  child.Kill();
  NoteReads(*progress);
  for (uint64_t lane = 0; lane < kKillLanes; ++lane) {
    stops[lane].begun = progress->lanes[lane].begun;
  }
  return stops;
}

void StoreKillTest::NoteReads(const KillProgress& progress) {
  reads_ += progress.reads;
  evicted_ += progress.evicted;
  EXPECT_EQ(progress.wrong, 0u) << progress.first_wrong.data();
}

void StoreKillTest::ExpectSound(const Rounds& rounds, uint64_t seed,
                                const std::vector<Stop>& stops) {
  CacheOptions options;
  options.path = folder_.In("cache");
  options.disk = ByteSize{rounds.disk_mib << 20};
  options.read_timeout = seconds(20);
  ASSERT_EQ(SlabTroubleIn(options), "") << "seed " << seed;
  auto store = OpenStore(options);
  ASSERT_NE(store, nullptr);
  AllowedStates allowed;
  for (uint64_t lane = 0; lane < kKillLanes; ++lane) {
    allowed.merge(StatesAfter(states_, {.seed = seed, .lane = lane}, stops[lane]));
    durable_ += stops[lane].durable;
  }
  const bool may_miss = rounds.first_seed >= kLargeBodies || rounds.disk_min_uses > 1;
  ASSERT_EQ(TroubleWith(*store, allowed, may_miss, states_), "")
      << "seed " << seed << ", durable " << stops[0].durable << " and " << stops[1].durable;
  orphans_ += store->Stats().orphans_swept;
  ASSERT_NE(Put(*store, "afterwards", "it serves"), nullptr);
  ASSERT_EQ(Ask(*store, "afterwards", "it serves"), "body");
}

void StoreKillTest::RunRounds(const Rounds& rounds) {
  const uint64_t count = Long() ? 10 * rounds.count : rounds.count;
  for (uint64_t seed = rounds.first_seed; seed < rounds.first_seed + count; ++seed) {
    const std::vector<Stop> stops =
        rounds.flush ? KillBetweenFlushes(rounds, seed) : KillWithoutFlush(rounds, seed);
    ASSERT_NO_FATAL_FAILURE(ExpectSound(rounds, seed, stops));
    if (HasFailure()) return;
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder_.In("cache"))) {
    EXPECT_THAT(entry.path().string(), testing::Not(testing::HasSubstr("broken")));
  }
  EXPECT_GT(durable_, 100u) << "the child did something";
  EXPECT_GT(reads_, 0u);
  EXPECT_EQ(evicted_ > 0, rounds.first_seed >= kLargeBodies);
  std::cout << count << " kills: " << durable_ << " operations had to be there, " << reads_
            << " objects were read meanwhile, " << evicted_ << " evicted, " << orphans_
            << " orphans were swept\n";
}

TEST_F(StoreKillTest, WhatWasFlushedIsThereAndNothingWrongIsServed) {
  RunRounds({.count = 8, .disk_mib = 64, .first_seed = 0, .flush = true});
}

/// The same with a store that is too small for what is put: eviction is under way when it is
/// killed.
TEST_F(StoreKillTest, EvictionUnderWayLeavesNothingWrongEither) {
  RunRounds({.count = 4, .disk_mib = 16, .first_seed = kLargeBodies, .flush = true});
}

/// What was asked for once may be missing, an older version may not be back.
TEST_F(StoreKillTest, WritingAtTheSecondUseLeavesNothingOlder) {
  RunRounds({.count = 6, .disk_mib = 64, .first_seed = 0, .flush = true, .disk_min_uses = 2});
}

TEST_F(StoreKillTest, WhatIsASecondOldIsThereThoughNobodyFlushed) {
  RunRounds({.count = 6, .disk_mib = 64, .first_seed = 0, .flush = false});
}

TEST_F(StoreKillTest, EvictionWithoutFlushesLeavesNothingWrong) {
  RunRounds({.count = 2, .disk_mib = 16, .first_seed = kLargeBodies, .flush = false});
}

}  // namespace
}  // namespace nearside::storage
