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
  std::string prepare = "30s";  ///< how long edges may take to fetch it before; "0s": they do not
  bool no_prepare = false;
  int jobs = 4;
};

/// Publishes a folder as a new release of a site: hashes, sends the manifest, uploads what the
/// origin lacks, lets the edges fetch what changes, switches, prints what the edges prove.
Exit Publish(CommandContext& context, const PublishOptions& options);

}  // namespace nearside::cli
