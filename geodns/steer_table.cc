#include "geodns/steer_table.h"

#include <algorithm>
#include <map>
#include <string>
#include <unordered_map>

namespace nearside::geodns {
namespace {

/// Gives numbers to outcomes, and the same group to those that give the same answer.
class Outcomes {
 public:
  uint32_t NumberOf(SteerTable::Outcome outcome) {
    std::string answer(outcome.pops.begin(), outcome.pops.end());
    answer += '\xFF';  // no number of a point: kMaxPops is less
    answer.append(outcome.all.begin(), outcome.all.end());
    std::string key = answer + static_cast<char>(outcome.reason);
    auto [at, is_new] =
        numbers_.try_emplace(std::move(key), static_cast<uint32_t>(numbers_.size()));
    if (is_new) {
      outcomes_.push_back(std::move(outcome));
      auto group = answers_.try_emplace(std::move(answer), static_cast<uint32_t>(answers_.size()));
      groups_.push_back(group.first->second);
    }
    return at->second;
  }
  const std::vector<uint32_t>* groups() const { return &groups_; }
  std::vector<SteerTable::Outcome> Take() { return std::move(outcomes_); }

 private:
  std::unordered_map<std::string, uint32_t> numbers_;
  std::unordered_map<std::string, uint32_t> answers_;
  std::vector<uint32_t> groups_;
  std::vector<SteerTable::Outcome> outcomes_;
};

/// Places count only where something asks for them; otherwise the answer has no width at all.
bool DependsOnPlace(const SteerRule& rule) {
  if (rule.policy == Policy::kNearest) return true;
  return std::any_of(rule.overrides.begin(), rule.overrides.end(), [](const Override& o) {
    return !o.countries.empty() || !o.continents.empty();
  });
}

std::vector<TaggedNetwork> NetworksOf(const SteerRule& rule) {
  std::vector<TaggedNetwork> networks;
  for (size_t i = 0; i < rule.overrides.size(); ++i) {
    for (const Network& network : rule.overrides[i].networks) {
      networks.push_back({network, static_cast<uint8_t>(i)});
    }
  }
  return networks;
}

SteerTable::Outcome OutcomeOf(const SteerRule& rule, const Place& place, uint64_t matched_networks,
                              const Health& health) {
  Preference preference = Prefer(rule, place, matched_networks);
  if (rule.policy != Policy::kWeighted) {
    Choice choice = Choose(rule, preference, health, {}, 0);
    return {choice.reason, std::move(choice.pops), {}};
  }
  Usable usable = FindUsable(rule, preference, health);
  return {usable.reason, std::move(usable.pops), std::move(usable.all)};
}

/// What networks shorter than `bits` say, as sets of overrides by address.
class ShorterNetworks {
 public:
  ShorterNetworks(std::vector<TaggedNetwork> networks, bool is_ipv6, uint8_t bits) {
    std::erase_if(networks, [&](const TaggedNetwork& n) { return n.network.prefix_bits >= bits; });
    tags_ = TrieOfTags(networks, is_ipv6, &sets_);
  }
  uint64_t SetAt(const IpAddress& address) const {
    return sets_[tags_.Find(address.bytes.data()).value];
  }

 private:
  std::vector<uint64_t> sets_;
  PrefixTrie tags_;
};

}  // namespace

std::shared_ptr<const SteerTable> SteerTable::Make(const SteerRule& rule, const GeoMap& map,
                                                   const Health& health,
                                                   std::vector<uint32_t> weights) {
  auto table = std::make_shared<SteerTable>();
  table->answers_ = rule.answers;
  table->by_hash_ = rule.policy == Policy::kWeighted;
  table->weights_ = std::move(weights);
  Outcomes outcomes;
  std::vector<TaggedNetwork> networks = NetworksOf(rule);
  for (bool is_ipv6 : {false, true}) {
    std::vector<uint64_t> sets;
    PrefixTrie tags = TrieOfTags(networks, is_ipv6, &sets);
    // Outcomes by place and set: worked out once each, however many networks have them.
    std::vector<uint32_t> known(map.place_count() * sets.size(), UINT32_MAX);
    auto combine = [&](uint32_t place, uint32_t set) {
      uint32_t& number = known[place * sets.size() + set];
      if (number == UINT32_MAX) {
        number = outcomes.NumberOf(OutcomeOf(rule, map.place(place), sets[set], health));
      }
      return number;
    };
    const PrefixTrie nowhere;
    const PrefixTrie& places = DependsOnPlace(rule) ? map.trie(is_ipv6) : nowhere;
    table->tries_[is_ipv6] = PrefixTrie::Combine(places, tags, combine, outcomes.groups());
    std::map<uint8_t, ShorterNetworks> shorter;
    for (const auto& [network, tag] : networks) {
      if (network.address.is_ipv6 != is_ipv6) continue;
      uint8_t bits = network.prefix_bits;
      const auto& others = shorter.try_emplace(bits, networks, is_ipv6, bits).first->second;
      const Place& place = map.place(places.Find(network.address.bytes.data()).value);
      auto outcome = OutcomeOf(rule, place, others.SetAt(network.address), health);
      table->cut_short_.push_back({network.address, bits, outcomes.NumberOf(std::move(outcome))});
    }
  }
  std::ranges::sort(table->cut_short_, {}, &CutShort::order);
  table->outcomes_ = outcomes.Take();
  return table;
}

const SteerTable::CutShort* SteerTable::FindCutShort(const IpAddress& client,
                                                     uint8_t known_bits) const {
  if (known_bits == client.bits()) return nullptr;
  auto at = std::ranges::upper_bound(cut_short_, std::tie(client.is_ipv6, client.bytes, known_bits),
                                     {}, &CutShort::order);
  return at != cut_short_.end() && at->address == client ? &*at : nullptr;
}

SteerTable::Answer SteerTable::Find(const IpAddress& client, uint8_t known_bits) const {
  if (auto embedded = client.EmbeddedIpv4(); embedded && known_bits > embedded->before_bits) {
    Answer answer = Find(embedded->address, std::min<uint8_t>(known_bits - embedded->before_bits,
                                                              embedded->address.bits()));
    answer.scope += embedded->before_bits;
    return answer;
  }
  PrefixTrie::Match match = tries_[client.is_ipv6].Find(client.bytes.data());
  if (const CutShort* entry = FindCutShort(client, known_bits))
    match = {entry->outcome, known_bits};
  const Outcome& outcome = outcomes_[match.value];
  Answer answer;
  answer.reason = outcome.reason;
  answer.scope = match.scope;
  if (!by_hash_ || outcome.pops.empty()) {
    answer.pops.count = std::min(outcome.pops.size(), kMaxAnswers);
    std::copy_n(outcome.pops.begin(), answer.pops.count, answer.pops.pops.begin());
  } else {
    uint8_t hashed_bits = std::min(StickyBits(client), known_bits);
    answer.pops = DrawByWeight(outcome.all, outcome.pops, weights_,
                               HashOfNetwork(client, hashed_bits), answers_);
    answer.scope = std::max(answer.scope, hashed_bits);
  }
  answer.scope = std::min(answer.scope, known_bits);
  return answer;
}

}  // namespace nearside::geodns
