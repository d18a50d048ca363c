#pragma once

#include <string>
#include <vector>

#include "cli/command.h"

namespace nearside::cli {

struct SteerOptions {
  std::string geodns;                ///< admin address; "": the settings' one
  std::string name;                  ///< steered; "": the only one
  std::vector<std::string> without;  ///< points of presence that are away
  std::vector<std::string> loads;    ///< "frankfurt:1.2"
  size_t countries = 20;             ///< rows, those that move most
  bool json = false;
};

/// Prints who would go where if points of presence were away or loaded: before and after, by point
/// of presence, continent and country.
Exit Steer(CommandContext& context, const SteerOptions& options);

}  // namespace nearside::cli
