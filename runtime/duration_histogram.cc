#include "runtime/duration_histogram.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>

namespace nearside {

namespace {

constexpr uint64_t kLeast = 1000;  // nanoseconds: the first bucket's upper bound

}  // namespace

/// Bucket b holds what is above UpperBound(b - 1) and up to UpperBound(b).
size_t DurationHistogram::BucketOf(Duration taken) {
  const auto nanoseconds = static_cast<uint64_t>(std::max<int64_t>(taken.count(), 0));
  if (nanoseconds <= kLeast) return 0;
  // (value - 1) / least is at least 2^octave for values above least·2^octave.
  const auto octave = static_cast<unsigned>(std::bit_width((nanoseconds - 1) / kLeast) - 1);
  if (octave >= kOctaves) return kBuckets - 1;
  const uint64_t low = kLeast << octave;
  const uint64_t step = low / kPerOctave;  // exact: 1000 is divisible by eight
  return 1 + octave * kPerOctave + (nanoseconds - low - 1) / step;
}

DurationHistogram::Duration DurationHistogram::UpperBound(size_t bucket) {
  if (bucket == 0) return Duration(kLeast);
  const uint64_t low = kLeast << ((bucket - 1) / kPerOctave);
  return Duration(low + low / kPerOctave * ((bucket - 1) % kPerOctave + 1));
}

void DurationHistogram::Record(Duration taken) {
  counts_[BucketOf(taken)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(taken.count(), std::memory_order_relaxed);
  int64_t max = max_.load(std::memory_order_relaxed);
  while (taken.count() > max &&
         !max_.compare_exchange_weak(max, taken.count(), std::memory_order_relaxed)) {
  }
}

DurationHistogram::Reading DurationHistogram::Read() const {
  Reading reading;
  for (size_t i = 0; i < kBuckets; ++i) {
    reading.counts_[i] = counts_[i].load(std::memory_order_relaxed);
  }
  reading.sum_ = Duration(sum_.load(std::memory_order_relaxed));
  reading.max_ = Duration(max_.load(std::memory_order_relaxed));
  return reading;
}

uint64_t DurationHistogram::Reading::count() const {
  return std::accumulate(counts_.begin(), counts_.end(), uint64_t{0});
}

DurationHistogram::Duration DurationHistogram::Reading::Quantile(double quantile) const {
  const auto wanted = static_cast<uint64_t>(std::ceil(quantile * static_cast<double>(count())));
  uint64_t seen = 0;
  for (size_t bucket = 0; bucket < kBuckets - 1; ++bucket) {
    seen += counts_[bucket];
    if (seen > 0 && seen >= wanted) return std::min(UpperBound(bucket), max_);
  }
  return max_;
}

uint64_t DurationHistogram::Reading::CountUpTo(Duration bound) const {
  uint64_t count = 0;
  for (size_t bucket = 0; bucket < kBuckets - 1 && UpperBound(bucket) <= bound; ++bucket) {
    count += counts_[bucket];
  }
  return count;
}

DurationHistogram::Reading DurationHistogram::Reading::Since(const Reading& earlier) const {
  Reading difference;
  for (size_t i = 0; i < kBuckets; ++i) {
    difference.counts_[i] = counts_[i] - earlier.counts_[i];
    if (difference.counts_[i] > 0) {
      difference.max_ = i < kBuckets - 1 ? std::min(UpperBound(i), max_) : max_;
    }
  }
  difference.sum_ = sum_ - earlier.sum_;
  return difference;
}

}  // namespace nearside
