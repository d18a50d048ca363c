#pragma once

// What sites with a quota hold, for metrics: counted now and then, as it takes reading.

#include <mutex>
#include <string>
#include <vector>

#include "runtime/clock.h"
#include "runtime/metrics.h"
#include "storage/metadata.h"

namespace nearside::origin {

/// Any thread.
class QuotaFigures {
 public:
  explicit QuotaFigures(storage::Metadata& metadata) : metadata_(metadata) {}
  /// Declares nearside_origin_site_quota_…, _used_…; outlives the registry's use of them.
  void ExportMetrics(metrics::Registry& registry);

 private:
  struct Row {
    std::string site;
    storage::SiteQuota quota;
    storage::SiteUsage used;
  };
  /// At most so old: kQuotaFiguresAge.
  std::vector<Row> Rows();

  storage::Metadata& metadata_;
  std::mutex mutex_;
  std::vector<Row> rows_;
  MonoTime counted_at_{};
};

}  // namespace nearside::origin
