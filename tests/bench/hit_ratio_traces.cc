#include "tests/bench/hit_ratio_traces.h"

#include <algorithm>
#include <cmath>
#include <numeric>
#include <utility>

#include "tests/bench/draws.h"

namespace nearside::bench {

namespace {

constexpr uint32_t kUnitBytes = 4096;
constexpr SizeLaw kSizes;  // the mean is three times the median
/// No object is larger than this share of the smallest cache, or the row would measure luck.
constexpr double kMostOfCache = 0.02;
constexpr double kSmallestCache = 0.01;
constexpr double kUsualAlpha = 0.9;

struct Maker {
  const TraceOptions& options;
  Random random;
  std::vector<uint32_t> requests{};
  uint32_t objects = 0;  ///< numbers given out so far

  uint32_t NewObject() { return objects++; }
  void Ask(uint32_t object) { requests.push_back(object); }
};

void MakeZipf(Maker& maker, double alpha) {
  const Zipf zipf(maker.objects = maker.options.objects, alpha);
  for (uint32_t i = 0; i < maker.options.requests; ++i) maker.Ask(zipf.Draw(maker.random));
}

/// 65 % of the objects are asked for once: the tail of the Zipf half has some, the rest is strewn
/// in.
void MakeCdn(Maker& maker) {
  constexpr double kOnce = 0.65;
  const Zipf zipf(maker.objects = maker.options.objects / 2, kUsualAlpha);
  std::vector<uint32_t> popular;
  std::vector<uint32_t> counts(maker.objects, 0);
  for (uint32_t i = 0; i < maker.options.requests; ++i) {
    popular.push_back(zipf.Draw(maker.random));
    ++counts[popular.back()];
  }
  const auto asked = maker.objects - std::count(counts.begin(), counts.end(), 0u);
  const auto once = std::count(counts.begin(), counts.end(), 1u);
  const double more =
      std::max(0.0, (kOnce * static_cast<double>(asked) - static_cast<double>(once)) / (1 - kOnce));
  const double share = more / (more + static_cast<double>(popular.size()));
  for (const uint32_t object : popular) {
    while (maker.random.Share() < share) maker.Ask(maker.NewObject());
    maker.Ask(object);
  }
}

/// Over the whole trace, each object changes places with another about twice.
void MakeDrift(Maker& maker) {
  const uint32_t objects = maker.objects = maker.options.objects;
  const Zipf zipf(objects, kUsualAlpha);
  std::vector<uint32_t> object_of_rank(objects);
  std::iota(object_of_rank.begin(), object_of_rank.end(), 0u);
  const double swaps_each = static_cast<double>(objects) / maker.options.requests;
  double due = 0;
  for (uint32_t i = 0; i < maker.options.requests; ++i) {
    for (due += swaps_each; due >= 1; due -= 1) {
      std::swap(object_of_rank[maker.random.Below(objects)],
                object_of_rank[maker.random.Below(objects)]);
    }
    maker.Ask(object_of_rank[zipf.Draw(maker.random)]);
  }
}

/// At two fifths of the trace, new objects (a thousandth) take half of the requests, which fades
/// with a time constant of a tenth of the trace.
void MakeFlash(Maker& maker) {
  const uint32_t objects = maker.objects = maker.options.objects;
  const uint32_t crowd = std::max(objects / 1000, 1u);
  const Zipf zipf(objects, kUsualAlpha);
  const Zipf crowd_zipf(crowd, kUsualAlpha);
  maker.objects += crowd;
  const double start = 0.4 * maker.options.requests;
  const double fade = 0.1 * maker.options.requests;
  for (uint32_t i = 0; i < maker.options.requests; ++i) {
    const double share = i < start ? 0 : 0.5 * std::exp((start - i) / fade);
    maker.Ask(maker.random.Share() < share ? objects + crowd_zipf.Draw(maker.random)
                                           : zipf.Draw(maker.random));
  }
}

/// Three passes over new objects, a tenth of `objects` each: four of five requests while it lasts.
void MakeScan(Maker& maker) {
  const Zipf zipf(maker.objects = maker.options.objects, kUsualAlpha);
  const uint32_t pass = maker.options.objects / 10;
  for (uint32_t i = 0; i < maker.options.requests; ++i) {
    maker.Ask(zipf.Draw(maker.random));
    for (const double at : {0.3, 0.5, 0.7}) {
      const auto start = static_cast<uint32_t>(at * maker.options.requests);
      if (i < start || i >= start + pass / 4) continue;
      for (int k = 0; k < 4; ++k) maker.Ask(maker.NewObject());
    }
  }
}

/// Zipf, and of seven requests one is for a new object that comes back three times, each time after
/// up to a tenth of the trace (gaps with uniform logarithms), and then never.
void MakeBurst(Maker& maker) {
  constexpr double kNewShare = 0.15;
  constexpr int kReturns = 3;
  const uint32_t requests = maker.options.requests;
  const Zipf zipf(maker.objects = maker.options.objects / 2, kUsualAlpha);
  const double longest_log = std::log(requests / 10.0);
  std::vector<std::vector<uint32_t>> due(requests);
  for (uint32_t i = 0; i < requests; ++i) {
    for (const uint32_t object : std::exchange(due[i], {})) maker.Ask(object);
    maker.Ask(zipf.Draw(maker.random));
    if (maker.random.Share() >= kNewShare) continue;
    const uint32_t object = maker.NewObject();
    maker.Ask(object);
    double at = i;
    for (int k = 0; k < kReturns; ++k) {
      at += std::exp(maker.random.Share() * longest_log);
      if (at < requests) due[static_cast<size_t>(at)].push_back(object);
    }
  }
}

void MakeLoop(Maker& maker) {
  maker.objects = std::max(maker.options.objects / 10, 1u);
  for (uint32_t i = 0; i < maker.options.requests; ++i) maker.Ask(i % maker.objects);
}

/// Log-normal (Mitzenmacher, "Dynamic models for file sizes", 2004).
std::vector<uint32_t> MakeSizes(Random random, uint32_t objects, bool unit) {
  if (unit) return std::vector<uint32_t>(objects, kUnitBytes);
  std::vector<double> sizes(objects);
  double sum = 0;
  for (double& size : sizes) {
    sum += size = kSizes.Draw(random);
  }
  const double most = std::max(sum * kSmallestCache * kMostOfCache, 4 * kSizes.median_bytes);
  std::vector<uint32_t> bytes;
  for (const double size : sizes) bytes.push_back(static_cast<uint32_t>(std::min(size, most)));
  return bytes;
}

}  // namespace

uint64_t Trace::Footprint(uint64_t overhead_bytes) const {
  std::vector<bool> seen(object_bytes.size(), false);
  uint64_t sum = 0;
  for (const uint32_t object : requests) {
    if (!seen[object]) sum += object_bytes[object] + overhead_bytes;
    seen[object] = true;
  }
  return sum;
}

const std::vector<std::string_view>& TraceNames() {
  static const std::vector<std::string_view> kNames = {
      "zipf-0.8", "zipf-0.9", "zipf-1.0", "zipf-1.1", "cdn",
      "drift",    "flash",    "scan",     "burst",    "loop"};
  return kNames;
}

Trace MakeTrace(std::string_view name, const TraceOptions& options) {
  Random random(options.seed);
  const uint64_t size_seed = random.Next();
  Maker maker{.options = options, .random = random};
  Trace trace{.name = std::string(name), .cache_percents = {1, 10}};
  if (name.starts_with("zipf-")) MakeZipf(maker, std::stod(trace.name.substr(5)));
  if (name == "cdn") MakeCdn(maker);
  if (name == "drift") MakeDrift(maker);
  if (name == "flash") MakeFlash(maker);
  if (name == "scan") MakeScan(maker);
  if (name == "burst") MakeBurst(maker);
  if (name == "loop") {
    MakeLoop(maker);
    trace.cache_percents = {90};  // the loop is slightly larger than the cache
  }
  trace.requests = std::move(maker.requests);
  trace.object_bytes = MakeSizes(Random(size_seed), maker.objects, options.unit);
  return trace;
}

}  // namespace nearside::bench
