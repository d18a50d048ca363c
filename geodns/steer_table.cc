#include "geodns/steer_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <string>
#include <unordered_map>

#include "geodns/shedding.h"

namespace nearside::geodns {
namespace {

/// Places count only where something asks for them; otherwise the answer has no width at all.
bool DependsOnPlace(const SteerRule& rule) {
  if (rule.policy == Policy::kNearest) return true;
  return std::any_of(rule.overrides.begin(), rule.overrides.end(), [](const Override& o) {
    return !o.countries.empty() || !o.continents.empty() || !o.asns.empty();
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

/// Addresses of an IPv4 network of so many bits, /48 networks of an IPv6 one.
double WeightOf(bool is_ipv6, unsigned bits) {
  return std::ldexp(1, (is_ipv6 ? 48 : 32) - static_cast<int>(bits));
}

}  // namespace

/// Gives numbers to outcomes, and the same group to those that give the same answer.
class SteerTable::Outcomes {
 public:
  uint32_t NumberOf(Outcome outcome) {
    std::string answer(outcome.pops.begin(), outcome.pops.end());
    answer += '\xFF';  // no number of a point: kMaxPops is less
    answer.append(outcome.all.begin(), outcome.all.end());
    std::string key = answer + '\xFF' + static_cast<char>(outcome.reason);
    for (const Part& part : outcome.parts) {
      std::string text = '\xFF' + std::to_string(part.until) + ":";
      text.append(part.choice.pops.begin(), part.choice.pops.end());
      answer += text;
      key += text + '\xFF' + static_cast<char>(part.choice.reason);
    }
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
  std::vector<Outcome> Take() { return std::move(outcomes_); }

 private:
  std::unordered_map<std::string, uint32_t> numbers_;
  std::unordered_map<std::string, uint32_t> answers_;
  std::vector<uint32_t> groups_;
  std::vector<Outcome> outcomes_;
};

/// Works out one address family of one rule.
class SteerTable::Maker {
 public:
  Maker(const SteerRule& rule, const GeoMap& map, const Health& health, SteerTable* table,
        Outcomes* outcomes)
      : rule_(rule), map_(map), health_(health), table_(table), outcomes_(*outcomes) {}

  void Make(bool is_ipv6, std::span<const TaggedNetwork> networks);

 private:
  /// A place under a set of overrides.
  struct Situation {
    uint32_t place = 0;
    uint64_t overrides = 0;
    auto operator<=>(const Situation&) const = default;
  };
  void CompareCrowds(bool is_ipv6, std::span<const Situation> cut_short);
  Crowd CrowdOf(const Situation& situation) const;
  uint32_t NumberOf(const Situation& situation);
  Outcome OutcomeOf(const Situation& situation) const;
  std::vector<Situation> CutShortSituations(bool is_ipv6, std::span<const TaggedNetwork> networks);

  const SteerRule& rule_;
  const GeoMap& map_;
  const Health& health_;
  SteerTable* table_;
  Outcomes& outcomes_;
  const PrefixTrie nowhere_;
  const PrefixTrie* places_ = &nowhere_;
  PrefixTrie tags_;
  std::vector<uint64_t> sets_;
  std::map<Situation, std::vector<Portion>> portions_;  ///< while a point sheds
};

void SteerTable::Maker::Make(bool is_ipv6, std::span<const TaggedNetwork> networks) {
  tags_ = TrieOfTags(networks, is_ipv6, &sets_);
  places_ = DependsOnPlace(rule_) ? &map_.trie(is_ipv6) : &nowhere_;
  std::vector<Situation> cut_short = CutShortSituations(is_ipv6, networks);
  if (health_.sheds() && rule_.policy != Policy::kWeighted) CompareCrowds(is_ipv6, cut_short);
  // Outcomes by place and set: worked out once each, however many networks have them.
  std::vector<uint32_t> known(map_.place_count() * sets_.size(), UINT32_MAX);
  auto combine = [&](uint32_t place, uint32_t set) {
    uint32_t& number = known[place * sets_.size() + set];
    if (number == UINT32_MAX) number = NumberOf({place, sets_[set]});
    return number;
  };
  table_->tries_[is_ipv6] = PrefixTrie::Combine(*places_, tags_, combine, outcomes_.groups());
  size_t next = 0;
  for (const auto& [network, tag] : networks) {
    if (network.address.is_ipv6 != is_ipv6) continue;
    table_->cut_short_.push_back(
        {network.address, network.prefix_bits, NumberOf(cut_short[next++])});
  }
}

/// What each network of an override looks like to whom it is too long for: one for each network of
/// the family.
std::vector<SteerTable::Maker::Situation> SteerTable::Maker::CutShortSituations(
    bool is_ipv6, std::span<const TaggedNetwork> networks) {
  std::vector<Situation> situations;
  std::map<uint8_t, ShorterNetworks> shorter;
  const std::vector<TaggedNetwork> all(networks.begin(), networks.end());
  for (const auto& [network, tag] : networks) {
    if (network.address.is_ipv6 != is_ipv6) continue;
    uint8_t bits = network.prefix_bits;
    const auto& others = shorter.try_emplace(bits, all, is_ipv6, bits).first->second;
    uint32_t place = places_->Find(network.address.bytes.data()).value;
    situations.push_back({place, others.SetAt(network.address)});
  }
  return situations;
}

/// Finds out who is given away: all clients are compared before the first outcome is made.
void SteerTable::Maker::CompareCrowds(bool is_ipv6, std::span<const Situation> cut_short) {
  std::vector<Situation> situations;
  std::vector<Crowd> crowds;
  std::map<Situation, uint32_t> numbers;
  auto number_of = [&](const Situation& situation) {
    auto [at, is_new] = numbers.try_emplace(situation, static_cast<uint32_t>(crowds.size()));
    if (is_new) {
      situations.push_back(situation);
      crowds.push_back(CrowdOf(situation));
    }
    return at->second;
  };
  std::vector<uint32_t> known(map_.place_count() * sets_.size(), UINT32_MAX);
  auto combine = [&](uint32_t place, uint32_t set) {
    uint32_t& number = known[place * sets_.size() + set];
    if (number == UINT32_MAX) number = number_of({place, sets_[set]});
    return number;
  };
  PrefixTrie::Combine(*places_, tags_, combine)
      .Visit([&](const auto&, unsigned bits, uint32_t crowd) {
        crowds[crowd].weight += WeightOf(is_ipv6, bits);
      });
  for (const Situation& situation : cut_short) number_of(situation);
  std::vector<std::vector<Portion>> portions = Shed(crowds, health_.kept);
  for (size_t i = 0; i < portions.size(); ++i) portions_[situations[i]] = std::move(portions[i]);
}

Crowd SteerTable::Maker::CrowdOf(const Situation& situation) const {
  const Place& place = map_.place(situation.place);
  Preference preference = Prefer(rule_, place, situation.overrides);
  Crowd crowd{.wanted = FindWanted(rule_, preference, health_)};
  if (place.ranking.empty()) return crowd;
  std::vector<float> of_pop(health_.pops.size());
  for (size_t i = 0; i < place.ranking.size(); ++i) of_pop[place.ranking[i]] = place.nearness[i];
  for (uint8_t pop : crowd.wanted) crowd.nearness.push_back(of_pop[pop]);
  return crowd;
}

uint32_t SteerTable::Maker::NumberOf(const Situation& situation) {
  return outcomes_.NumberOf(OutcomeOf(situation));
}

SteerTable::Outcome SteerTable::Maker::OutcomeOf(const Situation& situation) const {
  Preference preference = Prefer(rule_, map_.place(situation.place), situation.overrides);
  if (rule_.policy == Policy::kWeighted) {
    Usable usable = FindUsable(rule_, preference, health_);
    return {usable.reason, std::move(usable.pops), std::move(usable.all), {}};
  }
  auto choose = [&](size_t refusals) {
    return refusals == 0 ? Choose(rule_, preference, health_, {}, 0)
                         : ChooseAfterRefusals(rule_, preference, health_, refusals);
  };
  auto portions = portions_.find(situation);
  bool is_divided = portions != portions_.end() && portions->second.size() > 1;
  size_t refusals = portions == portions_.end() ? 0 : portions->second.front().refusals;
  Choice choice = choose(refusals);
  Outcome outcome{choice.reason, std::move(choice.pops), {}, {}};
  if (!is_divided) return outcome;
  for (const Portion& portion : portions->second) {
    outcome.parts.push_back({portion.until, choose(portion.refusals)});
  }
  return outcome;
}

std::shared_ptr<const SteerTable> SteerTable::Make(const SteerRule& rule, const GeoMap& map,
                                                   const Health& health,
                                                   std::vector<uint32_t> weights) {
  auto table = std::make_shared<SteerTable>();
  table->answers_ = rule.answers;
  table->by_hash_ = rule.policy == Policy::kWeighted;
  table->weights_ = std::move(weights);
  if (table->by_hash_ && health.sheds()) table->kept_ = health.kept;
  if (table->by_hash_) table->beside_ = rule.beside;
  Outcomes outcomes;
  std::vector<TaggedNetwork> networks = NetworksOf(rule);
  for (bool is_ipv6 : {false, true}) {
    Maker(rule, map, health, table.get(), &outcomes).Make(is_ipv6, networks);
  }
  std::ranges::sort(table->cut_short_, {}, &CutShort::order);
  const auto of_ipv4 = table->tries_[0].Find(IpAddress().bytes.data());
  const auto of_ipv6 = table->tries_[1].Find(IpAddress().bytes.data());
  const std::vector<uint32_t>& groups = *outcomes.groups();
  table->embedded_differ_ =
      of_ipv4.scope != 0 || of_ipv6.scope != 0 || groups[of_ipv4.value] != groups[of_ipv6.value];
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
  if (outcome.parts.empty() && (!by_hash_ || outcome.pops.empty())) {
    answer.Take(outcome.pops);
  } else {
    uint8_t hashed_bits = std::min(StickyBits(client), known_bits);
    uint64_t hash = HashOfNetwork(client, hashed_bits);
    answer.scope = std::max(answer.scope, hashed_bits);
    if (by_hash_) {
      bool is_up =
          outcome.reason != SteerReason::kDrained && outcome.reason != SteerReason::kFailOpen;
      std::span<const double> kept = is_up ? kept_ : std::span<const double>();
      answer.pops =
          DrawByWeight(outcome.all, outcome.pops, weights_, kept, hash, answers_, beside_);
      if (answer.pops.shed) answer.reason = SteerReason::kShed;
    } else {
      double fraction = FractionOf(hash);
      auto part = outcome.parts.begin();
      while (part->until <= fraction && part + 1 != outcome.parts.end()) ++part;
      answer.Take(part->choice.pops);
      answer.reason = part->choice.reason;
    }
  }
  // What is kept for a network around this one is no answer for clients in it who are placed
  // otherwise.
  if (client.is_ipv6 && embedded_differ_) {
    answer.scope = std::max(answer.scope, client.BitsBesideEmbedded());
  }
  answer.scope = std::min(answer.scope, known_bits);
  return answer;
}

}  // namespace nearside::geodns
