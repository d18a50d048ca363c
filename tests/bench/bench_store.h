#pragma once

// What benchmarks of the store share.

#include <chrono>
#include <condition_variable>
#include <deque>
#include <fstream>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "storage/cache_store.h"

namespace nearside::bench {

/// Stands for what the edge builds of a head: so many bytes.
struct Payload final : storage::HeadPayload {
  size_t charge() const override { return 400; }
};
inline std::unique_ptr<const storage::HeadPayload> DecodePayload(const storage::Head&) {
  return std::make_unique<Payload>();
}

/// Lets one thread wait for what comes on another.
class Waiter final : public Executor {
 public:
  void Post(std::function<void()> task) override {
    const std::lock_guard lock(mutex_);
    tasks_.push_back(std::move(task));
    posted_.notify_one();  // with the lock held: whoever it wakes may destroy this
  }
  void RunOne() {
    std::function<void()> task;
    {
      std::unique_lock lock(mutex_);
      posted_.wait(lock, [this] { return !tasks_.empty(); });
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }

 private:
  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::function<void()>> tasks_;
};

inline double InMilliseconds(DurationHistogram::Duration duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

/// Bytes of the process that no file is behind: what the kernel cannot take back.
inline double AnonymousBytes() {
  std::string word;
  double kibibytes = 0;
  for (std::ifstream status("/proc/self/status"); status >> word;) {
    if (word == "RssAnon:") status >> kibibytes;
  }
  return kibibytes * 1024;
}

}  // namespace nearside::bench
