#include "tests/storage/disk_recorder.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <utility>

namespace nearside::storage {

namespace {

std::atomic<DiskRecorder*> active_recorder{nullptr};

/// The definition after ours: a sanitizer's, or the C library's.
template <typename Function>
Function* Next(const char* name) {
  void* found = dlsym(RTLD_NEXT, name);
  if (found == nullptr) std::abort();
  return reinterpret_cast<Function*>(found);
}

/// A call on one descriptor, while it is recorded.
struct Recorded {
  explicit Recorded(int of) : descriptor(of), recorder(active_recorder.load()) {
    if (recorder != nullptr) file = recorder->FileOf(of);
    if (recorder != nullptr && file == recorder->files()) recorder = nullptr;
  }
  explicit operator bool() const { return recorder != nullptr; }
  void Write(uint64_t offset, std::string bytes) const {
    recorder->NoteWrite(file, descriptor, offset, std::move(bytes));
  }
  int descriptor;
  DiskRecorder* recorder;
  size_t file = 0;
};

std::string Joined(const iovec* parts, int count, ssize_t bytes) {
  std::string joined;
  for (int i = 0; i < count; ++i) {
    joined.append(static_cast<const char*>(parts[i].iov_base), parts[i].iov_len);
  }
  joined.resize(static_cast<size_t>(bytes));
  return joined;
}

int Sync(int descriptor, int (*next)(int)) {
  const Recorded recorded(descriptor);
  const size_t covers = recorded ? recorded.recorder->size() : 0;
  const int result = next(descriptor);
  if (recorded && result == 0) recorded.recorder->NoteSync(recorded.file, covers);
  return result;
}

uint64_t PositionOf(int descriptor) {
  return static_cast<uint64_t>(lseek(descriptor, 0, SEEK_CUR));
}

}  // namespace

DiskRecorder::DiskRecorder(std::vector<std::string> paths)
    : paths_(std::move(paths)), sizes_(paths_.size()) {
  DiskRecorder* none = nullptr;
  if (!active_recorder.compare_exchange_strong(none, this)) std::abort();
}

DiskRecorder::~DiskRecorder() { Stop(); }

void DiskRecorder::Stop() {
  DiskRecorder* self = this;
  active_recorder.compare_exchange_strong(self, nullptr);
}

size_t DiskRecorder::size() const {
  const std::lock_guard lock(mutex_);
  return events_.size();
}

size_t DiskRecorder::FileOf(int descriptor) const {
  struct stat of_descriptor {};
  if (fstat(descriptor, &of_descriptor) != 0 || !S_ISREG(of_descriptor.st_mode)) return files();
  size_t file = 0;
  for (; file < files(); ++file) {
    struct stat of_path {};
    if (stat(paths_[file].c_str(), &of_path) == 0 && of_path.st_dev == of_descriptor.st_dev &&
        of_path.st_ino == of_descriptor.st_ino) {
      break;
    }
  }
  return file;
}

void DiskRecorder::NoteWrite(size_t file, int descriptor, uint64_t offset, std::string bytes) {
  const bool synced = (fcntl(descriptor, F_GETFL) & O_DSYNC) != 0;  // O_SYNC has its bit as well
  const std::lock_guard lock(mutex_);
  sizes_[file] = std::max(sizes_[file], offset + bytes.size());
  events_.push_back({.file = file, .offset = offset, .bytes = std::move(bytes)});
  if (!synced) return;
  const size_t written = events_.size() - 1;
  events_.push_back({.kind = DiskEvent::Kind::kSyncOne, .file = file, .covers = written});
}

void DiskRecorder::NoteSize(size_t file, uint64_t size, bool may_shrink) {
  const std::lock_guard lock(mutex_);
  if (size < sizes_[file] && may_shrink) trouble_ = "a file was made shorter";
  if (size <= sizes_[file]) return;
  sizes_[file] = size;
  events_.push_back({.kind = DiskEvent::Kind::kGrow, .file = file, .size = size});
}

void DiskRecorder::NoteSync(size_t file, size_t covers) {
  const std::lock_guard lock(mutex_);
  events_.push_back({.kind = DiskEvent::Kind::kSyncAll, .file = file, .covers = covers});
}

}  // namespace nearside::storage

// The linker exports them, as liblmdb refers to them, and the executable's definitions come first.

using nearside::storage::Next;
using nearside::storage::Recorded;

extern "C" {

ssize_t write(int descriptor, const void* bytes, size_t count) {
  static auto* const next = Next<ssize_t(int, const void*, size_t)>("write");
  const Recorded recorded(descriptor);
  const uint64_t offset = recorded ? nearside::storage::PositionOf(descriptor) : 0;
  const ssize_t done = next(descriptor, bytes, count);
  if (recorded && done > 0) {
    recorded.Write(offset, {static_cast<const char*>(bytes), static_cast<size_t>(done)});
  }
  return done;
}

ssize_t pwrite(int descriptor, const void* bytes, size_t count, off_t offset) {
  static auto* const next = Next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  const Recorded recorded(descriptor);
  const ssize_t done = next(descriptor, bytes, count, offset);
  if (recorded && done > 0) {
    recorded.Write(static_cast<uint64_t>(offset),
                   {static_cast<const char*>(bytes), static_cast<size_t>(done)});
  }
  return done;
}

ssize_t pwrite64(int descriptor, const void* bytes, size_t count, off64_t offset) {
  return pwrite(descriptor, bytes, count, offset);
}

ssize_t writev(int descriptor, const iovec* parts, int count) {
  static auto* const next = Next<ssize_t(int, const iovec*, int)>("writev");
  const Recorded recorded(descriptor);
  const uint64_t offset = recorded ? nearside::storage::PositionOf(descriptor) : 0;
  const ssize_t done = next(descriptor, parts, count);
  if (recorded && done > 0) recorded.Write(offset, nearside::storage::Joined(parts, count, done));
  return done;
}

ssize_t pwritev(int descriptor, const iovec* parts, int count, off_t offset) {
  static auto* const next = Next<ssize_t(int, const iovec*, int, off_t)>("pwritev");
  const Recorded recorded(descriptor);
  const ssize_t done = next(descriptor, parts, count, offset);
  if (recorded && done > 0) {
    recorded.Write(static_cast<uint64_t>(offset), nearside::storage::Joined(parts, count, done));
  }
  return done;
}

int ftruncate(int descriptor, off_t size) noexcept {
  static auto* const next = Next<int(int, off_t)>("ftruncate");
  const Recorded recorded(descriptor);
  const int result = next(descriptor, size);
  if (recorded && result == 0) {
    recorded.recorder->NoteSize(recorded.file, static_cast<uint64_t>(size), /*may_shrink=*/true);
  }
  return result;
}

int fallocate(int descriptor, int mode, off_t offset, off_t bytes) {
  static auto* const next = Next<int(int, int, off_t, off_t)>("fallocate");
  const Recorded recorded(descriptor);
  const int result = next(descriptor, mode, offset, bytes);
  if (recorded && result == 0 && mode == 0) {
    recorded.recorder->NoteSize(recorded.file, static_cast<uint64_t>(offset + bytes),
                                /*may_shrink=*/false);
  }
  return result;
}

int fdatasync(int descriptor) {
  static auto* const next = Next<int(int)>("fdatasync");
  return nearside::storage::Sync(descriptor, next);
}

int fsync(int descriptor) {
  static auto* const next = Next<int(int)>("fsync");
  return nearside::storage::Sync(descriptor, next);
}

}  // extern "C"
