#include "storage/job_queue.h"

#include <algorithm>

#include "storage/lmdb_job_queue.h"

namespace nearside::storage {
namespace {

bool IsKindCharacter(char c) {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

}  // namespace

milliseconds BackoffAfter(int attempts, const JobQueueOptions& options) {
  milliseconds wait = std::min(options.backoff, options.backoff_most);
  for (int i = 1; i < attempts && wait < options.backoff_most; ++i) {
    wait = std::min(wait * 2, options.backoff_most);
  }
  return wait;
}

Status CheckJob(const NewJob& job) {
  if (job.kind.empty() || job.kind.size() > kJobKindBytes ||
      !std::all_of(job.kind.begin(), job.kind.end(), IsKindCharacter)) {
    return Fail(
        Fault::kClient, "bad_job",
        "a job's kind: expected 1 to " + std::to_string(kJobKindBytes) + " of a-z, 0-9 and \"_\"");
  }
  if (job.key.empty() || job.key.size() > kJobKeyBytes) {
    return Fail(Fault::kClient, "bad_job",
                "a job's key: expected 1 to " + std::to_string(kJobKeyBytes) + " bytes");
  }
  if (job.payload.size() > kJobPayloadBytes) {
    return Fail(Fault::kClient, "job_too_large",
                "a job's payload has " + std::to_string(job.payload.size()) +
                    " bytes: expected at most " + std::to_string(kJobPayloadBytes));
  }
  return {};
}

Result<std::unique_ptr<JobQueue>> JobQueue::Open(std::string_view url,
                                                 const JobQueueOptions& options) {
  constexpr std::string_view kLmdb = "lmdb:";
  if (url.starts_with(kLmdb) && url.size() > kLmdb.size()) {
    return OpenLmdbJobs(std::string(url.substr(kLmdb.size())), options);
  }
  return nearside::Fail(Fault::kOperator, "bad_url",
                        "\"" + std::string(url) +
                            "\": expected the URL of a queue of jobs, for example "
                            "\"lmdb:var/origin/queue\"");
}

}  // namespace nearside::storage
