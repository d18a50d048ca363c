#pragma once

// How long something took, many times: counts in buckets an eighth of an octave wide (the idea of
// HdrHistogram, with fewer digits), so that a quantile is told within an eighth of its value, in
// 2 KiB whatever the number of samples.

#include <array>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>

namespace nearside {

/// Any thread records, any thread reads; relaxed.
class DurationHistogram {
 public:
  using Duration = std::chrono::nanoseconds;

 private:
  static constexpr unsigned kPerOctave = 8;
  static constexpr unsigned kOctaves = 26;
  static constexpr size_t kBuckets = kPerOctave * kOctaves + 1;

 public:
  /// What had been recorded at one time.
  class Reading {
   public:
    uint64_t count() const;
    Duration sum() const { return sum_; }
    /// The longest, exactly; of a difference the upper bound of its last bucket.
    Duration max() const { return max_; }
    /// An upper bound of the quantile (0 to 1), at most an eighth above it; zero without samples.
    Duration Quantile(double quantile) const;
    /// Samples up to this, exactly when it is a power of two of microseconds.
    uint64_t CountUpTo(Duration bound) const;
    /// What was recorded after `earlier` was read.
    Reading Since(const Reading& earlier) const;

   private:
    friend class DurationHistogram;
    std::array<uint64_t, kBuckets> counts_{};
    Duration sum_{0};
    Duration max_{0};
  };

  /// Below a microsecond counts as one, above some 67 s as longer than any bound; sum and max are
  /// exact.
  void Record(Duration taken);
  Reading Read() const;

 private:
  static size_t BucketOf(Duration taken);
  static Duration UpperBound(size_t bucket);

  std::array<std::atomic<uint64_t>, kBuckets> counts_{};
  std::atomic<int64_t> sum_{0};
  std::atomic<int64_t> max_{0};
};

}  // namespace nearside
