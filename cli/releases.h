#pragma once

#include <string>

#include "cli/command.h"

namespace nearside::cli {

struct ReleasesOptions {
  std::string site;
  int limit = 20;
  bool json = false;
};

/// Lists a site's releases, the newest first.
Exit ListReleases(CommandContext& context, const ReleasesOptions& options);

}  // namespace nearside::cli
