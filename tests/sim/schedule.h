#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <utility>

#include "runtime/clock.h"
#include "tests/sim/chance.h"

namespace nearside::sim {

/// Virtual time: what is to happen, in the order of its time and, at one time, as it was asked for.
class Schedule {
 public:
  MonoTime now() const { return now_; }
  /// Behind any real clock: what drops things by that one finds nothing to drop.
  WallTime wall_now() const {
    return FromUnixMillis(4'102'444'800'000) +
           std::chrono::floor<milliseconds>(now_ - MonoTime(kStart));
  }
  /// Since the start, for people.
  microseconds elapsed() const {
    return std::chrono::duration_cast<microseconds>(now_ - MonoTime(kStart));
  }
  void At(MonoTime when, std::function<void()> what) {
    due_.emplace(std::pair(std::max(when, now_), ++order_), std::move(what));
  }
  void After(microseconds span, std::function<void()> what) { At(now_ + span, std::move(what)); }
  /// Lets what is next happen; false: nothing is left before `end`, which it is then.
  bool Step(MonoTime end) {
    if (due_.empty() || due_.begin()->first.first > end) {
      now_ = std::max(now_, end);
      return false;
    }
    auto next = due_.extract(due_.begin());
    now_ = std::max(now_, next.key().first);
    next.mapped()();
    return true;
  }

 private:
  static constexpr seconds kStart{1'000'000};
  MonoTime now_{kStart};
  uint64_t order_ = 0;
  std::map<std::pair<MonoTime, uint64_t>, std::function<void()>> due_;
};

/// A machine's clock. It is wrong by something, and may be set while processes run by it. Owned by
/// the world.
class WallClock {
 public:
  explicit WallClock(const Schedule& schedule) : schedule_(schedule) {}
  WallTime now() const { return schedule_.wall_now() + error_; }
  milliseconds error() const { return error_; }
  /// It jumps.
  void Set(milliseconds error) { error_ = error; }

 private:
  const Schedule& schedule_;
  milliseconds error_{0};
};

}  // namespace nearside::sim
