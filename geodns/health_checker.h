#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "geodns/configuration.h"
#include "geodns/target_health.h"
#include "http/session/client.h"
#include "net/event_loop.h"
#include "net/resolver.h"
#include "runtime/metrics.h"

namespace nearside::geodns {

/// What a state file remembers of a target.
struct RememberedHealth {
  std::string url;
  bool up = true;
  bool drained = false;
  WallTime changed{};
};
using HealthMemory = std::map<std::string, RememberedHealth>;  ///< by CheckPlan::target

/// Checks every target at its interval, each check on a connection of its own, so that TCP, TLS and
/// the certificate are checked as well. Control loop's thread.
class HealthChecker {
 public:
  /// Told of a target whose state changed; targets() has it already.
  using OnChange = std::function<void(size_t target, PopState before)>;

  /// `loop`, `resolver` and `registry` outlive it.
  HealthChecker(net::EventLoop& loop, net::Resolver& resolver, metrics::Registry& registry,
                OnChange on_change);
  ~HealthChecker();

  /// Begins to check these. What `memory` does not remember under the same name and URL is taken to
  /// be up until its first check. Error: kOperator bad_certificate (a CA file).
  Status Start(const std::vector<CheckPlan>& plans, const HealthMemory& memory);
  /// Checks these from now on. Targets of the same name and URL keep what is known of them; with
  /// the same interval, rise and fall their checks and counts go on as if nothing had happened.
  /// Others are down until their first check: clients are better off where something is known to
  /// answer. Error: as Start, and everything stays as it was.
  Status Reload(const std::vector<CheckPlan>& plans);

  /// By number of the plan.
  std::vector<TargetHealth> Targets() const;
  HealthMemory Memory() const;
  /// Checks finished so far, for those who wait for the first round.
  uint64_t checks_done() const { return checks_done_; }

 private:
  class Probe;
  Status SetPlans(const std::vector<CheckPlan>& plans, std::map<std::string, TargetHealth> known,
                  const TargetHealth& unknown);
  Result<std::shared_ptr<http::Client>> ClientFor(const CheckPlan& plan);
  void OnChecked(Probe& probe, const CheckResult& result);

  net::EventLoop& loop_;
  net::Resolver& resolver_;
  OnChange on_change_;
  metrics::Cells* cells_;
  metrics::Id succeeded_;
  metrics::Id failed_;
  metrics::HistogramId seconds_;
  uint64_t checks_done_ = 0;
  /// By CA file; empty: the system's store; nullopt: cleartext.
  std::map<std::optional<std::string>, std::shared_ptr<http::Client>> clients_;
  std::vector<std::unique_ptr<Probe>> probes_;
};

/// The state file as text, and back. Error: kSelf bad_state for what ToText did not write.
std::string HealthMemoryToText(const HealthMemory& memory);
Result<HealthMemory> HealthMemoryFromText(std::string_view text);

}  // namespace nearside::geodns
