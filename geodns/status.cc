#include "geodns/status.h"

#include <nlohmann/json.hpp>

#include "dns/dnssec.h"
#include "geodns/zone_keys.h"
#include "runtime/daemon.h"

namespace nearside::geodns {
namespace {

using Json = nlohmann::ordered_json;

Json HealthJson(const TargetHealth& health, WallTime now) {
  Json json = {{"state", PopStateName(health.state())}, {"known", health.known}};
  auto ago = [&](WallTime then) {
    return static_cast<double>(ToUnixMillis(now) - ToUnixMillis(then)) / 1000;
  };
  if (health.changed != WallTime()) json["changed_seconds_ago"] = ago(health.changed);
  if (health.checked_at != WallTime()) {
    json["checked_seconds_ago"] = ago(health.checked_at);
    json["took_ms"] = health.took.count();
  }
  if (health.load) json["load"] = *health.load;
  if (health.lag) json["lag_seconds"] = *health.lag;
  if (!health.error.empty()) json["error"] = health.error;
  return json;
}

/// What keeps new clients away, and what would if that ended.
Json DrainsJson(const TargetHealth* health, WallTime operator_since, WallTime now) {
  Json list = Json::array();
  if (operator_since != WallTime()) {
    double ago = static_cast<double>(ToUnixMillis(now) - ToUnixMillis(operator_since)) / 1000;
    list.push_back({{"by", "operator"}, {"seconds_ago", ago}});
  }
  if (health != nullptr && health->up && health->drained) list.push_back({{"by", "itself"}});
  if (health != nullptr && health->up && health->lagging) list.push_back({{"by", "lag"}});
  return list;
}

Json PopJson(const Configuration& configuration, size_t number, const Moment& moment,
             WallTime now) {
  const Pop& pop = configuration.pops[number];
  Json json = {{"name", pop.name}};
  Json addresses = Json::array();
  for (const IpAddress& address : pop.addresses) addresses.push_back(address.ToText());
  json["addresses"] = addresses;
  json["weight"] = pop.weight;
  const TargetHealth* health = pop.check ? &moment.targets[*pop.check] : nullptr;
  if (health != nullptr) {
    json["check"] = configuration.checks[*pop.check].url;
    json.update(HealthJson(*health, now));
  } else {
    json["state"] = PopStateName(PopState::kUp);
  }
  if (moment.is_drained(number) && (health == nullptr || health->up)) {
    json["state"] = PopStateName(PopState::kDrained);
  }
  WallTime since = moment.is_drained(number) ? moment.drained[number] : WallTime();
  if (Json drains = DrainsJson(health, since, now); !drains.empty()) json["drained"] = drains;
  if (pop.capacity.most_load > 0) {
    json["most_load"] = pop.capacity.most_load;
    json["take_back_load"] = pop.capacity.take_back_load;
    json["share"] = moment.share(number);
  }
  return json;
}

Json PopsJson(const Configuration& configuration, const Moment& moment, WallTime now) {
  Json list = Json::array();
  for (size_t i = 0; i < configuration.pops.size(); ++i) {
    list.push_back(PopJson(configuration, i, moment, now));
  }
  return list;
}

Json FallbacksJson(const Configuration& configuration, const std::vector<TargetHealth>& targets,
                   WallTime now) {
  Json list = Json::array();
  for (const ZonePlan& zone : configuration.zones) {
    for (const Steering& steering : zone.steers) {
      if (!steering.fallback_check) continue;
      Json json = {{"name", configuration.checks[*steering.fallback_check].target},
                   {"check", configuration.checks[*steering.fallback_check].url}};
      json.update(HealthJson(targets[*steering.fallback_check], now));
      list.push_back(std::move(json));
    }
  }
  return list;
}

Json AliasJson(const AliasPlan& plan, const AliasResolver* aliases, WallTime now) {
  const dns::NameView target(plan.target.data(), plan.target.size());
  Json json = {{"name", plan.owner}, {"target", target.ToText()}};
  if (plan.zone != nullptr) {
    json["zone"] = plan.zone->origin().ToText();
    if (plan.node == nullptr) json["error"] = "the zone has no such name";
    return json;
  }
  const AliasState* state = aliases == nullptr ? nullptr : aliases->Find(plan.target);
  if (state == nullptr) return json;
  json["state"] = !state->result.known ? "unknown" : state->stale ? "stale" : "resolved";
  Json addresses = Json::array();
  for (const IpAddress& address : state->result.addresses) addresses.push_back(address.ToText());
  json["addresses"] = std::move(addresses);
  if (state->result.known) {
    json["ttl"] = std::min(plan.ttl, state->result.ttl);
    json["resolved_seconds_ago"] = (ToUnixMillis(now) - ToUnixMillis(state->resolved_at)) / 1000;
  }
  if (!state->error.empty()) json["error"] = state->error;
  const auto networks = aliases->NetworksOf(plan.target);
  if (networks != nullptr && networks->size() > 0) json["networks"] = networks->size();
  return json;
}

/// The keys of a signed zone.
Json DnssecJson(const ZoneKeys& keys) {
  Json list = Json::array();
  for (const ZoneKey& key : keys.keys) {
    list.push_back({{"tag", key.tag},
                    {"algorithm", dns::AlgorithmName(key.algorithm)},
                    {"state", KeyStateName(key.state)},
                    {"since", FormatIsoTime(key.changed)},
                    {"ds", key.DsText(keys.zone)}});
  }
  return {{"keys", list}};
}

/// A label's value as the text format wants it.
std::string Quoted(std::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c == '\n' ? ' ' : c;
  }
  return quoted + "\"";
}

/// One family in the text format.
class Family {
 public:
  Family(std::string_view name, std::string_view help, std::string_view type = "gauge")
      : name_(name),
        text_("# HELP " + name_ + " " + std::string(help) + "\n# TYPE " + name_ + " " +
              std::string(type) + "\n") {}
  void Add(std::string_view label, std::string_view value, double number) {
    char formatted[32];
    std::snprintf(formatted, sizeof formatted, "%.15g", number);
    text_ += name_ + "{" + std::string(label) + "=" + Quoted(value) + "} " + formatted + "\n";
    any_ = true;
  }
  std::string Text() const { return any_ ? text_ : ""; }

 private:
  std::string name_;
  std::string text_;
  bool any_ = false;
};

/// By point of presence.
std::string SteeringMetrics(const Configuration& configuration, const Moment& moment) {
  Family drained("nearside_dns_pop_drained_by_operator", "1: an operator keeps new clients away.");
  Family share("nearside_dns_pop_share", "Share of its clients that a point of presence keeps.");
  for (size_t i = 0; i < configuration.pops.size(); ++i) {
    const Pop& pop = configuration.pops[i];
    drained.Add("pop", pop.name, moment.is_drained(i) ? 1 : 0);
    if (pop.capacity.most_load > 0) share.Add("pop", pop.name, moment.share(i));
  }
  return drained.Text() + share.Text();
}

std::string AliasMetrics(const World& world, const AliasResolver* aliases) {
  if (aliases == nullptr || TargetsOf(world.aliases).empty()) return "";
  Family lookups("nearside_dns_alias_lookups_total", "Look-ups of what ALIAS records lead to.",
                 "counter");
  lookups.Add("result", "ok", static_cast<double>(aliases->good_lookups()));
  lookups.Add("result", "failed", static_cast<double>(aliases->failed_lookups()));
  Family known("nearside_dns_alias_known", "1: what the ALIAS of a name leads to is known.");
  for (const AliasPlan& plan : world.aliases) {
    if (plan.zone != nullptr) continue;
    const AliasState* state = aliases->Find(plan.target);
    known.Add("name", plan.owner, state != nullptr && state->result.known ? 1 : 0);
  }
  const Learning& learning = aliases->learning();
  Family asks("nearside_dns_alias_network_lookups_total",
              "Look-ups for networks of clients; refused: no room for another one, over_share: "
              "whoever asks has its share of the room.",
              "counter");
  asks.Add("result", "ok", static_cast<double>(learning.good));
  asks.Add("result", "failed", static_cast<double>(learning.failed));
  asks.Add("result", "refused", static_cast<double>(learning.refused));
  asks.Add("result", "over_share", static_cast<double>(learning.over_share));
  Family networks("nearside_dns_alias_networks",
                  "Networks with answers of their own; most: alias_networks.");
  networks.Add("state", "kept", static_cast<double>(learning.networks));
  networks.Add("state", "most", static_cast<double>(learning.options.networks));
  return lookups.Text() + known.Text() + asks.Text() + networks.Text();
}

}  // namespace

std::string StatusJson(const World& world, const Moment& moment, WallTime now, WallTime started,
                       const AliasResolver* aliases) {
  const Configuration& configuration = *world.configuration;
  Json json = {{"version", Version()},
               {"uptime_seconds", (ToUnixMillis(now) - ToUnixMillis(started)) / 1000},
               {"pops", PopsJson(configuration, moment, now)}};
  if (Json fallbacks = FallbacksJson(configuration, moment.targets, now); !fallbacks.empty()) {
    json["fallbacks"] = std::move(fallbacks);
  }
  Json zones = Json::array();
  for (const auto& zone : world.zones) {
    zones.push_back({{"name", zone->origin().ToText()},
                     {"serial", zone->serial()},
                     {"records", zone->record_count()}});
    if (zone->keys() != nullptr) zones.back()["dnssec"] = DnssecJson(*zone->keys());
  }
  json["zones"] = zones;
  for (const AliasPlan& plan : world.aliases) {
    json["aliases"].push_back(AliasJson(plan, aliases, now));
  }
  Json databases = Json::array();
  for (const auto& database : world.map->databases()) {
    databases.push_back({{"file", database->path()},
                         {"type", database->type()},
                         {"built_unix", ToUnixMillis(database->built()) / 1000},
                         {"nodes", database->node_count()}});
  }
  json["databases"] = databases;
  json["places"] = world.map->place_count();
  json["place_bytes"] = world.map->memory_bytes();
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

std::string WorldMetrics(const World& world, const Moment& moment, const AliasResolver* aliases) {
  const std::vector<TargetHealth>& targets = moment.targets;
  Family up("nearside_dns_target_up", "1: the target of a health check is up.");
  Family drained("nearside_dns_target_drained", "1: it is up and wants no new clients.");
  Family load("nearside_dns_target_load", "Load that it reports, 1 being full.");
  Family lag("nearside_dns_target_lag_seconds", "How far it is behind the origin's purges.");
  Family took("nearside_dns_target_check_seconds", "Time that its last check took.");
  const auto& checks = world.configuration->checks;
  for (size_t i = 0; i < checks.size(); ++i) {
    up.Add("target", checks[i].target, targets[i].up ? 1 : 0);
    drained.Add("target", checks[i].target, targets[i].drained || targets[i].lagging ? 1 : 0);
    if (targets[i].load) load.Add("target", checks[i].target, *targets[i].load);
    if (targets[i].lag) lag.Add("target", checks[i].target, *targets[i].lag);
    took.Add("target", checks[i].target, static_cast<double>(targets[i].took.count()) / 1000);
  }
  Family serial("nearside_dns_zone_serial", "Serial of the SOA record that is served.");
  Family records("nearside_dns_zone_records", "Records of the zone.");
  for (const auto& zone : world.zones) {
    serial.Add("zone", zone->origin().ToText(), zone->serial());
    records.Add("zone", zone->origin().ToText(), static_cast<double>(zone->record_count()));
  }
  Family built("nearside_dns_database_built_timestamp_seconds", "When the database was made.");
  for (const auto& database : world.map->databases()) {
    built.Add("file", database->path(),
              static_cast<double>(ToUnixMillis(database->built())) / 1000);
  }
  return up.Text() + drained.Text() + load.Text() + lag.Text() + took.Text() +
         SteeringMetrics(*world.configuration, moment) + serial.Text() + records.Text() +
         built.Text() + AliasMetrics(world, aliases);
}

}  // namespace nearside::geodns
