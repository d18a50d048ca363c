#include "edge/edge_metrics.h"

#include <string>

namespace nearside::edge {

EdgeMetrics::EdgeMetrics(metrics::Registry& registry) {
  for (int i = 0; i < kReasonCount; ++i) {
    const auto reason = static_cast<Reason>(i);
    const std::string name(ReasonName(reason));
    if (reason < Reason::kStored) {
      requests[i] = registry.Counter(
          "nearside_edge_requests_total", "Requests by what became of them and why.",
          {{"result", std::string(ResultClassName(ClassOf(reason)))}, {"reason", name}});
    } else {
      stored[i] = registry.Counter("nearside_edge_store_decisions_total",
                                   "Responses from origins by why they were stored or not.",
                                   {{"reason", name}});
    }
  }
  for (int i = 0; i < kResultClassCount; ++i) {
    body_bytes[i] = registry.Counter(
        "nearside_edge_body_bytes_total", "Body bytes handed to client connections by result.",
        {{"result", std::string(ResultClassName(static_cast<ResultClass>(i)))}});
  }
  origin_requests = registry.Counter("nearside_edge_origin_requests_total",
                                     "Requests sent to origins, retries included.");
  origin_failures = registry.Counter("nearside_edge_origin_failures_total",
                                     "Requests to origins that brought no usable answer.");
  origin_bytes =
      registry.Counter("nearside_edge_origin_body_bytes_total", "Body bytes from origins.");
  validations = registry.Counter("nearside_edge_validations_total",
                                 "Stored responses that an origin confirmed with 304.");
  slices = registry.Counter("nearside_edge_slices_total",
                            "Slices of large objects that origins were asked for.");
  collapsed = registry.Counter("nearside_edge_collapsed_total",
                               "Requests that joined a fetch made for another one.");
  aborted_responses = registry.Counter("nearside_edge_aborted_responses_total",
                                       "Responses that a client did not get whole.");
  DeclareCodings(registry);
  first_byte_seconds =
      registry.Histogram("nearside_edge_miss_seconds",
                         "From a request's head to its answer's, where an origin was asked.",
                         {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10});
}

void EdgeMetrics::DeclareCodings(metrics::Registry& registry) {
  for (int i = 0; i < kCodingReasonCount; ++i) {
    coding_decisions[i] = registry.Counter(
        "nearside_edge_coding_decisions_total",
        "Responses from origins that may be shared, by why they were encoded or not.",
        {{"reason", std::string(CodingReasonName(static_cast<CodingReason>(i)))}});
  }
  for (int i = 0; i < http::kCodingCount; ++i) {
    const auto coding = static_cast<http::Coding>(i);
    if (coding == http::Coding::kIdentity) continue;
    const metrics::Labels labels = {{"coding", std::string(http::CodingName(coding))}};
    encoded[i] = registry.Counter("nearside_edge_encoded_total", "Responses encoded here.", labels);
    encoder_in_bytes[i] = registry.Counter("nearside_edge_encoder_in_bytes_total",
                                           "Body bytes before they were encoded here.", labels);
    encoder_out_bytes[i] = registry.Counter("nearside_edge_encoder_out_bytes_total",
                                            "Body bytes after they were encoded here.", labels);
  }
}

}  // namespace nearside::edge
