#include "geodns/configuration.h"

#include <algorithm>
#include <map>
#include <set>
#include <thread>

#include "runtime/file.h"
#include "runtime/user.h"

namespace nearside::geodns {
namespace {

constexpr size_t kLeastTokenBytes = 16;

/// Gathers errors and puts the configuration together, once.
class Maker {
 public:
  explicit Maker(const GeodnsSettings& settings) : settings_(settings) {}
  Result<std::shared_ptr<const Configuration>> Make();

 private:
  void TakeServer();
  void TakeAliases();
  void TakeAdmin();
  void TakePops();
  void TakePop(const PopSettings& row);
  void TakeZones();
  void TakeSteer(const ZoneSettings& zone_row, const SteerSettings& row, ZonePlan* zone);
  Override TakeOverride(const OverrideSettings& row);
  CapacityLimit TakeCapacity(const PopSettings& row);
  void SetSettlingTimes();
  std::optional<size_t> TakeCheck(const std::optional<CheckSettings>& row, std::string target);
  std::vector<IpAddress> TakeAddresses(const std::vector<std::string>& texts,
                                       const settings::Origin& where, std::string_view key);
  Pops TakePopNames(const std::vector<std::string>& names, const settings::Origin& where,
                    std::string_view key);
  void TakeAsns();
  void CheckLocations(const SteerRule& rule, const settings::Origin& where);
  void TakeDistance(const SteerSettings& row, SteerRule* rule);
  void TakeFamilies(const SteerSettings& row, Steering* steer) const;
  void AddError(const settings::Origin& where, std::string_view key, std::string_view message);
  void AddTableError(const settings::Origin& where, std::string_view message);
  void AddLine(std::string_view line);

  const GeodnsSettings& settings_;
  std::shared_ptr<Configuration> made_ = std::make_shared<Configuration>();
  std::map<std::string, uint8_t, std::less<>> pop_numbers_;
  std::string errors_;
};

/// "geodns.toml:31": of the table.
std::string TextOf(const settings::Origin& where) {
  return where.file + ":" + std::to_string(where.line);
}

void Maker::AddError(const settings::Origin& where, std::string_view key,
                     std::string_view message) {
  AddLine(where.Of(key) + ": " + std::string(message));
}

/// For what no single key is to blame for.
void Maker::AddTableError(const settings::Origin& where, std::string_view message) {
  AddLine(TextOf(where) + ": " + where.table + ": " + std::string(message));
}

void Maker::AddLine(std::string_view line) {
  if (!errors_.empty()) errors_ += '\n';
  errors_ += line;
}

Result<std::shared_ptr<const Configuration>> Maker::Make() {
  TakeServer();
  TakeAliases();
  TakeAdmin();
  TakePops();
  TakeZones();
  SetSettlingTimes();
  TakeAsns();
  made_->databases = settings_.geo.databases;
  made_->geo_where = settings_.geo.where;
  made_->restart = settings_.restart;
  if (!errors_.empty()) return Fail(Fault::kOperator, "bad_settings", std::move(errors_));
  return std::shared_ptr<const Configuration>(std::move(made_));
}

void Maker::TakeServer() {
  const ServerSettings& row = settings_.server;
  made_->server_where = row.where;
  for (const std::string& text : row.listen) {
    auto address = net::SocketAddress::Parse(text);
    if (!address) {
      AddError(row.where, "listen", address.error().message);
    } else if (std::find(made_->listen.begin(), made_->listen.end(), *address) !=
               made_->listen.end()) {
      AddError(row.where, "listen", text + " stands there twice");
    } else {
      made_->listen.push_back(*address);
    }
  }
  size_t cores = std::max(1U, std::thread::hardware_concurrency());
  made_->threads = row.threads == 0 ? cores : static_cast<size_t>(row.threads);
  made_->gather = std::chrono::microseconds(row.gather_microseconds);
  made_->state = row.state;
  if (!row.state.empty()) {
    if (auto ok = CheckFolder(row.state); !ok) AddError(row.where, "state", ok.error().message);
  }
  made_->tcp_connections = static_cast<size_t>(row.tcp_connections);
  made_->tcp_idle_timeout = row.tcp_idle_timeout;
  made_->signing = {
      .cache_size = row.signature_cache,
      .validity = std::chrono::duration_cast<seconds>(row.signature_validity),
      .made_up_a_second = row.signatures_a_second,
  };
  made_->drain_timeout = row.drain_timeout;
  made_->user = row.user;
  if (!row.user.empty()) {
    if (auto ok = CheckUser(row.user); !ok) AddError(row.where, "user", ok.error().message);
  }
  auto protocol = Protocol::Make(row, settings_.limits);
  if (protocol) made_->protocol = std::move(*protocol);
  if (!row.cookie_secret_file.empty()) made_->secret_files.push_back(row.cookie_secret_file);
  if (!protocol) AddLine(protocol.error().message);
  made_->rate_networks = static_cast<size_t>(settings_.limits.networks);
  made_->tcp_connections_per_client =
      static_cast<size_t>(settings_.limits.tcp_connections_per_client);
  made_->watch_interval = row.watch_interval;
}

void Maker::TakeAliases() {
  const ServerSettings& row = settings_.server;
  for (const std::string& text : row.resolvers) {
    auto address = net::SocketAddress::Parse(text);
    if (!address) AddError(row.where, "resolvers", address.error().message);
    if (address) made_->alias.resolvers.push_back(*address);
  }
  made_->alias.least_ttl = row.alias_least_ttl;
  made_->alias.most_ttl = row.alias_most_ttl;
  made_->alias.stale = static_cast<uint32_t>(row.alias_stale.count() / 1000);
  made_->alias.networks = row.alias_networks;
  if (row.alias_least_ttl > row.alias_most_ttl) {
    AddError(row.where, "alias_least_ttl", "expected no more than alias_most_ttl");
  }
}

void Maker::TakeAdmin() {
  const AdminSettings& row = settings_.admin;
  made_->admin_where = row.where;
  if (!row.token_file.empty()) {
    made_->secret_files.push_back(row.token_file);
    auto text = ReadFile(row.token_file, 4_KiB);
    if (!text) {
      return AddError(row.where, "token_file",
                      text.error().message + "; expected a file with a token");
    }
    made_->admin_token = text->substr(0, text->find_first_of("\r\n"));
    if (made_->admin_token.size() < kLeastTokenBytes) {
      AddError(row.where, "token_file",
               row.token_file + ": expected a token of 16 characters or more");
    }
  }
  if (row.address.empty()) return;
  auto address = net::SocketAddress::Parse(row.address);
  if (!address) return AddError(row.where, "address", address.error().message);
  made_->admin = *address;
  if (made_->admin_token.empty() && !made_->admin.IsLoopback()) {
    AddError(row.where, "token_file",
             "expected a token file, because admin.address is not a loopback address");
  }
}

std::vector<IpAddress> Maker::TakeAddresses(const std::vector<std::string>& texts,
                                            const settings::Origin& where, std::string_view key) {
  std::vector<IpAddress> addresses;
  for (const std::string& text : texts) {
    auto address = IpAddress::Parse(text);
    if (!address) {
      AddError(where, key, address.error().message);
    } else if (std::find(addresses.begin(), addresses.end(), *address) == addresses.end()) {
      addresses.push_back(*address);
    }
  }
  return addresses;
}

std::optional<size_t> Maker::TakeCheck(const std::optional<CheckSettings>& row,
                                       std::string target) {
  if (!row) return {};
  auto plan = MakeCheckPlan(*row, std::move(target));
  if (!plan) {
    AddError(row->where, plan.error().key, plan.error().message);
    return {};
  }
  made_->checks.push_back(std::move(*plan));
  return made_->checks.size() - 1;
}

/// Without its settling time, which depends on the rules.
CapacityLimit Maker::TakeCapacity(const PopSettings& row) {
  if (row.most_load == 0) {
    if (row.take_back_load) {
      AddError(row.where, "take_back_load", "expected most_load as well: it takes back from there");
    }
    return {};
  }
  constexpr double kTakeBack = 0.8;
  CapacityLimit limit{row.most_load, row.take_back_load.value_or(kTakeBack * row.most_load), {}};
  if (limit.take_back_load > 0.9 * limit.most_load) {
    AddError(row.where, "take_back_load",
             "expected nine tenths of most_load at most: a share that is taken back in steps would "
             "jump over the gap and come and go");
  }
  if (!row.check || row.check->url.starts_with("tcp://")) {
    AddError(row.where, "most_load",
             "expected a check over HTTP, whose answer tells the load in Nearside-Load");
  }
  return limit;
}

/// Until the effect of a share is seen: answers given before are kept for their TTL, and the next
/// checks tell.
void Maker::SetSettlingTimes() {
  constexpr milliseconds kLeast = seconds(2);
  for (size_t i = 0; i < made_->pops.size(); ++i) {
    Pop& pop = made_->pops[i];
    if (!pop.check) continue;
    uint32_t ttl = 0;
    for (const ZonePlan& zone : made_->zones) {
      for (const Steering& steering : zone.steers) {
        if (std::ranges::count(steering.rule.pops, i) > 0) ttl = std::max(ttl, steering.ttl);
      }
    }
    milliseconds settle = seconds(ttl) + 2 * made_->checks[*pop.check].interval;
    pop.capacity.settle = std::max(settle, kLeast);
  }
}

void Maker::TakePops() {
  for (const PopSettings& row : settings_.pops) TakePop(row);
}

void Maker::TakePop(const PopSettings& row) {
  auto number = static_cast<uint8_t>(made_->pops.size());
  if (row.name.empty() || row.name.find_first_of(" \t\"\\\n") != std::string::npos) {
    AddError(row.where, "name", "expected a name without spaces, quotes or backslashes");
  }
  if (!pop_numbers_.try_emplace(row.name, number).second) {
    AddError(row.where, "name", "two points of presence are called \"" + row.name + "\"");
  }
  Pop pop;
  pop.name = row.name;
  pop.addresses = TakeAddresses(row.addresses, row.where, "addresses");
  pop.weight = row.weight;
  if (!row.location.empty()) {
    bool fits = row.location.size() == 2 && std::abs(row.location[0]) <= 90 &&
                std::abs(row.location[1]) <= 180;
    if (fits) {
      pop.location = Coordinates{row.location[0], row.location[1]};
    } else {
      AddError(row.where, "location",
               "expected [latitude, longitude] with -90 to 90 and -180 to 180 degrees");
    }
  }
  pop.check = TakeCheck(row.check, row.name);
  pop.capacity = TakeCapacity(row);
  made_->pops.push_back(std::move(pop));
}

Pops Maker::TakePopNames(const std::vector<std::string>& names, const settings::Origin& where,
                         std::string_view key) {
  Pops pops;
  for (const std::string& name : names) {
    auto at = pop_numbers_.find(name);
    if (at == pop_numbers_.end()) {
      AddError(where, key, "there is no [[pop]] called \"" + name + "\"");
    } else if (std::find(pops.begin(), pops.end(), at->second) != pops.end()) {
      AddError(where, key, "\"" + name + "\" stands there twice");
    } else {
      pops.push_back(at->second);
    }
  }
  return pops;
}

Override Maker::TakeOverride(const OverrideSettings& row) {
  Override made;
  for (const std::string& text : row.countries) {
    auto country = CountryCode::Parse(text);
    if (country) made.countries.push_back(*country);
    if (!country) AddError(row.where, "countries", "expected a code like JP, got \"" + text + "\"");
  }
  for (const std::string& text : row.continents) {
    auto continent = ContinentFromText(text);
    if (continent) made.continents.push_back(*continent);
    if (!continent) {
      AddError(row.where, "continents",
               "expected AF, AN, AS, EU, NA, OC or SA, got \"" + text + "\"");
    }
  }
  for (const std::string& text : row.cidrs) {
    auto network = Network::Parse(text);
    if (network) made.networks.push_back(*network);
    if (!network) AddError(row.where, "cidrs", network.error().message);
  }
  for (int64_t number : row.asns) {
    if (number < 1 || number > UINT32_MAX) {
      AddError(row.where, "asns",
               "expected numbers from 1 to 4294967295, got " + std::to_string(number));
    }
    made.asns.push_back(static_cast<uint32_t>(number));
  }
  if (row.countries.empty() && row.continents.empty() && row.cidrs.empty() && row.asns.empty()) {
    AddTableError(row.where, "expected countries, continents, cidrs or asns: it matches nobody");
  }
  made.pops = TakePopNames(row.pops, row.where, "pops");
  return made;
}

/// All that are named anywhere: the map keeps apart only what some rule asks for.
void Maker::TakeAsns() {
  std::set<uint32_t> named;
  for (const ZoneSettings& zone : settings_.zones) {
    for (const SteerSettings& steer : zone.steers) {
      for (const OverrideSettings& row : steer.overrides) {
        for (int64_t asn : row.asns) {
          if (asn > 0 && asn <= UINT32_MAX) named.insert(static_cast<uint32_t>(asn));
        }
      }
    }
  }
  made_->asns.assign(named.begin(), named.end());
}

void Maker::CheckLocations(const SteerRule& rule, const settings::Origin& where) {
  if (rule.policy != Policy::kNearest) return;
  std::set<uint8_t> used(rule.pops.begin(), rule.pops.end());
  for (const Override& override : rule.overrides)
    used.insert(override.pops.begin(), override.pops.end());
  for (uint8_t pop : used) {
    if (made_->pops[pop].location) continue;
    AddError(where, "policy",
             "\"nearest\" needs a location for the [[pop]] \"" + made_->pops[pop].name + "\"");
  }
}

/// All points that the rule may answer.
std::set<uint8_t> UsedBy(const SteerRule& rule) {
  std::set<uint8_t> used(rule.pops.begin(), rule.pops.end());
  used.insert(rule.unknown.begin(), rule.unknown.end());
  for (const Override& override : rule.overrides) {
    used.insert(override.pops.begin(), override.pops.end());
  }
  return used;
}

/// What answers_within leaves beside each point of the rule.
void Maker::TakeDistance(const SteerSettings& row, SteerRule* rule) {
  if (row.answers_within.empty()) return;
  const auto most_km = ParseDistance(row.answers_within);
  if (!most_km) {
    return AddError(row.where, "answers_within",
                    "expected a distance like \"500km\", got \"" + row.answers_within + "\"");
  }
  if (rule->answers < 2) {
    return AddError(row.where, "answers_within",
                    "expected answers of 2 or more, which it is about");
  }
  const std::set<uint8_t> used = UsedBy(*rule);
  for (uint8_t pop : used) {
    if (made_->pops[pop].location) continue;
    return AddError(row.where, "answers_within",
                    "needs a location for the [[pop]] \"" + made_->pops[pop].name + "\"");
  }
  rule->beside.resize(made_->pops.size());
  for (uint8_t one : used) {
    for (uint8_t other : used) {
      const double km = DistanceKm(*made_->pops[one].location, *made_->pops[other].location);
      if (one != other && km <= *most_km) rule->beside[one].push_back(other);
    }
  }
}

/// IPv4 addresses come from afar rather than from nowhere: many clients have nothing else. Most
/// that ask for IPv6 have IPv4 as well, prefer the other and would all be led away from a near
/// point that lacks it, so that no answer is the better one unless the settings say otherwise.
void Maker::TakeFamilies(const SteerSettings& row, Steering* steer) const {
  const std::set<uint8_t> used = UsedBy(steer->rule);
  for (const bool is_ipv6 : {false, true}) {
    if (is_ipv6 && !row.far_ipv6) continue;
    Pops having;
    for (uint8_t pop : used) {
      const auto is_of_family = [&](const IpAddress& each) { return each.is_ipv6 == is_ipv6; };
      if (std::ranges::any_of(made_->pops[pop].addresses, is_of_family)) having.push_back(pop);
    }
    // Where nobody has one there is nothing to be answered.
    if (having.size() < used.size()) steer->only[is_ipv6] = std::move(having);
  }
}

void Maker::TakeSteer(const ZoneSettings& zone_row, const SteerSettings& row, ZonePlan* zone) {
  Steering steer;
  steer.where = TextOf(row.where);
  steer.names_where = row.where.Of("names");
  steer.ttl = row.ttl;
  for (const std::string& text : row.names) {
    auto name = dns::Name::FromText(text, zone->name);
    if (!name) {
      AddError(row.where, "names", name.error().message);
      continue;
    }
    auto wire = name->view().bytes();
    steer.names.emplace_back(wire.begin(), wire.end());
  }
  SteerRule& rule = steer.rule;
  rule.policy = row.policy == "weighted"   ? Policy::kWeighted
                : row.policy == "failover" ? Policy::kFailover
                                           : Policy::kNearest;
  rule.pops = TakePopNames(row.pops, row.where, "pops");
  rule.answers = static_cast<size_t>(row.answers);
  rule.unknown = TakePopNames(row.unknown, row.where, "unknown");
  for (const OverrideSettings& override_row : row.overrides) {
    rule.overrides.push_back(TakeOverride(override_row));
  }
  steer.fallback = TakeAddresses(row.fallback, row.where, "fallback");
  rule.has_fallback = !steer.fallback.empty();
  if (row.fallback_check && row.fallback.empty()) {
    AddError(row.where, "fallback_check", "there are no fallback addresses to check");
  }
  steer.fallback_check =
      TakeCheck(row.fallback_check, "fallback " + zone_row.name + " " + row.names.front());
  rule.min_healthy = static_cast<size_t>(row.min_healthy);
  if (rule.min_healthy > 1 && !rule.has_fallback) {
    AddError(row.where, "min_healthy", "expected fallback addresses, which it is about");
  } else if (rule.min_healthy > rule.pops.size()) {
    AddError(
        row.where, "min_healthy",
        "expected " + std::to_string(rule.pops.size()) + " at most: the rule has no more pops");
  }
  CheckLocations(rule, row.where);
  TakeDistance(row, &rule);
  TakeFamilies(row, &steer);
  zone->steers.push_back(std::move(steer));
}

void Maker::TakeZones() {
  std::set<std::string> seen;
  for (const ZoneSettings& row : settings_.zones) {
    ZonePlan zone;
    zone.file = row.file;
    zone.where = row.where;
    auto name = dns::Name::FromText(row.name);
    if (!name) {
      AddError(row.where, "name", name.error().message);
      continue;
    }
    zone.name = *name;
    dns::Name folded = *name;
    folded.Fold();
    if (!seen.insert(folded.ToText()).second) {
      AddError(row.where, "name", "two zones are called \"" + row.name + "\"");
    }
    zone.dnssec = row.dnssec;
    if (row.dnssec && settings_.server.state.empty()) {
      AddError(row.where, "dnssec",
               "expected geodns.state to be set: the keys are kept in a folder below it");
    }
    for (const SteerSettings& steer : row.steers) TakeSteer(row, steer, &zone);
    made_->zones.push_back(std::move(zone));
  }
}

}  // namespace

SteerRule Steering::RuleFor(size_t family) const {
  SteerRule of_family = rule;
  of_family.only = only[family];
  return of_family;
}

Result<std::shared_ptr<const Configuration>> Configuration::Make(const GeodnsSettings& settings) {
  return Maker(settings).Make();
}

}  // namespace nearside::geodns
