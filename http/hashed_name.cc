#include "http/hashed_name.h"

#include <cstddef>

namespace nearside::http {
namespace {

constexpr size_t kHashCharacters = 8;  ///< bundlers write at least as many

bool IsLowerHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

/// At least eight lower-case hexadecimal digits, among them a letter and a digit: no word, date or
/// number.
bool IsHexHash(std::string_view text) {
  bool letter = false;
  bool digit = false;
  for (char c : text) {
    if (!IsLowerHex(c)) return false;
    (c <= '9' ? digit : letter) = true;
  }
  return text.size() >= kHashCharacters && letter && digit;
}

enum class Class { kLower, kUpper, kDigit, kOther };

Class ClassOf(char c) {
  if (c >= 'a' && c <= 'z') return Class::kLower;
  if (c >= 'A' && c <= 'Z') return Class::kUpper;
  if (c >= '0' && c <= '9') return Class::kDigit;
  return Class::kOther;
}

/// Base64url or base32 as rollup and esbuild write it. Random letters change between the classes
/// more often than "holiday2024", "BackgroundImage" or "2024-may" do.
bool IsMixedHash(std::string_view text) {
  if (text.size() < kHashCharacters) return false;
  size_t changes = 0;
  bool digit = false;
  bool upper = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const Class now = ClassOf(text[i]);
    // "-" and "_" separate words unless the text has just the length of a hash.
    if (now == Class::kOther &&
        (text.size() != kHashCharacters || (text[i] != '-' && text[i] != '_'))) {
      return false;
    }
    digit |= now == Class::kDigit;
    upper |= now == Class::kUpper;
    if (i > 0 && now != ClassOf(text[i - 1])) ++changes;
  }
  if (!upper) return false;
  return digit ? changes >= 3 : text.size() == kHashCharacters && changes >= 4;
}

}  // namespace

bool HasHashedName(std::string_view path) {
  const size_t slash = path.rfind('/');
  std::string_view name = slash == std::string_view::npos ? path : path.substr(slash + 1);
  size_t dot = name.find('.');
  if (dot == std::string_view::npos) return false;
  // name-HASH.ext: what follows any of the dashes up to the first dot.
  const std::string_view stem = name.substr(0, dot);
  for (size_t dash = stem.find('-'); dash != std::string_view::npos;
       dash = stem.find('-', dash + 1)) {
    const std::string_view tail = stem.substr(dash + 1);
    if (dash > 0 && (IsHexHash(tail) || IsMixedHash(tail))) return true;
  }
  // name.HASH.ext: a segment between two dots.
  for (name = name.substr(dot + 1); (dot = name.find('.')) != std::string_view::npos;
       name = name.substr(dot + 1)) {
    if (IsHexHash(name.substr(0, dot)) || IsMixedHash(name.substr(0, dot))) return true;
  }
  return false;
}

}  // namespace nearside::http
