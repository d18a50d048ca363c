#include "geodns/target_health.h"

namespace nearside::geodns {

bool TakeResult(const CheckResult& result, WallTime now, RiseAndFall* counter,
                TargetHealth* health) {
  PopState before = health->state();
  bool first = !health->known;
  health->checked_at = now;
  health->took = result.took;
  health->error = result.error;
  if (result.success) {
    health->drained = result.drained;
    health->lagging = result.lagging;
    health->load = result.load;
    health->lag = result.lag;
  }
  health->up = counter->Take(result.success, health->up, health->known);
  health->known = true;
  if (!health->up) {
    health->load.reset();
    health->lag.reset();
  }
  if (health->state() == before && !(first && !health->up)) return false;
  health->changed = now;
  return true;
}

}  // namespace nearside::geodns
