#include "edge/encoder_threads.h"

#include <utility>

namespace nearside::edge {

EncoderThreads::~EncoderThreads() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void EncoderThreads::Run(std::function<void()> job, size_t most) {
  const std::lock_guard lock(mutex_);
  jobs_.push_back(std::move(job));
  const bool too_few = jobs_.size() > idle_ && threads_.size() < most;
  if (too_few || threads_.empty()) threads_.emplace_back([this] { Work(); });
  changed_.notify_one();
}

size_t EncoderThreads::waiting() const {
  const std::lock_guard lock(mutex_);
  return jobs_.size();
}

void EncoderThreads::Work() {
  std::unique_lock lock(mutex_);
  while (true) {
    ++idle_;
    changed_.wait(lock, [this] { return stop_ || !jobs_.empty(); });
    --idle_;
    if (stop_) return;
    std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;  // what it holds may be large
    lock.lock();
  }
}

}  // namespace nearside::edge
