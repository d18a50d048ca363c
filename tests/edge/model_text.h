#pragma once

// How the model of a cache (cache_model.h) reads fields: slowly, plainly, and without a line of
// what http/ does.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace nearside::edge::model {

using Line = std::pair<std::string, std::string>;  ///< name in lower case, value
using Lines = std::vector<Line>;

/// In milliseconds.
inline constexpr int64_t kSecond = 1000;

/// 2^31: what a delta-seconds that is too large means (RFC 9111 §1.2.2).
inline constexpr int64_t kForever = 2147483648;

bool HasField(const Lines& lines, std::string_view name);
/// Nothing when the field is absent.
std::optional<std::string> FirstValue(const Lines& lines, std::string_view name);
std::string JoinedValue(const Lines& lines, std::string_view name);
Lines Without(const Lines& lines, const std::vector<std::string>& names);

std::string Lowered(std::string_view text);
std::string Trimmed(std::string_view text);
bool IsTokenText(std::string_view text);
/// RFC 9110 §5.6.1: what stands between commas, outside of quotes, without empty members. A quote
/// that is not closed goes to the end.
std::vector<std::string> ListMembers(std::string_view value);

/// RFC 9111 §1.2.2, in seconds.
std::optional<int64_t> DeltaSeconds(std::string_view text);
/// RFC 9110 §5.6.7, in milliseconds since 1970.
std::optional<int64_t> DateMillis(std::string_view text, int64_t now_ms);
/// The date of a field's first line.
std::optional<int64_t> FirstDate(const Lines& lines, std::string_view name, int64_t now_ms);

/// An entity tag as it is compared: RFC 9110 §8.8.3.
struct Tag {
  bool weak = false;
  std::string opaque;
};
std::optional<Tag> TagOf(const Lines& lines);
std::optional<Tag> TagIn(std::string_view text);

/// One cache directive.
struct Directive {
  std::string name;                    ///< in lower case
  bool has_argument = false;           ///< sound or not
  std::optional<std::string> number;   ///< where a delta-seconds may be read from
  std::optional<std::string> members;  ///< where field names may be read from
};

/// The directives of a Cache-Control field, or of a targeted one.
class Directives {
 public:
  explicit Directives(std::vector<Directive> list) : list_(std::move(list)) {}

  bool Has(std::string_view name) const;
  /// One value for each time that it is there; nothing for an argument that is none.
  std::vector<std::optional<int64_t>> Seconds(std::string_view name) const;
  /// The field names that no-cache or private limits itself to.
  std::vector<std::string> FieldNames(std::string_view name) const;
  /// Whether it is there without naming fields: an argument that is more or less than a list of
  /// names leaves the stricter meaning.
  bool IsUnqualified(std::string_view name) const;

 private:
  std::vector<Directive> list_;
};

/// RFC 9111 §5.2.
Directives CacheControlOf(const Lines& lines);
/// RFC 9213 §2.1. Nothing when it is absent, empty or no dictionary.
std::optional<Directives> TargetedOf(const Lines& lines, std::string_view name);

}  // namespace nearside::edge::model
