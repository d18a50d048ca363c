#pragma once

#include <functional>
#include <thread>

#include "geodns/simulation.h"
#include "net/event_loop.h"

namespace nearside::geodns {

/// Simulates on a thread of its own, one question at a time, so that checks and answers go on. The
/// loop's thread.
class SimulationDesk {
 public:
  using OnDone = std::function<void(Result<std::string>)>;
  /// `loop` outlives it.
  explicit SimulationDesk(net::EventLoop& loop) : loop_(loop) {}
  /// Waits for what is under way; `on_done` is not called any more.
  ~SimulationDesk();

  /// Calls `on_done` once, later, on the loop. Returns false when another question is under way.
  bool Ask(World world, std::shared_ptr<const Snapshot> snapshot, Moment moment,
           SimulationQuestion question, OnDone on_done);

 private:
  net::EventLoop& loop_;
  std::thread thread_;
  bool busy_ = false;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace nearside::geodns
