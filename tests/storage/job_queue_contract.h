#pragma once

// What every engine of JobQueue keeps to. An engine's test includes this and says how it is opened:
//
//   INSTANTIATE_TEST_SUITE_P(Lmdb, JobQueueContract, testing::Values(MakeLmdbEngine));

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "storage/job_queue.h"

namespace nearside::storage::test {

/// One queue, opened by one process at a time or by several.
class JobEngine {
 public:
  virtual ~JobEngine() = default;
  /// The same queue each time. A process opens it once.
  virtual std::unique_ptr<JobQueue> Open(const JobQueueOptions& options) = 0;
};

using MakeJobEngine = std::function<std::unique_ptr<JobEngine>()>;

class JobQueueContract : public testing::TestWithParam<MakeJobEngine> {
 protected:
  static constexpr milliseconds kLease = std::chrono::minutes(1);

  void SetUp() override { engine_ = GetParam()(); }

  JobQueueOptions Options() {
    JobQueueOptions options;
    options.attempts = 3;
    options.backoff = seconds(1);
    options.backoff_most = seconds(3);
    options.clock = [this] { return FromUnixMillis(now_ms_.load()); };
    return options;
  }
  JobQueue& Open(const JobQueueOptions& options) {
    queue_.reset();
    queue_ = engine_->Open(options);
    return *queue_;
  }
  JobQueue& Open() { return Open(Options()); }
  static NewJob JobOf(std::string key, milliseconds delay = milliseconds(0),
                      std::string kind = "compress") {
    return {std::move(kind), key, "payload of " + key, delay};
  }
  void Put(std::string key, milliseconds delay = milliseconds(0)) {
    const NewJob jobs[] = {JobOf(std::move(key), delay)};
    EXPECT_EQ(queue_->Put(jobs).value(), 1u);
  }
  std::string ReasonOfPut(const NewJob& job) {
    const NewJob jobs[] = {job};
    const Result<size_t> put = queue_->Put(jobs);
    return put ? "put " + std::to_string(*put) : put.error().reason;
  }
  std::optional<LeasedJob> Lease() {
    Result<std::optional<LeasedJob>> leased = queue_->Lease(kLease);
    EXPECT_TRUE(leased) << leased.error().ToString();
    return leased ? *leased : std::nullopt;
  }
  /// The key of the job that was leased; "-" when there was none.
  std::string LeaseKey() {
    const std::optional<LeasedJob> leased = Lease();
    return leased ? leased->job.key : "-";
  }
  static std::string ReasonOf(const Status& status) { return status ? "" : status.error().reason; }
  void Pass(milliseconds time) { now_ms_ += time.count(); }
  /// "compress 1 waiting 0 running 0 dead" of each kind.
  std::string Counted() {
    std::string text;
    const auto listed = queue_->Counts().value();
    for (const JobCount& count : listed) {
      text += (text.empty() ? "" : ", ") + count.kind + " " + std::to_string(count.waiting) +
              " waiting " + std::to_string(count.running) + " running " +
              std::to_string(count.dead) + " dead";
    }
    return text;
  }
  std::string Keys(bool dead) {
    std::string text;
    const auto listed = queue_->List(dead, 0, 100).value();
    for (const Job& job : listed) text += job.key + " ";
    return text;
  }
  /// Fails it as often as it may be tried.
  void Kill(const std::string& key) {
    for (int i = 0; i < 3; ++i) {
      const std::optional<LeasedJob> leased = Lease();
      ASSERT_TRUE(leased);
      ASSERT_EQ(leased->job.key, key);
      EXPECT_EQ(queue_->Fail(leased->lease, "poison").value(), i == 2);
      Pass(seconds(10));
    }
  }

  std::atomic<int64_t> now_ms_{1'800'000'000'000};
  std::unique_ptr<JobEngine> engine_;
  std::unique_ptr<JobQueue> queue_;
};

TEST_P(JobQueueContract, AJobIsLeasedOnceAndGoneWhenItIsDone) {
  Open();
  Put("a");
  const LeasedJob leased = Lease().value();
  EXPECT_EQ(leased.job.kind, "compress");
  EXPECT_EQ(leased.job.key, "a");
  EXPECT_EQ(leased.job.payload, "payload of a");
  EXPECT_EQ(leased.job.attempts, 1);
  EXPECT_EQ(leased.job.state, JobState::kRunning);
  EXPECT_EQ(ToUnixMillis(leased.job.created), now_ms_.load());
  EXPECT_EQ(ToUnixMillis(leased.job.tried), now_ms_.load());
  EXPECT_EQ(LeaseKey(), "-");
  EXPECT_EQ(Counted(), "compress 0 waiting 1 running 0 dead");
  ASSERT_TRUE(queue_->Done(leased.lease));
  EXPECT_EQ(Counted(), "compress 0 waiting 0 running 0 dead");
  Pass(std::chrono::hours(1));
  EXPECT_EQ(LeaseKey(), "-");
  EXPECT_EQ(ReasonOf(queue_->Done(leased.lease)), "lease_lost");
}

TEST_P(JobQueueContract, JobsOutliveTheQueueThatTookThemAndComeInTheirOrder) {
  Open();
  const NewJob jobs[] = {JobOf("a"), JobOf("b"), JobOf("c", milliseconds(0), "collect")};
  EXPECT_EQ(queue_->Put(jobs).value(), 3u);
  Open();
  EXPECT_EQ(Counted(), "collect 1 waiting 0 running 0 dead, compress 2 waiting 0 running 0 dead");
  EXPECT_EQ(Keys(false), "a b c ");
  for (const char* key : {"a", "b", "c", "-"}) EXPECT_EQ(LeaseKey(), key);
}

TEST_P(JobQueueContract, OneKeyIsOneJobUntilItIsDone) {
  Open();
  Put("a");
  const NewJob again[] = {JobOf("a"), JobOf("b"), JobOf("b")};
  EXPECT_EQ(queue_->Put(again).value(), 1u);
  const LeasedJob leased = Lease().value();
  EXPECT_EQ(ReasonOfPut(JobOf("a")), "put 0");
  ASSERT_TRUE(queue_->Done(leased.lease));
  EXPECT_EQ(ReasonOfPut(JobOf("a")), "put 1");
  EXPECT_EQ(Counted(), "compress 2 waiting 0 running 0 dead");
}

TEST_P(JobQueueContract, ADelayedJobWaitsForItsTimeAndHoldsUpNobody) {
  Open();
  Put("late", seconds(10));
  Put("now");
  EXPECT_EQ(LeaseKey(), "now");
  EXPECT_EQ(LeaseKey(), "-");
  Pass(seconds(10) - milliseconds(1));
  EXPECT_EQ(LeaseKey(), "-");
  Pass(milliseconds(1));
  EXPECT_EQ(LeaseKey(), "late");
}

TEST_P(JobQueueContract, ALeaseThatEndsGivesTheJobToAnother) {
  Open();
  Put("a");
  const LeasedJob first = Lease().value();
  Pass(kLease - milliseconds(1));
  EXPECT_EQ(LeaseKey(), "-");
  Pass(milliseconds(1));
  const LeasedJob second = Lease().value();
  EXPECT_EQ(second.job.key, "a");
  EXPECT_EQ(second.job.attempts, 2);
  // What the first one says of it counts no more.
  EXPECT_EQ(ReasonOf(queue_->Done(first.lease)), "lease_lost");
  EXPECT_EQ(ReasonOf(queue_->Renew(first.lease, kLease)), "lease_lost");
  EXPECT_EQ(ReasonOf(queue_->GiveBack(first.lease)), "lease_lost");
  EXPECT_EQ(queue_->Fail(first.lease, "x").error().reason, "lease_lost");
  EXPECT_EQ(Counted(), "compress 0 waiting 1 running 0 dead");
  EXPECT_TRUE(queue_->Done(second.lease));
}

TEST_P(JobQueueContract, ALeaseThatNobodyTookOverIsStillGood) {
  Open();
  Put("a");
  const LeasedJob leased = Lease().value();
  Pass(kLease * 2);
  EXPECT_TRUE(queue_->Done(leased.lease));
}

TEST_P(JobQueueContract, ARenewedLeaseHolds) {
  Open();
  Put("a");
  const LeasedJob leased = Lease().value();
  for (int i = 0; i < 5; ++i) {
    Pass(kLease / 2);
    ASSERT_TRUE(queue_->Renew(leased.lease, kLease));
    EXPECT_EQ(LeaseKey(), "-");
  }
  Pass(kLease);
  EXPECT_EQ(LeaseKey(), "a");
}

TEST_P(JobQueueContract, WhatFailsIsTriedLaterEachTimeAndThenDead) {
  Open();
  Put("a");
  Put("b");
  for (const milliseconds wait : {milliseconds(1000), milliseconds(2000)}) {
    const LeasedJob leased = Lease().value();
    ASSERT_EQ(leased.job.key, "a");
    EXPECT_FALSE(queue_->Fail(leased.lease, "no luck").value());
    const std::optional<LeasedJob> other = Lease();
    if (other) {
      EXPECT_EQ(other->job.key, "b");  // it holds up nobody
      EXPECT_TRUE(queue_->Done(other->lease));
    }
    Pass(wait - milliseconds(1));
    EXPECT_EQ(LeaseKey(), "-");
    Pass(milliseconds(1));
  }
  const LeasedJob last = Lease().value();
  EXPECT_EQ(last.job.attempts, 3);
  EXPECT_EQ(last.job.error, "no luck");
  EXPECT_TRUE(queue_->Fail(last.lease, std::string(2 * kJobErrorBytes, 'e')).value());
  Pass(std::chrono::hours(100));
  EXPECT_EQ(LeaseKey(), "-");
  EXPECT_EQ(Counted(), "compress 0 waiting 0 running 1 dead");
}

TEST_P(JobQueueContract, ADeadJobIsListedKeepsItsKeyAndBeginsAnewWhenItIsToldTo) {
  Open();
  Put("a");
  Kill("a");
  Put("b");
  EXPECT_EQ(Keys(true), "a ");
  EXPECT_EQ(Keys(false), "b ");
  const Job dead = queue_->List(true, 0, 10).value().front();
  EXPECT_EQ(dead.state, JobState::kDead);
  EXPECT_EQ(dead.error, "poison");
  EXPECT_EQ(dead.attempts, 3);
  EXPECT_EQ(dead.payload, "payload of a");
  EXPECT_EQ(ReasonOfPut(JobOf("a")), "put 0");
  Open();
  const Job retried = queue_->Retry(dead.id).value();
  EXPECT_EQ(retried.state, JobState::kWaiting);
  EXPECT_EQ(retried.attempts, 0);
  EXPECT_EQ(Counted(), "compress 2 waiting 0 running 0 dead");
  EXPECT_EQ(queue_->Retry(dead.id).error().reason, "job_not_dead");
  EXPECT_EQ(queue_->Retry(dead.id + 1000).error().reason, "no_such_job");
  std::set<std::string> keys = {LeaseKey(), LeaseKey()};
  EXPECT_THAT(keys, testing::ElementsAre("a", "b"));
}

TEST_P(JobQueueContract, AWorkerThatDiesEachTimeMakesAJobDeadToo) {
  Open();
  Put("killer");
  Put("other");
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(LeaseKey(), "killer");
    if (i == 0) {
      const LeasedJob other = Lease().value();
      EXPECT_TRUE(queue_->Done(other.lease));
    }
    Pass(kLease);
  }
  EXPECT_EQ(LeaseKey(), "-");
  EXPECT_EQ(Keys(true), "killer ");
  EXPECT_NE(queue_->List(true, 0, 1).value().front().error, "");
}

TEST_P(JobQueueContract, WhatIsGivenBackIsLeasedAtOnceAndHasLostNoAttempt) {
  Open();
  Put("a");
  for (int i = 0; i < 10; ++i) {
    const LeasedJob leased = Lease().value();
    EXPECT_EQ(leased.job.attempts, 1);
    ASSERT_TRUE(queue_->GiveBack(leased.lease));
  }
  EXPECT_EQ(Counted(), "compress 1 waiting 0 running 0 dead");
}

TEST_P(JobQueueContract, InputsAreBoundedAndMayHoldAnything) {
  Open();
  std::string any;
  for (int i = 0; i < 256; ++i) any += static_cast<char>(i);
  const std::string key = any.substr(0, kJobKeyBytes);
  const NewJob odd[] = {{"k", key, any + std::string(kJobPayloadBytes - 256, 'p'), {}}};
  EXPECT_EQ(queue_->Put(odd).value(), 1u);
  const LeasedJob leased = Lease().value();
  EXPECT_EQ(leased.job.key, key);
  EXPECT_EQ(leased.job.payload, odd[0].payload);
  EXPECT_EQ(ReasonOfPut({"", "k", "", {}}), "bad_job");
  EXPECT_EQ(ReasonOfPut({"Kind", "k", "", {}}), "bad_job");
  EXPECT_EQ(ReasonOfPut({std::string(kJobKindBytes + 1, 'k'), "k", "", {}}), "bad_job");
  EXPECT_EQ(ReasonOfPut({"k", "", "", {}}), "bad_job");
  EXPECT_EQ(ReasonOfPut({"k", std::string(kJobKeyBytes + 1, 'k'), "", {}}), "bad_job");
  EXPECT_EQ(ReasonOfPut({"k", "k", std::string(kJobPayloadBytes + 1, 'p'), {}}), "job_too_large");
  EXPECT_EQ(ReasonOfPut({std::string(kJobKindBytes, 'k'), "k", "", {}}), "put 1");
}

TEST_P(JobQueueContract, AFullQueueRefusesAllOfAPutAndTakesMoreWhenJobsAreDone) {
  JobQueueOptions options = Options();
  options.most = 3;
  Open(options);
  Put("a");
  Put("b");
  const NewJob two[] = {JobOf("c"), JobOf("d")};
  EXPECT_EQ(queue_->Put(two).error().reason, "job_queue_full");
  EXPECT_EQ(Keys(false), "a b ");
  Put("c");
  EXPECT_EQ(ReasonOfPut(JobOf("d")), "job_queue_full");
  EXPECT_EQ(ReasonOfPut(JobOf("a")), "put 0");  // it is there
  ASSERT_TRUE(queue_->Done(Lease()->lease));
  EXPECT_EQ(ReasonOfPut(JobOf("d")), "put 1");
}

TEST_P(JobQueueContract, OfTooManyDeadJobsTheOldestIsForgotten) {
  JobQueueOptions options = Options();
  options.most_dead = 2;
  Open(options);
  for (const char* key : {"a", "b", "c"}) {
    Put(key);
    Kill(key);
  }
  EXPECT_EQ(Keys(true), "b c ");
  EXPECT_EQ(Counted(), "compress 0 waiting 0 running 2 dead");
  EXPECT_EQ(ReasonOfPut(JobOf("a")), "put 1");
}

TEST_P(JobQueueContract, AListGoesOnBehindAnId) {
  Open();
  for (const char* key : {"a", "b", "c"}) Put(key);
  const std::vector<Job> first = queue_->List(false, 0, 2).value();
  ASSERT_EQ(first.size(), 2u);
  const std::vector<Job> rest = queue_->List(false, first.back().id, 2).value();
  ASSERT_EQ(rest.size(), 1u);
  EXPECT_EQ(rest.front().key, "c");
  EXPECT_TRUE(queue_->List(false, UINT64_MAX, 2).value().empty());
}

TEST_P(JobQueueContract, AClockThatIsSetBackHoldsUpNothing) {
  Open();
  Put("leased");
  EXPECT_EQ(LeaseKey(), "leased");
  Put("late", seconds(10));
  Pass(-std::chrono::hours(24 * 365));
  EXPECT_EQ(LeaseKey(), "-");
  Pass(seconds(10));
  EXPECT_EQ(LeaseKey(), "late");
  Pass(kLease - seconds(10));
  EXPECT_EQ(LeaseKey(), "leased");
}

TEST_P(JobQueueContract, AClockThatIsSetForwardAndBackCostsALeaseAndNothingElse) {
  Open();
  Put("a");
  const LeasedJob first = Lease().value();
  Pass(std::chrono::hours(24 * 365));
  const LeasedJob second = Lease().value();
  EXPECT_EQ(second.job.key, "a");
  Pass(-std::chrono::hours(24 * 365));
  EXPECT_EQ(LeaseKey(), "-");
  EXPECT_TRUE(queue_->Renew(second.lease, kLease));
  EXPECT_TRUE(queue_->Done(second.lease));
  Put("b");
  EXPECT_EQ(LeaseKey(), "b");
}

TEST_P(JobQueueContract, ManyThreadsEachGetJobsOfTheirOwn) {
  Open();
  constexpr int kJobs = 80;
  std::vector<NewJob> jobs;
  for (int i = 0; i < kJobs; ++i) jobs.push_back(JobOf("job-" + std::to_string(i)));
  ASSERT_EQ(queue_->Put(jobs).value(), size_t{kJobs});
  std::mutex mutex;
  std::multiset<std::string> done;
  std::vector<std::thread> threads;
  for (int t = 0; t < 8; ++t) {
    threads.emplace_back([&] {
      while (true) {
        const auto leased = queue_->Lease(kLease);
        if (!leased || !*leased) return;
        if (!queue_->Done((*leased)->lease)) return;
        const std::lock_guard lock(mutex);
        done.insert((*leased)->job.key);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(done.size(), size_t{kJobs});
  EXPECT_EQ(std::set<std::string>(done.begin(), done.end()).size(), size_t{kJobs});
}

TEST_P(JobQueueContract, AProcessThatIsKilledBetweenLeaseAndDoneLosesNoJob) {
  constexpr int kJobs = 40;
  int told[2];
  ASSERT_EQ(pipe(told), 0);
  const pid_t child = fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // Puts jobs, says so, and does them without end: the last one is always under way.
    auto queue = engine_->Open(Options());
    std::vector<NewJob> jobs;
    for (int i = 0; i < kJobs; ++i) jobs.push_back(JobOf("job-" + std::to_string(i)));
    if (!queue->Put(jobs)) _exit(1);
    while (true) {
      const auto leased = queue->Lease(kLease);
      if (!leased || !*leased) _exit(1);
      const std::string line = (*leased)->job.key + "\n";
      if (write(told[1], line.data(), line.size()) < 0) _exit(1);
      if (line == "job-20\n") pause();  // leased, and never done
      if (!queue->Done((*leased)->lease)) _exit(1);
    }
  }
  std::string text;
  while (text.find("job-20\n") == std::string::npos) {
    char bytes[256];
    const ssize_t got = read(told[0], bytes, sizeof bytes);
    ASSERT_GT(got, 0);
    text.append(bytes, static_cast<size_t>(got));
  }
  Open();  // beside it
  EXPECT_EQ(LeaseKey(), "job-21");
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  for (const int end : told) close(end);
  for (int i = 22; i < kJobs; ++i) EXPECT_EQ(LeaseKey(), "job-" + std::to_string(i));
  EXPECT_EQ(LeaseKey(), "-");
  Pass(kLease);
  const LeasedJob lost = Lease().value();
  EXPECT_EQ(lost.job.key, "job-20");
  EXPECT_EQ(lost.job.attempts, 2);
  EXPECT_EQ(Counted(), "compress 0 waiting 20 running 0 dead");
}

}  // namespace nearside::storage::test
