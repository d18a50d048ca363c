#pragma once

#include <string>

#include "cli/command.h"

namespace nearside::cli {

struct StatusOptions {
  std::string geodns;  ///< "": the settings' one, if any
  bool json = false;
};

/// One screen: origin, points of presence as they report and as DNS sees them, hit ratio, purge
/// lag.
Exit ShowStatus(CommandContext& context, const StatusOptions& options);
/// The edges that have reported to the origin, a line each.
Exit ListEdges(CommandContext& context, bool json);
/// Forgets an edge that is gone for good, so that receipts do not wait for it.
Exit ForgetEdge(CommandContext& context, const std::string& name);

}  // namespace nearside::cli
