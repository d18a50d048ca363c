#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace nearside::cli {

struct PublishOptions {
  std::string folder;
  std::string site;
  std::vector<std::string> hosts;  ///< not empty: the site is made, or gets these hosts
  bool dry_run = false;
  std::string wait = "30s";
  int jobs = 4;
};

/// Publishes a folder as a new release of a site: hashes, sends the manifest, uploads what the
/// origin lacks, switches, prints what the edges prove.
Exit Publish(CommandContext& context, const PublishOptions& options);

}  // namespace nearside::cli
