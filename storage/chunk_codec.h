#pragma once

// A chunk's key in the store's file and the numbers of a body cut into chunks. Pure.

#include <array>
#include <cstdint>
#include <optional>

#include "runtime/chunk.h"
#include "runtime/hash.h"
#include "storage/lmdb_env.h"

namespace nearside::storage {

/// Object id and index, big-endian, then the checksum: a full chunk's value is the body's bytes
/// alone, so that it fills 16 pages exactly. A lookup seeks the first twelve bytes and finds the
/// checksum with it.
inline constexpr size_t kChunkPrefixBytes = 12;
inline constexpr size_t kChunkKeyBytes = kChunkPrefixBytes + 16;
using ChunkPrefix = std::array<uint8_t, kChunkPrefixBytes>;
using ChunkKey = std::array<uint8_t, kChunkKeyBytes>;

struct ChunkName {
  uint64_t object_id = 0;
  uint32_t index = 0;
  bool operator==(const ChunkName&) const = default;
  /// Spreads names evenly; not the checksum.
  uint64_t hash() const;
};

ChunkPrefix EncodeChunkPrefix(ChunkName name);
ChunkKey EncodeChunkKey(ChunkName name, Hash128 checksum);

struct DecodedChunkKey {
  ChunkName name;
  Hash128 checksum;
};
/// Nothing when the key has another length.
std::optional<DecodedChunkKey> DecodeChunkKey(Bytes key);

/// XXH3-128 over the bytes, seeded by object id, index and length: a chunk in another's place is
/// wrong too.
Hash128 ChunkChecksum(ChunkName name, Bytes bytes);

/// How many chunks a body of this length has: 0 for none.
constexpr uint64_t ChunkCount(uint64_t body_bytes) {
  return body_bytes / kChunkBytes + (body_bytes % kChunkBytes != 0 ? 1 : 0);
}
/// The length that chunk `index` of such a body must have. `index` below ChunkCount.
constexpr uint32_t ChunkLength(uint64_t body_bytes, uint32_t index) {
  const uint64_t rest = body_bytes - uint64_t{index} * kChunkBytes;
  return static_cast<uint32_t>(rest < kChunkBytes ? rest : kChunkBytes);
}
/// Pages that a chunk of this length takes; a page has `page_bytes`, its head 16.
constexpr uint64_t ChunkPages(uint64_t bytes, uint64_t page_bytes) {
  return (bytes + 16 + page_bytes - 1) / page_bytes;
}
/// Bytes of disk that a whole body in chunks takes: its tail lies beside others in a slab
/// (storage/slab_codec.h), with an entry there, a row of its own and LMDB's node for it.
constexpr uint64_t BodyDiskBytes(uint64_t body_bytes, uint64_t page_bytes) {
  constexpr uint64_t kTailRowBytes = 24 + 28 + 16 + 10;
  const uint64_t full = body_bytes / kChunkBytes * ChunkPages(kChunkBytes, page_bytes) * page_bytes;
  const uint64_t rest = body_bytes % kChunkBytes;
  return full + (rest == 0 ? 0 : rest + kTailRowBytes);
}

}  // namespace nearside::storage
