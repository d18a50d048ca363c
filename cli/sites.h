#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "cli/command.h"

namespace nearside::cli {

struct SitesOptions {
  std::string name;
  std::vector<std::string> hosts;
  std::string quota_bytes;  ///< "10GiB", "0": no limit; "": as it is
  std::optional<uint64_t> quota_files;
  bool json = false;
};

Exit ListSites(CommandContext& context, const SitesOptions& options);
/// Makes a site, or gives it these hosts.
Exit PutSite(CommandContext& context, const SitesOptions& options);
/// Says what a site may hold, and holds; sets the quota if options have one.
Exit SiteQuota(CommandContext& context, const SitesOptions& options);
/// Deletes a site with all its releases.
Exit RemoveSite(CommandContext& context, const SitesOptions& options);

}  // namespace nearside::cli
