#pragma once

#include <memory>
#include <string>

#include "storage/job_queue.h"

namespace nearside::storage {

/// Jobs in an LMDB environment of their own below `folder`, shared by all processes of one machine
/// (and one PID namespace). A file that is damaged is put aside, unless another process has it
/// open, and the queue begins empty: whoever puts jobs must be able to find out again which ones.
///
/// Errors: kOperator cannot_open, with the folder.
Result<std::unique_ptr<JobQueue>> OpenLmdbJobs(const std::string& folder,
                                               const JobQueueOptions& options);

}  // namespace nearside::storage
