#pragma once

// The edges as they report themselves, and who waits for what they apply: the receipts of purges
// and activations.

#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/clock.h"
#include "storage/event_log.h"

namespace nearside::origin {

/// An edge that has not reported for this long counts as unreachable.
inline constexpr seconds kEdgeLost{10};
/// Receipts that may be waited for at once.
inline constexpr size_t kWaitingReceipts = 1000;

struct ReceiptLine {
  std::string edge;
  storage::LogPosition applied;
  bool done = false;       ///< has applied the position
  bool reachable = false;  ///< has reported lately
  milliseconds took{0};    ///< from the change to the edge's report of it
  WallTime seen_at;
};

struct Receipt {
  storage::LogPosition position;
  std::vector<ReceiptLine> edges;
  bool complete = false;  ///< every edge has applied it
};

/// Any thread.
class Fleet {
 public:
  /// `log` outlives it.
  explicit Fleet(storage::EventLog& log) : log_(log) {}

  /// Takes the edges that another origin, or this one before its restart, was told of. Which of
  /// two reports is the later one is not left to the clocks of origins, which may be set.
  Status Load();
  /// An edge has applied `position`; `report` is opaque JSON, and `awaited` the part of it for
  /// which somebody may wait at another origin. Kept in memory at once, in metadata when position
  /// or `awaited` are new or some seconds have passed. A position beyond the log is one of a log
  /// that is no more (a backup was restored): it is kept as {0, 0}, and so confirms nothing, also
  /// not when the log has grown as long again.
  Status Report(const std::string& edge, storage::LogPosition position, std::string report,
                WallTime now, std::string_view awaited = {});
  Status Remove(const std::string& edge, WallTime now);
  std::vector<storage::EdgeReport> Edges() const;

  /// What a receipt is waited for.
  struct Wanted {
    storage::LogPosition position;
    WallTime since;  ///< when the change was made
    MonoTime deadline;
  };
  /// Calls `done` once, on a thread that reports or ticks: when every reachable edge has applied
  /// the position, or at the deadline. False: too many wait already.
  bool WhenApplied(const Wanted& wanted, WallTime now, std::function<void(Receipt)> done);
  Receipt ReceiptOf(storage::LogPosition position, WallTime since, WallTime now) const;
  /// Ends what has waited long enough, and looks at what edges told other origins. Called every few
  /// milliseconds while waiting() is true.
  void Tick(MonoTime mono_now, WallTime now);
  bool waiting() const;
  /// Ends every wait now, with what is known (drain).
  void EndWaits(WallTime now);

 private:
  struct Waiter {
    Wanted wanted;
    std::function<void(Receipt)> done;
  };
  struct Edge {
    storage::EdgeReport report;
    /// Its row as we know it; what it says of the time is by the clock of who wrote it.
    storage::LogPosition row;
    WallTime row_at;
    bool reports_here = false;  ///< it has reported to us since we last saw another row
    std::string awaited;        ///< of its last report to us
  };
  Receipt ReceiptLocked(storage::LogPosition position, WallTime since, WallTime now) const;
  /// Takes out the waiters that are done and runs them without the lock.
  void Settle(WallTime now, const std::function<bool(const Waiter&)>& ended);

  storage::EventLog& log_;
  mutable std::mutex mutex_;
  std::map<std::string, Edge> edges_;
  std::vector<Waiter> waiters_;
};

}  // namespace nearside::origin
