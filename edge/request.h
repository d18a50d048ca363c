#pragma once

#include <memory>
#include <optional>
#include <string>

#include "edge/answer.h"
#include "edge/fill.h"
#include "edge/node.h"
#include "edge/origin_fetch.h"
#include "edge/policy.h"
#include "edge/resource.h"
#include "edge/sliced_body.h"
#include "edge/tunnel.h"
#include "edge/upload.h"
#include "http/session/exchange.h"
#include "runtime/recycled.h"
#include "storage/cache_store.h"

namespace nearside::edge {

class Worker;

/// One client request on its way through the edge:
///
///   receive → find site → key → look up → { hit | stale | validate | miss | pass | error } →
///   deliver → log
///
/// Each arrow is a member function below; each decision leaves a Reason. Owned by its exchange; the
/// worker's thread.
class Request final : public http::ExchangeHandler, public Recycled<Request> {
 public:
  /// Takes a request that has just arrived.
  static void Serve(Worker& worker, http::Exchange& exchange);
  ~Request() override;

  void OnBody(std::span<const uint8_t> bytes) override;
  void OnBodyEnd(const http::Fields& trailers) override;
  void OnFinished(const http::ExchangeOutcome& outcome) override;

 private:
  Request(Worker& worker, http::Exchange& exchange);

  // receive → find site → key
  void Begin();
  bool IsForNode() const;
  bool IsMisdirected() const;
  void AnswerAsLastHop();
  bool IsLooping() const;

  // → look up
  void LookUp();
  void OnPrimary(storage::HeadRef head);
  void LookUpVariant();
  void OnListed(storage::HeadRef head);
  void OnUnlisted(storage::HeadRef head);
  void OnCandidate(storage::HeadRef head);
  bool Use(storage::HeadRef head);
  bool MayAskOrigin() const;
  /// Runs `then` with the head of `key` from RAM, or later from disk.
  void Find(const Key256& key, void (Request::*then)(storage::HeadRef));

  // → hit | stale
  void ServeStored(storage::HeadRef head, Reason reason);
  void OnFirstChunk(storage::HeadRef head, const Selection& selection, Reason reason,
                    Result<ChunkRef> chunk);
  void ServeSliced(storage::HeadRef head, Reason reason);
  void OnFirstSlice(storage::HeadRef head, const Selection& selection, Reason reason,
                    const Status& status);
  std::shared_ptr<const SliceOrder> MakeSliceOrder(storage::HeadRef head) const;
  /// `slices`: how to come by the body, where it lies in slices. `first`: the source of the
  /// selection's span; `head` may be its own.
  void RespondStored(const storage::HeadRef& head, std::shared_ptr<const SliceOrder> slices,
                     std::unique_ptr<http::BodySource> first, const Selection& selection,
                     Reason reason);

  /// What a response's head says by now: what is stored, or what a 304 that is not kept made of it.
  const StoredResponse& HeadOf(const storage::CachedHead& head) const {
    return validated_ ? *validated_ : ResponseOf(head);
  }
  void AddForOne(int status, http::Fields* fields) const;

  std::unique_ptr<http::BodySource> MakeMultipartBody(Multipart layout, storage::HeadRef head,
                                                      std::shared_ptr<const SliceOrder> slices,
                                                      std::unique_ptr<http::BodySource> first,
                                                      BodyCount count);

  // → validate | miss
  void Forward(Reason reason);
  void ForwardAlone();
  FillTable::Claim ClaimFill();
  bool MayJoin(const Fill& fill) const;
  bool IsNotShared() const;
  bool IsFarAhead(const Fill& fill) const;
  FetchBeginning Beginning() const;
  void FetchBeside(bool conditional);
  bool LeadFill(const std::shared_ptr<Fill>& fill);
  void ValidateBehind();
  FetchOrder MakeOrder(std::shared_ptr<Fill> fill, OriginMode mode, bool conditional) const;
  FetchOrder MakeFillOrder(std::shared_ptr<Fill> fill, bool conditional) const;
  std::optional<uint64_t> SliceToAsk() const;
  uint64_t TailToAsk() const;
  Key256 FillKey() const;
  bool IsOtherTail(const storage::CachedHead& head) const;
  bool WantsStored() const;
  void FailOnlyIfCached();
  bool IsFromBefore(const storage::CachedHead& head) const;
  bool ForbidsStoring() const;
  bool MayLeadNext(const FillHead& head) const;
  void Await(std::shared_ptr<Fill> fill);
  void OnFill();
  void PassInterims();
  void OnFillHead();
  bool IsOfLess(const FillHead& head) const;
  void ForwardAsVariant(const http::Fields& selecting);
  void FollowAdvice(Fill::Advice advice);
  void RespondFill();
  storage::HeadRef NewerStored() const;
  void OnNewer(storage::HeadRef head);
  bool MayServeStale() const;
  bool MayTakeIdentity() const;
  void SeekIdentity();
  void OnIdentity(storage::HeadRef head);
  bool HasSlices(const storage::CachedHead& head) const;

  // → a rule of the site
  void AnswerByRule(const VisitorAnswer& answer);

  // → pass
  void Pass(Reason reason);
  void AskToSwitch();
  void OnSwitched(http::Fields fields);
  void OnSilence();
  bool IsNoAgreement(int status) const;

  // → error
  void FailLoop();
  void FailLikeLeader(const FillHead& head);
  void Fail(Reason reason, std::string_view explanation);
  void FailAs(int status, Reason reason, std::string_view explanation, http::Fields fields = {});

  // → deliver → log
  void Deliver(int status, std::span<const http::FieldLine> prepared, http::Fields* extra,
               StatusLine line, std::unique_ptr<http::BodySource> body);
  void ReplaceByPage(int status, std::span<const http::FieldLine>* prepared, http::Fields* extra,
                     std::unique_ptr<http::BodySource>* body) const;
  BodyCount CountOf(Reason reason) const;
  ClientAddress Client() const;
  const Configuration& configuration() const { return **configuration_; }
  /// For what answers later: null inside once this is destroyed.
  const std::shared_ptr<Request*>& Self();
  /// By which logs here and at the origin name the request.
  std::string Id() const;

  Worker& worker_;
  http::Exchange& exchange_;
  const ConfigurationRef configuration_;  ///< the worker's when it began
  const Site* site_ = nullptr;
  ResourceRef resource_;         ///< null until its target is known to be well formed
  Key256 key_;                   ///< the resource's, or the variant's
  storage::HeadRef index_;       ///< of variants, if there is one
  size_t next_variant_ = 0;      ///< of its variants, the next to be looked at
  storage::HeadRef stored_;      ///< what may be validated, or served stale
  storage::HeadRef unreadable_;  ///< a copy whose body could not be read: not to be found again
  // After a 304:
  std::shared_ptr<const StoredResponse>
      validated_;         ///< what it made of a head, if that is not kept
  http::Fields for_one_;  ///< what it says to this request alone
  std::unique_ptr<FillReader> reader_;
  std::unique_ptr<SlicedBody> sliced_;  ///< getting its first bytes
  std::shared_ptr<Upload> upload_;
  std::shared_ptr<Tunnel> tunnel_;
  FetchHandle fetch_;
  Reason reason_ = Reason::kUriMiss;
  int status_ = 0;
  int forwards_ = 0;
  int failed_status_ = 0;  ///< what the origin answered instead of which a copy is served
  bool collapsed_ = false;
  bool passing_ = false;
  bool just_told_ = false;  ///< what is stored was made, or validated, for this request
  enum class Identity : uint8_t {
    kNotSought,
    kSought,
    kKnown,
  } identity_ = Identity::kNotSought;  ///< the variant without a coding, when the origin fails
  bool ask_whole_ = false;             ///< slices have been found not to work
  bool ask_slice_ = false;             ///< last bytes alone have
  bool responded_ = false;
  std::shared_ptr<Request*> self_;  ///< Self()
};

}  // namespace nearside::edge
