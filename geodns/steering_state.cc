#include "geodns/steering_state.h"

#include <algorithm>
#include <cstdio>
#include <set>

#include "geodns/world.h"
#include "runtime/file.h"
#include "runtime/log.h"

namespace nearside::geodns {
namespace {

constexpr ByteSize kMostFileBytes = 1_MiB;
constexpr std::string_view kDrainsFile = "drains.json";
constexpr std::string_view kSharesFile = "shares.json";

std::string NamesOf(const std::vector<Pop>& pops) {
  std::string names;
  for (const Pop& pop : pops) names += (names.empty() ? "" : ", ") + pop.name;
  return names.empty() ? "none" : names;
}

}  // namespace

SteeringState::SteeringState(std::string folder) : folder_(std::move(folder)) {}

void SteeringState::Load() {
  if (auto text = ReadStateFile(std::string(kDrainsFile))) {
    auto drains = OperatorDrainsFromText(*text);
    if (drains) drains_ = std::move(*drains);
    if (!drains) SetAside(std::string(kDrainsFile), drains.error());
  }
  if (auto text = ReadStateFile(std::string(kSharesFile))) {
    auto shares = SharesFromText(*text);
    if (shares) shares_ = std::move(*shares);
    if (!shares) SetAside(std::string(kSharesFile), shares.error());
  }
}

std::optional<std::string> SteeringState::ReadStateFile(const std::string& name) const {
  if (folder_.empty()) return {};
  auto text = ReadFile(folder_ + "/" + name, kMostFileBytes);
  if (text) return std::move(*text);
  if (text.error().reason == "too_large") {
    SetAside(name, text.error());
  } else if (text.error().reason != "ENOENT") {
    Log(Level::kWarning, "state_not_read", {{"error", text.error().message}});
  }
  return {};
}

void SteeringState::SetAside(const std::string& name, const Error& error) const {
  const std::string path = folder_ + "/" + name;
  const bool moved = std::rename(path.c_str(), (path + ".damaged").c_str()) == 0;
  Log(Level::kError, "state_damaged",
      {{"file", path},
       {"error", error.message},
       {"now", moved ? path + ".damaged; going on without it" : "going on without it"}});
}

Status SteeringState::WriteStateFile(const std::string& name, const std::string& text) const {
  if (folder_.empty()) return {};
  constexpr mode_t kMode = 0644;
  return WriteFileAtomically(folder_ + "/" + name, text, kMode);
}

void SteeringState::Use(std::shared_ptr<const Configuration> configuration) {
  configuration_ = std::move(configuration);
  std::vector<CapacityLimit> limits;
  std::vector<double> kept;
  bool forgot = false;
  for (size_t i = 0; i < configuration_->pops.size(); ++i) {
    const Pop& pop = configuration_->pops[i];
    limits.push_back(pop.capacity);
    // A limit that comes back one day must not find the share of a load long gone.
    if (pop.capacity.most_load <= 0) forgot |= shares_.erase(pop.name) > 0;
    auto share = shares_.find(pop.name);
    kept.push_back(share == shares_.end() ? 1 : share->second);
  }
  if (forgot) WriteShares();
  // A reload that changes nothing here must not put off what is being measured.
  std::vector<std::string> names;
  for (const Pop& pop : configuration_->pops) names.push_back(pop.name);
  if (names == names_ && limits == limits_) return;
  names_ = std::move(names);
  limits_ = limits;
  capacity_.SetLimits(std::move(limits), kept);
}

Result<bool> SteeringState::SetDrained(std::string_view pop, bool drained, WallTime now) {
  const std::vector<Pop>& pops = configuration_->pops;
  const bool is_ours = std::ranges::any_of(pops, [&](const Pop& p) { return p.name == pop; });
  const bool was_drained = drains_.contains(pop);
  // One that the settings have lost may still be let go.
  if (!is_ours && (drained || !was_drained)) {
    return Fail(
        Fault::kClient, "no_such_pop",
        "there is no [[pop]] called \"" + std::string(pop) + "\"; there are " + NamesOf(pops));
  }
  if (was_drained == drained) return false;
  OperatorDrains changed = drains_;
  if (drained) {
    changed.emplace(pop, now);
  } else {
    changed.erase(changed.find(pop));
  }
  auto written = WriteStateFile(std::string(kDrainsFile), OperatorDrainsToText(changed));
  if (!written) {
    return Fail(
        Fault::kSelf, "state_not_saved",
        "nothing was changed, because it would not outlive a restart: " + written.error().message);
  }
  drains_ = std::move(changed);
  return true;
}

bool SteeringState::StepShares(MonoTime now, const std::vector<TargetHealth>& targets) {
  std::vector<PopLoad> loads;
  const Moment moment = MomentOf(targets);
  for (size_t i = 0; i < configuration_->pops.size(); ++i) {
    const Pop& pop = configuration_->pops[i];
    if (!pop.check) {
      loads.push_back({!moment.is_drained(i), {}});
      continue;
    }
    const TargetHealth& health = targets[*pop.check];
    loads.push_back({health.state() == PopState::kUp && !moment.is_drained(i), health.load});
  }
  const auto takers_of = [&](size_t pop) { return TakersOf(pop, moment); };
  if (!capacity_.Step(now, loads, takers_of)) return false;
  KeepShares();
  return true;
}

/// A share that is lowered moves clients only where some rule has a way for them.
std::vector<size_t> SteeringState::TakersOf(size_t pop, const Moment& moment) const {
  const std::vector<uint32_t> weights = WeightsOf(*configuration_);
  std::set<size_t> takers;
  for (const ZonePlan& zone : configuration_->zones) {
    for (const Steering& steering : zone.steers) {
      const Health health = HealthFor(*configuration_, steering, moment);
      for (const Preference& preference : PreferencesOf(steering.rule)) {
        const Pops found =
            FindTakers(steering.rule, preference, health, weights, static_cast<uint8_t>(pop));
        takers.insert(found.begin(), found.end());
      }
    }
  }
  return {takers.begin(), takers.end()};
}

void SteeringState::KeepShares() {
  for (size_t i = 0; i < configuration_->pops.size(); ++i) {
    const std::string& name = configuration_->pops[i].name;
    const double share = capacity_.kept()[i];
    auto known = shares_.find(name);
    const double before = known == shares_.end() ? 1 : known->second;
    if (share == before) continue;
    Log(Level::kInfo, "share_changed", {{"pop", name}, {"was", before}, {"is", share}});
    if (share < 1) shares_[name] = share;
    if (share >= 1) shares_.erase(known);
  }
  WriteShares();
}

void SteeringState::WriteShares() const {
  auto written = WriteStateFile(std::string(kSharesFile), SharesToText(shares_));
  if (!written) Log(Level::kError, "state_not_saved", {{"error", written.error().message}});
}

Moment SteeringState::MomentOf(std::vector<TargetHealth> targets) const {
  Moment moment(std::move(targets));
  for (const Pop& pop : configuration_->pops) {
    auto drain = drains_.find(pop.name);
    moment.drained.push_back(drain == drains_.end() ? WallTime() : drain->second);
  }
  moment.kept = capacity_.kept();
  return moment;
}

}  // namespace nearside::geodns
