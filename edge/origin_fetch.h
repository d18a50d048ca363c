#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "edge/body_encoder.h"
#include "edge/fill.h"
#include "edge/node.h"
#include "edge/origin_request.h"
#include "edge/origin_set.h"
#include "edge/policy.h"
#include "edge/prepared_contents.h"
#include "http/session/client.h"
#include "net/event_loop.h"

namespace nearside::edge {

class Tunnel;
class Worker;

/// What is to be fetched, for whom, and what may be done with it.
struct FetchOrder {
  std::shared_ptr<const Configuration> configuration;
  const Site* site = nullptr;
  http::RequestHead request;         ///< as the client sent it: what policy looks at
  http::RequestHead origin_request;  ///< as origins get it
  std::string url;                   ///< as it stands in the key
  std::string target;                ///< its path and query
  Key256 primary;
  std::shared_ptr<Fill> fill;
  bool may_store = false;     ///< a GET for the cache; else only passed on
  storage::HeadRef validate;  ///< the stored response it is conditional on, or null
  /// The stored response that this fetch may take the place of, conditional or not; null: none.
  storage::HeadRef copy;
  storage::HeadRef index;  ///< the index of variants known at lookup, or null
  /// Not the whole is asked for, but this slice of it …
  std::optional<uint64_t> slice;
  uint64_t slice_bytes = 0;
  /// … of this representation; null: whether it has slices is to be found out.
  storage::HeadRef sliced;
  /// Not the whole is asked for, but its last bytes, so many; 0: it is not so.
  uint64_t tail_bytes = 0;
  std::unique_ptr<http::BodySource> body;
  std::optional<uint64_t> body_bytes;
  /// Of a request for another protocol: `body` is its client's side, this the origin's.
  std::shared_ptr<Tunnel> tunnel;
};

/// Makes an order for the whole one for slice `n` alone, of `sliced`, or, if that is null, of what
/// is not known to have slices. Ranges are of the bytes without a coding.
void AskForSlice(uint64_t n, uint64_t slice_bytes, storage::HeadRef sliced, FetchOrder* order);

/// Forgets what is stored, or on its way into the cache, under a normal URL, and what is under the
/// same path of the site by the other scheme and under its other hosts: they are one resource
/// there, as for a purge.
/// `soft`: it is validated before it is shown again, and may stand in for an origin that fails.
void Invalidate(Node& node, const Site& site, std::string_view url, bool soft = false);

/// Makes an order for the whole one for its last `n` bytes, of what nothing is known of.
void AskForTail(uint64_t n, FetchOrder* order);

class OriginFetch;
/// Points to a fetch as long as it lives; null inside afterwards. Any thread may hold it, the
/// worker's looks.
using FetchHandle = std::shared_ptr<OriginFetch*>;

/// One request to a site's origins, one after the other until one answers, written into a fill and,
/// if the response may be stored, into the cache. Owned by its worker until it is done; lives on
/// when the client that caused it leaves, if the response is for the cache.
class OriginFetch final : public http::CallHandler, public net::Disposable {
 public:
  /// Starts it; nothing is called back from inside.
  static FetchHandle Start(Worker& worker, FetchOrder order);
  ~OriginFetch() override;

  /// The request's body source has more.
  void ResumeRequestBody();
  void OnInterim(int status, const http::Fields& fields) override;
  void OnHead(http::ResponseHead&& head) override;
  void OnBody(std::span<const uint8_t> bytes) override;
  void OnPeerEnd() override;
  void OnEnd(const http::Fields& trailers) override;
  void OnFailure(const Error& error) override;

 private:
  OriginFetch(Worker& worker, FetchOrder&& order);
  void Bind();
  void BeginStoring();
  void Try();
  bool IsRepeatable() const;
  bool AskElsewhere(const http::ResponseHead& response);
  RetryVerdict TryAnother();
  void OnAbandoned();
  void Cancel();
  void OnSwitched(http::ResponseHead&& response);
  void OnTunnelBroken(const Error& error);
  void SendLastWords();
  void OnNotModified(const Exchanged& exchanged);
  void OnWhole(const Exchanged& exchanged);
  void TakeBody(std::span<const uint8_t> bytes);
  void OnFirstPart(const Exchanged& exchanged);
  void OnTail(const Exchanged& exchanged);
  void OnSlice(const Exchanged& exchanged);
  void BeginWhole(const Exchanged& exchanged);
  void BeginSlices(const Exchanged& exchanged, const Slicing& slicing);
  storage::HeadRef StoreSlicedHead(const Exchanged& exchanged, const Slicing& slicing,
                                   http::Fields* selecting);
  void BeginSlice();
  bool IsForbidden(const Exchanged& exchanged, const http::ResponseHead& part);
  void RefuseSlice();
  void InvalidateByAnswer(const FillHead& head);
  /// Ends it before its body, with an error for those who wait.
  void GiveUp(Reason reason, Error error, Fill::Advice advice = Fill::Advice::kTellError);
  void Forget(const storage::HeadRef& head);
  void ForgetIfWithdrawn(const Exchanged& exchanged);
  void AskAnew();
  void AskWithoutRange();
  void AskAgain();
  void BeginStoring(FillHead* head);
  bool MayAnswerLaterGets(const Exchanged& exchanged) const;
  void TellTable(const FillHead& head);
  bool MayServeCopy() const;
  bool FitsIntoWindow(const FillHead& head) const;
  void RememberNotShared(bool by_size = false);
  void RememberShared();
  void RememberIfShareable(const Exchanged& exchanged);
  void ReplaceStored();
  void Negotiate(const Exchanged& exchanged, FillHead* head);
  // origin_fetch_prepared.cc
  void OfferPrepared();
  bool IsAboutPrepared(const http::ResponseHead& response) const;
  void AskWithoutPrepared();
  void OnPrepared(http::ResponseHead&& response);
  void BeginPrepared(storage::HeadRef head);
  void FeedSoon();
  void FeedPrepared();
  ChunkRef TakePreparedChunk();
  http::Fields Selecting(const Exchanged& exchanged, const StoredResponse& stored,
                         http::Coding best) const;
  void AppendBody(std::span<const uint8_t> bytes);
  void EncodeBody(std::span<const uint8_t> bytes, http::ContentEncoder::Step step);
  void OnEncoded(const Status& status, std::span<const uint8_t> encoded,
                 http::ContentEncoder::Step step);
  void FinishBody();
  void FlushEncoder();
  void PauseIfAhead();
  void PauseForStore();
  void ResumeForStore();
  void LosePatience();
  void ResumeBody();
  bool is_paused() const { return reader_paused_ || store_paused_ || encoder_paused_; }
  void CancelIfUnwanted();
  StoringOrder OrderOf(const Key256& key, const http::Fields& fields) const;
  bool IsPurged(const Key256& key) const;
  bool IsFromBefore(const storage::CachedHead& variant) const;
  bool IsInTheWay(const Key256& key) const;
  storage::HeadRef StoreInOrder(const Key256& key, const StoredResponse& response,
                                storage::ObjectWriter& writer);
  storage::HeadRef RefreshInOrder(const StoredResponse& fresh);
  void ForgetUnordered();
  storage::HeadRef Commit();
  storage::HeadRef CommitSlice();
  storage::Head MakeStorageHead(const Key256& key, const StoredResponse& response,
                                WallTime drop_at) const;
  void CommitIndex(const Variant& newest, uint64_t object_id);
  storage::HeadRef IndexNow() const;
  void RelistVariant(const StoredResponse& fresh);
  void Done();

  Worker& worker_;
  FetchOrder order_;
  OriginAttempt attempt_;
  OriginMask tried_ = 0;
  int retries_ = 0;
  std::shared_ptr<http::Client>
      client_;  ///< of the call: a reload may have put another in its place
  std::unique_ptr<http::Call> call_;
  std::unique_ptr<storage::ObjectWriter> writer_;
  std::unique_ptr<BodyEncoder> encoder_;  ///< the body goes through it
  std::shared_ptr<StoredResponse> response_;
  StoreDecision decision_;
  WallTime request_time_;
  uint64_t purge_sequence_ = 0;
  std::optional<uint64_t> promised_bytes_;  ///< of a body that a Content-Range tells the length of
  uint64_t come_bytes_ = 0;                 ///< of the body, as the origin sent it
  bool body_touched_ = false;               ///< the request's: it cannot be sent again
  bool body_whole_ = false;                 ///< the request's: the origin has got all of it
  bool retrying_ = false;                   ///< what else comes of this call is dropped
  bool head_seen_ = false;
  bool switched_ = false;  ///< what comes is the tunnel's
  bool as_it_is_ = false;  ///< not to be encoded: who reads it has the beginning from elsewhere
  bool flushes_ = false;   ///< the body is a stream of unknown length: nothing is held back
  bool flush_posted_ = false;
  bool ended_ = false;           ///< all of the body has come
  http::Fields trailers_;        ///< behind it
  bool encoder_paused_ = false;  ///< too much waits to be encoded
  bool discard_body_ = false;    ///< a 304's, which has none, or one nobody wants
  bool reader_paused_ = false;   ///< the body is a window ahead of its slowest reader
  bool store_paused_ = false;    ///< the store is behind
  bool waits_for_store_ = true;
  net::Timer patience_;  ///< with the store; in a tunnel, with the origin when the client has left
  bool done_ = false;
  FetchHandle self_;
  /// A body that is here already, of a response whose head comes from the origin.
  struct PreparedBody {
    http::ResponseHead response;
    WallTime came_at;
    storage::HeadRef head;  ///< null until it has been found
    uint32_t next = 0;      ///< chunk
    ChunkRef loaded;        ///< that chunk, if it had to be
    bool loading = false;
    bool posted = false;
  };
  std::optional<PreparedContent> prepared_;  ///< offered to the origin
  std::string known_tags_;                   ///< If-None-Match without it
  std::unique_ptr<PreparedBody> prepared_body_;
  bool counted_ = false;  ///< among the fetches that may store something
  FetchEra era_;
};

}  // namespace nearside::edge
