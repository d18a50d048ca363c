#pragma once

#include <chrono>
#include <cstdint>

namespace nearside::sim {

using std::chrono::microseconds;

/// All that is left to chance in a run, by its seed: SplitMix64 (Steele, Lea, Flood 2014). A value.
class Chance {
 public:
  explicit Chance(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    state_ += 0x9e3779b97f4a7c15;
    uint64_t mixed = state_;
    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111eb;
    return mixed ^ mixed >> 31;
  }
  /// From 0 on, below `n`, which is not 0.
  uint64_t Below(uint64_t n) { return Next() % n; }
  /// True in so many of a thousand cases.
  bool Permille(uint64_t share) { return Below(1000) < share; }
  microseconds Between(microseconds least, microseconds most) {
    const auto span = static_cast<uint64_t>((most - least).count()) + 1;
    return least + microseconds(static_cast<int64_t>(Below(span)));
  }

 private:
  uint64_t state_;
};

}  // namespace nearside::sim
