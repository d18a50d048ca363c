#include "geodns/simulation.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <nlohmann/json.hpp>

#include "dns/name.h"

namespace nearside::geodns {
namespace {

using Json = nlohmann::ordered_json;

/// The fallback addresses, among the numbers of points of presence.
constexpr size_t kFallbackPlace = kMaxPops;

/// How many clients get what, now and then.
struct Counts {
  double clients = 0;
  std::map<size_t, double> before;
  std::map<size_t, double> after;
  double moved = 0;

  void Add(size_t was, size_t is) {
    ++clients;
    ++before[was];
    ++after[is];
    if (was != is) ++moved;
  }
};

struct Rule {
  uint32_t number = 0;
  const Steering* steering = nullptr;
  std::string name;
};

std::string NameOf(const std::vector<uint8_t>& wire) {
  return dns::NameView(wire.data(), wire.size()).ToText();
}

Result<Rule> FindRule(const World& world, const std::string& text) {
  std::vector<Rule> rules;
  std::string names;
  dns::Name wanted;
  if (!text.empty()) {
    auto name = dns::Name::FromText(text);
    if (!name) return tl::unexpected(std::move(name.error()));
    wanted = *name;
    wanted.Fold();
  }
  uint32_t number = 0;
  for (const ZonePlan& zone : world.configuration->zones) {
    for (const Steering& steering : zone.steers) {
      for (const auto& wire : steering.names) {
        dns::Name folded(dns::NameView(wire.data(), wire.size()));
        folded.Fold();
        if (!text.empty() && folded.ToText() == wanted.ToText()) {
          return Rule{number, &steering, NameOf(wire)};
        }
      }
      rules.push_back({number++, &steering, NameOf(steering.names.front())});
      if (rules.size() <= 10) names += (names.empty() ? "" : ", ") + rules.back().name;
    }
  }
  if (text.empty() && rules.size() == 1) return rules.front();
  if (rules.empty()) {
    return Fail(Fault::kClient, "no_such_name", "no name is steered: there is no [[zone.steer]]");
  }
  return Fail(Fault::kClient, "no_such_name",
              (text.empty() ? "several names are steered" : text + " is not steered") +
                  ": expected a name like " + names);
}

Result<size_t> FindPop(const Configuration& configuration, const std::string& name) {
  std::string names;
  for (size_t i = 0; i < configuration.pops.size(); ++i) {
    if (configuration.pops[i].name == name) return i;
    names += (names.empty() ? "" : ", ") + configuration.pops[i].name;
  }
  return Fail(Fault::kClient, "no_such_pop",
              "there is no [[pop]] called \"" + name + "\"; there are " + names);
}

/// The health that is asked about.
Result<Health> HealthAfter(const Configuration& configuration, const Steering& steering,
                           const Moment& moment, const SimulationQuestion& question) {
  Health health = HealthFor(configuration, steering, moment);
  health.kept.resize(configuration.pops.size(), 1);
  for (const std::string& name : question.without) {
    auto pop = FindPop(configuration, name);
    if (!pop) return tl::unexpected(std::move(pop.error()));
    health.pops[*pop] = PopState::kDown;
  }
  for (const auto& [name, load] : question.loads) {
    auto pop = FindPop(configuration, name);
    if (!pop) return tl::unexpected(std::move(pop.error()));
    const CapacityLimit& limit = configuration.pops[*pop].capacity;
    if (limit.most_load <= 0) {
      return Fail(Fault::kClient, "no_limit",
                  "the [[pop]] \"" + name + "\" has no most_load: it gives nobody away");
    }
    double& kept = health.kept[*pop];
    double middle = (limit.most_load + limit.take_back_load) / 2;
    if (load > limit.most_load) kept = std::max(CapacityControl::kLeastShare, kept * middle / load);
  }
  return health;
}

/// One address family, asked client by client.
class Survey {
 public:
  Survey(const GeoMap& map, const SteerTable& before, const SteerTable& after, bool is_ipv6)
      : map_(map), before_(before), after_(after), is_ipv6_(is_ipv6) {}

  void Run() {
    const PrefixTrie& trie = map_.trie(is_ipv6_);
    double total = 0;
    trie.Visit([&](const auto&, unsigned bits, uint32_t place) {
      if (place != 0) total += WeightOf(bits);
    });
    if (total == 0) return;
    const double step = total / static_cast<double>(kSimulatedClients);
    double next = step / 2;  // where the next client stands in the row of all that are known
    double at = 0;
    trie.Visit([&](const std::array<uint8_t, 16>& address, unsigned bits, uint32_t place) {
      if (place == 0) return;
      const double end = at + WeightOf(bits);
      for (; next < end; next += step) Ask(address, bits, (next - at) / (end - at), place);
      at = end;
    });
  }

  const Counts& all() const { return all_; }
  Json ToJson(const Configuration& configuration) const;

 private:
  using Key = std::pair<Continent, CountryCode>;

  double WeightOf(unsigned bits) const {
    return std::ldexp(1, (is_ipv6_ ? 48 : 32) - static_cast<int>(bits));
  }

  /// A client at a fraction of a network.
  void Ask(std::array<uint8_t, 16> bytes, unsigned bits, double fraction, uint32_t place) {
    unsigned known = is_ipv6_ ? kStickyBits6 : kStickyBits4;
    for (unsigned bit = bits; bit < known; ++bit) {
      fraction *= 2;
      if (fraction < 1) continue;
      fraction -= 1;
      bytes[bit / 8] |= static_cast<uint8_t>(0x80U >> bit % 8);
    }
    IpAddress client{.is_ipv6 = is_ipv6_, .bytes = bytes};
    auto known_bits = static_cast<uint8_t>(std::max(bits, known));
    size_t was = FirstOf(before_.Find(client, known_bits));
    size_t is = FirstOf(after_.Find(client, known_bits));
    all_.Add(was, is);
    const Place& where = map_.place(place);
    by_continent_[where.continent].Add(was, is);
    by_country_[{where.continent, where.country}].Add(was, is);
  }
  static size_t FirstOf(const SteerTable::Answer& answer) {
    return answer.pops.count == 0 ? kFallbackPlace : answer.pops.pops[0];
  }

  const GeoMap& map_;
  const SteerTable& before_;
  const SteerTable& after_;
  const bool is_ipv6_;
  Counts all_;
  std::map<Continent, Counts> by_continent_;
  std::map<Key, Counts> by_country_;
};

double Rounded(double share) { return std::round(share * 1e5) / 1e5; }

std::string PlaceName(const Configuration& configuration, size_t place) {
  return place == kFallbackPlace ? "(fallback)" : configuration.pops[place].name;
}

/// {"frankfurt": 0.25}: of the clients of the tally.
Json SharesJson(const Configuration& configuration, const std::map<size_t, double>& counts,
                double clients) {
  Json json = Json::object();
  for (const auto& [place, count] : counts) {
    json[PlaceName(configuration, place)] = Rounded(count / clients);
  }
  return json;
}

Json RowJson(const Configuration& configuration, const Counts& tally, double all) {
  return {{"share", Rounded(tally.clients / all)},
          {"moved", Rounded(tally.moved / tally.clients)},
          {"before", SharesJson(configuration, tally.before, tally.clients)},
          {"after", SharesJson(configuration, tally.after, tally.clients)}};
}

Json Survey::ToJson(const Configuration& configuration) const {
  Json continents = Json::array();
  for (const auto& [continent, tally] : by_continent_) {
    Json row = {{"continent", ContinentName(continent)}};
    row.update(RowJson(configuration, tally, all_.clients));
    continents.push_back(std::move(row));
  }
  std::vector<std::pair<Key, Counts>> countries(by_country_.begin(), by_country_.end());
  std::stable_sort(countries.begin(), countries.end(), [](const auto& a, const auto& b) {
    return a.second.clients > b.second.clients;
  });
  Json rows = Json::array();
  for (const auto& [key, tally] : countries) {
    Json row = {{"country", key.second.ToText()}, {"continent", ContinentName(key.first)}};
    row.update(RowJson(configuration, tally, all_.clients));
    rows.push_back(std::move(row));
  }
  Json json = {{"family", is_ipv6_ ? "ipv6" : "ipv4"}, {"clients", all_.clients}};
  Json row = RowJson(configuration, all_, all_.clients);
  row.erase("share");
  json.update(row);
  json["continents"] = std::move(continents);
  json["countries"] = std::move(rows);
  return json;
}

}  // namespace

Result<std::string> Simulate(const World& world, const Snapshot& snapshot, const Moment& moment,
                             const SimulationQuestion& question) {
  const Configuration& configuration = *world.configuration;
  auto rule = FindRule(world, question.name);
  if (!rule) return tl::unexpected(std::move(rule.error()));
  auto health = HealthAfter(configuration, *rule->steering, moment, question);
  if (!health) return tl::unexpected(std::move(health.error()));
  Json families = Json::array();
  std::shared_ptr<const SteerTable> after;
  for (bool is_ipv6 : {false, true}) {
    // Clients are taken to ask for addresses of their own family.
    const SteerTable& before = snapshot.steers[rule->number].TableFor(is_ipv6);
    const Steering& steering = *rule->steering;
    if (after == nullptr || steering.only[0] != steering.only[1]) {
      after = SteerTable::Make(steering.RuleFor(is_ipv6), *world.map, *health,
                               WeightsOf(configuration));
    }
    Survey survey(*world.map, before, *after, is_ipv6);
    survey.Run();
    if (survey.all().clients > 0) families.push_back(survey.ToJson(configuration));
  }
  if (families.empty()) {
    return Fail(Fault::kClient, "no_places",
                "no database is loaded, so nobody's place is known: set geo.databases");
  }
  Json json = {{"name", rule->name},
               {"policy", PolicyName(rule->steering->rule.policy)},
               {"without", question.without},
               {"families", std::move(families)}};
  return json.dump(1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace nearside::geodns
