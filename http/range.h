#pragma once

// Byte ranges (RFC 9110 §14): which bytes of a representation a request asks for, and how an answer
// says which it carries.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace nearside::http {

/// Both ends belong to it, as on the wire.
struct ByteRange {
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t size() const { return last - first + 1; }
  bool operator==(const ByteRange&) const = default;
};

enum class RangeOutcome {
  kIgnored,        ///< no valid bytes range, or one not worth honouring: answer 200 with the whole
  kSatisfiable,    ///< 206
  kUnsatisfiable,  ///< 416
};

struct RangeSelection {
  RangeOutcome outcome = RangeOutcome::kIgnored;
  std::vector<ByteRange> ranges;  ///< in the order asked for; not empty when satisfiable
  bool operator==(const RangeSelection&) const = default;
};

/// More ranges in one request than this are ignored: they cost more than they serve (RFC 9110
/// §17.15).
inline constexpr size_t kRangesInRequest = 32;

/// What a Range value means for a representation of `length` bytes. Another unit, bad syntax, too
/// many ranges, ranges that overlap more than once, and the last bytes of an empty representation:
/// ignored.
RangeSelection SelectRanges(std::string_view range, uint64_t length);

/// One range as it was asked for, before the length is known: "5-", "5-9" or "-3".
struct RangeSpec {
  std::optional<uint64_t> first;
  std::optional<uint64_t> last;  ///< without `first`: the length of a suffix
  bool operator==(const RangeSpec&) const = default;
};
/// nullopt for another unit or bad syntax.
std::optional<std::vector<RangeSpec>> ParseRange(std::string_view range);

/// RFC 9110 §14.4. Nothing for `range`: "bytes */1234"; nothing for `length`: "bytes 0-4/*".
struct ContentRange {
  std::optional<ByteRange> range;
  std::optional<uint64_t> length;
  bool operator==(const ContentRange&) const = default;
};
std::string FormatContentRange(const ContentRange& content_range);
/// nullopt for another unit, bad syntax, last before first, or last not below the length.
std::optional<ContentRange> ParseContentRange(std::string_view text);

}  // namespace nearside::http
