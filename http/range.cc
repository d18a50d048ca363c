#include "http/range.h"

#include <algorithm>
#include <limits>

#include "http/characters.h"
#include "http/field_list.h"

namespace nearside::http {

namespace {

constexpr std::string_view kUnit = "bytes";

/// Digits only; what does not fit is the largest number, which lies behind every representation's
/// end.
std::optional<uint64_t> ParsePosition(std::string_view text) {
  constexpr uint64_t kLargest = std::numeric_limits<uint64_t>::max();
  if (text.empty()) return std::nullopt;
  uint64_t value = 0;
  for (char c : text) {
    if (!IsDigit(c)) return std::nullopt;
    const auto digit = static_cast<uint64_t>(c - '0');
    value = value > (kLargest - digit) / 10 ? kLargest : value * 10 + digit;
  }
  return value;
}

std::optional<RangeSpec> ParseSpec(std::string_view text) {
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const std::string_view left = text.substr(0, dash);
  const std::string_view right = text.substr(dash + 1);
  const RangeSpec spec{ParsePosition(left), ParsePosition(right)};
  if ((!left.empty() && !spec.first) || (!right.empty() && !spec.last)) return std::nullopt;
  if (!spec.first && !spec.last) return std::nullopt;
  if (spec.first && spec.last && *spec.last < *spec.first) return std::nullopt;
  return spec;
}

std::optional<ByteRange> Resolve(const RangeSpec& spec, uint64_t length) {
  if (!spec.first) {
    const uint64_t suffix = std::min(*spec.last, length);
    if (suffix == 0) return std::nullopt;
    return ByteRange{length - suffix, length - 1};
  }
  if (*spec.first >= length) return std::nullopt;
  return ByteRange{*spec.first, std::min(spec.last.value_or(length - 1), length - 1)};
}

/// RFC 9110 §14.1.2: the last bytes of nothing are satisfiable, and no Content-Range could tell of
/// them.
bool IsAllOfNothing(const RangeSpec& spec, uint64_t length) {
  return length == 0 && !spec.first && *spec.last > 0;
}

size_t CountOverlaps(std::vector<ByteRange> ranges) {
  std::sort(ranges.begin(), ranges.end(),
            [](const ByteRange& a, const ByteRange& b) { return a.first < b.first; });
  size_t overlaps = 0;
  uint64_t end = 0;  // one behind the last byte so far
  for (const ByteRange& range : ranges) {
    if (range.first < end) ++overlaps;
    end = std::max(end, range.last + 1);
  }
  return overlaps;
}

}  // namespace

std::optional<std::vector<RangeSpec>> ParseRange(std::string_view range) {
  const size_t equals = range.find('=');
  if (equals == std::string_view::npos) return std::nullopt;
  if (!EqualsIgnoringCase(range.substr(0, equals), kUnit)) return std::nullopt;
  std::vector<RangeSpec> specs;
  ListReader members(range.substr(equals + 1));
  while (const auto member = members.Next()) {
    const auto spec = ParseSpec(*member);
    if (!spec) return std::nullopt;
    specs.push_back(*spec);
  }
  if (specs.empty()) return std::nullopt;
  return specs;
}

RangeSelection SelectRanges(std::string_view range, uint64_t length) {
  const auto specs = ParseRange(range);
  if (!specs || specs->size() > kRangesInRequest) return {};
  RangeSelection selection{RangeOutcome::kUnsatisfiable, {}};
  for (const RangeSpec& spec : *specs) {
    // RFC 9110 §14.2 lets a server ignore Range where there is no content.
    if (IsAllOfNothing(spec, length)) return {};
    if (const auto resolved = Resolve(spec, length)) selection.ranges.push_back(*resolved);
  }
  if (selection.ranges.empty()) return selection;
  // RFC 9110 §14.2 lets a server ignore more than two overlapping ranges.
  if (CountOverlaps(selection.ranges) > 1) return {};
  selection.outcome = RangeOutcome::kSatisfiable;
  return selection;
}

std::string FormatContentRange(const ContentRange& content_range) {
  std::string text(kUnit);
  text += ' ';
  if (content_range.range) {
    text += std::to_string(content_range.range->first) + "-" +
            std::to_string(content_range.range->last);
  } else {
    text += '*';
  }
  return text + "/" + (content_range.length ? std::to_string(*content_range.length) : "*");
}

std::optional<ContentRange> ParseContentRange(std::string_view text) {
  const size_t space = text.find(' ');
  const size_t slash = text.find('/');
  if (space == std::string_view::npos || slash == std::string_view::npos || slash < space) {
    return std::nullopt;
  }
  if (!EqualsIgnoringCase(text.substr(0, space), kUnit)) return std::nullopt;
  const std::string_view range = text.substr(space + 1, slash - space - 1);
  const std::string_view length = text.substr(slash + 1);
  ContentRange result;
  if (length != "*") {
    result.length = ParsePosition(length);
    if (!result.length) return std::nullopt;
  }
  if (range == "*") return result.length ? std::optional(result) : std::nullopt;
  const auto spec = ParseSpec(range);
  if (!spec || !spec->first || !spec->last) return std::nullopt;
  if (result.length && *spec->last >= *result.length) return std::nullopt;
  if (*spec->last == std::numeric_limits<uint64_t>::max()) return std::nullopt;
  result.range = ByteRange{*spec->first, *spec->last};
  return result;
}

}  // namespace nearside::http
