#include "geodns/file_watch.h"

#include <utility>

namespace nearside::geodns {

bool FileChanges::Look(std::vector<FileSource> now) {
  const bool stands_still = now == seen_;
  seen_ = std::move(now);
  if (!stands_still || seen_ == told_) return false;
  told_ = seen_;
  return true;
}

FileWatch::FileWatch(net::EventLoop& loop, std::function<void()> on_change)
    : on_change_(std::move(on_change)), timer_(loop, [this] { Look(); }) {}

void FileWatch::Watch(std::vector<FileSource> in_force, milliseconds interval) {
  changes_ = FileChanges(std::move(in_force));
  interval_ = interval;
  timer_.Disarm();
  if (interval_.count() > 0) timer_.Arm(interval_);
}

void FileWatch::Look() {
  std::vector<FileSource> now;
  for (const FileSource& file : changes_.files()) now.push_back({file.path, StampOf(file.path)});
  timer_.Arm(interval_);
  if (changes_.Look(std::move(now))) on_change_();
}

}  // namespace nearside::geodns
