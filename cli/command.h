#pragma once

// What every command gets: the settings that count, and where to write.

#include <optional>
#include <string>
#include <vector>

#include "cli/client_settings.h"
#include "cli/origin_api.h"
#include "cli/terminal.h"

namespace nearside::cli {

/// Options of all commands.
struct GlobalOptions {
  std::string origin;
  std::string token_file;
  std::string ca;
  std::string config;
};

struct CommandContext {
  ClientSettings settings;  ///< with the command line's values in them
  Terminal& terminal;

  /// The origin's API with the token. Errors: kOperator bad_url, no_token.
  Result<OriginApi> Api() const;
  /// Prints what went wrong.
  Exit Failed(const Error& error) const;
};

/// Prints a line an edge (name, seq, ms or why not). kDone when all have confirmed, else
/// kUnconfirmed.
Exit PrintReceipt(const Json& answer, Terminal& terminal);

}  // namespace nearside::cli
