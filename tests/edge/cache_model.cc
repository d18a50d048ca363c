#include "tests/edge/cache_model.h"

#include <algorithm>

namespace nearside::edge::model {
namespace {

constexpr int64_t kDay = 86'400 * kSecond;

/// What governs a response: RFC 9213 §2.2. Of a targeted field that is valid nothing else counts.
struct Control {
  Directives directives;
  bool targeted = false;
};

Control ControlOf(const Lines& response) {
  for (const char* target : {"nearside-cache-control", "cdn-cache-control"}) {
    if (auto directives = TargetedOf(response, target)) return {std::move(*directives), true};
  }
  return {CacheControlOf(response), false};
}

/// RFC 9111 §4.2.1: of two, the shorter (first or stale would both do); a bad one is stale.
std::optional<int64_t> Lifetime(const Directives& directives, std::string_view name) {
  std::optional<int64_t> shortest;
  for (const auto& value : directives.Seconds(name)) {
    const int64_t seconds = value.value_or(0);
    shortest = shortest ? std::min(*shortest, seconds) : seconds;
  }
  return shortest;
}

/// Of what allows more: a bad one is none, and of two the shorter.
std::optional<int64_t> Allowance(const Directives& directives, std::string_view name) {
  std::optional<int64_t> shortest;
  for (const auto& value : directives.Seconds(name)) {
    if (value) shortest = shortest ? std::min(*shortest, *value) : *value;
  }
  return shortest;
}

/// RFC 9110 §15.1.
bool IsHeuristic(int status) {
  const std::set<int> statuses = {200, 203, 204, 206, 300, 301, 308, 404, 405, 410, 414, 501};
  return statuses.count(status) > 0;
}

/// Those that a site's negative_ttl is for.
bool IsNegative(int status) {
  const std::set<int> statuses = {404, 405, 410, 414, 501};
  return statuses.count(status) > 0;
}

/// RFC 9111 §3: those of which the edge claims to know what caches are to do with them.
bool IsUnderstood(int status) {
  const std::set<int> beyond = {307, 308, 421, 422, 426, 428, 429, 431, 451, 511};
  return status == 200 || status == 203 || status == 204 || (status >= 300 && status <= 303) ||
         (status >= 400 && status <= 417) || (status >= 500 && status <= 505) ||
         beyond.count(status) > 0;
}

bool HasExplicitLifetime(const Control& control, const Lines& response) {
  return control.directives.Has("s-maxage") || control.directives.Has("max-age") ||
         (!control.targeted && HasField(response, "expires"));
}

/// §4.2.3.
int64_t InitialAge(const Exchange& exchange) {
  const auto date = FirstDate(exchange.response, "date", exchange.response_time);
  const int64_t apparent = date ? std::max<int64_t>(0, exchange.response_time - *date) : 0;
  int64_t age_value = 0;
  if (const auto age = FirstValue(exchange.response, "age")) {
    // §5.1: the first member of a list; what is no number is ignored.
    const std::string first = Trimmed(age->substr(0, age->find(',')));
    age_value = DeltaSeconds(first).value_or(0) * kSecond;
  }
  const int64_t delay = std::max<int64_t>(0, exchange.response_time - exchange.request_time);
  return std::max(apparent, age_value + delay);
}

/// §4.2.2 and the site's choices, in milliseconds.
int64_t GuessedLifetime(const Exchange& exchange, int64_t date) {
  if (IsNegative(exchange.status)) return exchange.site.negative_ttl;
  const auto modified = FirstDate(exchange.response, "last-modified", exchange.response_time);
  if (!modified) return exchange.site.default_ttl;
  return std::min(kDay, std::max<int64_t>(0, date - *modified) / 10);
}

/// §4.2.1. A length of time: what expired before it was made was never fresh, no more than that.
void SetLifetime(const Exchange& exchange, const Control& control, Terms* terms) {
  const Lines& response = exchange.response;
  const int64_t date =
      FirstDate(response, "date", exchange.response_time).value_or(exchange.response_time);
  if (const auto shared = Lifetime(control.directives, "s-maxage")) {
    terms->lifetime = *shared * kSecond;
  } else if (const auto any = Lifetime(control.directives, "max-age")) {
    terms->lifetime = *any * kSecond;
  } else if (!control.targeted && HasField(response, "expires")) {
    const auto expires = FirstDate(response, "expires", exchange.response_time);
    terms->lifetime = expires ? std::max<int64_t>(0, *expires - date) : 0;
  } else {
    terms->guessed = true;
    terms->lifetime = GuessedLifetime(exchange, date);
  }
}

std::vector<std::string> WithheldNames(const Control& control) {
  std::vector<std::string> names = control.directives.FieldNames("private");
  const std::vector<std::string> more = control.directives.FieldNames("no-cache");
  names.insert(names.end(), more.begin(), more.end());
  return names;
}

Terms TermsOf(const Exchange& exchange, const Control& control) {
  const Directives& directives = control.directives;
  const Lines stored = Without(exchange.response, WithheldNames(control));
  Terms terms;
  terms.received = exchange.response_time;
  terms.initial_age = InitialAge(exchange);
  SetLifetime(exchange, control, &terms);
  const auto window = [&directives](std::string_view name, int64_t site) {
    const auto own = Allowance(directives, name);
    return own ? *own * kSecond : site;
  };
  terms.while_revalidate = window("stale-while-revalidate", exchange.site.stale_while_revalidate);
  terms.if_error = window("stale-if-error", exchange.site.stale_if_error);
  // It comes back with the next release.
  if (exchange.hashed_name && (exchange.status == 404 || exchange.status == 410)) {
    terms.lifetime = std::min(terms.lifetime, exchange.site.negative_ttl);
    terms.while_revalidate = terms.if_error = 0;
  }
  terms.never_stale = directives.Has("must-revalidate") || directives.Has("proxy-revalidate") ||
                      directives.Has("s-maxage");
  terms.validate_always = directives.IsUnqualified("no-cache");
  terms.has_validator = HasField(stored, "etag") || HasField(stored, "last-modified");
  return terms;
}

/// When nothing can be done with it any more.
int64_t DropAt(const Terms& terms, const Choices& site) {
  int64_t span = terms.lifetime;
  if (!terms.never_stale && !terms.validate_always) {
    span += std::max(terms.while_revalidate, terms.if_error);
  }
  if (terms.has_validator) span += site.keep;
  return terms.received + span - terms.initial_age;
}

/// Whether it could be used without an outage: fresh when it was sent, while it is validated, or to
/// be validated.
bool IsOfUse(const Exchange& exchange, const Terms& terms, int64_t drop_at) {
  if (drop_at <= terms.received) return false;
  if (terms.has_validator) return true;
  if (terms.validate_always) return false;
  const int64_t span = terms.lifetime + (terms.never_stale ? 0 : terms.while_revalidate);
  const int64_t delay = std::max<int64_t>(0, exchange.response_time - exchange.request_time);
  return terms.initial_age - delay < span;
}

/// What Vary forbids: "*", and fields of which every client has another that we write.
bool VaryForbids(const Lines& response) {
  for (const std::string& member : ListMembers(JoinedValue(response, "vary"))) {
    const std::string name = Lowered(member);
    if (name == "*" || name == "forwarded" || name == "x-forwarded-for" || name == "via" ||
        name == "cdn-loop" || name == "x-request-id") {
      return true;
    }
  }
  return false;
}

/// §3, but for what depends on the request.
std::set<Reason> ForbiddenByResponse(const Exchange& exchange, const Control& control) {
  const Directives& directives = control.directives;
  const int status = exchange.status;
  std::set<Reason> forbidden;
  const bool understands = directives.Has("must-understand") && IsUnderstood(status);
  if (status < 200 || status == 304) forbidden.insert(Reason::kUncacheableStatus);
  if (directives.Has("must-understand") && !understands) {
    forbidden.insert(Reason::kUncacheableStatus);
  }
  if (directives.Has("no-store") && !understands) forbidden.insert(Reason::kNoStore);
  if (directives.IsUnqualified("private")) forbidden.insert(Reason::kPrivate);
  if (HasField(exchange.response, "set-cookie") && !exchange.site.stores_cookies) {
    forbidden.insert(Reason::kSetCookie);
  }
  const bool cacheable = directives.Has("public") || IsHeuristic(status) ||
                         HasExplicitLifetime(control, exchange.response);
  if (!cacheable) forbidden.insert(Reason::kUncacheableStatus);
  if (VaryForbids(exchange.response)) forbidden.insert(Reason::kVaryStar);
  return forbidden;
}

/// A cookie is in no key: without the origin's word, or the site's, what was made for one is for
/// nobody else.
bool MayBeForOneVisitor(const Exchange& exchange, const Control& control, const Terms& terms) {
  if (!HasField(exchange.request, "cookie") || control.directives.Has("public")) return false;
  if (terms.validate_always || terms.lifetime == 0) return true;
  return terms.guessed && exchange.site.default_ttl == 0;
}

/// Without what caches tell each other and what belongs to one proxy.
Lines Passed(const Exchange& exchange, bool stored) {
  std::vector<std::string> out = {"age", "surrogate-key", "cache-tag", "nearside-cache-control"};
  if (stored) {
    // RFC 9111 §3.1.
    for (const char* name :
         {"proxy-authenticate", "proxy-authentication-info", "proxy-authorization"}) {
      out.emplace_back(name);
    }
    for (const std::string& name : WithheldNames(ControlOf(exchange.response))) out.push_back(name);
  }
  return Without(exchange.response, out);
}

}  // namespace

int64_t Terms::Age(int64_t now) const { return initial_age + std::max<int64_t>(0, now - received); }

Storing Store(const Exchange& exchange) {
  const Control control = ControlOf(exchange.response);
  Storing storing;
  storing.terms = TermsOf(exchange, control);
  storing.drop_at = DropAt(storing.terms, exchange.site);
  storing.forbidden = ForbiddenByResponse(exchange, control);
  if (storing.forbidden.empty() && !IsOfUse(exchange, storing.terms, storing.drop_at)) {
    storing.forbidden.insert(Reason::kNoFreshness);
  }
  // RFC 5861 §4: failures that pass.
  const std::set<int> passing = {500, 502, 503, 504};
  const bool is_requests =
      exchange.status >= 400 && exchange.status <= 499 && !IsHeuristic(exchange.status);
  storing.for_nobody =
      !storing.forbidden.empty() && passing.count(exchange.status) == 0 && !is_requests;
  if (storing.forbidden.empty() && MayBeForOneVisitor(exchange, control, storing.terms)) {
    storing.forbidden.insert(Reason::kCookie);
    storing.for_nobody = true;
  }
  if (CacheControlOf(exchange.request).Has("no-store")) storing.forbidden.insert(Reason::kNoStore);
  // §3.5.
  const bool allowed = control.directives.Has("public") || control.directives.Has("s-maxage") ||
                       control.directives.Has("must-revalidate");
  if (HasField(exchange.request, "authorization") && !allowed) {
    storing.forbidden.insert(Reason::kAuthorization);
  }
  return storing;
}

Kept Keep(const Exchange& exchange, const Storing& storing, const std::string& via) {
  Kept kept;
  kept.status = exchange.status;
  kept.fields = Passed(exchange, storing.forbidden.empty());
  if (!HasField(kept.fields, "date")) kept.fields.emplace_back("date", kTimeOfArrival);
  kept.fields.emplace_back("via", via);
  for (const Line& line : exchange.response) {
    if (line.first == "nearside-cache-control") kept.own_control.push_back(line);
  }
  kept.terms = storing.terms;
  return kept;
}

Lines Withheld(const Exchange& exchange) {
  const std::vector<std::string> names = WithheldNames(ControlOf(exchange.response));
  Lines withheld;
  for (const Line& line : exchange.response) {
    if (std::find(names.begin(), names.end(), line.first) != names.end()) withheld.push_back(line);
  }
  return withheld;
}

Using Use(const Lines& request, const Terms& terms, bool soft_purged, int64_t now) {
  const Directives asked = CacheControlOf(request);
  const int64_t age = terms.Age(now);
  const int64_t left = terms.lifetime - age;
  const auto oldest = Lifetime(asked, "max-age");
  std::set<Reason> against;
  if (terms.validate_always) against.insert(Reason::kResponseNoCache);
  if (soft_purged) against.insert(Reason::kSoftPurged);
  if (asked.Has("no-cache")) against.insert(Reason::kRequestNoCache);
  // RFC 9111 §5.4: for those who do not know Cache-Control.
  if (!HasField(request, "cache-control")) {
    for (const std::string& member : ListMembers(JoinedValue(request, "pragma"))) {
      if (Lowered(member) == "no-cache") against.insert(Reason::kRequestNoCache);
    }
  }
  // §5.2.1.1, §5.2.1.3.
  if (oldest && age > *oldest * kSecond) against.insert(Reason::kRequestMaxAge);
  for (const auto& fresh_for : asked.Seconds("min-fresh")) {
    if (fresh_for && left < *fresh_for * kSecond) against.insert(Reason::kRequestMaxAge);
  }
  if (!against.empty()) return {Action::kValidate, against};
  if (left > 0) return {Action::kServe, {Reason::kFresh}};
  // Stale. RFC 9111 §4.2.4: the response's word counts first, then the client's.
  if (terms.never_stale) return {Action::kValidate, {Reason::kExpired}};
  const auto staleness = Allowance(asked, "max-stale");
  if (staleness && -left <= *staleness * kSecond) return {Action::kServe, {Reason::kMaxStale}};
  // A client that names an age, or how stale it may be, wants nothing staler.
  if (staleness) return {Action::kValidate, {Reason::kExpired}};
  if (oldest) return {Action::kValidate, {Reason::kExpired, Reason::kRequestMaxAge}};
  // RFC 5861 §3.
  if (-left < terms.while_revalidate) {
    return {Action::kServeAndValidate, {Reason::kStaleWhileRevalidate}};
  }
  return {Action::kValidate, {Reason::kExpired}};
}

bool MayServeStaleOnError(const Lines& request, const Terms& terms, bool soft_purged, int64_t now) {
  if (terms.validate_always) return false;
  const int64_t staleness = terms.Age(now) - terms.lifetime;
  if (staleness < 0 && !soft_purged) return true;
  if (terms.never_stale) return false;
  // RFC 5861 §4: of the response and the request, whichever allows more.
  const int64_t asked = Allowance(CacheControlOf(request), "stale-if-error").value_or(0) * kSecond;
  return staleness < std::max(terms.if_error, asked);
}

// ---- RFC 9111 §4.3.4

namespace {

std::set<std::string> VaryNames(const Lines& lines) {
  std::set<std::string> names;
  for (const std::string& member : ListMembers(JoinedValue(lines, "vary"))) {
    names.insert(Lowered(member));
  }
  return names;
}

/// Of a field that stands twice neither line is to be believed.
std::optional<int64_t> OnlyDate(const Lines& lines, std::string_view name, int64_t now) {
  const auto is_it = [name](const Line& line) { return line.first == name; };
  if (std::count_if(lines.begin(), lines.end(), is_it) != 1) return std::nullopt;
  return FirstDate(lines, name, now);
}

/// Whether a 304 speaks of what is kept. It was asked about this one response alone, so one
/// without validators does.
bool IsAbout(const Lines& kept, const Lines& not_modified, int64_t now) {
  const auto ours = TagOf(kept);
  const auto theirs = TagOf(not_modified);
  if (ours && theirs) return ours->opaque == theirs->opaque;
  const auto our_date = OnlyDate(kept, "last-modified", now);
  const auto their_date = OnlyDate(not_modified, "last-modified", now);
  if (their_date) return our_date == their_date;
  return !theirs;
}

/// §3.2: but for what tells of the body that we have, and what is never stored.
Lines Updated(const Kept& old, const Exchange& not_modified) {
  std::vector<std::string> stay = {"content-length", "content-encoding", "content-type",
                                   "content-language", "content-range"};
  // A tag that differs in strength alone is of the other one's bytes.
  if (HasField(old.fields, "etag")) stay.emplace_back("etag");
  Lines fresh = Without(not_modified.response, stay);
  if (!HasField(fresh, "date")) fresh.emplace_back("date", kTimeOfArrival);
  std::vector<std::string> replaced;
  for (const Line& line : fresh) replaced.push_back(line.first);
  Lines updated = Without(old.fields, replaced);
  if (!HasField(fresh, "nearside-cache-control")) {
    updated.insert(updated.end(), old.own_control.begin(), old.own_control.end());
  }
  updated.insert(updated.end(), fresh.begin(), fresh.end());
  return updated;
}

}  // namespace

Freshening Freshen(const Kept& old, const Exchange& not_modified, const std::string& via) {
  Freshening freshening;
  freshening.about = IsAbout(old.fields, not_modified.response, not_modified.response_time);
  const bool selects_alike = !HasField(not_modified.response, "vary") ||
                             VaryNames(not_modified.response) == VaryNames(old.fields);
  Kept before = old;
  std::erase(before.fields, Line{"via", via});  // ours, which is added anew
  Exchange merged = not_modified;
  merged.status = old.status;
  merged.response = Updated(before, not_modified);
  // What was for everybody and is still the same with a cookie is still for everybody.
  merged.request = Without(merged.request, {"cookie"});
  freshening.storing = Store(merged);
  if (!freshening.about || !selects_alike) {
    freshening.storing.forbidden.insert(Reason::kUncacheableStatus);
    freshening.storing.forbidden.insert(Reason::kVaryStar);
    freshening.storing.for_nobody = true;
  }
  freshening.kept = Keep(merged, freshening.storing, via);
  return freshening;
}

}  // namespace nearside::edge::model
