#include "cli/status.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "cli/admin_api.h"
#include "cli/edge_state.h"

namespace nearside::cli {
namespace {

/// What GeoDNS says of its points of presence, by name.
using Pops = std::map<std::string, Json>;

std::string Ratio(double part, double whole) {
  if (whole <= 0) return "-";
  char text[16];
  std::snprintf(text, sizeof text, "%.1f%%", 100 * part / whole);
  return text;
}

std::string Load(const Json& report) {
  if (!report.contains("load")) return "-";
  char text[16];
  std::snprintf(text, sizeof text, "%.2f", NumberOf(report, "load"));
  return text;
}

/// Events, and how long ago the first of them was: the purge lag.
std::string Behind(const Json& edge) {
  if (IntOf(edge, "epoch") == 0) return "all";
  if (!edge.contains("behind") || !edge["behind"].is_number()) return "other log";
  const std::string events = std::to_string(IntOf(edge, "behind"));
  if (!edge.contains("lag_ms")) return events;
  return events + " (" + std::to_string(IntOf(edge, "lag_ms")) + " ms)";
}

std::string DnsState(const Pops& pops, const std::string& name, bool asked) {
  const auto pop = pops.find(name);
  if (pop != pops.end()) return TextOf(pop->second, "state");
  return asked ? "unknown" : "-";
}

void AddEdge(TextTable* table, const Json& edge, const Json& edges, const Pops& pops,
             bool geodns_asked) {
  const Json report = edge.contains("report") ? edge["report"] : Json::object();
  const double requests = NumberOf(report, "requests");
  const double hit_bytes = NumberOf(report, "hit_bytes");
  const std::string name = TextOf(edge, "name");
  const std::string dns = DnsState(pops, name, geodns_asked);
  const std::string state = StateOf(edge, edges, dns);
  const bool worry = state != "up" || (geodns_asked && dns != "up") || IntOf(edge, "behind") > 0;
  table->Add(
      {Printable(name), state, dns, Load(report), std::to_string(static_cast<int64_t>(requests)),
       Ratio(NumberOf(report, "hits"), requests),
       Ratio(hit_bytes, hit_bytes + NumberOf(report, "miss_bytes")), Behind(edge),
       HumanDuration(SinceSeen(edge, edges)), Printable(TextOf(report, "address"))},
      state == "silent" ? Colour::kRed
      : worry           ? Colour::kYellow
                        : Colour::kGreen);
}

/// Points of presence that DNS knows and that never reported here.
void AddUnreported(TextTable* table, const Json& edges, const Pops& pops) {
  for (const auto& [name, pop] : pops) {
    bool reported = false;
    for (const Json& edge : edges) reported |= TextOf(edge, "name") == name;
    if (reported) continue;
    const Json& addresses = ListOf(pop, "addresses");
    const std::string address =
        !addresses.empty() && addresses[0].is_string() ? addresses[0].get<std::string>() : "";
    table->Add({Printable(name), "no report", TextOf(pop, "state"), "-", "-", "-", "-", "-", "-",
                Printable(address)},
               Colour::kYellow);
  }
}

void PrintEdges(const Json& edges, const Pops& pops, bool geodns_asked, Terminal& terminal) {
  const Json& list = ListOf(edges, "edges");
  if (list.empty() && pops.empty()) {
    terminal.Line("no edge has reported yet: [fleet] in edge.toml names the origin and the token");
    return;
  }
  TextTable table({"POP", "STATE", "DNS", "LOAD", "REQUESTS", "HITS", "BYTES HIT", "BEHIND", "SEEN",
                   "ADDRESS"});
  for (const Json& edge : list) AddEdge(&table, edge, edges, pops, geodns_asked);
  AddUnreported(&table, list, pops);
  table.Print(terminal);
}

void PrintTotals(const Json& edges, Terminal& terminal) {
  double requests = 0;
  double hits = 0;
  double hit_bytes = 0;
  double miss_bytes = 0;
  for (const Json& edge : edges) {
    const Json report = edge.contains("report") ? edge["report"] : Json::object();
    requests += NumberOf(report, "requests");
    hits += NumberOf(report, "hits");
    hit_bytes += NumberOf(report, "hit_bytes");
    miss_bytes += NumberOf(report, "miss_bytes");
  }
  terminal.Line("all edges: " + std::to_string(static_cast<int64_t>(requests)) + " requests, " +
                Ratio(hits, requests) + " hits, " + Ratio(hit_bytes, hit_bytes + miss_bytes) +
                " of " + HumanBytes(static_cast<uint64_t>(hit_bytes + miss_bytes)) +
                " from the cache");
}

}  // namespace

Exit ShowStatus(CommandContext& context, const StatusOptions& options) {
  Terminal& terminal = context.terminal;
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<Json> edges = api->Get("/v1/edges");
  Result<Json> sites = edges ? api->Get("/v1/sites") : edges;
  const std::string geodns_url = options.geodns.empty() ? context.settings.geodns : options.geodns;
  const bool asked = !geodns_url.empty();
  Result<Json> geodns =
      asked ? AskAdmin(geodns_url, "/status", "GeoDNS") : Result<Json>(Json::object());
  if (options.json) {
    const auto part = [](const Result<Json>& json) {
      return json ? *json : Json{{"error", json.error().message}};
    };
    Json all = {{"origin", part(edges)}, {"sites", ListOf(part(sites), "sites")}};
    if (asked) all["geodns"] = part(geodns);
    terminal.Line(all.dump(2, ' ', false, Json::error_handler_t::replace));
    return edges && geodns ? Exit::kDone : Exit::kFailed;
  }
  if (edges && sites) {
    terminal.Line("origin   " + api->server().ToString() + "   up   " +
                  Count(ListOf(*sites, "sites").size(), "site") + "   event " +
                  std::to_string(IntOf(*edges, "seq")));
  } else {
    const Error& error = (edges ? sites : edges).error();
    // Who is told by the origin itself what is wrong, as with a token, has found one that works.
    const bool refused = error.fault == Fault::kClient && !error.reason.starts_with("status_");
    terminal.Line(terminal.Paint(refused ? Colour::kYellow : Colour::kRed,
                                 "origin   " + api->server().ToString() + "   " +
                                     (refused ? "up, but refuses this client" : "DOWN")));
    terminal.Error(Printable(error.message));
  }
  Pops pops;
  if (asked && geodns) {
    for (const Json& pop : ListOf(*geodns, "pops")) pops[TextOf(pop, "name")] = pop;
    terminal.Line("geodns   " + geodns_url + "   up   " + std::to_string(pops.size()) +
                  (pops.size() == 1 ? " point of presence" : " points of presence"));
  } else if (asked) {
    terminal.Line(terminal.Paint(Colour::kRed, "geodns   " + geodns_url + "   DOWN"));
    terminal.Error(Printable(geodns.error().message));
  }
  const Json& list = edges ? ListOf(*edges, "edges") : Json::array();
  if (edges) {
    PrintEdges(*edges, pops, asked, terminal);
  } else if (!pops.empty()) {
    PrintEdges(Json::object(), pops, asked, terminal);
  }
  if (!list.empty()) PrintTotals(list, terminal);
  return edges && sites && geodns ? Exit::kDone : Exit::kFailed;
}

Exit ListEdges(CommandContext& context, bool json) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<Json> edges = api->Get("/v1/edges");
  if (!edges) return context.Failed(edges.error());
  if (json) {
    context.terminal.Line(edges->dump(2, ' ', false, Json::error_handler_t::replace));
  } else {
    PrintEdges(*edges, Pops(), /*geodns_asked=*/false, context.terminal);
  }
  return Exit::kDone;
}

Exit ForgetEdge(CommandContext& context, const std::string& name) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  Result<Json> edges = api->Get("/v1/edges");
  if (!edges) return context.Failed(edges.error());
  const Json& list = ListOf(*edges, "edges");
  if (std::ranges::none_of(list, [&](const Json& edge) { return TextOf(edge, "name") == name; })) {
    context.terminal.Error("no edge \"" + name +
                           "\" has reported; nearside edges lists those that have");
    return Exit::kFailed;
  }
  Result<Json> answer = api->Delete("/v1/edges/" + EncodePath(name));
  if (!answer) return context.Failed(answer.error());
  context.terminal.Line("edge " + name + " is forgotten; it comes back when it reports again");
  return Exit::kDone;
}

}  // namespace nearside::cli
