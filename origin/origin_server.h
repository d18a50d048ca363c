#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/address.h"
#include "runtime/daemon.h"
#include "runtime/result.h"

namespace nearside::origin {

/// Reads the settings and everything that they name, without serving: --check. Errors: kOperator,
/// with file, line and key.
Status CheckOrigin(const std::string& config);

/// `--role`: what of an origin a process is.
CommandOption RoleOption();

/// Serves until SIGTERM or SIGINT and drains; SIGHUP reads certificates and tokens again. `values`
/// may name a role: "all", "api" (it does no jobs and collects nothing) or "worker" (it listens
/// nowhere but on admin.address).
Status RunOrigin(const std::string& config, const CommandValues& values);

}  // namespace nearside::origin
