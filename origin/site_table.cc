#include "origin/site_table.h"

#include "runtime/log.h"

namespace nearside::origin {

void SiteTable::Snapshot::Add(ServedSitePointer site) {
  by_name[site->name] = site;
  for (const std::string& host : site->hosts) by_host[host] = site;
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

ServedSitePointer SiteTable::Snapshot::Find(const std::string& name) const {
  const auto found = by_name.find(name);
  return found == by_name.end() ? nullptr : found->second;
}

Status SiteTable::Refresh() {
  std::lock_guard refreshing(refresh_mutex_);
  Result<std::vector<storage::Site>> sites = metadata_.Sites();
  if (!sites) return unexpected(std::move(sites.error()));
  const std::shared_ptr<const Snapshot> old = snapshot();
  auto fresh = std::make_shared<Snapshot>();
  for (storage::Site& site : *sites) {
    const ServedSitePointer before = old->Find(site.name);
    Result<ServedSitePointer> served = Serve(std::move(site), before);
    if (!served) return unexpected(std::move(served.error()));
    fresh->Add(std::move(*served));
  }
  Publish(std::move(fresh));
  return {};
}

Status SiteTable::Refresh(const std::string& name) {
  std::lock_guard refreshing(refresh_mutex_);
  Result<storage::Site> site = metadata_.FindSite(name);
  if (!site && site.error().reason != "no_such_site") return unexpected(std::move(site.error()));
  auto fresh = std::make_shared<Snapshot>(*snapshot());
  const ServedSitePointer before = fresh->Find(name);
  fresh->Remove(name);
  if (site) {
    Result<ServedSitePointer> served = Serve(std::move(*site), before);
    if (!served) return unexpected(std::move(served.error()));
    fresh->Add(std::move(*served));
  }
  Publish(std::move(fresh));
  return {};
}

Result<ServedSitePointer> SiteTable::Serve(storage::Site site,
                                           const ServedSitePointer& before) const {
  auto served = std::make_shared<ServedSite>();
  static_cast<storage::Site&>(*served) = std::move(site);
  Result<RulesFiles> files = FindRulesFiles(metadata_, served->active);
  if (!files) return unexpected(std::move(files.error()));
  served->rules_files = *files;
  if (before && before->rules_files == *files) {
    served->rules = before->rules;
    return served;
  }
  Result<http::SiteRules> rules = ReadRulesFiles(blobs_, *files);
  if (!rules && rules.error().fault != Fault::kClient) {
    return unexpected(std::move(rules.error()));
  }
  if (!rules) {
    Log(Level::kWarning, "site_rules_refused",
        {{"site", served->name}, {"error", rules.error().message}});
    rules = http::SiteRules();
  }
  served->rules = std::make_shared<const http::SiteRules>(std::move(*rules));
  return served;
}

void SiteTable::Publish(std::shared_ptr<const Snapshot> fresh) {
  std::lock_guard lock(mutex_);
  snapshot_ = std::move(fresh);
}

std::shared_ptr<const SiteTable::Snapshot> SiteTable::snapshot() const {
  std::lock_guard lock(mutex_);
  return snapshot_;
}

ServedSitePointer SiteTable::FindHost(std::string_view host) const {
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
