#include "edge/explain.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <optional>
#include <utility>
#include <vector>

#include "edge/answer.h"
#include "edge/cache_key.h"
#include "edge/policy.h"
#include "edge/slices.h"
#include "edge/variant_index.h"
#include "http/characters.h"
#include "http/date.h"
#include "http/uri.h"
#include "runtime/crypto.h"
#include "runtime/units.h"

namespace nearside::edge {
namespace {

using Json = nlohmann::ordered_json;

/// Slices that are listed: in slices of 4 MiB those of the first 16 GiB.
constexpr uint64_t kMostSlices = 4096;
constexpr size_t kMostHeaders = 100;

double Seconds(milliseconds span) { return static_cast<double>(span.count()) / 1000.0; }

std::string_view ValidityName(storage::Validity validity) {
  switch (validity) {
    case storage::Validity::kValid:
      return "valid";
    case storage::Validity::kStale:
      return "soft-purged";
    case storage::Validity::kUnsure:
      return "unsure";
    case storage::Validity::kGone:
      return "purged";
  }
  return "";
}

std::string_view ActionName(UseDecision::Action action) {
  switch (action) {
    case UseDecision::Action::kServe:
      return "serve";
    case UseDecision::Action::kServeAndValidate:
      return "serve, and validate behind";
    case UseDecision::Action::kValidate:
      return "validate at the origin";
  }
  return "";
}

/// The arithmetic behind a decision, as a sentence.
std::string Because(const UseDecision& decision, const Freshness& freshness) {
  const std::string age = "its age of " + FormatDuration(decision.age);
  const std::string lifetime = "its lifetime of " + FormatDuration(freshness.lifetime);
  switch (decision.reason) {
    case Reason::kFresh:
      return age + " is under " + lifetime;
    case Reason::kStaleWhileRevalidate:
      return age + " is past " + lifetime + ", by less than stale-while-revalidate's " +
             FormatDuration(freshness.while_revalidate);
    case Reason::kMaxStale:
      return age + " is past " + lifetime + ", and the request takes stale ones (max-stale)";
    case Reason::kExpired:
      return age + " is past " + lifetime;
    case Reason::kResponseNoCache:
      return "the response says no-cache: it is validated each time";
    case Reason::kSoftPurged:
      return "a soft purge came after it was fetched";
    case Reason::kRequestNoCache:
      return "the request says no-cache";
    case Reason::kRequestMaxAge:
      return age + " is more than the request allows (max-age, min-fresh)";
    default:
      return "";
  }
}

Json ExplainFreshness(const StoredResponse& response, WallTime now) {
  const Freshness& freshness = response.freshness;
  const FreshnessSource source = SourceOf(response);
  return {
      {"initial_age_s", Seconds(freshness.initial_age)},
      {"age_s", Seconds(freshness.Age(now))},
      {"lifetime_s", Seconds(freshness.lifetime)},
      {"lifetime_from", source.lifetime},
      {"lifetime_is_a_guess", freshness.heuristic},
      {"ttl_s", Seconds(freshness.TimeToLive(now))},
      {"stale_while_revalidate_s", Seconds(freshness.while_revalidate)},
      {"stale_while_revalidate_from", source.while_revalidate},
      {"stale_if_error_s", Seconds(freshness.if_error)},
      {"stale_if_error_from", source.if_error},
      {"must_revalidate", freshness.must_revalidate},
      {"always_validate", freshness.always_validate},
      {"has_validator", freshness.has_validator},
  };
}

Json ExplainFields(const http::Fields& fields) {
  Json json = Json::array();
  for (const http::FieldLine& line : fields.lines()) {
    json.push_back(std::string(line.name) + ": " + std::string(line.value));
  }
  return json;
}

/// Which of a site's origins a request would be sent to: one of those that say so.
Json ExplainOrigins(const OriginSet& origins, MonoTime now) {
  Json json = Json::array();
  for (const OriginReport& report : origins.Report(now)) {
    json.push_back({{"origin", report.url},
                    {"state", report.state},
                    {"in_flight", report.in_flight},
                    {"may_be_asked_now", report.next}});
    if (!report.why.empty()) json.back()["why"] = report.why;
  }
  return json;
}

Json ExplainKey(const http::RequestHead& request, const Site& site, std::string_view target) {
  const SiteSettings& settings = site.settings;
  Json json = {{"site", settings.name},
               {"scheme", request.scheme},
               {"authority", NormalAuthority(request.scheme, request.authority)},
               {"target", target},
               {"asked_for", request.target}};
  if (site.query_rule.changes()) {
    json["query"] = settings.query;
    json["query_ignore"] = settings.query_ignore;
    json["query_keep"] = settings.query_keep;
  }
  return json;
}

/// Looks a URL up as a request would, from RAM or disk, with every variant there is, and answers
/// when it knows.
class Explanation final : public http::ExchangeHandler {
 public:
  Explanation(Node& node, net::EventLoop& loop, std::shared_ptr<const Configuration> configuration,
              http::Exchange& exchange)
      : node_(node),
        loop_(loop),
        configuration_(std::move(configuration)),
        exchange_(exchange),
        self_(std::make_shared<Explanation*>(this)) {}
  ~Explanation() override { *self_ = nullptr; }

  void Begin(http::RequestHead request, const Site& site, std::string_view target) {
    request_ = std::move(request);
    site_ = &site;
    const std::string url = NormalUrl(request_, target);
    primary_ = PrimaryKey(site.settings.name, url);
    json_["url"] = url;
    json_["site"] = site.settings.name;
    json_["key"] = HexEncode(primary_.bytes);
    json_["key_parts"] = ExplainKey(request_, site, target);
    json_["request_fields"] = ExplainFields(request_.fields);
    json_["origins"] = ExplainOrigins(*site.origin_set, loop_.now());
    json_["purge_sequence"] = node_.store->purge_sequence();
    json_["being_fetched"] = node_.fills.IsFilling(primary_);
    json_["being_fetched_alone"] = node_.fills.IsNotShared(primary_, loop_.now());
    json_["responses"] = Json::array();
    if (const auto answer = site.visitor_rules.Answer(request_)) {
      TellNow("answer " + std::to_string(answer->status), answer->reason, "a rule of the site");
    }
    Find(primary_, &Explanation::OnPrimary);
  }

 private:
  /// As a request finds a head; also tells whether it was in RAM.
  void Find(const Key256& key, void (Explanation::*then)(storage::HeadRef, bool)) {
    storage::HeadRef head = node_.store->Find(key);
    const bool in_memory = head != nullptr;
    if (head || !node_.store->MayBeOnDisk(key)) return (this->*then)(std::move(head), in_memory);
    node_.store->Load(key, loop_, [self = self_, then](storage::HeadRef loaded) {
      if (*self != nullptr) ((*self)->*then)(std::move(loaded), false);
    });
  }

  void OnPrimary(storage::HeadRef head, bool in_memory) {
    if (head && ResponseOf(*head).is_index()) {
      index_ = std::move(head);
      return LookAtVariants();
    }
    if (head) Describe(*head, in_memory, nullptr, /*selected=*/true);
    Finish(Reason::kUriMiss);
  }

  void LookAtVariants() {
    const std::vector<Variant>& variants = ResponseOf(*index_).variants;
    gone_ = node_.store->Check(*index_) == storage::Validity::kGone;
    Selector selector(request_.fields, site_->settings);
    for (const Variant& variant : variants) {
      const bool suits = !gone_ && selector.Selects(variant.selecting, variant.language);
      suits_.push_back(suits);
      suited_ = suited_ || suits;
    }
    LookAtNext();
  }

  void LookAtNext() {
    const std::vector<Variant>& variants = ResponseOf(*index_).variants;
    if (next_ < variants.size()) return Find(variants[next_].key, &Explanation::OnVariant);
    if (suited_ || gone_) return Finish(Reason::kUriMiss);
    // The index has a limit: what a request looks for when it finds nothing there.
    unlisted_.selecting =
        SelectingLike(variants.front().selecting, request_.fields, site_->settings);
    unlisted_.key = VariantKey(primary_, unlisted_.selecting);
    Find(unlisted_.key, &Explanation::OnUnlisted);
  }

  void OnUnlisted(storage::HeadRef head, bool in_memory) {
    if (head && !IsFromBefore(*index_, *head)) {
      Describe(*head, in_memory, &unlisted_, /*selected=*/true);
    }
    Finish(Reason::kVaryMiss);
  }

  void OnVariant(storage::HeadRef head, bool in_memory) {
    const Variant& variant = ResponseOf(*index_).variants[next_];
    // The first that is there.
    const bool selected = suits_[next_] && !selected_ && head &&
                          node_.store->Check(*head) != storage::Validity::kGone;
    selected_ = selected_ || selected;
    if (head) Describe(*head, in_memory, &variant, selected);
    ++next_;
    // Not from inside itself: the heads of many variants may all be in RAM.
    loop_.Post([self = self_] {
      if (*self != nullptr) (*self)->LookAtNext();
    });
  }

  void Describe(const storage::CachedHead& head, bool in_memory, const Variant* variant,
                bool selected) {
    const WallTime now = loop_.wall_now();
    const StoredResponse& response = ResponseOf(head);
    const storage::Validity validity = node_.store->Check(head);
    Json json;
    if (variant != nullptr) {
      json["key"] = HexEncode(variant->key.bytes);
      json["selected_by"] = ExplainFields(variant->selecting);
    }
    json["selected"] = selected;
    json["status"] = response.status;
    json["body_bytes"] = BodyBytesOf(head);
    if (response.is_sliced()) {
      json["slice_bytes"] = response.slicing.slice_bytes;
      json["slices_stored"] = ExplainSlices(head);
    }
    if (response.is_tail()) json["last_bytes_alone"] = response.tail_bytes;
    json["in_memory"] = in_memory;
    json["fetched_at"] = http::FormatDate(response.freshness.response_time);
    json["drop_at"] = http::FormatDate(head.head.drop_at);
    json["validity"] = ValidityName(validity);
    json["purge_sequence"] = head.head.purge_sequence;
    json["freshness"] = ExplainFreshness(response, now);
    json["tags"] = response.tags;
    json["fields"] = ExplainFields(response.fields);
    json_["responses"].push_back(std::move(json));
    if (!selected || validity == storage::Validity::kGone) return;
    if (response.is_tail() && TailOf(request_, UINT64_MAX) != response.tail_bytes) {
      return TellNow(
          "fetch from the origin", Reason::kUriMiss,
          "what is stored are the last " + std::to_string(response.tail_bytes) + " bytes alone");
    }
    const UseDecision decision = DecideUse(request_, response, ValidityOf(node_, *site_, head), now,
                                           site_->request_directives);
    if (decision.action == UseDecision::Action::kServe && response.is_sliced()) {
      TellMissingSlice(head, now);
    }
    TellNow(ActionName(decision.action), decision.reason, Because(decision, response.freshness));
  }

  /// Those that are stored, by number, of the first kMostSlices.
  Json ExplainSlices(const storage::CachedHead& head) const {
    const Slicing& slicing = ResponseOf(head).slicing;
    Json stored = Json::array();
    for (uint64_t n = 0; n < kMostSlices && n * slicing.slice_bytes < slicing.total_bytes; ++n) {
      if (!MissingSlice(*node_.store, head, SliceSpan(slicing, n))) stored.push_back(n);
    }
    return stored;
  }

  void TellMissingSlice(const storage::CachedHead& head, WallTime now) {
    const Selection selection = Select(request_, ResponseOf(head), BodyBytesOf(head), now);
    std::optional<uint64_t> missing = MissingSlice(*node_.store, head, selection.span);
    for (const http::ByteRange& range : selection.ranges) {
      if (!missing) missing = MissingSlice(*node_.store, head, {range.first, range.last + 1});
    }
    if (!missing) return;
    TellNow("serve, and fetch the slices that are missing", Reason::kPartialMiss,
            "slice " + std::to_string(*missing) + " of what is asked for is not stored");
  }

  /// The first word on what a request would get now holds.
  void TellNow(std::string_view action, Reason reason, std::string_view because) {
    if (json_.contains("a_request_now")) return;
    json_["a_request_now"] = {
        {"action", action}, {"reason", ReasonName(reason)}, {"because", because}};
  }

  /// `reason`: why nothing that is stored answers, if nothing does.
  void Finish(Reason reason) {
    if (node_.fills.IsNotShared(primary_, loop_.now())) {
      TellNow("ask the origin for this request alone", Reason::kNotShared,
              "what the origin answered lately may not be stored");
    }
    TellNow("fetch from the origin", reason,
            reason == Reason::kVaryMiss ? "what is stored is for other request fields"
                                        : "nothing that may be used is stored under the key");
    // Field values are bytes from origins: what is not UTF-8 is replaced.
    RespondJson(exchange_, 200, json_.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  }

  Node& node_;
  net::EventLoop& loop_;
  const std::shared_ptr<const Configuration> configuration_;
  http::Exchange& exchange_;
  http::RequestHead request_;
  const Site* site_ = nullptr;
  Key256 primary_;
  storage::HeadRef index_;
  bool gone_ = false;        ///< the index was purged
  std::vector<bool> suits_;  ///< of each of its variants: whether the request selects it …
  bool suited_ = false;      ///< … any of them …
  bool selected_ = false;    ///< … and one of those that are there
  size_t next_ = 0;
  Variant unlisted_;
  Json json_;
  std::shared_ptr<Explanation*> self_;
};

/// The values of `name` in a query, percent-decoded.
std::vector<std::string> QueryValues(std::string_view query, std::string_view name) {
  std::vector<std::string> values;
  while (!query.empty()) {
    const std::string_view pair = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), pair.size() + 1));
    const size_t equals = pair.find('=');
    if (equals == std::string_view::npos || pair.substr(0, equals) != name) continue;
    values.push_back(http::PercentDecode(pair.substr(equals + 1)).value_or(""));
  }
  return values;
}

Result<http::RequestHead> ReadQuestion(std::string_view query) {
  const auto fail = [](std::string message) {
    return Fail(Fault::kClient, "bad_question", std::move(message));
  };
  const std::vector<std::string> urls = QueryValues(query, "url");
  if (urls.size() != 1) {
    return fail("expected one ?url=https://host/path, percent-encoded, and &header=Name:%20value");
  }
  const auto uri = http::SplitUri(urls.front());
  if (!uri) return fail("expected ?url=https://host/path: " + uri.error().message);
  http::RequestHead request;
  request.method = "GET";
  request.scheme = http::LowerName(uri->scheme);
  request.authority = http::LowerName(uri->authority);
  request.target = std::string(uri->path.empty() ? "/" : uri->path);
  if (uri->has_query) request.target += "?" + std::string(uri->query);
  const std::vector<std::string> headers = QueryValues(query, "header");
  if (headers.size() > kMostHeaders) {
    return fail("header: expected at most " + std::to_string(kMostHeaders));
  }
  for (const std::string& header : headers) {
    const std::string_view line = header;
    const size_t colon = std::min(line.find(':'), line.size());
    const std::string_view name = line.substr(0, colon);
    const std::string_view value = http::TrimSpace(line.substr(std::min(colon + 1, line.size())));
    if (colon == line.size() || !http::IsToken(name) || !http::IsFieldValue(value)) {
      return fail("header: expected \"Name: value\", got \"" + header + "\"");
    }
    request.fields.Add(name, value);
  }
  return request;
}

}  // namespace

void RespondJson(http::Exchange& exchange, int status, const std::string& json) {
  const std::string length = std::to_string(json.size());
  const std::array<http::FieldLine, 3> lines = {{{"content-type", "application/json"},
                                                 {"content-length", length},
                                                 {"cache-control", "no-store"}}};
  exchange.Respond(status, {}, lines, http::TextBody(json));
}

void RespondExplain(Node& node, net::EventLoop& loop,
                    std::shared_ptr<const Configuration> configuration, std::string_view query,
                    http::Exchange& exchange) {
  const auto fail = [&exchange](int status, std::string_view message) {
    RespondJson(
        exchange, status,
        Json({{"error", message}}).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  };
  auto request = ReadQuestion(query);
  if (!request) return fail(400, request.error().message);
  const Site* site = configuration->sites.Find(request->host());
  if (site == nullptr) {
    return fail(404, "no site of this edge has the host \"" + std::string(request->host()) +
                         "\"; hosts of a [[site]] says which it has");
  }
  auto target = http::NormalizeTarget(request->target);
  if (!target) return fail(400, target.error().message);
  auto explanation = std::make_unique<Explanation>(node, loop, configuration, exchange);
  Explanation* begun = explanation.get();
  exchange.SetHandler(std::move(explanation));
  begun->Begin(std::move(*request), *site, site->query_rule.Apply(*std::move(target)));
}

}  // namespace nearside::edge
