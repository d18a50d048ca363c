#pragma once

#include <cstdint>

#include "runtime/clock.h"

namespace nearside::net {

/// Whether the clients of a listener end their connections as soon as they have an answer, as those
/// with a single query do. Such a connection need not be watched: it is looked at once more in the
/// next turn, which the next client begins, and the thread is not woken for its end. Where they
/// stay, that look is for nothing, and what they send next waits for it; so a few are looked at to
/// learn which it is, and all only while nearly all of them end. Pure. One thread.
class PromptEnds {
 public:
  /// `within`: when the look comes at the latest. As long as connections are further apart than
  /// that, none is looked at: it would have to wait for so long, and there is little to save. 0:
  /// none ever.
  explicit PromptEnds(milliseconds within) : within_(within) {}

  milliseconds within() const { return within_; }
  /// Whether a connection that has been answered at `now` is to be looked at.
  bool ShouldLook(MonoTime now) {
    const bool are_many = now - last_ < within_;
    last_ = now;
    return are_many && (ended_ >= kMost || ++passed_ % kTrial == 0);
  }
  /// What a look has found.
  void Learn(bool has_ended) { ended_ += ((has_ended ? kAll : 0) - ended_) / kWeight; }

 private:
  static constexpr int kAll = 1 << 16;
  static constexpr int kMost = kAll / 8 * 7;
  static constexpr int kWeight = 16;      ///< one look's part in the share: 1/16
  static constexpr uint32_t kTrial = 16;  ///< one of so many is looked at to learn

  const milliseconds within_;
  int ended_ = 0;  ///< the share of them, of kAll
  uint32_t passed_ = 0;
  MonoTime last_;
};

}  // namespace nearside::net
