// A fetch that was answered 304: what is stored is as good as new, or is not what it was about.

#include "edge/cache_key.h"
#include "edge/origin_fetch.h"
#include "edge/policy.h"
#include "edge/worker.h"

namespace nearside::edge {

void OriginFetch::OnNotModified(const Exchanged& exchanged) {
  Node& node = worker_.node();
  worker_.cells().Add(node.metrics.validations);
  const StoredResponse& old = ResponseOf(*order_.validate);
  const std::string via = ViaOf(exchanged.response, node.name);
  std::shared_ptr<StoredResponse> fresh = Freshened(old, exchanged, via, &decision_);
  if (decision_.of_another) return AskAnew();
  fresh->slicing = old.slicing;
  // What was said to one visitor, who told who asks, says nothing of the copy for all others.
  const bool ones_own = decision_.unshareable && decision_.reason != Reason::kVaryStar &&
                        SaysWhoAsks(exchanged.request.fields);
  storage::HeadRef head;
  if (decision_.store()) {
    head = RefreshInOrder(*fresh);
    if (head) RelistVariant(*fresh);
  } else if (decision_.unshareable && !ones_own) {
    Forget(order_.validate);
  }
  // What was validated for this request may answer it, with what the 304 says, even if it could not
  // be kept.
  discard_body_ = true;
  const bool validated_each = decision_.store() && IsNeverFresh(fresh->freshness);
  if (validated_each) RememberNotShared();
  FillHead told{.shared = decision_.store() && !validated_each,
                .unshareable = decision_.unshareable,
                .ones_own = ones_own,
                .validated_each = validated_each,
                .withheld = FieldsForOne(old, *fresh, exchanged, decision_.store()),
                .aged = exchanged.response.fields.Has("age")};
  if (!head) told.response = std::move(fresh);
  order_.fill->FinishValidated(head ? head : order_.validate, std::move(told));
  node.fills.Remove(order_.fill);  // after this, requests find the refreshed head
}

/// Unless something newer has taken its place.
void OriginFetch::Forget(const storage::HeadRef& head) {
  storage::CacheStore& store = *worker_.node().store;
  const storage::HeadRef now = store.Find(head->head.key);
  if (now && now->head.stored_at != head->head.stored_at) return;
  store.Remove(head->head.key);
}

/// RFC 9111 §4.3.4: a 304 that is about another response leaves nothing to serve until the origin
/// is asked without a condition.
void OriginFetch::AskAnew() {
  Forget(order_.validate);
  order_.validate.reset();
  prepared_.reset();
  order_.origin_request.fields.Remove("if-none-match");
  order_.origin_request.fields.Remove("if-modified-since");
  AskAgain();
}

}  // namespace nearside::edge
