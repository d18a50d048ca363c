#include "storage/presence_table.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace nearside::storage {

namespace {

constexpr uint64_t kCountMask = 31;
constexpr uint64_t kMarkOne = 32;
constexpr uint64_t kMarkMask = 3 * kMarkOne;
constexpr uint64_t kTagMask = ~(kCountMask | kMarkMask);
constexpr int kTagShift = 7;
constexpr size_t kLeastSlots = 16;
/// Slots are used up to 4/5: linear probing stays within a cache line or two.
constexpr size_t kLoadTenths = 8;

size_t HomeOf(uint64_t slot, size_t slots) { return (slot >> kTagShift) & (slots - 1); }

}  // namespace

/// Where `tag` is, or the empty slot where it would go. There is always an empty one.
size_t PresenceTable::Shard::Find(uint64_t tag) const {
  size_t at = HomeOf(tag, slots.size());
  while (slots[at] != 0 && (slots[at] & kTagMask) != tag) at = (at + 1) & (slots.size() - 1);
  return at;
}

void PresenceTable::Shard::Grow(size_t slots_wanted) {
  std::vector<uint64_t> old(std::bit_ceil(std::max(slots_wanted, kLeastSlots)), 0);
  if (old.size() <= slots.size()) return;
  slots.swap(old);
  for (const uint64_t slot : old) {
    if (slot != 0) slots[Find(slot & kTagMask)] = slot;
  }
}

/// Empties a slot and moves back what had been pushed past it (Knuth, TAOCP 3, 6.4, algorithm R).
void PresenceTable::Shard::EraseAt(size_t at) {
  const size_t mask = slots.size() - 1;
  slots[at] = 0;
  --used;
  for (size_t next = (at + 1) & mask; slots[next] != 0; next = (next + 1) & mask) {
    const size_t home = HomeOf(slots[next], slots.size());
    // `next` may fill the hole unless its home lies behind the hole, cyclically.
    if (((next - home) & mask) < ((next - at) & mask)) continue;
    slots[at] = std::exchange(slots[next], 0);
    at = next;
  }
}

void PresenceTable::Add(const Key256& key) {
  const uint64_t word = key.word();
  Shard& shard = ShardOf(word);
  const std::lock_guard lock(shard.mutex);
  if ((shard.used + 1) * 10 > shard.slots.size() * kLoadTenths) shard.Grow(shard.slots.size() * 2);
  uint64_t& slot = shard.slots[shard.Find(word & kTagMask)];
  if (slot == 0) {
    slot = (word & kTagMask) | 1;
    ++shard.used;
  } else if ((slot & kCountMask) != kCountMask) {
    ++slot;  // a full count stays: then "yes" for good is the safe answer
  }
}

void PresenceTable::Drop(const Key256& key) {
  const uint64_t word = key.word();
  Shard& shard = ShardOf(word);
  const std::lock_guard lock(shard.mutex);
  if (shard.slots.empty()) return;
  const size_t at = shard.Find(word & kTagMask);
  uint64_t& slot = shard.slots[at];
  if (slot == 0 || (slot & kCountMask) == kCountMask) return;
  if ((slot & kCountMask) == 1) {
    shard.EraseAt(at);
  } else {
    --slot;
  }
}

bool PresenceTable::MayContain(const Key256& key) const {
  if (!complete()) return true;
  const uint64_t word = key.word();
  const Shard& shard = ShardOf(word);
  const std::lock_guard lock(shard.mutex);
  return !shard.slots.empty() && shard.slots[shard.Find(word & kTagMask)] != 0;
}

void PresenceTable::Mark(const Key256& key) {
  const uint64_t word = key.word();
  Shard& shard = ShardOf(word);
  const std::lock_guard lock(shard.mutex);
  if (shard.slots.empty()) return;
  uint64_t& slot = shard.slots[shard.Find(word & kTagMask)];
  if (slot != 0 && (slot & kMarkMask) != kMarkMask) slot += kMarkOne;
}

bool PresenceTable::TakeMark(const Key256& key) {
  const uint64_t word = key.word();
  Shard& shard = ShardOf(word);
  const std::lock_guard lock(shard.mutex);
  if (shard.slots.empty()) return false;
  uint64_t& slot = shard.slots[shard.Find(word & kTagMask)];
  if ((slot & kMarkMask) == 0) return false;
  slot -= kMarkOne;
  return true;
}

void PresenceTable::Expect(uint64_t keys) {
  // Four standard deviations of how unevenly keys fall on shards.
  const double share = static_cast<double>(keys) / kShards;
  const auto most = static_cast<size_t>(share + 4 * std::sqrt(share));
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    shard.Grow(most * 10 / kLoadTenths + 2);
  }
}

void PresenceTable::Clear() {
  for (Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    shard.slots.clear();
    shard.used = 0;
  }
}

uint64_t PresenceTable::memory_bytes() const {
  uint64_t bytes = 0;
  for (const Shard& shard : shards_) {
    const std::lock_guard lock(shard.mutex);
    bytes += shard.slots.capacity() * sizeof(uint64_t);
  }
  return bytes;
}

}  // namespace nearside::storage
