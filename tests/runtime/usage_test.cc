#include "runtime/usage.h"

#include <gtest/gtest.h>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

namespace nearside {
namespace {

std::string ErrorFor(const std::string& words) {
  CLI::App app("for tests", "tool");
  app.require_subcommand(1);
  app.add_flag("--check");
  app.add_subcommand("status")->fallthrough()->add_flag("--json");
  CLI::App* group = app.add_subcommand("sites");
  group->require_subcommand(1);
  std::string name;
  group->add_subcommand("put")->add_option("name", name)->required();
  try {
    app.parse(words);
  } catch (const CLI::ParseError& error) {
    return UsageError(app, error);
  }
  return "";
}

TEST(UsageTest, TheUnknownWordIsNamed) {
  const std::pair<const char*, const char*> rows[] = {
      {"stauts", "\"stauts\" is no command; did you mean \"status\"?"},
      {"walk", "\"walk\" is no command; --help shows how it is used"},
      {"sites pt", "\"pt\" is no command of \"sites\"; did you mean \"put\"?"},
      {"--chek", "\"--chek\" is no option; did you mean \"--check\"?"},
      {"--chek=1 status", "\"--chek\" is no option of \"status\"; did you mean \"--check\"?"},
      {"status --jsn", "\"--jsn\" is no option of \"status\"; did you mean \"--json\"?"},
      {"status -x", "\"-x\" is no option of \"status\"; --help shows how it is used"},
      {"status more", "\"more\" is one word too many of \"status\"; --help shows how it is used"},
      {"sites", "A subcommand is required; --help shows how it is used"},
      {"sites put", "name is required; --help shows how it is used"},
      {"status", ""},
  };
  for (const auto& [words, error] : rows) EXPECT_EQ(ErrorFor(words), error) << words;
}

}  // namespace
}  // namespace nearside
