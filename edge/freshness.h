#pragma once

#include "runtime/clock.h"

namespace nearside::edge {

/// All that decides how long a stored response may be used, computed when it was received or
/// validated (RFC 9111 §4.2). A value.
struct Freshness {
  WallTime response_time;           ///< when it arrived
  milliseconds initial_age{};       ///< corrected_initial_age, §4.2.3
  milliseconds lifetime{};          ///< freshness_lifetime, §4.2.1
  milliseconds while_revalidate{};  ///< RFC 5861 §3 window behind the lifetime
  milliseconds if_error{};          ///< RFC 5861 §4 window behind the lifetime
  bool must_revalidate =
      false;  ///< never served stale: must-revalidate, proxy-revalidate, s-maxage
  bool always_validate = false;  ///< no-cache without field names
  bool heuristic = false;        ///< the lifetime is a guess, §4.2.2
  bool has_validator = false;    ///< ETag or Last-Modified

  /// current_age, §4.2.3. Never negative, also when the clock went back.
  milliseconds Age(WallTime now) const {
    const milliseconds resident = now > response_time ? now - response_time : milliseconds(0);
    return initial_age + resident;
  }
  /// What is left of the lifetime; negative once stale.
  milliseconds TimeToLive(WallTime now) const { return lifetime - Age(now); }
  bool IsFresh(WallTime now) const { return TimeToLive(now) > milliseconds(0); }
};

}  // namespace nearside::edge
