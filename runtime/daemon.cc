#include "runtime/daemon.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <cstdio>

#include "runtime/signals.h"

namespace nearside {

namespace {

constexpr int kExitFailure = 1;

/// An error's message may hold several lines (settings report all they found): each gets the name.
void PrintError(std::string_view name, std::string_view message) {
  while (true) {
    const size_t end = message.find('\n');
    const std::string_view line = message.substr(0, end);
    std::fprintf(stderr, "%.*s: %.*s\n", static_cast<int>(name.size()), name.data(),
                 static_cast<int>(line.size()), line.data());
    if (end == std::string_view::npos) return;
    message.remove_prefix(end + 1);
  }
}

int ExitCode(const DaemonSpec& spec, const Status& status) {
  if (status) return 0;
  PrintError(spec.name, status.error().message);
  return status.error().fault == Fault::kOperator ? kExitConfig : kExitFailure;
}

std::string Footer(const DaemonSpec& spec) {
  std::string text = "Example:\n" + std::string(spec.example);
  if (!text.ends_with('\n')) text += '\n';
  text +=
      "\nSignals: SIGTERM and SIGINT drain and exit 0; SIGHUP reloads the settings, and a bad\n"
      "file leaves the old ones in force. " +
      std::string(spec.signals) +
      "Exit codes: 0 done, 78 the settings or something they\n"
      "name is wrong, 1 anything else. All keys: docs/configuration.md";
  return text;
}

}  // namespace

int RunDaemon(const DaemonSpec& spec, int argc, char** argv) {
  CLI::App app(std::string(spec.purpose), std::string(spec.name));
  app.footer(Footer(spec));
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.set_version_flag("--version", std::string(spec.name) + " " + std::string(Version()),
                       "Print the version and exit");
  std::string config;
  bool check_only = false;
  app.add_option("--config", config, "The settings, a TOML file")->type_name("FILE")->required();
  app.add_flag("--check", check_only, "Check FILE and all it names, then exit: 0 good, 78 not");
  try {
    app.parse(argc, argv);
  } catch (const CLI::Success& done) {
    return app.exit(done);  // --help, --version
  } catch (const CLI::ParseError& error) {
    PrintError(spec.name, std::string(error.what()) + "; --help shows how it is used");
    return kExitFailure;
  }
  if (check_only) {
    const Status status = spec.check(config);
    if (status) std::printf("%s: ok\n", config.c_str());
    return ExitCode(spec, status);
  }
  BlockDaemonSignals();
  return ExitCode(spec, spec.run(config));
}

std::string_view Version() { return NEARSIDE_VERSION; }

}  // namespace nearside
