#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

#include "geodns/rate_limiter.h"
#include "geodns/responder.h"
#include "runtime/clock.h"
#include "runtime/metrics.h"

namespace nearside::geodns {

/// The counters of answering, declared once; each worker counts in cells of its own.
class DnsMetrics {
 public:
  explicit DnsMetrics(metrics::Registry& registry);

  void Count(metrics::Cells& cells, const Tally& tally, Transport transport) const;

  metrics::Id udp_ignored;      ///< datagrams from port 0 or from ourselves
  metrics::Id udp_send_failed;  ///< answers that the socket did not take
  metrics::Id udp_receive_failed;
  std::array<metrics::Id, 2> udp_batches;  ///< received by readiness, and by looking at intervals
  metrics::Id tcp_connections;             ///< accepted
  metrics::Id tcp_displaced;               ///< closed for a new one, at the limit
  metrics::Id tcp_idle_closed;
  metrics::Id tcp_broken;          ///< closed for what cannot be a query
  metrics::Id tcp_refused_client;  ///< over the limit of one client
  /// Queries over a rate, by RateBound.
  std::array<metrics::Id, kRateBoundCount> rate_dropped;
  std::array<metrics::Id, kRateBoundCount> rate_slipped;
  metrics::Id rate_evicted;  ///< networks forgotten while they counted

  /// Counts `answers` that each took `took` from the receipt of their query until the socket had
  /// them. Over UDP that is the time of a batch, counted once for each of its answers, and not a
  /// clock call for each: no answer of a batch leaves before the last one is made, so that the
  /// batch's time is what each of its queries has waited, and a part of it would be a cost and no
  /// delay. What a query waits in the socket, while the thread is busy with others, nobody sees.
  void ObserveAnswers(metrics::Cells& cells, Transport transport, MonoTime::duration took,
                      uint64_t answers) const {
    cells.Observe(answer_seconds_[static_cast<size_t>(transport)],
                  std::chrono::duration<double>(took).count(), answers);
  }

 private:
  void DeclareLimits(metrics::Registry& registry);
  void DeclareTimes(metrics::Registry& registry);
  void CountSigning(metrics::Cells& cells, const Tally& tally) const;

  static constexpr size_t kTypes = 15;   ///< those with a name of their own, and "other"
  static constexpr size_t kRcodes = 24;  ///< up to BADCOOKIE

  std::array<std::array<metrics::Id, kTypes>, 2> queries_;  ///< by transport and type
  std::array<std::array<metrics::Id, kRcodes>, 2> answers_;
  std::array<metrics::HistogramId, 2> answer_seconds_;
  std::array<metrics::Id, dns::kMalformedCount> malformed_;
  std::array<metrics::Id, kSteerReasonCount> steered_;
  std::array<metrics::Id, dns::kCookieStateCount> cookies_;
  metrics::Id truncated_;
  metrics::Id kept_small_;
  metrics::Id with_subnet_;
  metrics::Id signatures_made_;
  metrics::Id signatures_remembered_;
  metrics::Id signatures_refused_;
  metrics::Id compact_denials_;
  metrics::HistogramId signing_;
};

}  // namespace nearside::geodns
