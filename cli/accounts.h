#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace nearside::cli {

struct AccountsOptions {
  std::string name;
  std::string site;
  bool every_site = false;
  std::vector<std::string> scopes = {"read"};
  std::string password_file;  ///< "": asked for, or read from standard input
  bool json = false;
};

/// Makes an account, with what it may do if a site is named.
Exit CreateAccount(CommandContext& context, const AccountsOptions& options);
Exit ListAccounts(CommandContext& context, const AccountsOptions& options);
/// What it may do to one site, or to all, from now on; other sites stay as they are.
Exit GrantAccount(CommandContext& context, const AccountsOptions& options);
/// Nothing any more to one site, or by what was said of all.
Exit WithdrawGrant(CommandContext& context, const AccountsOptions& options);
/// Another password; ends its sessions.
Exit SetAccountPassword(CommandContext& context, const AccountsOptions& options);
/// Ends its sessions.
Exit SignOutAccount(CommandContext& context, const AccountsOptions& options);
Exit RemoveAccount(CommandContext& context, const AccountsOptions& options);

}  // namespace nearside::cli
