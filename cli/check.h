#pragma once

#include <string>

#include "cli/command.h"

namespace nearside::cli {

struct CheckOptions {
  std::string geodns;  ///< "": the settings' one, if any
};

/// Whether the origin answers and takes the token, every edge reports and has applied the log, and
/// GeoDNS, if it is named, calls every point of presence up: a line each, for people and for cron.
/// kFailed unless all is well. An edge that drains is well.
Exit Check(CommandContext& context, const CheckOptions& options);

}  // namespace nearside::cli
