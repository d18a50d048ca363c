// SIGKILL at random instants: what was flushed is there, and nothing wrong is ever served.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <map>
#include <random>
#include <set>
#include <thread>

#include "tests/storage/cache_fixture.h"
#include "tests/storage/kill_script.h"
#include "tests/support/temp_dir.h"

extern char** environ;

namespace nearside::storage {
namespace {

/// The child process. Ends with it.
class Child {
 public:
  Child(const std::string& folder, uint64_t disk_mib, uint64_t seed) {
    int ends[2];
    EXPECT_EQ(pipe(ends), 0);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
    posix_spawn_file_actions_addclose(&actions, ends[0]);
    std::string arguments[] = {NEARSIDE_KILL_CHILD, folder, std::to_string(disk_mib),
                               std::to_string(seed)};
    char* argv[] = {arguments[0].data(), arguments[1].data(), arguments[2].data(),
                    arguments[3].data(), nullptr};
    EXPECT_EQ(posix_spawn(&pid_, argv[0], &actions, nullptr, argv, environ), 0);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    output_ = fdopen(ends[0], "r");
  }
  ~Child() {
    Kill();
    fclose(output_);
  }
  /// The number of the last operation that the child says is durable; nothing at its end.
  std::optional<uint64_t> Listen() {
    unsigned long long number = 0;
    if (fscanf(output_, "%llu", &number) != 1) return std::nullopt;
    return number;
  }
  void Kill() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    EXPECT_EQ(waitpid(pid_, nullptr, 0), pid_);
    pid_ = 0;
  }

 private:
  pid_t pid_ = 0;
  FILE* output_ = nullptr;
};

/// What each name is in: "miss", "1.25" (the version), "stale 1.25".
using States = std::map<std::string, std::string>;

std::string Stale(const std::string& state) {
  return state == "miss" || state.starts_with("stale") ? state : "stale " + state;
}

std::string After(const std::string& state, const KillOperation& operation,
                  const std::string& version) {
  switch (operation.kind) {
    case KillOperation::Kind::kPut:
      return version;
    case KillOperation::Kind::kRemove:
    case KillOperation::Kind::kHardPurge:
      return "miss";
    case KillOperation::Kind::kSoftPurge:
      return Stale(state);
  }
  return state;
}

class StoreKillTest : public testing::Test {
 protected:
  StoreKillTest() {
    for (uint64_t i = 0; i < kKillNames; ++i) states_["object" + std::to_string(i)] = "miss";
  }
  /// Starts the child on the folder, kills it at a random instant; its last word.
  uint64_t RunAndKill(uint64_t disk_mib, uint64_t seed, std::mt19937& random) {
    Child child(folder_.In("cache"), disk_mib, seed);
    uint64_t durable = 0;
    for (uint64_t words = 1 + random() % 10; words > 0; --words) {
      durable = child.Listen().value_or(durable);
    }
    // The instant is the point here: nothing is waited for.
    std::this_thread::sleep_for(milliseconds(random() % 100));
    child.Kill();
    while (const auto number = child.Listen()) durable = *number;
    return durable;
  }
  /// For each name, what it may be in now: as after the last durable operation, or any later one of
  /// the child.
  std::map<std::string, std::set<std::string>> Allowed(uint64_t seed, uint64_t durable) {
    std::map<std::string, std::set<std::string>> allowed;
    States now = states_;
    for (uint64_t number = 1; number <= durable + kOperationsPerFlush; ++number) {
      if (number == durable + 1) {
        for (const auto& [name, state] : now) allowed[name] = {state};
      }
      const KillOperation operation = KillOperationAt(seed, number);
      std::string& state = now[operation.name];
      state = After(state, operation, KillVersion(seed, number));
      if (number <= durable) continue;
      std::set<std::string>& set = allowed[operation.name];
      set.insert(state);
      // A purge may be durable before a head that was put ahead of it: then it covers the version
      // before.
      if (operation.kind == KillOperation::Kind::kSoftPurge) {
        for (const std::string& before : std::set(set)) set.insert(Stale(before));
      }
    }
    return allowed;
  }
  std::string Look(CacheStore& store, const std::string& name) {
    const HeadRef head = FindOrLoad(store, name);
    if (head == nullptr) return "miss";
    const Result<std::string> body = ReadBody(store, head);
    if (!body) return "error " + body.error().reason;
    if (*body != BodyOf(head->head.meta, head->head.body_bytes)) return "wrong body";
    return (store.Check(*head) == Validity::kStale ? "stale " : "") + head->head.meta;
  }

  void RunRounds(uint64_t rounds, uint64_t disk_mib, uint64_t first_seed);

  test::TempDir folder_;
  States states_;
};

void StoreKillTest::RunRounds(uint64_t rounds, uint64_t disk_mib, uint64_t first_seed) {
  const unsigned instants = std::random_device()();
  std::cout << "seed of the instants: " << instants << "\n";
  std::mt19937 random(instants);
  const bool may_evict = first_seed >= kLargeBodies;
  uint64_t operations = 0, orphans = 0;
  for (uint64_t seed = first_seed; seed < first_seed + rounds; ++seed) {
    const uint64_t durable = RunAndKill(disk_mib, seed, random);
    operations += durable;
    const auto allowed = Allowed(seed, durable);
    CacheOptions options;
    options.path = folder_.In("cache");
    options.disk = ByteSize{disk_mib << 20};
    auto store = OpenStore(options);
    ASSERT_NE(store, nullptr);
    for (const auto& [name, set] : allowed) {
      const std::string found = Look(*store, name);
      ASSERT_TRUE(set.contains(found) || (may_evict && found == "miss"))
          << "seed " << seed << ", " << name << " is \"" << found << "\" after operation "
          << durable << ", may be " << testing::PrintToString(set);
      states_[name] = found;
    }
    ASSERT_TRUE(FlushUntil(*store, [&] { return store->Stats().walked; }));
    EXPECT_EQ(store->Stats().checksum_failures, 0u);
    orphans += store->Stats().orphans_swept;
  }
  for (const auto& entry : std::filesystem::directory_iterator(folder_.In("cache"))) {
    EXPECT_THAT(entry.path().string(), testing::Not(testing::HasSubstr("broken")));
  }
  EXPECT_GT(operations, 100u) << "the child did something";
  std::cout << operations << " operations were durable, " << orphans << " orphans were swept\n";
}

TEST_F(StoreKillTest, WhatWasFlushedIsThereAndNothingWrongIsServed) { RunRounds(15, 64, 0); }

/// The same with a store that is too small for what is put: eviction is under way when it is
/// killed.
TEST_F(StoreKillTest, EvictionUnderWayLeavesNothingWrongEither) { RunRounds(5, 16, kLargeBodies); }

}  // namespace
}  // namespace nearside::storage
