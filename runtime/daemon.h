#pragma once

// What every daemon does the same way before it serves: --config, --check, --version, --help, exit
// codes.

#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/result.h"

namespace nearside {

/// sysexits.h's EX_CONFIG: settings, certificate, zone or folder is wrong. 0 is success, anything
/// else 1.
inline constexpr int kExitConfig = 78;

/// `--name VALUE` of a command, or a switch `--name` where `value` is empty.
struct CommandOption {
  std::string name;
  std::string value;  ///< what the help calls it: "FILE"
  std::string help;
  bool required = false;
  std::string fallback;             ///< empty: absent from the values when it was not given
  std::vector<std::string> one_of;  ///< the only values allowed
};
/// What was given, by name; a switch that was given has "".
using CommandValues = std::map<std::string, std::string, std::less<>>;

/// Something that the program does instead of serving: `nearside-geodns keygen --config FILE …`.
struct DaemonCommand {
  std::string name;
  std::string purpose;                 ///< one sentence for --help
  std::vector<CommandOption> options;  ///< beside --config
  /// Prints its result to stdout; an error is printed and decides the exit code as those of `run`.
  std::function<Status(const std::string& config, const CommandValues& values)> run;
};

struct DaemonSpec {
  std::string_view name;          ///< "nearside-edge"
  std::string_view purpose;       ///< one sentence for --help
  std::string_view example;       ///< an example of use for --help, several lines
  std::string_view signals = "";  ///< a sentence for --help on those that only this daemon knows
  std::vector<CommandOption> options = {};  ///< of serving, beside --config
  /// Reads and validates everything the file names without serving (--check). Prints nothing.
  std::function<Status(const std::string& config)> check;
  /// Serves until told to stop. Returns a kOperator error when it cannot start (exit 78).
  std::function<Status(const std::string& config, const CommandValues& values)> run;
  std::vector<DaemonCommand> commands;
};

/// Parses the command line, runs `spec` and returns the exit code. Errors go to stderr, one a line,
/// after the daemon's name. `run` is called with signals as BlockDaemonSignals() leaves them.
int RunDaemon(const DaemonSpec& spec, int argc, char** argv);

/// "0.1.0", from CMake's project version.
std::string_view Version();

}  // namespace nearside
