#include "cli/status.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <optional>

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

/// Points of presence that DNS knows and that never reported here: `state` says so, unless the
/// origin could not be asked.
void AddUnreported(TextTable* table, const Json& edges, const Pops& pops,
                   const std::string& state) {
  for (const auto& [name, pop] : pops) {
    bool reported = false;
    for (const Json& edge : edges) reported |= TextOf(edge, "name") == name;
    if (reported) continue;
    const Json& addresses = ListOf(pop, "addresses");
    const std::string address =
        !addresses.empty() && addresses[0].is_string() ? addresses[0].get<std::string>() : "";
    table->Add({Printable(name), state, TextOf(pop, "state"), "-", "-", "-", "-", "-", "-",
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
  AddUnreported(&table, list, pops, edges.contains("edges") ? "no report" : "-");
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

/// What the screen is made of. Each part may have failed for itself.
struct Answers {
  std::optional<OriginApi> api;  ///< nullopt: the origin was not asked
  Result<Json> edges = Json::object();
  Result<Json> sites = Json::object();
  std::string geodns_url;  ///< "": GeoDNS was not asked
  Result<Json> geodns = Json::object();

  bool all_well() const { return edges && sites && geodns; }
};

Json ToJson(const Answers& answers) {
  const auto part = [](const Result<Json>& json) {
    return json ? *json : Json{{"error", json.error().message}};
  };
  Json all = Json::object();
  if (answers.api) {
    all["origin"] = part(answers.edges);
    all["sites"] = ListOf(part(answers.sites), "sites");
  }
  if (!answers.geodns_url.empty()) all["geodns"] = part(answers.geodns);
  return all;
}

void PrintOrigin(const Answers& answers, Terminal& terminal) {
  if (!answers.api) {
    terminal.Line("origin   not asked, as no token is named (--token-file)");
    return;
  }
  const std::string address = answers.api->server().ToString();
  if (answers.edges && answers.sites) {
    terminal.Line("origin   " + address + "   up   " +
                  Count(ListOf(*answers.sites, "sites").size(), "site") + "   event " +
                  std::to_string(IntOf(*answers.edges, "seq")));
    return;
  }
  const Error& error = (answers.edges ? answers.sites : answers.edges).error();
  // Who is told by the origin itself what is wrong, as with a token, has found one that works.
  const bool refused = error.fault == Fault::kClient && !error.reason.starts_with("status_");
  terminal.Line(terminal.Paint(
      refused ? Colour::kYellow : Colour::kRed,
      "origin   " + address + "   " + (refused ? "up, but refuses this client" : "DOWN")));
  terminal.Error(Printable(error.message));
}

/// Returns what it says of its points of presence.
Pops PrintGeodns(const Answers& answers, Terminal& terminal) {
  Pops pops;
  if (answers.geodns_url.empty()) return pops;
  if (!answers.geodns) {
    terminal.Line(terminal.Paint(Colour::kRed, "geodns   " + answers.geodns_url + "   DOWN"));
    terminal.Error(Printable(answers.geodns.error().message));
    return pops;
  }
  for (const Json& pop : ListOf(*answers.geodns, "pops")) pops[TextOf(pop, "name")] = pop;
  terminal.Line("geodns   " + answers.geodns_url + "   up   " + std::to_string(pops.size()) +
                (pops.size() == 1 ? " point of presence" : " points of presence"));
  return pops;
}

}  // namespace

Exit ShowStatus(CommandContext& context, const StatusOptions& options) {
  Terminal& terminal = context.terminal;
  Answers answers;
  answers.geodns_url = options.geodns.empty() ? context.settings.geodns : options.geodns;
  if (options.geodns.empty() || !context.settings.token_file.empty()) {
    Result<OriginApi> api = context.Api();
    if (!api) return context.Failed(api.error());
    answers.api = std::move(*api);
    answers.edges = answers.api->Get("/v1/edges");
    answers.sites = answers.edges ? answers.api->Get("/v1/sites") : answers.edges;
  }
  if (!answers.geodns_url.empty()) {
    answers.geodns = AskAdmin(answers.geodns_url, "/status", "GeoDNS");
  }
  const Exit exit = answers.all_well() ? Exit::kDone : Exit::kFailed;
  if (options.json) {
    terminal.Line(ToJson(answers).dump(2, ' ', false, Json::error_handler_t::replace));
    return exit;
  }
  PrintOrigin(answers, terminal);
  const Pops pops = PrintGeodns(answers, terminal);
  const Json edges = answers.edges ? *answers.edges : Json::object();
  if (edges.contains("edges") || !pops.empty()) {
    PrintEdges(edges, pops, !answers.geodns_url.empty(), terminal);
  }
  const Json& list = ListOf(edges, "edges");
  if (!list.empty()) PrintTotals(list, terminal);
  return exit;
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
