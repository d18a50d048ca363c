#include "edge/explain.h"

#include <array>
#include <nlohmann/json.hpp>

#include "edge/cache_key.h"
#include "edge/policy.h"
#include "http/date.h"
#include "http/uri.h"
#include "runtime/crypto.h"

namespace nearside::edge {
namespace {

using Json = nlohmann::ordered_json;

double Seconds(milliseconds span) { return static_cast<double>(span.count()) / 1000.0; }

std::string_view ValidityName(storage::Validity validity) {
  switch (validity) {
    case storage::Validity::kValid:
      return "valid";
    case storage::Validity::kStale:
      return "soft-purged";
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

Json ExplainFreshness(const Freshness& freshness, WallTime now) {
  return {
      {"response_time", http::FormatDate(freshness.response_time)},
      {"initial_age_s", Seconds(freshness.initial_age)},
      {"age_s", Seconds(freshness.Age(now))},
      {"lifetime_s", Seconds(freshness.lifetime)},
      {"lifetime_is_a_guess", freshness.heuristic},
      {"ttl_s", Seconds(freshness.TimeToLive(now))},
      {"stale_while_revalidate_s", Seconds(freshness.while_revalidate)},
      {"stale_if_error_s", Seconds(freshness.if_error)},
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

/// Looks a URL up as a request would, from RAM or disk, and answers when it knows.
class Explanation final : public http::ExchangeHandler {
 public:
  Explanation(Node& node, std::shared_ptr<const Configuration> configuration,
              http::Exchange& exchange)
      : node_(node),
        configuration_(std::move(configuration)),
        exchange_(exchange),
        self_(std::make_shared<Explanation*>(this)) {}
  ~Explanation() override { *self_ = nullptr; }

  void Begin(net::EventLoop& loop, const http::RequestHead& request, const Site& site,
             std::string_view target) {
    request_ = request;
    const std::string url = NormalUrl(request, target);
    const Key256 key = PrimaryKey(site.settings.name, url);
    json_["url"] = url;
    json_["site"] = site.settings.name;
    json_["key"] = HexEncode(key.bytes);
    json_["origins"] = ExplainOrigins(*site.origin_set, loop.now());
    json_["being_fetched_alone"] = node_.fills.IsNotShared(key, loop.now());
    storage::HeadRef head = node_.store->Find(key);
    json_["in_memory"] = head != nullptr;
    if (head || !node_.store->MayBeOnDisk(key)) return Finish(head, loop.wall_now());
    node_.store->Load(key, loop, [self = self_, &loop](storage::HeadRef loaded) {
      if (*self != nullptr) (*self)->Finish(loaded, loop.wall_now());
    });
  }

 private:
  void Finish(const storage::HeadRef& head, WallTime now) {
    json_["stored"] = head != nullptr;
    if (!head) {
      json_["a_request_now"] = {{"action", "fetch from the origin"},
                                {"reason", ReasonName(Reason::kUriMiss)}};
    } else {
      Describe(*head, now);
    }
    // Field values are bytes from origins: what is not UTF-8 is replaced.
    RespondJson(exchange_, 200, json_.dump(2, ' ', false, Json::error_handler_t::replace) + "\n");
  }

  void Describe(const storage::CachedHead& head, WallTime now) {
    const StoredResponse& response = ResponseOf(head);
    const storage::Validity validity = node_.store->Check(head);
    json_["validity"] = ValidityName(validity);
    json_["drop_at"] = http::FormatDate(head.head.drop_at);
    if (response.is_index()) {
      for (const Variant& variant : response.variants) {
        json_["variants"].push_back({{"selected_by", ExplainFields(variant.selecting)},
                                     {"stored_at", http::FormatDate(variant.stored_at)},
                                     {"key", HexEncode(variant.key.bytes)}});
      }
      return;
    }
    json_["status"] = response.status;
    json_["body_bytes"] = BodyBytesOf(head);
    if (response.is_sliced()) json_["slice_bytes"] = response.slicing.slice_bytes;
    json_["fields"] = ExplainFields(response.fields);
    json_["tags"] = response.tags;
    json_["freshness"] = ExplainFreshness(response.freshness, now);
    if (validity == storage::Validity::kGone) {
      json_["a_request_now"] = {{"action", "fetch from the origin"},
                                {"reason", ReasonName(Reason::kUriMiss)}};
      return;
    }
    const UseDecision decision = DecideUse(request_, response, validity, now);
    json_["a_request_now"] = {{"action", ActionName(decision.action)},
                              {"reason", ReasonName(decision.reason)}};
  }

  Node& node_;
  const std::shared_ptr<const Configuration> configuration_;
  http::Exchange& exchange_;
  http::RequestHead request_;
  Json json_;
  std::shared_ptr<Explanation*> self_;
};

}  // namespace

void RespondJson(http::Exchange& exchange, int status, const std::string& json) {
  const std::string length = std::to_string(json.size());
  const std::array<http::FieldLine, 3> lines = {{{"content-type", "application/json"},
                                                 {"content-length", length},
                                                 {"cache-control", "no-store"}}};
  exchange.Respond(status, {}, lines, http::TextBody(json));
}

void RespondExplain(Node& node, net::EventLoop& loop,
                    std::shared_ptr<const Configuration> configuration, std::string_view url,
                    http::Exchange& exchange) {
  const auto fail = [&exchange](int status, std::string_view message) {
    RespondJson(
        exchange, status,
        Json({{"error", message}}).dump(-1, ' ', false, Json::error_handler_t::replace) + "\n");
  };
  const auto uri = http::SplitUri(url);
  if (!uri) return fail(400, "expected ?url=https://host/path: " + uri.error().message);
  http::RequestHead request;
  request.method = "GET";
  request.scheme = http::LowerName(uri->scheme);
  request.authority = http::LowerName(uri->authority);
  request.target = std::string(uri->path.empty() ? "/" : uri->path);
  if (uri->has_query) request.target += "?" + std::string(uri->query);
  const Site* site = configuration->sites.Find(request.host());
  if (site == nullptr) {
    return fail(404, "no site of this edge has the host \"" + std::string(request.host()) + "\"");
  }
  const auto target = http::NormalizeTarget(request.target);
  if (!target) return fail(400, target.error().message);
  auto explanation = std::make_unique<Explanation>(node, configuration, exchange);
  Explanation* begun = explanation.get();
  exchange.SetHandler(std::move(explanation));
  begun->Begin(loop, request, *site, *target);
}

}  // namespace nearside::edge
