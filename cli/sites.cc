#include "cli/sites.h"

#include <nlohmann/json.hpp>

namespace nearside::cli {

Exit ListSites(CommandContext& context, const SitesOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<Json> answer = api->Get("/v1/sites");
  if (!answer) return context.Failed(answer.error());
  if (options.json) {
    context.terminal.Line(answer->dump(2));
    return Exit::kDone;
  }
  TextTable table({"SITE", "RELEASE", "CHANGED", "HOSTS"});
  for (const Json& site : ListOf(*answer, "sites")) {
    std::string hosts;
    for (const Json& host : ListOf(site, "hosts")) {
      if (host.is_string()) hosts += (hosts.empty() ? "" : " ") + host.get<std::string>();
    }
    const std::string release = TextOf(site, "release");
    table.Add({TextOf(site, "name"), release.empty() ? "none" : release,
               HumanTime(IntOf(site, "changed")), hosts});
  }
  table.Print(context.terminal);
  return Exit::kDone;
}

Exit PutSite(CommandContext& context, const SitesOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<Json> answer =
      api->Put("/v1/sites/" + EncodePath(options.name), {{"hosts", options.hosts}});
  if (!answer) return context.Failed(answer.error());
  context.terminal.Line("site " + options.name + " is there");
  return Exit::kDone;
}

Exit RemoveSite(CommandContext& context, const SitesOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<Json> answer = api->Delete("/v1/sites/" + EncodePath(options.name) + "?wait=2s");
  if (!answer) return context.Failed(answer.error());
  context.terminal.Line("site " + options.name + " and its releases are gone");
  return PrintReceipt(*answer, context.terminal);
}

}  // namespace nearside::cli
