#pragma once

// What a program writes to chosen files and when it has that synced, in order: whoever links
// disk_recorder.cc has its calls of write, pwrite, writev, ftruncate, fallocate, fsync, fdatasync
// and their like pass through it, those of shared libraries too.

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

namespace nearside::storage {

struct DiskEvent {
  enum class Kind {
    kWrite,    ///< `bytes` at `offset`: in the page cache, on disk at some time or never
    kGrow,     ///< the file has `size` bytes
    kSyncAll,  ///< the events of this file before number `covers` are on disk
    kSyncOne,  ///< event number `covers`, a write through an O_DSYNC descriptor, is on disk
  };
  Kind kind = Kind::kWrite;
  size_t file = 0;  ///< index into the recorder's paths
  uint64_t offset = 0;
  std::string bytes;
  uint64_t size = 0;
  size_t covers = 0;
};

/// Records from its making to Stop; one at a time. The files need not exist yet. One thread writes
/// to a file at a time, any thread asks for size().
class DiskRecorder {
 public:
  explicit DiskRecorder(std::vector<std::string> paths);
  ~DiskRecorder();
  DiskRecorder(const DiskRecorder&) = delete;
  DiskRecorder& operator=(const DiskRecorder&) = delete;

  /// Events so far: the number of the next one.
  size_t size() const;
  void Stop();
  /// After Stop.
  std::vector<DiskEvent> TakeEvents() { return std::move(events_); }
  /// What could not be recorded faithfully, or nothing. After Stop.
  const std::string& trouble() const { return trouble_; }

  // The calls, as they return.
  /// Index of the file that the descriptor is of, or of none: paths' size.
  size_t FileOf(int descriptor) const;
  size_t files() const { return paths_.size(); }
  void NoteWrite(size_t file, int descriptor, uint64_t offset, std::string bytes);
  void NoteSize(size_t file, uint64_t size, bool may_shrink);
  void NoteSync(size_t file, size_t covers);

 private:
  std::vector<std::string> paths_;
  mutable std::mutex mutex_;
  std::vector<DiskEvent> events_;
  std::vector<uint64_t> sizes_;
  std::string trouble_;
};

}  // namespace nearside::storage
