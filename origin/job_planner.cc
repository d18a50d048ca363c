#include "origin/job_planner.h"

#include <vector>

#include "origin/compress_job.h"

namespace nearside::origin {
namespace {

constexpr size_t kEventsAtOnce = 1000;
constexpr size_t kAssetsAtOnce = 500;

}  // namespace

Result<size_t> JobPlanner::Look() {
  if (!settings_.compress) return 0;
  Result<storage::LogState> log = metadata_.Log();
  if (!log) return unexpected(std::move(log.error()));
  if (planned_ == log->last) return 0;
  Result<std::set<std::string>> sites = ChangedSites(*log);
  if (!sites) return unexpected(std::move(sites.error()));
  size_t added = 0;
  for (const std::string& site : *sites) {
    Result<size_t> some = PlanSite(site);
    if (!some) return some;
    added += *some;
  }
  planned_ = log->last;
  return added;
}

Result<std::set<std::string>> JobPlanner::ChangedSites(const storage::LogState& log) {
  std::set<std::string> names;
  const bool follows = planned_ && planned_->epoch == log.last.epoch &&
                       planned_->sequence <= log.last.sequence &&
                       planned_->sequence + 1 >= log.first;
  if (!follows) {
    Result<std::vector<storage::Site>> sites = metadata_.Sites();
    if (!sites) return unexpected(std::move(sites.error()));
    for (const storage::Site& site : *sites) names.insert(site.name);
    return names;
  }
  uint64_t after = planned_->sequence;
  while (after < log.last.sequence) {
    Result<std::vector<storage::Event>> events = metadata_.Events(after, kEventsAtOnce);
    if (!events) return unexpected(std::move(events.error()));
    if (events->empty()) break;
    for (const storage::Event& event : *events) names.insert(event.site);
    after = events->back().position.sequence;
  }
  return names;
}

Result<size_t> JobPlanner::PlanSite(const std::string& name) {
  Result<storage::Site> site = metadata_.FindSite(name);
  if (!site && site.error().reason == "no_such_site") return 0;
  if (!site) return unexpected(std::move(site.error()));
  if (site->active == storage::kNoRelease) return 0;
  storage::UncodedRange range{.release = site->active,
                              .after = "",
                              .least_bytes = settings_.compress_smallest.bytes,
                              .most_bytes = settings_.compress_largest.bytes,
                              .codings = kPrecompressed.size(),
                              .limit = kAssetsAtOnce};
  size_t added = 0;
  while (true) {
    Result<std::vector<storage::Asset>> assets = metadata_.UncodedAssets(range);
    if (!assets) return unexpected(std::move(assets.error()));
    std::vector<storage::NewJob> jobs;
    for (const storage::Asset& asset : *assets) {
      if (IsPrecompressible(asset)) jobs.push_back(CompressJob(name, asset));
    }
    if (!jobs.empty()) {
      Result<size_t> put = queue_.Put(jobs);
      if (!put) return put;
      added += *put;
    }
    if (assets->size() < range.limit) return added;
    range.after = assets->back().path;
  }
}

}  // namespace nearside::origin
