#include "origin/node.h"

#include <algorithm>

#include "origin/s3_key.h"
#include "runtime/log.h"

namespace nearside::origin {
namespace {

/// Null when the settings name none.
Result<std::unique_ptr<storage::SessionStore>> OpenSessions(const OriginSettings& settings) {
  if (settings.storage.sessions.empty()) return nullptr;
  storage::SessionOptions options;
  options.idle = settings.accounts.session_idle;
  options.life = settings.accounts.session_life;
  options.most = static_cast<size_t>(settings.accounts.sessions);
  options.most_of_account = static_cast<size_t>(settings.accounts.sessions_of_account);
  return storage::SessionStore::Open(settings.storage.sessions, options);
}

/// Null when the settings name none.
Result<std::unique_ptr<storage::JobQueue>> OpenJobs(const OriginSettings& settings) {
  if (settings.storage.queue.empty()) return nullptr;
  storage::JobQueueOptions options;
  options.most = static_cast<size_t>(settings.jobs.most);
  options.most_dead = static_cast<size_t>(settings.jobs.most_dead);
  options.attempts = settings.jobs.attempts;
  options.backoff = settings.jobs.backoff;
  options.backoff_most = settings.jobs.backoff_most;
  return storage::JobQueue::Open(settings.storage.queue, options);
}

}  // namespace

std::string_view KindName(RequestKind kind) {
  constexpr std::string_view kNames[kRequestKinds] = {"visitor", "api", "upload",
                                                      "events",  "s3",  "account"};
  return kNames[static_cast<size_t>(kind)];
}

void NodeCounters::Count(RequestKind kind, int status) {
  const auto status_class = static_cast<size_t>(std::clamp(status / 100, 0, 5));
  answers[static_cast<size_t>(kind)][status_class].fetch_add(1, std::memory_order_relaxed);
  if (status == 401 || status == 403) ++denied;
}

Node::Node(OriginSettings s, std::unique_ptr<storage::Metadata> m,
           std::unique_ptr<storage::BlobStore> b, Tokens t, std::string s3_key,
           std::unique_ptr<LineLog> log, std::unique_ptr<storage::SessionStore> sessions)
    : settings(std::move(s)),
      metadata(std::move(m)),
      blobs(std::move(b)),
      sites(*metadata, *blobs),
      newest_sites(*metadata,
                   [this](const std::string& site) {
                     return site.empty() ? sites.Refresh() : sites.Refresh(site);
                   }),
      fleet(*metadata),
      quota_figures(*metadata),
      access(*metadata, settings.auth, std::move(t), std::move(s3_key)),
      accounts(*metadata, std::move(sessions), settings.accounts, settings.auth.limit_loopback),
      access_log(std::move(log)) {}

Result<std::unique_ptr<Node>> Node::Open(const OriginSettings& settings, Tokens tokens) {
  storage::MetadataOptions options;
  options.keep_events = static_cast<uint64_t>(settings.events.keep);
  options.keep_audit = static_cast<uint64_t>(settings.audit.keep);
  options.most_tokens = static_cast<uint64_t>(settings.auth.tokens);
  options.most_accounts = static_cast<uint64_t>(settings.accounts.accounts);
  auto metadata = storage::Metadata::Open(settings.storage.metadata, options);
  if (!metadata) return settings.storage.where.Refuse("metadata", metadata.error());
  auto blobs = storage::BlobStore::Open(settings.storage.blobs);
  if (!blobs) return settings.storage.where.Refuse("blobs", blobs.error());
  auto sessions = OpenSessions(settings);
  if (!sessions) return settings.storage.where.Refuse("sessions", sessions.error());
  auto jobs = OpenJobs(settings);
  if (!jobs) return settings.storage.where.Refuse("queue", jobs.error());
  auto s3_key = OpenS3Key(settings.auth, settings.storage);
  if (!s3_key) return settings.auth.where.Refuse("s3_key_file", s3_key.error());
  auto log = LineLog::Open(settings.node.access_log);
  if (!log) return settings.node.where.Refuse("access_log", log.error());
  auto node =
      std::make_unique<Node>(settings, std::move(*metadata), std::move(*blobs), std::move(tokens),
                             std::move(*s3_key), std::move(*log), std::move(*sessions));
  node->jobs = std::move(*jobs);
  Status read = node->newest_sites.ReadAll();
  if (read) read = node->fleet.Load();
  if (read) read = node->access.table().Refresh();
  if (!read) return settings.storage.where.Refuse("metadata", read.error());
  return node;
}

void Node::Changed(const std::string& site) {
  ReadSite(site);
  wake_followers();
}

void Node::ReadSite(const std::string& site) {
  if (Status read = site.empty() ? newest_sites.ReadAll() : sites.Refresh(site); !read) {
    Log(Level::kError, "site_not_read", {{"site", site}, {"error", read.error().ToString()}});
  }
}

}  // namespace nearside::origin
