#pragma once

// A durable queue of jobs that need no answer. At least once: a job is done when whoever leased it
// says so, and is leased again when that one is not heard of in time, so doing one twice must be as
// good as once. A job that fails is tried again, later each time, and after so many attempts it
// goes to the list of dead ones, which nobody tries until somebody says so.
//
// The folder knows no kinds and no workers: what a payload means is for others to say. Every engine
// keeps the contract of tests/storage/job_queue_contract.h.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/clock.h"
#include "runtime/result.h"

namespace nearside::storage {

inline constexpr size_t kJobKindBytes = 32;
inline constexpr size_t kJobKeyBytes = 200;
inline constexpr size_t kJobPayloadBytes = 8 << 10;
inline constexpr size_t kJobErrorBytes = 500;

struct NewJob {
  std::string kind;  ///< 1 to kJobKindBytes of a-z, 0-9 and "_"
  /// 1 to kJobKeyBytes. While a job of this key is in the queue, waiting, leased or dead, another
  /// one is the same job.
  std::string key;
  std::string payload;    ///< opaque, kJobPayloadBytes at most
  milliseconds delay{0};  ///< not to be leased before
};

enum class JobState : uint8_t {
  kWaiting,  ///< to be leased now or later
  kRunning,  ///< leased, perhaps by somebody who is gone
  kDead,     ///< failed too often
};

struct Job {
  uint64_t id = 0;  ///< grows
  std::string kind;
  std::string key;
  std::string payload;
  JobState state = JobState::kWaiting;
  int attempts = 0;  ///< begun so far
  WallTime created;
  WallTime tried;     ///< when the last attempt began; 0: never
  std::string error;  ///< why the last one failed; "": it has not
};

/// The right to do a job, for a time.
struct JobLease {
  uint64_t job = 0;
  uint64_t number = 0;  ///< another one each time that the job is leased
};

struct LeasedJob {
  Job job;
  JobLease lease;
};

/// How many of a kind are there.
struct JobCount {
  std::string kind;
  uint64_t waiting = 0;
  uint64_t running = 0;
  uint64_t dead = 0;
};

struct JobQueueOptions {
  size_t most = 100'000;              ///< waiting and leased; then Put refuses
  size_t most_dead = 10'000;          ///< then the one that was put first is forgotten
  int attempts = 10;                  ///< before a job is dead
  milliseconds backoff = seconds(1);  ///< after the first attempt that failed; then twice as long
  milliseconds backoff_most = std::chrono::hours(1);
  std::function<WallTime()> clock = WallNow;
};

/// How long a job waits after its attempt number `attempts` has failed. Pure.
milliseconds BackoffAfter(int attempts, const JobQueueOptions& options);

/// Error: kClient bad_job, job_too_large.
Status CheckJob(const NewJob& job);

/// Any thread; calls block on the disk. Several processes may share one queue. What is answered
/// without an error is durable. Times are the queue's own and never go back: a clock that is set
/// back holds up nothing, one that is set forward ends leases and waits early. Errors: kSelf with
/// errno's name ("ENOSPC"), and those of the engine.
class JobQueue {
 public:
  /// By URL: "lmdb:FOLDER" (made when absent). Errors: kOperator bad_url, cannot_open.
  static Result<std::unique_ptr<JobQueue>> Open(std::string_view url,
                                                const JobQueueOptions& options);
  virtual ~JobQueue() = default;

  /// All that are new, or none; how many were. Errors: kClient bad_job, job_too_large; kSelf
  /// job_queue_full.
  virtual Result<size_t> Put(std::span<const NewJob> jobs) = 0;
  /// The job that has waited longest, for `time`; nullopt when there is none to do now.
  virtual Result<std::optional<LeasedJob>> Lease(milliseconds time) = 0;
  /// For `time` from now. Error: kClient lease_lost (it ended, and somebody else has or had the
  /// job): what is done under it is done in vain.
  virtual Status Renew(const JobLease& lease, milliseconds time) = 0;
  /// The job is gone, and its key free. Error: kClient lease_lost.
  virtual Status Done(const JobLease& lease) = 0;
  /// `error` is cut at kJobErrorBytes. Whether the job is dead now. Error: kClient lease_lost.
  virtual Result<bool> Fail(const JobLease& lease, std::string_view error) = 0;
  /// Somebody else is to do it, at once: as if it had not been leased. Error: kClient lease_lost.
  virtual Status GiveBack(const JobLease& lease) = 0;

  /// In the order of their ids, behind `after`: dead ones, or the others.
  virtual Result<std::vector<Job>> List(bool dead, uint64_t after, size_t limit) = 0;
  /// A dead job begins anew, with all its attempts. Errors: kClient no_such_job, job_not_dead;
  /// kSelf job_queue_full.
  virtual Result<Job> Retry(uint64_t id) = 0;
  /// By kind; those of which there were some and are none, too.
  virtual Result<std::vector<JobCount>> Counts() = 0;
};

}  // namespace nearside::storage
