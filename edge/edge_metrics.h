#pragma once

#include <array>
#include <functional>
#include <memory>

#include "edge/compression.h"
#include "edge/reason.h"
#include "http/accept_encoding.h"
#include "runtime/metrics.h"

namespace nearside::edge {

struct Configuration;

/// Ids of the edge's counters; each worker adds to cells of its own.
struct EdgeMetrics {
  explicit EdgeMetrics(metrics::Registry& registry);

  std::array<metrics::Id, kReasonCount> requests;         ///< by reason (and result class)
  std::array<metrics::Id, kResultClassCount> body_bytes;  ///< to clients, by result class
  metrics::Id kept_bytes;                                 ///< that it asked itself for
  metrics::Id origin_requests;                            ///< sent to origins, retries included
  metrics::Id origin_failures;                            ///< no usable answer
  metrics::Id origin_bytes;                               ///< body bytes from origins
  metrics::Id prepared;                                   ///< bodies that were here before
  metrics::Id slices;                                     ///< of large objects, from origins
  metrics::Id validations;                                ///< 304 from origins
  metrics::Id interims;                                   ///< 1xx from origins for a client
  metrics::Id interims_dropped;   ///< 1xx that nobody waits for, or too many at once
  metrics::Id collapsed;          ///< requests that joined another one's fetch
  metrics::Id idle_tunnels;       ///< WebSockets ended for silence
  metrics::Id aborted_responses;  ///< not sent whole: the client left, or the body failed
  std::array<metrics::Id, kReasonCount> stored;                  ///< responses by store decision
  std::array<metrics::Id, kCodingReasonCount> coding_decisions;  ///< of what may be shared
  std::array<metrics::Id, http::kCodingCount> encoder_in_bytes;  ///< by coding
  std::array<metrics::Id, http::kCodingCount> encoder_out_bytes;
  std::array<metrics::Id, http::kCodingCount> encoded;  ///< responses
  metrics::HistogramId first_byte_seconds;  ///< from a request's head to the answer's, misses only

 private:
  void DeclareCodings(metrics::Registry& registry);
};

/// Declares what each origin of each site has to tell (nearside_edge_site_…), of the configuration
/// at the time of a scrape. `configuration` is called on the scraping thread.
void DeclareOriginMetrics(metrics::Registry& registry,
                          std::function<std::shared_ptr<const Configuration>()> configuration);

}  // namespace nearside::edge
