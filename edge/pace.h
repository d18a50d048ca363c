#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "runtime/clock.h"
#include "runtime/units.h"

namespace nearside::edge {

/// A bucket that fills with bytes at a rate and holds what comes in a tenth of a second (and 64 KiB
/// at least). Pure; one thread.
class Pace {
 public:
  /// 0 bytes a second: no limit.
  explicit Pace(ByteSize rate, MonoTime now) : rate_(rate.bytes), filled_at_(now) {
    level_ = Capacity();
  }
  void SetRate(ByteSize rate) {
    rate_ = rate.bytes;
    level_ = std::min(level_, Capacity());
  }
  /// How many of `wanted` bytes may be had now; they are taken.
  uint64_t Take(uint64_t wanted, MonoTime now) {
    if (rate_ == 0) return wanted;
    const std::chrono::duration<double> passed = now - filled_at_;
    const double full = static_cast<double>(rate_) * std::max(passed.count(), 0.0);
    const auto come = static_cast<uint64_t>(std::min(full, static_cast<double>(Capacity())));
    if (come > 0) {
      level_ = std::min(level_ + come, Capacity());
      filled_at_ = now;
    }
    const uint64_t taken = std::min(wanted, level_);
    level_ -= taken;
    return taken;
  }

 private:
  static constexpr uint64_t kLeast = 64 << 10;
  uint64_t Capacity() const { return std::max(rate_ / 10, kLeast); }

  uint64_t rate_;
  uint64_t level_ = 0;
  MonoTime filled_at_;
};

}  // namespace nearside::edge
