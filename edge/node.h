#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "edge/client_address.h"
#include "edge/edge_metrics.h"
#include "edge/encoder_threads.h"
#include "edge/fill.h"
#include "edge/prepared_contents.h"
#include "edge/settings.h"
#include "edge/site.h"
#include "edge/variant_index.h"
#include "http/request_id.h"
#include "runtime/line_log.h"
#include "runtime/local_ref.h"
#include "runtime/metrics.h"
#include "storage/cache_store.h"

namespace nearside::edge {

/// The settings as read and what is derived from them. Immutable; a reload makes a new one, and
/// requests keep the one they began with.
struct Configuration {
  /// What `before` (may be null) knows of origins goes on. `error_pages`: one for each site, or
  /// none.
  explicit Configuration(EdgeSettings read, const Configuration* before = nullptr,
                         std::vector<ErrorPages> error_pages = {})
      : settings(std::move(read)),
        sites(settings.sites, before != nullptr ? &before->sites : nullptr, std::move(error_pages)),
        trusted_proxies(RangesOf(settings.node.trusted_proxies)),
        forwarded_field(settings.node.client_address_field == "forwarded"
                            ? ForwardedField::kForwarded
                            : ForwardedField::kXForwardedFor) {}
  EdgeSettings settings;
  SiteTable sites;
  std::shared_ptr<const net::AddressRanges> trusted_proxies;  ///< never null
  ForwardedField forwarded_field;

 private:
  static std::shared_ptr<const net::AddressRanges> RangesOf(const std::vector<std::string>& texts);
};

/// A worker's hold of the configuration, for its requests to share.
using ConfigurationRef = LocalRef<std::shared_ptr<const Configuration>>;

/// What all workers of the process share. Any thread.
struct Node {
  Node(std::string node_name, std::unique_ptr<storage::CacheStore> cache,
       std::unique_ptr<LineLog> log);

  const std::string name;
  metrics::Registry registry;
  const EdgeMetrics metrics;
  const std::unique_ptr<storage::CacheStore> store;
  const std::unique_ptr<LineLog> access_log;
  const http::RequestIds request_ids;
  FillTable fills;
  IndexLocks index_locks;
  PreparedContents prepared;
  std::atomic<bool> draining{false};
  std::atomic<uint32_t> load_permille{0};  ///< CPU time used of the workers' share, last second
  std::atomic<int64_t> tunnels{0};         ///< WebSockets that are open, or asked for
  std::atomic<int> encoders{0};            ///< bodies that are being encoded
  /// Connections to a site's origins, made for a loop; empty: real ones. Set before the first
  /// worker.
  std::function<std::shared_ptr<http::Client>(net::EventLoop&, const Site&)> make_client;
  /// What each worker's draws among origins begin with; 0: a random number. Likewise.
  uint64_t draw_seed = 0;
  std::atomic<int64_t> lag_ms{0};  ///< behind the event log; 0: follows it, or has none
  EncoderThreads encoder_threads;
};

/// What may be made of a stored response now: what purges have left of it, and no more than kStale
/// where purges may have passed the node by for longer than the site allows (max_event_lag).
storage::Validity ValidityOf(const Node& node, const Site& site, const storage::CachedHead& head);

}  // namespace nearside::edge
