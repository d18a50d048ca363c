#include "geodns/dns_metrics.h"

#include <string>

namespace nearside::geodns {
namespace {

namespace type = dns::type;

constexpr std::array<uint16_t, 14> kNamedTypes = {
    type::kA,   type::kAaaa, type::kNs,  type::kSoa, type::kMx,    type::kTxt,  type::kCname,
    type::kSrv, type::kPtr,  type::kCaa, type::kDs,  type::kHttps, type::kSvcb, type::kAny};

size_t PlaceOf(uint16_t qtype) {
  switch (qtype) {  // the two that matter, without a search
    case type::kA:
      return 0;
    case type::kAaaa:
      return 1;
    default:
      break;
  }
  for (size_t i = 2; i < kNamedTypes.size(); ++i) {
    if (kNamedTypes[i] == qtype) return i;
  }
  return kNamedTypes.size();
}

constexpr std::array<dns::Rcode, 8> kRcodesUsed = {
    dns::Rcode::kNoError, dns::Rcode::kFormErr, dns::Rcode::kServFail, dns::Rcode::kNxDomain,
    dns::Rcode::kNotImp,  dns::Rcode::kRefused, dns::Rcode::kBadVers,  dns::Rcode::kBadCookie};

constexpr std::string_view kCookieStates[] = {"none", "client_only", "bad", "good"};
static_assert(std::size(kCookieStates) == dns::kCookieStateCount);

constexpr const char* kRateBounds[] = {"network", "wide", "all"};
static_assert(std::size(kRateBounds) == kRateBoundCount);

}  // namespace

DnsMetrics::DnsMetrics(metrics::Registry& registry) {
  static_assert(kNamedTypes.size() + 1 == kTypes);
  const std::string kTransports[] = {"udp", "tcp"};
  for (size_t transport = 0; transport < 2; ++transport) {
    const std::string& name = kTransports[transport];
    for (size_t i = 0; i < kTypes; ++i) {
      std::string qtype = i < kNamedTypes.size() ? dns::TypeToText(kNamedTypes[i]) : "other";
      queries_[transport][i] =
          registry.Counter("nearside_dns_queries_total", "Queries answered, by type.",
                           {{"transport", name}, {"type", qtype}});
    }
    for (dns::Rcode rcode : kRcodesUsed) {
      answers_[transport][static_cast<size_t>(rcode)] =
          registry.Counter("nearside_dns_answers_total", "Answers by response code.",
                           {{"transport", name}, {"rcode", std::string(dns::RcodeName(rcode))}});
    }
  }
  for (size_t i = 1; i < malformed_.size(); ++i) {
    std::string reason(dns::MalformedName(static_cast<dns::Malformed>(i)));
    malformed_[i] = registry.Counter("nearside_dns_malformed_total",
                                     "Messages that are no proper query, by what is wrong.",
                                     {{"reason", reason}});
  }
  for (size_t i = 0; i < steered_.size(); ++i) {
    std::string reason(SteerReasonName(static_cast<SteerReason>(i)));
    steered_[i] = registry.Counter("nearside_dns_steered_total",
                                   "Answers for steered names, by how they were chosen.",
                                   {{"reason", reason}});
  }
  for (size_t i = 1; i < cookies_.size(); ++i) {
    cookies_[i] = registry.Counter("nearside_dns_cookies_total", "Queries with a cookie.",
                                   {{"state", std::string(kCookieStates[i])}});
  }
  DeclareLimits(registry);
  DeclareTimes(registry);
  truncated_ = registry.Counter("nearside_dns_truncated_total", "Answers with TC set.");
  with_subnet_ =
      registry.Counter("nearside_dns_client_subnet_total", "Queries with a client subnet.");
  const char* const kSignatures = "nearside_dns_signatures_total";
  const char* const kSignaturesHelp = "DNSSEC signatures in answers, by where they came from.";
  signatures_made_ = registry.Counter(kSignatures, kSignaturesHelp, {{"source", "made"}});
  signatures_remembered_ =
      registry.Counter(kSignatures, kSignaturesHelp, {{"source", "remembered"}});
  signatures_refused_ =
      registry.Counter("nearside_dns_signatures_refused_total",
                       "Answers that went without a signature, over signatures_a_second.");
  compact_denials_ =
      registry.Counter("nearside_dns_compact_denials_total",
                       "Names that do not exist, told by NOERROR and a proof (RFC 9824).");
  udp_ignored = registry.Counter("nearside_dns_udp_ignored_total",
                                 "Datagrams from port 0 or from an address of our own.");
  udp_send_failed = registry.Counter("nearside_dns_udp_send_failed_total",
                                     "Answers that the socket did not take.");
  udp_receive_failed =
      registry.Counter("nearside_dns_udp_receive_failed_total", "Receive calls that failed.");
  constexpr std::string_view kBatchesHelp =
      "Receive calls that brought queries, by whether the thread was told of them or looked.";
  udp_batches = {
      registry.Counter("nearside_dns_udp_batches_total", kBatchesHelp, {{"mode", "told"}}),
      registry.Counter("nearside_dns_udp_batches_total", kBatchesHelp, {{"mode", "gathered"}})};
  tcp_connections =
      registry.Counter("nearside_dns_tcp_connections_total", "TCP connections accepted.");
  tcp_displaced = registry.Counter("nearside_dns_tcp_displaced_total",
                                   "TCP connections closed for a new one, at tcp_connections.");
  tcp_idle_closed = registry.Counter("nearside_dns_tcp_idle_closed_total",
                                     "TCP connections closed after tcp_idle_timeout.");
  tcp_broken = registry.Counter("nearside_dns_tcp_broken_total",
                                "TCP connections closed for bytes that cannot be a query.");
}

void DnsMetrics::DeclareLimits(metrics::Registry& registry) {
  kept_small_ = registry.Counter("nearside_dns_kept_small_total",
                                 "Answers truncated for limits.most_amplification.");
  tcp_refused_client =
      registry.Counter("nearside_dns_tcp_refused_client_total",
                       "TCP connections closed at once, over limits.tcp_connections_per_client.");
  for (size_t bound = 0; bound < kRateBoundCount; ++bound) {
    for (const bool is_slipped : {false, true}) {
      (is_slipped ? rate_slipped : rate_dropped)[bound] = registry.Counter(
          "nearside_dns_rate_limited_total",
          "Queries over a rate of [limits], by what became of them and whose rate it was.",
          {{"outcome", is_slipped ? "slipped" : "dropped"}, {"of", kRateBounds[bound]}});
    }
  }
  rate_evicted = registry.Counter("nearside_dns_rate_networks_evicted_total",
                                  "Networks forgotten while they counted, over limits.networks.");
}

void DnsMetrics::DeclareTimes(metrics::Registry& registry) {
  for (const Transport transport : {Transport::kUdp, Transport::kTcp}) {
    answer_seconds_[static_cast<size_t>(transport)] = registry.Histogram(
        "nearside_dns_answer_seconds",
        "From the receipt of a query until the socket had its answer, once for each answer.",
        {1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 1e-1},
        {{"transport", transport == Transport::kUdp ? "udp" : "tcp"}});
  }
  signing_ = registry.Histogram("nearside_dns_signing_seconds",
                                "Time that making the new signatures of one answer took.",
                                {20e-6, 50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 10e-3});
}

void DnsMetrics::Count(metrics::Cells& cells, const Tally& tally, Transport transport) const {
  if (tally.malformed != dns::Malformed::kNone) {
    cells.Add(malformed_[static_cast<size_t>(tally.malformed)]);
  }
  if (!tally.answered) return;
  auto place = static_cast<size_t>(transport);
  cells.Add(queries_[place][PlaceOf(tally.type)]);
  cells.Add(answers_[place][static_cast<size_t>(tally.rcode)]);
  if (tally.cookie != dns::CookieState::kNone) {
    cells.Add(cookies_[static_cast<size_t>(tally.cookie)]);
  }
  if (tally.truncated) cells.Add(truncated_);
  if (tally.kept_small) cells.Add(kept_small_);
  if (tally.has_subnet) cells.Add(with_subnet_);
  CountSigning(cells, tally);
  if (tally.steered) cells.Add(steered_[static_cast<size_t>(*tally.steered)]);
}

void DnsMetrics::CountSigning(metrics::Cells& cells, const Tally& tally) const {
  const SigningTally& signing = tally.signing;
  if (signing.remembered != 0) cells.Add(signatures_remembered_, signing.remembered);
  if (tally.denied_compactly) cells.Add(compact_denials_);
  if (signing.refused) cells.Add(signatures_refused_);
  if (signing.made == 0) return;
  cells.Add(signatures_made_, signing.made);
  cells.Observe(signing_, std::chrono::duration<double>(signing.took).count());
}

}  // namespace nearside::geodns
