#pragma once

// What is wrong with a command line, for those who typed it.

#include <string>

namespace CLI {
class App;
class ParseError;
}  // namespace CLI

namespace nearside {

/// One sentence without its end: names the word that `app` does not know, and what may have been
/// meant, where CLI11 would only miss what stands in its place.
std::string UsageError(const CLI::App& app, const CLI::ParseError& error);

}  // namespace nearside
