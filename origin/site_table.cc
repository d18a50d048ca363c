#include "origin/site_table.h"

namespace nearside::origin {

void SiteTable::Snapshot::Add(storage::Site site) {
  auto shared = std::make_shared<const storage::Site>(std::move(site));
  by_name[shared->name] = shared;
  for (const std::string& host : shared->hosts) by_host[host] = shared;
}

void SiteTable::Snapshot::Remove(const std::string& name) {
  const auto found = by_name.find(name);
  if (found == by_name.end()) return;
  for (const std::string& host : found->second->hosts) {
    // Unless the host has gone over to another site meanwhile.
    if (const auto at = by_host.find(host); at != by_host.end() && at->second == found->second) {
      by_host.erase(at);
    }
  }
  by_name.erase(found);
}

Status SiteTable::Refresh() {
  std::lock_guard refreshing(refresh_mutex_);
  Result<std::vector<storage::Site>> sites = metadata_.Sites();
  if (!sites) return unexpected(std::move(sites.error()));
  auto fresh = std::make_shared<Snapshot>();
  for (storage::Site& site : *sites) fresh->Add(std::move(site));
  Publish(std::move(fresh));
  return {};
}

Status SiteTable::Refresh(const std::string& name) {
  std::lock_guard refreshing(refresh_mutex_);
  Result<storage::Site> site = metadata_.FindSite(name);
  if (!site && site.error().reason != "no_such_site") return unexpected(std::move(site.error()));
  auto fresh = std::make_shared<Snapshot>(*snapshot());
  fresh->Remove(name);
  if (site) fresh->Add(std::move(*site));
  Publish(std::move(fresh));
  return {};
}

void SiteTable::Publish(std::shared_ptr<const Snapshot> fresh) {
  std::lock_guard lock(mutex_);
  snapshot_ = std::move(fresh);
}

std::shared_ptr<const SiteTable::Snapshot> SiteTable::snapshot() const {
  std::lock_guard lock(mutex_);
  return snapshot_;
}

std::shared_ptr<const storage::Site> SiteTable::FindHost(std::string_view host) const {
  const std::shared_ptr<const Snapshot> now = snapshot();
  const auto found = now->by_host.find(std::string(host));
  return found == now->by_host.end() ? nullptr : found->second;
}

size_t SiteTable::size() const { return snapshot()->by_name.size(); }

Result<std::optional<storage::Asset>> ReleaseContent::Find(const std::string& path) {
  if (site_->active == storage::kNoRelease) return std::nullopt;
  return metadata_.FindAsset(site_->active, path);
}

Result<std::optional<storage::Asset>> ReleaseContent::FindEarlier(const std::string& path) {
  return metadata_.FindEarlierAsset(site_->name, path, kept_);
}

}  // namespace nearside::origin
