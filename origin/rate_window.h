#pragma once

#include <chrono>
#include <cstdint>

namespace nearside::origin {

/// Whether bytes come fast enough, in each stretch of time anew: who was fast in the beginning may
/// not be slow for hours after it. Only the time counts in which the other side was waited for.
class RateWindow {
 public:
  /// So many bytes have come after so long a wait. True when a stretch of at least `length` (not 0)
  /// has ended in which fewer than `least` bytes a second came.
  bool IsSlow(uint64_t bytes, std::chrono::nanoseconds waited, uint64_t least,
              std::chrono::milliseconds length) {
    bytes_ += bytes;
    waited_ += waited;
    if (waited_ < length) return false;
    const double seconds = std::chrono::duration<double>(waited_).count();
    const bool slow = static_cast<double>(bytes_) < static_cast<double>(least) * seconds;
    *this = {};
    return slow;
  }

 private:
  uint64_t bytes_ = 0;
  std::chrono::nanoseconds waited_{0};
};

}  // namespace nearside::origin
