#pragma once

#include <cstdint>
#include <vector>

#include "geodns/target_health.h"

namespace nearside::geodns {

/// What answers depend on beside the settings, at one moment. A value.
struct Moment {
  std::vector<TargetHealth> targets;  ///< by Configuration::checks
  /// By point of presence: since when an operator has it drained; the epoch: it is not. Empty: none
  /// is.
  std::vector<WallTime> drained;
  /// By point of presence: the share of its clients that it keeps, above 0 and at most 1; empty:
  /// all keep all.
  std::vector<double> kept;

  Moment() = default;
  /// Health alone.
  Moment(std::vector<TargetHealth> of_targets)  // NOLINT(google-explicit-constructor)
      : targets(std::move(of_targets)) {}

  bool is_drained(size_t pop) const { return pop < drained.size() && drained[pop] != WallTime(); }
  double share(size_t pop) const { return pop < kept.size() ? kept[pop] : 1; }
};

}  // namespace nearside::geodns
