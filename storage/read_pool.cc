#include "storage/read_pool.h"

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
  snapshot.held.store(std::max<uint64_t>(snapshot.txn->id(), 1), std::memory_order_release);
  Status status = read(*snapshot.txn);
  snapshot.txn->Reset();
  snapshot.held.store(0, std::memory_order_release);
  return status;
}

void ReadSession::Drop() {
  heads_.txn.reset();
  chunks_.txn.reset();
}

ReadPool::ReadPool(StoreDisk& disk, unsigned threads, size_t most_waiting)
    : most_waiting_(most_waiting) {
  for (unsigned i = 0; i < std::max(threads, 1u); ++i) {
    sessions_.push_back(std::make_unique<ReadSession>(disk));
  }
  for (const auto& session : sessions_) {
    threads_.emplace_back([this, &session = *session] { Run(session); });
  }
}

ReadPool::~ReadPool() { Stop(); }

bool ReadPool::Push(Job job) {
  {
    const std::lock_guard lock(mutex_);
    if (stop_ || jobs_.size() >= most_waiting_) return false;
    jobs_.push_back(std::move(job));
  }
  changed_.notify_one();
  return true;
}

size_t ReadPool::length() const {
  const std::lock_guard lock(mutex_);
  return jobs_.size();
}

void ReadPool::Run(ReadSession& session) {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stop_ || suspended_ || !jobs_.empty(); });
    if (stop_) break;
    if (suspended_) {
      session.Drop();
      ++parked_;
      parked_changed_.notify_all();
      changed_.wait(lock, [this] { return stop_ || !suspended_; });
      --parked_;
      continue;
    }
    Job job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job(session.disk().is_open() ? &session : nullptr);
    job = nullptr;  // what it holds goes before the lock comes back
    lock.lock();
  }
  session.Drop();
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
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  for (Job& job : std::exchange(jobs_, {})) job(nullptr);
}

ReadPool::Oldest ReadPool::oldest() const {
  Oldest oldest;
  const int64_t now = SteadyMillis();
  const auto note = [&](const ReadSession::Snapshot& snapshot, std::optional<uint64_t>& least) {
    const uint64_t held = snapshot.held.load(std::memory_order_acquire);
    if (held == 0) return;
    least = std::min(least.value_or(held), held);
    const milliseconds age{now - snapshot.held_since.load(std::memory_order_relaxed)};
    oldest.age = std::max(oldest.age, age);
  };
  for (const auto& session : sessions_) {
    note(session->heads_, oldest.heads);
    note(session->chunks_, oldest.chunks);
  }
  return oldest;
}

}  // namespace nearside::storage
