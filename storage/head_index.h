#pragma once

// What is known of keys between RAM and disk: heads that wait for the writer, removals that wait,
// loads in flight. It makes a load see what was committed or removed while it read, so that an old
// head never comes back over a new one, and it gives concurrent loads of one key one read.

#include <array>
#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <unordered_map>
#include <vector>

#include "runtime/executor.h"
#include "storage/cache_store.h"
#include "storage/write_queue.h"

namespace nearside::storage {

/// Any thread. All changes of one key are made under its stripe's lock, which may be held while
/// RAM's, the presence table's and the queue's are taken, never the other way round.
class HeadIndex {
 public:
  /// Tells loads of one key apart.
  using LoadNumber = uint64_t;
  struct Waiter {
    Executor* executor = nullptr;
    std::function<void(HeadRef)> done;
  };

  /// A key's entry, locked. Holds its stripe until destroyed.
  class Slot {
   public:
    /// What waits for the disk: nothing, a head, or a removal (a null head).
    std::optional<HeadRef> pending() const;
    /// The newest operation on the key is this one. Loads in flight are told that what they read is
    /// old.
    void SetPending(Ticket ticket, HeadRef head_or_null);
    /// The operation is done, one way or the other; newer ones stay.
    void FinishPending(Ticket ticket);
    /// The operation will not be done: what waits, if it is still the newest, is the removal
    /// `kept`.
    void FallBack(Ticket ticket, Ticket kept);
    /// The operation failed: if it is still the newest, what waits now is a removal in its place.
    void TurnToRemoval(Ticket ticket);
    /// A removal or a failure that needs no ticket: loads in flight must not bring the head back.
    void Overtake();

    /// Joins the load in flight. When there is none yet, the number of the one that the caller has
    /// to start.
    std::optional<LoadNumber> JoinLoad(Waiter waiter);
    /// Whether this load is still the one that answers: it may have been given up as too slow.
    bool IsLoading(LoadNumber load) const;
    bool overtaken() const;
    /// Begins again after having been overtaken.
    void RestartLoad();
    /// Ends the load: everyone who waited for it.
    std::vector<Waiter> FinishLoad();

   private:
    friend class HeadIndex;
    struct Stripe;
    Slot(Stripe& stripe, const Key256& key);
    Stripe& stripe_;
    const Key256& key_;
    std::lock_guard<std::mutex> lock_;
  };

  HeadIndex();
  ~HeadIndex();
  HeadIndex(const HeadIndex&) = delete;
  HeadIndex& operator=(const HeadIndex&) = delete;

  /// `key` outlives the slot.
  Slot Lock(const Key256& key);
  /// Heads and removals that wait.
  size_t pending() const;
  /// The disk was emptied: nothing that waits will ever be there. Loads in flight are overtaken.
  void ForgetPending();

 private:
  std::unique_ptr<Slot::Stripe[]> stripes_;
};

}  // namespace nearside::storage
