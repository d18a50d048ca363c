#include "storage/read_pool.h"

#include <pthread.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <utility>

#include "runtime/log.h"

namespace nearside::storage {

namespace {

int64_t SteadyMillis() {
  return std::chrono::duration_cast<milliseconds>(MonoNow().time_since_epoch()).count();
}

/// How often Stop looks whether a thread hangs, once it has lost its patience.
constexpr milliseconds kLookAgain{20};

}  // namespace

Status ReadSession::WithHeads(const std::function<Status(const LmdbTxn&)>& read) {
  return With(disk_.heads(), heads_, read);
}

Status ReadSession::WithChunks(const std::function<Status(const LmdbTxn&)>& read) {
  return With(disk_.chunks(), chunks_, read);
}

Status ReadSession::With(LmdbEnv& env, Snapshot& snapshot,
                         const std::function<Status(const LmdbTxn&)>& read) {
  const auto fail = [] {
    return Fail(Fault::kSelf, "closed", "the store was closed before the disk answered");
  };
  Place expected = Place::kOutside;
  if (!place_.compare_exchange_strong(expected, Place::kReading)) return fail();
  Status status = Read(env, snapshot, read);
  expected = Place::kReading;
  if (!place_.compare_exchange_strong(expected, Place::kOutside)) return fail();
  return status;
}

Status ReadSession::Read(LmdbEnv& env, Snapshot& snapshot,
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

bool ReadSession::Abandon() {
  Place expected = Place::kReading;
  return place_.compare_exchange_strong(expected, Place::kAbandoned);
}

void ReadSession::Drop() {
  heads_.txn.reset();
  chunks_.txn.reset();
}

/// Held by the pool and by each thread: one that is left behind takes nothing of the pool's.
struct ReadPool::Shared {
  Shared(StoreDisk& disk, Limits limits_of_pool, std::shared_ptr<const void> kept_for_threads)
      : kept(std::move(kept_for_threads)), limits(limits_of_pool) {
    running.resize(std::max(limits.threads, 1u));
    ended.resize(running.size());
    for (size_t i = 0; i < running.size(); ++i) {
      sessions.push_back(std::make_unique<ReadSession>(disk));
    }
  }
  std::vector<std::shared_ptr<Task>> TakeLate(MonoTime now);
  size_t Ended() const { return static_cast<size_t>(std::ranges::count(ended, true)); }

  const std::shared_ptr<const void> kept;  // goes last
  const Limits limits;
  std::vector<std::unique_ptr<ReadSession>> sessions;  ///< by thread; as many as there ever are
  std::atomic<uint64_t> timed_out{0};
  mutable std::mutex mutex;
  std::condition_variable changed;         ///< for readers: work, suspension, the end
  std::condition_variable parked_changed;  ///< for who waits for readers: parked, ended
  std::condition_variable watch_changed;
  // Guarded by mutex.
  std::deque<std::shared_ptr<Task>> tasks;
  std::vector<std::shared_ptr<Task>> running;  ///< by thread; null: idle
  std::vector<bool> ended;                     ///< by thread
  size_t parked = 0;
  bool suspended = false;
  bool stop = false;
  bool watch_rests = false;  ///< there is nothing to watch
};

ReadPool::ReadPool(StoreDisk& disk, Limits limits, std::shared_ptr<const void> kept)
    : shared_(std::make_shared<Shared>(disk, limits, std::move(kept))) {
  for (size_t i = 0; i < shared_->sessions.size(); ++i) {
    threads_.emplace_back([shared = shared_, i] { Run(*shared, i); });
  }
  watch_ = std::thread([shared = shared_] { Watch(*shared); });
}

ReadPool::~ReadPool() { Stop(); }

bool ReadPool::Push(Job job) {
  Shared& shared = *shared_;
  {
    const std::lock_guard lock(shared.mutex);
    if (shared.stop || shared.tasks.size() >= shared.limits.most_waiting ||
        std::ranges::all_of(shared.running,
                            [](const auto& task) { return task != nullptr && task->given_up; })) {
      return false;
    }
    shared.tasks.push_back(std::make_shared<Task>(Task{.job = std::move(job), .since = MonoNow()}));
    if (shared.watch_rests) shared.watch_changed.notify_one();
  }
  shared.changed.notify_one();
  return true;
}

uint64_t ReadPool::timed_out() const { return shared_->timed_out.load(std::memory_order_relaxed); }

size_t ReadPool::length() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->tasks.size();
}

void ReadPool::Run(Shared& shared, size_t number) {
  pthread_setname_np(pthread_self(), "cache-reader");
  ReadSession& session = *shared.sessions[number];
  std::unique_lock lock(shared.mutex);
  while (true) {
    shared.changed.wait(lock,
                        [&] { return shared.stop || shared.suspended || !shared.tasks.empty(); });
    if (shared.stop) break;
    if (shared.suspended) {
      session.Drop();
      ++shared.parked;
      shared.parked_changed.notify_all();
      shared.changed.wait(lock, [&] { return shared.stop || !shared.suspended; });
      --shared.parked;
      continue;
    }
    std::shared_ptr<Task> task = shared.running[number] = std::move(shared.tasks.front());
    shared.tasks.pop_front();
    lock.unlock();
    task->job(session.disk().is_open() ? &session : nullptr);
    lock.lock();
    shared.running[number].reset();
    lock.unlock();
    task.reset();  // what it holds goes without the lock
    lock.lock();
  }
  session.Drop();
  shared.ended[number] = true;
  shared.parked_changed.notify_all();
}

/// Under the lock: those that have waited, or run, for too long. The waiting ones leave the queue.
std::vector<std::shared_ptr<ReadPool::Task>> ReadPool::Shared::TakeLate(MonoTime now) {
  std::vector<std::shared_ptr<Task>> late;
  for (const std::shared_ptr<Task>& task : running) {
    if (task == nullptr || task->given_up || now - task->since < limits.patience) continue;
    task->given_up = true;
    late.push_back(task);
  }
  for (; !tasks.empty() && now - tasks.front()->since >= limits.patience; tasks.pop_front()) {
    late.push_back(std::move(tasks.front()));
  }
  return late;
}

/// A thread of its own: when a disk hangs, so do the readers and the writer.
void ReadPool::Watch(Shared& shared) {
  pthread_setname_np(pthread_self(), "cache-watch");
  std::unique_lock lock(shared.mutex);
  while (!shared.stop) {
    const bool idle = shared.tasks.empty() && std::ranges::all_of(shared.running, [](auto& task) {
                        return task == nullptr || task->given_up;
                      });
    if (idle) {
      shared.watch_rests = true;
      shared.watch_changed.wait(lock);
      shared.watch_rests = false;
      continue;
    }
    shared.watch_changed.wait_for(lock, shared.limits.patience / 8);
    if (shared.stop) break;  // Stop answers the rest
    std::vector<std::shared_ptr<Task>> late = shared.TakeLate(MonoNow());
    if (late.empty()) continue;
    lock.unlock();
    for (const std::shared_ptr<Task>& task : late) {
      // A job that has answered in this instant has not timed out.
      if (task->job(nullptr)) shared.timed_out.fetch_add(1, std::memory_order_relaxed);
    }
    late.clear();
    lock.lock();
  }
}

bool ReadPool::Suspend(milliseconds patience) {
  Shared& shared = *shared_;
  std::unique_lock lock(shared.mutex);
  shared.suspended = true;
  shared.changed.notify_all();
  if (shared.parked_changed.wait_for(lock, patience, [&] {
        return shared.parked + shared.Ended() == shared.sessions.size();
      })) {
    return true;
  }
  shared.suspended = false;
  shared.changed.notify_all();
  return false;
}

void ReadPool::Resume() {
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->suspended = false;
  }
  shared_->changed.notify_all();
}

void ReadPool::Stop() {
  if (threads_.empty()) return;
  Shared& shared = *shared_;
  std::vector<std::shared_ptr<Task>> unanswered;
  {
    const std::lock_guard lock(shared.mutex);
    shared.stop = true;
    for (const std::shared_ptr<Task>& task : shared.running) {
      if (task == nullptr || std::exchange(task->given_up, true)) continue;
      unanswered.push_back(task);
    }
    for (std::shared_ptr<Task>& task : std::exchange(shared.tasks, {})) {
      unanswered.push_back(std::move(task));
    }
  }
  shared.changed.notify_all();
  shared.watch_changed.notify_all();
  // Before anything that may wait for the disk.
  for (const std::shared_ptr<Task>& task : unanswered) task->job(nullptr);
  unanswered.clear();
  watch_.join();
  AwaitEnds(shared);
  for (size_t i = 0; i < threads_.size(); ++i) {
    if (shared.sessions[i]->abandoned()) {
      threads_[i].detach();
    } else {
      threads_[i].join();
    }
  }
  threads_.clear();
}

/// Until every thread has ended, or is abandoned: hangs in a read for longer than the patience. In
/// any other place a thread uses what is the store's owner's, and does not hang.
void ReadPool::AwaitEnds(Shared& shared) {
  const auto all_done = [&shared] {
    for (size_t i = 0; i < shared.sessions.size(); ++i) {
      if (!shared.ended[i] && !shared.sessions[i]->abandoned()) return false;
    }
    return true;
  };
  std::unique_lock lock(shared.mutex);
  milliseconds patience = shared.limits.stop_patience;
  size_t abandoned = 0;
  while (!shared.parked_changed.wait_for(lock, patience, all_done)) {
    patience = kLookAgain;
    if (shared.kept == nullptr) continue;
    for (const auto& session : shared.sessions) abandoned += session->Abandon() ? 1 : 0;
  }
  if (abandoned == 0) return;
  Log(Level::kError, "store_reader_abandoned",
      {{"readers", abandoned},
       {"effect", "they hang in the disk; the store's files stay open until it answers"}});
}

milliseconds ReadPool::oldest_age() const {
  const int64_t now = SteadyMillis();
  int64_t oldest = now;
  for (const auto& session : shared_->sessions) {
    for (const auto* snapshot : {&session->heads_, &session->chunks_}) {
      const int64_t since = snapshot->held_since.load(std::memory_order_relaxed);
      if (since != 0) oldest = std::min(oldest, since);
    }
  }
  return milliseconds(now - oldest);
}

}  // namespace nearside::storage
