#pragma once

#include <memory>
#include <span>

#include "geodns/dns_metrics.h"
#include "geodns/rate_limiter.h"
#include "geodns/responder.h"
#include "geodns/signer.h"
#include "geodns/snapshot.h"
#include "net/event_loop.h"

namespace nearside::geodns {

/// Where the sockets of one worker take their queries: the snapshot in force, the limits and the
/// worker's counters. Owned by one worker; a new snapshot comes by a task posted to its loop, so
/// that answering takes no lock and no atomic.
class QueryDesk {
 public:
  /// `networks`: those that the rate limit keeps count of. `worker`: its number, for counters of
  /// zones. References outlive it.
  QueryDesk(net::EventLoop& loop, const DnsMetrics& metrics, metrics::Cells& cells,
            std::shared_ptr<const Snapshot> snapshot, size_t networks, size_t worker = 0,
            const SignerOptions& signing = {})
      : loop_(loop),
        metrics_(metrics),
        cells_(cells),
        signing_(signing),
        worker_(worker),
        limiter_(networks) {
    SetSnapshot(std::move(snapshot));
  }

  /// Answers a query into `out` and counts; 0 when it gets none.
  size_t Answer(std::span<const uint8_t> query, const IpAddress& client, Transport transport,
                std::span<uint8_t> out);
  void SetSnapshot(std::shared_ptr<const Snapshot> snapshot) {
    snapshot_ = std::move(snapshot);
    if (signer_ && snapshot_) signer_->DropUnusedKeys(snapshot_->zones.zones());
    if (!signer_ && snapshot_ && snapshot_->zones.has_signed())
      signer_ = std::make_unique<Signer>(signing_);
  }
  const Snapshot& snapshot() const { return *snapshot_; }
  /// Where networks are noted that want an answer of their own from an ALIAS; outlives this.
  void SetAliasAsks(AliasAsks* asks) { alias_asks_ = asks; }
  void Count(metrics::Id id, uint64_t n = 1) { cells_.Add(id, n); }
  metrics::Cells& cells() { return cells_; }
  const DnsMetrics& metrics() const { return metrics_; }

 private:
  RateLimiter::Decision Judge(const Arrival& arrival, const Asker& asker);

  net::EventLoop& loop_;
  const DnsMetrics& metrics_;
  metrics::Cells& cells_;
  const SignerOptions signing_;
  std::shared_ptr<const Snapshot> snapshot_;
  const size_t worker_;
  RateLimiter limiter_;
  uint64_t evicted_ = 0;  ///< those counted
  AliasAsks* alias_asks_ = nullptr;
  std::unique_ptr<Signer> signer_;  ///< none as long as no zone is signed
};

}  // namespace nearside::geodns
