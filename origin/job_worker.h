#pragma once

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "origin/job_planner.h"
#include "origin/node.h"
#include "runtime/metrics.h"
#include "storage/job_queue.h"

namespace nearside::origin {

/// Counts of what this process has done of one kind. Any thread.
struct JobCounters {
  std::atomic<uint64_t> done{0};
  std::atomic<uint64_t> failed{0};  ///< attempts
  std::atomic<uint64_t> dead{0};    ///< of these, the last ones
  std::atomic<uint64_t> lost{0};    ///< leases that ended under the work
  std::atomic<uint64_t> given_back{0};
};

/// What came out of contents that were encoded. Any thread.
struct CompressCounters {
  std::atomic<uint64_t> variants{0};
  std::atomic<uint64_t> in_bytes{0};
  std::atomic<uint64_t> out_bytes{0};
};

/// Does the jobs of `node.jobs`, which is not null, on threads of its own that give way to those
/// that serve; another one makes jobs. Several processes may each have one over one queue.
class JobWorker {
 public:
  explicit JobWorker(Node& node)
      : node_(node), planner_(*node.metadata, *node.jobs, node.settings.jobs) {}
  ~JobWorker();
  void Start();
  /// Jobs under way are given back at the next look at whether to go on. Any thread.
  void RequestStop();
  /// No thread does or plans anything any more.
  bool idle() const { return running_.load() == 0; }

  /// Leases one and does it; false when there was none to do now. What the threads do.
  bool WorkOnce();
  /// Makes the jobs of what has changed; whether any were new.
  bool PlanOnce();
  const JobCounters& counters(std::string_view kind) const;
  void ExportMetrics(metrics::Registry& registry) const;

 private:
  void Work();
  void Plan();
  Status Do(const storage::LeasedJob& leased);
  void Conclude(const storage::LeasedJob& leased, const Status& result, milliseconds took);
  /// True when it is time to stop.
  bool WaitFor(milliseconds time);
  JobCounters& CountersOf(std::string_view kind);

  Node& node_;
  JobPlanner planner_;
  JobCounters compress_;
  JobCounters other_;  ///< of kinds that this version does not know
  CompressCounters compressed_;
  std::string plan_failure_;  ///< the last one logged; the planner's thread
  std::mutex mutex_;
  std::condition_variable changed_;
  std::atomic<bool> stopping_{false};
  std::atomic<int> running_{0};
  std::vector<std::thread> threads_;
};

/// How many jobs there are, by kind and state: for every process that has the queue.
void ExportJobCounts(storage::JobQueue& queue, metrics::Registry& registry);

}  // namespace nearside::origin
