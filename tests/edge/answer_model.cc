#include "tests/edge/answer_model.h"

#include <algorithm>

namespace nearside::edge::model {
namespace {

size_t CountOf(const Lines& lines, std::string_view name) {
  return static_cast<size_t>(std::count_if(
      lines.begin(), lines.end(), [name](const Line& line) { return line.first == name; }));
}

/// A field that is one date: of two lines, or a list of them, neither counts (RFC 9110 §13.1.3,
/// §13.1.4).
std::optional<int64_t> SoleDate(const Lines& lines, std::string_view name, int64_t now) {
  return CountOf(lines, name) == 1 ? FirstDate(lines, name, now) : std::nullopt;
}

// ---- RFC 9110 §13

/// Of If-Match and If-None-Match: whether "*" or one of the tags is the representation's.
bool ListsTag(const Lines& request, std::string_view name, const std::optional<Tag>& ours,
              bool strongly) {
  for (const Line& line : request) {
    // Beside others it is neither this nor a tag.
    if (line.first == name && Trimmed(line.second) == "*") return true;
  }
  for (const std::string& member : ListMembers(JoinedValue(request, name))) {
    const auto theirs = TagIn(member);
    if (!theirs || !ours || theirs->opaque != ours->opaque) continue;
    // §8.8.3.2.
    if (!strongly || (!theirs->weak && !ours->weak)) return true;
  }
  return false;
}

/// §13.2.2, steps 1 and 2. They are for origins; docs/conformance.md says why they are answered
/// here.
bool IsStillWanted(const Lines& request, const Representation& ours, int64_t now) {
  if (HasField(request, "if-match")) {
    return ListsTag(request, "if-match", TagOf(ours.fields), /*strongly=*/true);
  }
  const auto since = SoleDate(request, "if-unmodified-since", now);
  const auto modified = SoleDate(ours.fields, "last-modified", now);
  return !since || !modified || *modified <= *since;
}

/// Steps 3 and 4.
bool HasItAlready(const Lines& request, const Representation& ours, int64_t now) {
  if (HasField(request, "if-none-match")) {
    return ListsTag(request, "if-none-match", TagOf(ours.fields), /*strongly=*/false);
  }
  const auto since = SoleDate(request, "if-modified-since", now);
  if (!since) return false;
  // RFC 9111 §4.3.2: a date stands for the one that is missing.
  auto modified = SoleDate(ours.fields, "last-modified", now);
  if (!modified) modified = SoleDate(ours.fields, "date", now);
  return modified && *modified <= *since;
}

/// §13.1.5.
bool RangeCounts(const Lines& request, const Representation& ours, int64_t now) {
  const auto condition = FirstValue(request, "if-range");
  if (!condition) return true;
  if (condition->substr(0, 3).find('"') != std::string::npos) {
    const auto theirs = TagIn(*condition);
    const auto tag = TagOf(ours.fields);
    return theirs && tag && !theirs->weak && !tag->weak && theirs->opaque == tag->opaque;
  }
  const auto theirs = DateMillis(*condition, now);
  const auto modified = SoleDate(ours.fields, "last-modified", now);
  if (!theirs || !modified || *theirs != *modified) return false;
  // §8.8.2.2: a strong one, by the Date that it was sent with.
  const auto date = SoleDate(ours.fields, "date", now);
  return *modified + kSecond <= date.value_or(now);
}

// ---- RFC 9110 §14

struct RangeSpec {
  std::string first;
  std::string last;
};

bool IsNumber(const std::string& text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string::npos;
}

/// Compares numbers of any length.
bool IsLess(std::string a, std::string b) {
  a.erase(0, std::min(a.find_first_not_of('0'), a.size()));
  b.erase(0, std::min(b.find_first_not_of('0'), b.size()));
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

/// §14.1.1. Nothing: it is invalid, or of another unit.
std::optional<std::vector<RangeSpec>> SpecsOf(const std::string& value) {
  const size_t equals = value.find('=');
  if (equals == std::string::npos || Lowered(value.substr(0, equals)) != "bytes") {
    return std::nullopt;
  }
  std::vector<RangeSpec> specs;
  for (const std::string& member : ListMembers(value.substr(equals + 1))) {
    const size_t dash = member.find('-');
    if (dash == std::string::npos) return std::nullopt;
    RangeSpec spec{.first = member.substr(0, dash), .last = member.substr(dash + 1)};
    const bool is_int = IsNumber(spec.first) && (spec.last.empty() || IsNumber(spec.last));
    const bool is_suffix = spec.first.empty() && IsNumber(spec.last);
    if (!is_int && !is_suffix) return std::nullopt;
    if (is_int && !spec.last.empty() && IsLess(spec.last, spec.first)) return std::nullopt;
    specs.push_back(std::move(spec));
  }
  if (specs.empty()) return std::nullopt;
  return specs;
}

/// §14.1.2.
bool IsSatisfiable(const RangeSpec& spec, uint64_t body_bytes) {
  if (spec.first.empty()) return IsLess("0", spec.last);
  return IsLess(spec.first, std::to_string(body_bytes));
}

/// Of a satisfiable one, of a body that is not empty.
Part PartOf(const RangeSpec& spec, uint64_t body_bytes) {
  const std::string all = std::to_string(body_bytes);
  if (spec.first.empty()) {
    const uint64_t wanted = IsLess(spec.last, all) ? std::stoull(spec.last) : body_bytes;
    return {.first = body_bytes - wanted, .last = body_bytes - 1};
  }
  const bool to_end = spec.last.empty() || !IsLess(spec.last, all);
  return {.first = std::stoull(spec.first),
          .last = to_end ? body_bytes - 1 : std::stoull(spec.last)};
}

/// §14.2: more than two ranges that overlap, or more than the edge honours.
bool MayBeIgnored(const std::vector<Part>& parts, size_t asked) {
  constexpr size_t kMost = 32;
  size_t overlapping = 0;
  for (size_t i = 0; i < parts.size(); ++i) {
    bool overlaps = false;
    for (size_t j = 0; j < parts.size(); ++j) {
      overlaps |= i != j && parts[i].first <= parts[j].last && parts[j].first <= parts[i].last;
    }
    overlapping += overlaps ? 1 : 0;
  }
  return overlapping > 2 || asked > kMost;
}

Answering AnswerRange(const std::string& value, uint64_t body_bytes) {
  const auto specs = SpecsOf(value);
  if (!specs) return {};
  Answering answering{.status = 416, .parts = {}};
  for (const RangeSpec& spec : *specs) {
    if (!IsSatisfiable(spec, body_bytes)) continue;
    if (body_bytes == 0) return {};  // no Content-Range tells of no bytes
    answering.status = 206;
    answering.parts.push_back(PartOf(spec, body_bytes));
  }
  answering.or_whole = MayBeIgnored(answering.parts, specs->size());
  return answering;
}

}  // namespace

Answering Answer(const std::string& method, const Lines& request,
                 const Representation& representation, int64_t now) {
  // RFC 9111 §4.3.2, RFC 9110 §13.2.1, §14.2: conditions and ranges are of a 200.
  if (representation.status != 200) return {.status = representation.status, .parts = {}};
  if (!IsStillWanted(request, representation, now)) return {.status = 412, .parts = {}};
  if (HasItAlready(request, representation, now)) return {.status = 304, .parts = {}};
  const auto range = FirstValue(request, "range");
  if (method != "GET" || !range || !RangeCounts(request, representation, now)) return {};
  return AnswerRange(*range, representation.body_bytes);
}

std::string ContentRangeOf(const Answering& answering, uint64_t body_bytes) {
  const std::string length = "/" + std::to_string(body_bytes);
  if (answering.status == 416) return "bytes *" + length;
  if (answering.status != 206 || answering.parts.size() != 1) return "";
  const Part& part = answering.parts.front();
  return "bytes " + std::to_string(part.first) + "-" + std::to_string(part.last) + length;
}

bool IsSentWith(const Answering& answering, std::string_view name) {
  if (answering.status == 206) {
    // A multipart has a type of its own; lengths, positions and digests are those of the part.
    if (name == "content-type") return answering.parts.size() == 1;
    return name != "content-length" && name != "content-range" && name != "content-digest";
  }
  return answering.status == 304 &&
         (name == "cache-control" || name == "content-location" || name == "date" ||
          name == "etag" || name == "expires" || name == "vary");
}

}  // namespace nearside::edge::model
