#include "geodns/capacity.h"

#include <algorithm>
#include <cmath>

namespace nearside::geodns {
namespace {

constexpr double kGain = 0.5;
/// A share so near to all is all.
constexpr double kNearlyAll = 0.99;
/// Settling times of the load's average: at the end of one it has forgotten what was before.
constexpr double kMemory = 0.25;

}  // namespace

void CapacityControl::SetLimits(std::vector<CapacityLimit> limits, std::span<const double> kept) {
  limits_ = std::move(limits);
  states_.assign(limits_.size(), State());
  kept_.assign(limits_.size(), 1);
  for (size_t i = 0; i < std::min(kept.size(), kept_.size()); ++i) {
    if (limits_[i].most_load > 0) kept_[i] = std::clamp(kept[i], kLeastShare, 1.0);
  }
}

bool CapacityControl::Step(MonoTime now, std::span<const PopLoad> pops, const TakersOf& takers_of) {
  for (size_t i = 0; i < limits_.size(); ++i) Measure(i, now, pops[i]);
  bool any = false;
  for (size_t i = 0; i < limits_.size(); ++i) {
    State& state = states_[i];
    if (limits_[i].most_load <= 0 || !state.load || now < state.next_step) continue;
    if (!Move(i, *state.load, pops, takers_of)) continue;
    state.next_step = now + limits_[i].settle;
    any = true;
  }
  return any;
}

void CapacityControl::Measure(size_t pop, MonoTime now, const PopLoad& told) {
  State& state = states_[pop];
  if (!told.is_up || !told.load) {
    state.load.reset();
    return;
  }
  if (!state.load) {
    // One glance is not to move anybody.
    state = {.load = told.load, .seen = now, .next_step = now + limits_[pop].settle};
    return;
  }
  double memory =
      kMemory * static_cast<double>(std::max(milliseconds(1), limits_[pop].settle).count());
  double passed = std::chrono::duration<double, std::milli>(now - state.seen).count();
  *state.load += (*told.load - *state.load) * (1 - std::exp(-passed / memory));
  state.seen = now;
}

/// Who sheds has no room, and who has a limit and tells no load may have none.
bool CapacityControl::SomebodyHasRoom(std::span<const size_t> takers,
                                      std::span<const PopLoad> pops) const {
  for (size_t i : takers) {
    if (!pops[i].is_up || kept_[i] < 1) continue;
    if (limits_[i].most_load <= 0) return true;
    if (states_[i].load && *states_[i].load < limits_[i].most_load) return true;
  }
  return false;
}

bool CapacityControl::Move(size_t pop, double load, std::span<const PopLoad> pops,
                           const TakersOf& takers_of) {
  const CapacityLimit& limit = limits_[pop];
  double middle = (limit.most_load + limit.take_back_load) / 2;
  double factor = load > 0 ? 1 + kGain * (middle / load - 1) : kLargestStepUp;
  double& kept = kept_[pop];
  double before = kept;
  if (load > limit.most_load) {
    if (kept <= kLeastShare || !SomebodyHasRoom(takers_of(pop), pops)) return false;
    kept = std::max(kLeastShare, kept * std::max(factor, kLargestStepDown));
  } else if (load < limit.take_back_load) {
    kept = std::min(1.0, kept * std::min(factor, kLargestStepUp));
    if (kept > kNearlyAll) kept = 1;
  }
  return kept != before;
}

}  // namespace nearside::geodns
