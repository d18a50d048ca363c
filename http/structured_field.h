#pragma once

// Structured fields (RFC 9651, which is RFC 8941 with dates and display strings): the strict
// grammar of newer fields, among them Cache-Status, CDN-Cache-Control and Priority. A field that
// breaks the grammar anywhere is no field at all: parsing answers nullopt.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace nearside::http::structured {

struct Token {
  std::string text;
  bool operator==(const Token&) const = default;
};
struct Bytes {
  std::string bytes;  ///< decoded
  bool operator==(const Bytes&) const = default;
};
/// Thousandths, exactly: a decimal has at most three digits behind the point.
struct Decimal {
  int64_t thousandths = 0;
  bool operator==(const Decimal&) const = default;
};
struct Date {
  int64_t unix_seconds = 0;
  bool operator==(const Date&) const = default;
};
struct DisplayString {
  std::string utf8;
  bool operator==(const DisplayString&) const = default;
};

using BareItem =
    std::variant<bool, int64_t, Decimal, std::string, Token, Bytes, Date, DisplayString>;

/// In order of appearance; of a key that comes twice only the last value stays, at the first place.
using Parameters = std::vector<std::pair<std::string, BareItem>>;

struct Item {
  BareItem value = true;
  Parameters parameters;
  bool operator==(const Item&) const = default;
};
struct InnerList {
  std::vector<Item> items;
  Parameters parameters;
  bool operator==(const InnerList&) const = default;
};
using Member = std::variant<Item, InnerList>;
using List = std::vector<Member>;
using Dictionary = std::vector<std::pair<std::string, Member>>;

/// `text` is all lines of the field joined by commas. An empty one is an empty list or dictionary,
/// but no item.
std::optional<Item> ParseItem(std::string_view text);
std::optional<List> ParseList(std::string_view text);
std::optional<Dictionary> ParseDictionary(std::string_view text);

/// Canonical text. nullopt where the value has no form: a string with other than printable ASCII, a
/// token that is none, a number out of range, a key that is none.
std::optional<std::string> Serialize(const BareItem& value);
std::optional<std::string> Serialize(const Item& item);
std::optional<std::string> Serialize(const List& list);
std::optional<std::string> Serialize(const Dictionary& dictionary);

/// RFC 9651 §3.3.4 sf-token.
bool IsToken(std::string_view text);

}  // namespace nearside::http::structured
