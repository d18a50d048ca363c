#pragma once

// A disk that fails, and one that is slow, on demand: whoever links disk_faults.cc has its calls of
// write, pwrite, writev, pwritev, fallocate, fsync and fdatasync pass through it, those of shared
// libraries too. Those on a cache's two files and on that of sessions fail as a test says; all
// others are left alone.

#include <cerrno>
#include <cstddef>
#include <cstdint>

namespace nearside::storage {

/// Told by the name at the end of the path that a descriptor has now: a file moved aside is
/// neither.
enum class StoreFile : uint8_t { kHeads, kChunks, kSessions };
inline constexpr size_t kStoreFiles = 3;

enum class DiskCall : uint8_t {
  kWrite,      ///< of pages
  kMetaWrite,  ///< by a descriptor opened with O_DSYNC: LMDB's meta page, the end of a commit
  kSync,
  kReserve,  ///< fallocate
};
inline constexpr size_t kDiskCalls = 4;

/// From its making to its End these calls fail. One for each file and kind of call at a time.
class DiskFault {
 public:
  struct What {
    StoreFile file = StoreFile::kHeads;
    DiskCall call = DiskCall::kWrite;
    int error = EIO;
    uint64_t times = ~uint64_t{0};  ///< so many calls, then the disk works again
  };
  explicit DiskFault(What what);
  ~DiskFault() { End(); }
  DiskFault(const DiskFault&) = delete;
  DiskFault& operator=(const DiskFault&) = delete;
  void End();
  /// Calls that it made fail.
  uint64_t failures() const;

 private:
  const What what_;
};

/// From its making to its End these calls wait. One for each file and kind of call at a time.
class DiskPause {
 public:
  DiskPause(StoreFile file, DiskCall call);
  ~DiskPause() { End(); }
  DiskPause(const DiskPause&) = delete;
  DiskPause& operator=(const DiskPause&) = delete;
  /// Until a call waits; false after half a minute without one.
  bool WaitUntilReached();
  void End();

 private:
  const StoreFile file_;
  const DiskCall call_;
};

/// Calls so far that were let through and have returned.
uint64_t DiskCallsDone(StoreFile file, DiskCall call);
/// Until there have been more than `count`; false after half a minute.
bool WaitForDiskCallAfter(StoreFile file, DiskCall call, uint64_t count);

}  // namespace nearside::storage
