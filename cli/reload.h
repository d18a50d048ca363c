#pragma once

#include <string>

#include "cli/command.h"

namespace nearside::cli {

struct ReloadOptions {
  std::string geodns;  ///< "": the settings' one
  bool json = false;
};

/// Makes GeoDNS read its settings, zones and databases again, and prints what came of it. kFailed
/// when it goes on with what it had.
Exit Reload(CommandContext& context, const ReloadOptions& options);

}  // namespace nearside::cli
