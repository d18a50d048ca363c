#include "edge/access_log.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <utility>

namespace nearside::edge {
namespace {

constexpr size_t kBufferBytes = 64 << 10;

int OpenTarget(const std::string& target) {
  if (target == "off") return -1;
  if (target == "stdout") return STDOUT_FILENO;
  return ::open(target.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
}

}  // namespace

std::string FormatEntry(const AccessEntry& entry) {
  nlohmann::ordered_json line = {
      {"time", FormatIsoTime(entry.time)},
      {"id", entry.id},
      {"client", entry.client},
      {"protocol", http::VersionName(entry.version)},
      {"method", entry.method},
      {"scheme", entry.scheme},
      {"host", entry.authority},
      {"target", entry.target},
      {"site", entry.site},
      {"status", entry.status},
      {"result", ResultClassName(ClassOf(entry.reason))},
      {"reason", ReasonName(entry.reason)},
      {"bytes", entry.body_bytes},
      {"duration_ms", entry.duration.count()},
      {"complete", entry.complete},
  };
  if (!entry.ended.empty()) line["ended"] = entry.ended;
  // Targets are bytes from clients: what is not UTF-8 is replaced rather than refused.
  return line.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Result<std::unique_ptr<AccessLog>> AccessLog::Open(const std::string& target) {
  const int descriptor = OpenTarget(target);
  if (descriptor < 0 && target != "off") {
    return Fail(
        Fault::kOperator, "bad_access_log",
        "edge.access_log: expected \"off\", \"stdout\" or a file that can be written, got \"" +
            target + "\": " + std::strerror(errno));
  }
  return std::unique_ptr<AccessLog>(new AccessLog(target, descriptor));
}

AccessLog::AccessLog(std::string target, int descriptor)
    : target_(std::move(target)), enabled_(descriptor >= 0), descriptor_(descriptor) {
  if (enabled_) thread_ = std::thread([this] { Serve(); });
}

AccessLog::~AccessLog() {
  if (!enabled_) return;
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_one();
  thread_.join();
  if (descriptor_ > STDERR_FILENO) ::close(descriptor_);
}

void AccessLog::Write(std::string lines) {
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

void AccessLog::Reopen() {
  {
    std::lock_guard lock(mutex_);
    reopen_ = true;
  }
  changed_.notify_one();
}

uint64_t AccessLog::dropped() const {
  std::lock_guard lock(mutex_);
  return dropped_;
}

void AccessLog::Serve() {
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

void AccessLog::WriteOut(const std::string& lines) {
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

AccessBuffer::~AccessBuffer() {
  loop_.CancelTurnEnd(this);
  OnTurnEnd();
}

void AccessBuffer::Add(const AccessEntry& entry) {
  lines_ += FormatEntry(entry);
  if (lines_.size() >= kBufferBytes) {
    OnTurnEnd();
  } else {
    loop_.AtTurnEnd(this);
  }
}

void AccessBuffer::OnTurnEnd() {
  if (lines_.empty()) return;
  log_.Write(std::exchange(lines_, {}));
}

}  // namespace nearside::edge
