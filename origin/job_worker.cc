#include "origin/job_worker.h"

#include <sys/resource.h>

#include <algorithm>

#include "origin/compress_job.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

/// Of 19: what serves comes first, where there is anything to serve.
constexpr int kNiceness = 10;
/// A look at what there is to plan may take this part of the time.
constexpr int kPlanShare = 10;
/// So often within a lease it is renewed.
constexpr int kRenewals = 3;

struct JobCounterRow {
  std::string_view name;
  std::string_view help;
  std::atomic<uint64_t> JobCounters::*counter;
};
constexpr JobCounterRow kJobCounters[] = {
    {"nearside_origin_jobs_done_total", "Jobs done.", &JobCounters::done},
    {"nearside_origin_jobs_failed_total", "Attempts at jobs that failed.", &JobCounters::failed},
    {"nearside_origin_jobs_dead_total", "Jobs that failed for the last time.", &JobCounters::dead},
    {"nearside_origin_jobs_lost_total", "Jobs whose lease ended while they were under way.",
     &JobCounters::lost},
    {"nearside_origin_jobs_given_back_total", "Jobs given back because the process was to stop.",
     &JobCounters::given_back},
};

}  // namespace

JobWorker::~JobWorker() {
  RequestStop();
  for (std::thread& thread : threads_) thread.join();
}

void JobWorker::Start() {
  const int workers = node_.settings.jobs.concurrency;
  running_.store(workers + 1);
  threads_.emplace_back([this] { Plan(); });
  for (int i = 0; i < workers; ++i) threads_.emplace_back([this] { Work(); });
}

void JobWorker::RequestStop() {
  {
    std::lock_guard lock(mutex_);
    stopping_.store(true);
  }
  changed_.notify_all();
}

bool JobWorker::WaitFor(milliseconds time) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, time, [this] { return stopping_.load(); });
}

void JobWorker::Work() {
  // On Linux of the calling thread alone. When it is refused the work is done all the same.
  (void)::setpriority(PRIO_PROCESS, 0, kNiceness);
  while (!stopping_.load()) {
    if (!WorkOnce() && WaitFor(node_.settings.jobs.poll)) break;
  }
  --running_;
}

void JobWorker::Plan() {
  (void)::setpriority(PRIO_PROCESS, 0, kNiceness);
  milliseconds pause{0};
  while (!WaitFor(pause)) {
    const MonoTime begun = MonoNow();
    PlanOnce();
    const auto took = std::chrono::duration_cast<milliseconds>(MonoNow() - begun);
    pause = std::max(node_.settings.jobs.poll, kPlanShare * took);
  }
  --running_;
}

bool JobWorker::PlanOnce() {
  Result<size_t> added = planner_.Look();
  if (!added) {
    const std::string failure = added.error().ToString();
    if (failure != plan_failure_) Log(Level::kWarning, "jobs_not_planned", {{"error", failure}});
    plan_failure_ = failure;
    return false;
  }
  plan_failure_.clear();
  if (*added > 0) Log(Level::kInfo, "jobs_planned", {{"kind", kCompressKind}, {"jobs", *added}});
  return *added > 0;
}

bool JobWorker::WorkOnce() {
  Result<std::optional<storage::LeasedJob>> leased = node_.jobs->Lease(node_.settings.jobs.lease);
  if (!leased) {
    Log(Level::kError, "job_not_leased", {{"error", leased.error().ToString()}});
    return false;
  }
  if (!*leased) return false;
  const MonoTime begun = MonoNow();
  const Status result = Do(**leased);
  Conclude(**leased, result, std::chrono::duration_cast<milliseconds>(MonoNow() - begun));
  return true;
}

Status JobWorker::Do(const storage::LeasedJob& leased) {
  if (leased.job.kind != kCompressKind) {
    return Fail(Fault::kSelf, "unknown_job",
                "this version knows no jobs of the kind \"" + leased.job.kind + "\"");
  }
  const milliseconds lease = node_.settings.jobs.lease;
  MonoTime renewal = MonoNow() + lease / kRenewals;
  const auto keep_going = [&]() -> Status {
    if (stopping_.load()) return Fail(Fault::kSelf, "stopping", "the process is to stop");
    if (MonoNow() < renewal) return {};
    renewal = MonoNow() + lease / kRenewals;
    return node_.jobs->Renew(leased.lease, lease);
  };
  Result<Compressed> done = DoCompressJob(leased.job, *node_.metadata, *node_.blobs, keep_going);
  if (!done) return unexpected(std::move(done.error()));
  compressed_.variants += done->variants;
  compressed_.in_bytes += done->in_bytes;
  compressed_.out_bytes += done->out_bytes;
  return {};
}

void JobWorker::Conclude(const storage::LeasedJob& leased, const Status& result,
                         milliseconds took) {
  const storage::Job& job = leased.job;
  JobCounters& counters = CountersOf(job.kind);
  const std::string reason = result ? "" : result.error().reason;
  Status concluded;
  bool dead = false;
  if (result) {
    concluded = node_.jobs->Done(leased.lease);
    if (concluded) ++counters.done;
    Log(Level::kDebug, "job_done", {{"job", job.id}, {"key", job.key}, {"ms", took.count()}});
  } else if (reason == "stopping") {
    concluded = node_.jobs->GiveBack(leased.lease);
    if (concluded) ++counters.given_back;
  } else if (reason == "lease_lost") {
    concluded = result;
  } else {
    ++counters.failed;
    const Result<bool> failed = node_.jobs->Fail(leased.lease, result.error().ToString());
    if (!failed) concluded = unexpected(Error(failed.error()));
    dead = failed.value_or(false);
    if (dead) ++counters.dead;
    Log(dead ? Level::kError : Level::kWarning, dead ? "job_dead" : "job_failed",
        {{"job", job.id},
         {"key", job.key},
         {"attempt", job.attempts},
         {"error", result.error().ToString()}});
  }
  if (concluded) return;
  const bool lost = concluded.error().reason == "lease_lost";
  if (lost) ++counters.lost;
  Log(Level::kWarning, lost ? "job_lost" : "job_not_concluded",
      {{"job", job.id}, {"key", job.key}, {"error", concluded.error().ToString()}});
}

JobCounters& JobWorker::CountersOf(std::string_view kind) {
  return kind == kCompressKind ? compress_ : other_;
}
const JobCounters& JobWorker::counters(std::string_view kind) const {
  return kind == kCompressKind ? compress_ : other_;
}

void JobWorker::ExportMetrics(metrics::Registry& registry) const {
  for (const JobCounterRow& row : kJobCounters) {
    const std::pair<std::string_view, const JobCounters*> kinds[] = {{kCompressKind, &compress_},
                                                                     {"other", &other_}};
    for (const auto& [kind, counters] : kinds) {
      registry.CounterFrom(row.name, row.help, {{"kind", std::string(kind)}},
                           [counters = counters, counter = row.counter] {
                             return static_cast<double>((counters->*counter).load());
                           });
    }
  }
  registry.CounterFrom("nearside_origin_precompressed_total",
                       "Codings of contents that were tried beforehand.", {},
                       [this] { return static_cast<double>(compressed_.variants.load()); });
  registry.CounterFrom("nearside_origin_precompressed_in_bytes_total",
                       "Bytes of these contents, once for each coding.", {},
                       [this] { return static_cast<double>(compressed_.in_bytes.load()); });
  registry.CounterFrom("nearside_origin_precompressed_out_bytes_total",
                       "Bytes of the results that are kept: those that are smaller.", {},
                       [this] { return static_cast<double>(compressed_.out_bytes.load()); });
}

void ExportJobCounts(storage::JobQueue& queue, metrics::Registry& registry) {
  registry.GaugesFrom("nearside_origin_jobs", "Jobs in the queue, by kind and state.", [&queue] {
    std::vector<metrics::Registry::Sample> samples;
    Result<std::vector<storage::JobCount>> counts = queue.Counts();
    if (!counts) return samples;
    // What is missing cannot be watched.
    if (std::none_of(counts->begin(), counts->end(),
                     [](const storage::JobCount& count) { return count.kind == kCompressKind; })) {
      counts->push_back({.kind = std::string(kCompressKind)});
    }
    for (const storage::JobCount& count : *counts) {
      const std::pair<const char*, uint64_t> states[] = {
          {"waiting", count.waiting}, {"running", count.running}, {"dead", count.dead}};
      for (const auto& [state, jobs] : states) {
        samples.push_back({.labels = {{"kind", count.kind}, {"state", state}},
                           .value = static_cast<double>(jobs)});
      }
    }
    return samples;
  });
}

}  // namespace nearside::origin
