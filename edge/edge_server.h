#pragma once

#include <string>

#include "runtime/result.h"

namespace nearside::edge {

/// Validates everything that `config` names (settings, certificates, authorities, tokens) without
/// serving.
Status CheckEdge(const std::string& config);

/// Serves until SIGTERM or SIGINT, reloads on SIGHUP. Error: kOperator when it cannot start.
Status RunEdge(const std::string& config);

}  // namespace nearside::edge
