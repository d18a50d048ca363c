#include "origin/site_table.h"

#include <algorithm>

namespace nearside::origin {

Status SiteTable::Refresh() {
  std::lock_guard refreshing(refresh_mutex_);
  Result<std::vector<storage::Site>> sites = metadata_.Sites();
  if (!sites) return unexpected(std::move(sites.error()));
  auto fresh = std::make_shared<Snapshot>();
  fresh->sites = sites->size();
  for (storage::Site& site : *sites) {
    auto shared = std::make_shared<const storage::Site>(std::move(site));
    for (const std::string& host : shared->hosts) fresh->by_host.emplace(host, shared);
  }
  std::lock_guard lock(mutex_);
  snapshot_ = std::move(fresh);
  return {};
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

size_t SiteTable::size() const { return snapshot()->sites; }

Result<std::optional<storage::Asset>> ReleaseContent::Find(const std::string& path) {
  if (site_->active == storage::kNoRelease) return std::nullopt;
  return metadata_.FindAsset(site_->active, path);
}

Result<std::optional<storage::Asset>> ReleaseContent::FindEarlier(const std::string& path) {
  const size_t looked_up = std::min(keep_hashed_, site_->earlier.size());
  for (size_t i = 0; i < looked_up; ++i) {
    Result<std::optional<storage::Asset>> asset = metadata_.FindAsset(site_->earlier[i], path);
    if (!asset || *asset) return asset;
  }
  return std::nullopt;
}

}  // namespace nearside::origin
