#pragma once

// Which bytes may stand where in HTTP (RFC 9110 §5.6, RFC 3986 §2), as tables of 256.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace nearside::http {

using CharacterSet = std::array<bool, 256>;

constexpr bool IsAlpha(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr char ToLower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

/// The value of a hexadecimal digit, or -1.
constexpr int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  const char l = ToLower(c);
  return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/// The set of letters, digits and `others`.
constexpr CharacterSet AlphanumericAnd(std::string_view others) {
  CharacterSet set{};
  for (int c = 0; c < 256; ++c) set[c] = c < 128 && (IsAlpha(char(c)) || IsDigit(char(c)));
  for (char c : others) set[static_cast<uint8_t>(c)] = true;
  return set;
}

/// RFC 9110 §5.6.2 tchar.
inline constexpr CharacterSet kTokenCharacters = AlphanumericAnd("!#$%&'*+-.^_`|~");

/// RFC 3986 §2.3 unreserved.
inline constexpr CharacterSet kUnreservedCharacters = AlphanumericAnd("-._~");

/// RFC 9110 §5.5: visible ones, obs-text, space and tab. No other control characters: they are
/// allowed there for nobody's good.
inline constexpr CharacterSet kFieldValueCharacters = [] {
  CharacterSet set{};
  for (int c = 0x20; c < 256; ++c) set[c] = c != 0x7f;
  set['\t'] = true;
  return set;
}();

/// What a request target may hold: visible characters but '#' (a fragment is never sent), and bytes
/// from 0x80 on, which clients send unencoded.
inline constexpr CharacterSet kTargetCharacters = [] {
  CharacterSet set{};
  for (int c = 0x21; c < 256; ++c) set[c] = c != 0x7f && c != '#';
  return set;
}();

constexpr bool AllIn(const CharacterSet& set, std::string_view text) {
  for (char c : text) {
    if (!set[static_cast<uint8_t>(c)]) return false;
  }
  return true;
}

/// ASCII only, as field names, tokens and host names compare.
constexpr bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (ToLower(a[i]) != ToLower(b[i])) return false;
  }
  return true;
}

/// Without spaces and tabs at both ends (RFC 9110 §5.6.3 OWS).
constexpr std::string_view TrimSpace(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

}  // namespace nearside::http
