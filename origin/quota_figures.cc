#include "origin/quota_figures.h"

#include <functional>
#include <utility>

namespace nearside::origin {
namespace {

constexpr seconds kQuotaFiguresAge{30};

}  // namespace

std::vector<QuotaFigures::Row> QuotaFigures::Rows() {
  std::lock_guard lock(mutex_);
  const MonoTime now = MonoNow();
  if (counted_at_ != MonoTime{} && now - counted_at_ < kQuotaFiguresAge) return rows_;
  Result<std::vector<storage::Site>> sites = metadata_.Sites();
  if (!sites) return rows_;
  counted_at_ = now;
  rows_.clear();
  for (const storage::Site& site : *sites) {
    if (!site.quota.limits()) continue;
    Result<storage::SiteUsage> used = metadata_.UsageOf(site.name);
    if (used) rows_.push_back({site.name, site.quota, *used});
  }
  return rows_;
}

void QuotaFigures::ExportMetrics(metrics::Registry& registry) {
  using Sample = metrics::Registry::Sample;
  const auto each = [this](std::function<uint64_t(const Row&)> value) {
    return [this, value = std::move(value)] {
      std::vector<Sample> samples;
      for (const Row& row : Rows()) {
        samples.push_back({{{"site", row.site}}, static_cast<double>(value(row))});
      }
      return samples;
    };
  };
  registry.GaugesFrom("nearside_origin_site_quota_bytes",
                      "Bytes that a site may hold; 0: no limit. Of sites with a quota.",
                      each([](const Row& row) { return row.quota.bytes; }));
  registry.GaugesFrom("nearside_origin_site_used_bytes",
                      "Bytes of contents and open uploads of a site with a quota.",
                      each([](const Row& row) { return row.used.bytes; }));
  registry.GaugesFrom("nearside_origin_site_quota_files",
                      "Files that a release of a site may have; 0: no limit.",
                      each([](const Row& row) { return row.quota.files; }));
  registry.GaugesFrom("nearside_origin_site_used_files",
                      "Files of the active release of a site with a quota.",
                      each([](const Row& row) { return row.used.files; }));
}

}  // namespace nearside::origin
