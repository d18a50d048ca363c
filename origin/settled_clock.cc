#include "origin/settled_clock.h"

#include "runtime/log.h"

namespace nearside::origin {

WallTime SettledClock::Read(MonoTime now, WallTime wall_now) {
  std::lock_guard lock(mutex_);
  WallTime expected = wall_at_ + std::chrono::floor<milliseconds>(now - at_);
  if (ahead_ > milliseconds(0) && now >= held_since_ + 2 * period_) {
    expected += ahead_;  // what has come since the last call is still held back
    at_ = now;
    wall_at_ = expected;
    ahead_ = milliseconds(0);
  }
  const milliseconds ahead = wall_now - expected;
  const bool holds = ahead_ > milliseconds(0);
  if (!begun_ || ahead <= kLeastJump ||
      (holds && now >= held_until_ && ahead <= ahead_ + kLeastJump)) {
    begun_ = true;
    at_ = now;
    wall_at_ = wall_now;
    ahead_ = milliseconds(0);
    return wall_now;
  }
  if (ahead > ahead_ + kLeastJump) {
    if (!holds) held_since_ = now;
    held_until_ = now + period_;
    Log(Level::kWarning, "clock_jumped",
        {{"seconds", std::chrono::floor<seconds>(ahead - ahead_).count()},
         {"kept_longer", of_},
         {"for_s", std::chrono::floor<seconds>(period_).count()}});
  }
  ahead_ = ahead;
  return expected;
}

bool SettledClock::holds() const {
  std::lock_guard lock(mutex_);
  return ahead_ > milliseconds(0);
}

}  // namespace nearside::origin
