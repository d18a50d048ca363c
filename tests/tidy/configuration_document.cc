// Prints docs/configuration.md from the settings tables, or says whether a file is what it prints.
//
//   configuration_document               to stdout
//   configuration_document --check FILE  exit 1, and how to write it anew, when FILE is stale

#include <cstdio>
#include <string>
#include <string_view>

#include "edge/settings.h"
#include "geodns/settings.h"
#include "origin/settings.h"
#include "runtime/file.h"

namespace {

constexpr std::string_view kHead =
    "# Every setting\n\n"
    "This page is printed from the tables that read the files, and a test fails when it is stale. "
    "Files are TOML.\n"
    "Durations carry a unit (`250ms`, `2s`, `1m`, `12h`, `1d`, `1w`, `1y`), sizes too (`64KiB`, "
    "`1GiB`, `10MB`). "
    "An unknown key\nrefuses to start; `--check` names file, line, key and what was expected, and "
    "exits with 78. "
    "SIGHUP reads the file anew; a\nbad one leaves the old settings in force.\n\n";

std::string Document() {
  std::string text(kHead);
  text += nearside::edge::EdgeTable().Document("nearside-edge: edge.toml");
  text += "\n";
  text += nearside::geodns::GeodnsTable().Document("nearside-geodns: geodns.toml");
  text += "\n";
  text += nearside::origin::OriginTable().Document("nearside-origin: origin.toml");
  return text;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string text = Document();
  if (argc < 3 || std::string_view(argv[1]) != "--check") {
    std::fputs(text.c_str(), stdout);
    return 0;
  }
  const auto file = nearside::ReadFile(argv[2], nearside::ByteSize{4 << 20});
  if (file && *file == text) return 0;
  std::fprintf(stderr, "%s is stale; write it anew:\n  %s > %s\n", argv[2], argv[0], argv[2]);
  return 1;
}
