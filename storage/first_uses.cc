#include "storage/first_uses.h"

#include <algorithm>
#include <bit>

namespace nearside::storage {

namespace {

/// As many keys as the disk holds objects of this size, ...
constexpr uint64_t kDiskBytesPerKey = 16 << 10;
/// ... and no more than this part of RAM has room for.
constexpr uint64_t kShareOfMemory = 32;
constexpr uint64_t kBytesOfKey = 8;

}  // namespace

FirstUses::FirstUses(const CacheOptions& options, RamTier& ram) {
  if (options.disk_min_uses <= 1) return;
  const uint64_t most = std::min(options.disk.bytes / kDiskBytesPerKey,
                                 options.memory.bytes / kShareOfMemory / kBytesOfKey);
  window_ = std::bit_floor(std::max<uint64_t>(most, 4));  // the table would round up
  seen_ = std::make_unique<GhostTable>(window_);
  (void)ram.Reserve(seen_->memory_bytes());
}

bool FirstUses::WritesNow(const Key256& key) {
  if (seen_ == nullptr) return true;
  const std::lock_guard lock(mutex_);
  if (seen_->Take(key.word(), window_)) return true;
  seen_->Add(key.word());
  return false;
}

}  // namespace nearside::storage
