#pragma once

// Conditional requests (RFC 9110 §13): which answer the preconditions of a request lead to, given
// the validators of what we have.

#include <optional>
#include <string_view>

#include "http/etag.h"
#include "http/fields.h"
#include "runtime/clock.h"

namespace nearside::http {

/// What we know of the selected representation.
struct Validators {
  bool exists = true;  ///< false: there is no current representation (matters for "*")
  std::optional<EntityTag> etag;
  std::optional<WallTime> last_modified;
  /// In a cache, of a response without Last-Modified: the date that If-Modified-Since is compared
  /// with in its place (RFC 9111 §4.3.2).
  std::optional<WallTime> in_its_place;
  /// When the representation was sent, if known: a Last-Modified at least a second older than it is
  /// strong (RFC 9110 §8.8.2.2).
  std::optional<WallTime> date;
};

/// ETag, Last-Modified and Date of a response. `fields` must outlive the result.
Validators ValidatorsOf(const Fields& fields, WallTime now);

enum class Precondition {
  kNone,         ///< the request has none that applies
  kHolds,        ///< answer as if there were none
  kNotModified,  ///< 304
  kFailed,       ///< 412
};

/// Evaluates If-Match, If-Unmodified-Since, If-None-Match and If-Modified-Since in the order of
/// precedence of RFC 9110 §13.2.2, for a request that would be answered 2xx otherwise. Methods
/// other than GET and HEAD get kFailed where those get kNotModified.
Precondition EvaluatePreconditions(std::string_view method, const Fields& request,
                                   const Validators& validators, WallTime now);

/// Whether a Range of the request counts: true without If-Range, and when it matches strongly
/// (RFC 9110 §13.1.5).
bool IfRangeHolds(const Fields& request, const Validators& validators, WallTime now);

}  // namespace nearside::http
