#pragma once

#include <vector>

#include "runtime/daemon.h"

namespace nearside::origin {

/// nearside-origin backup and restore: everything that an origin holds in a folder and back. A
/// backup is taken while origins serve; blobs that the folder has are not copied again.
std::vector<DaemonCommand> BackupCommands();

}  // namespace nearside::origin
