// A request that is not answered by what is stored: validated, or fetched, alone or with others;
// and what becomes of it when the origin fails.

#include "edge/cache_key.h"
#include "edge/negotiation.h"
#include "edge/origin_request.h"
#include "edge/purge.h"
#include "edge/request.h"
#include "edge/slices.h"
#include "edge/worker.h"
#include "http/accept_encoding.h"
#include "http/cache_control.h"

namespace nearside::edge {

namespace {

/// A request looks for its answer in another place at most so often (a fill that turns out to be
/// another variant, a stored body that turns out damaged) before it is fetched for itself alone.
constexpr int kMostForwards = 3;

}  // namespace

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

}  // namespace nearside::edge
