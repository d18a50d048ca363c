#pragma once

#include <string>

#include "runtime/duration_histogram.h"
#include "runtime/result.h"

namespace nearside::bench {

/// What a disk takes for writes of a store's kind without the store: figures of a run mean little
/// without it.
struct DiskProbe {
  static constexpr int kPieces = 64;
  static constexpr int kPages = 256;
  DurationHistogram pieces;  ///< kPieces of 64 KiB at random places, then a sync
  DurationHistogram pages;   ///< kPages of 4 KiB at random places, then a sync

  /// "the disk alone: …"
  std::string ToText() const;
};

/// Writes for some seconds to a file of its own in `folder`, which is made when absent. Error:
/// kOperator disk_failed.
Status ProbeDisk(const std::string& folder, DiskProbe* probe);

}  // namespace nearside::bench
