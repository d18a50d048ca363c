#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace nearside::edge {

/// Threads for work that would hold up an event loop for milliseconds and waits for nothing. They
/// are started as work comes. Any thread.
class EncoderThreads {
 public:
  EncoderThreads() = default;
  /// Waits for the jobs that run; those that have not begun are dropped.
  ~EncoderThreads();
  EncoderThreads(const EncoderThreads&) = delete;
  EncoderThreads& operator=(const EncoderThreads&) = delete;

  /// Runs `job` on one of `most` threads (at least one), jobs in the order in which they came. How
  /// many may wait is the callers' to limit. Where the system lets no thread begin, it runs here.
  void Run(std::function<void()> job, size_t most);
  /// Jobs that have not begun.
  size_t waiting() const;

 private:
  void Work();
  void AddThread();  ///< with the lock held

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  std::vector<std::thread> threads_;
  size_t idle_ = 0;  ///< threads that wait for a job
  bool stop_ = false;
};

}  // namespace nearside::edge
