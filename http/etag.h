#pragma once

#include <optional>
#include <string_view>

namespace nearside::http {

/// RFC 9110 §8.8.3: W/"xyzzy" or "xyzzy". A view into what was parsed.
struct EntityTag {
  bool weak = false;
  std::string_view opaque;  ///< with its quotes
  bool operator==(const EntityTag&) const = default;
};

/// nullopt for anything else: no quotes, a lower-case w/, control characters, spaces inside.
std::optional<EntityTag> ParseEntityTag(std::string_view text);

/// RFC 9110 §8.8.3.2.
bool StrongMatch(const EntityTag& a, const EntityTag& b);
bool WeakMatch(const EntityTag& a, const EntityTag& b);

/// Walks over the entity tags of If-Match or If-None-Match; members that are none are skipped.
class EntityTagReader {
 public:
  explicit EntityTagReader(std::string_view value) : rest_(value) {}
  std::optional<EntityTag> Next();

 private:
  std::string_view rest_;
};

}  // namespace nearside::http
