#include "runtime/duration_histogram.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <thread>
#include <vector>

namespace nearside {
namespace {

using std::chrono::hours;
using std::chrono::microseconds;
using std::chrono::nanoseconds;

TEST(DurationHistogramTest, EmptyIsZeroEverywhere) {
  const DurationHistogram histogram;
  EXPECT_EQ(histogram.Read().count(), 0u);
  EXPECT_EQ(histogram.Read().Quantile(0.5), nanoseconds(0));
  EXPECT_EQ(histogram.Read().CountUpTo(hours(1)), 0u);
}

TEST(DurationHistogramTest, QuantilesAreAtMostATenthAboveTheTruth) {
  std::mt19937_64 random(1);
  std::lognormal_distribution<double> taken(13, 3);  // a median of half a millisecond
  std::vector<int64_t> samples;
  DurationHistogram histogram;
  for (int i = 0; i < 10'000; ++i) {
    samples.push_back(
        std::clamp<int64_t>(static_cast<int64_t>(taken(random)), 1000, 60'000'000'000));
    histogram.Record(nanoseconds(samples.back()));
  }
  std::sort(samples.begin(), samples.end());
  for (const double quantile : {0.01, 0.5, 0.9, 0.99, 0.999, 1.0}) {
    const auto truth = static_cast<double>(
        samples[static_cast<size_t>(std::ceil(quantile * static_cast<double>(samples.size()))) -
                1]);
    const auto told = static_cast<double>(histogram.Read().Quantile(quantile).count());
    EXPECT_GE(told, truth) << quantile;
    EXPECT_LE(told, truth * 1.126) << quantile;
  }
  EXPECT_EQ(histogram.Read().max().count(), samples.back());
  EXPECT_EQ(histogram.Read().count(), samples.size());
}

TEST(DurationHistogramTest, CountsUpToPowersOfTwoExactly) {
  DurationHistogram histogram;
  for (const int64_t taken : {1'000, 1'001, 2'000, 2'001, 4'000, 1'024'000, 1'024'001}) {
    histogram.Record(nanoseconds(taken));
  }
  EXPECT_EQ(histogram.Read().CountUpTo(microseconds(1)), 1u);
  EXPECT_EQ(histogram.Read().CountUpTo(microseconds(2)), 3u);
  EXPECT_EQ(histogram.Read().CountUpTo(microseconds(4)), 5u);
  EXPECT_EQ(histogram.Read().CountUpTo(microseconds(1024)), 6u);
  EXPECT_EQ(histogram.Read().CountUpTo(microseconds(2048)), 7u);
}

TEST(DurationHistogramTest, TheEndsOfItsRangeAreKept) {
  DurationHistogram histogram;
  histogram.Record(nanoseconds(-5));
  histogram.Record(nanoseconds(0));
  histogram.Record(hours(2));
  EXPECT_EQ(histogram.Read().CountUpTo(microseconds(1)), 2u);
  EXPECT_EQ(histogram.Read().max(), hours(2));
  EXPECT_EQ(histogram.Read().Quantile(1), hours(2));
}

TEST(DurationHistogramTest, ADifferenceIsWhatCameBetween) {
  DurationHistogram histogram;
  histogram.Record(microseconds(900));
  const DurationHistogram::Reading earlier = histogram.Read();
  histogram.Record(microseconds(10));
  histogram.Record(microseconds(30));
  const DurationHistogram::Reading between = histogram.Read().Since(earlier);
  EXPECT_EQ(between.count(), 2u);
  EXPECT_EQ(between.sum(), microseconds(40));
  EXPECT_GE(between.max(), microseconds(30));
  EXPECT_LE(between.max(), microseconds(34));
  EXPECT_EQ(histogram.Read().Since(histogram.Read()).max(), nanoseconds(0));
}

TEST(DurationHistogramTest, ThreadsLoseNothing) {
  DurationHistogram histogram;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&histogram, t] {
      for (int i = 0; i < 10'000; ++i) histogram.Record(microseconds(i + t));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(histogram.Read().count(), 40'000u);
  EXPECT_EQ(histogram.Read().max(), microseconds(10'002));
}

}  // namespace
}  // namespace nearside
