#pragma once

// Which points of presence answer a client: pure choices over a place and the health of the moment.
//
// The order is always the same: the points that an override (or `unknown`, or the rule) prefers and
// that are up; the rule's others that are up; the fallback addresses while they are up; points that
// are up but drained; and when nothing at all is up, what would be answered if all were well (fail
// open: it is we who are cut off). With fewer points up than `min_healthy` the fallback addresses
// come first. Points over their capacity give some of their clients away (shedding.h).

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "geodns/address.h"
#include "geodns/geo_map.h"
#include "geodns/place.h"
#include "geodns/weighted_draw.h"

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
  kShed,      ///< a point that is nearer (or was drawn) is over its capacity
};
inline constexpr size_t kSteerReasonCount = 10;
std::string_view SteerReasonName(SteerReason reason);

enum class PopState : uint8_t { kUp, kDrained, kDown };
std::string_view PopStateName(PopState state);

inline constexpr size_t kMaxOverrides = 64;

/// Points of presence by their number in the settings.
using Pops = std::vector<uint8_t>;

/// Matches when any of its lists does.
struct Override {
  std::vector<CountryCode> countries;
  std::vector<Continent> continents;
  std::vector<Network> networks;
  std::vector<uint32_t> asns;  ///< autonomous systems
  Pops pops;
  bool operator==(const Override&) const = default;
};

/// One [[zone.steer]] as far as the choice goes.
struct SteerRule {
  Policy policy = Policy::kNearest;
  Pops pops;
  size_t answers = 1;  ///< points of presence in one answer
  /// By number: the points that lie near enough to be answered beside this one; empty: all do.
  std::vector<Pops> beside;
  std::vector<Override> overrides;
  Pops unknown;  ///< empty: `pops` in their order
  bool has_fallback = false;
  size_t min_healthy = 1;  ///< with fewer of `pops` up the fallback is preferred
  Pops only;               ///< all others are passed over; empty: nobody is
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
  /// The share of its clients that each point keeps, above 0 and at most 1; empty: all keep all.
  std::vector<double> kept;

  bool sheds() const;
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

/// Whom a client may be given to, in order: all that are up, where points that are up answer at all
/// (the fallback and fail open shed nothing).
Pops FindWanted(const SteerRule& rule, const Preference& preference, const Health& health);

/// Points that get the clients whom `pop` gives away, where this preference leads any to it: those
/// that come behind it for at least some of them. Empty as well when nobody is sent to `pop`, be it
/// that one in front of it takes all. `weights` as for Choose.
Pops FindTakers(const SteerRule& rule, const Preference& preference, const Health& health,
                std::span<const uint32_t> weights, uint8_t pop);

/// Every preference that the rule gives clients of some place: of a known one, of an unknown one,
/// and under each override. What the places are changes only the order within a preference.
std::vector<Preference> PreferencesOf(const SteerRule& rule);

/// The answer for a client whom the first `refusals` of FindWanted refused: of the preferred ones
/// that are left, else of the others.
Choice ChooseAfterRefusals(const SteerRule& rule, const Preference& preference,
                           const Health& health, size_t refusals);

/// The answer for one client. `weights` has one for each point of presence and `client_hash` is of
/// the client's network; both count for kWeighted only, where the first pick stays the same while
/// that point is up, and only the clients of a point that goes down move. Of shedding it knows that
/// of kWeighted: the other policies shed by comparing clients (SteerTable).
Choice Choose(const SteerRule& rule, const Preference& preference, const Health& health,
              std::span<const uint32_t> weights, uint64_t client_hash);

}  // namespace nearside::geodns
