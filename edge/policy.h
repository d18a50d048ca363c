#pragma once

// What may be stored, for how long, and what may be served: RFC 9111, 5861 and 9213 as pure
// functions of values, with `now` as an argument. Nothing here knows of sockets, stores or clocks.

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "edge/freshness.h"
#include "edge/reason.h"
#include "edge/settings.h"
#include "edge/stored_response.h"
#include "http/cache_control.h"
#include "http/message.h"
#include "runtime/clock.h"
#include "storage/cache_store.h"

namespace nearside::edge {

/// A response as it came from an origin, with the request that asked for it.
struct Exchanged {
  const http::RequestHead& request;
  const http::ResponseHead& response;
  WallTime request_time;   ///< when the request was sent
  WallTime response_time;  ///< when the response's head had arrived
  const SiteSettings& site;
  /// The last bytes were asked for as such: a 206 answers that request whole (edge/slices.h).
  bool tail = false;
};

struct StoreDecision {
  Reason reason = Reason::kStored;
  Freshness freshness;
  /// When the last use of a stored copy is over: freshness, stale windows, and `keep` if it has a
  /// validator.
  WallTime drop_at;
  /// Not to be stored for anybody: what forbids it is in the response itself, and neither in this
  /// request (no-store, Authorization) nor a failure that passes.
  bool unshareable = false;
  /// Of a 304: it is about another response than the stored one, which it has not validated.
  bool of_another = false;
  /// What the response says to caches, as it was decided by.
  http::CacheControl control;
  bool store() const { return reason == Reason::kStored; }
};

/// Whether no request but the one it was made for may be answered with it, unless the origin is
/// asked again. What merely took longer than its lifetime to come is shared: else an origin that
/// is slow under load would be asked by everybody.
bool IsNeverFresh(const Freshness& freshness);

/// Whether the response to a GET may be stored (RFC 9111 §3), and its freshness (§4.2).
StoreDecision DecideStore(const Exchanged& exchanged);

/// Whether the response to a POST may be stored to answer later GETs of its URL (RFC 9110 §9.3.3):
/// it says for how long, that it is a representation of that URL, and no Vary. DecideStore has to
/// allow it as well.
bool AnswersLaterGets(const Exchanged& exchanged, std::string_view url);

/// The URLs whose stored responses a request has made invalid by its answer (RFC 9111 §4.4): its
/// own, and those of the same origin that Location and Content-Location name. Normal ones, each
/// once.
std::vector<std::string> InvalidatedUrls(std::string_view method, std::string_view url, int status,
                                         const http::Fields& response);

/// Our member of Via, with the version that the response came by (RFC 9110 §7.6.3): "1.1
/// frankfurt".
std::string ViaOf(const http::ResponseHead& response, std::string_view edge);

/// The stored form of a response: end-to-end fields, Date and Via added, Age, surrogate fields and
/// those withheld taken out. `url` and `via` ("1.1 frankfurt") are texts to keep.
std::unique_ptr<StoredResponse> MakeStored(const Exchanged& exchanged,
                                           const StoreDecision& decision, std::string_view url,
                                           std::string_view via);

/// Fields of a response that is stored which are for the request that it came for alone: those that
/// private="…" and no-cache="…" name (RFC 9111 §5.2.2.4, §5.2.2.7).
http::Fields WithheldFields(const Exchanged& exchanged, const StoreDecision& decision);

/// The fields behind the body of a response that is shared, without those that are for one (RFC
/// 9111 §5.2.2.7).
http::Fields SharedTrailers(const StoredResponse& stored, const http::Fields& trailers);

/// The stored response after a 304 (RFC 9111 §3.2, §4.3.4): its fields replace the stored ones of
/// the same name, except those that describe the stored body. A 304 with another validator is not
/// about what is stored (of_another), and one with another Vary not about what is stored under this
/// key: the decision is then not to store.
std::unique_ptr<StoredResponse> Freshened(const StoredResponse& stored, const Exchanged& exchanged,
                                          std::string_view via, StoreDecision* decision);

/// Of a 304 about `stored`, which has become `freshened` (RFC 9111 §4.3.4): the fields of it that
/// are for the request which it came for alone. `kept`: the freshened response is stored; else all
/// that the 304 says is for that request.
http::Fields FieldsForOne(const StoredResponse& stored, const StoredResponse& freshened,
                          const Exchanged& exchanged, bool kept);

/// Where the spans of a stored response's freshness come from, for people: "cache-control:
/// max-age", "expires", "setting stale_if_error".
struct FreshnessSource {
  std::string lifetime;
  std::string while_revalidate;
  std::string if_error;
};
FreshnessSource SourceOf(const StoredResponse& stored);

struct UseDecision {
  enum class Action : uint8_t {
    kServe,             ///< as it is
    kServeAndValidate,  ///< as it is, and validate behind (stale-while-revalidate)
    kValidate,          ///< not without asking the origin
  };
  Action action = Action::kServe;
  Reason reason = Reason::kFresh;
  milliseconds age{};
  milliseconds time_to_live{};  ///< negative once stale
};

/// Whether a request's own word on caching counts (site setting request_directives). only-if-cached
/// is obeyed in any case: it asks for less and not for more.
enum class RequestDirectives : uint8_t { kObey, kIgnore };
RequestDirectives RequestDirectivesOf(const SiteSettings& site);

/// What to do with a stored response that the request selects (RFC 9111 §4). `validity` is not
/// kGone.
UseDecision DecideUse(const http::RequestHead& request, const StoredResponse& stored,
                      storage::Validity validity, WallTime now,
                      RequestDirectives directives = RequestDirectives::kObey);

/// Whether the stored response may be served because the origin failed (RFC 9111 §4.2.4, RFC 5861
/// §4). `whole`: the site is to go on whole without its origin (setting keep_whole), however old
/// its copies; what forbids stale ones altogether still does.
bool MayServeOnError(const http::RequestHead& request, const StoredResponse& stored,
                     storage::Validity validity, WallTime now,
                     RequestDirectives directives = RequestDirectives::kObey, bool whole = false);

/// Of an error of the origin's: the fields of it (Retry-After alone) that requests are told which
/// waited for it, beside its status. nullopt: it was for one, as it says itself or as its request
/// does (RFC 9111 §3.5, §5.2.2.5, §5.2.2.7), and nothing of it is for another.
std::optional<http::Fields> ToldToOthers(const Exchanged& exchanged);

/// Whether a status is one that stale-if-error covers (RFC 5861 §4): 500, 502, 503, 504.
bool IsErrorStatus(int status);

}  // namespace nearside::edge
