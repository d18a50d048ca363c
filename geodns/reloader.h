#pragma once

#include <cstdint>
#include <functional>
#include <optional>
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

/// What is read again. The greater one includes the lesser.
enum class Extent : uint8_t {
  kFiles,  ///< zone files and databases, under the settings in force
  kSettingsAndFiles,
};

/// Reads files again on a thread of its own, one reading at a time: a large database takes
/// seconds, in which health checks and everything else of the control loop go on. Control loop's
/// thread.
class Reloader {
 public:
  /// Called for each reading; what it returns is run on the other thread.
  using Prepare = std::function<std::function<Result<World>()>(Extent extent)>;
  /// Brings what was read into force, or says why it stays as it was.
  using Apply = std::function<Result<ReloadReport>(Result<World>& loaded)>;
  using OnDone = std::function<void(const Result<ReloadReport>& report)>;

  /// `loop` outlives it.
  Reloader(net::EventLoop& loop, Prepare prepare, Apply apply);
  /// Waits for the reading under way; nobody is told of it.
  ~Reloader();
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  /// `on_done` (may be null) hears of a reading that began after this call: the one under way may
  /// have read an older file.
  void Request(Extent extent, OnDone on_done);

 private:
  void Start(Extent extent);
  void OnLoaded(Result<World>& loaded);

  net::EventLoop& loop_;
  const Prepare prepare_;
  const Apply apply_;
  std::thread loader_;
  std::vector<OnDone> waiting_;  ///< for the reading under way
  std::vector<OnDone> next_;     ///< for the one after it
  bool loading_ = false;
  std::optional<Extent> again_;
};

}  // namespace nearside::geodns
