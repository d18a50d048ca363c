#include "geodns/query_desk.h"

#include <utility>

namespace nearside::geodns {

/// Only what comes over UDP from an address that may be forged.
RateLimiter::Decision QueryDesk::Judge(const Arrival& arrival, const Asker& asker) {
  const Protocol& protocol = snapshot_->protocol;
  if (asker.transport != Transport::kUdp || arrival.cookie.state == dns::CookieState::kGood) {
    return {};
  }
  if (protocol.spare_loopback && asker.address.IsLoopback()) return {};
  const auto decision = limiter_.Decide(asker.address, protocol.rates, loop_.now());
  if (limiter_.evicted() != evicted_) {
    Count(metrics_.rate_evicted, limiter_.evicted() - std::exchange(evicted_, limiter_.evicted()));
  }
  return decision;
}

size_t QueryDesk::Answer(std::span<const uint8_t> query, const IpAddress& client,
                         Transport transport, std::span<uint8_t> out) {
  const Asker asker{.address = client,
                    .transport = transport,
                    .now = static_cast<uint32_t>(ToUnixMillis(loop_.wall_now()) / 1000),
                    .signer = signer_.get()};
  if (signer_) signer_->Begin(loop_.wall_now(), static_cast<size_t>(transport));
  const Arrival arrival = Receive(snapshot_->protocol, query, asker);
  Tally tally;
  tally.malformed = arrival.malformed;
  size_t size = 0;
  if (arrival.is_answerable()) {
    const auto [verdict, bound] = Judge(arrival, asker);
    if (verdict == RateVerdict::kDrop) {
      Count(metrics_.rate_dropped[static_cast<size_t>(bound)]);
      return 0;
    }
    if (verdict == RateVerdict::kSlip) Count(metrics_.rate_slipped[static_cast<size_t>(bound)]);
    const Treatment treatment =
        verdict == RateVerdict::kSlip ? Treatment::kSlip : Treatment::kAnswer;
    size = geodns::Answer(*snapshot_, arrival, asker, treatment, out, &tally);
  }
  if (tally.alias_ask && alias_asks_ != nullptr) alias_asks_->Put(*tally.alias_ask);
  metrics_.Count(cells_, tally, transport);
  if (tally.zone && *tally.zone < snapshot_->zone_counters.size()) {
    snapshot_->zone_counters[*tally.zone]->Add(worker_);
  }
  return size;
}

}  // namespace nearside::geodns
