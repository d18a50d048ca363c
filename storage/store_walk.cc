#include "storage/store_walk.h"

#include <algorithm>

#include "runtime/log.h"

namespace nearside::storage {

namespace {

/// A slice takes a few milliseconds of the writer's time when its pages are in memory.
constexpr size_t kHeadsPerSlice = 2000;
constexpr size_t kObjectsPerSlice = 2000;

}  // namespace

StoreWalk::StoreWalk(StoreParts& parts, StoreDisk& disk, ChunkReaper& reaper)
    : parts_(parts), disk_(disk), reaper_(reaper) {}

void StoreWalk::BeginFirst(uint64_t first_new_id) {
  phase_ = Phase::kHeads;
  first_ = true;
  after_.reset();
  first_new_id_ = first_new_id;
  ids_.clear();
  after_id_ = 0;
  reclaim_.BeginFirst(parts_.purges.sequence());
}

void StoreWalk::MaybeBeginReclaim(MonoTime now) {
  if (active() || !reclaim_.Begin(now, parts_.purges.sequence())) return;
  phase_ = Phase::kHeads;
  first_ = false;
  after_.reset();
}

void StoreWalk::SetDone() {
  phase_ = Phase::kDone;
  first_ = false;
  ids_.clear();
  removals_.clear();
  disk_.MarkSound();
  parts_.presence.SetComplete(true);
}

bool StoreWalk::Counted(const Key256& key) const {
  if (!first_ || phase_ != Phase::kHeads) return true;
  return after_ && key <= *after_;  // Key256 compares as LMDB does: byte by byte
}

std::vector<StoreWalk::Removal> StoreWalk::TakeRemovals(size_t most) {
  const auto first = removals_.end() - static_cast<ptrdiff_t>(std::min(most, removals_.size()));
  std::vector<Removal> taken(first, removals_.end());
  removals_.erase(first, removals_.end());
  return taken;
}

void StoreWalk::NotePut(const Head& head) {
  const Validity validity = parts_.purges.Judge(head);
  if (validity == Validity::kStale || validity == Validity::kUnsure) {
    reclaim_.NoteStale(head.purge_sequence);
  }
}

Status StoreWalk::Step() {
  switch (phase_) {
    case Phase::kHeads:
      return StepHeads();
    case Phase::kOrphans:
      return StepOrphans();
    case Phase::kRefuse:
      RefuseOlderFills();
      return {};
    case Phase::kDrop:
      // The heads that the marks made gone are to be gone before the marks are, and the heads that
      // were on their way to be stored or refused.
      if (removals_.empty() && finished_ >= accepted_) DropMarks();
      return {};
    case Phase::kDone:
      return {};
  }
  return {};
}

void StoreWalk::Visit(const HeadRecord& record) {
  const Head& head = record.head;
  if (first_) {
    parts_.presence.Add(head.key);
    if (!record.inline_body && head.body_bytes > 0) ids_.push_back(head.object_id);
  }
  switch (parts_.purges.Judge(head)) {
    case Validity::kValid:
      break;
    case Validity::kStale:
    case Validity::kUnsure:
      reclaim_.NoteStale(head.purge_sequence);
      break;
    case Validity::kGone:
      removals_.push_back({.key = head.key, .object_id = head.object_id});
      break;
  }
}

Status StoreWalk::StepHeads() {
  Result<LmdbReadTxn> txn = disk_.heads().BeginRead();
  if (!txn) return tl::unexpected(txn.error());
  const HeadWalkSlice slice{.visit = [this](const HeadRecord& record) { Visit(record); },
                            .broken =
                                [this](const Key256& key) {
                                  if (first_) parts_.presence.Add(key);
                                  removals_.push_back({.key = key});
                                }};
  const Result<std::optional<Key256>> last =
      WalkHeads(*txn, disk_.head_tables().heads, after_, kHeadsPerSlice, slice);
  if (!last) return tl::unexpected(last.error());
  if (*last) {
    after_ = *last;
  } else {
    EndHeads();
  }
  return {};
}

void StoreWalk::EndHeads() {
  after_.reset();
  if (!first_) {
    phase_ = Phase::kRefuse;
    return;
  }
  disk_.MarkSound();
  parts_.presence.SetComplete(true);
  std::sort(ids_.begin(), ids_.end());
  phase_ = Phase::kOrphans;
}

Status StoreWalk::StepOrphans() {
  Result<LmdbReadTxn> txn = disk_.chunks().BeginRead();
  if (!txn) return tl::unexpected(txn.error());
  for (size_t i = 0; i < kObjectsPerSlice; ++i) {
    const Result<std::optional<uint64_t>> id = NextObjectId(*txn, disk_.chunk_tables(), after_id_);
    if (!id) return tl::unexpected(id.error());
    if (!*id || **id >= first_new_id_) {
      Log(Level::kInfo, "store_walked",
          {{"path", parts_.options.path},
           {"objects", parts_.counters.disk_objects.load()},
           {"orphans", parts_.counters.orphans_swept.load()}});
      ids_ = {};
      phase_ = Phase::kRefuse;
      return {};
    }
    after_id_ = **id;
    // Those whose heads went while this walk ran are the reaper's already.
    if (std::binary_search(ids_.begin(), ids_.end(), after_id_) || reaper_.Knows(after_id_)) {
      continue;
    }
    reaper_.Add(after_id_, 0);
    StoreCounters::Add(parts_.counters.orphans_swept);
  }
  return {};
}

void StoreWalk::RefuseOlderFills() {
  // A fill that is accepted after this line knows the marks' purges. One that was accepted before
  // is pushed before, or looks again after it was (LmdbObjectWriter::CommitHead).
  parts_.purges.RefuseBefore(reclaim_.floor());
  accepted_ = parts_.queue.last_ticket();
  phase_ = Phase::kDrop;
}

void StoreWalk::DropMarks() {
  phase_ = Phase::kDone;
  first_ = false;
  reclaim_.End();
  // Marks up to here concern nothing that is stored: what they made gone has been removed, what is
  // stale is so by later ones.
  parts_.purges.Drop(reclaim_.floor());
}

}  // namespace nearside::storage
