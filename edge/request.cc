#include "edge/request.h"

#include "edge/cache_key.h"
#include "edge/health.h"
#include "edge/hops.h"
#include "edge/origin_request.h"
#include "edge/variant_index.h"
#include "edge/worker.h"
#include "http/uri.h"
#include "net/address.h"

namespace nearside::edge {

using std::string_view_literals::operator""sv;  // compares lengths first

namespace {

constexpr std::string_view kPageType = "text/html; charset=utf-8";

}  // namespace

void Request::Serve(Worker& worker, http::Exchange& exchange) {
  auto request = std::unique_ptr<Request>(new Request(worker, exchange));
  Request* begun = request.get();
  exchange.SetHandler(std::move(request));
  begun->Begin();
}

Request::Request(Worker& worker, http::Exchange& exchange)
    : worker_(worker), exchange_(exchange), configuration_(worker.held_configuration()) {}

Request::~Request() {
  if (self_) *self_ = nullptr;
  if (upload_) upload_->Detach();
  if (tunnel_) tunnel_->Detach();
}

const std::shared_ptr<Request*>& Request::Self() {
  if (!self_) self_ = std::make_shared<Request*>(this);
  return self_;
}

// ---- receive → find site → key

void Request::Begin() {
  const http::RequestHead& head = exchange_.request();
  if (IsForNode()) {
    reason_ = Reason::kNodeRequest;
    status_ = 200;
    responded_ = true;
    worker_.CountRequest(reason_);
    return RespondHealth(worker_.node(), exchange_);
  }
  if (!configuration().trusted_proxies->empty()) {
    if (const std::string_view scheme = Client().scheme; !scheme.empty()) {
      exchange_.SetScheme(scheme);
    }
  }
  KnownResources& known = worker_.known_resources();
  resource_ = known.Find(head);
  site_ = resource_ ? resource_->site : configuration().sites.Find(head.host());
  if (site_ == nullptr) {
    return Fail(Reason::kUnknownHost,
                "No site of this edge has the host \"" + std::string(head.host()) + "\".");
  }
  if (IsMisdirected()) {
    return Fail(Reason::kWrongCertificate,
                "The certificate of this connection is not valid for \"" +
                    std::string(head.host()) + "\". Open another connection for it.");
  }
  if (!resource_) {
    auto target = http::NormalizeTarget(head.target);
    if (!target) return Fail(Reason::kBadRequest, target.error().message);
    resource_ = MakeResource(*site_, head, *std::move(target));
    known.Add(head, resource_);
  }
  if (site_->visitor_rules.answers()) {
    if (const auto answer = site_->visitor_rules.Answer(head)) return AnswerByRule(*answer);
  }
  key_ = resource_->key;
  if (!head.protocol.empty()) return IsLooping() ? FailLoop() : AskToSwitch();
  const bool reads = head.method == "GET"sv || head.method == "HEAD"sv;
  if (reads && !exchange_.has_body()) return LookUp();
  if (HopsLeft(head) == uint64_t{0}) return AnswerAsLastHop();
  if (IsLooping()) return FailLoop();
  Pass(Reason::kMethod);
}

// RFC 9110 §7.6.2: an OPTIONS or TRACE that may go no further. We do not echo what others sent.
void Request::AnswerAsLastHop() {
  const bool options = exchange_.request().method == "OPTIONS";
  reason_ = Reason::kNodeRequest;
  status_ = options ? 204 : 405;
  responded_ = true;
  worker_.CountRequest(reason_);
  http::Fields fields = {{"allow", "GET, HEAD, OPTIONS"}};
  if (!options) fields.Add("content-length", "0");
  exchange_.Respond(status_, {}, fields.lines(), nullptr);
}

bool Request::IsForNode() const {
  const http::RequestHead& head = exchange_.request();
  return head.path() == "/healthz" &&
         (net::IsIpLiteral(head.host()) || head.host() == worker_.node().name);
}

// A client may use a connection for another host than it was opened for (RFC 9113 §9.1.1) if our
// certificate says so; for the host that it asked for by SNI it has made up its own mind.
bool Request::IsMisdirected() const {
  const net::Stream& stream = exchange_.stream();
  const std::string_view asked = stream.server_name();
  const std::string_view host = exchange_.request().host();
  return !asked.empty() && host != asked && !stream.Covers(host);
}

// What is answered from the cache cannot loop, so this is asked of what is sent on alone.
bool Request::IsLooping() const {
  const int most = configuration().settings.limits.max_hops;
  return HopsThrough(worker_.node().name, exchange_.request().fields) >= most;
}

// ---- → look up

void Request::Find(const Key256& key, void (Request::*then)(storage::HeadRef)) {
  storage::CacheStore& store = *worker_.node().store;
  storage::HeadRef head = store.Find(key);
  if (head || !store.MayBeOnDisk(key)) return (this->*then)(std::move(head));
  store.Load(key, worker_.loop(), [self = Self(), then](storage::HeadRef loaded) {
    if (*self != nullptr) ((*self)->*then)(std::move(loaded));
  });
}

void Request::LookUp() { Find(resource_->key, &Request::OnPrimary); }

void Request::OnPrimary(storage::HeadRef head) {
  if (!head || worker_.node().store->Check(*head) == storage::Validity::kGone) {
    return Forward(Reason::kUriMiss);
  }
  if (!ResponseOf(*head).is_index()) return OnCandidate(std::move(head));
  index_ = std::move(head);
  LookUpVariant();
}

/// RFC 9111 §4: the most recent of those that the request selects; if it is there no more, the
/// next.
void Request::LookUpVariant() {
  const http::Fields& fields = exchange_.request().fields;
  const SiteSettings& site = site_->settings;
  const std::vector<Variant>& variants = ResponseOf(*index_).variants;
  Selector selector(fields, site);
  while (next_variant_ < variants.size()) {
    const Variant& variant = variants[next_variant_++];
    if (!selector.Selects(variant.selecting, variant.language)) continue;
    key_ = variant.key;
    return Find(key_, &Request::OnListed);
  }
  if (key_ != resource_->key) return Forward(Reason::kUriMiss);  // all that it selects are gone
  // The newest variant tells which fields select; requests that agree on them share a fetch, and
  // find what the index does not list: it has a limit, and may have left RAM.
  key_ = VariantKey(resource_->key, SelectingLike(variants.front().selecting, fields, site));
  Find(key_, &Request::OnUnlisted);
}

void Request::OnListed(storage::HeadRef head) {
  if (!Use(std::move(head))) LookUpVariant();
}

void Request::OnUnlisted(storage::HeadRef head) {
  const bool there = head && worker_.node().store->Check(*head) != storage::Validity::kGone &&
                     !IsFromBefore(*head);
  there ? OnCandidate(std::move(head)) : Forward(Reason::kVaryMiss);
}

/// Of a variant: whether something else stands for the whole resource by now.
bool Request::IsFromBefore(const storage::CachedHead& head) const {
  if (head.head.key == resource_->key) return false;
  storage::HeadRef top = worker_.node().store->Find(resource_->key);
  if (!top) top = index_;  // it has left RAM
  return !top || edge::IsFromBefore(*top, head);
}

void Request::OnCandidate(storage::HeadRef head) {
  if (!Use(std::move(head))) Forward(Reason::kUriMiss);
}

/// Goes on with what is stored; false: it is gone, or says nothing to this request.
bool Request::Use(storage::HeadRef head) {
  const auto validity = head ? ValidityOf(worker_.node(), *site_, *head) : storage::Validity::kGone;
  if (validity == storage::Validity::kGone || IsOtherTail(*head)) return false;
  const UseDecision decision = DecideUse(exchange_.request(), ResponseOf(*head), validity,
                                         worker_.loop().wall_now(), site_->request_directives);
  switch (decision.action) {
    case UseDecision::Action::kServe:
      if (ResponseOf(*head).is_sliced()) stored_ = head;
      ServeStored(std::move(head), decision.reason);
      return true;
    case UseDecision::Action::kServeAndValidate:
      stored_ = head;
      if (MayAskOrigin()) ValidateBehind();
      ServeStored(std::move(head), decision.reason);
      return true;
    case UseDecision::Action::kValidate:
      break;
  }
  stored_ = head;
  // Nobody is to wait for origins that do not answer, once that is known.
  const bool by_age = decision.reason == Reason::kExpired || decision.reason == Reason::kSoftPurged;
  if (!by_age || !site_->origin_set->is_silent() || !MayServeStale()) {
    Forward(decision.reason);
    return true;
  }
  if (MayAskOrigin()) ValidateBehind();
  ServeStored(std::move(head), Reason::kStaleIfError);
  return true;
}

/// Of what nobody waits for: while all origins of the site are silent, one request a second.
bool Request::MayAskOrigin() const {
  OriginSet& origins = *site_->origin_set;
  return !origins.is_silent() || origins.MayProbe(worker_.loop().now());
}

// ---- → a rule of the site

void Request::AnswerByRule(const VisitorAnswer& answer) {
  http::Fields fields = answer.fields;
  std::unique_ptr<http::BodySource> body;
  if (!http::StatusHasNoContent(answer.status)) {
    fields.Add("content-length", std::to_string(answer.text.size()));
    body = http::TextBody(answer.text);
  }
  Deliver(answer.status, {}, &fields, StatusLine{.reason = answer.reason}, std::move(body));
}

// ---- → error

void Request::FailLoop() {
  Fail(Reason::kLoop,
       "This request has been through this edge before, as Via or CDN-Loop says: an origin of the "
       "site leads back here. If that is meant, raise limits.max_hops.");
}

/// What this request waited for is an error. It is told so without asking: all at once those who
/// waited would finish off an origin that is overloaded. Nothing of an answer that was for one
/// visitor is told to another.
void Request::FailLikeLeader(const FillHead& head) {
  const http::Fields& fields = exchange_.request().fields;
  if (head.told && Selects(head.selecting, fields, site_->settings)) {
    const int status = head.response->status;
    return FailAs(status, Reason::kOriginFailed,
                  "The origin of this site answered " + std::to_string(status) +
                      " to another request for this, and there is no copy that may be served.",
                  *head.told);
  }
  Fail(Reason::kOriginFailed,
       "The origin of this site failed to answer another request for this, and there is no copy "
       "that may be served.");
}

void Request::Fail(Reason reason, std::string_view explanation) {
  FailAs(StatusOf(reason), reason, explanation);
}

void Request::FailAs(int status, Reason reason, std::string_view explanation, http::Fields fields) {
  const std::string* page = site_ != nullptr ? site_->error_pages.Find(status) : nullptr;
  const std::string text = page != nullptr ? *page : ErrorText(status, reason, explanation, Id());
  fields.Add("content-type", page != nullptr ? kPageType : "text/plain; charset=utf-8");
  fields.Add("content-length", std::to_string(text.size()));
  fields.Add("cache-control", "no-store");
  StatusLine line{.reason = reason, .collapsed = collapsed_};
  // What it had been sent on for, before that went wrong.
  if (forwards_ > 0 || passing_) line.forwarded = reason_;
  Deliver(status, {}, &fields, line, http::TextBody(text));
}

// ---- → deliver → log

void Request::Deliver(int status, std::span<const http::FieldLine> prepared, http::Fields* extra,
                      StatusLine line, std::unique_ptr<http::BodySource> body) {
  if (site_ != nullptr) {
    if (site_->settings.cache_status_key && resource_) line.key = resource_->url;
    if (site_->settings.error_pages_replace_origin && status >= 400) {
      ReplaceByPage(status, &prepared, extra, &body);
    }
    if (site_->visitor_rules.adds_fields()) {
      prepared = site_->visitor_rules.AddFields(exchange_.request(), prepared, extra);
    }
  }
  std::string& cache_status = worker_.status_text();
  cache_status.clear();
  AppendStatusLine(worker_.node().name, line, &cache_status);
  extra->Add("cache-status", cache_status);
  reason_ = line.reason;
  status_ = status;
  responded_ = true;
  worker_.CountRequest(line.reason);
  exchange_.Respond(status, prepared, extra->lines(), std::move(body));
}

/// What answers a condition or a range says something of its own, and stays.
void Request::ReplaceByPage(int status, std::span<const http::FieldLine>* prepared,
                            http::Fields* extra, std::unique_ptr<http::BodySource>* body) const {
  const bool reads = exchange_.request().method == "GET" || exchange_.request().method == "HEAD";
  const std::string* page = site_->error_pages.Find(status);
  if (page == nullptr || !reads || status == 412 || status == 416) return;
  http::Fields kept;
  AddWithoutBodyFields(*prepared, &kept);
  AddWithoutBodyFields(extra->lines(), &kept);
  kept.Add("content-type", kPageType);
  kept.Add("content-length", std::to_string(page->size()));
  *prepared = {};
  *extra = std::move(kept);
  *body = http::TextBody(*page);  // the last one kept the prepared lines alive
}

BodyCount Request::CountOf(Reason reason) const {
  const EdgeMetrics& metrics = worker_.node().metrics;
  if (worker_.is_inside()) return {.cells = &worker_.cells(), .bytes = metrics.kept_bytes};
  return {.cells = &worker_.cells(),
          .bytes = metrics.body_bytes[static_cast<size_t>(ClassOf(reason))]};
}

std::string Request::Id() const {
  // Who tells who the client is may name the request as well.
  if (configuration().trusted_proxies->Contains(exchange_.stream().peer())) {
    if (const auto id = http::RequestIdOf(exchange_.request().fields)) return std::string(*id);
  }
  return worker_.node().request_ids.Of(exchange_.id());
}

ClientAddress Request::Client() const {
  return ClientOf(exchange_.stream().peer(), exchange_.request().fields,
                  *configuration().trusted_proxies, configuration().forwarded_field);
}

void Request::OnFinished(const http::ExchangeOutcome& outcome) {
  if (worker_.is_inside()) return;
  if (!outcome.complete) worker_.cells().Add(worker_.node().metrics.aborted_responses);
  const bool idle = tunnel_ && tunnel_->idle();
  if (!worker_.access_log().enabled()) return;
  const http::RequestHead& head = exchange_.request();
  worker_.access_log().Add({.time = worker_.loop().wall_now(),
                            .id = Id(),
                            .client = Client().address,
                            .version = exchange_.version(),
                            .method = head.method,
                            .scheme = head.scheme,
                            .authority = head.authority,
                            .target = head.target,
                            .site = site_ != nullptr ? site_->settings.name : "",
                            .status = status_,
                            .reason = reason_,
                            .body_bytes = outcome.body_bytes,
                            .duration = std::chrono::duration_cast<milliseconds>(
                                worker_.loop().now() - exchange_.started()),
                            .complete = outcome.complete,
                            .ended = idle               ? "tunnel_idle"
                                     : outcome.complete ? std::string_view()
                                                        : outcome.reason});
}

}  // namespace nearside::edge
