#pragma once

// The threads that may wait for the disk. A job reads under a snapshot that ends with the read,
// never across anything that can stall: a snapshot pins every page freed after it.

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
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
  /// The pool has been stopped without this thread, which hung in a read: nobody waits any more for
  /// what it finds, and what lies outside of what the pool keeps may be gone.
  bool abandoned() const { return place_.load() == Place::kAbandoned; }

 private:
  friend class ReadPool;
  struct Snapshot {
    std::optional<LmdbReadTxn> txn;
    std::atomic<int64_t> held_since{0};  ///< steady clock's milliseconds; 0: none is held
  };
  enum class Place : uint8_t { kOutside, kReading, kAbandoned };
  Status With(LmdbEnv& env, Snapshot& snapshot, const std::function<Status(const LmdbTxn&)>& read);
  Status Read(LmdbEnv& env, Snapshot& snapshot, const std::function<Status(const LmdbTxn&)>& read);
  /// False when the thread is not in a read. After true every read of it fails.
  bool Abandon();
  void Drop();

  StoreDisk& disk_;
  std::atomic<Place> place_{Place::kOutside};
  Snapshot heads_;
  Snapshot chunks_;
};

class ReadPool {
 public:
  /// Gets null when it will not be run for want of a disk: the store closes, the disk is being
  /// replaced or takes too long. Whether this call is the one that answered: a job may be called a
  /// second time, with null, while it runs.
  using Job = std::function<bool(ReadSession*)>;
  struct Limits {
    unsigned threads = 1;
    size_t most_waiting = 1024;
    /// A job that has waited and run for so long is called a second time with null, perhaps while
    /// it hangs.
    milliseconds patience{2000};
    /// Stop waits so long for threads that hang in a read.
    milliseconds stop_patience = kStopPatience;
  };
  static constexpr milliseconds kStopPatience{5000};

  /// `kept` lives as long as any of the threads, one that Stop has left behind included: the disk,
  /// and whatever the jobs use outside of their answers. Without it Stop leaves nobody behind.
  ReadPool(StoreDisk& disk, Limits limits, std::shared_ptr<const void> kept = nullptr);
  ~ReadPool();

  /// False when the queue is full, or every thread hangs in a job that was given up: the job is not
  /// taken.
  bool Push(Job job);
  /// Jobs that were answered for want of patience.
  uint64_t timed_out() const;
  size_t length() const;

  /// Lets running jobs end and has every thread let go of the environments; jobs wait meanwhile.
  /// False when that took longer than `patience`: then nothing has changed. Resume after true.
  bool Suspend(milliseconds patience);
  void Resume();
  /// Calls what waits, and what runs, with null and ends the threads. A thread that hangs in a read
  /// is left behind after `stop_patience`, logged: it ends by itself when the read does.
  void Stop();

  /// How long the oldest snapshot of these threads has been held; zero when none is.
  milliseconds oldest_age() const;

 private:
  struct Task {
    Job job;
    MonoTime since{};
    bool given_up = false;  ///< guarded by the mutex
  };
  struct Shared;
  static void Run(Shared& shared, size_t number);
  static void Watch(Shared& shared);
  static void AwaitEnds(Shared& shared);

  const std::shared_ptr<Shared> shared_;  ///< with the threads
  std::vector<std::thread> threads_;      ///< these two: of who makes and stops the pool
  std::thread watch_;
};

}  // namespace nearside::storage
