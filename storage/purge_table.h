#pragma once

// Purge by generation: a purge notes its sequence at the scopes it names, and a head is judged by
// the newest note at any of its scopes against the sequence known when its fetch started. A purge
// of a million objects is one small write, and a fill that was in flight cannot bring old bytes
// back.

#include <atomic>
#include <cstdint>
#include <shared_mutex>
#include <unordered_map>
#include <utility>
#include <vector>

#include "storage/cache_store.h"

namespace nearside::storage {

/// The newest purges of one scope, by sequence; 0: never.
struct PurgeMark {
  uint64_t soft = 0;
  uint64_t hard = 0;
  uint64_t newest() const { return soft > hard ? soft : hard; }
  bool operator==(const PurgeMark&) const = default;
};

/// The table's part that is not a scope's. `sequence` is the newest purge; `all`: purges of
/// everything; `unsure`: the newest after which nothing before is sure (Validity::kUnsure); fills
/// that began before `refused` are not stored, as marks that might have concerned them may have
/// been dropped.
struct PurgeHorizon {
  uint64_t sequence = 0;
  PurgeMark all;
  uint64_t refused = 0;
  uint64_t unsure = 0;
  bool operator==(const PurgeHorizon&) const = default;
};

/// Any thread. Check takes a shared lock only for heads not yet looked at since the newest purge.
class PurgeTable {
 public:
  /// Whether a writer takes what changed, to make it durable.
  enum class Saving : uint8_t { kByWriter, kNever };
  /// Beyond this many scopes, the oldest half is folded into a purge of everything up to its
  /// newest: safe, and far from what a fleet reaches between two sweeps.
  explicit PurgeTable(size_t most_scopes = 1 << 20, Saving saving = Saving::kByWriter)
      : most_scopes_(most_scopes), saving_(saving) {}

  uint64_t Apply(const std::vector<ScopeHash>& scopes, bool soft);
  /// `left` of everything; not kValid.
  uint64_t ApplyToAll(Validity left);

  /// kGone as well for an unwritten head that was last found valid too long ago to tell.
  Validity Check(const CachedHead& head) const;
  /// The same for a head in no table yet: never remembers.
  Validity Judge(const Head& head) const;
  /// The same for a fetch that began at `purge_sequence`; kGone if that is before
  /// PurgeHorizon::refused.
  Validity JudgeFetch(uint64_t purge_sequence, const std::vector<ScopeHash>& scopes) const;
  /// Whether a fill with this head may be stored: not gone, and not begun before
  /// PurgeHorizon::refused.
  bool MayStore(const Head& head) const;

  uint64_t sequence() const { return sequence_.load(std::memory_order_acquire); }
  PurgeHorizon horizon() const;
  size_t scopes() const;

  /// Forgetting marks that concern nothing takes two steps. First fills that began before `floor`
  /// are refused; when those accepted until then have been stored or refused, and a pass over the
  /// whole store that began after `floor` has found nothing under marks up to it, these are
  /// dropped.
  void RefuseBefore(uint64_t floor);
  void Drop(uint64_t floor);

  /// What changed since the last TakeUnsaved, for the writer to make durable with the horizon.
  /// Scopes whose mark is {0, 0} are to be erased. When making it durable fails: Unsave the same
  /// list.
  struct Changes {
    std::vector<std::pair<ScopeHash, PurgeMark>> marks;
    PurgeHorizon horizon;
    bool all_marks = false;  ///< the list is the whole table: erase what is stored first
  };
  bool HasUnsaved() const { return unsaved_.load(std::memory_order_acquire); }
  Changes TakeUnsaved();
  void Unsave(const Changes& changes);
  /// The store was emptied: everything is to be written anew.
  void UnsaveAll();
  /// At open, before any other thread.
  void Load(PurgeHorizon horizon, const std::vector<std::pair<ScopeHash, PurgeMark>>& marks);

 private:
  Validity JudgeLocked(uint64_t purge_sequence, const std::vector<ScopeHash>& scopes) const;
  Validity JudgeUnwritten(const CachedHead& head) const;
  void FoldOldestHalf();
  void NoteChange(ScopeHash scope);
  uint64_t Publish(uint64_t sequence);

  const size_t most_scopes_;
  const Saving saving_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<ScopeHash, PurgeMark> marks_;
  PurgeHorizon horizon_;
  std::vector<ScopeHash> changed_;  ///< scopes since the last TakeUnsaved
  bool all_changed_ = false;
  std::atomic<bool> unsaved_{false};
  std::atomic<uint64_t> sequence_{0};
};

}  // namespace nearside::storage
