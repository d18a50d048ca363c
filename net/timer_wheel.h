#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "net/event_loop.h"
#include "runtime/clock.h"

namespace nearside::net {

/// A hierarchical timing wheel (Varghese and Lauck, SOSP 1987, scheme 7): four levels of 256 slots,
/// so that insertion and removal are O(1) and a timer moves at most three times before it fires.
/// Spans 497 days; what is further off waits in the last level. Owned by one loop.
class TimerWheel {
 public:
  static constexpr milliseconds kTick{10};

  explicit TimerWheel(MonoTime now);
  /// It must not be in the wheel.
  void Insert(Timer* timer, MonoTime deadline);
  void Remove(Timer* timer);
  /// Takes out one timer whose deadline is not after `now`, or answers null when there is none
  /// left.
  Timer* PopExpired(MonoTime now);
  /// When PopExpired has to be called next: not later than the earliest deadline's tick. Empty:
  /// never.
  std::optional<MonoTime> NextWakeup() const;

 private:
  static constexpr int kLevels = 4;
  static constexpr int kSlotBits = 8;
  static constexpr uint64_t kSlots = 1 << kSlotBits;
  using Bitmap = std::array<uint64_t, kSlots / 64>;

  static uint64_t TickBefore(MonoTime time);  // the last tick that is not after `time`
  static uint64_t TickAfter(MonoTime time);   // the first tick that is not before `time`
  static uint64_t DistanceToNext(const Bitmap& bitmap, uint64_t slot);
  uint64_t NextTick() const;
  uint64_t FindNextTick() const;
  void Place(Timer* timer, uint64_t tick);
  void Link(Timer* timer, Timer** head);
  void Enter(uint64_t tick);

  std::array<Timer*, kLevels * kSlots> heads_{};
  std::array<Bitmap, kLevels> occupied_{};
  Timer* due_ = nullptr;
  uint64_t current_;                           // the last tick that was entered
  size_t waiting_ = 0;                         // timers in slots, without those due
  mutable std::optional<uint64_t> next_tick_;  // what FindNextTick found, as long as it holds
};

}  // namespace nearside::net
