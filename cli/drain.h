#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace nearside::cli {

struct DrainOptions {
  std::string pop;
  std::vector<std::string> geodns;  ///< admin addresses; empty: the settings' one
  bool json = false;
};

/// Tells every name server to send no new clients to a point of presence, or to do so again. Each
/// is told, whatever the others say; kFailed unless all have done it.
Exit Drain(CommandContext& context, const DrainOptions& options, bool drained);

}  // namespace nearside::cli
