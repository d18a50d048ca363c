#pragma once

// Decides which share of its clients a loaded point of presence keeps. Pure: the time is an
// argument.
//
// A share takes effect late: resolvers keep an answer for its TTL, and the next check tells the
// load after that. So a share moves once in a settling time at most, by a bounded factor, half of
// the way to where the load would be in the middle of its band; inside the band nothing moves. Half
// of the way cannot oscillate while the clients at the margin weigh up to four times as much as
// their number says, and the band is wider than the largest step back.

#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "runtime/clock.h"

namespace nearside::geodns {

struct CapacityLimit {
  double most_load = 0;       ///< above it clients are given away; 0: no limit
  double take_back_load = 0;  ///< below it they are taken back
  milliseconds settle{};      ///< until a change of the share shows in the load

  bool operator==(const CapacityLimit&) const = default;
};

/// What is known of a point at the moment.
struct PopLoad {
  bool is_up = false;          ///< and takes clients
  std::optional<double> load;  ///< none: not told
};

/// Any one thread.
class CapacityControl {
 public:
  static constexpr double kLeastShare = 0.05;
  static constexpr double kLargestStepDown = 0.75;  ///< factors of the share
  static constexpr double kLargestStepUp = 1.1;

  /// `kept`: the shares to begin with, in (0, 1]; without a limit it is 1.
  void SetLimits(std::vector<CapacityLimit> limits, std::span<const double> kept);
  /// Points that clients of a point would be given to at the moment, if it kept fewer of them.
  using TakersOf = std::function<std::vector<size_t>(size_t pop)>;
  /// To be called about once a second. Returns whether a share changed. A point whose load is not
  /// known keeps its share, and nobody gives clients away while none of its takers has room:
  /// `takers_of` is asked where a share is about to be lowered.
  bool Step(MonoTime now, std::span<const PopLoad> pops, const TakersOf& takers_of);

  const std::vector<double>& kept() const { return kept_; }

 private:
  struct State {
    std::optional<double> load;  ///< smoothed
    MonoTime seen{};
    MonoTime next_step{};
  };
  void Measure(size_t pop, MonoTime now, const PopLoad& told);
  bool SomebodyHasRoom(std::span<const size_t> takers, std::span<const PopLoad> pops) const;
  bool Move(size_t pop, double load, std::span<const PopLoad> pops, const TakersOf& takers_of);

  std::vector<CapacityLimit> limits_;
  std::vector<State> states_;
  std::vector<double> kept_;
};

}  // namespace nearside::geodns
