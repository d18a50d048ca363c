#pragma once

#include <string>

#include "cli/command.h"

namespace nearside::cli {

struct JobsOptions {
  bool dead = false;
  int limit = 50;
  bool json = false;
  uint64_t id = 0;  ///< to retry
};

/// How many jobs there are by kind, and those that wait, run or are dead, the oldest first.
Exit ListJobs(CommandContext& context, const JobsOptions& options);
/// A dead one begins anew.
Exit RetryJob(CommandContext& context, const JobsOptions& options);

}  // namespace nearside::cli
