#include "cli/client_settings.h"

#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "runtime/file.h"

namespace nearside::cli {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

}  // namespace

settings::Table ClientTable() {
  settings::Table table;
  table.Key("origin", &ClientSettings::origin,
            {.fallback = "http://127.0.0.1:9000",
             .prose = "Where the origin's API is, by `http://` or `https://`. `--origin` wins."});
  table.Key("token_file", &ClientSettings::token_file,
            {.fallback = "",
             .prose = "File with the API's bearer token. `--token-file` wins. Keep it readable for "
                      "yourself alone."});
  table.Key(
      "ca", &ClientSettings::ca,
      {.fallback = "",
       .prose = "PEM file of the authorities that the origin's certificate may come from, for "
                "`https://`. Without it: the system's. `--ca` wins."});
  table.Key("edge", &ClientSettings::edge,
            {.fallback = "",
             .prose = "Admin address of an edge, as `http://127.0.1.1:7080`: the one that "
                      "`nearside explain URL` asks. `--edge` wins."});
  table.Key("geodns", &ClientSettings::geodns,
            {.fallback = "",
             .prose = "Admin address of GeoDNS, as `http://127.0.0.1:7053`: `nearside status` then "
                      "shows what DNS thinks of each point of presence. `--geodns` wins."});
  table.Key("geodns_token_file", &ClientSettings::geodns_token_file,
            {.fallback = "",
             .prose = "File with the token of GeoDNS's admin listener, for what changes something "
                      "there (`nearside reload`). `--token-file` wins."});
  return table;
}

std::string ClientSettingsPath() {
  std::string base = Environment("XDG_CONFIG_HOME");
  if (base.empty()) base = Environment("HOME") + "/.config";
  return base + "/nearside/client.toml";
}

Result<ClientSettings> ReadClientSettings(const std::string& path) {
  ClientSettings settings;
  // The usual place may be empty; a file that somebody named is to be there.
  const bool expected = path != ClientSettingsPath() || ::access(path.c_str(), F_OK) == 0;
  const Status read = expected ? ClientTable().ReadFile(path, &settings)
                               : ClientTable().ReadText("", path, &settings);
  if (!read) return unexpected(read.error());
  return settings;
}

Result<std::string> ReadToken(const std::string& file, std::string_view key) {
  const auto fail = [key](const std::string& why) {
    const std::string whose = key == "token_file" ? "the origin's token" : "GeoDNS's admin token";
    return Fail(Fault::kOperator, "no_token",
                why + ": expected a file with " + whose + ", named by --token-file or by " +
                    std::string(key) + " = \"…\" in " + ClientSettingsPath());
  };
  if (file.empty()) return fail("no token file is named");
  Result<std::string> text = ReadFile(file, 64_KiB);
  if (!text) return fail(text.error().message);
  for (std::string_view rest = *text; !rest.empty();) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    while (!line.empty() && (line.back() == ' ' || line.back() == '\r')) line.remove_suffix(1);
    if (!line.empty() && line.front() != '#') return std::string(line);
  }
  return fail(file + ": holds no token");
}

}  // namespace nearside::cli
