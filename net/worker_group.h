#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "net/event_loop.h"
#include "runtime/result.h"

namespace nearside::net {

/// SIGTERM, SIGINT, SIGHUP and SIGUSR2 as events of a loop (signalfd; BlockDaemonSignals was called
/// first).
class SignalWatch {
 public:
  struct Handlers {
    std::function<void()> on_terminate;  ///< SIGTERM or SIGINT
    std::function<void()> on_reload;     ///< SIGHUP
    std::function<void()> on_upgrade;    ///< SIGUSR2; null: it is passed over
  };
  static Result<std::unique_ptr<SignalWatch>> Create(EventLoop& loop, Handlers handlers);
  virtual ~SignalWatch() = default;
};

/// N event loops on N threads. Owned by the main thread; Stop joins.
class WorkerGroup {
 public:
  /// Error: kSelf when loops cannot be made.
  static Result<std::unique_ptr<WorkerGroup>> Create(size_t workers);
  ~WorkerGroup();
  size_t size() const { return loops_.size(); }
  EventLoop& loop(size_t i) { return *loops_[i]; }
  /// Starts a thread for each loop; `setup(i)` runs first on that thread.
  void Start(const std::function<void(size_t)>& setup);
  /// Stops every loop and joins.
  void Stop();

 private:
  WorkerGroup() = default;
  std::vector<std::unique_ptr<EventLoop>> loops_;
  std::vector<std::thread> threads_;
};

}  // namespace nearside::net
