#include "http/field_list.h"

#include <algorithm>
#include <array>
#include <span>
#include <vector>

#include "http/characters.h"

namespace nearside::http {

using std::string_view_literals::operator""sv;  // compares lengths first

namespace {

// In alphabetical order.
constexpr std::array<std::string_view, 29> kNotInTrailers = {"age",
                                                             "authorization",
                                                             "cache-control",
                                                             "connection",
                                                             "content-encoding",
                                                             "content-length",
                                                             "content-range",
                                                             "content-type",
                                                             "cookie",
                                                             "date",
                                                             "expect",
                                                             "expires",
                                                             "host",
                                                             "keep-alive",
                                                             "location",
                                                             "max-forwards",
                                                             "proxy-authenticate",
                                                             "proxy-authorization",
                                                             "proxy-connection",
                                                             "range",
                                                             "retry-after",
                                                             "set-cookie",
                                                             "te",
                                                             "trailer",
                                                             "transfer-encoding",
                                                             "upgrade",
                                                             "vary",
                                                             "warning",
                                                             "www-authenticate"};

/// RFC 9110 §7.6.1: whatever Connection says.
bool EndsAtNextHop(std::string_view name) {
  return name == "connection"sv || name == "keep-alive"sv || name == "proxy-connection"sv ||
         name == "te"sv || name == "trailer"sv || name == "transfer-encoding"sv ||
         name == "upgrade"sv;
}

/// Where the quoted string that begins at `at` ends; nullopt: it does not.
std::optional<size_t> QuoteEnd(std::string_view text, size_t at) {
  for (size_t i = at + 1; i < text.size(); ++i) {
    if (text[i] == '"') return i;
    if (text[i] == '\\') ++i;
  }
  return std::nullopt;
}

/// Bytes of `text` up to the first `separator` outside of quotes. A quote that is never closed
/// hides nothing: a directive behind it may forbid something. `may_quote`: none was met yet; behind
/// one none closes either, and none is looked for.
size_t MemberSize(std::string_view text, char separator, bool* may_quote) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == separator) return i;
    if (text[i] != '"' || !*may_quote) continue;
    const std::optional<size_t> end = QuoteEnd(text, i);
    *may_quote = end.has_value();
    i = end.value_or(i);
  }
  return text.size();
}

}  // namespace

std::optional<std::string_view> ListReader::Next() {
  while (!rest_.empty()) {
    const size_t size = MemberSize(rest_, separator_, &may_quote_);
    const std::string_view member = TrimSpace(rest_.substr(0, size));
    rest_.remove_prefix(std::min(size + 1, rest_.size()));
    if (!member.empty()) return member;
  }
  return std::nullopt;
}

Argument SplitArgument(std::string_view member) {
  const size_t equals = member.find('=');
  if (equals == std::string_view::npos) return {TrimSpace(member), std::nullopt};
  return {TrimSpace(member.substr(0, equals)), TrimSpace(member.substr(equals + 1))};
}

std::optional<std::string> Unquote(std::string_view text) {
  if (text.size() < 2 || text.front() != '"') return std::nullopt;
  std::string plain;
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') return i + 1 == text.size() ? std::optional(plain) : std::nullopt;
    if (text[i] == '\\' && ++i == text.size()) break;
    plain += text[i];
  }
  return std::nullopt;
}

std::string UnquoteIfQuoted(std::string_view text) {
  std::optional<std::string> plain = Unquote(text);
  return plain ? *std::move(plain) : std::string(text);
}

std::string Quote(std::string_view text) {
  std::string quoted;
  quoted.reserve(text.size() + 2);
  quoted += '"';
  for (char c : text) {
    if (!kFieldValueCharacters[static_cast<uint8_t>(c)]) continue;
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted += '"';
}

bool ListHas(const Fields& fields, std::string_view name, std::string_view token) {
  for (const FieldLine& line : fields.lines()) {
    if (line.name != name) continue;
    ListReader members(line.value);
    while (const auto member = members.Next()) {
      if (EqualsIgnoringCase(*member, token)) return true;
    }
  }
  return false;
}

void RemoveHopByHop(Fields* fields) {
  const std::span<const FieldLine> lines = fields->lines();
  const auto ends_here = [](const FieldLine& line) { return EndsAtNextHop(line.name); };
  if (std::none_of(lines.begin(), lines.end(), ends_here)) return;
  std::vector<std::string> named;
  for (const FieldLine& line : lines) {
    if (line.name != "connection"sv) continue;
    ListReader members(line.value);
    while (const auto member = members.Next()) {
      std::string name = LowerName(*member);
      if (!EndsAtNextHop(name)) named.push_back(std::move(name));
    }
  }
  // A client may name thousands: look each line up in them, not each of them in the lines.
  std::sort(named.begin(), named.end());
  fields->RemoveIf([&named](std::string_view name) {
    return EndsAtNextHop(name) || std::binary_search(named.begin(), named.end(), name);
  });
}

void RemoveContentDigests(Fields* fields) {
  for (const std::string_view name : {"content-digest", "content-md5"}) fields->Remove(name);
}

bool MayBeTrailer(std::string_view name) {
  return !std::binary_search(kNotInTrailers.begin(), kNotInTrailers.end(), name);
}

}  // namespace nearside::http
