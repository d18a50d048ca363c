#pragma once

#include <functional>

namespace nearside {

/// Somewhere a task can be run later: an event loop, or a plain queue in a test. Folders that must
/// not know of event loops (storage) take one of these to hand results back to the asking worker.
class Executor {
 public:
  virtual ~Executor() = default;
  /// Runs `task` once, later, on the executor's own thread, in the order posted. Any thread may
  /// call it. A task posted after the executor has stopped is destroyed unrun.
  virtual void Post(std::function<void()> task) = 0;
};

}  // namespace nearside
