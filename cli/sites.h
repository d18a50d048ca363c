#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace nearside::cli {

struct SitesOptions {
  std::string name;
  std::vector<std::string> hosts;
  bool json = false;
};

Exit ListSites(CommandContext& context, const SitesOptions& options);
/// Makes a site, or gives it these hosts.
Exit PutSite(CommandContext& context, const SitesOptions& options);
/// Deletes a site with all its releases.
Exit RemoveSite(CommandContext& context, const SitesOptions& options);

}  // namespace nearside::cli
