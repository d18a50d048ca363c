#include "edge/origin_fetch.h"

#include <algorithm>

#include "edge/cache_key.h"
#include "edge/compression.h"
#include "edge/negotiation.h"
#include "edge/purge.h"
#include "edge/slices.h"
#include "edge/tunnel.h"
#include "edge/worker.h"
#include "http/range.h"

namespace nearside::edge {
namespace {

/// Hosts of a site under which a path is looked for before it is purged; a site with more has it
/// purged at once.
constexpr size_t kMostHostsLookedAt = 16;
/// How long a key whose response was not to be shared is fetched for each request alone.
constexpr seconds kNotSharedFor{120};
/// An origin that does not take what a client had said before it left is left alone after this.
constexpr seconds kLastWordsPatience{10};

Reason ReasonOf(const Error& error) {
  if (error.reason.ends_with("_timeout")) return Reason::kOriginTimeout;
  if (error.reason == "closed_early" || error.reason == "bad_response")
    return Reason::kOriginBroken;
  if (error.reason == "tls_wrong_name") return Reason::kOriginWrongName;
  if (error.reason == "tls_expired") return Reason::kOriginExpired;
  if (error.reason == "tls_untrusted") return Reason::kOriginUntrusted;
  return Reason::kOriginUnreachable;
}

/// What the operator can do about it, for texts that a person reads.
std::string_view AdviceOn(Reason reason) {
  switch (reason) {
    case Reason::kOriginWrongName:
      return " Set origin_server_name to a name that the certificate has, or give the origin a "
             "certificate for the host of its URL.";
    case Reason::kOriginExpired:
      return " Renew the origin's certificate, or set the clock of this machine.";
    case Reason::kOriginUntrusted:
      return " Set origin_ca to the PEM file of the authority that signed the origin's "
             "certificate, or let the origin send its whole chain.";
    case Reason::kRetryBudget:
      return " No other origin was asked, because retries are over their share of the site's "
             "requests (retry_percent).";
    default:
      return "";
  }
}

/// The request's body for one attempt; it stays the fetch's, which may need it again: nothing is
/// taken of it any more once `halted`.
class BorrowedBody final : public http::BodySource {
 public:
  BorrowedBody(http::BodySource& source, const bool& halted, bool* touched, bool* whole)
      : source_(source), halted_(halted), touched_(touched), whole_(whole) {}
  State Peek(std::span<const uint8_t>* piece) override {
    if (halted_) return State::kWait;
    const State state = source_.Peek(piece);
    *whole_ |= state == State::kEnd;
    return state;
  }
  void Consume(size_t n) override {
    *touched_ = true;
    source_.Consume(n);
  }
  const http::Fields* Trailers() override { return source_.Trailers(); }

 private:
  http::BodySource& source_;
  const bool& halted_;
  bool* touched_;
  bool* whole_;
};

std::optional<uint64_t> ContentLength(const http::Fields& fields) {
  const auto text = fields.Get("content-length");
  if (!text) return std::nullopt;
  uint64_t length = 0;
  for (const char c : *text) length = length * 10 + static_cast<uint64_t>(c - '0');
  return length;  // digits that fit: the client session has checked it
}

/// Whether a 416 says that there is nothing, and nothing is what the client's range is about: the
/// last bytes of an empty representation are all of it (RFC 9110 §14.1.2).
bool IsOfEmpty(const http::Fields& refusal, const http::Fields& wanted) {
  const auto told = http::ParseContentRange(refusal.Get("content-range").value_or(""));
  return told && told->length == uint64_t{0} &&
         http::SelectRanges(wanted.Get("range").value_or(""), 0).outcome ==
             http::RangeOutcome::kIgnored;
}

/// Whether something is stored under one of a path's URLs, or on its way: that may have left the
/// origin before a change. Each purge costs a mark, and a look at its scopes for each object that
/// is asked for after it: requests that change what nobody has stored are not to cause any.
bool MayBeStored(const Node& node, const Site& site, const std::string& url) {
  const SiteSettings& settings = site.settings;
  if (settings.hosts.size() > kMostHostsLookedAt) return true;
  const std::vector<std::string> urls = UrlsOfPath(settings.hosts, url);
  return std::any_of(urls.begin(), urls.end(), [&](const std::string& one) {
    const Key256 key = PrimaryKey(settings.name, one);
    // In this order: what is stored meanwhile is seen by the second.
    return node.fills.IsStoring(key) || node.store->MayHold(key);
  });
}

}  // namespace

void Invalidate(Node& node, const Site& site, std::string_view url, bool soft) {
  const std::string target = site.query_rule.Apply(std::string(TargetOf(url)));
  const std::string_view origin = url.substr(0, url.size() - TargetOf(url).size());
  if (!MayBeStored(node, site, std::string(origin) + target)) return;
  node.store->Purge({ScopeOf(storage::ScopeKind::kUrl, site.settings.name, target)}, soft,
                    std::nullopt, nullptr, nullptr);
}

FetchHandle OriginFetch::Start(Worker& worker, FetchOrder order) {
  auto fetch = std::unique_ptr<OriginFetch>(new OriginFetch(worker, std::move(order)));
  OriginFetch* started = fetch.get();
  worker.Own(std::move(fetch));
  FetchHandle handle = started->self_;
  started->attempt_ = started->order_.site->origin_set->Begin(started->IsRepeatable(),
                                                              worker.Draw(), worker.loop().now());
  started->Try();
  return handle;
}

OriginFetch::OriginFetch(Worker& worker, FetchOrder&& order)
    : worker_(worker),
      order_(std::move(order)),
      purge_sequence_(order_.fill->purge_sequence()),
      patience_(worker.loop(), [this] { LosePatience(); }),
      self_(std::make_shared<OriginFetch*>(this)) {
  if (order_.may_store) BeginStoring();
  OfferPrepared();
  Bind();
}

void OriginFetch::BeginStoring() {
  era_.asked = worker_.node().fills.BeginStoring(order_.primary);
  counted_ = true;
}

/// To its fill.
void OriginFetch::Bind() {
  // Both may be called on another worker's thread: the answer is a task on ours.
  net::EventLoop& loop = worker_.loop();
  order_.fill->SetResume([self = self_, &loop] {
    loop.Post([self] {
      if (*self == nullptr) return;
      (*self)->reader_paused_ = false;
      (*self)->ResumeBody();
    });
  });
  order_.fill->SetAbandoned([self = self_, &loop] {
    loop.Post([self] {
      if (*self != nullptr) (*self)->OnAbandoned();
    });
  });
  if (!order_.tunnel) return;
  order_.tunnel->SetResume([self = self_] {
    if (*self == nullptr) return;
    (*self)->reader_paused_ = false;
    (*self)->ResumeBody();
  });
}

OriginFetch::~OriginFetch() {
  *self_ = nullptr;
  if (counted_) worker_.node().fills.EndStoring(order_.primary);
  order_.fill->SetResume(nullptr);
  order_.fill->SetAbandoned(nullptr);
  // A worker that is shut down in the middle of a body leaves no reader waiting for ever.
  if (!done_) {
    worker_.node().fills.Remove(order_.fill);
    order_.fill->Fail(Reason::kOriginBroken,
                      Error{Fault::kSelf, "shut_down", "the edge is shutting down"});
  }
}

void OriginFetch::Try() {
  call_.reset();
  retrying_ = false;
  request_time_ = worker_.loop().wall_now();
  worker_.cells().Add(worker_.node().metrics.origin_requests);
  if (order_.slice) worker_.cells().Add(worker_.node().metrics.slices);
  tried_ |= OriginMask{1} << attempt_.origin();
  std::unique_ptr<http::BodySource> body;
  body_whole_ = !order_.body;
  if (order_.body) {
    body = std::make_unique<BorrowedBody>(*order_.body, retrying_, &body_touched_, &body_whole_);
  }
  client_ = worker_.ClientOf(*order_.site);
  call_ = client_->Start(order_.site->origins[attempt_.origin()], order_.origin_request,
                         std::move(body), order_.body_bytes, this);
}

bool OriginFetch::IsRepeatable() const {
  return !head_seen_ && !body_touched_ && http::IsIdempotentMethod(order_.origin_request.method);
}

/// With kAgain another origin is asked when the stack has unwound, which has the present call on
/// it; what else comes from that one is dropped.
RetryVerdict OriginFetch::TryAnother() {
  if (!IsRepeatable()) return RetryVerdict::kNotRepeatable;
  const RetryVerdict verdict = order_.site->origin_set->BeginAgain(tried_, retries_, worker_.Draw(),
                                                                   worker_.loop().now(), &attempt_);
  if (verdict != RetryVerdict::kAgain) return verdict;
  ++retries_;
  retrying_ = true;
  worker_.loop().Post([self = self_] {
    if (*self != nullptr && !(*self)->done_) (*self)->Try();
  });
  return verdict;
}

void OriginFetch::ResumeRequestBody() {
  if (call_) call_->ResumeRequestBody();
}

void OriginFetch::Cancel() {
  if (done_) return;
  order_.fill->Fail(Reason::kOriginBroken, Error{Fault::kClient, "client_gone", "the client left"});
  worker_.node().fills.Remove(order_.fill);
  call_.reset();
  Done();
}

void OriginFetch::OnAbandoned() {
  if (done_) return;
  if (order_.fill->readers() > 0) {  // somebody has come meanwhile
    reader_paused_ = order_.fill->ShouldPause();
    return ResumeBody();
  }
  if (switched_) return SendLastWords();
  const bool wanted = order_.may_store && (!head_seen_ || writer_ != nullptr ||
                                           (prepared_body_ && !prepared_body_->head));
  if (wanted) {
    reader_paused_ = false;
    ResumeBody();
    return;
  }
  // What a whole request has changed whose answer nobody waits for is not known: its URL is
  // validated before it is shown again.
  if (!head_seen_ && body_whole_) {
    for (const std::string& url : InvalidatedUrls(order_.request.method, order_.url, 200, {})) {
      Invalidate(worker_.node(), *order_.site, url, /*soft=*/true);
    }
  }
  Cancel();
}

/// RFC 9111 §4.4, when the answer comes: whoever asked may have left.
void OriginFetch::InvalidateByAnswer(const FillHead& head) {
  if (order_.tunnel) return;  // the origin has seen a GET
  const StoredResponse& response = *head.response;
  for (const std::string& url :
       InvalidatedUrls(order_.request.method, order_.url, response.status, response.fields)) {
    if (url == order_.url && head.storing) continue;  // it has been replaced
    Invalidate(worker_.node(), *order_.site, url);
  }
}

void OriginFetch::OnInterim(int status, const http::Fields& fields) {
  if (done_ || retrying_ || status == 100) return;  // 100 answers our own Expect, and we send none
  const EdgeMetrics& metrics = worker_.node().metrics;
  const bool waits = order_.fill->AddInterim({.status = status, .fields = fields});
  worker_.cells().Add(waits ? metrics.interims : metrics.interims_dropped);
}

/// True for a server's error when another origin, which may not have it, is asked instead.
bool OriginFetch::AskElsewhere(const http::ResponseHead& response) {
  if (!IsErrorStatus(response.status)) {
    attempt_.Answer(worker_.loop().now());
    return false;
  }
  const std::string& origin = order_.site->settings.origins[attempt_.origin()];
  const Error error{Fault::kOrigin, "status",
                    origin + " answered " + std::to_string(response.status)};
  attempt_.Fail(Reason::kOriginFailed, error.message, worker_.loop().now());
  if (TryAnother() != RetryVerdict::kAgain) return false;
  worker_.LogOriginFailure(*order_.site, order_.url, error);
  return true;
}

void OriginFetch::OnHead(http::ResponseHead&& response) {
  if (retrying_ || AskElsewhere(response)) return;
  head_seen_ = true;
  if (counted_) era_.came = worker_.node().fills.TellTime(order_.primary);
  if (order_.tunnel && response.status == 101) return OnSwitched(std::move(response));
  if (response.status == 304 && prepared_) {
    if (IsAboutPrepared(response)) return OnPrepared(std::move(response));
    if (!order_.validate || !response.fields.Has("etag")) return AskWithoutPrepared();
  }
  const Exchanged exchanged{.request = order_.request,
                            .response = response,
                            .request_time = request_time_,
                            .response_time = worker_.loop().wall_now(),
                            .site = order_.site->settings,
                            .tail = order_.tail_bytes != 0};
  if (response.status == 304 && order_.validate) return OnNotModified(exchanged);
  if (order_.sliced) return OnSlice(exchanged);
  if (order_.slice && response.status == 206) return OnFirstPart(exchanged);
  if (exchanged.tail && response.status == 206) return OnTail(exchanged);
  // The range was ours, or may be void by If-Range: who asks for the whole of what has become empty
  // is not to be told of a range.
  const http::Fields& wanted = order_.request.fields;
  if (response.status == 416 && (order_.slice || order_.tail_bytes != 0) &&
      order_.origin_request.fields.Has("range") &&
      (!wanted.Has("range") || wanted.Has("if-range") || IsOfEmpty(response.fields, wanted))) {
    return AskWithoutRange();
  }
  OnWhole(exchanged);
}

void OriginFetch::GiveUp(Reason reason, Error error, Fill::Advice advice) {
  worker_.node().fills.Remove(order_.fill);
  order_.fill->Fail(reason, std::move(error), advice);
  writer_.reset();
  call_.reset();
  Done();
}

void OriginFetch::OnWhole(const Exchanged& exchanged) {
  const http::ResponseHead& response = exchanged.response;
  decision_ = DecideStore(exchanged);
  // It is about the range that we have asked for, and about nothing else.
  if ((order_.slice || order_.tail_bytes != 0) && response.status == 416) {
    decision_.reason = Reason::kPartial;
    decision_.unshareable = false;
  }
  const bool shareable = decision_.store();
  const bool for_later_gets = !order_.may_store && MayAnswerLaterGets(exchanged);
  if (for_later_gets) BeginStoring();
  const bool passed_get = !order_.may_store && !order_.tunnel && order_.request.method == "GET";
  if (passed_get) RememberIfShareable(exchanged);
  if (!order_.may_store && !for_later_gets) decision_.reason = Reason::kNotShared;
  const std::string via = ViaOf(response, worker_.node().name);
  response_ = MakeStored(exchanged, decision_, order_.url, via);
  if (response.status == 206) response_->tail_bytes = order_.tail_bytes;
  const bool validated_each = shareable && IsNeverFresh(response_->freshness);
  FillHead head{.response = response_,
                .body_bytes = promised_bytes_ ? promised_bytes_ : ContentLength(response.fields),
                .shared = order_.may_store && shareable && !validated_each,
                .unshareable = decision_.unshareable,
                .ones_own = decision_.unshareable && SaysWhoAsks(order_.request.fields),
                .validated_each = validated_each,
                .store_reason = decision_.reason,
                .aged = response.fields.Get("age").has_value()};
  if (order_.origin_request.method == "HEAD" || http::StatusHasNoContent(response.status)) {
    head.body_bytes = 0;
  }
  if (shareable && !response_->is_tail()) Negotiate(exchanged, &head);
  if (!head.shared && IsErrorStatus(response.status)) {
    head.told = ToldToOthers(exchanged);
    head.selecting = Selecting(exchanged, *response_, http::Coding::kIdentity);
  }
  if (decision_.store()) {
    const http::Coding best =
        as_it_is_ ? http::Coding::kIdentity : CodingsFor(exchanged.request.fields).best();
    head.selecting = Selecting(exchanged, *response_, best);
    head.withheld = WithheldFields(exchanged, decision_);
    // RFC 9111 §4.3.3: an error does not displace a copy that may be served instead of it.
    const bool displaces = !IsErrorStatus(response.status) || !MayServeCopy();
    if (!displaces) head.store_reason = Reason::kUncacheableStatus;
    if (for_later_gets) ReplaceStored();
    if (displaces) BeginStoring(&head);
    // A body that is neither stored nor held whole moves at the pace of its slowest reader: others
    // are not to wait for that one.
    if (displaces && !head.storing && !FitsIntoWindow(head)) {
      head.shared = false;
      head.unshareable = true;
      head.ones_own = false;
    }
  }
  ForgetIfWithdrawn(exchanged);
  if (order_.may_store) TellTable(head);
  InvalidateByAnswer(head);
  order_.fill->SetHead(std::move(head));
  if (!writer_) CancelIfUnwanted();
}

/// Whether the answer to a POST may be stored as a fill's would be: it was asked for as a fill
/// asks, and no purge since can have meant it.
bool OriginFetch::MayAnswerLaterGets(const Exchanged& exchanged) const {
  const http::RequestHead& request = order_.request;
  return AnswersLaterGets(exchanged, order_.url) && order_.origin_request.target == order_.target &&
         NormalAuthority(request.scheme, request.authority) == request.authority &&
         worker_.node().store->CheckFetch(
             purge_sequence_, ScopesOfFetch(order_.site->settings.name, order_.target)) ==
             storage::Validity::kValid;
}

/// If the origin does not allow to be shown any more what it allowed to be stored before. What it
/// says to a visitor that it knows is about that visitor.
void OriginFetch::ForgetIfWithdrawn(const Exchanged& exchanged) {
  const bool forbids = decision_.reason == Reason::kPrivate || decision_.reason == Reason::kNoStore;
  const http::Fields& request = exchanged.request.fields;
  const bool withdrawn =
      decision_.unshareable && forbids && !request.Has("cookie") && !request.Has("authorization");
  if (order_.copy && withdrawn) Forget(order_.copy);
}

/// Counts what became of the response and lets go of those who cannot share it.
void OriginFetch::TellTable(const FillHead& head) {
  Node& node = worker_.node();
  worker_.cells().Add(node.metrics.stored[static_cast<size_t>(head.store_reason)]);
  if (!head.shared) node.fills.Remove(order_.fill);
  if (head.unshareable || head.validated_each) {
    RememberNotShared(/*by_size=*/head.unshareable && decision_.store());
  } else if (head.shared) {
    RememberShared();
  }
}

/// Whether a request that asks for nothing special could be answered by the copy that was found.
bool OriginFetch::MayServeCopy() const {
  if (!order_.copy) return false;
  const StoredResponse& copy = ResponseOf(*order_.copy);
  const auto validity = worker_.node().store->Check(*order_.copy);
  if (validity == storage::Validity::kGone) return false;
  const WallTime now = worker_.loop().wall_now();
  const RequestDirectives directives = order_.site->request_directives;
  http::RequestHead plain;
  plain.method = "GET";
  const auto use = DecideUse(plain, copy, validity, now, directives);
  return use.action != UseDecision::Action::kValidate ||
         MayServeOnError(plain, copy, validity, now, directives, order_.site->settings.keep_whole);
}

bool OriginFetch::FitsIntoWindow(const FillHead& head) const {
  return head.body_bytes &&
         *head.body_bytes <= order_.configuration->settings.cache.fill_window.bytes;
}

/// What was made for a request that says who asks tells nothing of those that do not.
void OriginFetch::RememberNotShared(bool by_size) {
  const Key256& key = order_.fill->key();
  const bool ones_own = !by_size && SaysWhoAsks(order_.request.fields);
  worker_.node().fills.MarkNotShared(ones_own ? AskersKey(key) : key,
                                     worker_.loop().now() + kNotSharedFor, by_size);
}

void OriginFetch::RememberShared() {
  FillTable& fills = worker_.node().fills;
  fills.MarkShared(order_.fill->key());
  if (SaysWhoAsks(order_.request.fields)) fills.MarkShared(AskersKey(order_.fill->key()));
}

/// Of what was passed on because nothing was shared: a fill would have got as much, be it of the
/// last bytes alone.
void OriginFetch::RememberIfShareable(const Exchanged& passed) {
  const uint64_t tail_bytes = TailOf(passed.request, SliceBytes(passed.site));
  const StoreDecision decision = DecideStore({.request = passed.request,
                                              .response = passed.response,
                                              .request_time = passed.request_time,
                                              .response_time = passed.response_time,
                                              .site = passed.site,
                                              .tail = tail_bytes != 0});
  if (!decision.store() || IsNeverFresh(decision.freshness)) return;
  if (passed.response.status != 206) RememberShared();
  if (tail_bytes == 0) return;
  const Key256 key = TailFillKey(order_.fill->key(), tail_bytes);
  worker_.node().fills.MarkShared(key);
  if (SaysWhoAsks(passed.request.fields)) worker_.node().fills.MarkShared(AskersKey(key));
}

/// The answer to an unsafe request takes the place of what was stored before it.
void OriginFetch::ReplaceStored() {
  Invalidate(worker_.node(), *order_.site, order_.url);
  purge_sequence_ = worker_.node().store->purge_sequence();
}

void OriginFetch::OnSwitched(http::ResponseHead&& response) {
  if (!AgreesToWebSocket(response.fields, order_.origin_request)) {
    call_.reset();
    return OnFailure({Fault::kOrigin, "bad_response",
                      "the origin answered 101 with a wrong Sec-WebSocket-Accept"});
  }
  switched_ = true;
  order_.tunnel->Open(std::move(response.fields));
}

/// No fault of the origin's as a server of requests: it had answered this one.
void OriginFetch::OnTunnelBroken(const Error& error) {
  order_.tunnel->Break();
  order_.fill->Fail(Reason::kOriginBroken, error);
  Done();
}

/// What a client had said before it left goes to the origin, with the end that it has come to.
void OriginFetch::SendLastWords() {
  patience_.Arm(kLastWordsPatience);
  ResumeRequestBody();
}

/// What is neither stored nor read is not fetched to its end.
void OriginFetch::CancelIfUnwanted() {
  if (order_.fill->readers() > 0) return;
  worker_.loop().Post([self = self_] {
    if (*self != nullptr) (*self)->OnAbandoned();
  });
}

/// What may be shared is encoded for those who accept that. The head of an answer to HEAD is that
/// of a GET's.
void OriginFetch::Negotiate(const Exchanged& exchanged, FillHead* head) {
  if (!order_.may_store && order_.origin_request.method != "HEAD") return;
  const auto body_bytes = ContentLength(exchanged.response.fields);
  CodingDecision coding = DecideCoding(exchanged, body_bytes);
  if (as_it_is_ && coding.negotiated()) coding = {.reason = CodingReason::kNotAccepted};
  if (order_.may_store && coding.reason == CodingReason::kEncoded) {
    const int most = order_.configuration->settings.cache.encoders;
    encoder_ = BodyEncoder::Begin(
        worker_.node(), worker_.cells(), worker_.loop(),
        {.coding = coding.coding,
         .body_bytes = body_bytes,
         .most = most,
         .threads = order_.configuration->settings.cache.encoder_threads},
        [this](const Status& status, std::span<const uint8_t> encoded,
               http::ContentEncoder::Step step) { OnEncoded(status, encoded, step); });
    if (!encoder_) coding = {.reason = CodingReason::kBusy};
  }
  ApplyCoding(coding, response_.get());
  if (!order_.may_store) return;
  const EdgeMetrics& metrics = worker_.node().metrics;
  worker_.cells().Add(metrics.coding_decisions[static_cast<size_t>(coding.reason)]);
  if (!encoder_) return;
  worker_.cells().Add(metrics.encoded[static_cast<size_t>(coding.coding)]);
  head->body_bytes.reset();
  flushes_ = !body_bytes;
}

/// `best`: the coding by which it is selected, if that is chosen here.
http::Fields OriginFetch::Selecting(const Exchanged& exchanged, const StoredResponse& stored,
                                    http::Coding best) const {
  std::string vary = exchanged.response.fields.Joined("vary");
  if (stored.negotiated) vary += ", accept-encoding";
  http::Fields selecting = SelectingFields(vary, exchanged.request.fields, exchanged.site);
  if (stored.negotiated) SelectByBestCoding(best, exchanged.site, &selecting);
  return selecting;
}

void OriginFetch::BeginStoring(FillHead* head) {
  writer_ = worker_.node().store->Begin(head->body_bytes);
  head->storing = writer_ != nullptr;
  if (!head->storing) head->store_reason = Reason::kStoreRefused;
}

/// The call that brought an answer is on the stack: it is replaced when the stack has unwound.
void OriginFetch::AskAgain() {
  head_seen_ = false;
  retrying_ = true;
  worker_.loop().Post([self = self_] {
    if (*self != nullptr && !(*self)->done_) (*self)->Try();
  });
}

void OriginFetch::OnFailure(const Error& error) {
  // Of an answer whose body is here nothing is missing.
  if (done_ || retrying_ || prepared_body_) return;
  if (switched_) return OnTunnelBroken(error);
  worker_.LogOriginFailure(*order_.site, order_.url, error);
  worker_.cells().Add(worker_.node().metrics.origin_failures);
  Reason reason = ReasonOf(error);
  // A body that the client did not send to its end is nothing against the origin.
  if (error.fault != Fault::kClient) attempt_.Fail(reason, error.message, worker_.loop().now());
  const RetryVerdict verdict = TryAnother();
  if (verdict == RetryVerdict::kAgain) return;
  if (verdict == RetryVerdict::kBudget) reason = Reason::kRetryBudget;
  worker_.node().fills.Remove(order_.fill);
  order_.fill->Fail(
      reason, {error.fault, error.reason, error.message + "." + std::string(AdviceOn(reason))});
  Done();
}

void OriginFetch::Done() {
  done_ = true;
  worker_.Disown(this);  // destroyed when the stack has unwound
}

}  // namespace nearside::edge
