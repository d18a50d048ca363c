#include "edge/edge_metrics.h"

#include <string>
#include <utility>

#include "edge/node.h"

namespace nearside::edge {
namespace {

using ConfigurationSource = std::function<std::shared_ptr<const Configuration>()>;
using Samples = std::vector<metrics::Registry::Sample>;

/// One sample for each origin.
std::function<Samples()> EachOrigin(const ConfigurationSource& configuration,
                                    double (*value)(const OriginReport&)) {
  return [configuration, value] {
    Samples samples;
    const auto now = configuration();
    for (const auto& site : now->sites.sites()) {
      for (const OriginReport& report : site->origin_set->Report(MonoNow())) {
        samples.push_back({{{"site", site->settings.name}, {"origin", report.url}}, value(report)});
      }
    }
    return samples;
  };
}

Samples OriginFailures(const Configuration& configuration) {
  Samples samples;
  for (const auto& site : configuration.sites.sites()) {
    for (const OriginReport& report : site->origin_set->Report(MonoNow())) {
      for (size_t i = 0; i < kOriginFailures; ++i) {
        const auto reason =
            static_cast<Reason>(static_cast<size_t>(Reason::kOriginUnreachable) + i);
        samples.push_back({{{"site", site->settings.name},
                            {"origin", report.url},
                            {"reason", std::string(ReasonName(reason))}},
                           static_cast<double>(report.failures[i])});
      }
    }
  }
  return samples;
}

Samples RetriesRefused(const Configuration& configuration) {
  Samples samples;
  for (const auto& site : configuration.sites.sites()) {
    samples.push_back(
        {{{"site", site->settings.name}, {"reason", std::string(ReasonName(Reason::kRetryBudget))}},
         static_cast<double>(site->origin_set->retries_refused())});
  }
  return samples;
}

}  // namespace

void DeclareOriginMetrics(metrics::Registry& registry, ConfigurationSource configuration) {
  registry.CountersFrom("nearside_edge_site_origin_requests_total",
                        "Requests sent to an origin of a site, retries included.",
                        EachOrigin(configuration, [](const OriginReport& report) {
                          return static_cast<double>(report.requests);
                        }));
  registry.CountersFrom("nearside_edge_site_origin_retries_total",
                        "Requests sent to an origin because another one had failed.",
                        EachOrigin(configuration, [](const OriginReport& report) {
                          return static_cast<double>(report.retries);
                        }));
  registry.CountersFrom("nearside_edge_site_origin_ejections_total",
                        "Times that an origin was left alone for failing in a row.",
                        EachOrigin(configuration, [](const OriginReport& report) {
                          return static_cast<double>(report.ejections);
                        }));
  registry.GaugesFrom("nearside_edge_site_origin_in_flight", "Requests under way at an origin.",
                      EachOrigin(configuration, [](const OriginReport& report) {
                        return static_cast<double>(report.in_flight);
                      }));
  registry.GaugesFrom("nearside_edge_site_origin_up",
                      "1: asked as usual. 0: ejected, to be tried, or down by its check.",
                      EachOrigin(configuration, [](const OriginReport& report) {
                        return report.state == "up" ? 1.0 : 0.0;
                      }));
  registry.CountersFrom("nearside_edge_site_origin_failures_total",
                        "Requests to an origin that failed there, by reason.",
                        [configuration] { return OriginFailures(*configuration()); });
  registry.CountersFrom("nearside_edge_site_retries_refused_total",
                        "Retries that were not made, by reason.",
                        [configuration] { return RetriesRefused(*configuration()); });
}

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
  kept_bytes =
      registry.Counter("nearside_edge_keeper_body_bytes_total",
                       "Body bytes that the edge asked itself for, to hold and to prove them.");
  origin_requests = registry.Counter("nearside_edge_origin_requests_total",
                                     "Requests sent to origins, retries included.");
  origin_failures = registry.Counter("nearside_edge_origin_failures_total",
                                     "Requests to origins that brought no usable answer.");
  origin_bytes =
      registry.Counter("nearside_edge_origin_body_bytes_total", "Body bytes from origins.");
  validations = registry.Counter("nearside_edge_validations_total",
                                 "Stored responses that an origin confirmed with 304.");
  prepared = registry.Counter("nearside_edge_prepared_used_total",
                              "Responses of origins that came without a body, as 304: it had been "
                              "fetched before the release was made active.");
  slices = registry.Counter("nearside_edge_slices_total",
                            "Slices of large objects that origins were asked for.");
  constexpr std::string_view kInterims = "nearside_edge_interim_responses_total";
  constexpr std::string_view kInterimsHelp =
      "Interim responses (1xx) of origins: for the client, or dropped because it had left or "
      "did not keep up.";
  interims = registry.Counter(kInterims, kInterimsHelp, {{"outcome", "passed"}});
  interims_dropped = registry.Counter(kInterims, kInterimsHelp, {{"outcome", "dropped"}});
  collapsed = registry.Counter("nearside_edge_collapsed_total",
                               "Requests that joined a fetch made for another one.");
  idle_tunnels = registry.Counter("nearside_edge_idle_tunnels_total",
                                  "WebSockets that were ended because nobody said anything.");
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
