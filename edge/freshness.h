#pragma once

#include <algorithm>

#include "runtime/clock.h"

namespace nearside::edge {

/// What a clock may be set back without anybody's notice, as by NTP.
inline constexpr seconds kUnnoticedStep{5};

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

  /// current_age, §4.2.3. Never negative, also when the clock went back. By more than a step, and
  /// how old it is nobody knows: it counts as just stale, and is validated.
  milliseconds Age(WallTime now) const {
    if (response_time - now > kUnnoticedStep) return std::max(initial_age, lifetime);
    const milliseconds resident = now > response_time ? now - response_time : milliseconds(0);
    return initial_age + resident;
  }
  /// What is left of the lifetime; negative once stale.
  milliseconds TimeToLive(WallTime now) const { return lifetime - Age(now); }
  bool IsFresh(WallTime now) const { return TimeToLive(now) > milliseconds(0); }
};

}  // namespace nearside::edge
