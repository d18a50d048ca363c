#include "geodns/aliases.h"

#include <algorithm>
#include <set>

#include "geodns/responder.h"
#include "geodns/zone_index.h"

namespace nearside::geodns {
namespace {

/// `place`: file and line.
tl::unexpected<Error> BadAlias(const AliasPlan& plan, std::string_view place,
                               std::string_view what) {
  return Fail(Fault::kOperator, "bad_zone",
              std::string(place) + ": the ALIAS of " + plan.owner + " " + std::string(what));
}

/// Follows the target through zones of ours, as far as they know it.
Status Follow(const ZoneIndex& zones, std::string_view place, AliasPlan* plan) {
  for (size_t hop = 0; hop <= kMaxCnameHops; ++hop) {
    const Zone* zone = zones.Find(AliasResolver::NameOf(plan->target));
    if (zone == nullptr) return {};
    Zone::Found found = zone->Find(AliasResolver::NameOf(plan->target));
    if (found.match == Zone::Match::kDelegated) return {};
    plan->zone = zone;
    if (found.match == Zone::Match::kNoSuchName) return {};
    if (found.node->alias != Zone::kNone) {
      return BadAlias(*plan, place,
                      "leads to " + AliasResolver::NameOf(plan->target).ToText() +
                          ", which has an ALIAS itself: write where that one leads");
    }
    const Zone::RrSet* cname = zone->Find(*found.node, dns::type::kCname);
    if (cname == nullptr) {
      plan->node = found.node;
      return {};
    }
    auto rdata = zone->Record(*cname, 0).rdata;
    dns::Name target(dns::NameView(rdata.data(), rdata.size()));
    target.Fold();
    auto bytes = target.view().bytes();
    plan->target.assign(bytes.begin(), bytes.end());
    plan->zone = nullptr;
  }
  return BadAlias(*plan, place, "leads through more than 8 CNAMEs");
}

}  // namespace

Result<std::vector<AliasPlan>> PlanAliases(std::span<const std::shared_ptr<const Zone>> zones) {
  const ZoneIndex index(std::vector(zones.begin(), zones.end()));
  std::vector<AliasPlan> plans;
  for (const auto& zone : zones) {
    for (const auto& [owner, alias] : zone->Aliases()) {
      if (plans.size() == kMaxAliases) {
        return Fail(Fault::kOperator, "bad_zone",
                    std::string(alias.place) +
                        ": expected 10000 ALIAS records at most in all zones together");
      }
      AliasPlan plan;
      plan.owner = owner.ToText();
      plan.target.assign(alias.target.data(), alias.target.data() + alias.target.size());
      plan.ttl = alias.ttl;
      if (auto followed = Follow(index, alias.place, &plan); !followed) {
        return tl::unexpected(std::move(followed.error()));
      }
      plans.push_back(std::move(plan));
    }
  }
  return plans;
}

std::vector<AliasResolver::Target> TargetsOf(std::span<const AliasPlan> plans) {
  std::set<AliasResolver::Target> targets;
  for (const AliasPlan& plan : plans) {
    if (plan.zone == nullptr) targets.insert(plan.target);
  }
  return {targets.begin(), targets.end()};
}

std::vector<AliasAnswer> AnswersOf(std::span<const AliasPlan> plans,
                                   const AliasResolver* resolver) {
  std::vector<AliasAnswer> answers;
  for (const AliasPlan& plan : plans) {
    AliasAnswer& answer = answers.emplace_back();
    answer.zone = plan.zone;
    answer.node = plan.node;
    answer.ttl = plan.ttl;
    answer.known = plan.zone != nullptr;
    const AliasState* state = resolver == nullptr ? nullptr : resolver->Find(plan.target);
    if (plan.zone != nullptr || state == nullptr || !state->result.known) continue;
    answer.known = true;
    answer.networks = resolver->NetworksOf(plan.target);
    answer.most_ttl = plan.ttl;
    answer.ttl = std::min(plan.ttl, state->result.ttl);
    answer.resolved = {AddressRecords::Render(state->result.addresses, false, answer.ttl),
                       AddressRecords::Render(state->result.addresses, true, answer.ttl)};
  }
  return answers;
}

}  // namespace nearside::geodns
