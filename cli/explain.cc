#include "cli/explain.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/admin_api.h"

namespace nearside::cli {
namespace {

/// Stored fields are bytes from origins: in ASCII none of them is one that a terminal obeys.
std::string Ascii(std::string_view text) {
  std::string shown(text);
  for (char& c : shown) {
    const auto byte = static_cast<uint8_t>(c);
    if (byte < 0x20 || byte >= 0x7f) c = '?';
  }
  return shown;
}

std::string AsciiOf(const Json& json, std::string_view key) { return Ascii(TextOf(json, key)); }

/// The texts of a list with one space between them, or `none`.
std::string JoinedOf(const Json& json, std::string_view key, std::string_view none) {
  std::string text;
  for (const Json& member : ListOf(json, key)) {
    if (!member.is_string()) continue;
    if (!text.empty()) text += "  ";
    text += Ascii(member.get<std::string>());
  }
  return text.empty() ? std::string(none) : text;
}

std::string SpanOf(const Json& json, std::string_view key) {
  const auto span = milliseconds(std::llround(NumberOf(json, key) * 1000));
  return span < milliseconds(0) ? "-" + HumanDuration(-span) : HumanDuration(span);
}

const Json& Member(const Json& json, const char* key) {
  static const Json none = Json::object();
  const auto found = json.find(key);
  return found != json.end() && found->is_object() ? *found : none;
}

std::string FlagsOf(const Json& freshness) {
  std::string flags;
  const auto add = [&](std::string_view key, std::string_view text) {
    if (!BoolOf(freshness, key)) return;
    if (!flags.empty()) flags += ", ";
    flags += text;
  };
  add("lifetime_is_a_guess", "the lifetime is a guess");
  add("must_revalidate", "never served stale");
  add("always_validate", "validated each time");
  add("has_validator", "has a validator");
  return flags.empty() ? "none" : flags;
}

void PrintHead(const Json& answer, std::string_view edge, Terminal& terminal) {
  const Json& parts = Member(answer, "key_parts");
  TextTable table({"URL", AsciiOf(answer, "url")});
  table.Add({"edge", std::string(edge)});
  table.Add({"site", AsciiOf(answer, "site")});
  table.Add({"key", AsciiOf(answer, "key")});
  table.Add({"made of", AsciiOf(parts, "site") + "  " + AsciiOf(parts, "scheme") + "  " +
                            AsciiOf(parts, "authority") + "  " + AsciiOf(parts, "target")});
  if (TextOf(parts, "asked_for") != TextOf(parts, "target")) {
    table.Add({"asked for", AsciiOf(parts, "asked_for")});
  }
  if (!ListOf(answer, "request_fields").empty()) {
    table.Add({"with", JoinedOf(answer, "request_fields", "")});
  }
  for (const Json& origin : ListOf(answer, "origins")) {
    std::string state = AsciiOf(origin, "origin") + "  " + AsciiOf(origin, "state");
    if (BoolOf(origin, "may_be_asked_now")) state += ", may be asked now";
    if (origin.contains("why")) state += " (" + AsciiOf(origin, "why") + ")";
    table.Add({"origin", state});
  }
  table.Add({"purges", std::to_string(IntOf(answer, "purge_sequence")) + " so far"});
  if (BoolOf(answer, "being_fetched")) table.Add({"under way", "it is being fetched"});
  table.Print(terminal);
}

void PrintResponse(const Json& response, Terminal& terminal) {
  const Json& freshness = Member(response, "freshness");
  TextTable table({"RESPONSE", std::to_string(IntOf(response, "status")),
                   BoolOf(response, "selected") ? "answers this request" : "for other requests"});
  if (response.contains("selected_by")) {
    table.Add({"selected by", "", JoinedOf(response, "selected_by", "nothing")});
  }
  const auto bytes = static_cast<uint64_t>(IntOf(response, "body_bytes"));
  table.Add({"body", HumanBytes(bytes), BoolOf(response, "in_memory") ? "in memory" : "on disk"});
  table.Add({"age", SpanOf(freshness, "age_s"),
             SpanOf(freshness, "initial_age_s") + " of it when it arrived, " +
                 AsciiOf(response, "fetched_at")});
  table.Add({"lifetime", SpanOf(freshness, "lifetime_s"), AsciiOf(freshness, "lifetime_from")});
  table.Add({"time to live", SpanOf(freshness, "ttl_s"), "lifetime less age"});
  table.Add({"while revalidated", SpanOf(freshness, "stale_while_revalidate_s"),
             AsciiOf(freshness, "stale_while_revalidate_from")});
  table.Add({"while the origin fails", SpanOf(freshness, "stale_if_error_s"),
             AsciiOf(freshness, "stale_if_error_from")});
  table.Add({"also", "", FlagsOf(freshness)});
  table.Add({"purges", AsciiOf(response, "validity"),
             "fetched after " + std::to_string(IntOf(response, "purge_sequence")) + " of them"});
  table.Add({"tags", "", JoinedOf(response, "tags", "none")});
  table.Add({"dropped", "", AsciiOf(response, "drop_at")});
  table.Print(terminal);
}

void PrintAnswer(const Json& answer, std::string_view edge, Terminal& terminal) {
  PrintHead(answer, edge, terminal);
  for (const Json& response : ListOf(answer, "responses")) {
    terminal.Line("");
    PrintResponse(response, terminal);
  }
  const Json& now = Member(answer, "a_request_now");
  terminal.Line("");
  terminal.Line(terminal.Paint(Colour::kBold, "a request now: " + AsciiOf(now, "action")) + " (" +
                AsciiOf(now, "reason") + "): " + AsciiOf(now, "because"));
}

}  // namespace

Exit Explain(CommandContext& context, const ExplainOptions& options) {
  const std::string& edge = options.edge.empty() ? context.settings.edge : options.edge;
  if (edge.empty()) {
    context.terminal.Error(
        "no edge is named: expected --edge http://127.0.1.1:7080, or edge = \"…\" in client.toml");
    return Exit::kUsage;
  }
  std::string target = "/explain?url=" + EncodePath(options.url);
  for (const std::string& header : options.headers) target += "&header=" + EncodePath(header);
  Result<Json> answer = AskAdmin(edge, target, "an edge");
  if (!answer) return context.Failed(answer.error());
  if (options.json) {
    context.terminal.Line(answer->dump(2, ' ', /*ensure_ascii=*/true));
  } else {
    PrintAnswer(*answer, edge, context.terminal);
  }
  return Exit::kDone;
}

}  // namespace nearside::cli
