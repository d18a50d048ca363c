#include "edge/keeper.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "edge/json_member.h"

namespace nearside::edge {
namespace {

using Json = nlohmann::ordered_json;

/// Sites whose switches are remembered, and told of in one report.
constexpr size_t kMostSites = 64;
constexpr size_t kShownUrlBytes = 200;

bool IsTrue(const nlohmann::json& json, const char* name) {
  const auto member = json.find(name);
  return member != json.end() && member->is_boolean() && member->get<bool>();
}

bool IsAsked(const SiteSettings& site) { return site.keep_whole || site.prove_releases; }

Json FlawsJson(const std::vector<UrlFlaw>& flaws) {
  Json json = Json::array();
  for (const UrlFlaw& flaw : flaws) {
    json.push_back({{"url", flaw.url.substr(0, kShownUrlBytes)}, {"why", flaw.why}});
  }
  return json;
}

/// Flaws of so many sites are told: a report has a limit.
constexpr size_t kMostWithFlaws = 5;

Json PreparationJson(const PreparedState& state) {
  Json json = {{"release", state.release},
               {"epoch", state.position.epoch},
               {"seq", state.position.sequence},
               {"state", state.state},
               {"held", state.held},
               {"of", state.of},
               {"bytes", state.bytes},
               {"ms", state.took.count()}};
  if (!state.why.empty()) json["why"] = state.why;
  return json;
}

Json StateJson(const KeptState& state, bool with_flaws) {
  Json json = {{"site", state.site}};
  if (state.position.sequence != 0) {
    json["epoch"] = state.position.epoch;
    json["seq"] = state.position.sequence;
    json["release"] = state.release;
    json["state"] = state.state;
    json["urls"] = state.urls;
    json["same"] = state.same;
    if (!state.digest.empty()) json["digest"] = state.digest;
    if (!state.prepared.empty()) json["prepared"] = Json::parse(state.prepared);
    if (with_flaws && !state.differing.empty()) json["differing"] = FlawsJson(state.differing);
  }
  if (state.keeps) {
    json["whole"] = {{"held", state.held}, {"of", state.of}, {"walked", state.walked}};
    if (with_flaws && !state.missing.empty()) json["whole"]["missing"] = FlawsJson(state.missing);
  }
  return json;
}

}  // namespace

Keeper::Keeper(Worker& worker, http::Client& client, Options options)
    : worker_(worker),
      options_(std::move(options)),
      pace_(options_.rate, worker.loop().now()),
      means_{.worker = worker,
             .client = client,
             .origins = options_.origins,
             .token = options_.token,
             .pace = pace_,
             .poke = [this] { Poke(); },
             .told =
                 [this] {
                   if (options_.told) options_.told();
                 },
             .walked = [this] { Sweep(); }},
      self_(std::make_shared<Keeper*>(this)) {}

Keeper::~Keeper() { *self_ = nullptr; }

SiteKeeper* Keeper::FindOrMake(const std::string& site) {
  auto found = sites_.find(site);
  if (found == sites_.end()) {
    found = sites_.emplace(site, std::make_unique<SiteKeeper>(means_, site)).first;
    found->second->Use(configuration_);
  }
  return found->second.get();
}

void Keeper::Use(std::shared_ptr<const Configuration> configuration) {
  configuration_ = std::move(configuration);
  const FleetSettings& fleet = configuration_->settings.fleet;
  pace_.SetRate(fleet.keep_rate);
  for (auto& [name, site] : sites_) site->Use(configuration_);
  for (const SiteSettings& site : configuration_->settings.sites) {
    if (!IsAsked(site) || sites_.contains(site.name)) continue;
    FindOrMake(site.name)->AskForLast();
    if (SitePreparer* preparer = FindOrMakePreparer(site.name)) preparer->Restore();
  }
  Sweep();
  Poke();
}

void Keeper::OnEvent(storage::LogPosition position, std::string_view data) {
  const auto json = nlohmann::json::parse(data, nullptr, /*allow_exceptions=*/false);
  const std::string name = json.is_object() ? TextMember(json, "site") : "";
  if (name.empty()) return;
  const std::string type = TextMember(json, "type");
  if (type == "prepare") return OnPrepare(name, position, TextMember(json, "release"));
  if (type == "activate") {
    const bool known = sites_.contains(name);
    if (!known && sites_.size() >= kMostSites && configuration_->sites.FindByName(name) == nullptr)
      return;
    const std::string release = TextMember(json, "release");
    std::string prepared;
    if (const auto preparer = preparers_.find(name); preparer != preparers_.end()) {
      preparer->second->OnSwitched();
      const PreparedState& state = preparer->second->state();
      if (state.release == release) prepared = PreparationJson(state).dump();
    }
    FindOrMake(name)->OnActivated(position, release, TextsMember(json, "hosts"),
                                  std::move(prepared));
    return;
  }
  const auto found = sites_.find(name);
  if (found == sites_.end()) return;
  const bool anything = IsTrue(json, "all") || type == "site" ||
                        !TextsMember(json, "prefixes").empty() || TextsMember(json, "urls").empty();
  found->second->OnChanged(anything ? std::vector<std::string>() : TextsMember(json, "urls"),
                           TextsMember(json, "hosts"));
}

/// Of a site that this edge does not serve nothing is told.
void Keeper::OnPrepare(const std::string& site, storage::LogPosition position,
                       std::string release) {
  const bool number = !release.empty() && release.size() < 20 &&
                      release.find_first_not_of("0123456789") == std::string::npos;
  if (!number || configuration_->sites.FindByName(site) == nullptr) return;
  if (SitePreparer* preparer = FindOrMakePreparer(site)) {
    preparer->Begin(configuration_, position, std::move(release));
  }
}

/// Null: there are too many.
SitePreparer* Keeper::FindOrMakePreparer(const std::string& site) {
  auto found = preparers_.find(site);
  if (found == preparers_.end()) {
    if (preparers_.size() >= kMostSites) return nullptr;
    found = preparers_.emplace(site, nullptr).first;
    found->second = std::make_unique<SitePreparer>(means_, site, [this] { means_.told(); });
  }
  return found->second.get();
}

const PreparedState* Keeper::Preparation(const std::string& site) const {
  const auto found = preparers_.find(site);
  const bool any = found != preparers_.end() && found->second->state().position.sequence != 0;
  return any ? &found->second->state() : nullptr;
}

void Keeper::OnLogCut() {
  for (auto& [name, site] : sites_) {
    site->OnChanged({}, {});
    const Site* own = configuration_->sites.FindByName(name);
    if (own != nullptr && IsAsked(own->settings)) site->AskForLast();
  }
  Poke();
}

void Keeper::OnPurged(const std::string& site) {
  const auto found = sites_.find(site);
  if (found != sites_.end()) found->second->OnChanged({}, {});
}

void Keeper::Poke() {
  if (std::exchange(poked_, true)) return;
  worker_.loop().Post([self = self_] {
    if (*self == nullptr) return;
    (*self)->poked_ = false;
    (*self)->Turn();
  });
}

/// A request of each site in turn, as many at once as may be.
void Keeper::Turn() {
  const auto free = static_cast<size_t>(configuration_->settings.fleet.keep_parallel);
  size_t busy = 0;
  for (const auto& [name, site] : sites_) busy += site->under_way();
  for (bool begun = true; begun && busy < free;) {
    begun = false;
    for (auto& [name, site] : sites_) {
      if (busy >= free) break;
      if (!site->StartNext()) continue;
      begun = true;
      ++busy;
    }
  }
}

/// Once all that is to be kept is known, the rest is let go: what left the sites while this edge
/// was away, and what a setting no longer wants.
void Keeper::Sweep() {
  const auto known = [this] {
    return std::all_of(sites_.begin(), sites_.end(), [](const auto& row) {
      return !row.second->keeps() || row.second->walked();
    });
  };
  if (!known()) return;
  storage::CacheStore& store = *worker_.node().store;
  store.ListPinned(worker_.loop(), [self = self_, known, &store](std::vector<Key256> keys) {
    if (*self == nullptr || !known()) return;
    for (const Key256& key : keys) {
      const auto& sites = (*self)->sites_;
      const bool kept = std::any_of(sites.begin(), sites.end(),
                                    [&](const auto& row) { return row.second->Keeps(key); });
      if (!kept) store.Unpin(key);
    }
  });
}

std::vector<KeptState> Keeper::States() const {
  std::vector<KeptState> states;
  for (const auto& [name, site] : sites_) {
    if (site->state().position.sequence != 0 || site->keeps()) states.push_back(site->state());
  }
  return states;
}

std::string Keeper::StatesJson(storage::LogPosition applied) const {
  std::vector<KeptState> states = States();
  const auto is_done = [&](storage::LogPosition position) {
    return position.epoch == applied.epoch && position <= applied;
  };
  for (KeptState& state : states) {
    if (!is_done(state.position)) state.position = {};
  }
  std::map<std::string, Json> preparing;
  for (const auto& [name, preparer] : preparers_) {
    const storage::LogPosition position = preparer->state().position;
    if (position.sequence == 0 || !is_done(position)) continue;
    preparing[name] = PreparationJson(preparer->state());
    const bool there = std::any_of(states.begin(), states.end(), [&site = name](const auto& state) {
      return state.site == site;
    });
    if (there) continue;
    states.emplace_back();
    states.back().site = name;
  }
  std::erase_if(states, [&](const KeptState& state) {
    return state.position.sequence == 0 && !state.keeps && !preparing.contains(state.site);
  });
  // The newest switches first, if there are too many.
  std::stable_sort(states.begin(), states.end(), [](const KeptState& a, const KeptState& b) {
    return a.position.sequence > b.position.sequence;
  });
  if (states.size() > kMostSites) states.resize(kMostSites);
  Json json = Json::array();
  size_t with_flaws = 0;
  for (const KeptState& state : states) {
    const bool flawed = !state.differing.empty() || !state.missing.empty();
    if (flawed) ++with_flaws;
    json.push_back(StateJson(state, with_flaws <= kMostWithFlaws));
    const auto found = preparing.find(state.site);
    if (found != preparing.end()) json.back()["preparing"] = found->second;
  }
  return json.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void DeclareKeeperMetrics(metrics::Registry& registry,
                          std::function<std::vector<KeptState>()> states) {
  using Sample = metrics::Registry::Sample;
  const auto of_kept = [states](uint64_t KeptState::*member) {
    return [states, member] {
      std::vector<Sample> samples;
      for (const KeptState& state : states()) {
        if (!state.keeps) continue;
        samples.push_back({{{"site", state.site}}, static_cast<double>(state.*member)});
      }
      return samples;
    };
  };
  registry.GaugesFrom("nearside_edge_kept_wanted_urls",
                      "URLs of a site with keep_whole, as far as they are known.",
                      of_kept(&KeptState::of));
  registry.GaugesFrom("nearside_edge_kept_held_urls", "Of these, those that are held on disk.",
                      of_kept(&KeptState::held));
  registry.GaugesFrom("nearside_edge_kept_walked",
                      "1 once all of the active release has been gone through since the start.",
                      [states] {
                        std::vector<Sample> samples;
                        for (const KeptState& state : states()) {
                          if (!state.keeps) continue;
                          samples.push_back({{{"site", state.site}}, state.walked ? 1.0 : 0.0});
                        }
                        return samples;
                      });
  registry.GaugesFrom(
      "nearside_edge_release_proved",
      "1 if the newest release that the log told of is served as it should be.", [states] {
        std::vector<Sample> samples;
        for (const KeptState& state : states()) {
          const bool asked =
              state.position.sequence != 0 && state.state != "unserved" && state.state != "off";
          if (!asked) continue;
          samples.push_back({{{"site", state.site}}, state.state == "proved" ? 1.0 : 0.0});
        }
        return samples;
      });
}

}  // namespace nearside::edge
