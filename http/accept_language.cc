#include "http/accept_language.h"

#include <algorithm>

#include "http/characters.h"
#include "http/field_list.h"
#include "http/weight.h"

namespace nearside::http {
namespace {

/// Browsers send less than ten.
constexpr size_t kMostLanguages = 32;
/// RFC 5646 §4.4.1.
constexpr size_t kLongestTag = 35;

bool IsLanguageRange(std::string_view text) {
  if (text == "*") return true;
  return !text.empty() && text.size() <= kLongestTag && IsAlpha(text.front()) &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return IsAlpha(c) || IsDigit(c) || c == '-' || c == '*'; });
}

/// RFC 4647 §3.3.1.
bool Covers(std::string_view range, std::string_view tag) {
  if (range == "*") return true;
  return tag.starts_with(range) && (tag.size() == range.size() || tag[range.size()] == '-');
}

}  // namespace

std::optional<AcceptLanguage> AcceptLanguage::Parse(const Fields& request) {
  AcceptLanguage asked;
  std::vector<Range>& ranges = asked.ranges_;
  for (const FieldLine& line : request.lines()) {
    if (line.name != "accept-language") continue;
    ListReader members(line.value);
    while (const auto member = members.Next()) {
      const WeightedMember weighted = SplitWeight(*member);
      if (!weighted.thousandths || !IsLanguageRange(weighted.value)) return std::nullopt;
      if (ranges.size() == kMostLanguages) return std::nullopt;
      ranges.push_back({.tag = LowerName(weighted.value), .thousandths = *weighted.thousandths});
    }
  }
  std::sort(ranges.begin(), ranges.end(), [](const Range& a, const Range& b) {
    return a.thousandths != b.thousandths ? a.thousandths > b.thousandths : a.tag < b.tag;
  });
  std::vector<Range> kept;
  for (const Range& range : ranges) {
    const bool again = std::any_of(kept.begin(), kept.end(),
                                   [&](const Range& other) { return other.tag == range.tag; });
    if (!again && (range.thousandths > 0 || asked.IsException(range))) kept.push_back(range);
  }
  ranges = std::move(kept);
  return ranges.empty() ? std::nullopt : std::optional(std::move(asked));
}

/// Without an accepted range that covers it, what is refused is like what is not named.
bool AcceptLanguage::IsException(const Range& refused) const {
  return std::any_of(ranges_.begin(), ranges_.end(), [&](const Range& range) {
    return range.thousandths > 0 && Covers(range.tag, refused.tag);
  });
}

std::string AcceptLanguage::ToText() const {
  // Ten ranks fit into steps of a tenth, and kMostLanguages into steps of a hundredth.
  size_t ranks = 1;
  for (size_t i = 1; i < ranges_.size(); ++i) {
    if (ranges_[i].thousandths != ranges_[i - 1].thousandths) ++ranks;
  }
  const int step = ranks <= 10 ? 100 : 10;
  int weight = 1000;
  std::string text;
  for (size_t i = 0; i < ranges_.size(); ++i) {
    const bool next_rank = i > 0 && ranges_[i].thousandths != ranges_[i - 1].thousandths;
    if (next_rank) weight = ranges_[i].thousandths == 0 ? 0 : weight - step;
    if (i > 0) text += ", ";
    text += ranges_[i].tag;
    if (weight < 1000) text += ";q=" + FormatWeight(weight);
  }
  return text;
}

std::string_view AcceptLanguage::first() const {
  const bool alone = ranges_.size() == 1 || ranges_[1].thousandths < ranges_[0].thousandths;
  return alone && ranges_[0].tag != "*" ? std::string_view(ranges_[0].tag) : std::string_view();
}

std::string SoleContentLanguage(const Fields& response) {
  std::string_view only;
  for (const FieldLine& line : response.lines()) {
    if (line.name != "content-language") continue;
    ListReader members(line.value);
    while (const auto member = members.Next()) {
      if (!only.empty()) return "";
      only = *member;
    }
  }
  return LowerName(only);
}

}  // namespace nearside::http
