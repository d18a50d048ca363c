#include "dns/text_form.h"

#include <cstdio>

namespace nearside::dns {

std::optional<std::vector<uint8_t>> Unescape(std::string_view text) {
  std::vector<uint8_t> bytes;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\') {
      bytes.push_back(static_cast<uint8_t>(text[i]));
      continue;
    }
    if (++i == text.size()) return {};
    if (text[i] < '0' || text[i] > '9') {
      bytes.push_back(static_cast<uint8_t>(text[i]));
      continue;
    }
    auto value = NumberFromText<uint8_t>(text.substr(i, 3));
    if (!value || i + 3 > text.size()) return {};
    bytes.push_back(*value);
    i += 2;
  }
  return bytes;
}

void AppendQuoted(std::span<const uint8_t> bytes, std::string* out) {
  *out += '"';
  for (uint8_t c : bytes) {
    if (c < ' ' || c >= 0x7F) {
      char escaped[5];
      std::snprintf(escaped, sizeof escaped, "\\%03d", c);
      *out += escaped;
    } else {
      if (c == '"' || c == '\\') *out += '\\';
      *out += static_cast<char>(c);
    }
  }
  *out += '"';
}

}  // namespace nearside::dns
