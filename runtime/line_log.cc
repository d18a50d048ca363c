#include "runtime/line_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace nearside {
namespace {

int OpenTarget(const std::string& target) {
  if (target == "off") return -1;
  if (target == "stdout") return STDOUT_FILENO;
  return ::open(target.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

}  // namespace

Result<std::unique_ptr<LineLog>> LineLog::Open(const std::string& target) {
  const int descriptor = OpenTarget(target);
  if (descriptor < 0 && target != "off") {
    return Fail(Fault::kOperator, "bad_access_log",
                "expected \"off\", \"stdout\" or a file that can be written, got \"" + target +
                    "\": " + std::strerror(errno));
  }
  return std::unique_ptr<LineLog>(new LineLog(target, descriptor));
}

LineLog::LineLog(std::string target, int descriptor)
    : target_(std::move(target)), enabled_(descriptor >= 0), descriptor_(descriptor) {
  if (enabled_) thread_ = std::thread([this] { Serve(); });
}

LineLog::~LineLog() {
  if (!enabled_) return;
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  thread_.join();
  if (descriptor_ > STDERR_FILENO) ::close(descriptor_);
}

void LineLog::Write(std::string lines) {
  {
    std::lock_guard lock(mutex_);
    if (queue_.size() + lines.size() > kQueueBytes) {
      ++dropped_;
      return;
    }
    queue_ += lines;
  }
  changed_.notify_one();
}

void LineLog::Reopen() {
  {
    std::lock_guard lock(mutex_);
    reopen_ = true;
  }
  changed_.notify_one();
}

uint64_t LineLog::dropped() const {
  std::lock_guard lock(mutex_);
  return dropped_;
}

void LineLog::Serve() {
  std::string lines;
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stop_ || reopen_ || !queue_.empty(); });
    if (stop_ && queue_.empty()) return;
    const bool reopen = std::exchange(reopen_, false);
    lines.clear();
    lines.swap(queue_);
    lock.unlock();
    if (!lines.empty()) WriteOut(lines);
    if (reopen && descriptor_ > STDERR_FILENO) {
      // The old file goes on when the new one cannot be opened.
      if (const int fresh = OpenTarget(target_); fresh >= 0)
        ::close(std::exchange(descriptor_, fresh));
    }
    lock.lock();
  }
}

void LineLog::WriteOut(const std::string& lines) {
  std::string_view left = lines;
  while (!left.empty()) {
    const ssize_t written = ::write(descriptor_, left.data(), left.size());
    if (written < 0) {
      if (errno == EINTR) continue;
      std::lock_guard lock(mutex_);
      ++dropped_;
      return;
    }
    left.remove_prefix(static_cast<size_t>(written));
  }
}

}  // namespace nearside
