#include "geodns/steering.h"

#include <algorithm>
#include <numeric>

namespace nearside::geodns {
namespace {

bool Contains(std::span<const uint8_t> pops, uint8_t pop) {
  return std::find(pops.begin(), pops.end(), pop) != pops.end();
}

template <typename T>
bool Contains(const std::vector<T>& list, const T& item) {
  return std::find(list.begin(), list.end(), item) != list.end();
}

/// The points of `pops` in the order that the policy gives them for a client at `place`.
Pops InOrder(const SteerRule& rule, const Place& place, const Pops& pops) {
  if (rule.policy != Policy::kNearest || place.ranking.empty()) return pops;
  Pops ordered;
  for (uint8_t pop : place.ranking) {
    if (Contains(std::span(pops), pop)) ordered.push_back(pop);
  }
  return ordered;
}

SteerReason ReasonOf(Policy policy) {
  switch (policy) {
    case Policy::kNearest:
      return SteerReason::kNearest;
    case Policy::kWeighted:
      return SteerReason::kWeighted;
    case Policy::kFailover:
      return SteerReason::kFailover;
  }
  return SteerReason::kNearest;
}

bool Matches(const Override& override, const Place& place) {
  return (place.country.is_set() && Contains(override.countries, place.country)) ||
         (place.asn != 0 && Contains(override.asns, place.asn)) ||
         (place.continent != Continent::kNone && Contains(override.continents, place.continent));
}

Pops InState(const Pops& pops, const Health& health, PopState state) {
  Pops kept;
  for (uint8_t pop : pops) {
    if (health.pops[pop] == state) kept.push_back(pop);
  }
  return kept;
}

void PassOver(const SteerRule& rule, Pops* pops) {
  if (rule.only.empty()) return;
  std::erase_if(*pops,
                [&](uint8_t pop) { return !Contains(std::span<const uint8_t>(rule.only), pop); });
}

/// As many of `wanted` as an answer has: the first one, and those that may stand beside it.
Pops TakeAnswers(const SteerRule& rule, std::span<const uint8_t> wanted) {
  Pops taken;
  for (uint8_t pop : wanted) {
    if (taken.size() == rule.answers) break;
    const bool fits = taken.empty() || rule.beside.empty() ||
                      Contains(std::span<const uint8_t>(rule.beside[taken.front()]), pop);
    if (fits) taken.push_back(pop);
  }
  return taken;
}

size_t CountUp(const Pops& pops, const Health& health) {
  return static_cast<size_t>(
      std::ranges::count_if(pops, [&](uint8_t pop) { return health.pops[pop] == PopState::kUp; }));
}

}  // namespace

std::string_view PolicyName(Policy policy) {
  switch (policy) {
    case Policy::kNearest:
      return "nearest";
    case Policy::kWeighted:
      return "weighted";
    case Policy::kFailover:
      return "failover";
  }
  return "unknown";
}

std::string_view SteerReasonName(SteerReason reason) {
  switch (reason) {
    case SteerReason::kNearest:
      return "nearest";
    case SteerReason::kWeighted:
      return "weighted";
    case SteerReason::kFailover:
      return "failover";
    case SteerReason::kOverride:
      return "override";
    case SteerReason::kUnknown:
      return "unknown_place";
    case SteerReason::kSpare:
      return "spare";
    case SteerReason::kFallback:
      return "fallback";
    case SteerReason::kDrained:
      return "drained";
    case SteerReason::kFailOpen:
      return "fail_open";
    case SteerReason::kShed:
      return "shed";
  }
  return "unknown";
}

std::string_view PopStateName(PopState state) {
  switch (state) {
    case PopState::kUp:
      return "up";
    case PopState::kDrained:
      return "drained";
    case PopState::kDown:
      return "down";
  }
  return "unknown";
}

Preference Prefer(const SteerRule& rule, const Place& place, uint64_t matched_networks) {
  Preference preference;
  preference.reason = ReasonOf(rule.policy);
  for (size_t i = 0; i < rule.overrides.size(); ++i) {
    const Override& override = rule.overrides[i];
    if ((matched_networks >> i & 1) == 0 && !Matches(override, place)) continue;
    preference.first = InOrder(rule, place, override.pops);
    preference.reason = SteerReason::kOverride;
    preference.override_index = static_cast<int>(i);
    break;
  }
  bool by_place = rule.policy == Policy::kNearest;
  if (preference.first.empty() && by_place && place.ranking.empty()) {
    preference.first = rule.unknown.empty() ? rule.pops : rule.unknown;
    preference.reason = SteerReason::kUnknown;
  }
  Pops all = InOrder(rule, place, rule.pops);
  PassOver(rule, &all);
  if (preference.first.empty()) {
    preference.first = std::move(all);
    return preference;
  }
  PassOver(rule, &preference.first);
  for (uint8_t pop : all) {
    if (!Contains(std::span(preference.first), pop)) preference.then.push_back(pop);
  }
  return preference;
}

bool Health::sheds() const {
  return std::ranges::any_of(kept, [](double share) { return share < 1; });
}

Usable FindUsable(const SteerRule& rule, const Preference& preference, const Health& health) {
  bool trusts_fallback = rule.has_fallback && health.fallback_is_up && health.anything_known;
  // A least number says that fewer would be toppled. One is none: whoever is up for this client,
  // also by an override alone, is better than the fallback.
  const bool has_least = rule.min_healthy > 1;
  if (trusts_fallback && has_least && CountUp(rule.pops, health) < rule.min_healthy) {
    return {{}, {}, SteerReason::kFallback};
  }
  Pops up = InState(preference.first, health, PopState::kUp);
  if (!up.empty()) return {std::move(up), preference.first, preference.reason};
  up = InState(preference.then, health, PopState::kUp);
  if (!up.empty()) return {std::move(up), preference.then, SteerReason::kSpare};
  if (trusts_fallback) return {{}, {}, SteerReason::kFallback};
  Pops all = preference.first;
  all.insert(all.end(), preference.then.begin(), preference.then.end());
  Pops drained = InState(all, health, PopState::kDrained);
  if (!drained.empty()) return {std::move(drained), std::move(all), SteerReason::kDrained};
  return {preference.first, preference.first, SteerReason::kFailOpen};
}

Pops FindWanted(const SteerRule& rule, const Preference& preference, const Health& health) {
  Usable usable = FindUsable(rule, preference, health);
  switch (usable.reason) {
    case SteerReason::kFallback:
    case SteerReason::kDrained:
    case SteerReason::kFailOpen:
      return {};
    default:
      break;
  }
  Pops wanted = InState(preference.first, health, PopState::kUp);
  Pops spare = InState(preference.then, health, PopState::kUp);
  wanted.insert(wanted.end(), spare.begin(), spare.end());
  return wanted;
}

Pops FindTakers(const SteerRule& rule, const Preference& preference, const Health& health,
                std::span<const uint32_t> weights, uint8_t pop) {
  Pops wanted = FindWanted(rule, preference, health);
  const size_t preferred = CountUp(preference.first, health);
  // Draws stay among the preferred, and nobody is given to weight 0.
  if (rule.policy == Policy::kWeighted) {
    if (preferred > 0) wanted.resize(std::min(wanted.size(), preferred));
    std::erase_if(wanted, [&](uint8_t each) { return weights[each] == 0; });
  }
  const auto at = std::ranges::find(wanted, pop);
  if (at == wanted.end()) return {};
  auto group = at;  // of those that come in any order, depending on the client
  auto takers = at;
  if (rule.policy == Policy::kWeighted) {
    group = takers = wanted.begin();
  } else if (rule.policy == Policy::kNearest && preference.reason != SteerReason::kUnknown) {
    const auto others = wanted.begin() + static_cast<ptrdiff_t>(preferred);
    group = takers = at < others ? wanted.begin() : others;
  }
  // Who stands in front and keeps all leaves nobody for this one.
  const auto keeps_all = [&](uint8_t each) {
    return health.kept.empty() || health.kept[each] >= 1;
  };
  if (std::any_of(wanted.begin(), group, keeps_all)) return {};
  Pops found(takers, wanted.end());
  std::erase(found, pop);
  return found;
}

std::vector<Preference> PreferencesOf(const SteerRule& rule) {
  Place anywhere;
  anywhere.ranking.resize(kMaxPops);
  std::iota(anywhere.ranking.begin(), anywhere.ranking.end(), uint8_t{0});
  std::vector<Preference> preferences = {Prefer(rule, anywhere, 0), Prefer(rule, Place(), 0)};
  for (size_t i = 0; i < rule.overrides.size(); ++i) {
    preferences.push_back(Prefer(rule, anywhere, uint64_t{1} << i));
  }
  return preferences;
}

Choice ChooseAfterRefusals(const SteerRule& rule, const Preference& preference,
                           const Health& health, size_t refusals) {
  size_t preferred = CountUp(preference.first, health);
  Pops wanted = FindWanted(rule, preference, health);
  size_t end = refusals < preferred ? preferred : wanted.size();
  return {TakeAnswers(rule, std::span<const uint8_t>(wanted).subspan(refusals, end - refusals)),
          SteerReason::kShed};
}

Choice Choose(const SteerRule& rule, const Preference& preference, const Health& health,
              std::span<const uint32_t> weights, uint64_t client_hash) {
  Usable usable = FindUsable(rule, preference, health);
  Choice choice{std::move(usable.pops), usable.reason};
  if (rule.policy == Policy::kWeighted && !choice.pops.empty()) {
    std::span<const double> kept = health.kept;
    if (FindWanted(rule, preference, health).empty()) kept = {};
    Drawn drawn = DrawByWeight(usable.all, choice.pops, weights, kept, client_hash, rule.answers,
                               rule.beside);
    choice.pops.assign(drawn.pops.begin(), drawn.pops.begin() + drawn.count);
    if (drawn.shed) choice.reason = SteerReason::kShed;
    return choice;
  }
  choice.pops = TakeAnswers(rule, choice.pops);
  return choice;
}

}  // namespace nearside::geodns
