#pragma once

#include <string>

#include "runtime/result.h"

namespace nearside {

/// Whether there is a user of this name. Error: kOperator no_user.
Status CheckUser(const std::string& name);

/// Gives up root for good: the user's groups, group and id, on all threads. Nothing happens when
/// the process is that user's already. Error: kOperator no_user, not_root.
Status BecomeUser(const std::string& name);

/// Makes a folder, the folders below it and their files the user's, as root; else nothing. Symbolic
/// links and what they lead to stay as they are, as do files with another hard link: they may be
/// somebody else's. Error: kOperator with errno's name.
Status GiveFolderTo(const std::string& folder, const std::string& name);
/// The same with the user whose the folder itself is; nothing happens to root's own.
Status GiveFolderToItsOwner(const std::string& folder);

}  // namespace nearside
