#include "edge/node.h"

#include <algorithm>

namespace nearside::edge {

// The settings have been checked; nobody is trusted where they have not.
std::shared_ptr<const net::AddressRanges> Configuration::RangesOf(
    const std::vector<std::string>& texts) {
  return std::make_shared<const net::AddressRanges>(
      net::AddressRanges::Parse(texts).value_or(net::AddressRanges()));
}

Node::Node(std::string node_name, std::unique_ptr<storage::CacheStore> cache,
           std::unique_ptr<LineLog> log)
    : name(std::move(node_name)),
      metrics(registry),
      store(std::move(cache)),
      access_log(std::move(log)) {
  store->ExportMetrics(registry);
  registry.Gauge("nearside_edge_fills", "Responses that are on their way from an origin.", {},
                 [this] { return static_cast<double>(fills.size()); });
  registry.Gauge("nearside_edge_fill_bytes", "Memory held by the bodies of these responses.", {},
                 [this] { return static_cast<double>(fills.held_bytes()); });
  registry.Gauge("nearside_edge_tunnels", "WebSockets that are open, or asked for at an origin.",
                 {}, [this] { return static_cast<double>(tunnels.load()); });
  registry.Gauge("nearside_edge_encoders", "Bodies that are being encoded.", {},
                 [this] { return static_cast<double>(encoders.load()); });
  registry.Gauge("nearside_edge_encoders_waiting", "Bodies that wait for a thread to encode them.",
                 {}, [this] { return static_cast<double>(encoder_threads.waiting()); });
  registry.Gauge("nearside_edge_load", "CPU time used of what the workers have, last second.", {},
                 [this] { return load_permille.load() / 1000.0; });
  registry.Gauge("nearside_edge_draining", "1 while the edge asks DNS for no new visitors.", {},
                 [this] { return draining.load() ? 1.0 : 0.0; });
  registry.Gauge("nearside_edge_event_lag_seconds", "Time behind the fleet's event log.", {},
                 [this] { return static_cast<double>(lag_ms.load()) / 1000.0; });
  registry.CounterFrom("nearside_edge_access_log_dropped_total",
                       "Batches of access log lines that could not be written.", {},
                       [this] { return static_cast<double>(access_log->dropped()); });
}

storage::Validity ValidityOf(const Node& node, const Site& site, const storage::CachedHead& head) {
  const storage::Validity left = node.store->Check(head);
  const milliseconds most = site.settings.max_event_lag;
  const milliseconds lag(node.lag_ms.load(std::memory_order_relaxed));
  const bool too_late = most > milliseconds(0) && lag > most;
  return too_late ? std::max(left, storage::Validity::kStale) : left;
}

}  // namespace nearside::edge
