#include <nlohmann/json.hpp>

#include "origin/api.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

constexpr size_t kJobsDefault = 100;
constexpr size_t kJobsMost = 1000;

std::string_view JobStateName(storage::JobState state) {
  switch (state) {
    case storage::JobState::kWaiting:
      return "waiting";
    case storage::JobState::kRunning:
      return "running";
    case storage::JobState::kDead:
      return "dead";
  }
  return "";
}

nlohmann::ordered_json JobJson(const storage::Job& job) {
  nlohmann::ordered_json json = {{"id", std::to_string(job.id)},
                                 {"kind", job.kind},
                                 {"key", job.key},
                                 {"state", JobStateName(job.state)},
                                 {"attempts", job.attempts},
                                 {"created", ToUnixMillis(job.created)},
                                 {"tried", nullptr},
                                 {"error", nullptr}};
  if (ToUnixMillis(job.tried) > 0) json["tried"] = ToUnixMillis(job.tried);
  if (!job.error.empty()) json["error"] = job.error;
  auto payload = nlohmann::ordered_json::parse(job.payload, nullptr, /*allow_exceptions=*/false);
  json["payload"] = payload.is_discarded() ? nlohmann::ordered_json(job.payload) : payload;
  return json;
}

std::string JobsText(const nlohmann::ordered_json& json) {
  return json.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace);
}

Error NoQueue() {
  return {Fault::kOperator, "no_queue", "the origin has no queue of jobs: set storage.queue"};
}

}  // namespace

ApiOutcome Api::ListJobs(const ApiRequest& request) {
  if (!node_.jobs) return ProblemAnswer(NoQueue());
  const std::string_view query = request.head.query();
  Result<size_t> limit = QueryLimit(query, kJobsDefault, kJobsMost);
  if (!limit) return ProblemAnswer(limit.error());
  Result<std::optional<uint64_t>> after = QueryAfter(query);
  if (!after) return ProblemAnswer(after.error());
  const std::string state = QueryValue(query, "state").value_or("");
  if (!state.empty() && state != "dead") {
    return ProblemAnswer(
        Error{Fault::kClient, "bad_query", "state: expected \"dead\", or no state"});
  }
  Result<std::vector<storage::Job>> jobs =
      node_.jobs->List(state == "dead", after->value_or(0), *limit);
  if (!jobs) return ProblemAnswer(jobs.error());
  Result<std::vector<storage::JobCount>> counts = node_.jobs->Counts();
  if (!counts) return ProblemAnswer(counts.error());
  nlohmann::ordered_json json;
  json["counts"] = nlohmann::ordered_json::array();
  for (const storage::JobCount& count : *counts) {
    json["counts"].push_back({{"kind", count.kind},
                              {"waiting", count.waiting},
                              {"running", count.running},
                              {"dead", count.dead}});
  }
  json["jobs"] = nlohmann::ordered_json::array();
  for (const storage::Job& job : *jobs) json["jobs"].push_back(JobJson(job));
  json["next"] = nullptr;
  if (jobs->size() == *limit) json["next"] = std::to_string(jobs->back().id);
  return JsonAnswer(200, JobsText(json));
}

ApiOutcome Api::RetryJob(const Route& route, const ApiRequest& request) {
  if (!node_.jobs) return ProblemAnswer(NoQueue());
  Result<storage::Job> job = node_.jobs->Retry(route.job);
  if (!job) return ProblemAnswer(job.error());
  Record(request, {.action = "job_retried",
                   .site = "",
                   .detail = "{\"job\":\"" + std::to_string(job->id) +
                             "\",\"key\":" + JsonString(job->key) + "}"});
  Log(Level::kInfo, "job_retried",
      {{"job", job->id}, {"key", job->key}, {"by", request.caller.name}});
  return JsonAnswer(200, JobsText(JobJson(*job)));
}

}  // namespace nearside::origin
