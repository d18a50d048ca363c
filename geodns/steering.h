#pragma once

// Which points of presence answer a client: pure choices over a place and the health of the moment.
//
// The order is always the same: the points that an override (or `unknown`, or the rule) prefers and
// that are up; the rule's others that are up; the fallback addresses while they are up; points that
// are up but drained; and when nothing at all is up, what would be answered if all were well (fail
// open: it is we who are cut off).

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "geodns/address.h"
#include "geodns/geo_map.h"
#include "geodns/place.h"

namespace nearside::geodns {

enum class Policy : uint8_t {
  kNearest,   ///< by great-circle distance
  kWeighted,  ///< by weight, sticky for one client network
  kFailover,  ///< in the order of the settings
};
std::string_view PolicyName(Policy policy);

/// Why an answer is what it is: for metrics, logs and explain.
enum class SteerReason : uint8_t {
  kNearest,
  kWeighted,
  kFailover,
  kOverride,  ///< an override matched and one of its points is up
  kUnknown,   ///< no database knows the client's place: the `unknown` list
  kSpare,     ///< what the override or `unknown` prefers is out: another point of the rule
  kFallback,  ///< no point is up: the fallback addresses
  kDrained,   ///< only drained points are left
  kFailOpen,  ///< nothing is up, not even the fallback; or nothing is known
};
inline constexpr size_t kSteerReasonCount = 9;
std::string_view SteerReasonName(SteerReason reason);

enum class PopState : uint8_t { kUp, kDrained, kDown };
std::string_view PopStateName(PopState state);

inline constexpr size_t kMaxOverrides = 64;
inline constexpr size_t kMaxAnswers = 16;

/// Points of presence by their number in the settings.
using Pops = std::vector<uint8_t>;

/// Matches when any of its lists does.
struct Override {
  std::vector<CountryCode> countries;
  std::vector<Continent> continents;
  std::vector<Network> networks;
  Pops pops;
  bool operator==(const Override&) const = default;
};

/// One [[zone.steer]] as far as the choice goes.
struct SteerRule {
  Policy policy = Policy::kNearest;
  Pops pops;
  size_t answers = 1;  ///< points of presence in one answer
  std::vector<Override> overrides;
  Pops unknown;  ///< empty: `pops` in their order
  bool has_fallback = false;
  bool operator==(const SteerRule&) const = default;
};

/// What is up. A value for one moment.
struct Health {
  std::vector<PopState> pops;
  bool fallback_is_up = true;
  /// Of the rule's points at least one has been checked, or needs no check. False after a reload
  /// that renews them all: being down is then assumed, and no reason to send everybody to the
  /// fallback.
  bool anything_known = true;
};

/// Points in the order in which they are wanted, before anyone looks at health.
struct Preference {
  Pops first;
  Pops then;  ///< the rule's others; nothing of `first`
  SteerReason reason = SteerReason::kNearest;
  int override_index = -1;  ///< which one matched
};

/// The points that health leaves, all equally good but for their order.
struct Usable {
  Pops pops;  ///< in the order of preference; empty: the fallback addresses
  Pops all;   ///< those that `pops` was left of, whatever their health
  SteerReason reason = SteerReason::kNearest;
};

struct Choice {
  Pops pops;  ///< empty: the fallback addresses
  SteerReason reason = SteerReason::kNearest;
};

/// `matched_networks` has a bit for each override one of whose networks the client is in (the place
/// cannot tell).
Preference Prefer(const SteerRule& rule, const Place& place, uint64_t matched_networks);

Usable FindUsable(const SteerRule& rule, const Preference& preference, const Health& health);

/// The answer for one client. `weights` has one for each point of presence and `client_hash` is of
/// the client's network; both count for kWeighted only, where the first pick stays the same while
/// that point is up, and only the clients of a point that goes down move.
Choice Choose(const SteerRule& rule, const Preference& preference, const Health& health,
              std::span<const uint32_t> weights, uint64_t client_hash);

/// Up to kMaxAnswers points, on the stack.
struct Drawn {
  std::array<uint8_t, kMaxAnswers> pops;
  size_t count = 0;
};
/// Draws `answers` of `usable` (a part of `all`). The first one is drawn among `all`, and again
/// among `usable` only when it is not there, so that it does not depend on the others' health.
/// Points of weight 0 come alone and only when there is no other. No allocation.
Drawn DrawByWeight(std::span<const uint8_t> all, std::span<const uint8_t> usable,
                   std::span<const uint32_t> weights, uint64_t client_hash, size_t answers);

/// Networks that kWeighted hashes: what a resolver discloses at most (RFC 7871 §11.1).
inline constexpr uint8_t kStickyBits4 = 24;
inline constexpr uint8_t kStickyBits6 = 56;
constexpr uint8_t StickyBits(const IpAddress& client) {
  return client.is_ipv6 ? kStickyBits6 : kStickyBits4;
}
/// The same for all addresses of a network.
uint64_t HashOfNetwork(const IpAddress& client, uint8_t prefix_bits);

}  // namespace nearside::geodns
