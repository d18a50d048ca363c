#include "cli/receipt.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <thread>

#include "runtime/clock.h"
#include "runtime/units.h"

namespace nearside::cli {
namespace {

constexpr milliseconds kPoll{200};
constexpr size_t kDigitsShown = 12;

/// "proved", "2 of 7 differ", …: what an edge says of what changed.
std::string StateText(const Json& edge) {
  const std::string state = TextOf(edge, "state");
  const int64_t urls = IntOf(edge, "urls"), same = IntOf(edge, "same");
  if (state == "waiting") {
    return BoolOf(edge, "reachable") ? "has not applied the switch yet"
                                     : "not reachable; it catches up before it serves";
  }
  if (state == "unserved") return "does not serve this site";
  if (state == "off") return "is not asked to prove releases";
  if (state == "proving") {
    return std::to_string(same) + " of " + std::to_string(urls) + " URLs so far";
  }
  if (state == "differs") {
    return std::to_string(urls - same) + " of " + std::to_string(urls) +
           " URLs are not as they should be";
  }
  if (!BoolOf(edge, "digest_is_ours")) return "serves other bytes than the origin has";
  return "proved " + Count(static_cast<size_t>(urls), "URL");
}

/// Also where there is nothing to prove.
bool IsProved(const Json& edge) { return edge.contains("proof_ms"); }

std::string Took(const Json& edge, const char* key) {
  return edge.contains(key) ? HumanDuration(milliseconds(IntOf(edge, key))) : "-";
}

/// Contents that were here before the switch, of those that changed.
std::string Prepared(const Json& edge) {
  if (!edge.contains("prepared") || TextOf(edge["prepared"], "state") == "off") return "-";
  const Json& prepared = edge["prepared"];
  return std::to_string(IntOf(prepared, "held")) + "/" + std::to_string(IntOf(prepared, "of"));
}

std::string Held(const Json& edge) {
  if (!edge.contains("whole")) return "-";
  const Json& whole = edge["whole"];
  return std::to_string(IntOf(whole, "held")) + "/" + std::to_string(IntOf(whole, "of"));
}

/// The first URLs that are not as they should be, below the table.
void PrintFlaws(const Json& edge, const Json& flaws, std::string_view what, Terminal& terminal) {
  for (const Json& flaw : flaws) {
    terminal.Line(terminal.Paint(Colour::kYellow, Printable(TextOf(edge, "name")) + ": " +
                                                      std::string(what) + " " +
                                                      Printable(TextOf(flaw, "url")) + ": " +
                                                      Printable(TextOf(flaw, "why"))));
  }
}

/// What is published where nobody is shown it is proved by nobody.
Exit Judge(const Json& receipt, Terminal& terminal) {
  const Json& edges = ListOf(receipt, "edges");
  const bool none_serves = std::all_of(edges.begin(), edges.end(), [](const Json& edge) {
    return TextOf(edge, "state") == "unserved";
  });
  if (!edges.empty() && none_serves) {
    terminal.Error("no edge serves this site yet: each needs [[site]] name = \"" +
                   Printable(TextOf(receipt, "site")) + "\" in its settings");
    return Exit::kUnconfirmed;
  }
  return BoolOf(receipt, "complete") ? Exit::kDone : Exit::kUnconfirmed;
}

Exit PrintProofs(const Json& receipt, Terminal& terminal) {
  const Json& edges = ListOf(receipt, "edges");
  terminal.Line(
      "receipt " + TextOf(receipt, "id") + ": release " + TextOf(receipt, "release") + " of " +
      TextOf(receipt, "site") + ", event " + std::to_string(IntOf(receipt, "seq")) + ", " +
      HumanTime(IntOf(receipt, "time")) +
      (BoolOf(receipt, "superseded") ? "; another release has been made active since" : ""));
  if (edges.empty()) {
    terminal.Line("no edge has ever reported to this origin");
    return Exit::kDone;
  }
  TextTable table({"EDGE", "PREPARED", "SWITCHED", "PROVED", "HELD", "SHA-256", ""});
  for (const Json& edge : edges) {
    const std::string digest = TextOf(edge, "digest").substr(0, kDigitsShown);
    const Colour colour = IsProved(edge)                       ? Colour::kGreen
                          : TextOf(edge, "state") == "waiting" ? Colour::kRed
                                                               : Colour::kYellow;
    table.Add(
        {Printable(TextOf(edge, "name")), Prepared(edge), Took(edge, "ms"), Took(edge, "proof_ms"),
         Held(edge), digest.empty() ? "-" : Printable(digest), StateText(edge)},
        colour);
  }
  table.Print(terminal);
  for (const Json& edge : edges) {
    PrintFlaws(edge, ListOf(edge, "differing"), "differs", terminal);
    if (edge.contains("whole")) {
      PrintFlaws(edge, ListOf(edge["whole"], "missing"), "does not hold", terminal);
    }
  }
  return Judge(receipt, terminal);
}

Exit ListReceipts(CommandContext& context, OriginApi& api, const ReceiptOptions& options) {
  std::string target = "/v1/receipts?limit=" + std::to_string(options.limit);
  if (!options.site.empty()) target += "&site=" + EncodePath(options.site);
  Result<Json> answer = api.Get(target);
  if (!answer) return context.Failed(answer.error());
  if (options.json) {
    context.terminal.Line(answer->dump(2));
    return Exit::kDone;
  }
  TextTable table({"RECEIPT", "SITE", "RELEASE", "BEFORE", "CHANGED", "SWITCHED"});
  for (const Json& receipt : ListOf(*answer, "receipts")) {
    table.Add({TextOf(receipt, "id"), Printable(TextOf(receipt, "site")),
               TextOf(receipt, "release"), TextOf(receipt, "previous"),
               std::to_string(IntOf(receipt, "changed")), HumanTime(IntOf(receipt, "time"))});
  }
  table.Print(context.terminal);
  return Exit::kDone;
}

}  // namespace

Exit ShowReceipt(CommandContext& context, const ReceiptOptions& options) {
  Result<OriginApi> api = context.Api();
  if (!api) return context.Failed(api.error());
  if (options.id.empty()) return ListReceipts(context, *api, options);
  Result<Json> receipt = api->Get("/v1/receipts/" + EncodePath(options.id));
  if (!receipt) return context.Failed(receipt.error());
  if (!options.json) return PrintProofs(*receipt, context.terminal);
  context.terminal.Line(receipt->dump(2));
  return Judge(*receipt, context.terminal);
}

Exit AwaitReceipt(CommandContext& context, OriginApi& api, const Json& activation,
                  const std::string& wait) {
  const std::string id = TextOf(activation, "receipt");
  if (id.empty()) {
    context.terminal.Line("it was active already: nothing has been switched");
    return Exit::kDone;
  }
  const milliseconds patience = ParseDuration(wait).value_or(milliseconds(0));
  if (patience == milliseconds(0)) {
    context.terminal.Line("receipt " + id + ": nearside receipt " + id + " shows what edges prove");
    return Exit::kDone;
  }
  const MonoTime deadline = MonoNow() + patience;
  while (true) {
    Result<Json> receipt = api.Get("/v1/receipts/" + EncodePath(id));
    if (!receipt) return context.Failed(receipt.error());
    const Json& edges = ListOf(*receipt, "edges");
    // Who cannot be reached is not waited for.
    const bool over = BoolOf(*receipt, "superseded") ||
                      std::all_of(edges.begin(), edges.end(), [](const Json& edge) {
                        return IsProved(edge) || !BoolOf(edge, "reachable");
                      });
    if (over || MonoNow() >= deadline) return PrintProofs(*receipt, context.terminal);
    std::this_thread::sleep_for(kPoll);
  }
}

}  // namespace nearside::cli
