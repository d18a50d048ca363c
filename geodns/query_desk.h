#pragma once

#include <memory>
#include <span>

#include "geodns/dns_metrics.h"
#include "geodns/responder.h"
#include "geodns/snapshot.h"

namespace nearside::geodns {

/// Where the sockets of one worker take their queries: the snapshot in force and the worker's
/// counters. Owned by one worker; a new snapshot comes by a task posted to its loop, so that
/// answering takes no lock and no atomic.
class QueryDesk {
 public:
  QueryDesk(const DnsMetrics& metrics, metrics::Cells& cells,
            std::shared_ptr<const Snapshot> snapshot)
      : metrics_(metrics), cells_(cells), snapshot_(std::move(snapshot)) {}

  /// As Respond, and counts.
  size_t Answer(std::span<const uint8_t> query, const IpAddress& client, Transport transport,
                std::span<uint8_t> out) {
    Tally tally;
    size_t size = Respond(*snapshot_, query, client, transport, out, &tally);
    metrics_.Count(cells_, tally, transport);
    return size;
  }
  void SetSnapshot(std::shared_ptr<const Snapshot> snapshot) { snapshot_ = std::move(snapshot); }
  void Count(metrics::Id id, uint64_t n = 1) { cells_.Add(id, n); }
  const DnsMetrics& metrics() const { return metrics_; }

 private:
  const DnsMetrics& metrics_;
  metrics::Cells& cells_;
  std::shared_ptr<const Snapshot> snapshot_;
};

}  // namespace nearside::geodns
