#pragma once

// What the LMDB store's threads share: asking workers, readers, the writer. Each part is safe by
// itself; the comment of HeadIndex says in which order their locks are taken.

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "storage/cache_store.h"
#include "storage/first_uses.h"
#include "storage/head_index.h"
#include "storage/live_objects.h"
#include "storage/presence_table.h"
#include "storage/purge_table.h"
#include "storage/ram_tier.h"
#include "storage/store_counters.h"
#include "storage/write_queue.h"

namespace nearside::storage {

/// Keys whose popularity the disk should learn of. Short: what does not fit is dropped.
class TouchList {
 public:
  void Add(const Key256& key) {
    const std::lock_guard lock(mutex_);
    if (keys_.size() < kMost) keys_.push_back(key);
  }
  void Drain(std::vector<Key256>& out) {
    const std::lock_guard lock(mutex_);
    out.insert(out.end(), keys_.begin(), keys_.end());
    keys_.clear();
  }

 private:
  static constexpr size_t kMost = 4096;
  std::mutex mutex_;
  std::vector<Key256> keys_;
};

struct StoreParts {
  StoreParts(CacheOptions cache_options, PayloadDecoder payload_decoder, WriteQueue::Limits batch,
             size_t most_purge_scopes)
      : options(std::move(cache_options)),
        decoder(std::move(payload_decoder)),
        ram(options.memory),
        first_uses(options, ram),
        purges(most_purge_scopes),
        queue(options.write_queue, batch) {}

  const CacheOptions options;
  const PayloadDecoder decoder;
  const std::shared_ptr<LiveObjects> live = std::make_shared<LiveObjects>();
  RamTier ram;
  FirstUses first_uses;
  PurgeTable purges;
  PresenceTable presence;
  HeadIndex index;
  WriteQueue queue;
  TouchList touches;
  StoreCounters counters;

  /// Object ids and queue positions, from one row of numbers.
  std::atomic<uint64_t> next_id{1};
  /// Raised when the disk is started over: what was written before is not there any more.
  std::atomic<uint64_t> generation{0};
  /// The disk failed or is full: nothing is stored until the writer gets through again.
  std::atomic<bool> pass_through{false};
  /// A snapshot that somebody keeps pins so many pages of a map that nothing new is put there.
  std::atomic<bool> chunks_held{false};
  std::atomic<bool> heads_held{false};
  /// Small bodies go into heads on disk (else into chunks: the heads' environment is the fuller
  /// one).
  std::atomic<bool> inline_on_disk{true};

  LogPosition durable_position() const {
    const std::lock_guard lock(position_mutex);
    return position;
  }
  mutable std::mutex position_mutex;
  LogPosition position;  ///< guarded by position_mutex
};

}  // namespace nearside::storage
