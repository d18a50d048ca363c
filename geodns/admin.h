#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "geodns/snapshot.h"
#include "geodns/target_health.h"
#include "geodns/world.h"
#include "http/session/exchange.h"
#include "runtime/metrics.h"

namespace nearside::geodns {

/// The admin listener's requests: GET /healthz /metrics /status /explain?name=&client=. Control
/// loop's thread.
class Admin final : public http::Application {
 public:
  struct Sources {
    std::function<const World&()> world;
    std::function<std::shared_ptr<const Snapshot>()> snapshot;
    std::function<std::vector<TargetHealth>()> targets;
    const AliasResolver* aliases = nullptr;  ///< outlives this
    std::function<bool()> draining;
  };
  Admin(const metrics::Registry& registry, WallTime started, Sources sources);

  void OnRequest(http::Exchange& exchange) override;

 private:
  void Get(http::Exchange& exchange);
  void Post(http::Exchange& exchange);
  void Explain(http::Exchange& exchange);

  const metrics::Registry& registry_;
  const WallTime started_;
  const Sources sources_;
};

}  // namespace nearside::geodns
