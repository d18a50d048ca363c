#pragma once

// What the child of the kill test does, operation by operation: the same numbers for the child,
// which does it, and for the test, which works out what must be there afterwards.

#include <cstdint>
#include <random>
#include <string>

namespace nearside::storage {

struct KillOperation {
  enum class Kind { kPut, kRemove, kHardPurge, kSoftPurge };
  Kind kind = Kind::kPut;
  std::string name;
  size_t bytes = 0;
  uint64_t scope = 0;
};

inline constexpr uint64_t kOperationsPerFlush = 25;
inline constexpr uint64_t kKillNames = 150;
/// Runs from this seed on put bodies that are sixteen times as large: more than a small store
/// holds.
inline constexpr uint64_t kLargeBodies = 1000;

inline KillOperation KillOperationAt(uint64_t seed, uint64_t number) {
  std::mt19937_64 random(seed * 1'000'003 + number);
  KillOperation operation;
  const uint64_t name = random() % kKillNames;
  operation.name = "object" + std::to_string(name);
  operation.scope = name + 1;
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
      if (seed >= kLargeBodies) operation.bytes *= 16;
  }
  return operation;
}

/// The body of the version that operation `number` of run `seed` puts.
inline std::string KillVersion(uint64_t seed, uint64_t number) {
  return std::to_string(seed) + "." + std::to_string(number);
}

}  // namespace nearside::storage
