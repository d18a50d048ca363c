#pragma once

// Response rate limiting: how many answers a network gets over UDP, where the address of whoever
// asks may be forged. (The idea of BIND's and Knot's RRL; the rate is kept by the generic cell rate
// algorithm, ITU-T I.371, so that a network costs one timestamp.)

#include <array>
#include <cstdint>
#include <memory>

#include "geodns/address.h"
#include "runtime/clock.h"

namespace nearside::geodns {

struct RateLimits {
  uint32_t answers_per_second = 0;  ///< to one network, and so many at once; 0: no limit
  uint32_t slip = 2;  ///< every so many-th query over the limit is slipped; 0: all are dropped
  uint8_t ipv4_prefix = 24;
  uint8_t ipv6_prefix = 56;
  /// The same for the many networks of one larger network, whose addresses may all be forged to
  /// flood one victim; 0: no limit.
  uint32_t wide_answers_per_second = 0;
  uint8_t wide_ipv4_prefix = 16;
  uint8_t wide_ipv6_prefix = 32;
  uint32_t all_answers_per_second = 0;  ///< to everybody together; 0: no limit
};

/// Which limit it was, for counters.
enum class RateBound : uint8_t { kNetwork, kWide, kAll };
inline constexpr size_t kRateBoundCount = 3;

enum class RateVerdict : uint8_t {
  kAnswer,
  kSlip,  ///< a short answer that leads a real client to TCP
  kDrop,
};

/// Counts for the networks that asked last, in a table made once: constant time, no allocation.
/// Which networks share a set of the table depends on a secret key. Owned by one worker.
class RateLimiter {
 public:
  using Key = std::array<uint64_t, 2>;
  /// `networks` is rounded up to a power of two; 16 bytes each.
  RateLimiter(size_t networks, const Key& key);
  /// With a random key.
  explicit RateLimiter(size_t networks);

  struct Decision {
    RateVerdict verdict = RateVerdict::kAnswer;
    RateBound bound = RateBound::kNetwork;  ///< that was passed, unless it is kAnswer
  };
  /// Called for each query that the limits are for, with a clock that need not be finer than the
  /// loop's.
  Decision Decide(const IpAddress& client, const RateLimits& limits, MonoTime now);
  /// Networks that were forgotten while they still counted, to make room.
  uint64_t evicted() const { return evicted_; }

 private:
  static constexpr size_t kWays = 4;
  /// `full_at`, in nanoseconds of the monotonic clock: when the network will have used up nothing.
  struct Entry {
    uint32_t tag = 0;
    uint32_t limited = 0;
    int64_t full_at = 0;
  };
  struct alignas(64) Set {
    std::array<Entry, kWays> entries;
  };
  Entry& EntryFor(const IpAddress& client, uint8_t prefix, RateBound bound, int64_t now);
  static RateVerdict Take(Entry* entry, uint32_t per_second, uint32_t slip, int64_t now);

  const Key key_;
  size_t set_mask_;
  std::unique_ptr<Set[]> sets_;
  Entry all_;
  uint64_t evicted_ = 0;
};

}  // namespace nearside::geodns
