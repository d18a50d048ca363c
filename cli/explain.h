#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace nearside::cli {

struct ExplainOptions {
  std::string url;
  std::string edge;                  ///< admin address of the edge; "": that of client.toml
  std::vector<std::string> headers;  ///< "Name: value" of the request that is asked about
  bool json = false;
};

/// Prints what an edge has stored for a URL and what it would do with a request for it now.
Exit Explain(CommandContext& context, const ExplainOptions& options);

}  // namespace nearside::cli
