#pragma once

// Finds out which jobs there are to do: what active releases hold and nobody has encoded yet. The
// state itself says so, and the event log says when it has changed, so that neither a crash between
// a change and the making of its jobs nor the loss of the queue loses any.

#include <optional>
#include <set>
#include <string>

#include "origin/settings.h"
#include "storage/job_queue.h"
#include "storage/metadata.h"

namespace nearside::origin {

/// One thread. Several processes may each have one: a content's job is put once.
class JobPlanner {
 public:
  JobPlanner(storage::Metadata& metadata, storage::JobQueue& queue, const JobSettings& settings)
      : metadata_(metadata), queue_(queue), settings_(settings) {}
  /// Looks at the sites that have changed since the last time, at first at all; how many jobs were
  /// new. After an error (kSelf job_queue_full among them) the same is looked at again.
  Result<size_t> Look();

 private:
  Result<std::set<std::string>> ChangedSites(const storage::LogState& log);
  Result<size_t> PlanSite(const std::string& site);

  storage::Metadata& metadata_;
  storage::JobQueue& queue_;
  const JobSettings settings_;
  std::optional<storage::LogPosition> planned_;  ///< of the last look that succeeded
};

}  // namespace nearside::origin
