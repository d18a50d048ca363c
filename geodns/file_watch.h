#pragma once

#include <functional>
#include <span>
#include <string>
#include <vector>

#include "net/event_loop.h"
#include "runtime/file.h"

namespace nearside::geodns {

/// A file that was read, as it was before that.
struct FileSource {
  std::string path;
  FileStamp stamp;
  bool operator==(const FileSource&) const = default;
};

/// When files have changed, and stand still: a file that is written in place is seen at two looks
/// with the same stamp before it counts. Pure.
class FileChanges {
 public:
  FileChanges() = default;
  /// `in_force`: as they were read.
  explicit FileChanges(std::vector<FileSource> in_force)
      : told_(in_force), seen_(std::move(in_force)) {}
  /// Takes the stamps of now; true once for each new state of the files, good or bad.
  bool Look(std::vector<FileSource> now);
  std::span<const FileSource> files() const { return told_; }

 private:
  std::vector<FileSource> told_;
  std::vector<FileSource> seen_;
};

/// Looks at files all the time, by a stat each. Owned by the loop's thread.
class FileWatch {
 public:
  FileWatch(net::EventLoop& loop, std::function<void()> on_change);
  /// From now on these, as they were read; an interval of 0: none.
  void Watch(std::vector<FileSource> in_force, milliseconds interval);

 private:
  void Look();
  std::function<void()> on_change_;
  net::Timer timer_;
  milliseconds interval_{};
  FileChanges changes_;
};

}  // namespace nearside::geodns
