#pragma once

// What a store may hold after it was stopped at any instant of a script (kill_script.h).

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <set>
#include <string>

#include "tests/storage/cache_fixture.h"
#include "tests/storage/kill_script.h"

namespace nearside::storage {

/// What each name is in: "miss", "0.1.25" (the version), "stale 0.1.25".
using States = std::map<std::string, std::string>;
using AllowedStates = std::map<std::string, std::set<std::string>>;

inline States NothingStored(uint64_t lane) {
  States states;
  for (uint64_t i = 0; i < kKillNames; ++i) states[KillName(lane, i)] = "miss";
  return states;
}

/// How far a script had come.
struct Stop {
  uint64_t durable = 0;  ///< the operations up to this number have to be there
  uint64_t begun = 0;    ///< those beyond this one cannot
  uint64_t purged = 0;   ///< the purges up to this number have to be there as well
};

inline std::string Stale(const std::string& state) {
  return state == "miss" || state.starts_with("stale") ? state : "stale " + state;
}

inline std::string After(const std::string& state, const KillOperation& operation,
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

/// For each name what it may be in: as after the last durable operation, or any later one that had
/// begun. `states`: before the script's first operation; other lanes' names are left out.
inline AllowedStates StatesAfter(const States& states, const KillScript& script, const Stop& stop) {
  AllowedStates allowed;
  States now;
  for (uint64_t i = 0; i < kKillNames; ++i) {
    const std::string name = KillName(script.lane, i);
    now[name] = states.at(name);
  }
  for (uint64_t number = 1; number <= stop.durable; ++number) {
    const KillOperation operation = KillOperationAt(script, number);
    now[operation.name] = After(now[operation.name], operation, KillVersion(script, number));
  }
  for (const auto& [name, state] : now) allowed[name] = {state};
  for (uint64_t number = stop.durable + 1; number <= stop.begun; ++number) {
    const KillOperation operation = KillOperationAt(script, number);
    std::string& state = now[operation.name];
    state = After(state, operation, KillVersion(script, number));
    std::set<std::string>& set = allowed[operation.name];
    const bool purge = operation.kind == KillOperation::Kind::kHardPurge ||
                       operation.kind == KillOperation::Kind::kSoftPurge;
    // A purge may be durable before a head that was put ahead of it: then it covers the version
    // before.
    const std::set<std::string> before = set;
    if (purge && number <= stop.purged) set.clear();
    set.insert(state);
    if (operation.kind != KillOperation::Kind::kSoftPurge) continue;
    for (const std::string& earlier : before) set.insert(Stale(earlier));
  }
  return allowed;
}

/// What `name` is in now, read to the last byte.
inline std::string StateOf(CacheStore& store, const std::string& name) {
  const HeadRef head = FindOrLoad(store, name);
  if (head == nullptr) return "miss";
  const Result<std::string> body = ReadBody(store, head);
  if (!body) return "error " + body.error().reason;
  if (*body != BodyOf(head->head.meta, head->head.body_bytes)) return "wrong body";
  const std::string& version = head->head.meta;
  return store.Check(*head) == Validity::kStale ? Stale(version) : version;
}

/// What is wrong with the store, or nothing. Sets what the names are found in. `may_evict`: a miss
/// is never wrong.
inline std::string TroubleWith(CacheStore& store, const AllowedStates& allowed, bool may_evict,
                               States& found) {
  for (const auto& [name, set] : allowed) {
    const std::string state = StateOf(store, name);
    found[name] = state;
    if (set.contains(state) || (may_evict && state == "miss")) continue;
    return testing::PrintToString(name) + " is " + testing::PrintToString(state) + ", may be " +
           testing::PrintToString(set);
  }
  if (!FlushUntil(store, [&] { return store.Stats().walked; })) return "the walk does not end";
  const CacheStats stats = store.Stats();
  if (stats.checksum_failures != 0) {
    return std::to_string(stats.checksum_failures) + " checksum failures";
  }
  return stats.pass_through ? "it passes through" : "";
}

}  // namespace nearside::storage
