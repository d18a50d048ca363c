#include "geodns/steering.h"

#include <algorithm>
#include <numeric>

#include "runtime/hash.h"

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
         (place.continent != Continent::kNone && Contains(override.continents, place.continent));
}

Pops InState(const Pops& pops, const Health& health, PopState state) {
  Pops kept;
  for (uint8_t pop : pops) {
    if (health.pops[pop] == state) kept.push_back(pop);
  }
  return kept;
}

/// Independent numbers from one hash (the finaliser of splitmix64, Steele et al. 2014).
uint64_t Mix(uint64_t hash, uint64_t round) {
  uint64_t z = hash + (round + 1) * 0x9E3779B97F4A7C15;
  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
  return z ^ (z >> 31);
}

uint8_t PickByWeight(std::span<const uint8_t> pops, std::span<const uint32_t> weights,
                     uint64_t number) {
  uint64_t total = 0;
  for (uint8_t pop : pops) total += weights[pop];
  // The upper half of a product: no modulo, no bias worth the name (Lemire 2019).
  uint64_t at = (number >> 32) * total >> 32;
  for (uint8_t pop : pops) {
    if (at < weights[pop]) return pop;
    at -= weights[pop];
  }
  return pops.front();
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
  if (preference.first.empty()) {
    preference.first = std::move(all);
    return preference;
  }
  for (uint8_t pop : all) {
    if (!Contains(std::span(preference.first), pop)) preference.then.push_back(pop);
  }
  return preference;
}

Usable FindUsable(const SteerRule& rule, const Preference& preference, const Health& health) {
  Pops up = InState(preference.first, health, PopState::kUp);
  if (!up.empty()) return {std::move(up), preference.first, preference.reason};
  up = InState(preference.then, health, PopState::kUp);
  if (!up.empty()) return {std::move(up), preference.then, SteerReason::kSpare};
  bool trusts_fallback = health.fallback_is_up && health.anything_known;
  if (rule.has_fallback && trusts_fallback) return {{}, {}, SteerReason::kFallback};
  Pops all = preference.first;
  all.insert(all.end(), preference.then.begin(), preference.then.end());
  Pops drained = InState(all, health, PopState::kDrained);
  if (!drained.empty()) return {std::move(drained), std::move(all), SteerReason::kDrained};
  return {preference.first, preference.first, SteerReason::kFailOpen};
}

Choice Choose(const SteerRule& rule, const Preference& preference, const Health& health,
              std::span<const uint32_t> weights, uint64_t client_hash) {
  Usable usable = FindUsable(rule, preference, health);
  Choice choice{std::move(usable.pops), usable.reason};
  if (rule.policy == Policy::kWeighted && !choice.pops.empty()) {
    Drawn drawn = DrawByWeight(usable.all, choice.pops, weights, client_hash, rule.answers);
    choice.pops.assign(drawn.pops.begin(), drawn.pops.begin() + drawn.count);
  }
  choice.pops.resize(std::min(choice.pops.size(), rule.answers));
  return choice;
}

Drawn DrawByWeight(std::span<const uint8_t> all, std::span<const uint8_t> usable,
                   std::span<const uint32_t> weights, uint64_t client_hash, size_t answers) {
  std::array<uint8_t, kMaxPops> left_storage;
  std::copy(usable.begin(), usable.end(), left_storage.begin());
  size_t left = usable.size();
  answers = std::min({answers, left, kMaxAnswers});
  Drawn drawn;
  uint8_t first = PickByWeight(all, weights, Mix(client_hash, 0));
  while (drawn.count < answers) {
    std::span<const uint8_t> rest(left_storage.data(), left);
    bool take_first = drawn.count == 0 && Contains(rest, first);
    uint8_t pop =
        take_first ? first : PickByWeight(rest, weights, Mix(client_hash, drawn.count + 1));
    drawn.pops[drawn.count++] = pop;
    *std::find(left_storage.begin(), left_storage.begin() + left, pop) = left_storage[left - 1];
    --left;
    // Weight 0 is for when nobody else is there, not for company.
    auto is_weightless = [&](uint8_t other) { return weights[other] == 0; };
    if (std::all_of(left_storage.begin(), left_storage.begin() + left, is_weightless)) break;
  }
  return drawn;
}

uint64_t HashOfNetwork(const IpAddress& client, uint8_t prefix_bits) {
  Network network = Network::Of(client, prefix_bits);
  return Xxh64({network.address.bytes.data(), client.bits() / size_t{8}}, client.is_ipv6 ? 6 : 4);
}

}  // namespace nearside::geodns
