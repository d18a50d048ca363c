#include "cli/check.h"

#include <nlohmann/json.hpp>

#include "cli/admin_api.h"
#include "cli/edge_state.h"

namespace nearside::cli {
namespace {

/// Prints "ok" or "FAIL" lines and remembers whether one failed.
class Findings {
 public:
  explicit Findings(Terminal& terminal) : terminal_(terminal) {}
  void Add(bool well, const std::string& text) {
    all_well_ &= well;
    const std::string mark =
        terminal_.Paint(well ? Colour::kGreen : Colour::kRed, well ? "ok  " : "FAIL");
    terminal_.Line(mark + "  " + Printable(text));
  }
  bool all_well() const { return all_well_; }

 private:
  Terminal& terminal_;
  bool all_well_ = true;
};

void CheckEdges(const Json& edges, Findings* findings) {
  if (ListOf(edges, "edges").empty()) findings->Add(false, "edges: none has ever reported");
  for (const Json& edge : ListOf(edges, "edges")) {
    const std::string state = StateOf(edge, edges, "");
    std::string text = "edge " + TextOf(edge, "name") + ": " + state;
    bool well = state != "silent";
    if (!well) {
      text += ", not seen for " + HumanDuration(SinceSeen(edge, edges));
    } else if (!edge.contains("behind") || !edge["behind"].is_number()) {
      well = false;
      text += ", follows another log";
    } else if (IntOf(edge, "behind") > 0) {
      well = false;
      text += ", " + Count(static_cast<size_t>(IntOf(edge, "behind")), "event") + " behind";
    }
    findings->Add(well, text);
  }
}

void CheckGeodns(const std::string& url, Findings* findings) {
  const Result<Json> status = AskAdmin(url, "/status", "GeoDNS");
  if (!status) return findings->Add(false, "geodns: " + status.error().message);
  findings->Add(true, "geodns: " + url + " answers");
  for (const Json& pop : ListOf(*status, "pops")) {
    const std::string state = TextOf(pop, "state");
    findings->Add(state != "down", "geodns: " + TextOf(pop, "name") + " is " + state);
  }
}

void CheckOrigin(CommandContext& context, Findings* findings) {
  Result<OriginApi> api = context.Api();
  const Result<Json> sites =
      api ? api->Get("/v1/sites") : Result<Json>(unexpected(Error(api.error())));
  const Result<Json> edges = sites ? api->Get("/v1/edges") : sites;
  if (edges) {
    findings->Add(true, "origin: " + api->server().ToString() + " answers and takes the token, " +
                            Count(ListOf(*sites, "sites").size(), "site"));
    CheckEdges(*edges, findings);
  } else {
    findings->Add(false, "origin: " + edges.error().message);
  }
}

}  // namespace

Exit Check(CommandContext& context, const CheckOptions& options) {
  Findings findings(context.terminal);
  if (!options.geodns.empty() && context.settings.token_file.empty()) {
    context.terminal.Line("      origin: not asked, as no token is named (--token-file)");
  } else {
    CheckOrigin(context, &findings);
  }
  const std::string geodns = options.geodns.empty() ? context.settings.geodns : options.geodns;
  if (!geodns.empty()) CheckGeodns(geodns, &findings);
  return findings.all_well() ? Exit::kDone : Exit::kFailed;
}

}  // namespace nearside::cli
