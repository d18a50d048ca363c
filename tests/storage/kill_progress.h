#pragma once

// What the child of the kill test has done, in memory that it shares with the test: it is all there
// after a SIGKILL, to the last instruction.

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "runtime/clock.h"
#include "tests/storage/kill_script.h"

namespace nearside::storage {

inline constexpr uint64_t kKillLanes = 2;
inline constexpr uint64_t kMostKillOperations = 1 << 16;

/// Zero means nothing yet. Numbers of operations begin with 1.
struct KillProgress {
  struct Done {  ///< how it was when an operation returned
    std::atomic<int64_t> at;
    std::atomic<uint64_t> pulse;
    std::atomic<uint64_t> queued_bytes;  ///< for the writer
  };
  struct Lane {
    std::atomic<uint64_t> begun;    ///< the number of the newest operation
    std::atomic<uint64_t> done;     ///< the newest that has returned
    std::atomic<uint64_t> ended;    ///< it does no more
    std::atomic<uint64_t> flushed;  ///< durable, by a Flush that has returned
    std::array<Done, kMostKillOperations> operations;
  };
  std::array<Lane, kKillLanes> lanes;
  std::atomic<uint64_t> opened;   ///< the store is
  std::atomic<uint64_t> pulses;   ///< that have ended, see store_kill_child.cc
  std::atomic<uint64_t> evicted;  ///< from disk
  std::atomic<uint64_t> reads;    ///< objects that were read and compared
  std::atomic<uint64_t> wrong;    ///< of these; the first is described
  std::array<char, 256> first_wrong;
};

inline int64_t KillClock() { return MonoNow().time_since_epoch().count(); }

/// A file that is mapped by both; made by whoever comes first.
class SharedKillProgress {
 public:
  explicit SharedKillProgress(const std::string& path) {
    const int descriptor = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (descriptor < 0 || ftruncate(descriptor, sizeof(KillProgress)) != 0) std::abort();
    void* const mapped =
        mmap(nullptr, sizeof(KillProgress), PROT_READ | PROT_WRITE, MAP_SHARED, descriptor, 0);
    if (mapped == MAP_FAILED) std::abort();
    close(descriptor);
    progress_ = static_cast<KillProgress*>(mapped);
  }
  ~SharedKillProgress() { munmap(progress_, sizeof(KillProgress)); }
  SharedKillProgress(const SharedKillProgress&) = delete;
  SharedKillProgress& operator=(const SharedKillProgress&) = delete;
  KillProgress& operator*() const { return *progress_; }
  KillProgress* operator->() const { return progress_; }

 private:
  KillProgress* progress_;
};

}  // namespace nearside::storage
