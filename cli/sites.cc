#include "cli/sites.h"

#include <nlohmann/json.hpp>

#include "runtime/units.h"

namespace nearside::cli {

namespace {

/// "3 of 10 files", "3 files".
std::string OfQuota(const std::string& used, const std::string& most) {
  return most.empty() ? used + ", no limit" : used + " of " + most;
}

Result<Json> ChangeQuota(OriginApi& api, const std::string& target, const Json& site,
                         const SitesOptions& options) {
  Json quota = site.value("quota", Json::object());
  if (!options.quota_bytes.empty()) {
    Result<ByteSize> bytes = ByteSize{0};
    if (options.quota_bytes != "0") bytes = ParseSize(options.quota_bytes);
    if (!bytes) return unexpected(std::move(bytes.error()));
    quota["bytes"] = bytes->bytes;
  }
  if (options.quota_files) quota["files"] = *options.quota_files;
  Result<Json> put = api.Put(target, {{"hosts", ListOf(site, "hosts")}, {"quota", quota}});
  if (!put) return put;
  return api.Get(target);
}

}  // namespace

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

Exit SiteQuota(CommandContext& context, const SitesOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  const std::string target = "/v1/sites/" + EncodePath(options.name);
  Result<Json> site = api->Get(target);
  if (!site) return context.Failed(site.error());
  if (!options.quota_bytes.empty() || options.quota_files) {
    site = ChangeQuota(*api, target, *site, options);
    if (!site) return context.Failed(site.error());
  }
  const Json quota = site->value("quota", Json::object());
  const Json used = site->value("used", Json::object());
  const int64_t bytes = IntOf(quota, "bytes"), files = IntOf(quota, "files");
  context.terminal.Line("site " + options.name + ": " +
                        OfQuota(HumanBytes(static_cast<uint64_t>(IntOf(used, "bytes"))),
                                bytes == 0 ? "" : HumanBytes(static_cast<uint64_t>(bytes))) +
                        "; " +
                        OfQuota(Count(static_cast<size_t>(IntOf(used, "files")), "file"),
                                files == 0 ? "" : std::to_string(files)));
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
