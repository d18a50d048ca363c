#include "geodns/explain.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "dns/rdata.h"
#include "dns/record_type.h"
#include "dns/svc_params.h"
#include "geodns/hint_buffer.h"
#include "geodns/responder.h"
#include "geodns/zone_keys.h"

namespace nearside::geodns {
namespace {

using Json = nlohmann::ordered_json;

const Steering& SteeringOf(const World& world, uint32_t number) {
  const auto* zone = world.configuration->zones.data();
  while (number >= zone->steers.size()) number -= static_cast<uint32_t>((zone++)->steers.size());
  return zone->steers[number];
}

bool IsOurs(const Zone::Found& found) {
  return found.match == Zone::Match::kExact || found.match == Zone::Match::kWildcard;
}

/// To a tenth of a degree: databases are not better than that.
double Tenths(double value) { return std::round(value * 10) / 10; }

/// 0.625: "62.5 %".
std::string PercentOf(double share) {
  char text[16];
  std::snprintf(text, sizeof text, "%.3g %%", 100 * share);
  return text;
}

/// What an ALIAS leads to, its addresses by type.
Json AliasToldJson(Json alias, Json addresses, uint32_t ttl) {
  const bool is_known = alias.value("known", true);
  const bool is_empty = addresses["A"].empty() && addresses["AAAA"].empty();
  return {{"steered", false},
          {"found", "alias"},
          {"kind", !is_known  ? "servfail"
                   : is_empty ? "nodata"
                              : "answer"},
          {"rcode", dns::RcodeName(is_known ? dns::Rcode::kNoError : dns::Rcode::kServFail)},
          {"alias", std::move(alias)},
          {"answer", std::move(addresses)},
          {"ttl", ttl}};
}

Pops PopsOf(const SteerTable::Answer& answer) {
  return {answer.pops.pops.begin(), answer.pops.pops.begin() + answer.pops.count};
}

/// All that leads to one answer.
class Explanation {
 public:
  Explanation(const World& world, const Snapshot& snapshot, const Moment& moment,
              const Network& client)
      : world_(world), snapshot_(snapshot), moment_(moment), client_(client) {}

  Json Tell(const Zone& zone, dns::NameView name);

 private:
  Json Follow(const Zone& zone, dns::NameView name);
  Json TellNode(const Zone& zone, const Zone::Node& node, dns::NameView owner);
  Json TellAbsent(const Zone& zone, const Zone::Found& found);
  Json TellRecords(std::string_view found, std::string_view kind = "answer",
                   dns::Rcode rcode = dns::Rcode::kNoError) const;
  void AddRecords(std::string_view section, dns::NameView owner, const Zone& zone,
                  const Zone::RrSet& set);
  std::string DataText(const Zone& zone, const Zone::RrSet& set, size_t i) const;
  Json TellSteered(uint32_t number);
  Json TellAlias(uint32_t number);
  const AliasNetworks::Answer* OwnOf(const AliasAnswer& alias) const;
  void AddServices(const Zone& zone, const Zone::Node& node, Json* json) const;
  Json PlaceJson() const;
  void AddSystem(Json* json) const;
  Json PopsJson(const Steering& steering, const Preference& preference, const Health& health,
                const std::array<Pops, 2>& answered) const;
  std::string LeftOut(const Steering& steering, const Preference& preference, const Health& health,
                      uint8_t pop) const;
  bool GivesAway(const Steering& steering, const Preference& preference, const Health& health,
                 uint8_t pop) const;
  std::string StateOf(const Health& health, uint8_t pop) const;
  Network LookedUp() const;
  static uint64_t MatchedNetworks(const SteerRule& rule, const Network& client);
  Json AnswerJson(const std::array<Pops, 2>& pops, const Steering& steering) const;
  HintBuffer::Answers Ask(const Steer& steer) const;

  const World& world_;
  const Snapshot& snapshot_;
  const Moment& moment_;
  const Network& client_;
  Json records_ = Json::array();  ///< of an answer that is not steered
  GeoMap::Evidence evidence_;
  SteerReason reason_ = SteerReason::kNearest;
  int first_answered_ = -1;
  size_t answered_count_ = 0;
};

Json Explanation::Tell(const Zone& zone, dns::NameView name) {
  Json json = {{"name", name.ToText()},
               {"client", client_.ToText()},
               {"zone", zone.origin().ToText()},
               {"serial", zone.serial()}};
  if (zone.keys() != nullptr) {
    json["signed_by"] = Json::array();
    for (const ZoneKey& key : zone.keys()->keys) json["signed_by"].push_back(key.tag);
  }
  json.update(Follow(zone, name));
  return json;
}

/// From the name along CNAMEs, as the responder does, to what answers.
Json Explanation::Follow(const Zone& zone, dns::NameView name) {
  Json via = Json::object();
  dns::Name owner(name);
  const Zone* in = &zone;  // a CNAME may lead to a zone of ours below the first
  std::vector<const Zone::Node*> seen;
  const auto told = [&](const Json& json) {
    via.update(json);
    return via;
  };
  for (;;) {
    dns::Name folded(owner);
    folded.Fold();
    if (!seen.empty()) in = snapshot_.zones.Find(folded);
    const Zone::Found found = in->Find(folded);
    if (!IsOurs(found)) return told(TellAbsent(*in, found));
    const Zone::Node& node = *found.node;
    const Zone::RrSet* cname = in->Find(node, dns::type::kCname);
    // The chain comes back to where it was: its records are answered once.
    if (std::ranges::find(seen, &node) != seen.end()) return told(TellRecords("cname_loop"));
    if (found.match == Zone::Match::kWildcard) {
      via["wildcard"].push_back(in->name(node).ToText());
    }
    if (node.steer != Zone::kNone || node.alias != Zone::kNone) {
      Json json = node.steer != Zone::kNone ? TellSteered(node.steer)
                                            : TellAlias(in->first_alias() + node.alias);
      AddServices(*in, node, &json);
      return told(json);
    }
    if (cname == nullptr) return told(TellNode(*in, node, owner));
    AddRecords("answer", owner, *in, *cname);
    const auto rdata = in->Record(*cname, 0).rdata;
    const dns::NameView target(rdata.data(), rdata.size());
    if (seen.size() == kMaxCnameHops || !target.IsAtOrBelow(zone.origin())) {
      return told(TellRecords("cname"));
    }
    seen.push_back(&node);
    via["cname"].push_back(target.ToText());
    owner = dns::Name(target);
  }
}

/// Everything at a name whose answers depend on nobody; the types that it has not are NODATA.
Json Explanation::TellNode(const Zone& zone, const Zone::Node& node, dns::NameView owner) {
  for (const Zone::RrSet& set : zone.RrSets(node)) AddRecords("answer", owner, zone, set);
  Json json = TellRecords("static");
  if (node.rrset_count == 0) json["kind"] = "nodata";
  json["negative_ttl"] = zone.NegativeSoa().ttl;
  AddServices(zone, node, &json);
  return json;
}

/// A name that does not exist, or that others answer for.
Json Explanation::TellAbsent(const Zone& zone, const Zone::Found& found) {
  if (found.match == Zone::Match::kNoSuchName) {
    Json json = TellRecords("no_such_name", "nxdomain", dns::Rcode::kNxDomain);
    json["negative_ttl"] = zone.NegativeSoa().ttl;
    // Who asks for proof and does not know better is told otherwise (RFC 9824 §5).
    if (zone.keys() != nullptr) json["rcode_with_proof"] = dns::RcodeName(dns::Rcode::kNoError);
    return json;
  }
  const Zone::Node& cut = *found.node;
  AddRecords("authority", zone.name(cut), zone, *zone.Find(cut, dns::type::kNs));
  const Zone::RrSet* ds = zone.Find(cut, dns::type::kDs);
  if (ds != nullptr && zone.keys() != nullptr) {
    AddRecords("authority", zone.name(cut), zone, *ds);
  }
  for (size_t i = 0; i < zone.glue_count(cut); ++i) {
    const Zone::Node& glue = zone.Glue(cut, i);
    for (uint16_t type : {dns::type::kA, dns::type::kAaaa}) {
      const Zone::RrSet* set = zone.Find(glue, type);
      if (set != nullptr) AddRecords("additional", zone.name(glue), zone, *set);
    }
  }
  Json json = TellRecords("delegated", "referral");
  json["delegation"] = zone.name(cut).ToText();
  return json;
}

/// The records so far, and what kind of answer they make.
Json Explanation::TellRecords(std::string_view found, std::string_view kind,
                              dns::Rcode rcode) const {
  return {{"steered", false},
          {"found", found},
          {"kind", kind},
          {"rcode", dns::RcodeName(rcode)},
          {"records", records_}};
}

void Explanation::AddRecords(std::string_view section, dns::NameView owner, const Zone& zone,
                             const Zone::RrSet& set) {
  uint32_t ttl = set.ttl;
  for (size_t i = 0; i < set.count; ++i) {
    const uint32_t number = zone.HintSteer(set, i);
    if (number != Zone::kNone) ttl = std::min(ttl, snapshot_.steers[number].ttl);
  }
  for (size_t i = 0; i < set.count; ++i) {
    records_.push_back({{"section", section},
                        {"name", owner.ToText()},
                        {"type", dns::TypeToText(set.type)},
                        {"ttl", ttl},
                        {"data", DataText(zone, set, i)}});
  }
}

/// The addresses of the moment and where they come from.
Json Explanation::TellAlias(uint32_t number) {
  const AliasPlan& plan = world_.aliases[number];
  const AliasAnswer& answer = snapshot_.aliases[number];
  const dns::NameView target(plan.target.data(), plan.target.size());
  Json alias = {{"target", target.ToText()}};
  if (plan.zone != nullptr) alias["zone"] = plan.zone->origin().ToText();
  if (answer.node != nullptr && answer.node->steer != Zone::kNone) {
    Json json = TellSteered(answer.node->steer);
    json["alias"] = std::move(alias);
    json["ttl"] = std::min(json["ttl"].get<uint32_t>(), answer.ttl);
    return json;
  }
  alias["known"] = answer.known;
  Json addresses = {{"A", Json::array()}, {"AAAA", Json::array()}};
  if (const AliasNetworks::Answer* own = OwnOf(answer)) {
    alias["network"] = own->network.ToText();
    for (const IpAddress& address : own->addresses) {
      addresses[address.is_ipv6 ? "AAAA" : "A"].push_back(address.ToText());
    }
    return AliasToldJson(std::move(alias), std::move(addresses),
                         std::min(answer.most_ttl, own->ttl));
  }
  for (bool is_ipv6 : {false, true}) {
    Json& list = addresses[is_ipv6 ? "AAAA" : "A"];
    const uint16_t type = is_ipv6 ? dns::type::kAaaa : dns::type::kA;
    const Zone::RrSet* set =
        answer.node == nullptr ? nullptr : answer.zone->Find(*answer.node, type);
    for (size_t i = 0; set != nullptr && i < set->count; ++i) {
      list.push_back(dns::RdataToText(type, answer.zone->Record(*set, i).rdata));
    }
    for (const auto& rdata : answer.resolved[is_ipv6].Rdata()) {
      list.push_back(dns::RdataToText(type, rdata));
    }
  }
  return AliasToldJson(std::move(alias), std::move(addresses), answer.ttl);
}

/// The answer that the client's network has of its own, or nullptr.
const AliasNetworks::Answer* Explanation::OwnOf(const AliasAnswer& alias) const {
  if (alias.networks == nullptr) return nullptr;
  const uint8_t most_bits = AliasNetworks::MostBits(client_.address.is_ipv6);
  return alias.networks->Find(client_.address, std::min(client_.prefix_bits, most_bits)).answer;
}

/// HTTPS and SVCB records of the name as this client gets them, where hints follow steering.
void Explanation::AddServices(const Zone& zone, const Zone::Node& node, Json* json) const {
  for (const Zone::RrSet& set : zone.RrSets(node)) {
    if (!set.has_steered_hints) continue;
    Json& list = (*json)["services"][dns::TypeToText(set.type)];
    for (size_t i = 0; i < set.count; ++i) list.push_back(DataText(zone, set, i));
  }
}

/// The data of a record, with the hints that this client gets.
std::string Explanation::DataText(const Zone& zone, const Zone::RrSet& set, size_t i) const {
  const auto rdata = zone.Record(set, i).rdata;
  const uint32_t number = zone.HintSteer(set, i);
  if (number == Zone::kNone) return dns::RdataToText(set.type, rdata);
  const Steer& steer = snapshot_.steers[number];
  HintBuffer hints;
  std::vector<uint8_t> replaced(kMaxHintedRdata);
  replaced.resize(dns::ReplaceAddressHints(rdata, hints.Of(steer, Ask(steer)), replaced));
  return dns::RdataToText(set.type, replaced);
}

/// What is answered is asked of the very tables that answer.
HintBuffer::Answers Explanation::Ask(const Steer& steer) const {
  return {steer.TableFor(0).Find(client_.address, client_.prefix_bits),
          steer.TableFor(1).Find(client_.address, client_.prefix_bits)};
}

/// What the table goes by: the IPv4 address inside an IPv6 one, if there is one.
Network Explanation::LookedUp() const {
  auto embedded = client_.address.EmbeddedIpv4();
  if (!embedded || client_.prefix_bits <= embedded->before_bits) return client_;
  return Network::Of(embedded->address,
                     static_cast<uint8_t>(client_.prefix_bits - embedded->before_bits));
}

uint64_t Explanation::MatchedNetworks(const SteerRule& rule, const Network& client) {
  uint64_t matched = 0;
  for (size_t i = 0; i < rule.overrides.size(); ++i) {
    for (const Network& network : rule.overrides[i].networks) {
      bool is_known = network.prefix_bits <= client.prefix_bits;
      if (is_known && network.Contains(client.address)) matched |= uint64_t{1} << i;
    }
  }
  return matched;
}

Json Explanation::TellSteered(uint32_t number) {
  const Steering& steering = SteeringOf(world_, number);
  const Network client = LookedUp();
  const IpAddress& address = client.address;
  evidence_ = world_.map->Explain(address);
  const Place& place =
      world_.map->place(world_.map->trie(address.is_ipv6).Find(address.bytes.data()).value);
  Preference preference = Prefer(steering.rule, place, MatchedNetworks(steering.rule, client));
  const HintBuffer::Answers answers = Ask(snapshot_.steers[number]);
  const std::array<Pops, 2> of_family = {PopsOf(answers[0]), PopsOf(answers[1])};
  // The one for which nobody is passed over, if there is one, is what the other reasons are about.
  const size_t main = steering.only[0].empty() ? 0 : 1;
  const Pops& answered = of_family[main];
  reason_ = answers[main].reason;
  if (!answered.empty()) first_answered_ = answered.front();
  answered_count_ = answered.size();
  Health health = HealthFor(*world_.configuration, steering, moment_);
  Json json = {{"steered", true},
               {"rule", steering.where},
               {"policy", PolicyName(steering.rule.policy)},
               {"place", PlaceJson()}};
  if (preference.override_index >= 0) json["override"] = preference.override_index + 1;
  json["reason"] = SteerReasonName(reason_);
  json["pops"] = PopsJson(steering, preference, health, of_family);
  if (steering.rule.has_fallback) json["fallback"] = health.fallback_is_up ? "up" : "down";
  json["answer"] = AnswerJson(of_family, steering);
  json["ttl"] = steering.ttl;
  json["scope"] = std::max(answers[0].scope, answers[1].scope);
  return json;
}

Json Explanation::PlaceJson() const {
  const Locality& locality = evidence_.locality;
  if (evidence_.database == nullptr) {
    if (evidence_.asn_database == nullptr) return nullptr;
    Json json = Json::object();
    AddSystem(&json);
    return json;
  }
  Json json = {{"database", evidence_.database->path()},
               {"network", evidence_.network.ToText()},
               {"country", locality.country.ToText()},
               {"continent", ContinentName(locality.continent)}};
  if (locality.coordinates) {
    json["latitude"] = Tenths(locality.coordinates->latitude);
    json["longitude"] = Tenths(locality.coordinates->longitude);
    json["coordinates_of"] = evidence_.coordinates_of_country ? "country" : "network";
  }
  AddSystem(&json);
  return json;
}

/// Whether it refused this client, who got one that is wanted less.
bool Explanation::GivesAway(const Steering& steering, const Preference& preference,
                            const Health& health, uint8_t pop) const {
  if (reason_ != SteerReason::kShed || moment_.share(pop) >= 1) return false;
  if (steering.rule.policy == Policy::kWeighted) return true;
  for (uint8_t wanted : FindWanted(steering.rule, preference, health)) {
    if (wanted == pop) return true;
    if (wanted == first_answered_) return false;
  }
  return false;
}

/// Why a point is not up, with who drained it.
std::string Explanation::StateOf(const Health& health, uint8_t pop) const {
  std::string state(PopStateName(health.pops[pop]));
  if (health.pops[pop] != PopState::kDrained) return state;
  if (moment_.is_drained(pop)) return state + " by operator";
  auto check = world_.configuration->pops[pop].check;
  return state +
         (check && moment_.targets[*check].lagging ? ": behind the origin's purges" : " by itself");
}

/// The autonomous system, which may be known from another file than the rest.
void Explanation::AddSystem(Json* json) const {
  if (evidence_.asn_database == nullptr) return;
  (*json)["asn"] = evidence_.locality.asn;
  if (!evidence_.as_organization.empty()) (*json)["as_organization"] = evidence_.as_organization;
  (*json)["asn_database"] = evidence_.asn_database->path();
  (*json)["asn_network"] = evidence_.asn_network.ToText();
}

/// Why a point that was not answered was not: the first reason that applies.
std::string Explanation::LeftOut(const Steering& steering, const Preference& preference,
                                 const Health& health, uint8_t pop) const {
  auto in = [&](const Pops& pops) {
    return std::find(pops.begin(), pops.end(), pop) != pops.end();
  };
  bool preferred = in(preference.first);
  if (!preferred && !in(preference.then)) return "not in this rule";
  if (health.pops[pop] != PopState::kUp) return StateOf(health, pop);
  if (reason_ == SteerReason::kFallback) return "fewer than min_healthy are up";
  if (GivesAway(steering, preference, health, pop)) {
    return "over its capacity: it keeps the nearest " + PercentOf(moment_.share(pop)) +
           " of its clients";
  }
  if (!preferred && preference.override_index >= 0) return "the override prefers others";
  if (!preferred) return "others are preferred where the place is unknown";
  const std::vector<Pops>& beside = steering.rule.beside;
  const bool has_room = answered_count_ > 0 && answered_count_ < steering.rule.answers;
  if (!beside.empty() && has_room && !in(beside[first_answered_])) {
    return "beyond answers_within of " + world_.configuration->pops[first_answered_].name;
  }
  switch (steering.rule.policy) {
    case Policy::kNearest:
      return reason_ == SteerReason::kUnknown ? "later in the order" : "farther";
    case Policy::kWeighted:
      return "not drawn for this network";
    case Policy::kFailover:
      return "later in the order";
  }
  return "";
}

/// In the order in which they are wanted, then those that are not of this rule.
Json Explanation::PopsJson(const Steering& steering, const Preference& preference,
                           const Health& health, const std::array<Pops, 2>& answered) const {
  Pops order = preference.first;
  order.insert(order.end(), preference.then.begin(), preference.then.end());
  for (size_t pop = 0; pop < world_.configuration->pops.size(); ++pop) {
    auto number = static_cast<uint8_t>(pop);
    if (std::find(order.begin(), order.end(), number) == order.end()) order.push_back(number);
  }
  Json list = Json::array();
  for (uint8_t pop : order) {
    const Pop& point = world_.configuration->pops[pop];
    Json json = {{"name", point.name}};
    if (point.location && evidence_.locality.coordinates) {
      double km = DistanceKm(*point.location, *evidence_.locality.coordinates);
      json["distance_km"] = std::lround(km);
    }
    json["state"] = PopStateName(health.pops[pop]);
    if (moment_.share(pop) < 1) json["share"] = moment_.share(pop);
    const bool for_a = std::ranges::find(answered[0], pop) != answered[0].end();
    const bool for_aaaa = std::ranges::find(answered[1], pop) != answered[1].end();
    json["answered"] = for_a || for_aaaa;
    if (for_a != for_aaaa) json["answered_for"] = for_a ? "A" : "AAAA";
    if (!for_a && !for_aaaa) json["left_out"] = LeftOut(steering, preference, health, pop);
    list.push_back(std::move(json));
  }
  return list;
}

Json Explanation::AnswerJson(const std::array<Pops, 2>& pops, const Steering& steering) const {
  std::array<Json, 2> families = {Json::array(), Json::array()};
  for (size_t family = 0; family < families.size(); ++family) {
    const auto add = [&](const std::vector<IpAddress>& addresses) {
      for (const IpAddress& address : addresses) {
        if (size_t{address.is_ipv6} == family) families[family].push_back(address.ToText());
      }
    };
    for (uint8_t pop : pops[family]) add(world_.configuration->pops[pop].addresses);
    if (pops[family].empty()) add(steering.fallback);
  }
  return {{"A", families[0]}, {"AAAA", families[1]}};
}

}  // namespace

Result<std::string> Explain(const World& world, const Snapshot& snapshot, const Moment& moment,
                            dns::NameView name, const Network& client) {
  dns::Name folded(name);
  folded.Fold();
  const Zone* zone = snapshot.zones.Find(folded);
  if (zone == nullptr) {
    return Fail(Fault::kClient, "not_our_zone", name.ToText() + " is in none of our zones");
  }
  Json json = Explanation(world, snapshot, moment, client).Tell(*zone, name);
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace nearside::geodns
