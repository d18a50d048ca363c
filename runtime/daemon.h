#pragma once

// What every daemon does the same way before it serves: --config, --check, --version, --help, exit
// codes.

#include <functional>
#include <string>
#include <string_view>

#include "runtime/result.h"

namespace nearside {

/// sysexits.h's EX_CONFIG: settings, certificate, zone or folder is wrong. 0 is success, anything
/// else 1.
inline constexpr int kExitConfig = 78;

struct DaemonSpec {
  std::string_view name;          ///< "nearside-edge"
  std::string_view purpose;       ///< one sentence for --help
  std::string_view example;       ///< an example of use for --help, several lines
  std::string_view signals = "";  ///< a sentence for --help on those that only this daemon knows
  /// Reads and validates everything the file names without serving (--check). Prints nothing.
  std::function<Status(const std::string& config)> check;
  /// Serves until told to stop. Returns a kOperator error when it cannot start (exit 78).
  std::function<Status(const std::string& config)> run;
};

/// Parses the command line, runs `spec` and returns the exit code. Errors go to stderr, one a line,
/// after the daemon's name. `run` is called with signals as BlockDaemonSignals() leaves them.
int RunDaemon(const DaemonSpec& spec, int argc, char** argv);

/// "0.1.0", from CMake's project version.
std::string_view Version();

}  // namespace nearside
