#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "edge/node.h"
#include "http/session/client.h"
#include "net/event_loop.h"
#include "net/resolver.h"

namespace nearside::edge {

/// Asks the origins of sites that want it whether they are well, and tells their OriginSets. The
/// control loop's thread; never a worker's.
class OriginChecks {
 public:
  /// `loop` and `resolver` outlive it.
  OriginChecks(net::EventLoop& loop, net::Resolver& resolver);
  ~OriginChecks();

  /// Checks the origins of this configuration from now on. Those that are checked as before go on
  /// as if nothing had happened; others are up until their first check, which comes at once.
  void Use(const Configuration& configuration);
  /// Checks finished so far.
  uint64_t done() const { return done_; }

 private:
  class Probe;
  std::shared_ptr<http::Client> ClientFor(const Site& site);

  net::EventLoop& loop_;
  net::Resolver& resolver_;
  std::vector<std::unique_ptr<Probe>> probes_;
  uint64_t done_ = 0;
};

}  // namespace nearside::edge
