#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace nearside::origin {

/// Threads that may block, with a bounded queue before them. Each kind of work has a pool of its
/// own, so that slow uploads never keep visitors waiting. Any thread.
class Pool {
 public:
  /// `due_limit`: room behind the queue's limit for SubmitDue alone.
  Pool(size_t threads, size_t queue_limit, size_t due_limit = 0);
  /// Stops: what is queued is destroyed unrun, what runs is waited for.
  ~Pool();
  /// False when the queue is full or the pool has stopped; the task is then destroyed.
  bool Submit(std::function<void()> task);
  /// For the end of a request that was begun, whose work is done and cannot be refused any more:
  /// new requests may have filled the queue meanwhile.
  bool SubmitDue(std::function<void()> task);
  void Stop();

  size_t threads() const { return threads_.size(); }
  size_t busy() const { return busy_.load(std::memory_order_relaxed); }
  size_t queued() const;

 private:
  bool SubmitUpTo(size_t limit, std::function<void()> task);
  void Work();

  const size_t queue_limit_;
  const size_t due_limit_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool stopping_ = false;
  std::atomic<size_t> busy_{0};
  std::vector<std::thread> threads_;
};

}  // namespace nearside::origin
