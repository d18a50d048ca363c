#include "edge/request.h"

#include "edge/cache_key.h"
#include "edge/health.h"
#include "edge/hops.h"
#include "edge/negotiation.h"
#include "edge/origin_request.h"
#include "edge/purge.h"
#include "edge/slices.h"
#include "edge/variant_index.h"
#include "edge/worker.h"
#include "http/accept_encoding.h"
#include "http/cache_control.h"
#include "http/uri.h"
#include "net/address.h"

namespace nearside::edge {

using std::string_view_literals::operator""sv;  // compares lengths first

namespace {

/// A request looks for its answer in another place at most so often (a fill that turns out to be
/// another variant, a stored body that turns out damaged) before it is fetched for itself alone.
constexpr int kMostForwards = 3;
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

// ---- → validate | miss

/// RFC 9111 §5.2.1.7.
bool Request::WantsStored() const {
  return http::HasDirective(exchange_.request().fields, "only-if-cached");
}

void Request::FailOnlyIfCached() {
  Fail(Reason::kOnlyIfCached,
       "The request wants a stored response (only-if-cached), and there is none that may be used.");
}

void Request::Forward(Reason reason) {
  reason_ = reason;
  Node& node = worker_.node();
  const http::RequestHead& head = exchange_.request();
  if (WantsStored()) return FailOnlyIfCached();
  if (IsLooping()) return FailLoop();
  if (++forwards_ > kMostForwards) return Pass(Reason::kNotShared);
  if (IsNotShared()) return ForwardAlone();
  if (head.method == "HEAD" && !stored_) return Pass(reason);

  FillTable::Claim claim = ClaimFill();
  if (!claim.lead && !MayJoin(*claim.fill)) {
    node.fills.Remove(claim.fill);
    claim = ClaimFill();
  }
  if (!claim.lead && IsFarAhead(*claim.fill)) return FetchBeside(/*conditional=*/false);
  collapsed_ = !claim.lead;
  if (collapsed_) {
    worker_.cells().Add(node.metrics.collapsed);
  } else if (!LeadFill(claim.fill)) {
    fetch_ = OriginFetch::Start(worker_, MakeFillOrder(claim.fill, stored_ != nullptr));
  }
  Await(std::move(claim.fill));
}

FillTable::Claim Request::ClaimFill() {
  Node& node = worker_.node();
  return node.fills.ClaimFill(FillKey(), configuration().settings.cache.fill_window.bytes,
                              *node.store, Beginning());
}

/// Of a fetch that begins now.
FetchBeginning Request::Beginning() const {
  return {.purge_sequence = worker_.node().store->purge_sequence(),
          .scopes = ScopesOfFetch(site_->settings.name, resource_->target)};
}

/// Whether what a fetch has brought before this request came may answer it (RFC 9111 §4). Those who
/// waited for it are answered whatever has passed since.
bool Request::MayJoin(const Fill& fill) const {
  const Fill::Phase phase = fill.phase();
  if (phase != Fill::Phase::kStreaming && phase != Fill::Phase::kWhole) return true;
  const UseDecision decision =
      DecideUse(exchange_.request(), *fill.head().response, storage::Validity::kValid,
                worker_.loop().wall_now(), site_->request_directives);
  return decision.action != UseDecision::Action::kValidate;
}

/// Whether it is known that a response would be for this request alone.
bool Request::IsNotShared() const {
  const FillTable& fills = worker_.node().fills;
  const MonoTime now = worker_.loop().now();
  const Key256 key = FillKey();
  if (fills.IsNotShared(key, now)) return true;
  return SaysWhoAsks(exchange_.request().fields) && fills.IsNotShared(AskersKey(key), now);
}

/// Whether the range that is wanted begins so far behind what has come of the whole that a slice of
/// its own is sooner there.
bool Request::IsFarAhead(const Fill& fill) const {
  const auto n = SliceToAsk();
  if (!n || stored_ || fill.phase() != Fill::Phase::kStreaming) return false;
  const FillHead& head = fill.head();
  const uint64_t slice_bytes = SliceBytes(site_->settings);
  const uint64_t first = *n * slice_bytes;
  const StoredResponse& response = *head.response;
  return head.storing && response.status == 200 && head.body_bytes && first < *head.body_bytes &&
         first > fill.published() + slice_bytes &&
         IsFitForSlices(response.fields, worker_.loop().wall_now());
}

/// For the cache, and joined by nobody: beside whatever else fetches the same.
void Request::FetchBeside(bool conditional) {
  collapsed_ = false;
  std::shared_ptr<Fill> fill = worker_.node().fills.MakeFill(
      FillKey(), configuration().settings.cache.fill_window.bytes, Beginning());
  fetch_ = OriginFetch::Start(worker_, MakeFillOrder(fill, conditional));
  Await(std::move(fill));
}

/// Waits for no other request: validates the copy there is, else asks as it came. But a HEAD that a
/// copy could answer is asked for by GET, or the copy would not be told (RFC 9111 §4.3.5).
void Request::ForwardAlone() {
  const bool validates = stored_ && ResponseOf(*stored_).freshness.has_validator;
  const bool tells = stored_ && exchange_.request().method == "HEAD";
  if (!validates && !tells) return Pass(Reason::kNotShared);
  FetchBeside(/*conditional=*/true);
}

// Between our lookup and the claim another request may have filled the cache: it is findable there
// before its fill leaves the table, so looking once more as the leader makes one fetch a miss
// exact.
bool Request::LeadFill(const std::shared_ptr<Fill>& fill) {
  Node& node = worker_.node();
  storage::HeadRef head = node.store->Find(key_);
  if (!head || head == stored_ || head == unreadable_) return false;
  if (ResponseOf(*head).is_index() || IsFromBefore(*head)) return false;
  const auto validity = ValidityOf(node, *site_, *head);
  if (validity == storage::Validity::kGone || IsOtherTail(*head)) return false;
  const UseDecision decision = DecideUse(exchange_.request(), ResponseOf(*head), validity,
                                         worker_.loop().wall_now(), site_->request_directives);
  if (decision.action == UseDecision::Action::kValidate) return false;
  node.fills.Remove(fill);
  fill->FinishStored(std::move(head), decision.reason, /*shared=*/true);
  return true;
}

void Request::ValidateBehind() {
  FillTable::Claim claim = ClaimFill();
  if (!claim.lead) return;
  OriginFetch::Start(worker_, MakeFillOrder(std::move(claim.fill), true));
}

FetchOrder Request::MakeFillOrder(std::shared_ptr<Fill> fill, bool conditional) const {
  FetchOrder order = MakeOrder(std::move(fill), OriginMode::kFill, conditional);
  if (const uint64_t tail_bytes = TailToAsk()) {
    AskForTail(tail_bytes, &order);
  } else if (const auto n = SliceToAsk()) {
    AskForSlice(*n, SliceBytes(site_->settings), /*sliced=*/nullptr, &order);
  }
  return order;
}

FetchOrder Request::MakeOrder(std::shared_ptr<Fill> fill, OriginMode mode, bool conditional) const {
  const http::RequestHead& head = exchange_.request();
  FetchOrder order;
  order.configuration = *configuration_;
  order.site = site_;
  order.request = head;
  order.url = resource_->url;
  order.target = resource_->target;
  order.primary = resource_->key;
  order.fill = std::move(fill);
  order.may_store = mode == OriginMode::kFill;
  order.index = index_;
  if (conditional && ResponseOf(*stored_).freshness.has_validator) order.validate = stored_;
  if (mode == OriginMode::kFill) order.copy = stored_;
  ClientAddress client = Client();
  const Asker asker{.address = std::move(client.address),
                    .version = exchange_.version(),
                    .edge = worker_.node().name,
                    .peer = exchange_.stream().peer().Ip(),
                    .chain = std::move(client.chain),
                    .field = configuration().forwarded_field,
                    .request_id = Id()};
  order.origin_request =
      OriginRequest(head, mode == OriginMode::kFill ? resource_->target : head.target, *site_,
                    asker, mode, order.validate ? &ResponseOf(*order.validate) : nullptr);
  if (mode == OriginMode::kFill) order.origin_request.method = "GET";
  return order;
}

void Request::Await(std::shared_ptr<Fill> fill) {
  validated_.reset();
  for_one_ = {};
  just_told_ = false;
  reader_ = std::make_unique<FillReader>(std::move(fill), worker_.loop(), [self = Self()] {
    if (*self != nullptr) (*self)->OnFill();
  });
  OnFill();  // it may have come further than we know
}

void Request::OnFill() {
  if (responded_) return exchange_.Resume();
  if (identity_ == Identity::kSought) return;
  const std::shared_ptr<Fill> fill = reader_->fill();
  if (!collapsed_) PassInterims();
  switch (fill->phase()) {
    case Fill::Phase::kPending:
      return;
    case Fill::Phase::kStreaming:
    case Fill::Phase::kWhole:
      return OnFillHead();
    case Fill::Phase::kStored:
      reader_.reset();
      if (collapsed_ && !fill->head().shared) {
        collapsed_ = false;
        return MayLeadNext(fill->head()) ? Forward(reason_) : ForwardAlone();
      }
      if (collapsed_ &&
          !Selects(fill->head().selecting, exchange_.request().fields, site_->settings)) {
        return ForwardAsVariant(fill->head().selecting);
      }
      // Found in the cache for another request: this one may want more of it.
      if (collapsed_ && fill->reason() != Reason::kValidated) return OnCandidate(fill->stored());
      validated_ = fill->head().response;
      if (!collapsed_) for_one_ = fill->head().withheld;
      just_told_ = !collapsed_ && !fill->head().aged &&
                   (fill->reason() == Reason::kValidated || fill->reason() == Reason::kStored);
      return ServeStored(fill->stored(),
                         fill->reason() == Reason::kStored ? reason_ : fill->reason());
    case Fill::Phase::kFailed:
      if (fill->advice() == Fill::Advice::kTellError && fill->error().fault != Fault::kClient &&
          !MayServeStale() && MayTakeIdentity()) {
        return SeekIdentity();
      }
      reader_.reset();
      // Given up because its last reader left, just as we came.
      if (fill->error().fault == Fault::kClient) return Forward(reason_);
      if (fill->advice() != Fill::Advice::kTellError) return FollowAdvice(fill->advice());
      if (storage::HeadRef newer = NewerStored()) return OnNewer(std::move(newer));
      if (MayServeStale()) return ServeStored(stored_, Reason::kStaleIfError);
      return Fail(fill->reason(),
                  "The origin of this site did not answer as it should, and there is no copy "
                  "that may be served: " +
                      fill->error().message);
  }
}

/// RFC 9110 §15.2: at once, and never stored.
void Request::PassInterims() {
  for (const Interim& interim : reader_->fill()->TakeInterims()) {
    exchange_.SendInterim(interim.status, interim.fields);
  }
}

void Request::OnFillHead() {
  const std::shared_ptr<Fill> fill = reader_->fill();
  const FillHead& head = fill->head();
  if (IsErrorStatus(head.response->status)) {
    failed_status_ = head.response->status;
    storage::HeadRef newer = head.storing ? nullptr : NewerStored();
    if (newer) {
      reader_.reset();
      return OnNewer(std::move(newer));
    }
    if (MayServeStale()) {
      reader_.reset();
      return ServeStored(stored_, Reason::kStaleIfError);
    }
    if (MayTakeIdentity()) return SeekIdentity();
  }
  if (collapsed_ && !fill->joinable()) {
    // Made for somebody else alone, or its beginning is gone. If the next one may be shared, one of
    // those who are let go leads it; else nobody waits for anybody from here on.
    const bool failed = !head.shared && IsErrorStatus(head.response->status);
    const bool again = !head.shared && !failed && MayLeadNext(head);
    reader_.reset();
    collapsed_ = false;
    if (again) return Forward(reason_);
    return failed ? FailLikeLeader(head) : ForwardAlone();
  }
  if (collapsed_ && !Selects(head.selecting, exchange_.request().fields, site_->settings)) {
    return ForwardAsVariant(head.selecting);
  }
  if (IsOfLess(head)) {
    reader_.reset();
    return Pass(Reason::kNotShared);
  }
  if (IsNoAgreement(head.response->status)) {
    reader_.reset();
    return Fail(Reason::kNotSwitched,
                "The origin of this site answered a request for WebSocket as if it were an "
                "ordinary one.");
  }
  RespondFill();
}

/// Of those who are let go by what was for another request alone: whether the next fetch may be for
/// all of them again.
bool Request::MayLeadNext(const FillHead& head) const {
  const bool for_all = !head.ones_own || SaysWhoAsks(exchange_.request().fields);
  return !(head.unshareable && for_all) && !head.validated_each;
}

/// Whether it answers another question than the client's: the cache asks without the parameters
/// that the site's rule leaves out, and this is not for the cache. What an origin answers to
/// everything while it is down, it would to the whole query as well.
bool Request::IsOfLess(const FillHead& head) const {
  const int status = head.response->status;
  return resource_->query_cut && !passing_ && !collapsed_ && !head.shared && !head.storing &&
         (status == 500 || !IsErrorStatus(status));
}

/// What this request waited for is another variant than its own.
void Request::ForwardAsVariant(const http::Fields& selecting) {
  const http::Fields& fields = exchange_.request().fields;
  key_ = VariantKey(resource_->key, SelectingLike(selecting, fields, site_->settings));
  reader_.reset();
  Forward(Reason::kVaryMiss);
}

/// The part that was asked for is of no use to the cache.
void Request::FollowAdvice(Fill::Advice advice) {
  ask_whole_ = ask_whole_ || advice == Fill::Advice::kAskWhole;
  ask_slice_ = ask_slice_ || advice == Fill::Advice::kAskSlice;
  // Those who waited may be luckier with a request of their own.
  if (advice != Fill::Advice::kAskAlone || collapsed_) return Forward(reason_);
  Pass(Reason::kNotShared);
}

/// What another fetch has stored since this request looked: what it found then is not to be shown
/// after that, though its own fetch has failed. Null: nothing.
storage::HeadRef Request::NewerStored() const {
  if (passing_) return nullptr;
  storage::CacheStore& store = *worker_.node().store;
  storage::HeadRef head = store.Find(resource_->key);
  if (!head || ResponseOf(*head).is_index()) head = store.Find(key_);
  if (!head || head == stored_ || head == unreadable_ || ResponseOf(*head).is_index() ||
      IsOtherTail(*head) || IsFromBefore(*head)) {
    return nullptr;
  }
  const bool newer = !stored_ || head->head.object_id > stored_->head.object_id;
  return newer ? head : nullptr;
}

void Request::OnNewer(storage::HeadRef head) {
  key_ = head->head.key;
  OnCandidate(std::move(head));
}

bool Request::MayServeStale() const {
  return stored_ && worker_.node().store->MayHold(stored_->head.key) &&
         MayServeOnError(exchange_.request(), ResponseOf(*stored_),
                         worker_.node().store->Check(*stored_), worker_.loop().wall_now(),
                         site_->request_directives, site_->settings.keep_whole) &&
         HasSlices(*stored_);
}

/// The origin fails, and of what the request asks for only a coding that it does not take may be
/// stored. Where it is this edge that encodes, the bytes without a coding are as good for anybody
/// (RFC 9110 §12.5.3), and they are sought once.
bool Request::MayTakeIdentity() const {
  return index_ && identity_ == Identity::kNotSought && !tunnel_ &&
         site_->settings.normalize_accept_encoding &&
         CodingsFor(exchange_.request().fields).best() != http::Coding::kIdentity;
}

void Request::SeekIdentity() {
  identity_ = Identity::kSought;
  http::Fields plain = exchange_.request().fields;
  plain.Set("accept-encoding", "identity");
  const std::vector<Variant>& variants = ResponseOf(*index_).variants;
  Selector selector(plain, site_->settings);
  for (const Variant& variant : variants) {
    if (!selector.Selects(variant.selecting, variant.language)) continue;
    return Find(variant.key, &Request::OnIdentity);
  }
  const http::Fields selecting = SelectingLike(variants.front().selecting, plain, site_->settings);
  Find(VariantKey(resource_->key, selecting), &Request::OnIdentity);
}

void Request::OnIdentity(storage::HeadRef head) {
  identity_ = Identity::kKnown;
  const storage::HeadRef own = stored_;
  if (head && head != unreadable_ && ResponseOf(*head).negotiated) {
    stored_ = std::move(head);
    if (MayServeStale()) {
      reader_.reset();
      return ServeStored(stored_, Reason::kStaleIfError);
    }
    stored_ = own;
  }
  OnFill();
}

void Request::RespondFill() {
  const FillHead& head = reader_->fill()->head();
  const StoredResponse& response = *head.response;
  Selection selection{.status = response.status,
                      .span = {0, head.body_bytes.value_or(UINT64_MAX)},
                      .content_range = {}};
  if (!passing_) {
    selection = Select(exchange_.request(), response, head.body_bytes, worker_.loop().wall_now());
    // Ranges in any order, of a body that is still arriving: the whole is sent (RFC 9110 §14.2).
    if (!selection.ranges.empty()) {
      selection = Selection();
      selection.span = {0, *head.body_bytes};
    }
  }
  // What the origin has answered by itself to a condition or a range goes as it came.
  const bool whole = passing_ || response.status != 200 || selection.whole();
  StatusLine line{.reason = reason_,
                  .time_to_live = {},
                  .origin_status = response.status,
                  .stored = head.storing,
                  .collapsed = collapsed_,
                  .detail = head.storing || passing_ ? "" : ReasonName(head.store_reason)};
  const WallTime now = worker_.loop().wall_now();
  if (head.storing) line.time_to_live = response.freshness.TimeToLive(now);
  if (!worker_.is_inside()) {
    worker_.cells().Observe(
        worker_.node().metrics.first_byte_seconds,
        std::chrono::duration<double>(worker_.loop().now() - exchange_.started()).count());
  }
  http::Fields extra;
  if (!whole) extra = PartialFields(response, selection);
  if (!collapsed_ && (whole || selection.status == 206)) {
    for (const http::FieldLine& own : head.withheld.lines()) extra.Add(own.name, own.value);
  }
  const auto age = std::chrono::floor<seconds>(response.freshness.Age(now)).count();
  if ((collapsed_ || head.aged) && age >= 1) extra.Add("age", std::to_string(age));
  auto body = std::make_unique<FillBody>(std::move(reader_), selection.span, *worker_.node().store,
                                         worker_.loop(), exchange_, CountOf(reason_));
  if (whole) {
    return Deliver(selection.status, response.fields.lines(), &extra, line, std::move(body));
  }
  if (selection.status != 206) body.reset();
  Deliver(selection.status, {}, &extra, line, std::move(body));
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
