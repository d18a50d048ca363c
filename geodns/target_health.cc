#include "geodns/target_health.h"

namespace nearside::geodns {

bool RiseAndFall::Take(const CheckResult& result, WallTime now, TargetHealth* health) {
  PopState before = health->state();
  bool first = !health->known;
  health->checked_at = now;
  health->took = result.took;
  health->error = result.error;
  if (result.success) {
    health->drained = result.drained;
    health->load = result.load;
  }
  if (result.success == health->up) {
    in_a_row_ = 0;
  } else {
    int needed = !health->known ? 1 : health->up ? fall_ : rise_;
    if (++in_a_row_ >= needed) {
      health->up = result.success;
      in_a_row_ = 0;
    }
  }
  health->known = true;
  if (!health->up) health->load.reset();
  if (health->state() == before && !(first && !health->up)) return false;
  health->changed = now;
  return true;
}

}  // namespace nearside::geodns
