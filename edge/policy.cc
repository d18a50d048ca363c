#include "edge/policy.h"

#include <algorithm>
#include <array>
#include <optional>
#include <span>
#include <string>

#include "edge/cache_key.h"
#include "edge/compression.h"
#include "edge/purge.h"
#include "http/cache_control.h"
#include "http/characters.h"
#include "http/conditional.h"
#include "http/date.h"
#include "http/etag.h"
#include "http/field_list.h"
#include "http/hashed_name.h"
#include "http/structured_field.h"

namespace nearside::edge {
namespace {

using http::CacheControl;

/// RFC 9111 §4.2.2: a tenth of the time since the last change, and never more than a day.
constexpr int kHeuristicDivisor = 10;
constexpr milliseconds kLongestHeuristic = std::chrono::hours(24);

/// Fields that a response says to its cache and nobody else.
constexpr std::string_view kOurControl = "nearside-cache-control";
constexpr std::array<std::string_view, 3> kSurrogateFields = {"surrogate-key", "cache-tag",
                                                              kOurControl};
/// RFC 9111 §3.1: between the origin and the one who asked it.
constexpr std::array<std::string_view, 3> kProxyFields = {
    "proxy-authenticate", "proxy-authentication-info", "proxy-authorization"};
/// Any, and what we tell origins of a client (edge/origin_request): no variant is told by it.
constexpr std::array<std::string_view, 6> kInNoKey = {"*",   "forwarded", "x-forwarded-for",
                                                      "via", "cdn-loop",  "x-request-id"};
/// RFC 9111 §3.2: fields of a 304 that describe a body which it does not have.
constexpr std::array<std::string_view, 5> kBodyFields = {
    "content-length", "content-encoding", "content-type", "content-range", "content-language"};

bool In(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

/// The directives that hold for this cache: the first targeted field that is there, else
/// Cache-Control (RFC 9213 §2.2). `targeted` says that Expires is not to be looked at.
struct Directives {
  CacheControl control;
  bool targeted = false;
  std::string_view field = "cache-control";
};

Directives DirectivesOf(const http::Fields& fields) {
  for (std::string_view name : {kOurControl, std::string_view("cdn-cache-control")}) {
    if (auto control = http::ParseTargetedCacheControl(fields, name)) return {*control, true, name};
  }
  return {.control = http::ParseCacheControl(fields)};
}

/// RFC 9110 §15.1.
bool IsHeuristicallyCacheable(int status) {
  constexpr std::array<int, 12> kStatuses = {200, 203, 204, 206, 300, 301,
                                             308, 404, 405, 410, 414, 501};
  return std::find(kStatuses.begin(), kStatuses.end(), status) != kStatuses.end();
}

bool IsNegative(int status) {
  return status == 404 || status == 405 || status == 410 || status == 414 || status == 501;
}

/// Statuses whose caching rules we know, for must-understand (RFC 9111 §5.2.2.3).
bool IsUnderstood(int status) {
  return IsHeuristicallyCacheable(status) || status == 302 || status == 303 || status == 307 ||
         (status >= 400 && status <= 417) || status == 421 || status == 422 || status == 426 ||
         status == 428 || status == 429 || status == 431 || status == 451 ||
         (status >= 500 && status <= 505) || status == 511;
}

/// Whether another request for the same URL may well be answered otherwise: something in this one,
/// an oversized field for one, may have brought the error about.
bool MayBeTheRequestsFault(int status) {
  return status >= 400 && status < 500 && !IsHeuristicallyCacheable(status);
}

WallTime DateOf(const Exchanged& exchanged) {
  if (const auto text = exchanged.response.fields.Get("date")) {
    if (auto date = http::ParseDate(*text, exchanged.response_time)) return *date;
  }
  return exchanged.response_time;
}

/// RFC 9111 §4.2.3.
milliseconds InitialAge(const Exchanged& exchanged, WallTime date) {
  milliseconds age_value{0};
  if (const auto text = exchanged.response.fields.Get("age")) {
    // RFC 9111 §5.1: of a list the first member.
    const std::string_view first = http::TrimSpace(text->substr(0, text->find(',')));
    if (auto age = http::ParseDeltaSeconds(first)) age_value = *age;
  }
  const milliseconds apparent = std::max(milliseconds(0), exchanged.response_time - date);
  const milliseconds delay =
      std::max(milliseconds(0), exchanged.response_time - exchanged.request_time);
  return std::max(apparent, age_value + delay);
}

std::optional<milliseconds> ExplicitLifetime(const Exchanged& exchanged,
                                             const Directives& directives, WallTime date) {
  if (directives.control.s_maxage) return *directives.control.s_maxage;
  if (directives.control.max_age) return *directives.control.max_age;
  if (directives.targeted) return std::nullopt;
  if (const auto text = exchanged.response.fields.Get("expires")) {
    // An invalid date, "0" above all, is in the past (RFC 9111 §5.3).
    const auto expires = http::ParseDate(*text, exchanged.response_time);
    return expires ? std::max(milliseconds(0), *expires - date) : milliseconds(0);
  }
  return std::nullopt;
}

/// The lifetime of a response that names none; nullopt when it must not be given one.
std::optional<milliseconds> ImpliedLifetime(const Exchanged& exchanged,
                                            const Directives& directives, WallTime date) {
  const int status = exchanged.response.status;
  if (!IsHeuristicallyCacheable(status) && !directives.control.is_public) return std::nullopt;
  if (IsNegative(status)) return exchanged.site.negative_ttl;
  if (const auto text = exchanged.response.fields.Get("last-modified")) {
    if (const auto modified = http::ParseDate(*text, exchanged.response_time)) {
      return std::clamp((date - *modified) / kHeuristicDivisor, milliseconds(0), kLongestHeuristic);
    }
  }
  return exchanged.site.default_ttl;
}

/// A name with a hash that is missing comes with the next release, or comes back with a rollback:
/// pages that need it are broken for as long as its absence is remembered.
bool IsMissingHashed(const Exchanged& exchanged) {
  const int status = exchanged.response.status;
  return (status == 404 || status == 410) && http::HasHashedName(exchanged.request.path());
}

bool IsWithheld(std::string_view name, const CacheControl& control) {
  const auto in = [name](const std::vector<std::string>& list) {
    return !list.empty() && std::find(list.begin(), list.end(), name) != list.end();
  };
  return in(control.private_fields) || in(control.no_cache_fields);
}

Freshness FreshnessOf(const Exchanged& exchanged, const Directives& directives, WallTime date) {
  const CacheControl& control = directives.control;
  const SiteSettings& site = exchanged.site;
  Freshness freshness;
  freshness.response_time = exchanged.response_time;
  freshness.initial_age = InitialAge(exchanged, date);
  if (auto lifetime = ExplicitLifetime(exchanged, directives, date)) {
    freshness.lifetime = *lifetime;
  } else if (auto implied = ImpliedLifetime(exchanged, directives, date)) {
    freshness.lifetime = *implied;
    freshness.heuristic = true;
  }
  const auto window = [](std::optional<seconds> said, milliseconds setting) {
    return said ? milliseconds(*said) : setting;
  };
  freshness.while_revalidate = window(control.stale_while_revalidate, site.stale_while_revalidate);
  freshness.if_error = window(control.stale_if_error, site.stale_if_error);
  if (IsMissingHashed(exchanged)) {
    freshness.lifetime = std::min(freshness.lifetime, site.negative_ttl);
    freshness.while_revalidate = freshness.if_error = milliseconds(0);
  }
  freshness.must_revalidate =
      control.must_revalidate || control.proxy_revalidate || control.s_maxage.has_value();
  freshness.always_validate = control.no_cache;
  const auto keeps = [&](std::string_view name) {
    return exchanged.response.fields.Has(name) && !IsWithheld(name, control);
  };
  freshness.has_validator = keeps("etag") || keeps("last-modified");
  return freshness;
}

/// Sorted, each once.
std::vector<std::string> TagsOf(const http::Fields& fields) {
  std::vector<std::string> tags;
  for (std::string_view name : {"surrogate-key", "cache-tag"}) {
    const std::string joined = fields.Joined(name);
    size_t begin = 0;
    while (begin < joined.size()) {
      const size_t end = std::min(joined.find_first_of(" ,\t", begin), joined.size());
      if (end > begin) tags.push_back(joined.substr(begin, end - begin));
      begin = end + 1;
    }
  }
  std::sort(tags.begin(), tags.end());
  tags.erase(std::unique(tags.begin(), tags.end()), tags.end());
  return tags;
}

/// Why the response must not be stored for any request (RFC 9111 §3), before its freshness is
/// looked at.
std::optional<Reason> ForbiddenByResponse(const Exchanged& exchanged, const CacheControl& control) {
  const http::Fields& fields = exchanged.response.fields;
  const int status = exchanged.response.status;
  // The last bytes as such, if they say which they are and are the same for everybody.
  const bool tail = exchanged.tail && fields.Has("content-range") && !fields.Has("vary");
  if (status == 206 && !tail) return Reason::kPartial;
  if (status < 200 || status == 304) return Reason::kUncacheableStatus;
  const bool understood = IsUnderstood(status);
  if (control.must_understand && !understood) return Reason::kUncacheableStatus;
  if (control.no_store && !(control.must_understand && understood)) return Reason::kNoStore;
  if (control.is_private) return Reason::kPrivate;
  if (fields.Has("set-cookie") && exchanged.site.set_cookie == "bypass") return Reason::kSetCookie;
  const auto varies_by = [&](std::string_view name) { return http::ListHas(fields, "vary", name); };
  if (fields.Has("vary") && std::any_of(kInNoKey.begin(), kInNoKey.end(), varies_by)) {
    return Reason::kVaryStar;
  }
  // A purge by a tag that was left out would miss the object.
  if (TagsOf(fields).size() > kMaxTags) return Reason::kStoreRefused;
  return std::nullopt;
}

/// Why it must not be stored for this one.
std::optional<Reason> ForbiddenByRequest(const Exchanged& exchanged, const CacheControl& control) {
  const http::Fields& request = exchanged.request.fields;
  const bool obey = RequestDirectivesOf(exchanged.site) == RequestDirectives::kObey;
  if (obey && http::HasDirective(request, "no-store")) return Reason::kNoStore;
  if (request.Has("authorization") && !control.is_public && !control.must_revalidate &&
      !control.s_maxage) {
    return Reason::kAuthorization;
  }
  return std::nullopt;
}

/// Whether the response may have been made for one visitor: its request had a cookie, which is in
/// no key, and nothing says that another one may have it without asking. Whoever makes a visitor
/// open /account/x.css is not to find the account there (web cache deception).
bool IsPerhapsOnesOwn(const Exchanged& exchanged, const CacheControl& control,
                      const Freshness& freshness) {
  if (control.is_public || !exchanged.request.fields.Has("cookie")) return false;
  const bool asked_each_time = freshness.always_validate || freshness.lifetime <= milliseconds(0);
  const bool guessed = freshness.heuristic && exchanged.site.default_ttl <= milliseconds(0);
  return asked_each_time || guessed;
}

WallTime DropTime(const Freshness& freshness, const SiteSettings& site) {
  milliseconds windows = freshness.lifetime;
  if (!freshness.must_revalidate && !freshness.always_validate) {
    windows += std::max(freshness.while_revalidate, freshness.if_error);
  }
  if (freshness.has_validator) windows += site.keep;
  return freshness.response_time - freshness.initial_age + windows;
}

/// Whether a stored copy could ever be used. What became stale on its way here answers those who
/// wait for it: else an origin that is slower than its lifetimes would be asked by everybody.
bool HasUse(const StoreDecision& decision, const Exchanged& exchanged) {
  const WallTime now = exchanged.response_time;
  const Freshness& freshness = decision.freshness;
  if (decision.drop_at <= now) return false;
  if (freshness.has_validator) return true;
  if (freshness.always_validate) return false;
  const milliseconds window =
      freshness.must_revalidate ? milliseconds(0) : freshness.while_revalidate;
  const milliseconds on_its_way = std::max(milliseconds(0), now - exchanged.request_time);
  return freshness.TimeToLive(now) + window + on_its_way > milliseconds(0);
}

/// Whether a 304 is about the stored response (RFC 9111 §4.3.4). The origin was asked about this
/// one alone, so a 304 without validators is. Tags that differ in strength alone are of the same
/// content: servers that compress weaken the one of a 200.
bool IsAbout(const StoredResponse& stored, const http::Fields& fresh, WallTime now) {
  http::Validators ours = http::ValidatorsOf(stored.fields, now);
  if (!stored.origin_etag.empty()) ours.etag = http::ParseEntityTag(stored.origin_etag);
  const http::Validators theirs = http::ValidatorsOf(fresh, now);
  if (ours.etag && theirs.etag) return http::WeakMatch(*ours.etag, *theirs.etag);
  if (theirs.last_modified) return ours.last_modified == theirs.last_modified;
  return !theirs.etag;
}

/// Whether a 304 names other selecting fields than those that made the key of the stored response.
bool ChangesVary(const StoredResponse& stored, const http::Fields& fresh,
                 const SiteSettings& site) {
  if (!fresh.Has("vary")) return false;
  const http::Fields none;
  const auto names = [&none, &site](const http::Fields& fields) {
    return SelectingFields(fields.Joined("vary"), none, site).ToText();
  };
  return names(stored.fields) != names(fresh);
}

/// The fields of a stored response with those that clients do not get.
http::Fields ToldFields(const StoredResponse& stored) {
  http::Fields fields = stored.fields;
  if (!stored.control.empty()) fields.Add(kOurControl, stored.control);
  return fields;
}

/// Whether two members of Via are of one node, whichever version it received ("1.0 frankfurt").
bool IsSameNode(std::string_view one, std::string_view other) {
  const auto node = [](std::string_view member) { return member.substr(member.find(' ') + 1); };
  return node(one) == node(other);
}

void AddMissing(const Exchanged& exchanged, std::string_view via, http::Fields* fields) {
  // RFC 9110 §6.6.1: a Date that is missing is when it was received.
  if (!fields->Has("date")) fields->Add("date", http::FormatDate(exchanged.response_time));
  fields->Add("via", via);
}

}  // namespace

StoreDecision DecideStore(const Exchanged& exchanged) {
  const Directives directives = DirectivesOf(exchanged.response.fields);
  const WallTime date = DateOf(exchanged);
  StoreDecision decision;
  decision.control = directives.control;
  decision.freshness = FreshnessOf(exchanged, directives, date);
  decision.drop_at = DropTime(decision.freshness, exchanged.site);
  if (auto forbidden = ForbiddenByResponse(exchanged, directives.control)) {
    decision.reason = *forbidden;
  } else if (!ExplicitLifetime(exchanged, directives, date) &&
             !ImpliedLifetime(exchanged, directives, date)) {
    decision.reason = Reason::kUncacheableStatus;
  } else if (!HasUse(decision, exchanged)) {
    decision.reason = Reason::kNoFreshness;
  }
  const int status = exchanged.response.status;
  decision.unshareable =
      !decision.store() && !IsErrorStatus(status) && !MayBeTheRequestsFault(status);
  if (!decision.store()) return decision;
  if (IsPerhapsOnesOwn(exchanged, directives.control, decision.freshness)) {
    decision.reason = Reason::kCookie;
    decision.unshareable = true;  // so will be the next one's that has a cookie
    return decision;
  }
  if (auto forbidden = ForbiddenByRequest(exchanged, directives.control)) {
    decision.reason = *forbidden;
  }
  return decision;
}

bool AnswersLaterGets(const Exchanged& exchanged, std::string_view url) {
  if (exchanged.request.method != "POST" || exchanged.response.status != 200) return false;
  // A POST is sent as it came, and what selects a variant must be what the origin was asked by.
  if (exchanged.response.fields.Has("vary")) return false;
  const auto location = exchanged.response.fields.Get("content-location");
  if (!location || NormalReference(url, *location) != url) return false;
  const Directives directives = DirectivesOf(exchanged.response.fields);
  return ExplicitLifetime(exchanged, directives, DateOf(exchanged)).has_value();
}

bool IsNeverFresh(const Freshness& freshness) {
  if (freshness.always_validate) return true;
  const bool shown_stale =
      !freshness.must_revalidate && freshness.while_revalidate > milliseconds(0);
  return freshness.lifetime <= milliseconds(0) && !shown_stale;
}

std::vector<std::string> InvalidatedUrls(std::string_view method, std::string_view url, int status,
                                         const http::Fields& response) {
  std::vector<std::string> urls;
  if (http::IsSafeMethod(method) || status < 200 || status >= 400) return urls;
  urls.emplace_back(url);
  const std::string_view origin = url.substr(0, url.size() - TargetOf(url).size());
  for (std::string_view name : {"location", "content-location"}) {
    const auto reference = response.Get(name);
    if (!reference) continue;
    auto named = NormalReference(url, *reference);
    const bool same_origin = named && std::string_view(*named).substr(
                                          0, named->size() - TargetOf(*named).size()) == origin;
    if (same_origin && std::find(urls.begin(), urls.end(), *named) == urls.end()) {
      urls.push_back(std::move(*named));
    }
  }
  return urls;
}

std::string ViaOf(const http::ResponseHead& response, std::string_view edge) {
  return (response.http10 ? "1.0 " : "1.1 ") + std::string(edge);
}

std::unique_ptr<StoredResponse> MakeStored(const Exchanged& exchanged,
                                           const StoreDecision& decision, std::string_view url,
                                           std::string_view via) {
  auto stored = std::make_unique<StoredResponse>();
  stored->status = exchanged.response.status;
  stored->freshness = decision.freshness;
  stored->url = url;
  stored->control = exchanged.response.fields.Joined(kOurControl);
  stored->tags = TagsOf(exchanged.response.fields);
  // RFC 9211 §2: ours comes behind what caches before us said. Behind something that is no list the
  // whole field would be thrown away.
  const http::Fields& fields = exchanged.response.fields;
  const bool told = !fields.Has("cache-status") ||
                    http::structured::ParseList(fields.Joined("cache-status")).has_value();
  stored->fields.Reserve(fields.size() + 2, fields.wire_size());  // with Date and Via
  for (const http::FieldLine& line : fields.lines()) {
    if (line.name == "age" || In(kSurrogateFields, line.name)) continue;
    if (line.name == "cache-status" && !told) continue;
    if (decision.store() &&
        (IsWithheld(line.name, decision.control) || In(kProxyFields, line.name))) {
      continue;
    }
    stored->fields.Add(line.name, line.value);
  }
  AddMissing(exchanged, via, &stored->fields);
  return stored;
}

http::Fields WithheldFields(const Exchanged& exchanged, const StoreDecision& decision) {
  http::Fields withheld;
  for (const http::FieldLine& line : exchanged.response.fields.lines()) {
    const bool is_withheld = IsWithheld(line.name, decision.control);
    if (is_withheld && !In(kSurrogateFields, line.name)) withheld.Add(line.name, line.value);
  }
  return withheld;
}

http::Fields SharedTrailers(const StoredResponse& stored, const http::Fields& trailers) {
  const CacheControl control = DirectivesOf(ToldFields(stored)).control;
  http::Fields shared;
  for (const http::FieldLine& line : trailers.lines()) {
    if (!IsWithheld(line.name, control)) shared.Add(line.name, line.value);
  }
  return shared;
}

std::unique_ptr<StoredResponse> Freshened(const StoredResponse& stored, const Exchanged& exchanged,
                                          std::string_view via, StoreDecision* decision) {
  http::ResponseHead merged{.status = stored.status, .fields = {}};
  for (const http::FieldLine& line : stored.fields.lines()) {
    // MakeStored adds it anew.
    if (line.name != "via" || !IsSameNode(line.value, via))
      merged.fields.Add(line.name, line.value);
  }
  if (!stored.control.empty()) merged.fields.Add(kOurControl, stored.control);
  const http::Fields fresh = FreshFields(stored, exchanged.response.fields);
  const bool has_tag = stored.fields.Has("etag");
  const auto stays = [has_tag](std::string_view name) {
    return In(kBodyFields, name) || (name == "etag" && has_tag);
  };
  for (const http::FieldLine& line : fresh.lines()) {
    if (!stays(line.name)) merged.fields.Remove(line.name);
  }
  for (const http::FieldLine& line : fresh.lines()) {
    if (!stays(line.name)) merged.fields.Add(line.name, line.value);
  }
  if (!fresh.Has("date")) merged.fields.Remove("date");  // MakeStored adds that of now
  // The stored one was for everybody, and with this request's cookie it is still the same.
  http::RequestHead request = exchanged.request;
  request.fields.Remove("cookie");
  const Exchanged after{.request = request,
                        .response = merged,
                        .request_time = exchanged.request_time,
                        .response_time = exchanged.response_time,
                        .site = exchanged.site};
  *decision = DecideStore(after);
  // RFC 9111 §5.2.2.6: what it is about is not what we have made of it, from now on.
  const bool forbids_coding = stored.is_encoded_here() && SaysNoTransform(fresh);
  decision->of_another =
      forbids_coding || !IsAbout(stored, exchanged.response.fields, exchanged.response_time);
  if (decision->of_another || ChangesVary(stored, fresh, exchanged.site)) {
    decision->reason = decision->of_another ? Reason::kUncacheableStatus : Reason::kVaryStar;
    decision->unshareable = true;
  }
  auto freshened = MakeStored(after, *decision, stored.url, via);
  if (freshened->tags.empty()) freshened->tags = stored.tags;
  freshened->origin_etag = stored.origin_etag;
  freshened->negotiated = stored.negotiated;
  return freshened;
}

http::Fields FieldsForOne(const StoredResponse& stored, const StoredResponse& freshened,
                          const Exchanged& exchanged, bool kept) {
  const CacheControl control = DirectivesOf(ToldFields(freshened)).control;
  const http::Fields fresh = FreshFields(stored, exchanged.response.fields);
  http::Fields for_one;
  for (const http::FieldLine& line : fresh.lines()) {
    if (line.name == "age" || In(kSurrogateFields, line.name) || In(kBodyFields, line.name)) {
      continue;
    }
    // What MakeStored has left out is for nobody.
    const bool is_for_one = kept ? IsWithheld(line.name, control) : freshened.fields.Has(line.name);
    if (is_for_one) for_one.Add(line.name, line.value);
  }
  return for_one;
}

RequestDirectives RequestDirectivesOf(const SiteSettings& site) {
  return site.request_directives == "ignore" ? RequestDirectives::kIgnore
                                             : RequestDirectives::kObey;
}

FreshnessSource SourceOf(const StoredResponse& stored) {
  const http::Fields fields = ToldFields(stored);
  const Directives directives = DirectivesOf(fields);
  const auto said = [&directives](std::string_view directive) {
    return std::string(directives.field) + ": " + std::string(directive);
  };
  FreshnessSource source{.lifetime = "setting default_ttl",
                         .while_revalidate = "setting stale_while_revalidate",
                         .if_error = "setting stale_if_error"};
  if (directives.control.s_maxage) {
    source.lifetime = said("s-maxage");
  } else if (directives.control.max_age) {
    source.lifetime = said("max-age");
  } else if (!directives.targeted && fields.Has("expires")) {
    source.lifetime = "expires";
  } else if (IsNegative(stored.status)) {
    source.lifetime = "setting negative_ttl";
  } else if (http::ParseDate(fields.Get("last-modified").value_or(""),
                             stored.freshness.response_time)) {
    source.lifetime = "a tenth of the time since last-modified";
  }
  if (directives.control.stale_while_revalidate) {
    source.while_revalidate = said("stale-while-revalidate");
  }
  if (directives.control.stale_if_error) source.if_error = said("stale-if-error");
  return source;
}

UseDecision DecideUse(const http::RequestHead& request, const StoredResponse& stored,
                      storage::Validity validity, WallTime now, RequestDirectives directives) {
  using Action = UseDecision::Action;
  const Freshness& freshness = stored.freshness;
  UseDecision decision;
  decision.age = freshness.Age(now);
  decision.time_to_live = freshness.TimeToLive(now);
  const auto decide = [&decision](Action action, Reason reason) {
    decision.action = action;
    decision.reason = reason;
    return decision;
  };
  if (freshness.always_validate) return decide(Action::kValidate, Reason::kResponseNoCache);
  if (validity != storage::Validity::kValid) return decide(Action::kValidate, Reason::kSoftPurged);

  std::optional<milliseconds> max_stale;
  bool names_an_age = false;
  const bool obey = directives == RequestDirectives::kObey;
  if (obey && request.fields.Has("cache-control")) {
    const CacheControl control = http::ParseCacheControl(request.fields);
    if (control.no_cache) return decide(Action::kValidate, Reason::kRequestNoCache);
    if ((control.max_age && decision.age > *control.max_age) ||
        (control.min_fresh && decision.time_to_live < *control.min_fresh)) {
      return decide(Action::kValidate, Reason::kRequestMaxAge);
    }
    if (control.max_stale) max_stale = *control.max_stale;
    names_an_age = control.max_age.has_value();
  } else if (obey && request.fields.Has("pragma") &&
             http::ListHas(request.fields, "pragma", "no-cache")) {
    return decide(Action::kValidate, Reason::kRequestNoCache);  // RFC 9111 §5.4
  }
  if (decision.time_to_live > milliseconds(0)) return decide(Action::kServe, Reason::kFresh);
  const milliseconds staleness = -decision.time_to_live;
  if (freshness.must_revalidate) return decide(Action::kValidate, Reason::kExpired);
  // RFC 9111 §5.2.1.1, §5.2.1.2: who says how old or how stale it may be wants nothing staler.
  if (max_stale && staleness <= *max_stale) return decide(Action::kServe, Reason::kMaxStale);
  if (!max_stale && !names_an_age && staleness < freshness.while_revalidate) {
    return decide(Action::kServeAndValidate, Reason::kStaleWhileRevalidate);
  }
  return decide(Action::kValidate, Reason::kExpired);
}

bool MayServeOnError(const http::RequestHead& request, const StoredResponse& stored,
                     storage::Validity validity, WallTime now, RequestDirectives directives,
                     bool whole) {
  const Freshness& freshness = stored.freshness;
  if (validity == storage::Validity::kGone || validity == storage::Validity::kUnsure ||
      freshness.always_validate) {
    return false;
  }
  // The request alone wanted more than a fresh response: must-revalidate is about stale ones.
  if (validity == storage::Validity::kValid && freshness.IsFresh(now)) return true;
  if (freshness.must_revalidate) return false;
  if (whole && stored.status < 400) return true;
  milliseconds window = freshness.if_error;
  if (directives == RequestDirectives::kObey) {
    if (auto asked = http::ParseCacheControl(request.fields).stale_if_error) {
      window = std::max(window, milliseconds(*asked));
    }
  }
  return -freshness.TimeToLive(now) < window;
}

std::optional<http::Fields> ToldToOthers(const Exchanged& exchanged) {
  const CacheControl control = DirectivesOf(exchanged.response.fields).control;
  if (ForbiddenByResponse(exchanged, control) || ForbiddenByRequest(exchanged, control)) {
    return std::nullopt;
  }
  http::Fields told;
  constexpr std::string_view kRetryAfter = "retry-after";
  const auto retry_after = exchanged.response.fields.Get(kRetryAfter);
  if (retry_after && !IsWithheld(kRetryAfter, control)) told.Add(kRetryAfter, *retry_after);
  return told;
}

bool IsErrorStatus(int status) {
  return status == 500 || status == 502 || status == 503 || status == 504;
}

}  // namespace nearside::edge
