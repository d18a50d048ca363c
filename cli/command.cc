#include "cli/command.h"

#include <nlohmann/json.hpp>

namespace nearside::cli {

Result<OriginApi> CommandContext::Api() const {
  Result<ServerUrl> server = ServerUrl::Parse(settings.origin);
  if (!server) return unexpected(std::move(server.error()));
  Result<std::string> token = ReadToken(settings.token_file);
  if (!token) return unexpected(std::move(token.error()));
  return OriginApi(std::move(*server), std::move(*token), settings.ca);
}

Exit CommandContext::Failed(const Error& error) const {
  terminal.Error(Printable(error.message));
  return Exit::kFailed;
}

Exit PrintReceipt(const Json& answer, Terminal& terminal) {
  const Json& edges = ListOf(answer, "edges");
  const int64_t wanted = IntOf(answer, "seq");
  if (edges.empty()) {
    terminal.Line("event " + std::to_string(wanted) + ": no edge has ever reported to this origin");
    return Exit::kDone;
  }
  TextTable table({"EDGE", "SEQ", "TOOK", ""});
  for (const Json& edge : edges) {
    const std::string name = Printable(TextOf(edge, "name"));
    const std::string sequence = std::to_string(IntOf(edge, "seq"));
    if (BoolOf(edge, "applied")) {
      table.Add({name, sequence, HumanDuration(milliseconds(IntOf(edge, "ms"))), "confirmed"},
                Colour::kGreen);
    } else if (BoolOf(edge, "reachable")) {
      table.Add({name, sequence, "-", "has not confirmed event " + std::to_string(wanted) + " yet"},
                Colour::kYellow);
    } else {
      table.Add({name, sequence, "-",
                 "not reachable since " + HumanTime(IntOf(edge, "seen")) +
                     "; it catches up before it serves"},
                Colour::kRed);
    }
  }
  table.Print(terminal);
  return BoolOf(answer, "complete") ? Exit::kDone : Exit::kUnconfirmed;
}

}  // namespace nearside::cli
