#pragma once

// When a store is gone through for the sake of its purges, and which marks are forgotten after it:
// those that are older than any fill under way and that nothing stored is under. Pure.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <deque>

#include "runtime/clock.h"

namespace nearside::storage {

/// One thread. A pass: Begin is true, NoteStale for each head that is stale, End; then marks up to
/// floor() may be dropped (PurgeTable::Drop).
class PurgeReclaim {
 public:
  /// No fill of an earlier run is under way: a pass over what these left.
  void BeginFirst(uint64_t newest_purge);
  /// Whether a pass begins now: purges are new, or some have become old enough to be forgotten, and
  /// the last pass was long enough ago.
  bool Begin(MonoTime now, uint64_t newest_purge);
  /// Of a head that is stale by a purge, found by the pass or stored while it runs.
  void NoteStale(uint64_t purge_sequence) { least_stale_ = std::min(least_stale_, purge_sequence); }
  void End() { walked_sequence_ = purge_sequence_; }

  /// The newest purge that is older than any fill that should be under way.
  uint64_t old_sequence() const { return old_sequence_; }
  uint64_t floor() const { return std::min(old_sequence_, least_stale_); }

 private:
  struct Sample {
    MonoTime at;
    uint64_t sequence = 0;
  };
  std::deque<Sample> history_;   ///< the newest purge at the beginning of passes
  uint64_t purge_sequence_ = 0;  ///< the newest purge when this pass began
  uint64_t old_sequence_ = 0;
  uint64_t walked_sequence_ = 0;  ///< the newest purge of the last pass that ended
  uint64_t least_stale_ = 0;      ///< least purge_sequence of the heads that are stale
  MonoTime next_{};
};

}  // namespace nearside::storage
