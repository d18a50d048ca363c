// A power cut at random instants of a recorded run: unsynced pages are dropped, reordered and torn.
// What was durable is there, nothing wrong is ever served, and the files are sound.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <random>
#include <sstream>

#include "tests/storage/cache_fixture.h"
#include "tests/storage/disk_model.h"
#include "tests/storage/disk_recorder.h"
#include "tests/storage/expected_states.h"
#include "tests/storage/kill_script.h"
#include "tests/storage/slab_check.h"
#include "tests/support/temp_dir.h"

namespace nearside::storage {
namespace {

constexpr uint64_t kOperations = 500;
constexpr uint64_t kEpoch = 1;
constexpr unsigned kImageSeconds = 120;  ///< one that takes longer hangs
constexpr unsigned kDamagedSeconds = 3;  ///< the same, where that is no surprise
constexpr size_t kImagesAtATime = 2;
constexpr std::string_view kMovedAside = "it was moved aside";
constexpr std::string_view kHangs = "it hangs";

bool Long() {
  const char* wanted = std::getenv("NEARSIDE_LONG");
  return wanted != nullptr && std::string_view(wanted) == "1";
}

/// A store and what it wrote.
struct Recording {
  KillScript script;
  CacheOptions options;
  std::vector<DiskEvent> events;
  size_t made = 0;  ///< events before the new store was open
  /// An event's number, and the operation up to which all was durable before it.
  std::vector<std::pair<size_t, uint64_t>> flushes;
};

/// Where the power goes, and what is left then.
struct Cut {
  size_t event = 0;
  Survivors survivors = Survivors::kNone;
  uint64_t seed = 0;
};

struct Verdict {
  ImageFacts facts;
  std::string trouble;
};

std::vector<std::string> FilesIn(const std::string& folder) {
  return {folder + "/heads.mdb", folder + "/chunks.mdb"};
}

/// The position of the fleet's log that goes with an operation, should it be a purge.
std::optional<LogPosition> PositionOf(uint64_t number) {
  if (number % 2 != 0) return std::nullopt;
  return LogPosition{.epoch = kEpoch, .sequence = number};
}

/// The last of the positions up to operation `number`.
uint64_t LastPosition(const KillScript& script, uint64_t number) {
  for (; number > 0; --number) {
    const KillOperation::Kind kind = KillOperationAt(script, number).kind;
    const bool purge =
        kind == KillOperation::Kind::kHardPurge || kind == KillOperation::Kind::kSoftPurge;
    if (purge && PositionOf(number)) return number;
  }
  return 0;
}

class PowerCutTest : public testing::Test {
 protected:
  PowerCutTest() : random_(seed_) { std::cout << "seed of the cuts: " << seed_ << "\n"; }

  /// Runs the script on a new store, which is opened anew in its middle.
  Recording Record(const KillScript& script, bool reserve);
  uint64_t DurableAt(const Recording& recording, size_t event) const;
  std::vector<Cut> RandomCuts(const Recording& recording, size_t count);
  /// Builds and opens an image for each cut, each in a process of its own: LMDB may crash on what
  /// is damaged.
  std::vector<Verdict> Try(const Recording& recording, const std::vector<Cut>& cuts);
  Verdict TryLying(const Recording& recording, const Cut& cut, std::set<size_t> ignored);
  void ExpectSound(const Recording& recording, size_t images);

  struct Trial {
    pid_t pid = 0;
    int verdict = -1;
    std::string folder;
  };
  Trial Begin(const Recording& recording, const DiskModel& model, const Cut& cut, bool quiet);
  Verdict End(const Trial& trial);

  const unsigned seed_ = std::random_device()();
  std::mt19937_64 random_;
  test::TempDir folder_;
  uint64_t trials_ = 0;
};

Recording PowerCutTest::Record(const KillScript& script, bool reserve) {
  Recording recording{.script = script};
  recording.options.path = folder_.In("cache" + std::to_string(trials_++));
  recording.options.disk = 16_MiB;
  recording.options.memory = 2_MiB;
  recording.options.read_timeout = seconds(20);
  recording.options.reserve_disk = reserve;
  DiskRecorder recorder(FilesIn(recording.options.path));
  auto store = OpenStore(recording.options);
  recording.made = recorder.size();
  for (uint64_t number = 1; store != nullptr && number <= kOperations; ++number) {
    DoKillOperation(*store, script, number, PositionOf(number));
    if (number == kOperations / 2) {
      store.reset();
      recording.flushes.emplace_back(recorder.size(), number);
      store = OpenStore(recording.options);
    }
    if (number % kOperationsPerFlush != 0) continue;
    store->Flush();
    recording.flushes.emplace_back(recorder.size(), number);
  }
  const CacheStats stats = store->Stats();
  store.reset();
  recorder.Stop();
  EXPECT_EQ(recorder.trouble(), "");
  EXPECT_EQ(stats.evicted_disk > 0, script.seed >= kLargeBodies);
  recording.events = recorder.TakeEvents();
  return recording;
}

uint64_t PowerCutTest::DurableAt(const Recording& recording, size_t event) const {
  uint64_t durable = 0;
  for (const auto& [flushed_at, number] : recording.flushes) {
    if (flushed_at <= event) durable = number;
  }
  return durable;
}

/// What is wrong with the store in `options.path`, cut off at `cut`.
std::string TroubleAfter(const Recording& recording, const CacheOptions& options,
                         uint64_t durable) {
  if (std::string trouble = SlabTroubleIn(options); !trouble.empty()) return trouble;
  Result<std::unique_ptr<CacheStore>> opened = CacheStore::Open(options, DecodeTestPayload);
  if (!opened) return "it does not open: " + opened.error().ToString();
  CacheStore& store = **opened;
  const uint64_t begun = std::min(durable + kOperationsPerFlush, kOperations);
  const LogPosition position = store.log_position();
  if (position.sequence < LastPosition(recording.script, durable) || position.sequence > begun) {
    return "the log's position is " + std::to_string(position.sequence) + " after operation " +
           std::to_string(durable);
  }
  States found;
  std::string trouble =
      TroubleWith(store,
                  StatesAfter(NothingStored(recording.script.lane), recording.script,
                              {.durable = durable, .begun = begun, .purged = position.sequence}),
                  recording.script.seed >= kLargeBodies, found);
  if (!trouble.empty()) return trouble + " after operation " + std::to_string(durable);
  const std::string body = BodyOf("afterwards", 200'000);
  if (Put(store, "afterwards", body) == nullptr) return "it stores nothing";
  store.Flush();
  const HeadRef head = FindOrLoad(store, "afterwards");
  if (head == nullptr || ReadBody(store, head).value_or("") != body) return "it keeps nothing";
  for (const auto& entry : std::filesystem::directory_iterator(options.path)) {
    if (entry.path().string().find("broken") != std::string::npos) return std::string(kMovedAside);
  }
  return "";
}

PowerCutTest::Trial PowerCutTest::Begin(const Recording& recording, const DiskModel& model,
                                        const Cut& cut, bool quiet) {
  Trial trial{.folder = folder_.In("image" + std::to_string(trials_++))};
  std::filesystem::create_directory(trial.folder);
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  trial.verdict = ends[0];
  std::cout.flush();
  trial.pid = fork();
  if (trial.pid != 0) {
    close(ends[1]);
    return trial;
  }
  alarm(quiet ? kDamagedSeconds : kImageSeconds);
  const rlimit no_core{};
  if (quiet &&
      (setrlimit(RLIMIT_CORE, &no_core) != 0 || freopen("/dev/null", "w", stderr) == nullptr)) {
    _exit(1);
  }
  std::mt19937_64 random(cut.seed);
  const ImageFacts facts = model.WriteImage(FilesIn(trial.folder), cut.survivors, random);
  CacheOptions options = recording.options;
  options.path = trial.folder;
  std::string trouble;
  try {
    trouble = TroubleAfter(recording, options, DurableAt(recording, cut.event));
  } catch (const std::exception& thrown) {  // by the test's own reading, not further than here
    trouble = std::string("reading it fails: ") + thrown.what();
  }
  std::ostringstream verdict;
  verdict << facts.kept << " " << facts.dropped << " " << trouble << "\n";
  const std::string text = verdict.str();
  _exit(::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size()) ? 0 : 1);
}

Verdict PowerCutTest::End(const Trial& trial) {
  std::string text;
  char buffer[4096];
  for (ssize_t got; (got = read(trial.verdict, buffer, sizeof buffer)) > 0;) {
    text.append(buffer, static_cast<size_t>(got));
  }
  close(trial.verdict);
  int status = 0;
  EXPECT_EQ(waitpid(trial.pid, &status, 0), trial.pid);
  std::filesystem::remove_all(trial.folder);
  Verdict verdict;
  std::istringstream words(text);
  words >> verdict.facts.kept >> verdict.facts.dropped;
  words.ignore(1);
  std::getline(words, verdict.trouble);
  if (status != 0) verdict.trouble = "it crashes with status " + std::to_string(status);
  if (WIFSIGNALED(status) && WTERMSIG(status) == SIGALRM) verdict.trouble = kHangs;
  return verdict;
}

std::vector<Verdict> PowerCutTest::Try(const Recording& recording, const std::vector<Cut>& cuts) {
  DiskModel model(recording.events, FilesIn("").size());
  std::vector<Verdict> verdicts;
  std::deque<Trial> running;
  const auto end_one = [&] {
    verdicts.push_back(End(running.front()));
    running.pop_front();
  };
  for (const Cut& cut : cuts) {
    if (running.size() == kImagesAtATime) end_one();
    model.AdvanceTo(cut.event);
    running.push_back(Begin(recording, model, cut, /*quiet=*/false));
  }
  while (!running.empty()) end_one();
  return verdicts;
}

Verdict PowerCutTest::TryLying(const Recording& recording, const Cut& cut,
                               std::set<size_t> ignored) {
  DiskModel model(recording.events, FilesIn("").size(), std::move(ignored));
  model.AdvanceTo(cut.event);
  return End(Begin(recording, model, cut, /*quiet=*/true));
}

std::vector<Cut> PowerCutTest::RandomCuts(const Recording& recording, size_t count) {
  std::vector<Cut> cuts(count);
  for (size_t i = 0; i < count; ++i) {
    const size_t span = recording.events.size() + 1 - recording.made;
    size_t event = recording.made + random_() % span;
    // Every other one as a commit is about to sync: the most is unsynced then.
    const auto syncs = [&] { return recording.events[event].kind == DiskEvent::Kind::kSyncAll; };
    if (random_() % 2 == 0) {
      while (event < recording.events.size() && !syncs()) ++event;
    }
    cuts[i] = {
        .event = event, .survivors = static_cast<Survivors>(i % kSurvivorKinds), .seed = random_()};
  }
  std::sort(cuts.begin(), cuts.end(), [](const Cut& a, const Cut& b) { return a.event < b.event; });
  return cuts;
}

void PowerCutTest::ExpectSound(const Recording& recording, size_t images) {
  const std::vector<Cut> cuts = RandomCuts(recording, images);
  const std::vector<Verdict> verdicts = Try(recording, cuts);
  ImageFacts facts;
  for (size_t i = 0; i < verdicts.size(); ++i) {
    EXPECT_EQ(verdicts[i].trouble, "")
        << "run " << recording.script.seed << ", cut at event " << cuts[i].event << " of "
        << recording.events.size() << ", survivors " << static_cast<int>(cuts[i].survivors);
    facts.kept += verdicts[i].facts.kept;
    facts.dropped += verdicts[i].facts.dropped;
  }
  std::cout << verdicts.size() << " images of " << recording.events.size() << " events, "
            << facts.dropped << " unsynced page writes dropped, " << facts.kept << " kept\n";
  EXPECT_GT(facts.dropped, 0u);
}

TEST_F(PowerCutTest, RecorderMissesNothing) {
  const Recording recording = Record({.seed = kLargeBodies}, /*reserve=*/true);
  DiskModel model(recording.events, FilesIn("").size());
  model.AdvanceTo(recording.events.size());
  const std::vector<std::string> copies = {folder_.In("heads"), folder_.In("chunks")};
  model.WriteImage(copies, Survivors::kAll, random_);
  const auto bytes_of = [](const std::string& path) {
    std::ifstream file(path, std::ios::binary);
    return std::string(std::istreambuf_iterator<char>(file), {});
  };
  const std::vector<std::string> files = FilesIn(recording.options.path);
  for (size_t i = 0; i < files.size(); ++i) {
    EXPECT_TRUE(bytes_of(copies[i]) == bytes_of(files[i])) << files[i];
  }
}

TEST_F(PowerCutTest, WhatWasFlushedIsThereAndNothingWrongIsServed) {
  ExpectSound(Record({.seed = 0}, /*reserve=*/true), Long() ? 1500 : 20);
}

/// Eviction is under way when the power goes.
TEST_F(PowerCutTest, EvictionUnderWayLeavesNothingWrongEither) {
  ExpectSound(Record({.seed = kLargeBodies}, /*reserve=*/true), Long() ? 1500 : 15);
}

/// The files' lengths are on their way to disk too.
TEST_F(PowerCutTest, FilesThatGrowAreSound) {
  ExpectSound(Record({.seed = 1}, /*reserve=*/false), Long() ? 750 : 8);
  ExpectSound(Record({.seed = kLargeBodies + 1}, /*reserve=*/false), Long() ? 750 : 7);
}

/// Nothing is durable yet: moving the pieces aside is right, not to open is not.
TEST_F(PowerCutTest, StoreThatWasBeingMadeOpensEmpty) {
  const Recording recording = Record({.seed = 2}, /*reserve=*/true);
  std::vector<Cut> cuts;
  for (size_t event = 0; event <= recording.made; ++event) {
    for (int kind = 0; kind < kSurvivorKinds; ++kind) {
      cuts.push_back(
          {.event = event, .survivors = static_cast<Survivors>(kind), .seed = random_()});
    }
  }
  if (!Long()) {
    std::shuffle(cuts.begin(), cuts.end(), random_);
    cuts.resize(std::min<size_t>(cuts.size(), 15));
    std::sort(cuts.begin(), cuts.end(),
              [](const Cut& a, const Cut& b) { return a.event < b.event; });
  }
  uint64_t aside = 0;
  for (const Verdict& verdict : Try(recording, cuts)) {
    if (verdict.trouble == kMovedAside) {
      ++aside;
    } else {
      EXPECT_EQ(verdict.trouble, "");
    }
  }
  std::cout << cuts.size() << " images of a store that was being made, " << aside
            << " moved aside\n";
}

/// The control: with one fdatasync that the disk lies about, before a meta page that it has, the
/// same test finds stores that are damaged or have lost something.
TEST_F(PowerCutTest, DiskThatIgnoresOneSyncIsFoundOut) {
  const Recording recording = Record({.seed = 3}, /*reserve=*/true);
  constexpr size_t kTries = 12;
  size_t found_out = 0;
  std::map<std::string, int> troubles;
  for (size_t i = 0; i < kTries; ++i) {
    Cut cut{.survivors = i % 2 == 0 ? Survivors::kNone : Survivors::kPages, .seed = random_()};
    cut.event = recording.made + random_() % (recording.events.size() - recording.made) + 1;
    // Back to the end of a commit, and from there to its fdatasync.
    while (recording.events[cut.event - 1].kind != DiskEvent::Kind::kSyncOne) --cut.event;
    size_t sync = cut.event - 1;
    const size_t file = recording.events[sync].file;
    while (recording.events[sync].kind != DiskEvent::Kind::kSyncAll ||
           recording.events[sync].file != file) {
      --sync;
    }
    const Verdict verdict = TryLying(recording, cut, {sync});
    // What takes long may be sound, on a slow machine.
    found_out += verdict.trouble.empty() || verdict.trouble == kHangs ? 0 : 1;
    ++troubles[verdict.trouble.substr(0, verdict.trouble.find(" is "))];
  }
  std::cout << found_out << " of " << kTries << " found out\n";
  for (const auto& [trouble, times] : troubles) std::cout << times << " × " << trouble << "\n";
  EXPECT_GT(found_out, 0u);
}

}  // namespace
}  // namespace nearside::storage
