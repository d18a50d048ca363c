#pragma once

// What the presentation forms of record data have in common (RFC 1035 §5.1).

#include <charconv>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace nearside::dns {

/// Decimal, whole; nothing when it does not fit.
template <typename N>
std::optional<N> NumberFromText(std::string_view text) {
  N value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return {};
  return value;
}

/// Undoes \X and \DDD. Nothing when an escape is broken.
std::optional<std::vector<uint8_t>> Unescape(std::string_view text);

/// In quotes, with what is not printable as \DDD.
void AppendQuoted(std::span<const uint8_t> bytes, std::string* out);

}  // namespace nearside::dns
