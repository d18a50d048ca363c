#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace nearside::cli {

struct TokensOptions {
  std::string name;  ///< of one to be made
  std::string id;    ///< of one to be revoked
  std::string site;
  bool every_site = false;
  std::vector<std::string> scopes = {"read", "publish", "purge"};
  std::string life;  ///< "": without end
  std::string save;  ///< file for the token; no secret is printed then. "": all are
  bool json = false;
};

/// Makes a token and shows its secret, this once.
Exit CreateToken(CommandContext& context, const TokensOptions& options);
/// Lists tokens, without their secrets.
Exit ListTokens(CommandContext& context, const TokensOptions& options);
/// From now on the token opens nothing.
Exit RevokeToken(CommandContext& context, const TokensOptions& options);

}  // namespace nearside::cli
