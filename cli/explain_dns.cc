#include "cli/explain_dns.h"

#include <cmath>
#include <nlohmann/json.hpp>

#include "cli/admin_api.h"

namespace nearside::cli {
namespace {

std::string NumberText(const Json& json, const char* key, const char* format) {
  if (!json.contains(key) || !json[key].is_number()) return "-";
  char text[32];
  std::snprintf(text, sizeof text, format, json[key].get<double>());
  return text;
}

std::string Joined(const Json& list) {
  std::string text;
  for (const Json& member : list) {
    if (!member.is_string()) continue;
    text += (text.empty() ? "" : "  ") + member.get<std::string>();
  }
  return text.empty() ? "none" : text;
}

std::string PlaceText(const Json& place) {
  if (!place.is_object() || TextOf(place, "database").empty()) {
    return "no database knows where the client is";
  }
  std::string text = TextOf(place, "country") + " " + TextOf(place, "continent");
  if (place.contains("latitude")) {
    text += "  " + NumberText(place, "latitude", "%.1f") + ", " +
            NumberText(place, "longitude", "%.1f") + " (of the " + TextOf(place, "coordinates_of") +
            ")";
  }
  return text + "  from " + TextOf(place, "network") + " in " + TextOf(place, "database");
}

std::string SystemText(const Json& place) {
  std::string text = "AS" + std::to_string(IntOf(place, "asn"));
  if (const std::string who = TextOf(place, "as_organization"); !who.empty()) text += "  " + who;
  return text;
}

/// What the reasons of an answer mean to whom they are new.
std::string ReasonText(const std::string& reason) {
  const std::pair<std::string_view, std::string_view> kTexts[] = {
      {"nearest", "the nearest that is up"},
      {"weighted", "drawn by weight, the same for the client's network"},
      {"failover", "the first that is up"},
      {"override", "an override matches the client"},
      {"unknown_place", "the place is unknown: the `unknown` list"},
      {"spare", "what is preferred is not up"},
      {"shed", "one that is nearer is over its capacity"},
      {"fallback", "too few points are up: the fallback addresses"},
      {"drained", "only drained points are left"},
      {"fail_open", "nothing seems to be up: answered as if all were well"},
  };
  for (const auto& [name, text] : kTexts) {
    if (name == reason) return reason + ": " + std::string(text);
  }
  return reason;
}

void PrintPops(const Json& pops, Terminal& terminal) {
  TextTable table({"POP", "DISTANCE", "STATE", "SHARE", ""});
  for (const Json& pop : pops) {
    const bool answered = BoolOf(pop, "answered");
    std::string distance = NumberText(pop, "distance_km", "%.0f");
    if (distance != "-") distance += " km";
    const std::string share = pop.contains("share")
                                  ? std::to_string(std::lround(100 * NumberOf(pop, "share"))) + " %"
                                  : "";
    std::string said = answered ? "answered" : TextOf(pop, "left_out");
    if (pop.contains("answered_for")) said += " to " + TextOf(pop, "answered_for");
    table.Add({Printable(TextOf(pop, "name")), distance, Printable(TextOf(pop, "state")), share,
               Printable(said)},
              answered ? Colour::kGreen : Colour::kNone);
  }
  table.Print(terminal);
}

void PrintQuestion(const Json& answer, Terminal& terminal) {
  TextTable table({"NAME", Printable(TextOf(answer, "name"))});
  table.Add({"client", Printable(TextOf(answer, "client"))});
  table.Add({"zone", Printable(TextOf(answer, "zone")) + "  serial " +
                         std::to_string(IntOf(answer, "serial"))});
  if (!ListOf(answer, "cname").empty()) {
    table.Add({"alias of", Printable(Joined(ListOf(answer, "cname")))});
  }
  if (!ListOf(answer, "wildcard").empty()) {
    table.Add({"wildcard", Printable(Joined(ListOf(answer, "wildcard")))});
  }
  const Json alias = answer.value("alias", Json());
  if (alias.is_object()) table.Add({"leads to", Printable(TextOf(alias, "target"))});
  if (!BoolOf(answer, "steered")) {
    table.Add({"steered", "no: " + Printable(TextOf(answer, "found"))});
    return table.Print(terminal);
  }
  table.Add({"rule", Printable(TextOf(answer, "rule") + "  " + TextOf(answer, "policy"))});
  const Json place = answer.value("place", Json());
  table.Add({"place", Printable(PlaceText(place))});
  if (place.is_object() && place.contains("asn")) {
    table.Add({"system", Printable(SystemText(place))});
  }
  if (answer.contains("override")) {
    table.Add({"override", "number " + std::to_string(IntOf(answer, "override")) + " of the rule"});
  }
  table.Print(terminal);
}

/// What the client gets, as far as the server told it.
void AddAnswer(const Json& answer, TextTable* table) {
  if (answer.contains("answer")) {
    const Json given = answer["answer"];
    table->Add({"A", Printable(Joined(ListOf(given, "A")))});
    table->Add({"AAAA", Printable(Joined(ListOf(given, "AAAA")))});
  }
  const Json services = answer.value("services", Json::object());
  for (const auto& [type, records] : services.items()) {
    for (const Json& record : records) {
      if (record.is_string()) table->Add({Printable(type), Printable(record.get<std::string>())});
    }
  }
  if (answer.contains("ttl")) table->Add({"ttl", std::to_string(IntOf(answer, "ttl")) + " s"});
}

/// What kind of answer the records of a zone file make.
std::string KindText(const Json& answer) {
  const std::string kind = TextOf(answer, "kind");
  const std::string rcode = TextOf(answer, "rcode");
  if (kind == "referral") {
    return rcode + ", a referral to the name servers of " + TextOf(answer, "delegation");
  }
  if (kind == "nodata") return rcode + " without records (NODATA): only names below it have any";
  if (kind == "nxdomain") {
    const std::string proven = TextOf(answer, "rcode_with_proof");
    const std::string aside = proven.empty() ? "" : "; " + proven + " with a proof of it (DNSSEC)";
    return rcode + ", there is no such name" + aside;
  }
  const std::string found = TextOf(answer, "found");
  if (found == "cname") return rcode + ", a CNAME that the resolver follows elsewhere";
  if (found == "cname_loop") return rcode + ", CNAMEs that lead back to themselves";
  return rcode + ", the same for every client";
}

/// Of a name that no steering answers for: its records, or why it has none.
void PrintRecords(const Json& answer, Terminal& terminal) {
  TextTable kind({"ANSWER", Printable(KindText(answer))});
  if (answer.contains("negative_ttl")) {
    const bool has_records = TextOf(answer, "kind") == "answer";
    kind.Add({has_records ? "other types" : "ttl",
              (has_records ? "none (NODATA), for " : "") +
                  std::to_string(IntOf(answer, "negative_ttl")) + " s"});
  }
  terminal.Line("");
  kind.Print(terminal);
  const Json records = ListOf(answer, "records");
  if (records.empty()) return;
  TextTable table({"SECTION", "NAME", "TTL", "TYPE", "DATA"});
  for (const Json& record : records) {
    table.Add({Printable(TextOf(record, "section")), Printable(TextOf(record, "name")),
               std::to_string(IntOf(record, "ttl")), Printable(TextOf(record, "type")),
               Printable(TextOf(record, "data"))});
  }
  terminal.Line("");
  table.Print(terminal);
}

/// Of an ALIAS: what it leads to, services whose hints are steered.
void PrintUnsteered(const Json& answer, Terminal& terminal) {
  const std::string rcode = TextOf(answer, "rcode");
  TextTable table({"ANSWER", Printable(rcode) + ", as the ALIAS has it now"});
  const Json alias = answer.value("alias", Json::object());
  if (alias.contains("known") && !BoolOf(alias, "known")) {
    table.Add({"known", "no: nobody has answered what it leads to yet, so clients get SERVFAIL"});
  }
  if (alias.contains("network")) {
    table.Add({"network", Printable(TextOf(alias, "network")) + "  (has an answer of its own)"});
  }
  AddAnswer(answer, &table);
  terminal.Line("");
  table.Print(terminal);
}

}  // namespace

Exit ExplainDns(CommandContext& context, const ExplainDnsOptions& options) {
  const std::string server = options.geodns.empty() ? context.settings.geodns : options.geodns;
  if (server.empty()) {
    context.terminal.Error("no name server is named: expected --geodns http://127.0.0.1:7053");
    return Exit::kUsage;
  }
  Result<Json> answer = AskAdmin(
      server, "/explain?name=" + EncodePath(options.name) + "&client=" + EncodePath(options.client),
      "GeoDNS");
  if (!answer) return context.Failed(answer.error());
  Terminal& terminal = context.terminal;
  if (options.json) {
    terminal.Line(answer->dump(2, ' ', /*ensure_ascii=*/true));
    return Exit::kDone;
  }
  PrintQuestion(*answer, terminal);
  if (!BoolOf(*answer, "steered")) {
    if (answer->contains("records")) {
      PrintRecords(*answer, terminal);
    } else if (answer->contains("answer")) {
      PrintUnsteered(*answer, terminal);
    }
    return Exit::kDone;
  }
  terminal.Line("");
  PrintPops(ListOf(*answer, "pops"), terminal);
  terminal.Line("");
  TextTable table({"REASON", Printable(ReasonText(TextOf(*answer, "reason")))});
  AddAnswer(*answer, &table);
  if (answer->contains("fallback")) {
    table.Add({"fallback", Printable(TextOf(*answer, "fallback"))});
  }
  table.Add({"scope", "/" + std::to_string(IntOf(*answer, "scope")) +
                          "  (bits of the client that the answer depends on)"});
  table.Print(terminal);
  return Exit::kDone;
}

}  // namespace nearside::cli
