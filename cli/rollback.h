#pragma once

#include <string>

#include "cli/command.h"

namespace nearside::cli {

struct RollbackOptions {
  std::string site;
  std::string release;  ///< "": the one that was active before
  std::string wait = "30s";
};

/// Activates an earlier release and prints the receipt.
Exit Rollback(CommandContext& context, const RollbackOptions& options);

}  // namespace nearside::cli
