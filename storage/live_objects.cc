#include "storage/live_objects.h"

#include <utility>

namespace nearside::storage {

void LiveObjects::Hold(uint64_t object_id) {
  Shard& shard = ShardOf(object_id);
  const std::lock_guard lock(shard.mutex);
  ++shard.holds[object_id];
}

void LiveObjects::Release(uint64_t object_id) {
  Shard& shard = ShardOf(object_id);
  const std::lock_guard lock(shard.mutex);
  const auto found = shard.holds.find(object_id);
  if (found != shard.holds.end() && --found->second == 0) shard.holds.erase(found);
}

bool LiveObjects::Contains(uint64_t object_id) const {
  const Shard& shard = ShardOf(object_id);
  const std::lock_guard lock(shard.mutex);
  return shard.holds.contains(object_id);
}

StoredHead::StoredHead(std::shared_ptr<LiveObjects> registry, Head stored)
    : live_(std::move(registry)) {
  head = std::move(stored);
  live_->Hold(head.object_id);
}

StoredHead::~StoredHead() { live_->Release(head.object_id); }

}  // namespace nearside::storage
