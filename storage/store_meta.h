#pragma once

// The one row of facts that each environment of a store keeps of itself (docs/storage-format.md).
// Pure.

#include <array>
#include <cstdint>
#include <string>

#include "runtime/result.h"
#include "storage/cache_store.h"
#include "storage/head_codec.h"
#include "storage/lmdb_env.h"
#include "storage/purge_table.h"

namespace nearside::storage {

/// Raised when the bytes on disk change their meaning: an older store is then moved aside.
inline constexpr uint32_t kSchemaVersion = 4;

/// Bytes on disk by segment of an eviction queue.
struct QueueTotals {
  uint64_t probation_bytes = 0;
  uint64_t main_bytes = 0;
  bool operator==(const QueueTotals&) const = default;
};

/// What pinned objects take on disk.
struct PinnedTotals {
  uint64_t objects = 0;
  uint64_t head_bytes = 0;   ///< of their records, with the bodies in them
  uint64_t chunk_bytes = 0;  ///< of their bodies in chunks
  bool operator==(const PinnedTotals&) const = default;
};

/// In the chunks environment only `store_id` counts: two environments belong together when it is
/// the same.
struct StoreMeta {
  std::array<uint8_t, 16> store_id{};
  uint64_t next_id = 1;  ///< no object id or queue position up to now is as large
  PurgeHorizon purges;
  LogPosition position;
  std::array<QueueTotals, kBodyPlaces> totals;  ///< by BodyIn; without the pinned ones
  PinnedTotals pinned;
  bool operator==(const StoreMeta&) const = default;
};

std::string EncodeMeta(const StoreMeta& meta);
/// Errors kSelf: damaged (length, checksum), unknown_version.
Result<StoreMeta> DecodeMeta(Bytes bytes);

/// A row of the purges table: the scope is its key, this its value.
std::string EncodeMark(ScopeHash scope, PurgeMark mark);
/// Error kSelf: damaged.
Result<PurgeMark> DecodeMark(ScopeHash scope, Bytes bytes);

}  // namespace nearside::storage
