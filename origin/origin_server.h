#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/address.h"
#include "runtime/result.h"

namespace nearside::origin {

/// Reads the settings and everything that they name, without serving: --check. Errors: kOperator,
/// with file, line and key.
Status CheckOrigin(const std::string& config);

/// Serves until SIGTERM or SIGINT and drains; SIGHUP reads certificates and tokens again.
Status RunOrigin(const std::string& config);

}  // namespace nearside::origin
