#pragma once

// The grammar that most fields share: lists of members separated by commas (RFC 9110 §5.6.1),
// members of the form name[=value], values that are tokens or quoted strings (§5.6.4). Reading is
// lenient where the RFC is: empty members are skipped; an unclosed quote ends with the text.

#include <optional>
#include <string>
#include <string_view>

#include "http/fields.h"

namespace nearside::http {

/// Walks over the members of one field value. Commas inside quoted strings do not separate.
class ListReader {
 public:
  explicit ListReader(std::string_view value, char separator = ',')
      : rest_(value), separator_(separator) {}
  /// The next member without surrounding whitespace, never empty; nullopt at the end. A view into
  /// the value.
  std::optional<std::string_view> Next();

 private:
  std::string_view rest_;
  char separator_;
  bool may_quote_ = true;
};

/// "name=value", "name=\"quoted\"" or "name", taken apart. Views into the member.
struct Argument {
  std::string_view name;  ///< without surrounding whitespace, case kept; may be no token
  std::optional<std::string_view> value;  ///< raw: a quoted string still has its quotes
};
Argument SplitArgument(std::string_view member);

/// The text of a quoted string without quotes and backslashes; nullopt when `text` is not exactly
/// one.
std::optional<std::string> Unquote(std::string_view text);
/// The same, or `text` as it is when it is not quoted: how most argument values are read.
std::string UnquoteIfQuoted(std::string_view text);
/// Characters that a quoted string cannot carry (controls) are left out.
std::string Quote(std::string_view text);

/// Whether one of the lists in the lines named `name` (lower case) has `token` as a member, in any
/// case.
bool ListHas(const Fields& fields, std::string_view name, std::string_view token);

/// Removes what is meant for one connection only: Connection and every field it names, Keep-Alive,
/// Proxy-Connection, TE, Trailer, Transfer-Encoding, Upgrade (RFC 9110 §7.6.1).
void RemoveHopByHop(Fields* fields);

/// Removes what sums up the content of one message (RFC 9530 §2, RFC 1864): for another message,
/// that has another part of the representation.
void RemoveContentDigests(Fields* fields);

/// Whether a field (lower case) may stand behind a body: not framing, routing, authentication,
/// controls or content format (RFC 9110 §6.5.1).
bool MayBeTrailer(std::string_view name);

}  // namespace nearside::http
