#include "edge/encoder_threads.h"

#include <system_error>
#include <utility>

#include "runtime/log.h"

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
  {
    const std::lock_guard lock(mutex_);
    jobs_.push_back(job);
    const bool too_few = jobs_.size() > idle_ && threads_.size() < most;
    if (too_few || threads_.empty()) AddThread();
    if (!threads_.empty()) return changed_.notify_one();
    jobs_.pop_back();
  }
  job();
}

void EncoderThreads::AddThread() {
  try {
    threads_.emplace_back([this] { Work(); });
  } catch (const std::system_error& error) {
    // The system has no more for us: those that there are go on, or else the caller.
    Log(Level::kWarning, "no_encoder_thread", {{"error", error.what()}});
  }
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
