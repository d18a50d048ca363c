#pragma once

// JSON bodies of requests. Included by .cc files alone: nlohmann's header is large.

#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/result.h"

namespace nearside::origin {

/// Deeper nesting than any body of ours has is refused before a parser sees it.
inline constexpr size_t kJsonDepth = 16;

/// Error: kClient bad_json, with the place.
Result<nlohmann::json> ParseJson(std::string_view text);

/// Reads the members of one object; the first thing that is wrong is kept, and everything after it
/// is answered with defaults, so that a caller checks once, at the end.
class JsonObject {
 public:
  /// `reason` is that of errors ("bad_purge"), `what` names the object in them ("the purge").
  JsonObject(const nlohmann::json& json, std::string_view reason, std::string what);

  std::string Text(std::string_view key, bool required = false);
  bool Bool(std::string_view key);
  std::optional<uint64_t> Count(std::string_view key);
  std::optional<double> Number(std::string_view key);
  /// At most `most` strings.
  std::vector<std::string> Texts(std::string_view key, size_t most);
  /// An object whose values are strings.
  std::vector<std::pair<std::string, std::string>> TextPairs(std::string_view key, size_t most);
  /// An object; null when it is absent.
  const nlohmann::json* Object(std::string_view key);
  /// An array; null when it is absent.
  const nlohmann::json* Array(std::string_view key, size_t most);

  void Refuse(std::string message);
  /// Members that were never asked for are an error: a typing mistake must not be a silent no.
  Status Finish();
  /// The first error so far; unknown members are none.
  Status status() const;

 private:
  const nlohmann::json* Find(std::string_view key);
  void Expected(std::string_view key, std::string_view what);

  const nlohmann::json& json_;
  const std::string reason_;
  const std::string what_;
  std::vector<std::string> known_;
  std::string problem_;
};

}  // namespace nearside::origin
