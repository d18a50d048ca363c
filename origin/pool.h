#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_map>
#include <vector>

namespace nearside::origin {

/// Threads that may block, with a bounded queue before them. Each kind of work has a pool of its
/// own, so that slow uploads never keep visitors waiting; and of one pool no client gets more than
/// its share, so that one who sends a thousand slow uploads leaves room for the others. Any thread.
class Pool {
 public:
  /// `due_limit`: room behind the queue's limit for SubmitDue alone.
  Pool(size_t threads, size_t queue_limit, size_t due_limit = 0);
  /// Stops: what is queued is destroyed unrun, what runs is waited for.
  ~Pool();
  /// False when the queue is full, the client's half of it is, or the pool has stopped; the task is
  /// then destroyed. Clients take turns. A client's tasks run on half of the threads at most (one,
  /// if there is but one). Without a client, "", there is no share.
  bool Submit(std::function<void()> task, std::string_view client = {});
  /// For the end of a request that was begun, whose work is done and cannot be refused any more:
  /// new requests may have filled the queue meanwhile.
  bool SubmitDue(std::function<void()> task);
  void Stop();

  size_t threads() const { return threads_.size(); }
  size_t busy() const { return busy_.load(std::memory_order_relaxed); }
  size_t queued() const;

 private:
  struct Client {
    std::string name;
    std::deque<std::function<void()>> waiting;
    size_t running = 0;
    bool has_turn = false;  ///< stands in turns_
  };
  bool SubmitUpTo(size_t limit, std::function<void()> task, std::string_view client);
  void GiveTurn(Client* client);
  void Work();

  const size_t thread_share_;
  const size_t queue_limit_;
  const size_t due_limit_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::unordered_map<std::string, Client> clients_;  ///< those that have something here
  std::deque<Client*> turns_;                        ///< of clients whose next task may run
  size_t queued_ = 0;
  bool stopping_ = false;
  std::atomic<size_t> busy_{0};
  std::vector<std::thread> threads_;
};

}  // namespace nearside::origin
