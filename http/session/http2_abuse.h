#pragma once

#include <cstdint>

#include "runtime/clock.h"

namespace nearside::http {

/// What a client may do on a connection that costs us and gains nobody anything, in tenths of a
/// point. A browser that cancels, pings and reprioritises stays far below the budget; a flood is
/// through it at once.
struct AbuseCost {
  static constexpr uint32_t kReset = 10;  ///< RST_STREAM by the client (CVE-2023-44487)
  static constexpr uint32_t kProvokedReset =
      10;  ///< RST_STREAM that it made us send (CVE-2025-8671)
  static constexpr uint32_t kPing = 10;
  static constexpr uint32_t kSettings = 10;
  static constexpr uint32_t kEmptyFrame = 10;  ///< DATA or CONTINUATION without content or end
  static constexpr uint32_t kPriority = 2;
  static constexpr uint32_t kWindowUpdate = 2;    ///< beyond what our DATA calls for
  static constexpr uint32_t kHeadTooLarge = 200;  ///< far beyond the limit: decoding it has cost us
};

/// A budget per connection that refills with time.
class AbuseBudget {
 public:
  /// `points` at first and at most, `refill` regained a second.
  AbuseBudget(uint32_t points, uint32_t refill, MonoTime now);
  /// False: spent.
  bool Spend(uint32_t tenths, MonoTime now);

 private:
  uint64_t most_;
  uint64_t refill_;
  uint64_t left_;
  MonoTime counted_;
};

/// WINDOW_UPDATE frames are honest as long as they go with DATA that we sent.
class WindowUpdateCredit {
 public:
  void OnDataSent();
  /// False: one too many.
  bool OnWindowUpdate();

 private:
  static constexpr uint32_t kFirst = 100;
  static constexpr uint32_t kPerDataFrame = 4;
  static constexpr uint32_t kMost = 1000;
  uint32_t credit_ = kFirst;
};

}  // namespace nearside::http
