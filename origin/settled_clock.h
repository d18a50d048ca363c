#pragma once

// By which time what was left alone is removed. A wall clock that is set forward by a day would
// make everything a day old at once: uploads whose clients are about to go on, contents that a
// release is about to name. So a jump does not count before it has been there for as long as things
// may be left alone; until then who is still there has said so, and has been dated anew.

#include <mutex>
#include <string>

#include "runtime/clock.h"

namespace nearside::origin {

/// More than the monotonic clock has gone: the wall clock was set, or the machine slept.
inline constexpr seconds kLeastJump{5};

/// The wall clock, but for jumps forward in the last while. Any thread.
class SettledClock {
 public:
  /// `period`: for how long a jump is held back, which is how long things are kept; twice that,
  /// where further ones follow. `of`: they, for the log.
  SettledClock(std::string of, milliseconds period) : of_(std::move(of)), period_(period) {}

  /// The settled time. A jump between two calls is noticed, and one before the first is not.
  WallTime Read(MonoTime now, WallTime wall_now);
  /// Whether a jump is held back, as of the last call.
  bool holds() const;

 private:
  const std::string of_;
  const milliseconds period_;
  mutable std::mutex mutex_;
  bool begun_ = false;
  MonoTime at_;            ///< when the two clocks were last taken to agree
  WallTime wall_at_;       ///< and on what
  milliseconds ahead_{0};  ///< that the wall clock is, by jumps that are held back
  MonoTime held_since_;
  MonoTime held_until_;
};

}  // namespace nearside::origin
