#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace nearside::cli {

struct PurgeOptions {
  std::vector<std::string> urls;
  std::vector<std::string> prefixes;
  std::vector<std::string> tags;
  std::string site;
  bool all = false;
  bool soft = false;
  std::string wait = "2s";
  bool json = false;
};

/// Makes every edge forget, and says which has. kUnconfirmed unless all have.
Exit Purge(CommandContext& context, const PurgeOptions& options);

}  // namespace nearside::cli
