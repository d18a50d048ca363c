#pragma once

// A response on its way from an origin, shared by every request that wants it, on whichever worker:
// one fetch writes, readers are woken by event and stream from the growing body (RFC 9211 calls it
// collapsed).

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "edge/reason.h"
#include "edge/stored_response.h"
#include "runtime/chunk.h"
#include "runtime/clock.h"
#include "runtime/executor.h"
#include "runtime/hash.h"
#include "runtime/result.h"
#include "storage/cache_store.h"

namespace nearside::edge {

class Fill;

/// What purges are compared with to tell whether they cover a fetch.
struct FetchBeginning {
  uint64_t purge_sequence = 0;             ///< the store's when it began
  std::vector<storage::ScopeHash> scopes;  ///< what a later purge may name to cover it
};

/// A 1xx that an origin sent before its answer (RFC 9110 §15.2), without hop-by-hop fields.
struct Interim {
  int status = 0;
  http::Fields fields;
};

/// One request's place in a fill. Made and destroyed on the request's worker; `wake` runs there,
/// after any progress, and never after the reader is destroyed.
class FillReader {
 public:
  FillReader(std::shared_ptr<Fill> fill, Executor& executor, std::function<void()> wake);
  ~FillReader();
  FillReader(const FillReader&) = delete;
  FillReader& operator=(const FillReader&) = delete;

  const std::shared_ptr<Fill>& fill() const { return fill_; }
  /// Bytes below `position` will not be asked for again: lets the fill go on and give memory back.
  /// Until the first call the body's beginning is kept for it, and the fill waits: who finds the
  /// head there calls it or leaves in that turn, whatever it takes of the body.
  void Advance(uint64_t position);

 private:
  friend class Fill;
  /// What outlives the reader in tasks already posted, and in a `wake` that destroys the reader.
  /// But for `posted` it is touched on the reader's thread alone.
  struct Wake {
    std::function<void()> wake;
    bool left = false;
    std::atomic<bool> posted{false};
  };
  std::shared_ptr<Fill> fill_;
  Executor& executor_;
  std::shared_ptr<Wake> wake_;
  // Guarded by the fill's lock:
  uint64_t position_ = 0;
  bool begun_ = false;  ///< it has said where it reads
};

/// What is known when the origin's head is there.
struct FillHead {
  /// In kStored: what a 304 has made of stored(), where the store has not taken that; else null.
  std::shared_ptr<const StoredResponse> response;
  std::optional<uint64_t> body_bytes;  ///< Content-Length
  bool shared = false;   ///< may be given to requests other than the one it was fetched for
  bool storing = false;  ///< is on its way into the cache
  /// Nobody's request would get it shared: who waits for it is let go for good.
  bool unshareable = false;
  /// That is known of requests that say who asks (SaysWhoAsks) alone: it was made for one that
  /// does.
  bool ones_own = false;
  /// Stored, but no use may be made of it without asking the origin again (RFC 9111 §4.2.4,
  /// §5.2.2.4): who waits for it asks by itself.
  bool validated_each = false;
  Reason store_reason = Reason::kStored;
  /// Of an error that is not shared: what who waits is told of it beside its status; nullopt: not
  /// even that.
  std::optional<http::Fields> told;
  /// Selecting fields of the request it was fetched for, if the response has Vary.
  http::Fields selecting;
  /// Fields that the request it was fetched for gets, and no other.
  http::Fields withheld;
  /// It came with an Age: the origin did not make it for this request (RFC 9111 §5.1).
  bool aged = false;
};

/// Any thread. The fetch is the only writer; it runs on one worker.
///
/// It holds no more of the body than two windows: what every reader has passed goes, and so does
/// what lies more than a window behind the fastest reader while the body is being stored. A reader
/// that falls behind that far goes on from the store when the body is whole there, so that a slow
/// client neither paces the fetch, even when the others have left, nor keeps an object out of the
/// cache. Only who has not begun to read, because its worker is busy, is waited for.
class Fill : public std::enable_shared_from_this<Fill> {
 public:
  enum class Phase : uint8_t {
    kPending,    ///< the origin has not answered
    kStreaming,  ///< the head is known, the body grows
    kWhole,      ///< the body is complete
    kStored,  ///< no body of its own: serve stored() (the origin said 304, or it was there already)
    kFailed,  ///< no head, or a body that will never be whole
  };
  /// In kFailed: what who waited does now.
  enum class Advice : uint8_t {
    kTellError,
    kAskWhole,  ///< what came for a range is of no use: ask for the whole
    kAskSlice,  ///< the last bytes alone cannot be kept: ask for the slice that they begin in
    kAskAlone,  ///< it may not be shared: each asks as it came
  };
  /// What all fills of a node hold together, in bytes. Over the limit their windows are small.
  struct Budget {
    std::atomic<uint64_t> held{0};
    uint64_t limit = 256 << 20;
  };
  /// Interim responses that wait for their reader.
  static constexpr size_t kMostInterims = 8;
  /// `window`: how far the body may run ahead, in bytes: of its fastest reader while it is being
  /// stored, else of its slowest. `purge_sequence`: the store's when the fetch starts; `scopes`:
  /// what a later purge may name to cover it. `budget` (may be null) outlives it.
  Fill(const Key256& key, uint64_t window, uint64_t purge_sequence, Budget* budget = nullptr,
       std::vector<storage::ScopeHash> scopes = {})
      : key_(key),
        window_(window),
        purge_sequence_(purge_sequence),
        scopes_(std::move(scopes)),
        budget_(budget) {}
  ~Fill();

  const Key256& key() const { return key_; }
  uint64_t purge_sequence() const { return purge_sequence_; }
  /// Whether no purge since it began covers it: a request that begins after one must not join.
  bool IsUnpurged(const storage::CacheStore& store) const {
    return store.CheckFetch(purge_sequence_, scopes_) == storage::Validity::kValid;
  }

  // For readers.
  Phase phase() const;
  /// Valid from kStreaming on; immutable.
  const FillHead& head() const { return head_; }
  /// In kStored: the head to serve from the store, but for what head() says. In kWhole: the head of
  /// the body, once stored; may be null.
  storage::HeadRef stored() const;
  /// In kFailed: what went wrong.
  Error error() const;
  /// In kStored and kFailed: the reason to tell.
  Reason reason() const;
  Advice advice() const;
  /// In kWhole: fields that came behind the body; immutable.
  const http::Fields& trailers() const { return trailers_; }
  /// Bytes of the body that have arrived.
  uint64_t published() const;
  /// Interim responses since the last call, in order. They belong to the request that the fetch was
  /// made for, and to no other: whether those who wait with it may share what it is told is not
  /// known before the head.
  std::vector<Interim> TakeInterims();
  /// What stands at byte `position` of the body.
  struct Piece {
    enum class State : uint8_t {
      kReady,
      kNotYet,
      kBehind,  ///< given back: from stored() when the body is whole
      kEnd,
      kFailed
    } state = State::kNotYet;
    ChunkRef chunk;      ///< in kReady: the chunk that holds it …
    uint32_t valid = 0;  ///< … and how many bytes of that chunk may be read
  };
  Piece Look(uint64_t position) const;
  /// False once the beginning of the body has been given back, or the response is not to be shared.
  bool joinable() const;
  size_t readers() const;

  // For the fetch, on its worker.
  /// Run when a reader's progress lets a paused fetch go on; on any thread.
  void SetResume(std::function<void()> resume);
  /// Run when the last reader has left; on any thread.
  void SetAbandoned(std::function<void()> abandoned);
  /// Before the head. False: kMostInterims wait already, or nobody does; it is dropped.
  bool AddInterim(Interim interim);
  void SetHead(FillHead head);
  /// Appends bytes and wakes readers. Returns the chunks that became full, for the store.
  std::vector<ChunkRef> Append(std::span<const uint8_t> bytes);
  /// Whether the body is a window ahead of the reader that paces it; if so, resume will be called.
  bool ShouldPause();
  /// The last chunk, not full; null when the body's length is a multiple of a chunk.
  ChunkRef TakeTail();
  /// The store has given the body up: from here on the slowest reader paces it, and those too far
  /// behind are cut off.
  void StopStoring();
  /// `stored`: its head in the store, if it was stored: readers of a larger body go on from there.
  void Finish(storage::HeadRef stored, http::Fields trailers = {});
  /// `reason`: kFresh and the like when it was in the store already, kStored when it has just been
  /// stored. `shared`: it may answer other requests than the one it was fetched for, if
  /// they agree on `selecting`.
  /// `aged`: FillHead's.
  void FinishStored(storage::HeadRef head, Reason reason, bool shared, http::Fields selecting = {},
                    bool aged = false);
  /// After a 304 about `head`. Of `told` response, shared, withheld and aged count.
  void FinishValidated(storage::HeadRef head, FillHead told);
  void Fail(Reason reason, Error error, Advice advice = Advice::kTellError);

 private:
  friend class FillReader;
  void Join(FillReader* reader);
  void Leave(FillReader* reader);
  void Moved(FillReader* reader, uint64_t position);
  void WakeAll();  ///< with the lock held
  /// Gives back what nobody will read here; with the lock held. Returns how far the body is ahead
  /// of the reader that paces it.
  uint64_t DropPassed();
  void DropChunks(size_t count);  ///< the first of those held; with the lock held
  uint64_t WindowNow() const;

  const Key256 key_;
  const uint64_t window_;
  const uint64_t purge_sequence_;
  const std::vector<storage::ScopeHash> scopes_;
  Budget* const budget_;
  FillHead head_;          ///< written before phase_ leaves kPending, then immutable
  http::Fields trailers_;  ///< written before phase_ is kWhole, then immutable

  mutable std::mutex mutex_;
  Phase phase_ = Phase::kPending;
  std::vector<Interim> interims_;
  std::deque<ChunkRef> chunks_;
  uint64_t first_chunk_ = 0;  ///< index of chunks_.front()
  uint64_t published_ = 0;
  std::vector<FillReader*> readers_;
  bool paused_ = false;
  bool storing_ = false;  ///< a reader that is left behind will find the body in the store
  storage::HeadRef stored_;
  Reason reason_ = Reason::kOriginBroken;
  Advice advice_ = Advice::kTellError;
  Error error_;
  std::function<void()> resume_;
  std::function<void()> abandoned_;
};

/// When a response left its origin: between these two, as FillTable::TellTime has them.
struct FetchEra {
  uint64_t asked = 0;
  uint64_t came = 0;  ///< its head; 0: that was not noted
};
enum class StoringOrder : uint8_t {
  kNewer,    ///< than all of them, or there are none
  kOlder,    ///< than one of them
  kUnknown,  ///< origins may answer in any order what they were asked at one time
};

/// Fills under way by key, for all workers: one fetch a key and node.
class FillTable {
 public:
  struct Claim {
    std::shared_ptr<Fill> fill;
    bool lead = false;  ///< the caller must fetch
  };
  /// Joins the fill of `key`, or makes one that the caller leads. A fill that a purge in `store`
  /// covers by now is left to those who have joined it already. `beginning`: of the fill if it is
  /// made (edge/purge.h ScopesOfFetch).
  Claim ClaimFill(const Key256& key, uint64_t window, const storage::CacheStore& store,
                  FetchBeginning beginning);
  /// A fill that nobody else joins, counted among the others.
  std::shared_ptr<Fill> MakeFill(const Key256& key, uint64_t window, FetchBeginning beginning);
  /// The fill can no longer be joined. Does nothing if another one has its place.
  void Remove(const std::shared_ptr<Fill>& fill);

  /// Remembers for a while that responses to `key` are not shared, so that requests for it do not
  /// wait for one another: without a copy to validate they pass. A fixed table: a newer key may
  /// displace an older one, which costs one wait. `by_size`: the store would refuse them, whatever
  /// they say of themselves.
  void MarkNotShared(const Key256& key, MonoTime until, bool by_size = false);
  bool IsNotShared(const Key256& key, MonoTime now) const;
  /// A response has come that may be shared: the next request may wait for one. Not by size.
  void MarkShared(const Key256& key);
  /// Of all fills' bodies together; before the first fill.
  void SetLimit(uint64_t bytes) { budget_.limit = bytes; }
  uint64_t held_bytes() const { return budget_.held.load(std::memory_order_relaxed); }
  /// Over that limit: what is not waited for has to wait.
  bool tight() const { return held_bytes() > budget_.limit; }
  /// Counts a fetch that may yet store something under `primary`, or under a key made of it: also
  /// one whose fill is in no table, or has left it. EndStoring once it has stored, or will not.
  /// Returns a time of the resource's, as of TellTime.
  uint64_t BeginStoring(const Key256& primary);
  void EndStoring(const Key256& primary);
  /// What has come to a resource with fetches under way, counted: later is more. 0: it has none.
  uint64_t TellTime(const Key256& primary);
  /// One of them, `era` of a response, has stored something under `key`, has validated what is
  /// there, or has shown what a purge keeps from being stored. Of two that brought the same there
  /// the later era counts, whichever ended last.
  void NoteBrought(const Key256& primary, const Key256& key, const FetchEra& era);
  /// Whether that has been noted of `key` while fetches of the resource have been under way.
  bool HasBrought(const Key256& primary, const Key256& key) const;
  /// When a response of `era` left its origin, beside those that others have brought in its place,
  /// or that it would replace, while its fetch was under way.
  StoringOrder OrderOf(const Key256& primary, const Key256& key, const FetchEra& era) const;
  /// Whether such a fetch is under way. What has ended is findable in the store before it is false.
  bool IsStoring(const Key256& primary) const;
  /// Whether a fill of `key` is under way.
  bool IsFilling(const Key256& key) const;
  size_t size() const;

 private:
  static constexpr size_t kShards = 64;
  static constexpr size_t kNotSharedSlots = 256;  ///< a shard
  struct NotShared {
    Key256 key;
    MonoTime until;
    bool by_size = false;
  };
  /// Fetches of a resource that may store something, and what they have brought: the last for each
  /// key, of the newest kMaxVariants.
  struct Storing {
    size_t fetches = 0;  ///< none is in no table
    uint64_t time = 0;
    std::vector<std::pair<Key256, FetchEra>> last;
  };
  struct Shard {
    mutable std::mutex mutex;
    std::unordered_map<Key256, std::shared_ptr<Fill>> fills;
    std::unordered_map<Key256, Storing> storing;
    std::array<NotShared, kNotSharedSlots> not_shared{};
  };
  Shard& ShardOf(const Key256& key) { return shards_[key.bytes[31] % kShards]; }
  const Shard& ShardOf(const Key256& key) const { return shards_[key.bytes[31] % kShards]; }
  Fill::Budget budget_;  // before what refers to it
  std::array<Shard, kShards> shards_;
};

}  // namespace nearside::edge
