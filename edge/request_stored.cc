// A request that is answered by what is stored: whole, in ranges, or from slices.

#include <algorithm>
#include <chrono>
#include <utility>

#include "edge/multipart.h"
#include "edge/request.h"
#include "edge/slices.h"
#include "edge/worker.h"
#include "http/cache_control.h"
#include "runtime/decimal_text.h"

namespace nearside::edge {

using std::string_view_literals::operator""sv;  // compares lengths first

namespace {

/// The worker's spare memory for fields. The request may be gone when it is given back.
struct SpareFields {
  explicit SpareFields(Worker& owner) : worker(owner), fields(owner.TakeFields()) {}
  ~SpareFields() { worker.GiveFields(std::move(fields)); }
  SpareFields(const SpareFields&) = delete;
  SpareFields& operator=(const SpareFields&) = delete;
  Worker& worker;
  std::unique_ptr<http::Fields> fields;
};

}  // namespace

void Request::ServeStored(storage::HeadRef head, Reason reason) {
  const StoredResponse& response = HeadOf(*head);
  if (response.is_sliced()) return ServeSliced(std::move(head), reason);
  const Selection selection =
      Select(exchange_.request(), response, head->head.body_bytes, worker_.loop().wall_now());
  const bool has_body = selection.span.first < selection.span.end;
  if (!has_body || exchange_.request().method == "HEAD"sv || head->inline_body) {
    return OnFirstChunk(std::move(head), selection, reason, ChunkRef());
  }
  // The first bytes are at hand before the head is sent: a damaged copy is a miss, not a broken
  // answer.
  storage::CacheStore& store = *worker_.node().store;
  const auto index = static_cast<uint32_t>(selection.span.first / kChunkBytes);
  if (ChunkRef chunk = store.FindChunk(*head, index)) {
    return OnFirstChunk(std::move(head), selection, reason, std::move(chunk));
  }
  store.LoadChunk(head, index, worker_.loop(),
                  [self = Self(), head, selection, reason](Result<ChunkRef> chunk) {
                    if (*self == nullptr) return;
                    (*self)->OnFirstChunk(head, selection, reason, std::move(chunk));
                  });
}

void Request::OnFirstChunk(storage::HeadRef head, const Selection& selection, Reason reason,
                           Result<ChunkRef> chunk) {
  if (chunk) {
    auto body =
        std::make_unique<StoredBody>(*worker_.node().store, std::move(head), std::move(*chunk),
                                     selection.span, worker_.loop(), exchange_, CountOf(reason));
    const storage::HeadRef& kept = body->head();
    return RespondStored(kept, nullptr, std::move(body), selection, reason);
  }
  stored_.reset();
  unreadable_ = std::move(head);
  if (reason == Reason::kStaleIfError && forwards_ > 0) {
    return Fail(
        Reason::kOriginUnreachable,
        "The origin failed, and the stale copy could not be read: " + chunk.error().message);
  }
  Forward(Reason::kUriMiss);
}

std::shared_ptr<const SliceOrder> Request::MakeSliceOrder(storage::HeadRef head) const {
  const FetchOrder whole = MakeOrder(nullptr, OriginMode::kFill, false);
  return std::make_shared<const SliceOrder>(SliceOrder{.configuration = *configuration_,
                                                       .site = site_,
                                                       .request = whole.request,
                                                       .origin_request = whole.origin_request,
                                                       .url = resource_->url,
                                                       .target = resource_->target,
                                                       .primary = resource_->key,
                                                       .head = std::move(head),
                                                       .only_if_cached = WantsStored()});
}

void Request::ServeSliced(storage::HeadRef head, Reason reason) {
  const Selection selection =
      Select(exchange_.request(), HeadOf(*head), BodyBytesOf(*head), worker_.loop().wall_now());
  const bool has_body = selection.span.first < selection.span.end;
  if (has_body && exchange_.request().method != "HEAD"sv && !HasSlices(*head)) {
    // Not after the first part, which is here, has gone out.
    if (WantsStored()) return FailOnlyIfCached();
    // What is missing would be fetched for it, and stored.
    if (ForbidsStoring()) return IsLooping() ? FailLoop() : Pass(Reason::kNotShared);
  }
  auto slices = MakeSliceOrder(head);
  sliced_ = std::make_unique<SlicedBody>(worker_, std::move(slices), selection.span, exchange_,
                                         CountOf(reason));
  if (!has_body || exchange_.request().method == "HEAD"sv) {
    return OnFirstSlice(std::move(head), selection, reason, {});
  }
  sliced_->Prepare([this, head, selection, reason](const Status& status) {
    OnFirstSlice(head, selection, reason, status);
  });
}

void Request::OnFirstSlice(storage::HeadRef head, const Selection& selection, Reason reason,
                           const Status& status) {
  std::unique_ptr<SlicedBody> body = std::move(sliced_);
  if (status) {
    const bool fetched = body->fetched() && ClassOf(reason) != ResultClass::kMiss;
    auto slices = body->order();
    return RespondStored(head, std::move(slices), std::move(body), selection,
                         fetched ? Reason::kPartialMiss : reason);
  }
  // What is stored has another version by now, and was forgotten.
  if (status.error().reason == kSliceChanged && reason != Reason::kStaleIfError) {
    stored_.reset();
    return Forward(Reason::kUriMiss);
  }
  // The origin has something to say to this client.
  if (status.error().reason == kSliceRefused && reason != Reason::kStaleIfError) {
    return IsLooping() ? FailLoop() : Pass(Reason::kNotShared);
  }
  Fail(body->reason(),
       "A part of this is not in the cache, and the origin of this site did not give "
       "it: " +
           status.error().message);
}

void Request::RespondStored(const storage::HeadRef& head, std::shared_ptr<const SliceOrder> slices,
                            std::unique_ptr<http::BodySource> first, const Selection& selection,
                            Reason reason) {
  const StoredResponse& response = HeadOf(*head);
  const WallTime now = worker_.loop().wall_now();
  const DecimalText age(std::chrono::floor<seconds>(response.freshness.Age(now)).count());
  // RFC 9111 §5.1: it would say that the origin did not make, nor validate, it for this request.
  const bool has_age = !just_told_;
  SpareFields spare(worker_);
  http::Fields& extra = *spare.fields;
  StatusLine line{.reason = reason, .time_to_live = response.freshness.TimeToLive(now)};
  if (validated_) line.time_to_live.reset();  // nothing of it is kept
  if (reason == Reason::kValidated) {
    line.forwarded = reason_;
    line.origin_status = 304;
  }
  // RFC 9211 §2.1: what had been sent on is no hit.
  if (reason == Reason::kStaleIfError && forwards_ > 0) {
    line.forwarded = reason_;
    line.origin_status = failed_status_;
  }
  // Found to have slices by this very request, or lacking one of them.
  if (ClassOf(reason) == ResultClass::kMiss) {
    line.origin_status = 206;
    line.stored = true;
  }
  line.collapsed = collapsed_;
  if (response.status != 200 || selection.whole()) {
    std::span<const http::FieldLine> prepared = response.fields.lines();
    // Lines of a head that the body keeps alive need no copy; these are the request's own.
    if (validated_) {
      extra = validated_->fields;
      prepared = {};
    }
    AddForOne(selection.status, &extra);
    if (has_age) extra.Add("age", age.text());
    return Deliver(selection.status, prepared, &extra, line, std::move(first));
  }
  if (!selection.ranges.empty()) {
    Multipart layout(selection.ranges, BodyBytesOf(*head),
                     std::string(response.fields.Get("content-type").value_or("")),
                     RandomBoundary());
    extra = MultipartFields(response, layout);
    AddForOne(206, &extra);
    if (has_age) extra.Add("age", age.text());
    auto body = MakeMultipartBody(std::move(layout), head, std::move(slices), std::move(first),
                                  CountOf(reason));
    return Deliver(206, {}, &extra, line, std::move(body));
  }
  extra = PartialFields(response, selection);
  AddForOne(selection.status, &extra);
  if (has_age) extra.Add("age", age.text());
  if (selection.status != 206) first.reset();
  Deliver(selection.status, {}, &extra, line, std::move(first));
}

/// RFC 9111 §4.3.4: what the 304 says to this request, beside what the answer says already. A
/// refusal says nothing to cache the response by.
void Request::AddForOne(int status, http::Fields* fields) const {
  if (for_one_.empty() || status == 412 || status == 416) return;
  http::Fields missing;
  for (const http::FieldLine& line : for_one_.lines()) {
    if (!fields->Has(line.name)) missing.Add(line.name, line.value);
  }
  for (const http::FieldLine& line : missing.lines()) fields->Add(line.name, line.value);
}

/// `first` is the source of the first part; the others are made when they are reached.
std::unique_ptr<http::BodySource> Request::MakeMultipartBody(
    Multipart layout, storage::HeadRef head, std::shared_ptr<const SliceOrder> slices,
    std::unique_ptr<http::BodySource> first, BodyCount count) {
  Worker& worker = worker_;
  http::Exchange& exchange = exchange_;
  auto held = std::make_shared<std::unique_ptr<http::BodySource>>(std::move(first));
  auto make = [&worker, &exchange, layout, head = std::move(head), slices = std::move(slices), held,
               count](size_t part) -> std::unique_ptr<http::BodySource> {
    if (*held) return std::move(*held);
    const ByteSpan span = layout.SpanOf(part);
    if (slices) return std::make_unique<SlicedBody>(worker, slices, span, exchange, count);
    return std::make_unique<StoredBody>(*worker.node().store, head, ChunkRef(), span, worker.loop(),
                                        exchange, count);
  };
  return std::make_unique<MultipartBody>(layout, std::move(make));
}

/// The slice to ask for instead of the whole, if one will do: where what is stored has slices, or
/// where nothing is stored and a range is wanted.
std::optional<uint64_t> Request::SliceToAsk() const {
  const uint64_t slice_bytes = SliceBytes(site_->settings);
  if (slice_bytes == 0 || ask_whole_) return std::nullopt;
  const auto first = FirstSlice(exchange_.request(), slice_bytes);
  if (!stored_) return first;
  return ResponseOf(*stored_).is_sliced() ? first.value_or(0) : std::optional<uint64_t>();
}

/// How many of the last bytes to ask for instead of the whole; 0: not so.
uint64_t Request::TailToAsk() const {
  return stored_ || ask_whole_ || ask_slice_
             ? 0
             : TailOf(exchange_.request(), SliceBytes(site_->settings));
}

/// Who wants the last bytes alone does not wait for the whole.
Key256 Request::FillKey() const {
  const uint64_t tail_bytes = TailToAsk();
  return tail_bytes == 0 ? key_ : TailFillKey(key_, tail_bytes);
}

/// Whether what is stored are last bytes alone that this request is not answered by: others than it
/// asks for, or any that are stale. They are replaced by what comes, never validated.
bool Request::IsOtherTail(const storage::CachedHead& head) const {
  const StoredResponse& response = ResponseOf(head);
  if (!response.is_tail()) return false;
  if (TailOf(exchange_.request(), UINT64_MAX) != response.tail_bytes) return true;
  const UseDecision decision =
      DecideUse(exchange_.request(), response, ValidityOf(worker_.node(), *site_, head),
                worker_.loop().wall_now(), site_->request_directives);
  return decision.action != UseDecision::Action::kServe;
}

/// RFC 9111 §5.2.1.5.
bool Request::ForbidsStoring() const {
  const http::Fields& fields = exchange_.request().fields;
  return site_->request_directives == RequestDirectives::kObey && fields.Has("cache-control") &&
         http::ParseCacheControl(fields).no_store;
}

/// Whether all that an answer to this request takes of `head` may be in the cache: true but for a
/// slice that certainly is not.
bool Request::HasSlices(const storage::CachedHead& head) const {
  const StoredResponse& response = ResponseOf(head);
  if (!response.is_sliced()) return true;
  const Selection selection =
      Select(exchange_.request(), response, BodyBytesOf(head), worker_.loop().wall_now());
  const auto has = [&](ByteSpan span) { return !MissingSlice(*worker_.node().store, head, span); };
  return has(selection.span) && std::all_of(selection.ranges.begin(), selection.ranges.end(),
                                            [&](const http::ByteRange& range) {
                                              return has({range.first, range.last + 1});
                                            });
}

}  // namespace nearside::edge
