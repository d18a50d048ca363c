#pragma once

// The threads that may wait for the disk. A job reads under a snapshot that ends with the read,
// never across anything that can stall: a snapshot pins every page freed after it.

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

#include "runtime/clock.h"
#include "storage/store_disk.h"

namespace nearside::storage {

/// One reader thread's way to the disk.
class ReadSession {
 public:
  explicit ReadSession(StoreDisk& disk) : disk_(disk) {}

  /// Runs `read` under a new snapshot of the heads, or the chunks, environment. Errors: LMDB's,
  /// read's.
  Status WithHeads(const std::function<Status(const LmdbTxn&)>& read);
  Status WithChunks(const std::function<Status(const LmdbTxn&)>& read);
  StoreDisk& disk() { return disk_; }

 private:
  friend class ReadPool;
  struct Snapshot {
    std::optional<LmdbReadTxn> txn;
    std::atomic<int64_t> held_since{0};  ///< steady clock's milliseconds; 0: none is held
  };
  Status With(LmdbEnv& env, Snapshot& snapshot, const std::function<Status(const LmdbTxn&)>& read);
  void Drop();

  StoreDisk& disk_;
  Snapshot heads_;
  Snapshot chunks_;
};

class ReadPool {
 public:
  /// Gets null when it will not be run for want of a disk: the store closes, the disk is being
  /// replaced or takes too long.
  using Job = std::function<void(ReadSession*)>;
  struct Limits {
    unsigned threads = 1;
    size_t most_waiting = 1024;
    /// A job that has waited and run for so long is called a second time with null, perhaps while
    /// it hangs.
    milliseconds patience{2000};
  };

  ReadPool(StoreDisk& disk, Limits limits);
  ~ReadPool();

  /// False when the queue is full, or every thread hangs in a job that was given up: the job is not
  /// taken.
  bool Push(Job job);
  uint64_t timed_out() const { return timed_out_.load(std::memory_order_relaxed); }
  size_t length() const;

  /// Lets running jobs end and has every thread let go of the environments; jobs wait meanwhile.
  /// False when that took longer than `patience`: then nothing has changed. Resume after true.
  bool Suspend(milliseconds patience);
  void Resume();
  /// Runs what waits with null and ends the threads.
  void Stop();

  /// How long the oldest snapshot of these threads has been held; zero when none is.
  milliseconds oldest_age() const;

 private:
  struct Task {
    Job job;
    MonoTime since{};
    bool given_up = false;  ///< guarded by mutex_
  };
  void Run(ReadSession& session, size_t number);
  void Watch();
  std::vector<std::shared_ptr<Task>> TakeLate(MonoTime now);

  const Limits limits_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable parked_changed_;
  std::deque<std::shared_ptr<Task>> tasks_;
  std::vector<std::shared_ptr<Task>> running_;  ///< by thread; null: idle
  std::vector<std::unique_ptr<ReadSession>> sessions_;
  std::vector<std::thread> threads_;
  std::thread watch_;
  std::condition_variable watch_changed_;
  std::atomic<uint64_t> timed_out_{0};
  size_t parked_ = 0;
  bool suspended_ = false;
  bool stop_ = false;
};

}  // namespace nearside::storage
