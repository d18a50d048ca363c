#include "edge/answer.h"

#include <algorithm>
#include <array>
#include <span>

#include "http/cache_status.h"
#include "http/conditional.h"
#include "http/field_list.h"
#include "http/range.h"

namespace nearside::edge {
namespace {

/// RFC 9110 §15.4.5: what a 304 carries of the 200 it stands for, and what caches on the way need.
constexpr std::array<std::string_view, 9> kNotModifiedFields = {
    "cache-control", "content-location", "date", "etag", "expires", "last-modified", "vary",
    "via",           "cdn-cache-control"};

/// What a refusal says of the representation. Nothing to cache it by: conditions and ranges are in
/// no cache's key, and with the response's freshness a 412 or 416 would stand for it on the way.
constexpr std::array<std::string_view, 3> kRefusalFields = {"date", "etag", "via"};

bool Describes(std::string_view name, int status) {
  const std::span<const std::string_view> fields =
      status == 304 ? std::span<const std::string_view>(kNotModifiedFields) : kRefusalFields;
  return std::find(fields.begin(), fields.end(), name) != fields.end();
}

/// What a 206 says of its own. A Content-Range has no meaning in what it is a part of (RFC 9110
/// §14.4), and would have one here.
bool IsOfThePart(std::string_view name) {
  return name == "content-length" || name == "content-range";
}

/// If-Range belongs to the range.
bool IsCondition(std::string_view name) {
  return name.starts_with("if-") && (name == "if-none-match" || name == "if-modified-since" ||
                                     name == "if-match" || name == "if-unmodified-since");
}

/// Applies a Range to `selection`, whose span is the whole.
void SelectRange(const http::RequestHead& request, const http::Validators& validators,
                 uint64_t body_bytes, WallTime now, Selection* selection) {
  const auto range = request.fields.Get("range");
  if (!range || request.method != "GET" || !IfRangeHolds(request.fields, validators, now)) return;
  const http::RangeSelection asked = http::SelectRanges(*range, body_bytes);
  if (asked.outcome == http::RangeOutcome::kUnsatisfiable) {
    selection->status = 416;
    selection->span = {};
    selection->content_range = http::FormatContentRange({.range = {}, .length = body_bytes});
  } else if (asked.outcome == http::RangeOutcome::kSatisfiable) {
    const http::ByteRange& first = asked.ranges.front();
    selection->status = 206;
    selection->span = {first.first, first.last + 1};
    if (asked.ranges.size() > 1) {
      selection->ranges = asked.ranges;
    } else {
      selection->content_range = http::FormatContentRange({.range = first, .length = body_bytes});
    }
  }
}

}  // namespace

Selection Select(const http::RequestHead& request, const StoredResponse& response,
                 std::optional<uint64_t> body_bytes, WallTime now) {
  Selection selection;
  selection.status = response.status;
  selection.span = {0, body_bytes.value_or(UINT64_MAX)};
  if (response.status != 200) return selection;
  const http::Fields& fields = request.fields;
  bool conditional = false;
  bool ranged = false;
  for (const http::FieldLine& line : fields.lines()) {  // in one look: most have neither
    conditional = conditional || IsCondition(line.name);
    ranged = ranged || (body_bytes && line.name == "range");
  }
  if (!conditional && !ranged) return selection;

  const http::Validators validators = http::ValidatorsOf(response.fields, now);
  if (conditional) {
    http::Validators since = validators;
    since.in_its_place = validators.date;
    switch (http::EvaluatePreconditions(request.method, fields, since, now)) {
      case http::Precondition::kNone:
      case http::Precondition::kHolds:
        break;
      case http::Precondition::kNotModified:
        return {.status = 304, .span = {}, .content_range = {}, .ranges = {}};
      case http::Precondition::kFailed:
        return {.status = 412, .span = {}, .content_range = {}, .ranges = {}};
    }
  }
  if (ranged) {
    http::Validators of_the_bytes = validators;
    // RFC 9110 §8.8.2.2: a date that all codings share is no strong validator of one.
    if (response.negotiated) of_the_bytes.last_modified.reset();
    SelectRange(request, of_the_bytes, *body_bytes, now, &selection);
  }
  return selection;
}

http::Fields PartialFields(const StoredResponse& response, const Selection& selection) {
  http::Fields fields;
  const bool part = selection.status == 206;
  for (const http::FieldLine& line : response.fields.lines()) {
    const bool keep = part ? !IsOfThePart(line.name) : Describes(line.name, selection.status);
    if (keep) fields.Add(line.name, line.value);
  }
  if (part) http::RemoveContentDigests(&fields);
  if (!selection.content_range.empty()) fields.Add("content-range", selection.content_range);
  if (selection.status == 304) return fields;
  fields.Add("content-length", std::to_string(selection.span.end - selection.span.first));
  if (!part) fields.Add("cache-control", "no-store");
  return fields;
}

http::Fields MultipartFields(const StoredResponse& response, const Multipart& layout) {
  http::Fields fields;
  for (const http::FieldLine& line : response.fields.lines()) {
    if (IsOfThePart(line.name) || line.name == "content-type") continue;
    fields.Add(line.name, line.value);
  }
  http::RemoveContentDigests(&fields);
  fields.Add("content-type", layout.content_type());
  fields.Add("content-length", std::to_string(layout.body_bytes()));
  return fields;
}

void AppendStatusLine(std::string_view edge, const StatusLine& line, std::string* out) {
  http::CacheStatus status{.cache = edge};
  const auto forward = ForwardOf(line.forwarded.value_or(line.reason));
  const ResultClass result = ClassOf(line.reason);
  status.hit = !forward && (result == ResultClass::kHit || result == ResultClass::kStale);
  status.forward = forward;
  if (forward && line.origin_status != 0) status.forward_status = line.origin_status;
  if (line.time_to_live) {
    status.ttl_seconds = std::chrono::floor<seconds>(*line.time_to_live).count();
  }
  status.stored = line.stored;
  status.collapsed = line.collapsed;
  status.key = line.key;
  // A plain hit and a plain miss need no further word.
  if (!line.detail.empty()) {
    status.detail = line.detail;
  } else if (line.reason != Reason::kFresh && line.reason != Reason::kUriMiss) {
    status.detail = ReasonName(line.reason);
  }
  http::AppendCacheStatus(status, out);
}

std::string ErrorText(int status, Reason reason, std::string_view explanation,
                      std::string_view request_id) {
  std::string text =
      std::to_string(status) + " " + std::string(http::ReasonPhrase(status)) + "\n\n";
  text += explanation;
  text += "\n\nreason: ";
  text += ReasonName(reason);
  text += "\nrequest: ";
  text += request_id;
  text += "\n";
  return text;
}

int StatusOf(Reason reason) {
  switch (reason) {
    case Reason::kOnlyIfCached:
    case Reason::kOriginTimeout:
      return 504;
    case Reason::kOriginUnreachable:
    case Reason::kOriginWrongName:
    case Reason::kOriginExpired:
    case Reason::kOriginUntrusted:
    case Reason::kOriginBroken:
    case Reason::kRetryBudget:
    case Reason::kNotSwitched:
      return 502;
    case Reason::kOriginFailed:
    case Reason::kTooManyTunnels:
      return 503;
    case Reason::kUnknownHost:
    case Reason::kWrongCertificate:
      return 421;
    case Reason::kCorsRefused:
      return 403;
    case Reason::kBadRequest:
      return 400;
    case Reason::kLoop:
      return 508;
    default:
      return 500;
  }
}

}  // namespace nearside::edge
