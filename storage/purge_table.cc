#include "storage/purge_table.h"

#include <algorithm>
#include <mutex>

namespace nearside::storage {

uint64_t PurgeTable::Publish(uint64_t sequence) {
  horizon_.sequence = sequence;
  unsaved_.store(true, std::memory_order_release);
  // Last: whoever sees the new sequence finds the marks. Until then heads checked against the old
  // one are answered as valid, and the purge has not returned.
  sequence_.store(sequence, std::memory_order_release);
  return sequence;
}

void PurgeTable::NoteChange(ScopeHash scope) {
  if (saving_ == Saving::kByWriter) changed_.push_back(scope);
}

uint64_t PurgeTable::Apply(const std::vector<ScopeHash>& scopes, bool soft) {
  const std::unique_lock lock(mutex_);
  const uint64_t sequence = horizon_.sequence + 1;
  for (const ScopeHash scope : scopes) {
    PurgeMark& mark = marks_[scope];
    (soft ? mark.soft : mark.hard) = sequence;
    NoteChange(scope);
  }
  if (marks_.size() > most_scopes_) FoldOldestHalf();
  return Publish(sequence);
}

uint64_t PurgeTable::ApplyToAll(Validity left) {
  const std::unique_lock lock(mutex_);
  const uint64_t sequence = horizon_.sequence + 1;
  if (left == Validity::kGone) {
    horizon_.all.hard = sequence;
  } else {
    (left == Validity::kUnsure ? horizon_.unsure : horizon_.all.soft) = sequence;
  }
  return Publish(sequence);
}

void PurgeTable::FoldOldestHalf() {
  std::vector<uint64_t> ages;
  ages.reserve(marks_.size());
  for (const auto& [scope, mark] : marks_) ages.push_back(mark.newest());
  const auto middle = ages.begin() + static_cast<ptrdiff_t>(ages.size() / 2);
  std::nth_element(ages.begin(), middle, ages.end());
  const uint64_t newest_folded = *middle;
  std::erase_if(marks_, [&](const auto& entry) {
    const PurgeMark& mark = entry.second;
    if (mark.newest() > newest_folded) return false;
    horizon_.all.soft = std::max(horizon_.all.soft, mark.soft);
    horizon_.all.hard = std::max(horizon_.all.hard, mark.hard);
    return true;
  });
  changed_.clear();
  all_changed_ = true;
}

Validity PurgeTable::JudgeLocked(uint64_t purge_sequence,
                                 const std::vector<ScopeHash>& scopes) const {
  uint64_t soft = horizon_.all.soft;
  uint64_t hard = horizon_.all.hard;
  for (const ScopeHash scope : scopes) {
    const auto found = marks_.find(scope);
    if (found == marks_.end()) continue;
    soft = std::max(soft, found->second.soft);
    hard = std::max(hard, found->second.hard);
  }
  if (hard > purge_sequence) return Validity::kGone;
  if (horizon_.unsure > purge_sequence) return Validity::kUnsure;
  return soft > purge_sequence ? Validity::kStale : Validity::kValid;
}

Validity PurgeTable::Judge(const Head& head) const {
  const std::shared_lock lock(mutex_);
  return JudgeLocked(head.purge_sequence, head.scopes);
}

/// No pass over the disk finds it, so marks that concern it may have been dropped since it was last
/// looked at.
Validity PurgeTable::JudgeUnwritten(const CachedHead& head) const {
  const std::shared_lock lock(mutex_);
  const uint64_t known = std::max(head.head.purge_sequence, head.checked_sequence.load());
  if (known < horizon_.refused) return Validity::kGone;
  return JudgeLocked(head.head.purge_sequence, head.head.scopes);
}

Validity PurgeTable::JudgeFetch(uint64_t purge_sequence,
                                const std::vector<ScopeHash>& scopes) const {
  if (purge_sequence == sequence()) return Validity::kValid;  // no purge since
  const std::shared_lock lock(mutex_);
  if (purge_sequence < horizon_.refused) return Validity::kGone;
  return JudgeLocked(purge_sequence, scopes);
}

Validity PurgeTable::Check(const CachedHead& head) const {
  const uint64_t newest = sequence_.load(std::memory_order_acquire);
  if (head.checked_sequence.load(std::memory_order_relaxed) == newest) {
    // A new head has 0 here, which only a store without purges shares; there everything is valid.
    return Validity::kValid;
  }
  const Validity validity =
      head.unwritten.load(std::memory_order_relaxed) ? JudgeUnwritten(head) : Judge(head.head);
  if (validity == Validity::kValid) {
    head.checked_sequence.store(newest, std::memory_order_relaxed);
  }
  return validity;
}

bool PurgeTable::MayStore(const Head& head) const {
  const std::shared_lock lock(mutex_);
  return head.purge_sequence >= horizon_.refused &&
         JudgeLocked(head.purge_sequence, head.scopes) != Validity::kGone;
}

PurgeHorizon PurgeTable::horizon() const {
  const std::shared_lock lock(mutex_);
  return horizon_;
}

size_t PurgeTable::scopes() const {
  const std::shared_lock lock(mutex_);
  return marks_.size();
}

void PurgeTable::RefuseBefore(uint64_t floor) {
  const std::unique_lock lock(mutex_);
  if (floor <= horizon_.refused) return;
  horizon_.refused = floor;
  unsaved_.store(true, std::memory_order_release);
}

void PurgeTable::Drop(uint64_t floor) {
  const std::unique_lock lock(mutex_);
  const size_t dropped = std::erase_if(marks_, [&](const auto& entry) {
    if (entry.second.newest() > floor) return false;
    NoteChange(entry.first);
    return true;
  });
  // The purges of everything stay as they are: two numbers need no dropping.
  if (dropped > 0) unsaved_.store(true, std::memory_order_release);
}

PurgeTable::Changes PurgeTable::TakeUnsaved() {
  const std::unique_lock lock(mutex_);
  Changes changes{.horizon = horizon_, .all_marks = all_changed_};
  if (all_changed_) {
    changes.marks.assign(marks_.begin(), marks_.end());
  } else {
    std::sort(changed_.begin(), changed_.end());
    changed_.erase(std::unique(changed_.begin(), changed_.end()), changed_.end());
    for (const ScopeHash scope : changed_) {
      const auto found = marks_.find(scope);
      changes.marks.emplace_back(scope, found != marks_.end() ? found->second : PurgeMark{});
    }
  }
  changed_.clear();
  all_changed_ = false;
  unsaved_.store(false, std::memory_order_release);
  return changes;
}

void PurgeTable::Unsave(const Changes& changes) {
  const std::unique_lock lock(mutex_);
  for (const auto& [scope, mark] : changes.marks) changed_.push_back(scope);
  all_changed_ = all_changed_ || changes.all_marks;
  unsaved_.store(true, std::memory_order_release);
}

void PurgeTable::UnsaveAll() {
  const std::unique_lock lock(mutex_);
  all_changed_ = true;
  unsaved_.store(true, std::memory_order_release);
}

void PurgeTable::Load(PurgeHorizon horizon,
                      const std::vector<std::pair<ScopeHash, PurgeMark>>& marks) {
  const std::unique_lock lock(mutex_);
  horizon_ = horizon;
  marks_.insert(marks.begin(), marks.end());
  sequence_.store(horizon.sequence, std::memory_order_release);
}

}  // namespace nearside::storage
