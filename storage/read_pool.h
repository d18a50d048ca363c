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
    std::atomic<uint64_t> held{0};       ///< id of the snapshot held, 0: none
    std::atomic<int64_t> held_since{0};  ///< steady clock's milliseconds
  };
  Status With(LmdbEnv& env, Snapshot& snapshot, const std::function<Status(const LmdbTxn&)>& read);
  void Drop();

  StoreDisk& disk_;
  Snapshot heads_;
  Snapshot chunks_;
};

class ReadPool {
 public:
  /// Gets null when it will not be run for want of a disk: the store closes or the disk is being
  /// replaced.
  using Job = std::function<void(ReadSession*)>;

  ReadPool(StoreDisk& disk, unsigned threads, size_t most_waiting);
  ~ReadPool();

  /// False when the queue is full: the job is not taken.
  bool Push(Job job);
  size_t length() const;

  /// Lets running jobs end and has every thread let go of the environments; jobs wait meanwhile.
  /// False when that took longer than `patience`: then nothing has changed. Resume after true.
  bool Suspend(milliseconds patience);
  void Resume();
  /// Runs what waits with null and ends the threads.
  void Stop();

  struct Oldest {
    std::optional<uint64_t> heads;  ///< least snapshot held
    std::optional<uint64_t> chunks;
    milliseconds age{0};  ///< how long the oldest of both has been held
  };
  Oldest oldest() const;

 private:
  void Run(ReadSession& session);

  const size_t most_waiting_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::condition_variable parked_changed_;
  std::deque<Job> jobs_;
  std::vector<std::unique_ptr<ReadSession>> sessions_;
  std::vector<std::thread> threads_;
  size_t parked_ = 0;
  bool suspended_ = false;
  bool stop_ = false;
};

}  // namespace nearside::storage
