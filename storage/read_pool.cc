#include "storage/read_pool.h"

#include <pthread.h>

#include <algorithm>
#include <utility>

namespace nearside::storage {

namespace {

int64_t SteadyMillis() {
  return std::chrono::duration_cast<milliseconds>(MonoNow().time_since_epoch()).count();
}

}  // namespace

Status ReadSession::WithHeads(const std::function<Status(const LmdbTxn&)>& read) {
  return With(disk_.heads(), heads_, read);
}

Status ReadSession::WithChunks(const std::function<Status(const LmdbTxn&)>& read) {
  return With(disk_.chunks(), chunks_, read);
}

Status ReadSession::With(LmdbEnv& env, Snapshot& snapshot,
                         const std::function<Status(const LmdbTxn&)>& read) {
  if (snapshot.txn) {
    if (Status s = snapshot.txn->Renew(); !s) return s;
  } else {
    Result<LmdbReadTxn> txn = env.BeginRead();
    if (!txn) return tl::unexpected(txn.error());
    snapshot.txn.emplace(std::move(*txn));
  }
  snapshot.held_since.store(SteadyMillis(), std::memory_order_relaxed);
  Status status = read(*snapshot.txn);
  snapshot.txn->Reset();
  snapshot.held_since.store(0, std::memory_order_relaxed);
  return status;
}

void ReadSession::Drop() {
  heads_.txn.reset();
  chunks_.txn.reset();
}

ReadPool::ReadPool(StoreDisk& disk, Limits limits) : limits_(limits) {
  const unsigned threads = std::max(limits_.threads, 1u);
  running_.resize(threads);
  for (unsigned i = 0; i < threads; ++i) sessions_.push_back(std::make_unique<ReadSession>(disk));
  for (unsigned i = 0; i < threads; ++i) {
    threads_.emplace_back([this, i] { Run(*sessions_[i], i); });
  }
  watch_ = std::thread([this] { Watch(); });
}

ReadPool::~ReadPool() { Stop(); }

bool ReadPool::Push(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_ || tasks_.size() >= limits_.most_waiting ||
        std::ranges::all_of(running_,
                            [](const auto& task) { return task != nullptr && task->given_up; })) {
      return false;
    }
    tasks_.push_back(std::make_shared<Task>(Task{.job = std::move(job), .since = MonoNow()}));
    if (tasks_.size() == 1) watch_changed_.notify_one();
  }
  changed_.notify_one();
  return true;
}

size_t ReadPool::length() const {
  const std::lock_guard lock(mutex_);
  return tasks_.size();
}

void ReadPool::Run(ReadSession& session, size_t number) {
  pthread_setname_np(pthread_self(), "cache-reader");
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stop_ || suspended_ || !tasks_.empty(); });
    if (stop_) break;
    if (suspended_) {
      session.Drop();
      ++parked_;
      parked_changed_.notify_all();
      changed_.wait(lock, [this] { return stop_ || !suspended_; });
      --parked_;
      continue;
    }
    std::shared_ptr<Task> task = running_[number] = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    task->job(session.disk().is_open() ? &session : nullptr);
    lock.lock();
    running_[number].reset();
    lock.unlock();
    task.reset();  // what it holds goes without the lock
    lock.lock();
  }
  session.Drop();
}

/// Under the lock: those that have waited, or run, for too long. The waiting ones leave the queue.
std::vector<std::shared_ptr<ReadPool::Task>> ReadPool::TakeLate(MonoTime now) {
  std::vector<std::shared_ptr<Task>> late;
  for (const std::shared_ptr<Task>& task : running_) {
    if (task == nullptr || task->given_up || now - task->since < limits_.patience) continue;
    task->given_up = true;
    late.push_back(task);
  }
  for (; !tasks_.empty() && now - tasks_.front()->since >= limits_.patience; tasks_.pop_front()) {
    late.push_back(std::move(tasks_.front()));
  }
  return late;
}

/// A thread of its own: when a disk hangs, so do the readers and the writer.
void ReadPool::Watch() {
  pthread_setname_np(pthread_self(), "cache-watch");
  std::unique_lock lock(mutex_);
  while (!stop_) {
    const bool idle = tasks_.empty() && std::ranges::all_of(running_, [](const auto& task) {
                        return task == nullptr || task->given_up;
                      });
    if (idle) {
      watch_changed_.wait(lock);
      continue;
    }
    watch_changed_.wait_for(lock, limits_.patience / 8);
    std::vector<std::shared_ptr<Task>> late = TakeLate(MonoNow());
    if (late.empty()) continue;
    timed_out_.fetch_add(late.size(), std::memory_order_relaxed);
    lock.unlock();
    for (const std::shared_ptr<Task>& task : late) task->job(nullptr);
    late.clear();
    lock.lock();
  }
}

bool ReadPool::Suspend(milliseconds patience) {
  std::unique_lock lock(mutex_);
  suspended_ = true;
  changed_.notify_all();
  if (parked_changed_.wait_for(lock, patience, [this] { return parked_ == threads_.size(); })) {
    return true;
  }
  suspended_ = false;
  changed_.notify_all();
  return false;
}

void ReadPool::Resume() {
  {
    const std::lock_guard lock(mutex_);
    suspended_ = false;
  }
  changed_.notify_all();
}

void ReadPool::Stop() {
  {
    const std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  watch_changed_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  if (watch_.joinable()) watch_.join();
  for (const std::shared_ptr<Task>& task : std::exchange(tasks_, {})) task->job(nullptr);
}

milliseconds ReadPool::oldest_age() const {
  const int64_t now = SteadyMillis();
  int64_t oldest = now;
  for (const auto& session : sessions_) {
    for (const auto* snapshot : {&session->heads_, &session->chunks_}) {
      const int64_t since = snapshot->held_since.load(std::memory_order_relaxed);
      if (since != 0) oldest = std::min(oldest, since);
    }
  }
  return milliseconds(now - oldest);
}

}  // namespace nearside::storage
