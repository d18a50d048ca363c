#pragma once

#include <functional>
#include <string>
#include <thread>
#include <vector>

#include "geodns/world.h"
#include "net/event_loop.h"
#include "runtime/result.h"

namespace nearside::geodns {

/// What a reload has brought into force.
struct ReloadReport {
  size_t zones = 0;
  size_t places = 0;
  std::vector<std::string> need_restart;  ///< keys that were changed and take a restart

  /// {"reloaded": true, "zones": …, "places": …, "need_restart": […]}
  std::string ToJson() const;
};

/// Reads the settings again on a thread of its own, one reading at a time: a large database takes
/// seconds, in which health checks and everything else of the control loop go on. Control loop's
/// thread.
class Reloader {
 public:
  /// Brings what was read into force, or says why it stays as it was.
  using Apply = std::function<Result<ReloadReport>(Result<World>& loaded)>;
  using OnDone = std::function<void(const Result<ReloadReport>& report)>;

  /// `loop` outlives it.
  Reloader(net::EventLoop& loop, std::string config_file, Apply apply);
  /// Waits for the reading under way; nobody is told of it.
  ~Reloader();
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  /// `on_done` (may be null) hears of a reading that began after this call: the one under way may
  /// have read an older file.
  void Request(OnDone on_done);

 private:
  void Start();
  void OnLoaded(Result<World>& loaded);

  net::EventLoop& loop_;
  const std::string config_file_;
  const Apply apply_;
  std::thread loader_;
  std::vector<OnDone> waiting_;  ///< for the reading under way
  std::vector<OnDone> next_;     ///< for the one after it
  bool loading_ = false;
  bool again_ = false;
};

}  // namespace nearside::geodns
