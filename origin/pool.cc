#include "origin/pool.h"

namespace nearside::origin {

Pool::Pool(size_t threads, size_t queue_limit, size_t due_limit)
    : queue_limit_(queue_limit), due_limit_(due_limit) {
  threads_.reserve(threads);
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

Pool::~Pool() { Stop(); }

bool Pool::Submit(std::function<void()> task) { return SubmitUpTo(queue_limit_, std::move(task)); }

bool Pool::SubmitDue(std::function<void()> task) {
  return SubmitUpTo(queue_limit_ + due_limit_, std::move(task));
}

bool Pool::SubmitUpTo(size_t limit, std::function<void()> task) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_ || queue_.size() >= limit) return false;
    queue_.push_back(std::move(task));
  }
  changed_.notify_one();
  return true;
}

void Pool::Stop() {
  std::deque<std::function<void()>> unrun;
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    unrun.swap(queue_);
  }
  changed_.notify_all();
  unrun.clear();  // what has not begun lets go of its clients now, not when what runs is done
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

size_t Pool::queued() const {
  std::lock_guard lock(mutex_);
  return queue_.size();
}

void Pool::Work() {
  while (true) {
    std::function<void()> task;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [this] { return stopping_ || !queue_.empty(); });
      if (stopping_) return;
      task = std::move(queue_.front());
      queue_.pop_front();
      busy_.fetch_add(1, std::memory_order_relaxed);
    }
    task();
    task = nullptr;  // its captures die here, before the thread counts as idle
    busy_.fetch_sub(1, std::memory_order_relaxed);
  }
}

}  // namespace nearside::origin
