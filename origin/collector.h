#pragma once

// Gives back what nobody needs any more: releases that are not kept, contents that nothing names,
// files that a killed process left. storage/collection.h has the steps and why they are safe.

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>

#include "origin/node.h"
#include "origin/settled_clock.h"
#include "storage/collection.h"

namespace nearside::origin {

/// Which releases [releases] keeps.
storage::Retention RetentionOf(const ReleaseSettings& settings);

/// Counts of what was given back. Any thread.
struct CollectorCounters {
  std::atomic<uint64_t> passes{0};
  std::atomic<uint64_t> failures{0};
  std::atomic<uint64_t> dropped_releases{0};
  std::atomic<uint64_t> condemned_blobs{0};
  std::atomic<uint64_t> collected_blobs{0};
  std::atomic<uint64_t> swept_files{0};
  std::atomic<uint64_t> collected_bytes{0};  ///< of contents and of files without an owner
};

/// A thread of its own, which goes through all state once every `releases.collect_every`, in small
/// steps with pauses. Several origins over one state may each have one.
class Collector {
 public:
  explicit Collector(Node& node);
  ~Collector() { Stop(); }
  void Start();
  /// Waits for the step under way. Any thread.
  void Stop();

  /// The next step of a pass; false when it was the last one, or failed. Where there is no thread.
  bool Step(WallTime now);
  /// The same by the clock, whose jumps forward make nothing old at once (settled_clock.h).
  bool Step(MonoTime now, WallTime wall_now) { return Step(clock_.Read(now, wall_now)); }
  const CollectorCounters& counters() const { return counters_; }
  void ExportMetrics(metrics::Registry& registry) const;

 private:
  enum class Stage { kDrop, kTrim, kCondemn, kCollect, kSweep };
  /// What a pass has done, for the log.
  struct Pass {
    uint64_t releases = 0;
    uint64_t blobs = 0;
    uint64_t files = 0;
    uint64_t bytes = 0;
  };

  void Run();
  /// One step of the stage; whether the stage has more to do.
  Result<bool> StepOf(Stage stage, WallTime now);
  Result<bool> Drop();
  Result<bool> Trim();
  Result<bool> Condemn(WallTime now);
  Result<bool> Collect(WallTime now);
  Result<bool> Sweep(WallTime now);
  void Note(const storage::CollectedBlobs& gone);
  void EndPass();

  Node& node_;
  SettledClock clock_;
  CollectorCounters counters_;
  Stage stage_ = Stage::kDrop;
  std::optional<storage::BlobId> place_;  ///< in the stage's list
  Pass pass_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace nearside::origin
