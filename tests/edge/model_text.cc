#include "tests/edge/model_text.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace nearside::edge::model {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Whether a list has members and all of them are names.
bool IsListOfNames(const std::string& text) {
  const std::vector<std::string> members = ListMembers(text);
  return !members.empty() && std::all_of(members.begin(), members.end(),
                                         [](const auto& member) { return IsTokenText(member); });
}

std::string JoinLines(const Lines& lines, std::string_view name, std::string_view separator) {
  std::string joined;
  bool first = true;
  for (const Line& line : lines) {
    if (line.first != name) continue;
    if (!first) joined += separator;
    joined += line.second;
    first = false;
  }
  return joined;
}

}  // namespace

bool HasField(const Lines& lines, std::string_view name) {
  return FirstValue(lines, name).has_value();
}

std::optional<std::string> FirstValue(const Lines& lines, std::string_view name) {
  for (const Line& line : lines) {
    if (line.first == name) return line.second;
  }
  return std::nullopt;
}

std::string JoinedValue(const Lines& lines, std::string_view name) {
  return JoinLines(lines, name, ", ");
}

Lines Without(const Lines& lines, const std::vector<std::string>& names) {
  Lines rest;
  for (const Line& line : lines) {
    if (std::find(names.begin(), names.end(), line.first) == names.end()) rest.push_back(line);
  }
  return rest;
}

std::string Lowered(std::string_view text) {
  std::string lowered(text);
  for (char& c : lowered) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lowered;
}

std::string Trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return std::string(text);
}

bool IsTokenText(std::string_view text) {
  constexpr std::string_view kSigns = "!#$%&'*+-.^_`|~";
  for (const char c : text) {
    if (!IsDigit(c) && !IsLetter(c) && kSigns.find(c) == std::string_view::npos) return false;
  }
  return !text.empty();
}

std::vector<std::string> ListMembers(std::string_view value) {
  std::vector<std::string> members(1);
  // A quote without another one behind it begins no quoted string, and hides no comma.
  const auto is_closed = [value](size_t at) {
    for (size_t i = at + 1; i < value.size(); ++i) {
      if (value[i] == '"') return true;
      if (value[i] == '\\') ++i;
    }
    return false;
  };
  bool quoted = false;
  for (size_t i = 0; i < value.size(); ++i) {
    const char c = value[i];
    if (quoted && c == '\\' && i + 1 < value.size()) {
      members.back() += c;
      members.back() += value[++i];
      continue;
    }
    if (c == '"') quoted = !quoted && is_closed(i);
    if (c == ',' && !quoted) {
      members.emplace_back();
    } else {
      members.back() += c;
    }
  }
  for (std::string& member : members) member = Trimmed(member);
  std::erase(members, "");
  return members;
}

std::optional<int64_t> DeltaSeconds(std::string_view text) {
  if (text.empty()) return std::nullopt;
  int64_t seconds = 0;
  for (const char c : text) {
    if (!IsDigit(c)) return std::nullopt;
    seconds = std::min(kForever, seconds * 10 + (c - '0'));
  }
  return seconds;
}

// ---- Dates

namespace {

constexpr std::array<std::string_view, 12> kMonths = {"jan", "feb", "mar", "apr", "may", "jun",
                                                      "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 7> kShortDays = {"mon", "tue", "wed", "thu",
                                                        "fri", "sat", "sun"};
constexpr std::array<std::string_view, 7> kLongDays = {
    "monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"};

template <size_t N>
bool IsOneOf(const std::array<std::string_view, N>& list, std::string_view text) {
  return std::find(list.begin(), list.end(), text) != list.end();
}

/// Whether a text looks like `shape`: 9 is a digit, a is a letter, _ is a space or a digit.
bool HasShape(std::string_view text, std::string_view shape) {
  if (text.size() != shape.size()) return false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    bool fits = c == shape[i];
    if (shape[i] == '9') fits = IsDigit(c);
    if (shape[i] == 'a') fits = IsLetter(c);
    if (shape[i] == '_') fits = IsDigit(c) || c == ' ';
    if (!fits) return false;
  }
  return true;
}

int64_t NumberIn(std::string_view text) {
  int64_t number = 0;
  for (const char c : text) {
    if (IsDigit(c)) number = number * 10 + (c - '0');
  }
  return number;
}

bool IsLeap(int64_t year) { return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0; }

int64_t DaysIn(int64_t month, int64_t year) {
  constexpr std::array<int64_t, 12> kDays = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && IsLeap(year) ? 29 : kDays.at(static_cast<size_t>(month - 1));
}

/// Of the first of January, since 1970.
int64_t DaysBefore(int64_t year) {
  int64_t days = 0;
  for (int64_t y = 1970; y < year; ++y) days += IsLeap(y) ? 366 : 365;
  for (int64_t y = year; y < 1970; ++y) days -= IsLeap(y) ? 366 : 365;
  return days;
}

int64_t YearOf(int64_t time_ms) {
  int64_t year = 1970;
  while (DaysBefore(year + 1) * 86'400'000 <= time_ms) ++year;
  return year;
}

struct DateParts {
  int64_t year;
  std::string_view month;
  std::string_view day;
  std::string_view clock;  ///< "08:49:37"
};

std::optional<int64_t> MillisOf(const DateParts& parts) {
  const auto* name = std::find(kMonths.begin(), kMonths.end(), parts.month);
  if (name == kMonths.end()) return std::nullopt;
  const int64_t month = name - kMonths.begin() + 1;
  const int64_t day = NumberIn(parts.day);
  if (day < 1 || day > DaysIn(month, parts.year)) return std::nullopt;
  const int64_t hour = NumberIn(parts.clock.substr(0, 2));
  const int64_t minute = NumberIn(parts.clock.substr(3, 2));
  const int64_t second = NumberIn(parts.clock.substr(6, 2));
  if (hour > 23 || minute > 59 || second > 60) return std::nullopt;  // 60: a leap second
  int64_t days = DaysBefore(parts.year) + day - 1;
  for (int64_t m = 1; m < month; ++m) days += DaysIn(m, parts.year);
  return ((days * 24 + hour) * 60 + minute) * 60'000 + second * 1000;
}

}  // namespace

std::optional<int64_t> DateMillis(std::string_view text, int64_t now_ms) {
  const std::string lowered = Lowered(text);  // RFC 9111 §4.2: in any case
  const std::string_view all = lowered;
  if (HasShape(all, "aaa, 99 aaa 9999 99:99:99 gmt")) {
    if (!IsOneOf(kShortDays, all.substr(0, 3))) return std::nullopt;
    return MillisOf({.year = NumberIn(all.substr(12, 4)),
                     .month = all.substr(8, 3),
                     .day = all.substr(5, 2),
                     .clock = all.substr(17, 8)});
  }
  if (HasShape(all, "aaa aaa _9 99:99:99 9999")) {
    if (!IsOneOf(kShortDays, all.substr(0, 3))) return std::nullopt;
    return MillisOf({.year = NumberIn(all.substr(20, 4)),
                     .month = all.substr(4, 3),
                     .day = all.substr(8, 2),
                     .clock = all.substr(11, 8)});
  }
  const size_t comma = all.find(", ");
  if (comma == std::string_view::npos || !IsOneOf(kLongDays, all.substr(0, comma))) {
    return std::nullopt;
  }
  const std::string_view rest = all.substr(comma + 2);
  if (!HasShape(rest, "99-aaa-99 99:99:99 gmt")) return std::nullopt;
  // RFC 9110 §5.6.7: what seems more than 50 years ahead was in the century before.
  int64_t year = YearOf(now_ms) / 100 * 100 + 100 + NumberIn(rest.substr(7, 2));
  while (year > YearOf(now_ms) + 50) year -= 100;
  return MillisOf({.year = year,
                   .month = rest.substr(3, 3),
                   .day = rest.substr(0, 2),
                   .clock = rest.substr(10, 8)});
}

std::optional<int64_t> FirstDate(const Lines& lines, std::string_view name, int64_t now_ms) {
  const auto value = FirstValue(lines, name);
  return value ? DateMillis(*value, now_ms) : std::nullopt;
}

std::optional<Tag> TagOf(const Lines& lines) {
  const auto value = FirstValue(lines, "etag");
  return value ? TagIn(*value) : std::nullopt;
}

std::optional<Tag> TagIn(std::string_view text) {
  Tag tag{.weak = text.starts_with("W/"), .opaque = std::string(text)};
  if (tag.weak) tag.opaque.erase(0, 2);
  const std::string& opaque = tag.opaque;
  if (opaque.size() < 2 || opaque.front() != '"' || opaque.back() != '"') return std::nullopt;
  return tag;
}

// ---- Cache-Control

namespace {

/// The text of a quoted string; nothing when it is not exactly one.
std::optional<std::string> QuotedText(std::string_view text) {
  if (text.size() < 2 || text.front() != '"') return std::nullopt;
  std::string inside;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      if (i + 1 != text.size()) return std::nullopt;
      return inside;
    }
    if (text[i] == '\\' && i + 1 < text.size()) ++i;
    inside += text[i];
  }
  return std::nullopt;
}

/// cache-directive = token [ "=" ( token / quoted-string ) ]. What breaks this behind the name is
/// an argument that means nothing.
Directive DirectiveOf(const std::string& member) {
  Directive directive;
  const size_t equals = member.find('=');
  directive.name = Lowered(Trimmed(member.substr(0, equals)));
  if (equals == std::string::npos) return directive;
  directive.has_argument = true;
  if (equals > 0 && member[equals - 1] == ' ') return directive;
  const std::string argument = member.substr(equals + 1);
  if (IsTokenText(argument)) {
    directive.number = directive.members = argument;
  } else if (const auto text = QuotedText(argument)) {
    directive.number = directive.members = *text;
  }
  return directive;
}

}  // namespace

bool Directives::Has(std::string_view name) const {
  return std::any_of(list_.begin(), list_.end(),
                     [name](const Directive& directive) { return directive.name == name; });
}

std::vector<std::optional<int64_t>> Directives::Seconds(std::string_view name) const {
  std::vector<std::optional<int64_t>> values;
  for (const Directive& directive : list_) {
    if (directive.name != name) continue;
    const bool bare = name == "max-stale" && !directive.has_argument;  // RFC 9111 §5.2.1.2
    const auto& number = directive.number;
    values.push_back(bare ? kForever : number ? DeltaSeconds(*number) : std::nullopt);
  }
  return values;
}

std::vector<std::string> Directives::FieldNames(std::string_view name) const {
  std::vector<std::string> names;
  for (const Directive& directive : list_) {
    if (directive.name != name || !directive.members) continue;
    for (const std::string& member : ListMembers(*directive.members)) {
      if (IsTokenText(member)) names.push_back(Lowered(member));
    }
  }
  return names;
}

bool Directives::IsUnqualified(std::string_view name) const {
  for (const Directive& directive : list_) {
    if (directive.name != name) continue;
    if (!directive.members || !IsListOfNames(*directive.members)) return true;
  }
  return false;
}

Directives CacheControlOf(const Lines& lines) {
  std::vector<Directive> list;
  for (const Line& line : lines) {
    if (line.first != "cache-control") continue;
    for (const std::string& member : ListMembers(line.second)) {
      Directive directive = DirectiveOf(member);
      if (IsTokenText(directive.name)) list.push_back(std::move(directive));
    }
  }
  return Directives(std::move(list));
}

// ---- Targeted fields: a dictionary of RFC 9651

namespace {

/// Reads from the front of what is left; the first thing that breaks the grammar ends it for good.
class DictionaryText {
 public:
  explicit DictionaryText(std::string_view text) : rest_(text) {}

  std::optional<std::vector<Directive>> Read() {
    std::vector<Directive> members;
    SkipSpaces();
    while (!rest_.empty()) {
      Directive member;
      if (!ReadMember(&member)) return std::nullopt;
      if (member.name.empty()) return std::nullopt;
      std::erase_if(members, [&](const Directive& other) { return other.name == member.name; });
      if (!denied_) members.push_back(std::move(member));
      SkipOws();
      if (rest_.empty()) return members;
      if (!Take(',')) return std::nullopt;
      SkipOws();
      if (rest_.empty()) return std::nullopt;  // a comma at the end
    }
    return members;
  }

 private:
  bool Take(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void SkipSpaces() {
    while (Take(' ')) {
    }
  }
  void SkipOws() {
    while (Take(' ') || Take('\t')) {
    }
  }
  std::string TakeWhile(bool (*fits)(char)) {
    std::string taken;
    while (!rest_.empty() && fits(rest_.front())) {
      taken += rest_.front();
      rest_.remove_prefix(1);
    }
    return taken;
  }

  std::string ReadKey() {
    const auto begins = [](char c) { return (c >= 'a' && c <= 'z') || c == '*'; };
    if (rest_.empty() || !begins(rest_.front())) return "";
    return TakeWhile([](char c) {
      return (c >= 'a' && c <= 'z') || IsDigit(c) || c == '_' || c == '-' || c == '.' || c == '*';
    });
  }

  /// ?0 says that a directive is not there.
  bool ReadMember(Directive* member) {
    denied_ = false;
    member->name = ReadKey();
    if (!Take('=')) return ReadParameters();
    member->has_argument = true;
    if (Take('(')) return ReadInnerList() && ReadParameters();
    if (rest_.starts_with("?1")) member->has_argument = false;
    denied_ = rest_.starts_with("?0");
    return ReadBareItem(member) && ReadParameters();
  }

  bool ReadParameters() {
    while (Take(';')) {
      SkipSpaces();
      if (ReadKey().empty()) return false;
      Directive ignored;
      if (Take('=') && !ReadBareItem(&ignored)) return false;
    }
    return true;
  }

  bool ReadInnerList() {
    for (;;) {
      SkipSpaces();
      if (Take(')')) return true;
      Directive ignored;
      if (!ReadBareItem(&ignored) || !ReadParameters()) return false;
      if (rest_.empty() || (rest_.front() != ' ' && rest_.front() != ')')) return false;
    }
  }

  bool ReadBareItem(Directive* item) {
    if (rest_.empty()) return false;
    const char c = rest_.front();
    if (IsDigit(c) || c == '-') return ReadNumber(item);
    if (c == '"') return ReadString(item);
    if (IsLetter(c) || c == '*') return ReadToken();
    rest_.remove_prefix(1);
    if (c == '?') return Take('0') || Take('1');
    if (c == '@') {
      Directive date;
      return ReadNumber(&date) && !is_decimal_;
    }
    if (c == ':') {
      TakeWhile(
          [](char b) { return IsDigit(b) || IsLetter(b) || b == '+' || b == '/' || b == '='; });
      return Take(':');
    }
    Directive text;
    return c == '%' && !rest_.empty() && rest_.front() == '"' && ReadString(&text);
  }

  bool ReadNumber(Directive* item) {
    const bool negative = Take('-');
    const std::string whole = TakeWhile(IsDigit);
    is_decimal_ = !whole.empty() && Take('.');
    if (is_decimal_) {
      const std::string fraction = TakeWhile(IsDigit);
      return whole.size() <= 12 && !fraction.empty() && fraction.size() <= 3;
    }
    if (!negative) item->number = whole;
    return !whole.empty() && whole.size() <= 15;
  }

  bool ReadString(Directive* item) {
    std::string text;
    Take('"');
    while (!rest_.empty()) {
      const char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') {
        item->members = text;
        return true;
      }
      if (c == '\\') {
        if (rest_.empty() || (rest_.front() != '"' && rest_.front() != '\\')) return false;
        text += rest_.front();
        rest_.remove_prefix(1);
      } else if (c < ' ' || c > '~') {
        return false;
      } else {
        text += c;
      }
    }
    return false;
  }

  bool ReadToken() {
    TakeWhile([](char c) { return c == ':' || c == '/' || IsTokenText(std::string(1, c)); });
    return true;
  }

  std::string_view rest_;
  bool is_decimal_ = false;
  bool denied_ = false;
};

}  // namespace

std::optional<Directives> TargetedOf(const Lines& lines, std::string_view name) {
  if (!HasField(lines, name)) return std::nullopt;
  const std::string all = JoinedValue(lines, name);
  if (Trimmed(all).empty()) return std::nullopt;
  auto members = DictionaryText(all).Read();
  if (!members) return std::nullopt;
  return Directives(std::move(*members));
}

}  // namespace nearside::edge::model
