#pragma once

// A shared cache's decisions told a second time: from the text of RFC 9111, 5861 and 9213, and
// where they leave a choice from docs/decisions/caching.md, without a line of edge/policy or http/.
// Only the names of the reasons are the product's. policy_model_test.cc compares the two.
//
// Times are milliseconds since 1970, spans are milliseconds.

#include <set>

#include "edge/reason.h"
#include "tests/edge/model_text.h"

namespace nearside::edge::model {

/// What a site says.
struct Choices {
  int64_t default_ttl = 0;
  int64_t negative_ttl = 0;
  int64_t stale_while_revalidate = 0;
  int64_t stale_if_error = 0;
  int64_t keep = 0;
  bool stores_cookies = false;
};

/// A GET and its answer.
struct Exchange {
  bool hashed_name = false;  ///< of a file whose name changes with its content
  Lines request;
  int status = 200;
  Lines response;
  int64_t request_time = 0;
  int64_t response_time = 0;
  Choices site;
};

/// How long a response may be used, and how.
struct Terms {
  int64_t received = 0;
  int64_t initial_age = 0;
  int64_t lifetime = 0;
  int64_t while_revalidate = 0;
  int64_t if_error = 0;
  bool never_stale = false;  ///< must-revalidate, proxy-revalidate, s-maxage
  bool validate_always = false;
  bool guessed = false;
  bool has_validator = false;

  int64_t Age(int64_t now) const;
};

struct Storing {
  /// Each reason that forbids it. Empty: it is stored.
  std::set<Reason> forbidden;
  /// Something in the response itself forbids it, and will the next time.
  bool for_nobody = false;
  Terms terms;
  int64_t drop_at = 0;
};
Storing Store(const Exchange& exchange);

/// The value of a Date that was not there.
inline constexpr std::string_view kTimeOfArrival = "(time of arrival)";

/// What is kept of a response, or passed on of one that is not stored.
struct Kept {
  int status = 0;
  Lines fields;
  Lines own_control;  ///< Nearside-Cache-Control, which nobody gets
  Terms terms;
};
Kept Keep(const Exchange& exchange, const Storing& storing, const std::string& via);
/// What only the one who asked gets.
Lines Withheld(const Exchange& exchange);

enum class Action { kServe, kServeAndValidate, kValidate };
struct Using {
  Action action = Action::kServe;
  std::set<Reason> reasons;  ///< one of these is to be named
};
Using Use(const Lines& request, const Terms& terms, bool soft_purged, int64_t now);
bool MayServeStaleOnError(const Lines& request, const Terms& terms, bool soft_purged, int64_t now);

/// What a 304 makes of what is kept.
struct Freshening {
  bool about = true;  ///< false: it speaks of another response, and validates nothing
  Storing storing;
  Kept kept;
};
Freshening Freshen(const Kept& old, const Exchange& not_modified, const std::string& via);

}  // namespace nearside::edge::model
