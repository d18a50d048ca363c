#include "runtime/daemon.h"

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>
#include <CLI/Validators.hpp>
#include <cstdio>

#include "runtime/signals.h"
#include "runtime/usage.h"

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

/// A command as CLI11 has it, and what was given of its options; or the program itself.
struct ParsedCommand {
  CLI::App* app = nullptr;
  std::map<std::string, std::string> texts;  ///< by option; CLI11 writes here
  CommandValues Values(const std::vector<CommandOption>& options) const {
    CommandValues values;
    for (const CommandOption& option : options) {
      const bool given = app->count("--" + option.name) > 0;
      if (!given && option.fallback.empty()) continue;
      values[option.name] = option.value.empty() ? "" : texts.at(option.name);
    }
    return values;
  }
};

void AddOptions(const std::vector<CommandOption>& options, ParsedCommand* parsed) {
  for (const CommandOption& option : options) {
    const std::string name = "--" + option.name;
    if (option.value.empty()) {
      parsed->app->add_flag(name, option.help);
      continue;
    }
    std::string& text = parsed->texts[option.name] = option.fallback;
    CLI::Option* added = parsed->app->add_option(name, text, option.help);
    if (!option.fallback.empty()) added->capture_default_str();
    added->type_name(option.value)->required(option.required);
    if (!option.one_of.empty()) added->check(CLI::IsMember(option.one_of));
  }
}

void AddCommand(const DaemonCommand& command, CLI::App* app, std::string* config,
                ParsedCommand* parsed) {
  parsed->app = app->add_subcommand(command.name, command.purpose);
  parsed->app->set_help_flag("-h,--help", "Print this help and exit");
  parsed->app->add_option("--config", *config, "The settings, a TOML file")->type_name("FILE");
  AddOptions(command.options, parsed);
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
  // Commands take it behind their names as well, so that CLI11 cannot tell when it is missing.
  app.add_option("--config", config, "The settings, a TOML file")
      ->type_name("FILE")
      ->required(spec.commands.empty());
  app.add_flag("--check", check_only, "Check FILE and all it names, then exit: 0 good, 78 not");
  ParsedCommand serving;
  serving.app = &app;
  AddOptions(spec.options, &serving);
  std::vector<ParsedCommand> commands(spec.commands.size());
  for (size_t i = 0; i < commands.size(); ++i) {
    AddCommand(spec.commands[i], &app, &config, &commands[i]);
  }
  app.require_subcommand(0, 1);
  try {
    app.parse(argc, argv);
    if (config.empty()) throw CLI::RequiredError("--config");
  } catch (const CLI::Success& done) {
    return app.exit(done);  // --help, --version
  } catch (const CLI::ParseError& error) {
    PrintError(spec.name, UsageError(app, error));
    return kExitFailure;
  }
  for (size_t i = 0; i < commands.size(); ++i) {
    if (!*commands[i].app) continue;
    return ExitCode(spec,
                    spec.commands[i].run(config, commands[i].Values(spec.commands[i].options)));
  }
  if (check_only) {
    const Status status = spec.check(config);
    if (status) std::printf("%s: ok\n", config.c_str());
    return ExitCode(spec, status);
  }
  BlockDaemonSignals();
  return ExitCode(spec, spec.run(config, serving.Values(spec.options)));
}

std::string_view Version() { return NEARSIDE_VERSION; }

}  // namespace nearside
