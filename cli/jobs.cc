#include "cli/jobs.h"

#include <nlohmann/json.hpp>

namespace nearside::cli {
namespace {

/// "demo app.js" where the job says so, else its key.
std::string SubjectOf(const Json& job) {
  const Json payload =
      job.contains("payload") && job["payload"].is_object() ? job["payload"] : Json::object();
  const std::string site = TextOf(payload, "site");
  const std::string path = TextOf(payload, "path");
  return site.empty() || path.empty() ? TextOf(job, "key") : site + " " + path;
}

}  // namespace

Exit ListJobs(CommandContext& context, const JobsOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<Json> answer = api->Get("/v1/jobs?limit=" + std::to_string(options.limit) +
                                 (options.dead ? "&state=dead" : ""));
  if (!answer) return context.Failed(answer.error());
  if (options.json) {
    context.terminal.Line(answer->dump(2, ' ', false, Json::error_handler_t::replace));
    return Exit::kDone;
  }
  for (const Json& count : ListOf(*answer, "counts")) {
    context.terminal.Line(Printable(TextOf(count, "kind")) + ": " +
                          std::to_string(IntOf(count, "waiting")) + " waiting, " +
                          std::to_string(IntOf(count, "running")) + " running, " +
                          std::to_string(IntOf(count, "dead")) + " dead");
  }
  const Json& jobs = ListOf(*answer, "jobs");
  if (jobs.empty()) {
    context.terminal.Line(options.dead ? "No job is dead." : "No job waits or runs.");
    return Exit::kDone;
  }
  TextTable table({"ID", "KIND", "STATE", "TRIED", "SINCE", "WHAT", "LAST ERROR"});
  for (const Json& job : jobs) {
    const std::string error = TextOf(job, "error");
    table.Add({TextOf(job, "id"), Printable(TextOf(job, "kind")), Printable(TextOf(job, "state")),
               std::to_string(IntOf(job, "attempts")), HumanTime(IntOf(job, "created")),
               Printable(SubjectOf(job)), error.empty() ? "-" : Printable(error)});
  }
  table.Print(context.terminal);
  return Exit::kDone;
}

Exit RetryJob(CommandContext& context, const JobsOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<Json> job = api->Post("/v1/jobs/" + std::to_string(options.id) + "/retry", Json::object());
  if (!job) return context.Failed(job.error());
  context.terminal.Line("Job " + TextOf(*job, "id") +
                        " begins anew: " + Printable(SubjectOf(*job)));
  return Exit::kDone;
}

}  // namespace nearside::cli
