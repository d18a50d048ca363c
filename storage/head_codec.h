#pragma once

// A head as it lies in the store's file (docs/storage-format.md). Pure.

#include <cstdint>
#include <optional>
#include <string>

#include "runtime/hash.h"
#include "runtime/result.h"
#include "storage/cache_store.h"
#include "storage/lmdb_env.h"

namespace nearside::storage {

/// The segments of a queue of eviction (S3-FIFO on disk): everything enters by probation, what is
/// asked for again moves on to main. From the third nothing is evicted, and nothing in it expires.
enum class Segment : uint8_t { kProbation = 0, kMain = 1, kPinned = 2 };

/// Where a body lies. Each kind has an eviction queue of its own: what lies in heads gives nothing
/// back to the map of chunks.
enum class BodyIn : uint8_t { kChunks = 0, kHead = 1 };
inline constexpr size_t kBodyPlaces = 2;

/// Where an object stands in its queue of eviction. Positions only grow, those of all queues
/// together.
struct QueuePlace {
  Segment segment = Segment::kProbation;
  uint64_t position = 0;
  bool operator==(const QueuePlace&) const = default;
};

/// What is stored of an object under its key.
struct HeadRecord {
  Head head;
  QueuePlace place;
  /// The whole body when it lies inside the record (small), else nothing: it lies in chunks. In a
  /// decoded record it is a view into the bytes that were decoded.
  std::optional<Bytes> inline_body;
  BodyIn body_in() const { return inline_body ? BodyIn::kHead : BodyIn::kChunks; }
};

/// Heads that are longer are not stored: a B-tree wants many records a page, not few.
inline constexpr size_t kLongestHeadRecord = 64 << 10;
inline constexpr size_t kMostScopes = 1024;

/// Length of EncodeHead's result.
size_t EncodedBytes(const Head& head, size_t inline_bytes);
std::string EncodeHead(const HeadRecord& record);
/// Errors kSelf: bad_length, bad_checksum (also when the record is another key's), unknown_version.
Result<HeadRecord> DecodeHead(const Key256& key, Bytes bytes);

}  // namespace nearside::storage
