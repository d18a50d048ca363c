#include "cli/drain.h"

#include <nlohmann/json.hpp>

#include "cli/admin_api.h"

namespace nearside::cli {
namespace {

std::string TextFor(const Json& answer, const std::string& pop, bool drained) {
  std::string text = pop;
  text += BoolOf(answer, "changed") ? " is " : " was already ";
  text += drained ? "drained" : "not drained";
  text += ", " + std::to_string(IntOf(answer, "still_up")) + " up";
  if (drained && !BoolOf(answer, "outlives_restart")) {
    text += "; a restart forgets it, because geodns.state is not set";
  }
  return text;
}

}  // namespace

Exit Drain(CommandContext& context, const DrainOptions& options, bool drained) {
  std::vector<std::string> servers = options.geodns;
  if (servers.empty() && !context.settings.geodns.empty()) {
    servers.push_back(context.settings.geodns);
  }
  if (servers.empty()) {
    context.terminal.Error(
        "no name server is named: expected --geodns http://127.0.0.1:7053, once for each of them");
    return Exit::kUsage;
  }
  const std::string target = (drained ? "/drain?pop=" : "/undrain?pop=") + EncodePath(options.pop);
  Json all = Json::array();
  bool done = true;
  for (const std::string& server : servers) {
    Result<Json> answer =
        PostAdmin(server, target, context.settings.geodns_token_file, "", "GeoDNS");
    done &= answer.has_value();
    Json row = {{"geodns", server}};
    if (answer) row.update(*answer);
    if (!answer) row["error"] = answer.error().message;
    all.push_back(std::move(row));
    if (options.json) continue;
    if (answer) {
      context.terminal.Line(Printable(server + ": " + TextFor(*answer, options.pop, drained)));
    } else {
      context.terminal.Error(Printable(answer.error().message));
    }
  }
  if (options.json) {
    context.terminal.Line(all.dump(2, ' ', false, Json::error_handler_t::replace));
  }
  return done ? Exit::kDone : Exit::kFailed;
}

}  // namespace nearside::cli
