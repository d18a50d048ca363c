#include "cli/rollback.h"

#include <nlohmann/json.hpp>

#include "cli/receipt.h"

namespace nearside::cli {
namespace {

/// The release that was active last before the active one.
Result<std::string> PreviousRelease(OriginApi& api, const std::string& site) {
  Result<Json> answer = api.Get("/v1/sites/" + EncodePath(site) + "/releases?limit=1000");
  if (!answer) return unexpected(std::move(answer.error()));
  std::string previous;
  int64_t newest = 0;
  for (const Json& release : ListOf(*answer, "releases")) {
    if (TextOf(release, "state") != "past" || IntOf(release, "activated") <= newest) continue;
    newest = IntOf(release, "activated");
    previous = TextOf(release, "id");
  }
  if (!previous.empty()) return previous;
  return Fail(Fault::kClient, "no_such_release",
              "site \"" + site + "\" has no release that was active before");
}

}  // namespace

Exit Rollback(CommandContext& context, const RollbackOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<std::string> release = options.release;
  if (options.release.empty()) release = PreviousRelease(*api, options.site);
  if (!release) return context.Failed(release.error());
  Result<Json> answer = api->Post(
      "/v1/sites/" + EncodePath(options.site) + "/releases/" + EncodePath(*release) + "/activate",
      Json::object());
  if (!answer) return context.Failed(answer.error());
  context.terminal.Line("release " + TextOf(*answer, "release") + " of " + options.site +
                        " is active again (before: " + TextOf(*answer, "previous") + "), " +
                        Count(static_cast<size_t>(IntOf(*answer, "changed")), "file") + " changed");
  return AwaitReceipt(context, *api, *answer, options.wait);
}

}  // namespace nearside::cli
