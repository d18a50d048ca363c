#pragma once

#include <string>
#include <string_view>
#include <unordered_map>

#include "runtime/clock.h"

namespace nearside::origin {

/// How often a client address may fail to say who it is: `most` times at once, then once each
/// `window` / `most` (a leaky bucket in its virtual scheduling form, ITU-T I.371). An IPv6 client
/// is its /64; what is no address (an account's name) stands for itself. One thread at a time.
class FailureLimit {
 public:
  static constexpr size_t kAddresses = 4096;  ///< remembered; then the most patient is forgotten

  /// 0: no limit.
  explicit FailureLimit(int most, bool loopback_too = false, milliseconds window = seconds(60))
      : most_(most), loopback_too_(loopback_too), window_(window) {}

  /// How long `address` must wait until it is looked at again; 0: not at all.
  milliseconds WaitOf(std::string_view address, MonoTime now) const;
  void Count(std::string_view address, MonoTime now);
  size_t size() const { return free_at_.size(); }

 private:
  bool Counts(std::string_view address) const;
  void MakeRoom(MonoTime now);

  const int most_;
  const bool loopback_too_;
  const milliseconds window_;
  /// When each address will have all its tries again.
  std::unordered_map<std::string, MonoTime> free_at_;
};

}  // namespace nearside::origin
