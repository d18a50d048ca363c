#pragma once

// What is done to a store that is going to be killed, or whose power is going to be cut, operation
// by operation: the same numbers for whoever does it and for the test, which works out what must be
// there afterwards (expected_states.h).

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>

#include "tests/storage/cache_fixture.h"

namespace nearside::storage {

struct KillOperation {
  enum class Kind { kPut, kRemove, kHardPurge, kSoftPurge };
  Kind kind = Kind::kPut;
  std::string name;
  size_t bytes = 0;
  uint64_t scope = 0;
};

/// One thread's operations. Lanes have no name and no scope in common.
struct KillScript {
  uint64_t seed = 0;
  uint64_t lane = 0;
};

inline constexpr uint64_t kOperationsPerFlush = 25;
inline constexpr uint64_t kKillNames = 100;
/// Runs from this seed on put bodies that are sixteen times as large: more than a small store
/// holds.
inline constexpr uint64_t kLargeBodies = 1000;

inline std::string KillName(uint64_t lane, uint64_t index) {
  return "object" + std::to_string(lane) + "." + std::to_string(index);
}

inline KillOperation KillOperationAt(const KillScript& script, uint64_t number) {
  std::mt19937_64 random((script.seed * 8 + script.lane) * 1'000'003 + number);
  KillOperation operation;
  const uint64_t name = random() % kKillNames;
  operation.name = KillName(script.lane, name);
  operation.scope = script.lane * kKillNames + name + 1;
  switch (random() % 12) {
    case 0:
      operation.kind = KillOperation::Kind::kRemove;
      break;
    case 1:
      operation.kind = KillOperation::Kind::kHardPurge;
      break;
    case 2:
      operation.kind = KillOperation::Kind::kSoftPurge;
      break;
    default:
      // Small, middling and large ones.
      operation.bytes = random() % (size_t{1} << (6 + random() % 13));
      if (script.seed >= kLargeBodies) operation.bytes *= 16;
  }
  return operation;
}

/// The version that operation `number` puts: the meta bytes, and what its body is made of.
inline std::string KillVersion(const KillScript& script, uint64_t number) {
  return std::to_string(script.seed) + "." + std::to_string(script.lane) + "." +
         std::to_string(number);
}

/// `position` goes with a purge.
inline void DoKillOperation(CacheStore& store, const KillScript& script, uint64_t number,
                            std::optional<LogPosition> position = std::nullopt) {
  const KillOperation operation = KillOperationAt(script, number);
  switch (operation.kind) {
    case KillOperation::Kind::kPut: {
      const std::string version = KillVersion(script, number);
      Head head = HeadOf(operation.name, store, {operation.scope});
      head.meta = version;
      auto writer = store.Begin(std::nullopt);
      if (writer != nullptr) {
        for (ChunkRef& chunk : ChunksOf(BodyOf(version, operation.bytes))) {
          writer->Append(std::move(chunk));
        }
      }
      // What could not be stored leaves what was there: not what the test expects.
      if (writer == nullptr || writer->Commit(std::move(head)) == nullptr) {
        store.Remove(KeyOf(operation.name));
      }
      break;
    }
    case KillOperation::Kind::kRemove:
      store.Remove(KeyOf(operation.name));
      break;
    case KillOperation::Kind::kHardPurge:
    case KillOperation::Kind::kSoftPurge:
      store.Purge({operation.scope}, operation.kind == KillOperation::Kind::kSoftPurge, position,
                  nullptr, nullptr);
      break;
  }
}

}  // namespace nearside::storage
