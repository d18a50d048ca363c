#include "cli/releases.h"

#include <nlohmann/json.hpp>

namespace nearside::cli {

Exit ListReleases(CommandContext& context, const ReleasesOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<Json> answer = api->Get("/v1/sites/" + EncodePath(options.site) +
                                 "/releases?limit=" + std::to_string(options.limit));
  if (!answer) return context.Failed(answer.error());
  if (options.json) {
    context.terminal.Line(answer->dump(2));
    return Exit::kDone;
  }
  TextTable table({"RELEASE", "STATE", "KIND", "CREATED", "LAST ACTIVATED", "FILES", "SIZE"});
  for (const Json& release : ListOf(*answer, "releases")) {
    const std::string state = TextOf(release, "state");
    const int64_t activated = IntOf(release, "activated");
    table.Add(
        {TextOf(release, "id"), state, TextOf(release, "kind"),
         HumanTime(IntOf(release, "created")), activated == 0 ? "never" : HumanTime(activated),
         std::to_string(IntOf(release, "assets")),
         HumanBytes(static_cast<uint64_t>(IntOf(release, "bytes")))},
        state == "active" ? Colour::kGreen : Colour::kNone);
  }
  table.Print(context.terminal);
  return Exit::kDone;
}

}  // namespace nearside::cli
