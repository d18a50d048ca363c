// A fetch of a slice of what is stored in slices, or of what may turn out to have some.

#include "edge/cache_key.h"
#include "edge/compression.h"
#include "edge/origin_fetch.h"
#include "edge/policy.h"
#include "edge/slices.h"
#include "edge/variant_index.h"
#include "edge/worker.h"
#include "http/range.h"

namespace nearside::edge {
namespace {

/// Of the answer to a request for a slice that brings none: whether what is stored is no longer
/// there. What one request is refused, or an error of the moment, says nothing about that.
bool TellsOfAnother(int status) {
  return status == 200 || status == 206 || status == 404 || status == 410 || status == 416;
}

}  // namespace

void AskForSlice(uint64_t n, uint64_t slice_bytes, storage::HeadRef sliced, FetchOrder* order) {
  http::Fields& fields = order->origin_request.fields;
  const uint64_t first = n * slice_bytes;
  fields.Set("range",
             "bytes=" + std::to_string(first) + "-" + std::to_string(first + slice_bytes - 1));
  fields.Set("accept-encoding", "identity");
  if (sliced) fields.Set("if-range", SliceValidator(ResponseOf(*sliced).fields));
  order->slice = n;
  order->slice_bytes = slice_bytes;
  order->sliced = std::move(sliced);
}

void AskForTail(uint64_t n, FetchOrder* order) {
  http::Fields& fields = order->origin_request.fields;
  fields.Set("range", "bytes=-" + std::to_string(n));
  fields.Set("accept-encoding", "identity");
  order->tail_bytes = n;
}

/// A part of what nothing was known of, or of what was to be validated.
void OriginFetch::OnFirstPart(const Exchanged& exchanged) {
  const PartialAnswer part =
      ReadPartial(exchanged.response, *order_.slice, order_.slice_bytes, exchanged.response_time);
  if (part.kind == PartialAnswer::Kind::kUnusable) {
    return GiveUp(
        Reason::kPartial,
        Error{Fault::kOrigin, "part_unusable",
              "a part of it came that tells no length, no strong validator, or is another "
              "one than was asked for"},
        Fill::Advice::kAskWhole);
  }
  const Exchanged whole{.request = exchanged.request,
                        .response = part.whole,
                        .request_time = exchanged.request_time,
                        .response_time = exchanged.response_time,
                        .site = exchanged.site};
  if (part.kind == PartialAnswer::Kind::kWhole) {
    promised_bytes_ = part.total_bytes;
    return OnWhole(whole);
  }
  BeginSlices(whole, part.slicing);
}

/// The last bytes as they were asked for; all there are, if they are that many.
void OriginFetch::OnTail(const Exchanged& exchanged) {
  const PartialAnswer part =
      ReadPartial(exchanged.response, 0, order_.tail_bytes, exchanged.response_time);
  const http::Fields& fields = exchanged.response.fields;
  if (part.kind != PartialAnswer::Kind::kWhole && fields.Has("vary")) {
    return GiveUp(Reason::kPartial,
                  Error{Fault::kOrigin, "part_varies",
                        "the last bytes came alone, and are not the same for everybody"},
                  Fill::Advice::kAskSlice);
  }
  if (part.kind != PartialAnswer::Kind::kWhole) {
    const auto told = http::ParseContentRange(fields.Get("content-range").value_or(""));
    if (told && told->range && !fields.Has("content-length")) promised_bytes_ = told->range->size();
    return OnWhole(exchanged);
  }
  promised_bytes_ = part.total_bytes;
  OnWhole({.request = exchanged.request,
           .response = part.whole,
           .request_time = exchanged.request_time,
           .response_time = exchanged.response_time,
           .site = exchanged.site});
}

/// Stores the head of a representation of which the first slice is arriving, and lets those who
/// wait go on from there; what arrives becomes a fill of its own.
void OriginFetch::BeginSlices(const Exchanged& exchanged, const Slicing& slicing) {
  Node& node = worker_.node();
  decision_ = DecideStore(exchanged);
  worker_.cells().Add(node.metrics.stored[static_cast<size_t>(decision_.reason)]);
  http::Fields selecting;
  storage::HeadRef head = StoreSlicedHead(exchanged, slicing, &selecting);
  if (!head) {
    ForgetIfWithdrawn(exchanged);
    if (decision_.unshareable) RememberNotShared();
    return GiveUp(Reason::kNotShared,
                  Error{Fault::kOrigin, "part_not_shared", "what came may not be stored"},
                  Fill::Advice::kAskAlone);
  }
  FillTable::Claim claim;
  if (ResponseOf(*head).is_sliced()) {
    const uint64_t window = order_.configuration->settings.cache.fill_window.bytes;
    claim = node.fills.ClaimFill(SliceKey(head->head.key, ResponseOf(*head), *order_.slice), window,
                                 *node.store,
                                 {.purge_sequence = purge_sequence_, .scopes = head->head.scopes});
  }
  order_.fill->SetResume(nullptr);
  order_.fill->SetAbandoned(nullptr);
  order_.fill->FinishStored(head, Reason::kStored, /*shared=*/true, std::move(selecting),
                            exchanged.response.fields.Has("age"));
  node.fills.Remove(order_.fill);  // after this, requests find the head
  if (!claim.lead) {  // the whole is here, or somebody has been sent for that slice meanwhile
    call_.reset();
    return Done();
  }
  order_.fill = std::move(claim.fill);
  order_.sliced = std::move(head);
  order_.validate.reset();
  Bind();
  BeginSlice();
}

/// Null when it may not be stored, or the store does not take it. Not in slices: the whole of that
/// version has come meanwhile.
storage::HeadRef OriginFetch::StoreSlicedHead(const Exchanged& exchanged, const Slicing& slicing,
                                              http::Fields* selecting) {
  // Fields for this client alone would have to go with a body that is put together from the store.
  if (!decision_.store() || !WithheldFields(exchanged, decision_).empty()) return nullptr;
  Node& node = worker_.node();
  const std::string via = ViaOf(exchanged.response, node.name);
  StoredResponse whole = *MakeStored(exchanged, decision_, order_.url, via);
  whole.slicing = slicing;
  whole.slicing.since_purge = purge_sequence_;
  // Slices are of the identity, whatever the one accepts who asked.
  if (DecideCoding(exchanged, slicing.total_bytes).negotiated()) {
    ApplyCoding({.reason = CodingReason::kNotAccepted}, &whole);
  }
  *selecting = Selecting(exchanged, whole, http::Coding::kIdentity);
  const Key256 key = selecting->empty() ? order_.primary : VariantKey(order_.primary, *selecting);
  if (storage::HeadRef there = node.store->Find(key);
      there && IsWholeOfVersion(*there, exchanged.response, exchanged.response_time) &&
      node.store->Check(*there) == storage::Validity::kValid) {
    return there;
  }
  auto writer = node.store->Begin(0);
  if (!writer) return nullptr;
  storage::HeadRef head = StoreInOrder(key, whole, *writer);
  if (head && !selecting->empty()) {
    CommitIndex(MakeVariant(key, *selecting, whole), head->head.object_id);
  }
  return head;
}

/// Whether the slice may not be stored, whatever its head was when that came: by the response (or
/// by this request).
bool OriginFetch::IsForbidden(const Exchanged& exchanged, const http::ResponseHead& part) {
  const Slicing& slicing = ResponseOf(*order_.sliced).slicing;
  const PartialAnswer answer =
      ReadPartial(part, *order_.slice, slicing.slice_bytes, exchanged.response_time);
  decision_ = DecideStore({.request = exchanged.request,
                           .response = answer.whole,
                           .request_time = exchanged.request_time,
                           .response_time = exchanged.response_time,
                           .site = exchanged.site});
  switch (decision_.reason) {
    case Reason::kNoStore:
    case Reason::kPrivate:
    case Reason::kAuthorization:
    case Reason::kSetCookie:
    case Reason::kVaryStar:
      return true;
    default:
      return false;
  }
}

/// The origin still answers, and what it gives is for this request alone.
void OriginFetch::RefuseSlice() {
  // So is the next slice for everybody, unless it was this request that said so.
  if (decision_.unshareable && !SaysWhoAsks(order_.request.fields)) Forget(order_.sliced);
  GiveUp(Reason::kOriginBroken,
         Error{Fault::kOrigin, std::string(kSliceRefused),
               "the next part of what is stored in parts may not be stored any more"});
}

void OriginFetch::OnSlice(const Exchanged& exchanged) {
  http::ResponseHead response = exchanged.response;
  const StoredResponse& whole = ResponseOf(*order_.sliced);
  const WallTime now = exchanged.response_time;
  // RFC 9110 §15.3.7: a part that If-Range has let through may leave out what the whole had, a
  // Last-Modified too. It is of the version that was named, or it would be no part.
  const auto date = whole.fields.Get("last-modified");
  if (response.status == 206 && order_.origin_request.fields.Has("if-range") && date &&
      !whole.fields.Has("etag") && !response.fields.Has("etag") &&
      !response.fields.Has("last-modified")) {
    response.fields.Add("last-modified", *date);
  }
  if (IsSliceOf(response, whole, *order_.slice, now)) {
    return IsForbidden(exchanged, response) ? RefuseSlice() : BeginSlice();
  }
  if (IsWholeOf(response, whole, now)) return BeginWhole(exchanged);
  const bool other_part = response.status == 206 && IsOfVersion(response, whole, now);
  if (other_part && order_.origin_request.fields.Has("range")) return AskWithoutRange();
  const bool changed = TellsOfAnother(response.status);
  if (changed) Forget(order_.sliced);
  const std::string_view reason = changed                          ? kSliceChanged
                                  : IsErrorStatus(response.status) ? "slice_failed"
                                                                   : kSliceRefused;
  GiveUp(Reason::kOriginBroken,
         Error{Fault::kOrigin, std::string(reason),
               "asked for the next part of what is stored in parts, it answered " +
                   std::to_string(response.status) + ", or a part of another version"});
}

/// All of it, where a slice was asked for. Who reads slices goes on in it wherever they are, and it
/// is stored in place of them. What was asked for ahead is not worth as much.
void OriginFetch::BeginWhole(const Exchanged& exchanged) {
  if (order_.fill->readers() == 0) {
    return GiveUp(Reason::kOriginBroken,
                  Error{Fault::kClient, "whole_unwanted", "nobody wants more than a slice yet"});
  }
  promised_bytes_ = ResponseOf(*order_.sliced).slicing.total_bytes;
  as_it_is_ = true;
  Forget(order_.sliced);
  order_.sliced.reset();
  order_.slice.reset();
  OnWhole(exchanged);
}

void OriginFetch::BeginSlice() {
  const StoredResponse& whole = ResponseOf(*order_.sliced);
  const ByteSpan span = SliceSpan(whole.slicing, *order_.slice);
  auto slice = std::make_shared<StoredResponse>();
  slice->status = 206;
  slice->url = whole.url;
  slice->tags = whole.tags;
  slice->freshness = whole.freshness;
  response_ = std::move(slice);
  promised_bytes_ = span.end - span.first;
  decision_.drop_at = order_.sliced->head.drop_at;
  FillHead head{.response = response_, .body_bytes = promised_bytes_, .shared = true};
  BeginStoring(&head);
  order_.fill->SetHead(std::move(head));
  if (!writer_) CancelIfUnwanted();
}

/// The origin gives other parts than it is asked for (RFC 9110 §15.3.7 lets it).
void OriginFetch::AskWithoutRange() {
  for (const std::string_view name : {"range", "if-range"}) {
    order_.origin_request.fields.Remove(name);
  }
  AskAgain();
}

storage::HeadRef OriginFetch::CommitSlice() {
  const storage::CachedHead& whole = *order_.sliced;
  const Key256 key = SliceKey(whole.head.key, ResponseOf(whole), *order_.slice);
  storage::HeadRef kept = writer_->Commit(MakeStorageHead(key, *response_, decision_.drop_at));
  writer_.reset();
  return kept;
}

}  // namespace nearside::edge
