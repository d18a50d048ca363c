// The two transactions of a batch (store_writer.h says in which order, and why).

#include <algorithm>
#include <unordered_map>
#include <utility>

#include "runtime/log.h"
#include "storage/store_writer.h"

namespace nearside::storage {

namespace {

// Eviction keeps the chunks' map between these, so that a batch finds free pages whatever a reader
// pins.
constexpr uint64_t kHighPercent = 90;
constexpr uint64_t kLowPercent = 89;
/// From here on slabs of which little lives are emptied, so that less has to be evicted: until this
/// part of all slabs is dead, and when there is so much of a batch to gain.
constexpr uint64_t kTidyFromPercent = 85;
constexpr uint64_t kKeptDeadShare = 4;
constexpr uint64_t kWorthEmptyingShare = 4;
/// At a time, in slabs that a batch fills.
constexpr uint64_t kEmptyingFactor = 2;
/// Fewer gained than this part of those emptied is not worth it.
constexpr uint64_t kLeastGainShare = 8;
/// The heads' tree is changed at random places: each batch copies many of its pages. It also
/// shrinks slowly, page by page as they run empty: more than this many victims for a head that is
/// put would empty it.
constexpr uint64_t kHeadsHighPercent = 75;
constexpr size_t kVictimsPerHead = 2;
constexpr size_t kVictimsToMakeRoom = 8;
constexpr size_t kFewVictims = 1;
/// While a reader holds back the heads' room, from this part of the map on nothing new is stored:
/// it is kept for purges, removals and expiry, a few at a time.
constexpr uint64_t kSparedShare = 8;
constexpr size_t kSparingOperations = 8;
constexpr milliseconds kSparingPause{500};
/// Removals that wait for a disk that fails or has no room; beyond it, all that is on it counts as
/// purged.
constexpr size_t kMostWaitingRemovals = 65'536;
constexpr int kMostRoomRounds = 4;
/// One transaction on heads evicts so many objects only, and small bodies give little back.
constexpr milliseconds kEvictionPatience{200};
constexpr uint64_t kEvictedPercent = 2;
/// No batch of chunks is worth more than this of what is stored.
constexpr uint64_t kMostEvictedPercent = 8;
/// Erasing, evicting and removing stay within this many times of what a batch puts.
constexpr uint64_t kRemovalFactor = 4;
constexpr size_t kMostChunksErased = 256 * kRemovalFactor;
constexpr size_t kFewChunksErased = 16;
constexpr milliseconds kTouchPeriod{1000};
constexpr milliseconds kReapPause{100};
/// How long a batch waits for a reader that holds the room it needs.
constexpr milliseconds kReaderPatience{100};
constexpr milliseconds kReaderPause{2};
/// Heads take pages that are not full: with this part of their map in bytes, pinned ones stay below
/// the mark from which on heads are evicted.
constexpr uint64_t kMostPinnedHeadsPercent = kMostPinnedPercent / 2;
/// Pages that a commit of chunks needs beside them: the paths in the trees, the free list.
constexpr uint64_t kSparePages = 128;

/// What is expired, purged or broken is so again when it is next read or walked over.
bool IsFoundAgain(const HeadRemoval& removal) {
  return removal.why == Removal::kExpired || removal.why == Removal::kPurged ||
         removal.why == Removal::kBroken;
}

bool IsFull(const Error& error) { return error.reason == "map_full" || error.reason == "txn_full"; }

}  // namespace

// ---- Heads

bool StoreWriter::HeadsHaveWork(uint64_t incoming_bytes) const {
  return probing_ || !deferred_.empty() || !requests_.empty() || !pins_.empty() ||
         parts_.purges.HasUnsaved() || walk_.has_removals() ||
         (first_expiry_ && *first_expiry_ <= WallNow()) ||
         (!touched_.empty() && MonoNow() >= next_touch_) || EvictionGoal(incoming_bytes) > 0;
}

uint64_t StoreWriter::EvictionGoal(uint64_t incoming_bytes) const {
  const uint64_t map = disk_.layout().chunks_map_bytes;
  const uint64_t used = chunks_used_pages_ * page_bytes_;
  // What is doomed gives its pages back when it is erased, but of slabs that much stays dead.
  const uint64_t dead = slab_totals_.dead_bytes() + reaper_.doomed_tail_bytes();
  const uint64_t going = reaper_.doomed_bytes() - reaper_.doomed_tail_bytes() +
                         (dead - std::min(dead, KeptDeadBytes()));
  const uint64_t projected = used - std::min(used, going) + incoming_bytes;
  if (projected <= map / 100 * kHighPercent) return 0;
  return std::min(projected - map / 100 * kLowPercent,
                  kRemovalFactor * disk_.layout().batch_bytes + incoming_bytes);
}

Status StoreWriter::CommitHeads(uint64_t incoming_bytes) {
  if (!HeadsHaveWork(incoming_bytes)) return {};
  if (HeadsAreHeld(/*full=*/false)) return CommitSparingly();
  const uint64_t evict_chunk_bytes = EvictionGoal(incoming_bytes);
  for (int rounds = 0;; ++rounds) {
    HeadsPlan plan{.evict_chunk_bytes = evict_chunk_bytes};
    Status status = TryHeads(plan);
    if (status || !IsFull(status.error()) || rounds == kMostRoomRounds) return status;
    if (HeadsAreHeld(/*full=*/true)) return CommitSparingly();
    status = MakeRoomForHeads(kVictimsToMakeRoom);
    if (!status && IsFull(status.error())) status = MakeRoomForHeads(kFewVictims);
    if (!status) return status;
  }
}

/// A small commit: it needs few pages, and each makes those that the one before it freed usable.
Status StoreWriter::MakeRoomForHeads(size_t victims) {
  StoreCounters::Add(parts_.counters.write_errors);
  HeadsPlan plan{.only_make_room = true, .evict_heads = victims};
  return TryHeads(plan);
}

/// Whether a snapshot that somebody keeps pins so much of the heads' map that what is free has to
/// be spared. A read that is only under way is waited for, and its pages done without unless the
/// map is full.
bool StoreWriter::HeadsAreHeld(bool full) {
  const auto looks_held = [this] {
    const Result<LmdbSpace> space = disk_.heads().MeasureSpace();
    return space && space->pinned_by_readers > 0 && space->free() < space->map_pages / kSparedShare;
  };
  const MonoTime patience = MonoNow() + kReaderPatience;
  while (looks_held()) {
    const MonoTime now = MonoNow();
    heads_watch_.Look(disk_.heads(), now);
    const bool kept = parts_.heads_held.load() || heads_watch_.age(now) > kStalledRead;
    if (!kept && now < patience) {
      std::this_thread::sleep_for(kReaderPause);
      continue;
    }
    if (!kept && !full) return false;
    if (!parts_.heads_held.exchange(true)) {
      Log(Level::kError, "store_heads_held",
          {{"path", parts_.options.path},
           {"process", heads_watch_.pid()},
           {"effect", "a snapshot that is kept leaves no room: nothing new is stored"}});
    }
    return true;
  }
  return false;
}

/// Purges, the log position, removals and expiry, a few at a time: each commit takes pages that do
/// not come back until the reader goes.
Status StoreWriter::CommitSparingly() {
  FailWrites();
  BoundWaitingRemovals();
  const bool somebody_waits = last_turns_ > 0 || flushes_ > finished_flushes_ ||
                              std::ranges::any_of(requests_, [](const DurableRequest& request) {
                                return static_cast<bool>(request.done);
                              });
  const bool expiry_due = first_expiry_ && *first_expiry_ <= WallNow();
  const bool needed = probing_ || expiry_due || !deferred_.empty() || !requests_.empty() ||
                      parts_.purges.HasUnsaved();
  const MonoTime now = MonoNow();
  if (!needed || (now < sparing_at_ && !somebody_waits)) return {};
  sparing_at_ = now + kSparingPause;
  HeadsPlan plan{.sparing = true, .most_spared = kSparingOperations};
  Status status = TryHeads(plan);
  if (status || !IsFull(status.error())) return status;
  HeadsPlan least{.sparing = true};  // purges and the position alone
  return TryHeads(least);
}

Status StoreWriter::TryHeads(HeadsPlan& plan) {
  std::optional<PurgeTable::Changes> changes;
  if (!plan.only_make_room) {
    const size_t most = plan.sparing ? plan.most_spared : disk_.layout().batch_heads;
    plan.operations = std::min(deferred_.size(), plan.sparing ? most : kRemovalFactor * most);
    if (!plan.sparing) plan.removals = walk_.TakeRemovals(most);
    // After the head operations were taken from the queue: a head that knows a purge is never
    // stored before it.
    if (parts_.purges.HasUnsaved()) changes = parts_.purges.TakeUnsaved();
  }
  const auto attempt = [&]() -> Status {
    Result<HeadBatch> batch = HeadBatch::Begin(disk_.heads(), disk_.head_tables(), meta_);
    if (!batch) return tl::unexpected(batch.error());
    const StoreLayout& layout = disk_.layout();
    batch->LimitPins({.head_bytes = layout.heads_map_bytes / 100 * kMostPinnedHeadsPercent,
                      .chunk_bytes = layout.chunks_map_bytes / 100 * kMostPinnedPercent});
    if (changes) {
      if (Status s = batch->SavePurges(*changes); !s) return s;
    }
    if (Status s = FillHeads(*batch, plan); !s) return s;
    if (Status s = batch->Commit(); !s) return s;
    FinishHeads(*batch, plan);
    return {};
  };
  Status status = attempt();
  if (!status) {
    if (changes) parts_.purges.Unsave(*changes);
    walk_.ReturnRemovals(plan.removals);
  }
  return status;
}

Status StoreWriter::FillHeads(HeadBatch& batch, HeadsPlan& plan) {
  if (!plan.only_make_room) {
    if (Status s = ApplyAll(batch, plan); !s) return s;
  }
  if (!plan.sparing) {
    if (Status s = Evict(batch, plan); !s) return s;
  }
  const Result<std::optional<WallTime>> first = batch.FirstExpiry();
  if (!first) return tl::unexpected(first.error());
  plan.first_expiry = *first;
  plan.heads = batch.Entries();
  plan.used_pages = batch.UsedPages();
  batch.meta().next_id = parts_.next_id.load();
  return {};
}

Status StoreWriter::ApplyAll(HeadBatch& batch, HeadsPlan& plan) {
  for (const DurableRequest& request : requests_) {
    if (request.position) batch.meta().position = *request.position;
  }
  for (size_t i = 0; i < plan.operations; ++i) {
    const HeadOperation& operation = deferred_[i];
    if (const auto* write = std::get_if<HeadWrite>(&operation)) {
      if (Status s = ApplyWrite(batch, *write, plan); !s) return s;
      continue;
    }
    const auto& removal = std::get<HeadRemoval>(operation);
    const auto removed = batch.Remove(removal.key, removal.object_id, removal.why);
    if (!removed) return tl::unexpected(removed.error());
  }
  for (const StoreWalk::Removal& removal : plan.removals) {
    const Result<bool> removed = batch.Remove(removal.key, removal.object_id, Removal::kPurged);
    if (!removed) return tl::unexpected(removed.error());
  }
  if (!plan.sparing) {
    if (Status s = Promote(batch); !s) return s;
    if (Status s = ApplyPins(batch, plan); !s) return s;
  }
  const size_t most_expired = plan.sparing ? plan.most_spared : disk_.layout().batch_heads;
  const Result<size_t> expired = batch.Expire(WallNow(), most_expired);
  if (!expired) return tl::unexpected(expired.error());
  return {};
}

Status StoreWriter::ApplyWrite(HeadBatch& batch, const HeadWrite& write, HeadsPlan& plan) {
  const Head& head = write.head->head;
  const bool lost = write.fill != nullptr &&
                    (write.fill->failed.load() || write.fill->generation != parts_.generation);
  if (lost || !parts_.purges.MayStore(head)) {
    plan.refused.push_back(&write);
    // What it was to replace is older than what has been served already: it must not come back.
    const Result<bool> removed = batch.Remove(head.key, std::nullopt, Removal::kRemoved);
    return removed ? Status{} : tl::unexpected(removed.error());
  }
  walk_.NotePut(head);
  if (write.fill == nullptr) {
    const Result<bool> refreshed = batch.Refresh(head);
    if (!refreshed) return tl::unexpected(refreshed.error());
    (*refreshed ? plan.stored : plan.refused).push_back(&write);
    return {};
  }
  std::optional<Bytes> body;
  if (write.inline_on_disk) {
    body = write.head->inline_body ? write.head->inline_body->bytes() : Bytes{};
  }
  // What comes back soon after it was evicted was evicted too early.
  const bool known = ghost_.Take(head.key.word(), std::max<uint64_t>(batch.Entries(), 1));
  const QueuePlace place{.segment = known ? Segment::kMain : Segment::kProbation,
                         .position = parts_.next_id.fetch_add(1)};
  if (Status s = batch.Put(head, body, place); !s) return s;
  plan.stored.push_back(&write);
  return {};
}

/// Moves what was asked for again out of probation, so that popularity outlives a restart.
Status StoreWriter::Promote(HeadBatch& batch) {
  next_touch_ = MonoNow() + kTouchPeriod;
  const size_t count = std::min(touched_.size(), disk_.layout().batch_heads / 2);
  const std::vector<Key256> keys(touched_.end() - static_cast<ptrdiff_t>(count), touched_.end());
  touched_.resize(touched_.size() - count);
  for (const Key256& key : keys) {
    const Result<bool> moved = batch.Promote(key, parts_.next_id.fetch_add(1));
    if (!moved) return tl::unexpected(moved.error());
  }
  return {};
}

/// Behind what was to be stored: what a pin is for may be in this very transaction.
Status StoreWriter::ApplyPins(HeadBatch& batch, HeadsPlan& plan) {
  const size_t count = std::min(pins_.size(), disk_.layout().batch_heads);
  for (size_t i = 0; i < count; ++i) {
    const PinRequest& request = pins_[i];
    std::optional<PinOutcome> outcome = PinOutcome::kPinned;
    if (request.kind == PinRequest::Kind::kList) {
      Result<std::vector<Key256>> keys = batch.PinnedKeys();
      if (!keys) return tl::unexpected(keys.error());
      plan.pinned_keys = std::move(*keys);
    } else if (request.kind == PinRequest::Kind::kUnpin) {
      const Result<bool> moved = batch.Unpin(request.key, parts_.next_id.fetch_add(1));
      if (!moved) return tl::unexpected(moved.error());
    } else {
      const Result<PinOutcome> pinned = batch.Pin(request.key, parts_.next_id.fetch_add(1));
      if (!pinned) return tl::unexpected(pinned.error());
      outcome = *pinned;
      // Its head waits for its chunks, or in the queue.
      const auto pending = parts_.index.Lock(request.key).pending();
      if (outcome == PinOutcome::kAbsent && pending && *pending != nullptr) outcome.reset();
    }
    plan.pins.push_back(outcome);
  }
  return {};
}

void StoreWriter::FinishPins(const HeadsPlan& plan) {
  std::vector<PinRequest> waiting;
  for (size_t i = 0; i < pins_.size(); ++i) {
    PinRequest& request = pins_[i];
    if (i >= plan.pins.size() || !plan.pins[i]) {
      waiting.push_back(std::move(request));
    } else if (request.listed) {
      request.executor->Post([listed = std::move(request.listed),
                              keys = *plan.pinned_keys]() mutable { listed(std::move(keys)); });
    } else if (request.done) {
      request.executor->Post(
          [done = std::move(request.done), outcome = *plan.pins[i]] { done(outcome); });
    }
  }
  pins_ = std::move(waiting);
}

Status StoreWriter::Evict(HeadBatch& batch, HeadsPlan& plan) {
  const auto accessed = [this](const Key256& key) {
    return parts_.presence.TakeMark(key) || parts_.ram.TakeAccess(key);
  };
  const auto next_position = [this] { return parts_.next_id.fetch_add(1); };
  const uint64_t most_pages =
      disk_.layout().heads_map_bytes / page_bytes_ * kHeadsHighPercent / 100;
  const size_t most_for_heads =
      plan.only_make_room ? plan.evict_heads : kVictimsPerHead * (plan.stored.size() + 1);
  const size_t most_for_chunks = kRemovalFactor * disk_.layout().batch_heads;
  // None where room is made for heads: a second chance takes pages and gives none back.
  if (plan.evict_heads == 0) batch.AllowSecondChances(disk_.layout().batch_heads / 2);
  plan.freed_bytes = 0;
  bool chunks_left = true;
  for (size_t victims = 0;; ++victims) {
    const bool for_chunks =
        chunks_left && plan.freed_bytes < plan.evict_chunk_bytes && victims < most_for_chunks;
    const bool for_heads =
        (plan.evict_heads > 0 || batch.UsedPages() > most_pages) && victims < most_for_heads;
    if (!for_chunks && !for_heads) return {};
    const Removal why = for_chunks ? Removal::kEvictedForBodies : Removal::kEvictedForHeads;
    const Result<bool> evicted = batch.EvictOne(why, accessed, next_position);
    if (!evicted) return tl::unexpected(evicted.error());
    if (!*evicted && !for_chunks) return {};
    if (!*evicted) {
      chunks_left = false;
      continue;
    }
    const RemovedObject& victim = batch.removed().back();
    if (victim.in_chunks) plan.freed_bytes += BodyDiskBytes(victim.body_bytes, page_bytes_);
  }
}

/// The transaction is durable: RAM and those who wait learn of it.
void StoreWriter::FinishHeads(const HeadBatch& batch, const HeadsPlan& plan) {
  for (const RemovedObject& removed : batch.removed()) FinishRemoved(removed);
  for (const HeadWrite* write : plan.stored) {
    const Key256& key = write->head->head.key;
    HeadIndex::Slot slot = parts_.index.Lock(key);
    slot.FinishPending(write->ticket);
    walk_.NoteFinished(write->ticket);
    // The walk will count it when it gets there; until now it was counted as on its way.
    if (write->fill != nullptr && !walk_.Counted(key)) parts_.presence.Drop(key);
  }
  for (const HeadWrite* write : plan.refused) {
    DropHead(*write, /*removal_waits=*/false, /*kept=*/std::nullopt);
  }
  meta_ = batch.meta();
  first_expiry_ = plan.first_expiry;
  heads_used_pages_ = plan.used_pages;
  parts_.counters.disk_objects.store(plan.heads, std::memory_order_relaxed);
  if (plan.only_make_room) return;
  FinishPins(plan);
  const auto end = deferred_.begin() + static_cast<ptrdiff_t>(plan.operations);
  for (auto operation = deferred_.begin(); operation != end; ++operation) {
    if (const auto* removal = std::get_if<HeadRemoval>(&*operation)) {
      parts_.index.Lock(removal->key).FinishPending(removal->ticket);
      walk_.NoteFinished(removal->ticket);
    }
  }
  deferred_.erase(deferred_.begin(), end);
  FinishRequests();
}

void StoreWriter::FinishRemoved(const RemovedObject& removed) {
  {
    HeadIndex::Slot slot = parts_.index.Lock(removed.key);
    if (removed.object_id != 0) parts_.ram.EraseHead(removed.key, removed.object_id);
    slot.Overtake();
    if (walk_.Counted(removed.key)) parts_.presence.Drop(removed.key);
  }
  if (removed.in_chunks) Doom(removed.object_id, removed.body_bytes);
  const bool evicted =
      removed.why == Removal::kEvictedForBodies || removed.why == Removal::kEvictedForHeads;
  if (evicted && removed.segment == Segment::kProbation) ghost_.Add(removed.key.word());
  // A record that could not be read; what else is broken has been counted by whom it failed.
  if (removed.why == Removal::kBroken && removed.object_id == 0) {
    StoreCounters::Add(parts_.counters.checksum_failures);
  }
  parts_.counters.Remove(removed.why);
}

void StoreWriter::Doom(uint64_t object_id, uint64_t body_bytes) {
  if (parts_.live->Contains(object_id)) {
    reaper_.AddWhenReleased(object_id, body_bytes, MonoNow());
    return;
  }
  parts_.ram.EraseChunks(object_id, ChunkCount(body_bytes));
  reaper_.Add(object_id, body_bytes);
}

void StoreWriter::FinishRequests() {
  {
    const std::lock_guard lock(parts_.position_mutex);
    parts_.position = meta_.position;
  }
  for (DurableRequest& request : std::exchange(requests_, {})) {
    if (request.executor == nullptr || !request.done) continue;
    request.executor->Post(std::move(request.done));
  }
}

/// A head that will not be on disk must not stay in RAM either: its chunks will be gone. In the
/// place of a new object its removal may wait, under its own ticket or (`kept`) an earlier one's of
/// the key.
void StoreWriter::DropHead(const HeadWrite& write, bool removal_waits, std::optional<Ticket> kept) {
  const Head& head = write.head->head;
  {
    HeadIndex::Slot slot = parts_.index.Lock(head.key);
    if (removal_waits) {
      slot.TurnToRemoval(write.ticket);
    } else {
      FinishDropped(slot, write.ticket, kept);
    }
    slot.Overtake();
    parts_.ram.EraseHead(head.key, head.object_id);
    // Of another generation: the table was cleared since it was counted.
    const bool counted = write.fill != nullptr && write.fill->generation == parts_.generation;
    if (counted) parts_.presence.Drop(head.key);
  }
  const bool in_chunks = write.fill != nullptr && !write.inline_on_disk;
  if (in_chunks && write.fill->on_disk && !std::exchange(write.fill->doomed, true)) {
    Doom(head.object_id, head.body_bytes);
  }
}

void StoreWriter::FinishDropped(HeadIndex::Slot& slot, Ticket ticket, std::optional<Ticket> kept) {
  if (kept) {
    slot.FallBack(ticket, *kept);
  } else {
    slot.FinishPending(ticket);
  }
  walk_.NoteFinished(ticket);
}

/// What was to be written will not be, and nothing of it is on disk: removals wait in the place of
/// new objects, as what these were to replace must not come back. A refreshed head's object stays
/// as it was. Removals that the next read or walk asks for again need not wait, unless one before
/// them does.
void StoreWriter::FailWrites() {
  std::vector<HeadOperation> removals;
  std::unordered_map<Key256, Ticket> kept;  // the last removal that waits, by key
  const auto kept_of = [&kept](const Key256& key) -> std::optional<Ticket> {
    const auto found = kept.find(key);
    if (found == kept.end()) return std::nullopt;
    return found->second;
  };
  for (HeadOperation& operation : deferred_) {
    if (const auto* write = std::get_if<HeadWrite>(&operation)) {
      const Key256& key = write->head->head.key;
      const bool removal_waits = write->fill != nullptr;
      DropHead(*write, removal_waits, kept_of(key));
      if (!removal_waits) continue;
      if (!write->fill->failed.exchange(true)) StoreCounters::Add(parts_.counters.write_errors);
      kept[key] = write->ticket;
      removals.emplace_back(HeadRemoval{.key = key, .ticket = write->ticket});
      continue;
    }
    const auto& removal = std::get<HeadRemoval>(operation);
    if (IsFoundAgain(removal)) {
      HeadIndex::Slot slot = parts_.index.Lock(removal.key);
      FinishDropped(slot, removal.ticket, kept_of(removal.key));
    } else {
      kept[removal.key] = removal.ticket;
      removals.push_back(operation);
    }
  }
  deferred_ = std::move(removals);
}

/// Nothing that was removed may come back, and the list must not grow for as long as nothing can be
/// written.
void StoreWriter::BoundWaitingRemovals() {
  if (deferred_.size() <= kMostWaitingRemovals) return;
  parts_.purges.ApplyToAll(Validity::kGone);
  for (const HeadOperation& operation : std::exchange(deferred_, {})) {
    const auto& removal = std::get<HeadRemoval>(operation);
    parts_.index.Lock(removal.key).FinishPending(removal.ticket);
    walk_.NoteFinished(removal.ticket);
  }
  Log(Level::kError, "store_purged_whole",
      {{"path", parts_.options.path}, {"reason", "too many removals wait for the disk"}});
}

// ---- Chunks

Status StoreWriter::CommitChunks(const std::vector<ChunkWrite>& chunks) {
  const auto wanted = [](const ChunkWrite& write) { return !write.fill->failed.load(); };
  const bool any = std::any_of(chunks.begin(), chunks.end(), wanted);
  if (!any && reaper_.idle() && !probing_) return {};
  const Status status = PutWithRoom(chunks);
  if (status) return {};
  // Whatever it was, these bodies have a hole now.
  FailChunks(chunks);
  if (!IsFull(status.error())) return status;
  reap_at_ = MonoNow() + kReapPause;
  return ReaderHoldsRoom() ? Status{} : status;
}

/// Puts the chunks, with room made for them if need be; refuses them when none can be made.
Status StoreWriter::PutWithRoom(const std::vector<ChunkWrite>& chunks) {
  const uint64_t incoming_bytes = DiskBytes(chunks);
  const uint64_t percent = disk_.layout().chunks_map_bytes / 100;
  uint64_t evicted_bytes = 0;
  milliseconds waited{0};
  for (int idle_rounds = 0; idle_rounds < kMostRoomRounds;) {
    if (HasRoomFor(incoming_bytes)) {
      Status status = TryChunks(chunks, kMostChunksErased);
      if (status || !IsFull(status.error())) return status;
      // Pages there are, but not in a row.
    }
    if (ReaderHoldsRoom()) {
      // Whatever went now would only be pinned with the rest: the room comes when the reader goes.
      if (chunks_watch_.age(MonoNow()) > kStalledRead || waited >= kReaderPatience) break;
      std::this_thread::sleep_for(kReaderPause);
      waited += kReaderPause;
      continue;
    }
    // First what is dead already.
    Result<bool> gained = EraseForRoom();
    if (gained && !*gained) gained = EmptySlabsForRoom();
    if (!gained) return tl::unexpected(gained.error());
    if (*gained) continue;
    if (evicted_bytes >= percent * kMostEvictedPercent) break;
    const Result<uint64_t> freed = EvictForRoom(percent * kEvictedPercent);
    if (!freed) return tl::unexpected(freed.error());
    evicted_bytes += *freed;
    if (*freed == 0) ++idle_rounds;
  }
  // A reader hangs, or objects under way fill the disk.
  FailChunks(chunks);
  if (ReaderHoldsRoom()) {
    parts_.chunks_held.store(true);
  } else if (HasRoomFor(0)) {
    return TryChunks({}, kFewChunksErased);
  }
  reap_at_ = MonoNow() + kReapPause;
  return {};
}

/// What was to be erased in any case. Whether there was any. What one commit frees, the one after
/// the next can use.
Result<bool> StoreWriter::EraseForRoom() {
  if (reaper_.idle()) return false;
  for (int commits = 0; commits < 2; ++commits) {
    Status status = TryChunks({}, kMostChunksErased);
    // Each may change pages of its own, and these have to be found first.
    if (!status && IsFull(status.error())) status = TryChunks({}, kFewChunksErased);
    if (!status) return tl::unexpected(status.error());
  }
  return true;
}

/// Whether emptying slabs has gained room.
Result<bool> StoreWriter::EmptySlabsForRoom() {
  Result<bool> gained = EmptySlabs(/*kept_dead=*/0, kSparePages / 2);
  if (!gained || !*gained) return gained;
  const Status status = TryChunks({}, kFewChunksErased);
  return status ? Result<bool>(true) : tl::unexpected(status.error());
}

/// Evicts ahead of chunks that find no room; how many bytes. Erasing is next.
Result<uint64_t> StoreWriter::EvictForRoom(uint64_t evict_bytes) {
  // Not while heads are held: what an eviction takes of their room would not come back.
  if (parts_.heads_held.load()) return 0;
  const MonoTime patience = MonoNow() + kEvictionPatience;
  uint64_t freed_bytes = 0;
  while (freed_bytes < evict_bytes && (freed_bytes == 0 || MonoNow() < patience)) {
    HeadsPlan plan{.only_make_room = true, .evict_chunk_bytes = evict_bytes - freed_bytes};
    const Status heads = TryHeads(plan);
    if (!heads && IsFull(heads.error())) {
      const Status made = MakeRoomForHeads(kFewVictims);
      if (!made && !IsFull(made.error())) return tl::unexpected(made.error());
      break;
    }
    if (!heads) return tl::unexpected(heads.error());
    if (plan.freed_bytes == 0) break;
    freed_bytes += plan.freed_bytes;
  }
  return freed_bytes;
}

uint64_t StoreWriter::DiskBytes(const std::vector<ChunkWrite>& chunks) const {
  uint64_t values = 0;
  uint64_t tail_bytes = 0;
  for (const ChunkWrite& write : chunks) {
    const size_t bytes = write.chunk->size();
    if (bytes == kChunkBytes) {
      ++values;
    } else {
      tail_bytes += bytes + kSlabEntryBytes;
    }
  }
  if (tail_bytes > 0) values += tail_bytes / kMostPartBytes + 2;  // the open one and the last
  return values * ChunkPages(kChunkBytes, page_bytes_) * page_bytes_;
}

bool StoreWriter::HasRoomFor(uint64_t incoming_bytes) {
  const Result<LmdbSpace> space = disk_.chunks().MeasureSpace();
  if (!space) return true;  // the commit will meet the error and say so
  parts_.counters.free_list_pages.store(space->listed_pages, std::memory_order_relaxed);
  parts_.counters.pinned_pages.store(space->pinned_pages, std::memory_order_relaxed);
  return incoming_bytes / page_bytes_ + kSparePages <= space->free();
}

/// Whether the map is full only for as long as a reader keeps its snapshot: no failure of the disk.
bool StoreWriter::ReaderHoldsRoom() {
  chunks_watch_.Look(disk_.chunks(), MonoNow());
  const Result<LmdbSpace> space = disk_.chunks().MeasureSpace();
  return space && space->pinned_by_readers >= kSparePages;
}

Status StoreWriter::TryChunks(const std::vector<ChunkWrite>& chunks, size_t most_erased) {
  Result<ChunkBatch> batch = ChunkBatch::Begin(disk_.chunks(), disk_.chunk_tables(), open_slab_,
                                               [this] { return parts_.next_id.fetch_add(1); });
  if (!batch) return tl::unexpected(batch.error());
  std::vector<Fill*> put;
  const auto attempt = [&]() -> Status {
    if (Result<size_t> erased = reaper_.Step(*batch, most_erased); !erased) {
      return tl::unexpected(erased.error());
    }
    for (const ChunkWrite& write : chunks) {
      if (write.fill->failed.load() || write.fill->generation != parts_.generation) continue;
      const ChunkName name{.object_id = write.fill->object_id, .index = write.index};
      if (Status s = batch->Put(name, write.chunk->bytes()); !s) return s;
      put.push_back(write.fill.get());
    }
    return batch->Commit(meta_);
  };
  Status status = attempt();
  if (!status) {
    reaper_.Undo();
    return status;
  }
  reaper_.Confirm();
  chunks_used_pages_ = batch->used_pages();
  slab_totals_ = batch->slab_totals();
  open_slab_ = batch->TakeOpen();
  for (Fill* fill : put) fill->on_disk = true;
  return status;
}

/// How much may stay dead in slabs. With less, more that lives would have to be written again for
/// each byte that is gained.
uint64_t StoreWriter::KeptDeadBytes() const {
  return std::max(slab_totals_.slabs * kSlabBytes / kKeptDeadShare, stuck_dead_bytes_);
}

/// Empties slabs of which little lives, some at a time. As long as the map has room, what is dead
/// in them costs nothing.
Status StoreWriter::TidySlabs() {
  const StoreLayout& layout = disk_.layout();
  const uint64_t map_pages = layout.chunks_map_bytes / page_bytes_;
  stuck_dead_bytes_ = std::min(stuck_dead_bytes_, slab_totals_.dead_bytes());
  const uint64_t worth_it = layout.batch_bytes / kWorthEmptyingShare + KeptDeadBytes();
  if (chunks_used_pages_ < map_pages / 100 * kTidyFromPercent) return {};
  if (slab_totals_.dead_bytes() <= worth_it) return {};
  const Result<bool> gained = EmptySlabs(KeptDeadBytes(), kSparePages);
  return gained ? Status{} : tl::unexpected(gained.error());
}

/// In a transaction of its own: it takes room before it gives any. Whether that gained room; if
/// not, what is dead counts as kept until there is more of it. `spared_pages` stay free.
Result<bool> StoreWriter::EmptySlabs(uint64_t kept_dead, uint64_t spared_pages) {
  // While a snapshot is kept, emptying would take pages and give none back.
  chunks_watch_.Look(disk_.chunks(), MonoNow());
  if (chunks_watch_.age(MonoNow()) > kStalledRead) return false;
  const Result<LmdbSpace> space = disk_.chunks().MeasureSpace();
  if (!space) return tl::unexpected(space.error());
  const uint64_t free_pages = space->free();
  const uint64_t room =
      (free_pages - std::min(free_pages, spared_pages)) / ChunkBatch::kPagesToEmpty;
  if (room == 0) return false;
  const uint64_t most = kEmptyingFactor * (disk_.layout().batch_bytes / kSlabBytes + 1);
  // Not into the open slab: what has outlived others lives on among its like.
  Result<ChunkBatch> batch = ChunkBatch::Begin(disk_.chunks(), disk_.chunk_tables(), {},
                                               [this] { return parts_.next_id.fetch_add(1); });
  if (!batch) return tl::unexpected(batch.error());
  const uint64_t slabs = slab_totals_.slabs;
  stuck_dead_bytes_ = slab_totals_.dead_bytes();
  const Result<size_t> emptied = batch->Compact(std::min(room, most), kept_dead, open_slab_.id);
  Status status = emptied ? Status{} : tl::unexpected(emptied.error());
  if (status && !batch->changed()) return false;
  if (status) status = batch->Commit(meta_);
  if (!status) {
    if (IsFull(status.error())) return false;
    return tl::unexpected(status.error());
  }
  chunks_used_pages_ = batch->used_pages();
  slab_totals_ = batch->slab_totals();
  const uint64_t gained = slabs - std::min(slabs, slab_totals_.slabs);
  if (gained * kLeastGainShare < std::max<size_t>(*emptied, 1)) return false;
  stuck_dead_bytes_ = 0;
  return true;
}

void StoreWriter::FailChunks(const std::vector<ChunkWrite>& chunks) {
  for (const ChunkWrite& write : chunks) {
    if (write.fill->failed.exchange(true)) continue;
    StoreCounters::Add(parts_.counters.write_errors);
    Erase(*write.fill);
  }
}

/// The chunks of an object that will have no head go, if any is there.
void StoreWriter::Erase(Fill& fill) {
  if (!fill.on_disk || std::exchange(fill.doomed, true)) return;
  reaper_.Add(fill.object_id, 0);
}

}  // namespace nearside::storage
