#include "geodns/world.h"

#include <algorithm>
#include <set>

#include "geodns/system_resolvers.h"
#include "geodns/zone_keys.h"
#include "net/tls.h"
#include "runtime/file.h"

namespace nearside::geodns {
namespace {

Result<std::string> ReadZoneFile(const std::string& path, std::vector<FileSource>* sources) {
  sources->push_back({path, StampOf(path)});  // before: what changes meanwhile has changed
  return ReadFile(path, {kMaxZoneFileBytes});
}

/// Keys that are as before are the same objects, so that workers go on with the copies they have.
void ReuseSecrets(const ZoneKeys& before, ZoneKeys* keys) {
  for (ZoneKey& key : keys->keys) {
    const auto same = [&](const ZoneKey& old) { return old.dnskey == key.dnskey; };
    const auto at = std::ranges::find_if(before.keys, same);
    if (at != before.keys.end()) key.secret = at->secret;
  }
}

const ZoneKeys* KeysBefore(const World* before, dns::NameView name) {
  if (before == nullptr) return nullptr;
  const auto at = std::ranges::find_if(
      before->zones, [&](const auto& zone) { return zone->origin().Equals(name); });
  return at == before->zones.end() ? nullptr : (*at)->keys();
}

Result<std::shared_ptr<const ZoneKeys>> LoadKeys(const ZonePlan& plan, const std::string& state,
                                                 const World* before) {
  const std::string folder = KeyFolder(state, plan.name);
  auto keys = LoadZoneKeys(folder, plan.name);
  if (!keys) return plan.where.Refuse("dnssec", keys.error());
  if (keys->keys.empty()) {
    std::string zone = plan.name.ToText();
    Error error{.message = "there is no key for " + zone + " in " + folder +
                           "; make one: nearside-geodns keygen --config " + plan.where.file +
                           " --zone " + zone};
    return plan.where.Refuse("dnssec", error);
  }
  const ZoneKeys* old = KeysBefore(before, plan.name);
  if (old != nullptr) ReuseSecrets(*old, &*keys);
  return std::make_shared<const ZoneKeys>(std::move(*keys));
}

/// Steers and aliases are numbered through all zones: `first_steer` is the number of this zone's
/// first. Files that are read are added to `sources`.
Result<Zone> LoadZone(const ZonePlan& plan, const std::string& state, uint32_t first_steer,
                      std::vector<FileSource>* sources, const World* before) {
  auto text = ReadZoneFile(plan.file, sources);
  if (!text) {
    text.error().message += "; expected a zone file";
    return plan.where.Refuse("file", text.error());
  }
  auto includes = [&](const std::string& path) { return ReadZoneFile(path, sources); };
  auto records = ParseZoneFile(*text, plan.file, plan.name, includes);
  if (!records) return tl::unexpected(std::move(records.error()));
  std::shared_ptr<const ZoneKeys> keys;
  if (plan.dnssec) {
    auto loaded = LoadKeys(plan, state, before);
    if (!loaded) return tl::unexpected(std::move(loaded.error()));
    keys = std::move(*loaded);
    if (auto ready = PrepareToSign(*keys, plan.file, &*records); !ready) {
      return tl::unexpected(std::move(ready.error()));
    }
  }
  std::vector<SteeredName> steered;
  for (size_t i = 0; i < plan.steers.size(); ++i) {
    for (const auto& name : plan.steers[i].names) {
      steered.push_back({name, first_steer + static_cast<uint32_t>(i), plan.steers[i].names_where});
    }
  }
  auto zone = Zone::Build(plan.name, plan.file, std::move(*records), std::move(steered));
  if (zone) zone->SignWith(std::move(keys));
  return zone;
}

/// A signed zone says of each name below it whether it is there: without NS records for a zone of
/// ours that lies below, it would deny all of that one.
Status CheckCuts(const World& world) {
  const ZoneIndex index(world.zones);
  for (size_t i = 0; i < world.zones.size(); ++i) {
    dns::Name origin(world.zones[i]->origin());
    origin.Fold();
    if (origin.view().is_root()) continue;
    const Zone* above = index.Find(origin.view().Parent());
    if (above == nullptr || above->keys() == nullptr) continue;
    if (above->Find(origin).match == Zone::Match::kDelegated) continue;
    const std::string name = origin.view().ToText();
    const Error error{.message = name + " lies below " + above->origin().ToText() +
                                 ", which has dnssec = true and no NS records for it: validators "
                                 "would refuse all of " +
                                 name + "; write its NS records into the file of " +
                                 above->origin().ToText() +
                                 ", and its DS records if it is signed too"};
    return world.configuration->zones[i].where.Refuse("name", error);
  }
  return {};
}

Status CheckAuthorities(const Configuration& configuration) {
  for (const CheckPlan& check : configuration.checks) {
    if (!check.endpoint.tls) continue;
    auto made = net::TlsClient::Create(check.ca, {"http/1.1"});
    if (!made) return check.where.Refuse("ca", made.error());
  }
  return {};
}

std::vector<Coordinates> LocationsOf(const Configuration& configuration) {
  std::vector<Coordinates> locations;
  for (const Pop& pop : configuration.pops)
    locations.push_back(pop.location.value_or(Coordinates()));
  return locations;
}

/// Whether the map of `before` is what `world` would read again.
bool MapIsTheSame(const World& world, const World& before) {
  const Configuration& now = *world.configuration;
  const Configuration& then = *before.configuration;
  // A file that was replaced while it was read has another stamp than the one kept.
  return before.map != nullptr && world.map_files == before.map_files && now.asns == then.asns &&
         LocationsOf(now) == LocationsOf(then);
}

Status LoadMap(World* world, const World* before) {
  const Configuration& configuration = *world->configuration;
  for (const std::string& file : configuration.databases) {
    world->map_files.push_back({file, StampOf(file)});
  }
  if (before != nullptr && MapIsTheSame(*world, *before)) {
    world->map = before->map;
    return {};
  }
  auto map = GeoMap::Load(configuration.databases, LocationsOf(configuration), configuration.asns);
  if (!map) return configuration.geo_where.Refuse("databases", map.error());
  world->map = std::move(*map);
  return {};
}

Status LoadAliases(World* world) {
  auto plans = PlanAliases(world->zones);
  if (!plans) return tl::unexpected(std::move(plans.error()));
  world->aliases = std::move(*plans);
  world->alias_options = world->configuration->alias;
  if (!world->alias_options.resolvers.empty() || world->aliases.empty()) return {};
  auto resolvers = ReadSystemResolvers("/etc/resolv.conf");
  if (!resolvers) return world->configuration->server_where.Refuse("resolvers", resolvers.error());
  world->alias_options.resolvers = std::move(*resolvers);
  return {};
}

/// Makes the tables of each rule, once for rules that are alike.
class Tables {
 public:
  Tables(const World& world, const Moment& moment)
      : world_(world), moment_(moment), weights_(WeightsOf(*world.configuration)) {}

  void For(const Steering& steering, Steer* steer) {
    const Health health = HealthFor(*world_.configuration, steering, moment_);
    steer->table = For(steering.rule, health);
    for (size_t family = 0; family < steering.only.size(); ++family) {
      if (steering.only[family].empty()) continue;
      steer->of_family[family] = For(steering.RuleFor(family), health);
    }
  }

 private:
  struct Made {
    SteerRule rule;
    bool fallback_is_up;
    std::shared_ptr<const SteerTable> table;
  };
  std::shared_ptr<const SteerTable> For(const SteerRule& rule, const Health& health) {
    for (const Made& made : made_) {
      if (made.rule == rule && made.fallback_is_up == health.fallback_is_up) return made.table;
    }
    auto table = SteerTable::Make(rule, *world_.map, health, weights_);
    made_.push_back({rule, health.fallback_is_up, table});
    return table;
  }

  const World& world_;
  const Moment& moment_;
  std::vector<uint32_t> weights_;
  std::vector<Made> made_;
};

Steer::Families Render(std::span<const IpAddress> addresses, uint32_t ttl) {
  return {AddressRecords::Render(addresses, false, ttl),
          AddressRecords::Render(addresses, true, ttl)};
}

}  // namespace

Result<World> World::Load(const std::string& config_file, const World* before) {
  auto settings = ReadGeodnsSettings(config_file);
  if (!settings) return tl::unexpected(std::move(settings.error()));
  auto configuration = Configuration::Make(*settings);
  if (!configuration) return tl::unexpected(std::move(configuration.error()));
  return Read(std::move(*configuration), before);
}

Result<World> World::ReadAgain(const World& before) { return Read(before.configuration, &before); }

Result<World> World::Read(std::shared_ptr<const Configuration> settings, const World* before) {
  World world;
  world.configuration = std::move(settings);
  if (auto ok = CheckAuthorities(*world.configuration); !ok)
    return tl::unexpected(std::move(ok.error()));
  uint32_t steers = 0;
  uint32_t aliases = 0;
  for (const ZonePlan& plan : world.configuration->zones) {
    auto zone = LoadZone(plan, world.configuration->state, steers, &world.zone_files, before);
    if (!zone) return tl::unexpected(std::move(zone.error()));
    zone->NumberAliasesFrom(aliases);
    aliases += static_cast<uint32_t>(zone->alias_count());
    world.zones.push_back(std::make_shared<const Zone>(std::move(*zone)));
    steers += static_cast<uint32_t>(plan.steers.size());
  }
  if (auto ok = CheckCuts(world); !ok) return tl::unexpected(std::move(ok.error()));
  if (auto loaded = LoadAliases(&world); !loaded) return tl::unexpected(std::move(loaded.error()));
  if (auto loaded = LoadMap(&world, before); !loaded)
    return tl::unexpected(std::move(loaded.error()));
  return world;
}

Health HealthFor(const Configuration& configuration, const Steering& steering,
                 const Moment& moment) {
  const std::vector<TargetHealth>& targets = moment.targets;
  Health health;
  for (size_t i = 0; i < configuration.pops.size(); ++i) {
    const Pop& pop = configuration.pops[i];
    PopState state = pop.check ? targets[*pop.check].state() : PopState::kUp;
    if (state == PopState::kUp && moment.is_drained(i)) state = PopState::kDrained;
    health.pops.push_back(state);
  }
  health.kept = moment.kept;
  auto is_known = [&](uint8_t pop) {
    auto check = configuration.pops[pop].check;
    return !check || targets[*check].known || targets[*check].up;
  };
  health.anything_known = std::ranges::any_of(steering.rule.pops, is_known);
  if (steering.fallback_check) health.fallback_is_up = targets[*steering.fallback_check].up;
  return health;
}

std::vector<std::string> BlindRules(const World& world) {
  bool ranked = false, continents = false, systems = false;
  std::set<CountryCode> countries;
  for (size_t i = 0; i < world.map->place_count(); ++i) {
    const Place& place = world.map->place(static_cast<uint32_t>(i));
    ranked |= !place.ranking.empty();
    if (place.country.is_set()) countries.insert(place.country);
    continents |= place.continent != Continent::kNone;
    systems |= place.asn != 0;
  }
  std::vector<std::string> blind;
  const auto tell = [&](const Steering& steering, std::string_view what, std::string_view lacks) {
    blind.push_back(steering.where + ": " + std::string(what) + ", but no file of geo.databases " +
                    "tells " + std::string(lacks) + ": it never applies");
  };
  for (const ZonePlan& zone : world.configuration->zones) {
    for (const Steering& steering : zone.steers) {
      if (steering.rule.policy == Policy::kNearest && steering.rule.pops.size() > 1 && !ranked) {
        tell(steering, "policy = \"nearest\"", "where clients are (`unknown` is for all)");
      }
      bool by_continent = false, by_system = false;
      std::set<CountryCode> named;
      for (const Override& each : steering.rule.overrides) {
        named.insert(each.countries.begin(), each.countries.end());
        by_continent |= !each.continents.empty();
        by_system |= !each.asns.empty();
      }
      if (!named.empty() && countries.empty()) {
        tell(steering, "an override by countries", "countries");
        named.clear();
      }
      for (const CountryCode country : named) {
        if (countries.contains(country)) continue;
        tell(steering, "an override by country " + country.ToText(),
             "a network there (codes are those of ISO 3166-1: GB, not UK)");
      }
      if (by_continent && !continents) tell(steering, "an override by continents", "continents");
      if (by_system && !systems) {
        tell(steering, "an override by asns", "a network of any of these autonomous systems");
      }
    }
  }
  return blind;
}

std::shared_ptr<const Snapshot> MakeSnapshot(const World& world, const Moment& moment,
                                             const AliasResolver* resolver) {
  const Configuration& configuration = *world.configuration;
  auto snapshot = std::make_shared<Snapshot>();
  snapshot->zones = ZoneIndex(world.zones);
  snapshot->zone_counters = world.zone_counters;
  snapshot->protocol = configuration.protocol;
  Tables tables(world, moment);
  for (const ZonePlan& zone : configuration.zones) {
    for (const Steering& steering : zone.steers) {
      Steer steer{.ttl = steering.ttl};
      tables.For(steering, &steer);
      for (const Pop& pop : configuration.pops) {
        steer.pops.push_back(Render(pop.addresses, steering.ttl));
      }
      steer.fallback = Render(steering.fallback, steering.ttl);
      snapshot->steers.push_back(std::move(steer));
    }
  }
  snapshot->aliases = AnswersOf(world.aliases, resolver);
  return snapshot;
}

std::vector<uint32_t> WeightsOf(const Configuration& configuration) {
  std::vector<uint32_t> weights;
  for (const Pop& pop : configuration.pops) weights.push_back(pop.weight);
  return weights;
}

}  // namespace nearside::geodns
