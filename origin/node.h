#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <string>

#include "origin/access.h"
#include "origin/access_log.h"
#include "origin/accounts.h"
#include "origin/fleet.h"
#include "origin/newest_sites.h"
#include "origin/proofs.h"
#include "origin/quota_figures.h"
#include "origin/settings.h"
#include "origin/site_table.h"
#include "runtime/metrics.h"
#include "storage/blob_store.h"
#include "storage/job_queue.h"
#include "storage/metadata.h"
#include "storage/session_store.h"

namespace nearside::origin {

/// What a request was, for counters.
enum class RequestKind { kVisitor, kApi, kUpload, kEvents, kS3, kAccount };
inline constexpr size_t kRequestKinds = 6;
std::string_view KindName(RequestKind kind);  ///< "visitor", "api", …

/// Counts of what was answered. Any thread: an origin's requests are few enough for shared atomics.
struct NodeCounters {
  std::array<std::array<std::atomic<uint64_t>, 6>, kRequestKinds>
      answers{};  ///< by kind, status / 100
  std::atomic<uint64_t> received_bytes{0};
  std::atomic<uint64_t> sent_bytes{0};
  std::atomic<uint64_t> stored_blobs{0};
  std::atomic<uint64_t> stored_bytes{0};
  std::atomic<uint64_t> failed_uploads{0};
  std::atomic<uint64_t> begun_uploads{0};    ///< in several goes
  std::atomic<uint64_t> expired_uploads{0};  ///< of these, before they were whole
  std::atomic<uint64_t> refused_busy{0};     ///< 503: the queue of the kind's threads was full
  std::atomic<uint64_t> denied{0};           ///< 401 and 403
  void Count(RequestKind kind, int status);
};

/// Everything that the parts of an origin share. Any thread.
struct Node {
  Node(OriginSettings s, std::unique_ptr<storage::Metadata> m,
       std::unique_ptr<storage::BlobStore> b, Tokens t, std::string s3_key,
       std::unique_ptr<LineLog> log, std::unique_ptr<storage::SessionStore> sessions = nullptr);

  /// Opens what the settings name. Errors: kOperator, with file, line and key.
  static Result<std::unique_ptr<Node>> Open(const OriginSettings& settings, Tokens tokens);

  /// After a change of ours: visitors see it and edges are told, before the change is answered.
  void Changed(const std::string& site);

  /// Reads a site anew for visitors; "": all of them.
  void ReadSite(const std::string& site);

  const OriginSettings settings;
  const std::unique_ptr<storage::Metadata> metadata;
  const std::unique_ptr<storage::BlobStore> blobs;
  std::unique_ptr<storage::JobQueue> jobs;  ///< set before serving; null: storage.queue names none
  SiteTable sites;
  NewestSites newest_sites;  ///< what `sites` holds
  Fleet fleet;
  Proofs proofs;
  QuotaFigures quota_figures;
  Access access;
  Accounts accounts;
  AccessLog access_log;
  NodeCounters counters;
  metrics::Registry registry;
  std::atomic<bool> draining{false};
  std::function<double()> load = [] { return 0.0; };  ///< set before serving
  std::function<void()> wake_followers = [] {};       ///< set before serving
  std::function<bool()> followers_full = [] { return false; };
};

}  // namespace nearside::origin
