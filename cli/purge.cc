#include "cli/purge.h"

#include <nlohmann/json.hpp>

namespace nearside::cli {

Exit Purge(CommandContext& context, const PurgeOptions& options) {
  if (options.urls.empty() && options.prefixes.empty() && options.tags.empty() && !options.all) {
    context.terminal.Error(
        "nothing to purge: expected URLs, --prefix, --tag or --all; --help shows examples");
    return Exit::kUsage;
  }
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Json body = {{"urls", options.urls},
               {"prefixes", options.prefixes},
               {"tags", options.tags},
               {"all", options.all},
               {"soft", options.soft}};
  if (!options.site.empty()) body["site"] = options.site;
  Result<Json> answer = api->Post("/v1/purge?wait=" + EncodePath(options.wait), body);
  if (!answer) return context.Failed(answer.error());
  if (options.json) {
    context.terminal.Line(answer->dump(2));
    return BoolOf(*answer, "complete") ? Exit::kDone : Exit::kUnconfirmed;
  }
  return PrintReceipt(*answer, context.terminal);
}

}  // namespace nearside::cli
