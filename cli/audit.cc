#include "cli/audit.h"

#include <nlohmann/json.hpp>

namespace nearside::cli {
namespace {

/// "path=a.css sha256=…" of a record's detail: what people look for in a line.
std::string DetailOf(const Json& record) {
  std::string text;
  const Json detail = record.contains("detail") ? record["detail"] : Json::object();
  for (const auto& [key, value] : detail.items()) {
    const std::string shown = value.is_string()
                                  ? value.get<std::string>()
                                  : value.dump(-1, ' ', false, Json::error_handler_t::replace);
    text += (text.empty() ? "" : " ") + key + "=" + shown;
  }
  return text;
}

std::string OrDash(std::string text) { return text.empty() ? "-" : std::move(text); }

}  // namespace

Exit ShowAudit(CommandContext& context, const AuditOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  std::string target = "/v1/audit?limit=" + std::to_string(options.limit);
  if (options.after) target += "&after=" + std::to_string(*options.after);
  if (!options.site.empty()) target += "&site=" + EncodePath(options.site);
  Result<Json> answer = api->Get(target);
  if (!answer) return context.Failed(answer.error());
  if (options.json) {
    context.terminal.Line(answer->dump(2, ' ', false, Json::error_handler_t::replace));
    return Exit::kDone;
  }
  TextTable table({"SEQ", "TIME", "WHO", "FROM", "SITE", "WHAT", "DETAIL"});
  for (const Json& record : ListOf(*answer, "audit")) {
    const std::string token = TextOf(record, "token");
    const std::string who = TextOf(record, "name") + (token.empty() ? "" : " (" + token + ")");
    table.Add({std::to_string(IntOf(record, "seq")), HumanTime(IntOf(record, "time")),
               Printable(who), Printable(TextOf(record, "client")), OrDash(TextOf(record, "site")),
               Printable(TextOf(record, "action")), Printable(DetailOf(record))});
  }
  table.Print(context.terminal);
  return Exit::kDone;
}

}  // namespace nearside::cli
