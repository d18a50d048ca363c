#include "edge/health.h"

#include <array>
#include <cstdio>
#include <string>

namespace nearside::edge {

void RespondHealth(const Node& node, http::Exchange& exchange) {
  char load[16], lag[24];
  std::snprintf(load, sizeof load, "%.3f", node.load_permille.load() / 1000.0);
  std::snprintf(lag, sizeof lag, "%.1f", static_cast<double>(node.lag_ms.load()) / 1000.0);
  constexpr std::string_view kText = "ok\n";
  const std::array<http::FieldLine, 6> lines = {{
      {"content-type", "text/plain"},
      {"content-length", "3"},
      {"cache-control", "no-store"},
      {"nearside-load", load},
      {"nearside-drain", node.draining.load() ? "1" : "0"},
      {"nearside-lag", lag},
  }};
  exchange.Respond(200, {}, lines, http::TextBody(kText));
}

}  // namespace nearside::edge
