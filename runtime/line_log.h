#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "runtime/result.h"

namespace nearside {

/// Where access logs go: "off", "stdout", or a file. A thread of its own writes, so that nobody
/// who serves waits for a disk. Any thread.
class LineLog {
 public:
  /// Error: kOperator bad_access_log when the file cannot be opened.
  static Result<std::unique_ptr<LineLog>> Open(const std::string& target);
  /// Writes what is queued and ends the thread.
  ~LineLog();
  bool enabled() const { return enabled_; }
  /// Queues whole lines. Beyond kQueueBytes they are dropped and counted.
  void Write(std::string lines);
  /// Opens the file anew (after a rotation).
  void Reopen();
  uint64_t dropped() const;

 private:
  static constexpr size_t kQueueBytes = 16 << 20;
  LineLog(std::string target, int descriptor);
  void Serve();
  void WriteOut(const std::string& lines);
  const std::string target_;
  const bool enabled_;
  int descriptor_;  ///< the thread's, once it runs
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::string queue_;
  bool reopen_ = false;
  bool stop_ = false;
  uint64_t dropped_ = 0;
  std::thread thread_;
};

}  // namespace nearside
