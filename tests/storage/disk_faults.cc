#include "tests/storage/disk_faults.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <optional>
#include <string_view>

#include "runtime/clock.h"

namespace nearside::storage {

namespace {

constexpr seconds kPatience{30};

/// What happens to one kind of call on one file.
struct Place {
  std::mutex mutex;
  std::condition_variable changed;
  int error = 0;
  uint64_t failures_left = 0;
  uint64_t failures = 0;
  uint64_t done = 0;
  bool paused = false;
  bool reached = false;
};

Place& PlaceOf(StoreFile file, DiskCall call) {
  static std::array<Place, kStoreFiles * kDiskCalls> places;
  return places[static_cast<size_t>(file) * kDiskCalls + static_cast<size_t>(call)];
}

/// The definition after ours: a sanitizer's, or the C library's.
template <typename Function>
Function* Next(const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  if (found == nullptr) std::abort();
  return reinterpret_cast<Function*>(found);
}

std::optional<StoreFile> FileOf(int descriptor) {
  std::array<char, 40> link{};
  std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", descriptor);
  std::array<char, PATH_MAX> path{};
  const ssize_t length = readlink(link.data(), path.data(), path.size());
  if (length <= 0) return std::nullopt;
  const std::string_view name(path.data(), static_cast<size_t>(length));
  if (name.ends_with("/heads.mdb")) return StoreFile::kHeads;
  if (name.ends_with("/chunks.mdb")) return StoreFile::kChunks;
  if (name.ends_with("/sessions.lmdb")) return StoreFile::kSessions;
  return std::nullopt;
}

DiskCall WriteBy(int descriptor) {
  const bool synced = (fcntl(descriptor, F_GETFL) & O_DSYNC) != 0;
  return synced ? DiskCall::kMetaWrite : DiskCall::kWrite;
}

/// A call on one descriptor, from before it to after it.
class Passage {
 public:
  Passage(int descriptor, DiskCall call) {
    if (const std::optional<StoreFile> file = FileOf(descriptor)) Enter(PlaceOf(*file, call));
  }
  static Passage ForWrite(int descriptor) { return {descriptor, WriteBy(descriptor)}; }
  ~Passage() {
    if (place_ == nullptr) return;
    const int error_number = errno;
    {
      const std::lock_guard lock(place_->mutex);
      ++place_->done;
    }
    place_->changed.notify_all();
    errno = error_number;
  }
  Passage(const Passage&) = delete;
  Passage& operator=(const Passage&) = delete;
  /// Then errno is set.
  bool fails() const { return fails_; }

 private:
  void Enter(Place& place) {
    std::unique_lock lock(place.mutex);
    if (place.paused) {
      place.reached = true;
      place.changed.notify_all();
      place.changed.wait(lock, [&] { return !place.paused; });
    }
    if (place.failures_left == 0) {
      place_ = &place;
      return;
    }
    --place.failures_left;
    ++place.failures;
    fails_ = true;
    errno = place.error;
  }
  Place* place_ = nullptr;  ///< null: no file of ours, or it fails
  bool fails_ = false;
};

}  // namespace

DiskFault::DiskFault(What what) : what_(what) {
  Place& place = PlaceOf(what.file, what.call);
  const std::lock_guard lock(place.mutex);
  place.error = what.error;
  place.failures_left = what.times;
  place.failures = 0;
}

void DiskFault::End() {
  Place& place = PlaceOf(what_.file, what_.call);
  const std::lock_guard lock(place.mutex);
  place.failures_left = 0;
}

uint64_t DiskFault::failures() const {
  Place& place = PlaceOf(what_.file, what_.call);
  const std::lock_guard lock(place.mutex);
  return place.failures;
}

DiskPause::DiskPause(StoreFile file, DiskCall call) : file_(file), call_(call) {
  Place& place = PlaceOf(file, call);
  const std::lock_guard lock(place.mutex);
  place.paused = true;
  place.reached = false;
}

bool DiskPause::WaitUntilReached() {
  Place& place = PlaceOf(file_, call_);
  std::unique_lock lock(place.mutex);
  return place.changed.wait_for(lock, kPatience, [&] { return place.reached; });
}

void DiskPause::End() {
  Place& place = PlaceOf(file_, call_);
  {
    const std::lock_guard lock(place.mutex);
    place.paused = false;
  }
  place.changed.notify_all();
}

uint64_t DiskCallsDone(StoreFile file, DiskCall call) {
  Place& place = PlaceOf(file, call);
  const std::lock_guard lock(place.mutex);
  return place.done;
}

bool WaitForDiskCallAfter(StoreFile file, DiskCall call, uint64_t count) {
  Place& place = PlaceOf(file, call);
  std::unique_lock lock(place.mutex);
  return place.changed.wait_for(lock, kPatience, [&] { return place.done > count; });
}

}  // namespace nearside::storage

// The linker exports them, as liblmdb refers to them, and the executable's definitions come first.

using nearside::storage::DiskCall;
using nearside::storage::Next;
using nearside::storage::Passage;

extern "C" {

ssize_t write(int descriptor, const void* bytes, size_t count) {
  static auto* const next = Next<ssize_t(int, const void*, size_t)>("write");
  const Passage passage = Passage::ForWrite(descriptor);
  return passage.fails() ? -1 : next(descriptor, bytes, count);
}

ssize_t pwrite(int descriptor, const void* bytes, size_t count, off_t offset) {
  static auto* const next = Next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  const Passage passage = Passage::ForWrite(descriptor);
  return passage.fails() ? -1 : next(descriptor, bytes, count, offset);
}

ssize_t pwrite64(int descriptor, const void* bytes, size_t count, off64_t offset) {
  return pwrite(descriptor, bytes, count, offset);
}

ssize_t writev(int descriptor, const iovec* parts, int count) {
  static auto* const next = Next<ssize_t(int, const iovec*, int)>("writev");
  const Passage passage = Passage::ForWrite(descriptor);
  return passage.fails() ? -1 : next(descriptor, parts, count);
}

ssize_t pwritev(int descriptor, const iovec* parts, int count, off_t offset) {
  static auto* const next = Next<ssize_t(int, const iovec*, int, off_t)>("pwritev");
  const Passage passage = Passage::ForWrite(descriptor);
  return passage.fails() ? -1 : next(descriptor, parts, count, offset);
}

int fallocate(int descriptor, int mode, off_t offset, off_t bytes) {
  static auto* const next = Next<int(int, int, off_t, off_t)>("fallocate");
  const Passage passage(descriptor, DiskCall::kReserve);
  return passage.fails() ? -1 : next(descriptor, mode, offset, bytes);
}

int fdatasync(int descriptor) {
  static auto* const next = Next<int(int)>("fdatasync");
  const Passage passage(descriptor, DiskCall::kSync);
  return passage.fails() ? -1 : next(descriptor);
}

int fsync(int descriptor) {
  static auto* const next = Next<int(int)>("fsync");
  const Passage passage(descriptor, DiskCall::kSync);
  return passage.fails() ? -1 : next(descriptor);
}

}  // extern "C"
