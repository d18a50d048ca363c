#include "cli/steer.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "cli/admin_api.h"

namespace nearside::cli {
namespace {

/// Working it out takes a second or two on a busy machine.
constexpr seconds kPatience{60};

std::string PercentText(double share) {
  char text[16];
  std::snprintf(text, sizeof text, "%.1f %%", 100 * share);
  return text;
}

/// "tokyo 62.1 %, virginia 37.9 %": the largest first.
std::string SharesText(const Json& shares) {
  if (!shares.is_object()) return "";
  std::vector<std::pair<double, std::string>> parts;
  for (const auto& [name, share] : shares.items()) {
    if (share.is_number()) parts.emplace_back(share.get<double>(), name);
  }
  std::stable_sort(parts.begin(), parts.end(),
                   [](const auto& a, const auto& b) { return a.first > b.first; });
  std::string text;
  for (const auto& [share, name] : parts) {
    text += (text.empty() ? "" : ", ") + Printable(name);
    if (parts.size() > 1) text += " " + PercentText(share);
  }
  return text;
}

void PrintShares(const Json& family, Terminal& terminal) {
  const Json before = family.value("before", Json::object());
  const Json after = family.value("after", Json::object());
  std::set<std::string> names;
  for (const Json& shares : {before, after}) {
    for (const auto& [name, share] : shares.items()) names.insert(name);
  }
  TextTable table({"POP", "NOW", "THEN", ""});
  for (const std::string& name : names) {
    const double was = NumberOf(before, name);
    const double is = NumberOf(after, name);
    char change[16] = "";
    if (std::abs(is - was) >= 0.0005)
      std::snprintf(change, sizeof change, "%+.1f", 100 * (is - was));
    table.Add({Printable(name), PercentText(was), PercentText(is), change},
              is > was ? Colour::kYellow : Colour::kNone);
  }
  table.Print(terminal);
}

void PrintContinents(const Json& family, Terminal& terminal) {
  TextTable table({"CONTINENT", "OF ALL", "MOVED", "NOW", "THEN"});
  for (const Json& row : ListOf(family, "continents")) {
    const std::string continent = TextOf(row, "continent");
    table.Add({continent.empty() ? "-" : Printable(continent), PercentText(NumberOf(row, "share")),
               PercentText(NumberOf(row, "moved")), SharesText(row.value("before", Json())),
               SharesText(row.value("after", Json()))});
  }
  table.Print(terminal);
}

/// Those that move most, by number of clients.
void PrintCountries(const Json& family, size_t most, Terminal& terminal) {
  const auto moved = [](const Json& row) {
    return NumberOf(row, "share") * NumberOf(row, "moved");
  };
  std::vector<Json> rows;
  for (const Json& row : ListOf(family, "countries")) {
    if (moved(row) > 0) rows.push_back(row);
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [&](const Json& a, const Json& b) { return moved(a) > moved(b); });
  if (rows.empty() || most == 0) return;
  terminal.Line("");
  TextTable table({"COUNTRY", "OF ALL", "MOVED", "NOW", "THEN"});
  for (size_t i = 0; i < std::min(most, rows.size()); ++i) {
    const std::string country = TextOf(rows[i], "country");
    table.Add({country.empty() ? "-" : Printable(country), PercentText(NumberOf(rows[i], "share")),
               PercentText(NumberOf(rows[i], "moved")), SharesText(rows[i].value("before", Json())),
               SharesText(rows[i].value("after", Json()))});
  }
  table.Print(terminal);
  if (rows.size() > most) {
    terminal.Line("and " + std::to_string(rows.size() - most) + " more countries (--countries)");
  }
}

}  // namespace

Exit Steer(CommandContext& context, const SteerOptions& options) {
  const std::string server = options.geodns.empty() ? context.settings.geodns : options.geodns;
  if (server.empty()) {
    context.terminal.Error("no name server is named: expected --geodns http://127.0.0.1:7053");
    return Exit::kUsage;
  }
  const auto joined = [](const std::vector<std::string>& parts) {
    std::string text;
    for (const std::string& part : parts) text += (text.empty() ? "" : ",") + part;
    return EncodePath(text);
  };
  Result<Json> answer =
      AskAdmin(server,
               "/steer?name=" + EncodePath(options.name) + "&without=" + joined(options.without) +
                   "&load=" + joined(options.loads),
               "GeoDNS", kPatience);
  if (!answer) return context.Failed(answer.error());
  Terminal& terminal = context.terminal;
  if (options.json) {
    terminal.Line(answer->dump(2, ' ', /*ensure_ascii=*/true));
    return Exit::kDone;
  }
  for (const Json& family : ListOf(*answer, "families")) {
    const bool is_ipv6 = TextOf(family, "family") == "ipv6";
    terminal.Line(terminal.Paint(
        Colour::kBold, Printable(TextOf(*answer, "name")) + "  " + (is_ipv6 ? "IPv6" : "IPv4") +
                           ": " + PercentText(NumberOf(family, "moved")) + " of the " +
                           (is_ipv6 ? "/48 networks" : "addresses") + " move (" +
                           std::to_string(IntOf(family, "clients")) + " clients asked for)"));
    PrintShares(family, terminal);
    terminal.Line("");
    PrintContinents(family, terminal);
    PrintCountries(family, options.countries, terminal);
    terminal.Line("");
  }
  return Exit::kDone;
}

}  // namespace nearside::cli
