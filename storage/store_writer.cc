#include "storage/store_writer.h"

#include <pthread.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "runtime/log.h"

namespace nearside::storage {

namespace {

constexpr size_t kMostChunksInBatch = 256;
constexpr milliseconds kBatchWindow{20};
/// How often it looks around when nothing comes; so late may a purge be durable that nobody waits
/// for.
constexpr milliseconds kTick{250};
/// Pace of the walk after purges: 20,000 heads a second.
constexpr milliseconds kReclaimPace{100};
constexpr milliseconds kLeastBackoff{1000};
constexpr milliseconds kMostBackoff{60'000};
constexpr milliseconds kSuspendPatience{5000};
constexpr milliseconds kStuckReader{10'000};
constexpr std::chrono::minutes kReaderAlarmPeriod{1};
/// Retries of a map that is full although nothing is put any more, before the store starts over.
constexpr int kWedgedAfter = 8;
constexpr size_t kMostTouched = 4096;
/// Turns after Stop that may only note what was popular.
constexpr int kMostLastTurns = 8;
/// Objects that were replaced while clients read them may keep this part of the disk.
constexpr uint64_t kRetiredShare = 8;
/// Up to this part of their map, heads take small bodies in any case.
constexpr double kRoomyHeads = 0.5;
/// While a reader holds back room, this part of a map has to be free before objects are let in
/// again.
constexpr uint64_t kRoomIsBack = 6;
constexpr size_t kGhosts = 1 << 17;

}  // namespace

WriteQueue::Limits BatchLimits(const StoreLayout& layout) {
  return {.chunk_bytes = layout.batch_bytes,
          .chunks = kMostChunksInBatch,
          .heads = layout.batch_heads,
          .window = kBatchWindow};
}

StoreWriter::StoreWriter(StoreParts& parts, StoreDisk& disk, ReadPool& readers)
    : parts_(parts), disk_(disk), readers_(readers), walk_(parts, disk, reaper_), ghost_(kGhosts) {}

StoreWriter::~StoreWriter() { Stop(); }

void StoreWriter::Start() {
  ReadDisk();
  parts_.next_id.store(meta_.next_id);
  parts_.presence.Expect(disk_.stored_heads());
  walk_.BeginFirst(meta_.next_id);
  thread_ = std::thread([this] { Run(); });
}

void StoreWriter::Stop() {
  parts_.queue.Stop();
  if (thread_.joinable()) thread_.join();
}

/// Takes over what a newly opened disk holds.
void StoreWriter::ReadDisk() {
  meta_ = disk_.meta();
  open_slab_ = {};
  stuck_dead_bytes_ = 0;
  page_bytes_ = disk_.heads().page_bytes();
  const Result<LmdbReadTxn> heads = disk_.heads().BeginRead();
  const Result<LmdbReadTxn> chunks = disk_.chunks().BeginRead();
  if (!heads || !chunks) return;  // the first batch will meet the same error and say so
  heads_used_pages_ = heads->UsedPages();
  chunks_used_pages_ = chunks->UsedPages();
  slab_totals_ = ReadSlabTotals(*chunks, disk_.chunk_tables()).value_or(SlabTotals{});
  first_expiry_ = FirstExpiry(*heads, disk_.head_tables().expiry).value_or(std::nullopt);
  parts_.counters.disk_objects.store(heads->Entries(disk_.head_tables().heads));
  UpdateGauges();
}

void StoreWriter::Run() {
  pthread_setname_np(pthread_self(), "cache-writer");
  while (true) {
    WriteBatch batch = parts_.queue.Take(NextTurn());
    // What is left to be erased then is swept at the next start.
    const bool done = deferred_.empty() && (touched_.empty() || last_turns_ > kMostLastTurns);
    const bool last = batch.stop && batch.empty() && (done || parts_.pass_through.load());
    if (batch.stop) ++last_turns_;
    RunBatch(std::move(batch));
    if (last) break;
    WatchReaders();
    WatchRoom();
    if (!disk_.is_open() || parts_.pass_through.load()) continue;
    walk_.MaybeBeginReclaim(MonoNow());
    if (walk_.has_removals()) continue;  // first these, so that the list stays short
    if (Status walked = walk_.Step(); !walked) HandleFailure(walked.error());
  }
  parts_.queue.FinishFlushes(~uint64_t{0});
}

MonoTime StoreWriter::NextTurn() const {
  const MonoTime now = MonoNow();
  if (parts_.pass_through.load()) return std::min(retry_at_, now + kTick);
  const bool expiry_due = first_expiry_ && *first_expiry_ <= WallNow();
  if (parts_.heads_held.load()) return now + kTick;
  if (!deferred_.empty() || !pins_.empty() || walk_.first() || walk_.has_removals() || expiry_due)
    return now;
  if (!reaper_.idle()) return std::max(now, reap_at_);
  return now + (walk_.active() ? kReclaimPace : kTick);
}

void StoreWriter::RunBatch(WriteBatch batch) {
  for (const Abandonment& abandoned : batch.abandoned) {
    parts_.ram.EraseChunks(abandoned.fill->object_id, abandoned.chunks);
    Erase(*abandoned.fill);
  }
  for (DurableRequest& request : batch.durable) AddRequest(std::move(request));
  std::move(batch.pins.begin(), batch.pins.end(), std::back_inserter(pins_));
  flushes_ = std::max(flushes_, batch.flushes);
  CollectTouches();
  if (batch.stop) next_touch_ = {};  // the last chance to keep them
  reaper_.CollectReleased(*parts_.live, MonoNow(), disk_.layout().chunks_map_bytes / kRetiredShare);
  if (parts_.pass_through.load()) {
    const bool too_early = MonoNow() < retry_at_ && !batch.stop;
    if (too_early || !OpenAgain()) {
      Decline(batch);
      return;
    }
    probing_ = true;
  }
  const MonoTime begun = MonoNow();
  const uint64_t incoming_bytes = DiskBytes(batch.chunks);
  // Without chunks of its own a batch need not wait for the next to store its heads.
  const bool heads_now = batch.chunks.empty();
  if (heads_now) std::move(batch.heads.begin(), batch.heads.end(), std::back_inserter(deferred_));
  const bool writes = !batch.chunks.empty() || !reaper_.idle() || HeadsHaveWork(incoming_bytes);
  Status status = CommitHeads(incoming_bytes);
  if (status) {
    status = CommitChunks(batch.chunks);
    if (status) status = TidySlabs();
  } else {
    FailChunks(batch.chunks);
  }
  if (writes) parts_.counters.batch_times->Record(MonoNow() - begun);
  parts_.queue.FinishChunks(batch.chunks);
  if (!heads_now) std::move(batch.heads.begin(), batch.heads.end(), std::back_inserter(deferred_));
  if (!status) {
    HandleFailure(status.error());
  } else if (probing_) {
    LeavePassThrough();
  }
  probing_ = false;
  const bool spared =
      parts_.heads_held.load() && (!requests_.empty() || parts_.purges.HasUnsaved());
  const bool pins_wait = !pins_.empty() && !parts_.heads_held.load();
  if (!status || (deferred_.empty() && !spared && !pins_wait)) FinishFlushes();
  UpdateGauges();
}

void StoreWriter::FinishFlushes() {
  finished_flushes_ = flushes_;
  parts_.queue.FinishFlushes(flushes_);
}

/// What nobody waits for is one request, however long the disk fails.
void StoreWriter::AddRequest(DurableRequest request) {
  if (request.done || requests_.empty() || requests_.back().done) {
    requests_.push_back(std::move(request));
  } else if (request.position) {
    requests_.back().position = request.position;
  }
}

void StoreWriter::CollectTouches() {
  std::vector<Key256> keys;
  parts_.ram.DrainTouched(keys);
  parts_.touches.Drain(keys);
  for (const Key256& key : keys) {
    parts_.presence.Mark(key);
    if (touched_.size() < kMostTouched) touched_.push_back(key);
  }
}

void StoreWriter::Decline(WriteBatch& batch) {
  FailChunks(batch.chunks);
  parts_.queue.FinishChunks(batch.chunks);
  std::move(batch.heads.begin(), batch.heads.end(), std::back_inserter(deferred_));
  FailWrites();
  BoundWaitingRemovals();
  FinishFlushes();
}

void StoreWriter::HandleFailure(const Error& error) {
  StoreCounters::Add(parts_.counters.write_errors);
  FailWrites();
  // After a write that failed LMDB may have given the environment up, and says so at the next use.
  reopen_ = reopen_ || error.reason != "map_full";
  full_in_a_row_ = error.reason == "map_full" ? full_in_a_row_ + 1 : 0;
  // A map that only a reader keeps full is not wedged: its content stays.
  const bool wedged = full_in_a_row_ >= kWedgedAfter && OldestSnapshotAge() < kStuckReader;
  if ((IsDamage(error) || wedged) && StartOver(error)) return;
  EnterPassThrough(error);
}

void StoreWriter::EnterPassThrough(const Error& error) {
  const MonoTime now = MonoNow();
  const bool calm = !parts_.pass_through.load() && now - left_pass_through_ > kMostBackoff;
  backoff_ = calm ? kLeastBackoff : std::clamp(backoff_ * 2, kLeastBackoff, kMostBackoff);
  retry_at_ = now + backoff_;
  if (parts_.pass_through.exchange(true)) return;
  Log(Level::kError, "store_pass_through",
      {{"path", parts_.options.path},
       {"error", error.ToString()},
       {"effect", "nothing is stored on disk until it works again"}});
}

void StoreWriter::LeavePassThrough() {
  full_in_a_row_ = 0;
  left_pass_through_ = MonoNow();
  parts_.pass_through.store(false);
  Log(Level::kInfo, "store_back", {{"path", parts_.options.path}});
}

/// After a failure: the environments as they are, opened anew, or new ones when these are damaged.
/// False when none can be had: tried again later.
bool StoreWriter::OpenAgain() {
  if (disk_.is_open() && !reopen_) return true;
  const Status opened = Reopen();
  if (opened || (IsDamage(opened.error()) && StartOver(opened.error()))) return true;
  EnterPassThrough(opened.error());
  return false;
}

/// LMDB gives an environment up when its meta page cannot be written; what is in it is sound.
Status StoreWriter::Reopen() {
  if (!readers_.Suspend(kSuspendPatience)) {
    return Fail(Fault::kSelf, "busy", "a reader does not let go of the store's files");
  }
  const Status opened = disk_.Reopen();
  if (opened) {
    reopen_ = false;
    // What a commit that was told to have failed has written may be there all the same.
    const LogPosition position = std::max(meta_.position, disk_.meta().position);
    ReadDisk();
    meta_.position = position;
    meta_.next_id = parts_.next_id.load();
    parts_.purges.UnsaveAll();
  }
  readers_.Resume();
  return opened;
}

bool StoreWriter::StartOver(const Error& error) {
  // Nothing is taken meanwhile; what slips in before or during this is of an older generation.
  const bool passed_through = parts_.pass_through.exchange(true);
  if (!readers_.Suspend(kSuspendPatience)) {
    parts_.pass_through.store(passed_through);
    return false;
  }
  // From here on nothing that was stored is there. First what is on its way is told, then RAM is
  // emptied, so that no head stays whose chunks are gone.
  parts_.generation.fetch_add(1);
  FailWrites();
  const Status opened = disk_.StartOver(error.message);
  parts_.index.ForgetPending();
  deferred_.clear();
  reaper_.Clear();
  parts_.ram.Clear();
  parts_.presence.Clear();
  parts_.purges.UnsaveAll();
  parts_.generation.fetch_add(1);
  reopen_ = false;
  if (opened) {
    const LogPosition position = meta_.position;
    ReadDisk();
    meta_.position = position;
    meta_.next_id = parts_.next_id.load();
    walk_.SetDone();
    full_in_a_row_ = 0;
  }
  parts_.pass_through.store(passed_through);
  readers_.Resume();
  return opened.has_value();
}

void StoreWriter::UpdateGauges() {
  StoreCounters& counters = parts_.counters;
  const uint64_t used = (heads_used_pages_ + chunks_used_pages_) * page_bytes_;
  const uint64_t dead = slab_totals_.dead_bytes();
  counters.disk_bytes.store(used - std::min(used, dead), std::memory_order_relaxed);
  counters.slab_dead_bytes.store(dead, std::memory_order_relaxed);
  counters.pinned_objects.store(meta_.pinned.objects, std::memory_order_relaxed);
  counters.pinned_bytes.store(meta_.pinned.head_bytes + meta_.pinned.chunk_bytes,
                              std::memory_order_relaxed);
  counters.retired_bytes.store(reaper_.retired_bytes(), std::memory_order_relaxed);
  // Small bodies go where there is more room: heads first, as one read is cheaper than two.
  const double heads_full = static_cast<double>(heads_used_pages_ * page_bytes_) /
                            static_cast<double>(disk_.layout().heads_map_bytes);
  const double chunks_full = static_cast<double>(chunks_used_pages_ * page_bytes_) /
                             static_cast<double>(disk_.layout().chunks_map_bytes);
  parts_.inline_on_disk.store(heads_full < kRoomyHeads || heads_full <= chunks_full);
}

/// As our own readers tell it, or as the reader table shows it of other processes.
milliseconds StoreWriter::OldestSnapshotAge() const {
  const MonoTime now = MonoNow();
  return std::max({readers_.oldest_age(), heads_watch_.age(now), chunks_watch_.age(now)});
}

void StoreWriter::WatchReaders() {
  const MonoTime now = MonoNow();
  if (disk_.is_open()) {
    heads_watch_.Look(disk_.heads(), now);
    chunks_watch_.Look(disk_.chunks(), now);
  }
  const milliseconds age = OldestSnapshotAge();
  parts_.counters.oldest_snapshot_ms.store(static_cast<uint64_t>(age.count()),
                                           std::memory_order_relaxed);
  if (age < kStuckReader || now < next_reader_alarm_) return;
  next_reader_alarm_ = now + kReaderAlarmPeriod;
  const int pid = chunks_watch_.pid() != 0 ? chunks_watch_.pid() : heads_watch_.pid();
  Log(Level::kError, "store_reader_stuck",
      {{"path", parts_.options.path},
       {"seconds", std::chrono::duration_cast<seconds>(age).count()},
       {"process", pid},
       {"effect", "space is not given back; nothing is stored once it runs out"}});
}

/// Lets objects in again once the readers that held the room are gone, or hold little.
void StoreWriter::WatchRoom() {
  if (!disk_.is_open()) return;
  const auto is_back = [](LmdbEnv& env, const SnapshotWatch& watch) {
    if (watch.age(MonoNow()) <= kStalledRead) return true;
    const Result<LmdbSpace> space = env.MeasureSpace();
    return space &&
           (space->pinned_by_readers == 0 || space->free() > space->map_pages / kRoomIsBack);
  };
  if (parts_.chunks_held.load() && is_back(disk_.chunks(), chunks_watch_))
    parts_.chunks_held.store(false);
  if (parts_.heads_held.load() && is_back(disk_.heads(), heads_watch_))
    parts_.heads_held.store(false);
}

}  // namespace nearside::storage
