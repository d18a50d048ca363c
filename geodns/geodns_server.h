#pragma once

#include <string>

#include "runtime/result.h"

namespace nearside::geodns {

/// nearside-geodns --check: reads the settings, the zones, the databases and the authorities that
/// they name.
Status CheckGeodns(const std::string& config_file);

/// Serves until SIGTERM or SIGINT. Error: kOperator when it cannot start.
Status RunGeodns(const std::string& config_file);

}  // namespace nearside::geodns
