#include "cli/edge_state.h"

#include <algorithm>
#include <nlohmann/json.hpp>

namespace nearside::cli {
namespace {

/// Edges report each second, and an origin that shares its metadata hears of reports to another one
/// every 5 s: who is later than both together is silent.
constexpr milliseconds kSilentAfter{7000};

}  // namespace

milliseconds SinceSeen(const Json& edge, const Json& edges) {
  const int64_t now = edges.contains("now") ? IntOf(edges, "now") : ToUnixMillis(WallNow());
  return milliseconds(std::max<int64_t>(0, now - IntOf(edge, "seen")));
}

std::string StateOf(const Json& edge, const Json& edges, std::string_view dns) {
  if (!BoolOf(edge, "reachable") || SinceSeen(edge, edges) > kSilentAfter) return "silent";
  if (edge.contains("report") && BoolOf(edge["report"], "draining")) return "draining";
  return dns == "down" ? "unhealthy" : "up";
}

}  // namespace nearside::cli
