#include "http/etag.h"

#include <algorithm>

#include "http/characters.h"

namespace nearside::http {

namespace {

/// RFC 9110 §8.8.3 etagc: no quote, no space, no controls. There is no escaping inside.
constexpr bool IsTagCharacter(char c) {
  const auto byte = static_cast<uint8_t>(c);
  return byte > 0x20 && byte != '"' && byte != 0x7f;
}

/// Bytes of the entity tag at the front of `text`, 0 when there is none.
size_t TagSize(std::string_view text) {
  size_t at = text.starts_with("W/") ? 2 : 0;
  if (at >= text.size() || text[at] != '"') return 0;
  for (++at; at < text.size(); ++at) {
    if (text[at] == '"') return at + 1;
    if (!IsTagCharacter(text[at])) return 0;
  }
  return 0;
}

EntityTag ToTag(std::string_view text) {
  const bool weak = text.front() == 'W';
  return {weak, text.substr(weak ? 2 : 0)};
}

}  // namespace

std::optional<EntityTag> ParseEntityTag(std::string_view text) {
  text = TrimSpace(text);
  if (text.empty() || TagSize(text) != text.size()) return std::nullopt;
  return ToTag(text);
}

bool StrongMatch(const EntityTag& a, const EntityTag& b) {
  return !a.weak && !b.weak && a.opaque == b.opaque;
}

bool WeakMatch(const EntityTag& a, const EntityTag& b) { return a.opaque == b.opaque; }

std::optional<EntityTag> EntityTagReader::Next() {
  while (true) {
    while (!rest_.empty() &&
           (rest_.front() == ',' || rest_.front() == ' ' || rest_.front() == '\t')) {
      rest_.remove_prefix(1);
    }
    if (rest_.empty()) return std::nullopt;
    const size_t size = TagSize(rest_);
    const std::string_view behind = TrimSpace(rest_.substr(size));
    if (size != 0 && (behind.empty() || behind.front() == ',')) {
      const EntityTag tag = ToTag(rest_.substr(0, size));
      rest_.remove_prefix(size);
      return tag;
    }
    rest_.remove_prefix(std::min(rest_.find(',', size), rest_.size()));
  }
}

}  // namespace nearside::http
