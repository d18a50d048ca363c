#pragma once

#include <vector>

#include "runtime/daemon.h"

namespace nearside::geodns {

/// nearside-geodns keygen, ds, keys, roll and unsign: what an operator does with the keys of a
/// signed zone. They work on the files in the state folder; the server takes them up at SIGHUP.
std::vector<DaemonCommand> KeyCommands();

}  // namespace nearside::geodns
