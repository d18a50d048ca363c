#include "runtime/usage.h"

#include <CLI/App.hpp>
#include <vector>

#include "runtime/nearest_word.h"

namespace nearside {

std::string UsageError(const CLI::App& app, const CLI::ParseError& error) {
  constexpr const char* kHelp = "; --help shows how it is used";
  const std::vector<std::string> unknown = app.remaining(/*recurse=*/true);
  if (unknown.empty()) return error.what() + std::string(kHelp);
  const CLI::App* innermost = &app;
  while (!innermost->get_subcommands().empty()) innermost = innermost->get_subcommands().front();

  const std::string& word = unknown.front();
  const bool option = word.starts_with('-');
  std::vector<std::string> names;
  if (option) {
    for (const CLI::App* level : {innermost, &app}) {
      for (const CLI::Option* known : level->get_options()) {
        for (const std::string& name : known->get_lnames()) names.push_back("--" + name);
      }
    }
  } else {
    for (const CLI::App* command : innermost->get_subcommands(nullptr)) {
      names.push_back(command->get_name());
    }
  }
  const std::string_view bare = std::string_view(word).substr(0, word.find('='));
  const std::string_view nearest =
      NearestWord(bare, std::vector<std::string_view>(names.begin(), names.end()));
  std::string text = "\"" + std::string(bare) + "\" is ";
  text += option ? "no option" : names.empty() ? "one word too many" : "no command";
  if (innermost != &app) text += " of \"" + innermost->get_name() + "\"";
  if (nearest.empty()) return text + kHelp;
  return text + "; did you mean \"" + std::string(nearest) + "\"?";
}

}  // namespace nearside
