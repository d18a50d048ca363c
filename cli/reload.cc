#include "cli/reload.h"

#include <nlohmann/json.hpp>

#include "cli/admin_api.h"

namespace nearside::cli {

Exit Reload(CommandContext& context, const ReloadOptions& options) {
  Terminal& terminal = context.terminal;
  const std::string url = options.geodns.empty() ? context.settings.geodns : options.geodns;
  if (url.empty()) {
    terminal.Error("which GeoDNS? --geodns http://127.0.0.1:7053, or geodns = \"…\" in " +
                   ClientSettingsPath());
    return Exit::kUsage;
  }
  const Result<Json> answer =
      PostAdmin(url, "/reload", context.settings.geodns_token_file, "", "GeoDNS");
  if (options.json) {
    const Json json = answer ? *answer : Json{{"error", answer.error().message}};
    terminal.Line(json.dump(2, ' ', false, Json::error_handler_t::replace));
    return answer ? Exit::kDone : Exit::kFailed;
  }
  if (!answer) {
    // One line for each thing that is wrong.
    std::string_view rest = answer.error().message;
    while (!rest.empty()) {
      const std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      terminal.Error(Printable(std::string(line)));
    }
    return Exit::kFailed;
  }
  terminal.Line("reloaded: " + Count(static_cast<size_t>(IntOf(*answer, "zones")), "zone") + ", " +
                Count(static_cast<size_t>(IntOf(*answer, "places")), "place"));
  std::string keys;
  for (const Json& key : ListOf(*answer, "need_restart")) {
    if (key.is_string()) keys += (keys.empty() ? "" : ", ") + Printable(key.get<std::string>());
  }
  if (!keys.empty()) {
    terminal.Line(
        terminal.Paint(Colour::kYellow, "still as at the start, needs a restart: " + keys));
  }
  return Exit::kDone;
}

}  // namespace nearside::cli
