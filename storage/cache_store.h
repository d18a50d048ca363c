#pragma once

// The edge's cache: object heads and body chunks in RAM (S3-FIFO, SOSP'23) over LMDB. The store
// knows neither HTTP nor clients: a head carries opaque bytes that the edge encodes and decodes.
//
// Threads: Find, FindChunk and the purge calls are for any thread, take a shard's lock for
// nanoseconds and never wait for disk. Load and LoadChunk are answered on the executor given. One
// writer thread owns all LMDB write transactions; a few reader threads do cold reads.

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/chunk.h"
#include "runtime/clock.h"
#include "runtime/duration_histogram.h"
#include "runtime/executor.h"
#include "runtime/hash.h"
#include "runtime/metrics.h"
#include "runtime/result.h"
#include "runtime/units.h"

namespace nearside::storage {

/// What a purge can name. An object belongs to its site, its URL, every prefix of its path that
/// ends at "/" (16 at most) and its tags; each is known to the store by a 64-bit hash alone.
using ScopeHash = uint64_t;
enum class ScopeKind : uint8_t { kSite, kUrl, kPrefix, kTag };
/// Hash of a scope's name within its site: ScopeOf(kTag, "demo", "product-7").
ScopeHash ScopeOf(ScopeKind kind, std::string_view site, std::string_view name);

/// A place in an event log. Purges of another epoch do not compare by sequence.
struct LogPosition {
  uint64_t epoch = 0;
  uint64_t sequence = 0;
  auto operator<=>(const LogPosition&) const = default;
};

/// A stored response's head. `meta` is the edge's; the other members are what the store acts on.
struct Head {
  Key256 key;
  uint64_t object_id =
      0;  ///< given by the store: only grows, never reused; names the body's chunks
  uint64_t body_bytes = 0;
  WallTime stored_at;  ///< when the response arrived
  /// Freshness, stale and keep windows are over: the sweeper removes it, or, of one that is in RAM
  /// alone, the next who asks for it.
  WallTime drop_at;
  uint64_t purge_sequence = 0;  ///< the store's purge_sequence() when the fetch *started*
  std::vector<ScopeHash> scopes;
  std::string meta;
};

/// Whatever the edge builds once when a head enters RAM (parsed fields, prepared lines).
class HeadPayload {
 public:
  virtual ~HeadPayload() = default;
  /// Bytes it holds in RAM, for byte-exact limits.
  virtual size_t charge() const = 0;
};

/// A head in RAM: immutable, shared, alive as long as anyone serves it, whatever the store does
/// meanwhile.
struct CachedHead {
  /// The newest purge_sequence at which this head was found valid: equal to the store's newest
  /// means that no scope has to be looked at again. First, so that it shares a cache line with the
  /// reference count.
  mutable std::atomic<uint64_t> checked_sequence{0};
  /// The object is in RAM alone, its whole body in `inline_body`, until it is asked for again
  /// (CacheOptions::disk_min_uses).
  mutable std::atomic<bool> unwritten{false};
  Head head;
  std::unique_ptr<const HeadPayload> payload;
  /// The whole body when it is small (up to kInlineBody bytes it is stored inside the head) or was
  /// unwritten once, else empty.
  ChunkRef inline_body;
};
using HeadRef = std::shared_ptr<const CachedHead>;
inline constexpr size_t kInlineBody = 2048;

/// What a purge left of a head.
enum class Validity : uint8_t {
  kValid,
  kStale,   ///< soft-purged: usable only after validation or where stale may be served
  kUnsure,  ///< nobody knows whether it was hard-purged: usable only after validation, whatever
            ///< fails
  kGone,    ///< hard-purged: never to be served
};

/// Receives one object's body and head. One thread at a time. Destroying it without Commit abandons
/// it. Ends before its store does.
class ObjectWriter {
 public:
  virtual ~ObjectWriter() = default;
  /// The next chunk of the body: full (kChunkBytes) except the last. The chunk is shared, not
  /// copied, unless a good part of its capacity is empty. Never blocks: when the write queue is
  /// full the object is given up, which Commit reports.
  virtual void Append(ChunkRef chunk) = 0;
  /// Whether over half of the write queue waits for the disk: who can, pauses the source of the
  /// body. True: `room` runs once on `executor`, when less than a quarter waits or the store is
  /// closing. `executor` lives until then or until the store is destroyed.
  virtual bool WaitsForRoom(Executor& executor, std::function<void()> room) = 0;
  /// Whether it has been given up: nothing that is appended will be stored.
  virtual bool given_up() const = 0;
  /// Goes to disk whatever CacheOptions::disk_min_uses says: something relies on it.
  virtual void WriteAtOnce() {}
  /// The body is whole: `head` (object_id and body_bytes are filled in) becomes findable in RAM at
  /// once and durable within a batch. Returns the head as stored, or null when it was not (too
  /// large, queue full, disk full, purged meanwhile: hard), which is counted by reason; what the
  /// key had before stays then. When the disk refuses it later, the key has nothing: never the
  /// object before.
  virtual HeadRef Commit(Head head) = 0;
};

struct CacheOptions {
  std::string path;  ///< folder of the files; made when absent; "" : memory only
  ByteSize disk = {1ull << 30};
  ByteSize memory = {256ull << 20};
  ByteSize largest_object = {0};  ///< 0: half of `disk`, or of `memory` when there is no disk
  unsigned reader_threads = 2;
  size_t read_queue = 1024;         ///< cold reads waiting; more are answered as failures
  milliseconds read_timeout{2000};  ///< a cold read that takes longer is answered as a failure
  ByteSize write_queue = {64ull << 20};
  /// 1: every object goes to disk at once. 2: those of one chunk at most do when they are asked for
  /// a second time, be it to be fetched anew; until then they are in RAM alone. Many never are
  /// (Maggs, Sitaraman, "Algorithmic nuggets in content delivery", SIGCOMM CCR 2015: on a cluster
  /// of theirs three quarters of all).
  unsigned disk_min_uses = 1;
  /// Give the files their blocks at start, so that a full disk is an error then. False: they grow
  /// as needed, and a full disk makes the store pass through until there is room.
  bool reserve_disk = true;
};

/// Why an object that was to be stored was not.
enum class NotStored : uint8_t {
  kTooLarge,   ///< over largest_object, or its head over 64 KiB
  kQueueFull,  ///< the writer is behind
  kDiskFull,   ///< no room on disk, or the disk fails
  kPurged,     ///< hard-purged while it was fetched
  kRefused,    ///< the decoder refused the head, or a chunk before the last was not full
};
inline constexpr size_t kNotStoredReasons = 5;

/// What pinned objects may take of the map of bodies, in percent; of the map of heads it is half of
/// that. The rest stays a cache.
inline constexpr uint64_t kMostPinnedPercent = 80;

/// What became of the wish that an object be kept.
enum class PinOutcome : uint8_t {
  kPinned,
  kAbsent,  ///< nothing is stored on disk under the key
  kNoRoom,  ///< pinned objects take their part of the disk already, or there is no disk
};

/// Why an object left the disk.
enum class Removal : uint8_t {
  kReplaced,
  kRemoved,  ///< asked for by Remove
  kPurged,   ///< hard
  kExpired,
  kEvictedForBodies,  ///< the map of bodies ran short of room
  kEvictedForHeads,   ///< the map of heads did
  kBroken,            ///< did not match its checksum, lacked a part, or was refused by the decoder
};
inline constexpr size_t kRemovals = 7;

/// Point-in-time figures; any thread.
struct CacheStats {
  uint64_t memory_bytes = 0, memory_heads = 0, memory_chunks = 0;
  uint64_t disk_bytes = 0, disk_objects = 0, disk_limit_bytes = 0;
  uint64_t head_hits = 0, head_loads = 0, head_misses = 0;
  uint64_t chunk_hits = 0, chunk_loads = 0;
  uint64_t stored = 0, not_stored = 0;
  uint64_t unwritten = 0;      ///< of those stored: at first in RAM alone
  uint64_t written_later = 0;  ///< of these: asked for again in time
  uint64_t evicted_memory = 0, evicted_disk = 0, expired = 0;
  uint64_t checksum_failures = 0, write_errors = 0, orphans_swept = 0;
  uint64_t pinned_objects = 0, pinned_bytes = 0;
  uint64_t write_queue_bytes = 0, read_queue_length = 0;
  bool pass_through =
      false;  ///< the disk failed or is full: serving goes on, nothing is stored on it
  std::array<uint64_t, kNotStoredReasons>
      not_stored_by{};                           ///< by NotStored; not_stored is their sum
  std::array<uint64_t, kRemovals> removed_by{};  ///< from disk, by Removal
  uint64_t reads_refused = 0;    ///< cold reads that found the queue full, or no reader that moves
  uint64_t reads_timed_out = 0;  ///< cold reads answered as failures after read_timeout
  uint64_t presence_bytes = 0;   ///< RAM of the table behind MayBeOnDisk; not part of memory_bytes
  uint64_t chunk_memory_bytes =
      0;  ///< RAM of the regions of all chunks (runtime/chunk_memory.h), taken or not
  uint64_t purge_marks = 0;      ///< scopes that have a purge on record
  uint64_t retired_bytes = 0;    ///< bodies on disk that only clients in the middle of them keep
  uint64_t slab_dead_bytes = 0;  ///< of slabs: what erased tails have left, and unfilled ends
  uint64_t free_list_pages = 0,
           pinned_pages = 0;    ///< of the chunks' map; pinned: by readers and the last commit
  milliseconds oldest_read{0};  ///< age of the oldest snapshot that a reader thread holds
  bool bodies_held = false, heads_held = false;  ///< a snapshot that somebody keeps leaves a map no
                                                 ///< room: nothing new is stored there
  bool walked = false;  ///< the walk over the disk at start has ended: MayBeOnDisk is exact
};

/// How long the disk's work took. They live as long as somebody holds them; empty without a disk.
struct CacheTimes {
  std::shared_ptr<const DurationHistogram>
      batches;  ///< of the writer, both commits with their syncs
  std::shared_ptr<const DurationHistogram>
      cold_reads;  ///< of a head or a chunk, the wait for a reader included
};

/// Builds the payload of a head that came from disk. Must not block. Null: the meta bytes are of an
/// unknown format, the object is a miss and removed.
using PayloadDecoder = std::function<std::unique_ptr<const HeadPayload>(const Head&)>;

class CacheStore {
 public:
  /// Opens or makes the store. Damaged or foreign files are moved aside ("….broken-1") with a log
  /// line and the store starts empty. Errors (kOperator): folder_unwritable, disk_too_small,
  /// in_use.
  static Result<std::unique_ptr<CacheStore>> Open(const CacheOptions& options,
                                                  PayloadDecoder decoder);
  /// Commits what is queued and closes. Heads and chunks handed out stay valid; loads that wait are
  /// answered as failures.
  virtual ~CacheStore() = default;

  /// RAM only. Null: not in RAM; MayBeOnDisk tells whether Load is worth it. A head that a hard
  /// purge covers is forgotten instead of found.
  virtual HeadRef Find(const Key256& key) = 0;
  /// False only when no object of this key is on disk (exact for the keys that it says no to).
  virtual bool MayBeOnDisk(const Key256& key) const = 0;
  /// False only when nothing is stored under the key, in RAM or on disk. Counts as no access.
  virtual bool MayHold(const Key256& key) const = 0;
  /// Reads the head from disk into RAM; `done` runs on `executor` with the head, or null when there
  /// is none, it has to be dropped by now, too many reads wait, or the read takes too long. Loads
  /// of one key at one time share a read. `executor` lives until `done` has run or the store is
  /// destroyed.
  virtual void Load(const Key256& key, Executor& executor, std::function<void(HeadRef)> done) = 0;

  /// RAM only; null when it has to be loaded. `index` below the object's number of chunks.
  virtual ChunkRef FindChunk(const CachedHead& head, uint32_t index) = 0;
  /// `done` runs on `executor` with the chunk, or an error: gone (evicted or purged meanwhile),
  /// bad_checksum, queue_full, read_failed (also after read_timeout). Keeps `head` alive until
  /// then.
  virtual void LoadChunk(HeadRef head, uint32_t index, Executor& executor,
                         std::function<void(Result<ChunkRef>)> done) = 0;

  /// Starts an object of unknown size; `known_bytes` (Content-Length) lets what is too large be
  /// refused early (null: not admitted, counted).
  virtual std::unique_ptr<ObjectWriter> Begin(std::optional<uint64_t> known_bytes) = 0;
  /// Replaces the head of a stored object, body kept (a validation freshened it). Null when `old`
  /// is no longer the stored one, or RAM has evicted it meanwhile; the object stays as it is then.
  virtual HeadRef Refresh(const HeadRef& old, Head head) = 0;
  /// Forgets one object in RAM and on disk.
  virtual void Remove(const Key256& key) = 0;

  /// Keeps what is stored under the key, and whatever takes its place there, over restarts too: it
  /// is neither evicted nor expired until Unpin. Purges, removals and damage take it all the same.
  /// What takes its place and has no room among the pinned is stored as any other. `done` runs on
  /// `executor` when the answer is durable; it may take as long as the disk fails. `executor` lives
  /// until then or until the store is destroyed.
  virtual void Pin(const Key256& key, Executor& executor, std::function<void(PinOutcome)> done) = 0;
  /// From now on it is one of the popular ones.
  virtual void Unpin(const Key256& key) = 0;
  /// `done` runs on `executor` with the keys of all pinned objects, in no order.
  virtual void ListPinned(Executor& executor, std::function<void(std::vector<Key256>)> done) = 0;

  /// Every object of the scope whose fetch began before now is stale (soft) or gone (hard) from the
  /// moment this returns. Returns the purge sequence. `position` (of the fleet's log; nullopt for a
  /// local purge) is made durable in the same transaction; `on_durable` runs on `executor` after it
  /// (may be empty).
  virtual uint64_t Purge(const std::vector<ScopeHash>& scopes, bool soft,
                         std::optional<LogPosition> position, Executor* executor,
                         std::function<void()> on_durable) = 0;
  /// Only moves the log position (an event that concerns no stored object).
  virtual void Advance(LogPosition position, Executor* executor,
                       std::function<void()> on_durable) = 0;
  /// Everything stored is no better than `left`, which is not kValid, from the moment this returns
  /// (kUnsure: an unknown epoch, a log that has been cut).
  virtual uint64_t PurgeAll(Validity left) = 0;
  virtual Validity Check(const CachedHead& head) const = 0;
  /// The same for a fetch under way that began at `purge_sequence`, by what is known of its scopes
  /// so far; kGone as well where it began too long ago to tell.
  virtual Validity CheckFetch(uint64_t purge_sequence,
                              const std::vector<ScopeHash>& scopes) const = 0;
  virtual uint64_t purge_sequence() const = 0;
  /// The last position made durable; {0,0} for a new store.
  virtual LogPosition log_position() const = 0;

  virtual CacheStats Stats() const = 0;
  virtual CacheTimes Times() const = 0;
  /// Declares the store's metrics (nearside_cache_*) read from Stats.
  virtual void ExportMetrics(metrics::Registry& registry) = 0;
  /// Waits until everything queued so far is durable: for tests and for shutdown.
  virtual void Flush() = 0;
};

}  // namespace nearside::storage
