#include "edge/origin_choice.h"

#include <algorithm>

namespace nearside::edge {
namespace {

using State = OriginCandidate::State;

/// The numbers of those that `fits` says yes to.
struct Shortlist {
  std::array<uint8_t, kMostOrigins> numbers;
  size_t size = 0;

  template <typename Fits>
  Shortlist(size_t count, const Fits& fits) {
    for (size_t i = 0; i < count; ++i) {
      if (fits(i)) numbers[size++] = static_cast<uint8_t>(i);
    }
  }
};

bool Has(OriginMask mask, size_t number) { return (mask >> number & 1) != 0; }

}  // namespace

std::optional<size_t> ChooseOrigin(std::span<const OriginCandidate> candidates, OriginMask tried,
                                   bool repeatable, const OriginDraws& draws) {
  const size_t count = std::min(candidates.size(), kMostOrigins);
  if (repeatable) {
    const Shortlist trials(
        count, [&](size_t i) { return candidates[i].state == State::kTrial && !Has(tried, i); });
    if (trials.size > 0) return trials.numbers[draws[0] % trials.size];
  }
  State best = State::kEjected;
  // When the good ones have failed this request, those left alone may have come back: the
  // alternative is an error.
  for (size_t i = 0; i < count; ++i) {
    if (!Has(tried, i)) best = std::min(best, candidates[i].state);
  }
  const Shortlist fit(count,
                      [&](size_t i) { return candidates[i].state == best && !Has(tried, i); });
  if (fit.size == 0) return std::nullopt;
  const size_t first = draws[0] % fit.size;
  if (fit.size == 1) return fit.numbers[first];
  size_t second = draws[1] % (fit.size - 1);
  if (second >= first) ++second;
  const size_t one = fit.numbers[first];
  const size_t other = fit.numbers[second];
  return candidates[other].in_flight < candidates[one].in_flight ? other : one;
}

OriginMask MayBeChosen(std::span<const OriginCandidate> candidates) {
  const size_t count = std::min(candidates.size(), kMostOrigins);
  OriginMask trials = 0;
  State best = State::kEjected;
  for (size_t i = 0; i < count; ++i) {
    if (candidates[i].state == State::kTrial) trials |= OriginMask{1} << i;
    best = std::min(best, candidates[i].state);
  }
  if (trials != 0) return trials;
  const Shortlist fit(count, [&](size_t i) { return candidates[i].state == best; });
  OriginMask chosen = 0;
  for (size_t i = 0; i < fit.size; ++i) {
    // It wins against one that is as busy as it is.
    bool wins = fit.size == 1;
    for (size_t j = 0; j < fit.size; ++j) {
      wins = wins || (j != i &&
                      candidates[fit.numbers[i]].in_flight <= candidates[fit.numbers[j]].in_flight);
    }
    if (wins) chosen |= OriginMask{1} << fit.numbers[i];
  }
  return chosen;
}

State OriginStanding::StateAt(MonoTime now) const {
  if (!ejected_) return State::kUp;
  return on_trial_ || now < until_ ? State::kEjected : State::kTrial;
}

bool OriginStanding::Answer(bool trial, MonoTime now) {
  failures_ = 0;
  // What was asked before the ejection, or because nothing else was left, proves nothing of now.
  if (!ejected_ || !trial) return false;
  ejected_ = false;
  on_trial_ = false;
  cut_bodies_ = 0;
  returned_ = now;
  return true;
}

OriginStanding::Verdict OriginStanding::Fail(Failure failure, bool trial, bool last,
                                             const EjectionRules& rules, MonoTime now) {
  if (ejected_ && !trial) return Verdict::kStays;
  int& in_a_row = failure == Failure::kNoAnswer ? failures_ : cut_bodies_;
  ++in_a_row;
  if (!trial && in_a_row < rules.after) return Verdict::kStays;
  failures_ = cut_bodies_ = 0;
  if (!trial && last) return Verdict::kLast;
  // Well for as long as it was left alone: what was before is forgotten.
  const bool again = trial || now - returned_ < last_ejection_;
  last_ejection_ = again ? std::min(rules.most, last_ejection_ * 2) : rules.first;
  until_ = now + last_ejection_;
  ejected_ = true;
  on_trial_ = false;
  return Verdict::kEjected;
}

void OriginStanding::EndEjection(MonoTime now) {
  if (ejected_ && !on_trial_) until_ = std::min(until_, now);
}

RetryBudget::Second& RetryBudget::At(MonoTime now) {
  const int64_t number = std::chrono::floor<seconds>(now.time_since_epoch()).count();
  Second& second = seconds_[static_cast<uint64_t>(number) % kSeconds];
  if (second.number != number) second = {.number = number};
  return second;
}

bool RetryBudget::TakeRetry(int percent, MonoTime now) {
  Second& current = At(now);
  uint64_t requests = 0;
  uint64_t retries = 0;
  for (const Second& second : seconds_) {
    if (second.number < 0 || current.number - second.number >= kSeconds) continue;
    requests += second.requests;
    retries += second.retries;
  }
  if (retries >= kLeast + requests * static_cast<uint64_t>(percent) / 100) return false;
  ++current.retries;
  return true;
}

}  // namespace nearside::edge
