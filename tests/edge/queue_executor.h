#pragma once

#include <deque>
#include <functional>
#include <mutex>
#include <utility>

#include "runtime/executor.h"

namespace nearside::edge {

/// Keeps what is posted until the test runs it. Any thread posts, one runs.
class QueueExecutor final : public Executor {
 public:
  void Post(std::function<void()> task) override {
    std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
  }
  /// Runs what is there now, but not what that posts, and answers how many they were.
  size_t Run() {
    std::deque<std::function<void()>> tasks;
    {
      std::lock_guard lock(mutex_);
      tasks.swap(tasks_);
    }
    for (auto& task : tasks) task();
    return tasks.size();
  }

 private:
  std::mutex mutex_;
  std::deque<std::function<void()>> tasks_;
};

}  // namespace nearside::edge
