#pragma once

// Synthetic traces for hit_ratio: what is asked for, in order, and how large each object is. Made
// from a seed alone, so that a row of the table can be had again.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace nearside::bench {

struct Trace {
  std::string name;
  std::vector<uint32_t> requests;      ///< object numbers, dense from 0
  std::vector<uint32_t> object_bytes;  ///< by object number
  /// Cache sizes to run it at, in percent of the footprint.
  std::vector<double> cache_percents;

  /// Bytes of all objects that are asked for at least once, with `overhead` for each.
  uint64_t Footprint(uint64_t overhead_bytes) const;
};

struct TraceOptions {
  uint32_t objects = 0;
  uint32_t requests = 0;
  uint64_t seed = 0;
  bool unit = false;  ///< all objects of one size
};

/// What --trace takes, in the order of the table.
const std::vector<std::string_view>& TraceNames();
/// `name` is one of TraceNames().
Trace MakeTrace(std::string_view name, const TraceOptions& options);

}  // namespace nearside::bench
