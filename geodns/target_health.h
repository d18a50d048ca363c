#pragma once

#include <optional>
#include <string>
#include <vector>

#include "geodns/steering.h"
#include "runtime/clock.h"
#include "runtime/rise_and_fall.h"

namespace nearside::geodns {

/// What is known of a checked target (a point of presence, or fallback addresses).
struct TargetHealth {
  bool up = true;
  bool drained = false;  ///< it answers, and asks for no new clients
  bool lagging = false;  ///< it answers, and is too far behind the origin's purges
  bool known = false;    ///< told by a check, of this process or an earlier one; else assumed
  WallTime changed{};    ///< when the state last changed; the epoch: never
  WallTime checked_at{};
  milliseconds took{};  ///< of the last check
  std::optional<double> load;
  std::optional<double> lag;  ///< seconds behind the origin's purges
  std::string error;          ///< why the last check failed; empty: it did not

  PopState state() const {
    return !up ? PopState::kDown : drained || lagging ? PopState::kDrained : PopState::kUp;
  }
};

/// What one check found.
struct CheckResult {
  bool success = false;
  bool drained = false;
  bool lagging = false;
  std::optional<double> load;
  std::optional<double> lag;
  milliseconds took{};
  std::string error;
};

/// Takes a result into `health`; returns whether the state changed, or became known to be down.
/// The first result of a target that was never checked decides at once. Pure.
bool TakeResult(const CheckResult& result, WallTime now, RiseAndFall* counter,
                TargetHealth* health);

}  // namespace nearside::geodns
