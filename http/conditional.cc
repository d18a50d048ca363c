#include "http/conditional.h"

#include "http/characters.h"
#include "http/date.h"

namespace nearside::http {

namespace {

using TagMatch = bool (*)(const EntityTag&, const EntityTag&);

enum class TagCondition { kAbsent, kMatches, kDiffers };

TagCondition MatchTags(const Fields& request, std::string_view name, const Validators& validators,
                       TagMatch match) {
  TagCondition condition = TagCondition::kAbsent;
  for (const FieldLine& line : request.lines()) {
    if (line.name != name) continue;
    condition = TagCondition::kDiffers;
    if (TrimSpace(line.value) == "*") {
      if (validators.exists) return TagCondition::kMatches;
      continue;
    }
    if (!validators.exists || !validators.etag) continue;
    EntityTagReader tags(line.value);
    while (const auto tag = tags.Next()) {
      if (match(*tag, *validators.etag)) return TagCondition::kMatches;
    }
  }
  return condition;
}

/// The date of a field that stands once; nullopt when there is none, two, or no valid one: all
/// ignored.
std::optional<WallTime> DateOf(const Fields& fields, std::string_view name, WallTime now) {
  std::optional<std::string_view> only;
  for (const FieldLine& line : fields.lines()) {
    if (line.name != name) continue;
    if (only) return std::nullopt;
    only = line.value;
  }
  return only ? ParseDate(*only, now) : std::nullopt;
}

/// RFC 9110 §13.2.2 steps 1 and 2. kNone: neither is there.
Precondition EvaluateMatch(const Fields& request, const Validators& validators, WallTime now) {
  switch (MatchTags(request, "if-match", validators, StrongMatch)) {
    case TagCondition::kMatches:
      return Precondition::kHolds;
    case TagCondition::kDiffers:
      return Precondition::kFailed;
    case TagCondition::kAbsent:
      break;
  }
  const auto since = DateOf(request, "if-unmodified-since", now);
  if (!since || !validators.last_modified) return Precondition::kNone;
  return *validators.last_modified <= *since ? Precondition::kHolds : Precondition::kFailed;
}

/// Steps 3 and 4.
Precondition EvaluateNoneMatch(bool reads, const Fields& request, const Validators& validators,
                               WallTime now) {
  switch (MatchTags(request, "if-none-match", validators, WeakMatch)) {
    case TagCondition::kMatches:
      return reads ? Precondition::kNotModified : Precondition::kFailed;
    case TagCondition::kDiffers:
      return Precondition::kHolds;
    case TagCondition::kAbsent:
      break;
  }
  const auto since = DateOf(request, "if-modified-since", now);
  const auto modified =
      validators.last_modified ? validators.last_modified : validators.in_its_place;
  if (!reads || !since || !modified) return Precondition::kNone;
  return *modified <= *since ? Precondition::kNotModified : Precondition::kHolds;
}

}  // namespace

Validators ValidatorsOf(const Fields& fields, WallTime now) {
  Validators validators;
  if (const auto etag = fields.Get("etag")) validators.etag = ParseEntityTag(*etag);
  validators.last_modified = DateOf(fields, "last-modified", now);
  validators.date = DateOf(fields, "date", now);
  return validators;
}

Precondition EvaluatePreconditions(std::string_view method, const Fields& request,
                                   const Validators& validators, WallTime now) {
  // RFC 9110 §13.2.1: these select no representation, so they have no preconditions.
  if (method == "CONNECT" || method == "OPTIONS" || method == "TRACE") return Precondition::kNone;
  const Precondition match = EvaluateMatch(request, validators, now);
  if (match == Precondition::kFailed) return match;
  const bool reads = method == "GET" || method == "HEAD";
  const Precondition none_match = EvaluateNoneMatch(reads, request, validators, now);
  return none_match == Precondition::kNone ? match : none_match;
}

bool IfRangeHolds(const Fields& request, const Validators& validators, WallTime now) {
  const auto value = request.Get("if-range");
  if (!value) return true;
  if (const auto tag = ParseEntityTag(*value)) {
    return validators.etag && StrongMatch(*tag, *validators.etag);
  }
  const auto date = ParseDate(TrimSpace(*value), now);
  if (!date || !validators.last_modified || *date != *validators.last_modified) return false;
  // RFC 9110 §8.8.2.2: the date must be strong. Where it is not known when the representation was
  // sent, now bounds it.
  return *validators.last_modified + seconds(1) <= validators.date.value_or(now);
}

}  // namespace nearside::http
