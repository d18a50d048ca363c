#pragma once

#include <string>

#include "cli/command.h"

namespace nearside::cli {

struct ExplainDnsOptions {
  std::string name;
  std::string client;  ///< an address or a network
  std::string geodns;  ///< admin address; "": the settings' one
  bool json = false;
};

/// Prints what a client gets for a name from a name server, and why.
Exit ExplainDns(CommandContext& context, const ExplainDnsOptions& options);

}  // namespace nearside::cli
