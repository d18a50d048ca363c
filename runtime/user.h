#pragma once

#include <string>

#include "runtime/result.h"

namespace nearside {

/// Whether there is a user of this name. Error: kOperator no_user.
Status CheckUser(const std::string& name);

/// Gives up root for good: the user's groups, group and id, on all threads. Nothing happens when
/// the process is that user's already. Error: kOperator no_user, not_root.
Status BecomeUser(const std::string& name);

/// Makes a folder and the files in it (not those in folders below) the user's, as root; else
/// nothing. Error: kOperator with errno's name.
Status GiveFolderTo(const std::string& folder, const std::string& name);

}  // namespace nearside
