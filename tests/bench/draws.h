#pragma once

// Random draws that benchmarks share: the same numbers from the same seed on every machine.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <numbers>
#include <vector>

namespace nearside::bench {

/// SplitMix64 (Steele, Lea, Flood, OOPSLA'14).
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  uint64_t Next() {
    uint64_t z = state_ += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }
  /// From 0 to below 1.
  double Share() { return static_cast<double>(Next() >> 11) * 0x1p-53; }
  uint32_t Below(uint32_t limit) { return static_cast<uint32_t>(Share() * limit); }
  double Normal() {
    const double radius = std::sqrt(-2 * std::log(1 - Share()));
    return radius * std::cos(2 * std::numbers::pi * Share());
  }

 private:
  uint64_t state_;
};

/// Ranks from 0, each asked for in proportion to 1 / (rank + 1)^alpha.
class Zipf {
 public:
  Zipf(uint32_t ranks, double alpha) {
    double sum = 0;
    for (uint32_t i = 0; i < ranks; ++i) sums_.push_back(sum += std::pow(i + 1.0, -alpha));
  }
  uint32_t Draw(Random& random) const {
    const double point = random.Share() * sums_.back();
    const auto it = std::upper_bound(sums_.begin(), sums_.end() - 1, point);
    return static_cast<uint32_t>(it - sums_.begin());
  }

 private:
  std::vector<double> sums_;
};

/// Sizes of web objects: log-normal around a median, between two limits.
struct SizeLaw {
  double median_bytes = 16 << 10;
  double sigma = 1.5;  ///< of the logarithm
  double least_bytes = 256;
  double most_bytes = 100 << 20;

  double Draw(Random& random) const {
    return std::clamp(median_bytes * std::exp(sigma * random.Normal()), least_bytes, most_bytes);
  }
};

}  // namespace nearside::bench
